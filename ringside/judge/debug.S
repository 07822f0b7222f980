/*
 * Breakpoints of the debug registers: for the judge.
 *
 * As with crossings.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below).  Ring 0 arms four breakpoints
 * and walks into them; then proc A does.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

#define BASE		0x10000		/* where the program lies */
#define A_STACK		PROC_DATA_BYTES
#define A_WATCHED	0x20		/* offset in proc A's data */
#define HERE(label)	((label) - ring3)	/* its offset in A_CODE */
#define RF		0x010000

/* DR7: for breakpoint n, armed in this task; and what for. */
#define ARMED(n)	(1 << (2 * (n)))
#define WRITTEN(n)	(1 << (16 + 4 * (n)))
#define ACCESSED(n)	(3 << (16 + 4 * (n)))
#define BYTES_2(n)	(1 << (18 + 4 * (n)))
#define BYTES_4(n)	(3 << (18 + 4 * (n)))
#define GD		0x2000

/* An instruction, four bytes written, two accessed, and an instruction. */
#define ALL_FOUR	(ARMED(0) | ARMED(1) | WRITTEN(1) | BYTES_4(1) | ARMED(2) | ACCESSED(2) | BYTES_2(2) | ARMED(3))

	.macro	debug_register name, value
	mov	$\value, %eax
	mov	%eax, %\name
	.endm


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/* Every exception, from any ring: on to the next case. */
	.section .hook.fault_entry, "ax"
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	andl	$~TF, %ss:8(%esp)
	iret

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	ret


/* ---- ring 3 ------------------------------------------------------------ */

	.balign	CASE_BYTES
ring3:
	nop
case to_ring0 "int 0x30, ring 3 to 0"
	mov	$A_STACK, %esp
	mov	$ring0, %ebx
	int	$0x30

/* Once more, with ring 0's breakpoints. */
case write_watched_3 "#DB, ring 3 to 0"
	mov	$A_DATA, %eax
	mov	%eax, %ds
	movl	$1, A_WATCHED + 1
case read_watched_3 "#DB, ring 3 to 0"
	mov	A_WATCHED, %al
case beside_watched_3 ""
	mov	%al, A_WATCHED + 2
case instruction_3 "#DB, ring 3 to 0"
	nop
case mov_dr_3 "#GP(0000)"
	mov	%dr0, %eax

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end
	.set	ring3_bytes, . - ring3


/* ---- ring 0 ------------------------------------------------------------ */

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stack_end, %esp
	jmp	dr0

case dr0 "mov to %dr0"
	debug_register dr0, BASE + instruction
case dr1 "mov to %dr1"
	debug_register dr1, BASE + watched
case dr2 "mov to %dr2"
	debug_register dr2, BASE + proc_a_data + A_WATCHED
case dr3 "mov to %dr3"
	debug_register dr3, BASE + before_all_else
case dr6 "mov to %dr6"
	debug_register dr6, 0
case dr7 "mov to %dr7"
	debug_register dr7, ALL_FOUR
case instruction "#DB, ring 0 to 0"
	nop
case before_all_else "#DB, ring 0 to 0"
	ud2
case move "mov to %dr3"
	debug_register dr3, BASE + resumed
case resume "iret, ring 0 to 0"
	push_return ring0_stack_end, RING0_CODE, resumed, RF | 2
	iret
case resumed "#UD, ring 0 to 0"
	ud2
case write_watched "#DB, ring 0 to 0"
	mov	%eax, watched + 2
case write_around ""
	mov	%eax, watched - 4
	mov	%al, watched + 4
case read_written ""
	mov	watched, %eax
case read_watched "#DB, ring 0 to 0"
	mov	%ds:proc_a_data + A_WATCHED, %al
case status "mov from %dr6"
	mov	%dr6, %eax
case read_back "mov from %dr1"
	mov	%dr1, %eax
case guard "mov to %dr7"
	debug_register dr7, GD
case guarded "#DB, ring 0 to 0"
	mov	%dr0, %eax
case guarded_write "mov from %dr6"		# GD is clear by now
	mov	%dr6, %eax
case dr3_of_ring3 "mov to %dr3"
	debug_register dr3, BASE + instruction_3
case dr7_again "mov to %dr7"
	debug_register dr7, ALL_FOUR
case out "iret, ring 0 to 3"
	push_return ring0_stack_end, A_CODE, HERE(write_watched_3), 2, A_DATA, A_STACK
	iret

	.balign	16
	.long	0
watched:
	.long	0, 0, 0

	.section .note.GNU-stack, "", @progbits

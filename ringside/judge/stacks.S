/*
 * Crossings on stacks that are not flat: for the judge.
 *
 * As with crossings.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below).  Proc A goes to ring 0, whose
 * stack is first one of 16 bits, whose words wrap at 64 KiB, and then one of 4 GiB that begins
 * within memory, so that what wraps lies below its base.  Other segments expand down: they have
 * what lies above their limit, up to 64 KiB or to 4 GiB.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

/* Proc A's LDT, made longer: B's, which stands behind it, is not needed here. */
#define NARROW0		(0x18 + TI)	/* of 16 bits, for ring 0 */
#define HIGH0		(0x20 + TI)	/* all addresses, from BASE + HIGH on, for ring 0 */
#define PROGRAM3		(0x28 + TI)	/* the program, for ring 3: it moves its own esp0 */
#define DOWN0		(0x30 + TI)	/* from LOWEST up to 4 GiB, for ring 0 */
#define DOWN3		(0x38 + TI)	/* and for ring 3 */
#define NARROW_DOWN0	(0x40 + TI)	/* from LOWEST up to 64 KiB, for ring 0 */
#define LDT_BYTES	0x48

#define BASE		0x10000
#define RING3		0x9000
#define A_MEMORY	0x9f00
#define MIDDLE		0xe000		/* of the program, which is what the narrow ones have: free, as its ends are */
#define HIGH		0xc000		/* in the program, with room to both sides */
#define LOWEST		0xe800		/* of what expands down */

#define A_STACK		PROC_DATA_BYTES
#define HERE(label)	((label) - ring3)	/* its offset in A_CODE */

	/* A row of proc A's LDT that is as it stands: base, limit, access byte, flags. */
	.macro	plain_row selector, base, limit, access, flags
	movl	$((\limit) & 0xffff) | ((\base) & 0xffff) << 16, proc_a_ldt + (\selector & ~7)
	movl	$((\base) >> 16 & 0xff) | (\access) << 8 | ((\limit) & 0xf0000) | (\flags) << 16 | ((\base) & 0xff000000), proc_a_ldt + (\selector & ~7) + 4
	.endm


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/* Every exception of ring 3, and of ring 0. */
	.section .hook.fault_entry, "ax"
	jmp	refused

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	A_DATA, A_MEMORY, PROC_DATA_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	plain_row NARROW0, BASE, 0xffff, ACCESS_PRESENT | ACCESS_DATA, 0
	plain_row HIGH0, BASE + HIGH, 0xfffff, ACCESS_PRESENT | ACCESS_DATA, 0xc0
	plain_row PROGRAM3, BASE, 0xffff, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3), SEGMENT_32BIT
	plain_row DOWN0, BASE, (LOWEST - 1), ACCESS_PRESENT | ACCESS_DATA | EXPANDS_DOWN, SEGMENT_32BIT
	plain_row DOWN3, BASE, (LOWEST - 1), ACCESS_PRESENT | ACCESS_DATA | EXPANDS_DOWN | ACCESS_DPL(3), SEGMENT_32BIT
	plain_row NARROW_DOWN0, BASE, (LOWEST - 1), ACCESS_PRESENT | ACCESS_DATA | EXPANDS_DOWN, 0
	movw	$LDT_BYTES - 1, gdt + A_LDT
	gate	0x2d, HERE(same_ring), A_CODE, 0xee		# for ring 3, to ring 3
	ret

/* On the stack: vector, error code, eip, cs, eflags ...  On to the next case. */
refused:
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	testb	$3, %ss:4(%esp)
	jz	back_32			# an iret may be refused, as the case was
	iret


/* ---- ring 3 ------------------------------------------------------------ */

	.org	RING3 - PLACE
ring3:

	mov	$PROGRAM3 + RPL3, %eax
	mov	%eax, %es
	mov	$back, %ebx

	/* Ring 0's stack. */
	.macro	stack0 selector, offset
	movl	$\offset, %es:tss + 4
	movl	$\selector, %es:tss + 8
	int	$0x30
	.endm

/* Five words, of which the last lie at the end of the 64 KiB, or of the 4 GiB. */
case narrow "int 0x30, ring 3 to 0"
	stack0	NARROW0, MIDDLE
case narrow_wraps "int 0x30, ring 3 to 0"
	stack0	NARROW0, 8
case narrow_from_its_end "int 0x30, ring 3 to 0"
	stack0	NARROW0, 0
case high "int 0x30, ring 3 to 0"
	stack0	HIGH0, 0x100
case high_wraps "int 0x30, ring 3 to 0"
	stack0	HIGH0, 8

/* Data of a segment that expands down. */
case data_lowest "mov %gs"
	mov	$DOWN3 + RPL3, %eax
	mov	%eax, %fs
	mov	%fs:LOWEST, %gs
case data_below "#GP(0000)"
	else qemu, "mov %gs", "TCG checks no segment limits"
	mov	%fs:LOWEST - 2, %gs
case data_astride "#GP(0000)"
	else qemu, "mov %gs", "TCG checks no segment limits"
	mov	%fs:LOWEST - 1, %gs
case written_below "#GP(0000)"
	else qemu, "", "TCG checks no segment limits"
	mov	%al, %fs:LOWEST - 1
case data_behind_64k "mov %gs"
	mov	%fs:0x10000, %gs
case narrow_data "mov %gs"
	andb	$~SEGMENT_32BIT, %es:proc_a_ldt + (DOWN3 & ~7) + 6
	mov	%eax, %fs
	mov	%fs:0xfffe, %gs
case narrow_data_astride "#GP(0000)"
	else qemu, "mov %gs", "TCG checks no segment limits"
	mov	%fs:0xffff, %gs
case narrow_data_beyond "#GP(0000)"
	else qemu, "mov %gs", "TCG checks no segment limits"
	mov	%fs:0x10000, %gs

/* Ring 3's own stack, of that segment. */
	.macro	stack3 offset
	mov	$DOWN3 + RPL3, %eax
	mov	%eax, %ss
	mov	$\offset, %esp
	.endm

case pop_lowest "popf"
	orb	$SEGMENT_32BIT, %es:proc_a_ldt + (DOWN3 & ~7) + 6
	movl	$IF | 2, %es:LOWEST
	stack3	LOWEST
	popf
case pop_below "#SS(0000)"
	else qemu, "popf", "TCG checks no segment limits"
	stack3	(LOWEST - 4)
	popf
case push_below "#SS(0000)"
	else qemu, "", "TCG checks no segment limits"
	stack3	LOWEST + 2
	push	%eax
case same_ring_lowest "int 0x2d, ring 3 to 3"
	stack3	LOWEST + 12
	int	$0x2d
case same_ring_below "#SS(0000)"
	else qemu, "int 0x2d, ring 3 to 3", "TCG checks no segment limits"
	stack3	LOWEST + 8
	int	$0x2d

/* And ring 0's.  To refuse that, no stack of ring 0's may be needed. */
case own_stack ""
	mov	$A_DATA, %eax
	mov	%eax, %ss
	mov	$A_STACK, %esp
	movw	$A_CODE, %es:idt + 8 * 12 + 2
case own_gate ""
	movw	$HERE(stack_refused), %es:idt + 8 * 12
case down_lowest "int 0x30, ring 3 to 0"
	stack0	DOWN0, LOWEST + 20
case down_below "#SS", DOWN0
	else qemu, "int 0x30, ring 3 to 0", "TCG does not check whether esp0 has room"
	stack0	DOWN0, LOWEST + 16
case down_high "int 0x30, ring 3 to 0"
	stack0	DOWN0, 0x10008
case narrow_down_end "int 0x30, ring 3 to 0"
	stack0	NARROW_DOWN0, 0
case narrow_down_below "#SS", NARROW_DOWN0
	else qemu, "int 0x30, ring 3 to 0", "TCG does not check whether esp0 has room"
	stack0	NARROW_DOWN0, LOWEST + 16

case last "int 0x30, ring 3 to 0"
	mov	$ring0, %ebx
	stack0	NARROW0, MIDDLE

	.balign	CASE_BYTES
same_ring:
	jmp	*%ss:(%esp)
stack_refused:
	add	$4, %esp
	orl	$CASE_BYTES - 1, (%esp)
	incl	(%esp)
	iret

	.set	ring3_bytes, . - ring3


/* ---- ring 0 ------------------------------------------------------------ */

	.org	RING3 + 0x1000 - PLACE
	.balign	CASE_BYTES
/* To ring 3 again, by a frame that lies elsewhere: see iret_wraps. */
back:
	mov	%ss:(%esp), %ecx		# where ring 3 goes on
	mov	$RING0_DATA, %eax
	mov	%eax, %ss
	mov	$ring0_stack_end, %esp
	push	$A_DATA
	push	$A_STACK
	push	$2
	push	$A_CODE
	push	%ecx
	iret

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	$NARROW0, %eax
	mov	%eax, %ss
	mov	$4, %esp
	gate	0x2e, back_32, RING0_CODE, 0x8e
	gate	0x2f, back_16, RING0_CODE, 0x86
	mov	idt + 8 * 13, %eax		# #SS leads to ring 0 again, as #GP does
	mov	%eax, idt + 8 * 12
	gate	0x2c, iret_wraps, RING0_CODE, 0x8e
	gate	0x2b, iret_high_wraps, RING0_CODE, 0x8e
	jmp	same_ring_wraps

/* Three words, and the same by a gate of 16 bits. */
case same_ring_wraps "int 0x2e, ring 0 to 0"
	int	$0x2e
case same_ring_of_16_bits "int 0x2f, ring 0 to 0"
	mov	$2, %esp
	int	$0x2f
case same_ring_high "int 0x2e, ring 0 to 0"
	mov	$HIGH0, %eax
	mov	%eax, %ss
	mov	$8, %esp
	int	$0x2e

/* Back from there, and by far call and ret. */
case high_once_more "int 0x2b, ring 0 to 0"
	mov	$8, %esp
	int	$0x2b
	jmp	narrow_once_more
case iret_high_wraps "iret, ring 0 to 0"
	iret
case narrow_once_more "int 0x2c, ring 0 to 0"
	mov	$NARROW0, %eax
	mov	%eax, %ss
	mov	$4, %esp
	int	$0x2c
	jmp	lcall_wraps
case iret_wraps "iret, ring 0 to 0"
	else bochs, "#SS(0000)", "Bochs wants all that is popped in a row"
	iret
case lcall_wraps "lcall, ring 0 to 0"
	else bochs, "#SS(0000)", "Bochs pushes as if the stack had 32 bits"
	mov	$4, %esp
	lcall	$RING0_CODE, $1f
1:
case lret_wraps "lret, ring 0 to 0"
	else bochs, "#SS(0000)", "Bochs wants all that is popped in a row"
	movw	$RING0_CODE, 0
	movl	$high_lcall_wraps, 0xfffc
	mov	$0xfffc, %esp
	lret
case high_lcall_wraps "lcall, ring 0 to 0"
	mov	$HIGH0, %eax
	mov	%eax, %ss
	mov	$4, %esp
	lcall	$RING0_CODE, $1f
1:

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end

back_32:
	jmp	*%ss:(%esp)
back_16:
	movzwl	%ss:(%esp), %ecx
	jmp	*%ecx

	.section .note.GNU-stack, "", @progbits

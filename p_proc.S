/*
 * P_PROC: two procs in ring 3 play ping-pong through ring 0.
 *
 * boot.S (or DOS) loads this file at SEG:0100 and jumps to its first byte in
 * real mode, with cs = ds = es = ss = SEG and sp = 0xfffe.  Read on in this
 * order:
 *
 *	start		real mode, protected mode, the first iret
 *	the tables	GDT, LDTs, IDT, TSS: what the CPU looks up by itself
 *	the frames	what the two procs have in their registers at first
 *	the gate	int 0x30, the way from one proc to the other
 *	the procs	ring3/proc.h, once for each
 *
 * and then switch.c, which chooses the next proc.
 *
 * Addresses are offsets in this program: every segment of ring 0 begins at
 * SEG:0000.  At each xchg %bx,%bx Bochs stops, if it is told to (magic
 * breakpoint); the label after it names the place.
 */
#include "procs/first_frame.h"
#include "procs/proc_segments.h"
#include "ring3/ask.h"
#include "ring0/tables.h"
#include "show/program.h"
#include "switch.h"


/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, then proc A's.
 * Interrupts:	off from the first instruction on, until the iret to ring 3.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S; if it can't, it says why
	.code32

/*
 * Ring 0: ds, es, ss hold RING0_DATA, gs RING0_SCREEN, esp ring0_stack.  GDTR and
 * IDTR are loaded.  TR is not; without it there would be no way back from ring 3.
 */
	call	watch_start		# procs/watch.c: first lines of screen and log

	xchg	%bx, %bx
	.global	ckpt_frames
ckpt_frames:				# both frames are filled in: print them
	mov	$TSS, %eax
	ltr	%ax			# wants an available TSS, and marks it busy
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:				# TR is loaded: ss0:esp0 is the end of A's frame

/*
 * The first way out is every way out: proc A's frame looks as if A had once come
 * in by int 0x30.  iret (Intel, volume 2, IRET: return to outer privilege level)
 * pops eip, cs, eflags, and, because the RPL of that cs is 3, also esp and ss.
 */
	mov	$proc_a_end, %eax	# the end of A's frame is A
	lldt	PROC_LDT(%eax)		# A's segments exist from here on
	lea	-FRAME_BYTES(%eax), %esp
1:	restore_registers
	xchg	%bx, %bx
	.global	ckpt_iret
ckpt_iret:				# the first iret is next: ring 3
	iret
	restored_since 1b


/* ---- the tables -------------------------------------------------------- */

	.data

/*
 * The GDT and the procs' LDTs (Intel, volume 3, section 3.5.1): each row of
 * segments.h and proc_segments.h makes an entry.
 */
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	LDT_SEGMENTS(DESCRIPTOR)
	gdt_ends

	proc_ldts			# procs/proc_segments.h

/*
 * The IDT (Intel, volume 3, section 6.10).  Vectors 0-0x2f: exceptions and
 * hardware interrupts (tables.h).  0x30 is the one door that ring 3 may knock at,
 * and the last: the limit ends behind it.
 */
	idt_begins
	fault_gates
idt_gate:
	interrupt_gate gate_with_stop, 3
	idt_ends

/*
 * The TSS (Intel, volume 3, section 7.2.1): where the CPU looks for the stack when
 * it comes from ring 3.  The I/O bitmap begins beyond the limit, so every port is
 * closed.  Only a double fault leaves this task by a task switch; then the CPU saves
 * its registers here.
 */
	.balign	4
	.global	tss
tss:
	.long	0			# backlink
	.long	proc_a_end, RING0_DATA	# esp0, ss0
	.rept	TSS_BYTES / 4 - 4	# all that belongs to a task switch
	.long	0
	.endr
	.word	0, TSS_BYTES		# debug trap; I/O bitmap
	.set	tss_bytes, . - tss
	.if	tss_bytes != TSS_BYTES
	.error	"x86.h: TSS_BYTES is not the TSS's size"
	.endif

	double_fault_task

	program	p_proc, " ring 0, int 0x30 "
	.data


/* ---- the frames -------------------------------------------------------- */

/* In struct proc's order (procs/first_frame.h): a frame, filled in, and all else that
   ring 0 knows of a proc. */
	.balign	4
	proc	a, A, A_CODE, A_DATA, A_SCREEN, A_LDT, b, 0
	proc	b, B, B_CODE, B_DATA, B_SCREEN, B_LDT, a, 1


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - int 0x30 of the running proc: save it, choose the next, run that
 *
 * From:	ring 3, through the IDT.  The CPU has changed to ss0:esp0, the
 *		end of the proc's frame, and pushed ss, esp, eflags, cs, eip there;
 *		it has cleared IF and TF.  All else is still the proc's: every
 *		general register, ds, es, fs, gs, DF.
 * To:		ring 3, the other proc, by iret out of its frame.
 * Stack:	the frame, until all is saved; ring0_stack for C; the other frame.
 * Interrupts:	off.
 * Intel:	volume 3, section 6.12.1; volume 2, INT n and IRET.
 *
 * gate_with_stop is the same with a magic breakpoint in front.  The IDT leads there
 * while every switch is shown, and to gate itself at faster paces (ring0/door.c).
 */
	.global	gate_with_stop, ckpt_int, gate
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	save_registers
	mov	%esp, %eax		# the frame: C's 1st argument

	# Two far pointers give C its world: ds:esp is the ring-0 stack, es:edx the TSS
	# (its 2nd argument).  ds and es were the proc's; ss the CPU has loaded, with ss0.
	lds	%cs:ring0_stack_pointer, %esp
	les	%cs:tss_pointer, %edx
	cld				# C counts on it; the gate has not cleared it

	decl	switches_left		# until the next look
	jz	gate_watched		# procs/watched_gate.S: the same, on show
	call	switch_to_next		# switch.c; eax: the proc whose turn it is
	lldt	PROC_LDT(%eax)		# now its segments exist, and not the other's
	lea	-FRAME_BYTES(%eax), %esp	# its frame ends where it begins
1:	restore_registers
	iret
	restored_since 1b

	.balign	4
ring0_stack_pointer:
	.long	ring0_stack_end
	.word	RING0_DATA
tss_pointer:
	.long	tss
	.word	RING0_DATA


/* ---- the procs --------------------------------------------------------- */

#define PROC(name) proc_a_##name
#include "ring3/proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "ring3/proc.h"
#undef PROC

	.section .note.GNU-stack, "", @progbits

/*
 * TIMER: P_PROC without the procs' consent.  The frames are the same, but no proc
 * executes int 0x30: a hundred times a second the timer chip interrupts the running one.
 *
 * Read P_PROC (p_proc.S) first.  This file has all that differs, and the tables, where
 * one gate has moved:
 *
 *	start		as in P_PROC
 *	the tables	vector 0x20, IRQ 0, leads to the tick; no gate is for ring 3
 *			but those of int3 and into
 *	the frames	as in P_PROC (procs/first_frame.h)
 *	the tick	the way from one proc to the other
 *	the procs	proc.h: they never yield
 *
 * clock.c sets the timer chip.  switch.c chooses the next proc, as in P_PROC.
 */
#include "procs/first_frame.h"
#include "procs/proc_segments.h"
#include "ring3/ask.h"
#include "ring0/ports.h"
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
 * Interrupts:	off in ring 0, except where it sleeps (ring0/sleep.S).  On in ring 3, always:
 *		the first frame's eflags say so, and the procs cannot change it.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S
	.code32
	call	watch_start		# procs/watch.c: first lines of screen and log
	call	watchdog_start		# clock.c: A's turn begins now

	mov	$TSS, %eax
	ltr	%ax

	mov	$proc_a_end, %eax
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
1:	restore_registers
	iret				# ring 3, until the first tick
	restored_since 1b


/* ---- the tables -------------------------------------------------------- */

	.data
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	LDT_SEGMENTS(DESCRIPTOR)
	gdt_ends

	proc_ldts

/*
 * The IDT: exceptions; IRQ 0; the other hardware interrupts, which are masked, so that
 * any that comes is spurious (cause.c).  DPL 0 keeps ring 3 from asking for a tick by
 * int 0x20; for hardware, the CPU ignores it (Intel, volume 3, section 6.12.1.2).
 */
	idt_begins
	fault_gates 0, IRQ_VECTORS
idt_gate:
	interrupt_gate tick_with_stop, 0
	fault_gates (IRQ_VECTORS + 1), (2 * IRQS - 1)
	idt_ends

	tss_begins proc_a_end
	.set	tss_bytes, . - tss

	double_fault_task


/* ---- the frames -------------------------------------------------------- */

	.balign	4
	proc	a, A, A_CODE, A_DATA, A_SCREEN, A_LDT, b, 0
	proc	b, B, B_CODE, B_DATA, B_SCREEN, B_LDT, a, 1


/* ---- the tick ---------------------------------------------------------- */

	.text

/*
 * tick - the time of the running proc is up: save it, choose the next, run that
 *
 * From:	ring 3, through the IDT, between any two instructions of the proc.  The
 *		CPU has asked the interrupt controller for the vector, changed to
 *		ss0:esp0, the end of the proc's frame, and pushed ss, esp, eflags, cs,
 *		eip there; eip is that of the next instruction, not begun so far.  It
 *		has cleared IF and TF.  Nothing of the proc may be lost: it has not
 *		asked for this, and all its registers and flags are in use.
 * To:		ring 3, the other proc, by iret out of its frame; that lets the next
 *		tick in.
 * Stack:	the frame, until all is saved; ring0_stack for C; the other frame.
 * Interrupts:	off: a tick that comes meanwhile waits in the interrupt controller.
 * Intel:	volume 3, section 6.12.1 and 6.8.1 (IF); 8259A data sheet (EOI).
 *
 * tick_with_stop: see gate_with_stop in p_proc.S.
 */
	.global	gate, gate_with_stop, tick_with_stop, ckpt_tick, tick
gate_with_stop:				# what watch.c and look.c call the two
tick_with_stop:
	xchg	%bx, %bx
ckpt_tick:				# first instruction inside: look at ss:esp
gate:
tick:
	save_registers
	mov	$PIC_END, %al		# until it is told, the interrupt controller holds
	out	%al, $PIC_1		# the next tick back
	mov	%esp, %eax		# the frame: C's 1st argument

	lds	%cs:ring0_stack_pointer, %esp
	les	%cs:tss_pointer, %edx
	cld

	decl	switches_left		# until the next look
	jz	gate_watched		# procs/watched_gate.S
	call	switch_to_next		# switch.c; eax: the proc whose turn it is
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
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


/* ---- the procs, and what the program is called ------------------------- */

#define PROC(name) proc_a_##name
#include "proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "proc.h"
#undef PROC

/* Each tick is a switch, so there are at most 100 a second.  The way back from a look is
   a little longer than that of other ticks, and shortens the turn behind it: with three
   turns between looks, or three and four alternately (pace.c), it shortens A's and B's
   turns alike. */
	program	timer, " ring 0, IRQ 0 ", \
		"int n through a gate that ring 3 may not use, or that does not exist. There is no door here: ring 0 comes by itself.", \
		6, "each tick: 100 switches a second", 3

	.section .note.GNU-stack, "", @progbits

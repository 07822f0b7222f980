/*
 * TIMER: P_PROC without anyone's consent.  The frames are the same, but nobody
 * executes int 0x30: a hundred times a second the timer chip interrupts whoever runs.
 *
 * Read P_PROC (p_proc.S) first.  Here stands all that differs, and the tables, where
 * one gate has moved:
 *
 *	start		as there
 *	the tables	vector 0x20, IRQ 0, leads to the tick; no gate is for ring 3
 *			but those of int3 and into
 *	the frames	as there (procs/first_frame.h)
 *	the tick	the way from one proc to the other
 *	the procs	proc.h: they never yield
 *
 * clock.c sets the timer chip.  switch.c says who is next, here as there.
 */
#include "procs/first_frame.h"
#include "ring0/machine.h"
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
 * Interrupts:	off in ring 0, but where it sleeps (ring0/sleep.S).  On in ring 3, always:
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
	.balign	8
	.global	gdt
#define TABLE gdt
gdt:
	base_here
	.word	gdt_end - gdt - 1
	.long	gdt
	.word	0
	RING0_SEGMENTS(DESCRIPTOR)
	LDT_SEGMENTS(DESCRIPTOR)
gdt_end:
#undef TABLE

	.global	proc_a_ldt, proc_b_ldt
#define TABLE proc_a_ldt
proc_a_ldt:
	A_SEGMENTS(DESCRIPTOR)
	.set	proc_a_ldt_bytes, . - proc_a_ldt
#undef TABLE

#define TABLE proc_b_ldt
proc_b_ldt:
	.quad	0, 0, 0			# A's places
	B_SEGMENTS(DESCRIPTOR)
	.set	proc_b_ldt_bytes, . - proc_b_ldt
#undef TABLE

/*
 * The IDT: exceptions; IRQ 0; the other hardware interrupts, which are masked, so that
 * what comes by them is spurious (cause.c).  DPL 0 keeps ring 3 from asking for a tick
 * by int 0x20: hardware need not ask (Intel, volume 3, section 6.12.1.2).
 */
	.balign	8
	.global	idt, idt_gate, idtr
idt:
	fault_gates 0, IRQ_VECTORS
idt_gate:
	interrupt_gate tick_with_stop, 0
	fault_gates (IRQ_VECTORS + 1), (2 * IRQS - 1)
idt_end:
idtr:
	base_here
	.word	idt_end - idt - 1
	.long	idt

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
 *		eip there; eip is that of the instruction which has not begun yet.  It
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

	decl	switches_left		# until someone wants to look
	jz	1f
	call	switch_to_next		# switch.c; eax: the proc whose turn it is
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
2:	restore_registers
	iret
	restored_since 2b

1:	mov	$RING0_SCREEN, %ecx
	mov	%ecx, %gs
	call	watched_switch		# procs/watch.c: the same, for all to see
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
	cmpw	$tick_with_stop, idt_gate
2:	restore_registers		# pops change no flags
	jne	3f
	xchg	%bx, %bx
	.global	ckpt_switched
ckpt_switched:				# the other proc's iret is next
3:	iret
	restored_since 2b

	.balign	4
ring0_stack_pointer:
	.long	ring0_stack_end
	.word	RING0_DATA
tss_pointer:
	.long	tss
	.word	RING0_DATA


/* ---- the procs, and what they are called ------------------------------- */

#define PROC(name) proc_a_##name
#include "proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "proc.h"
#undef PROC

/* Each tick is a switch, and more than 100 a second there are not.  The way back from a
   look is a little longer than that of other ticks, and goes at the expense of the turn
   behind it: three turns between looks, or three and four by turns (pace.c), let that be
   A's and B's alike. */
	program	timer, " ring 0, IRQ 0 ", \
		"int n through a gate that ring 3 may not use, or that does not exist. There is no door here: ring 0 comes by itself.", \
		6, "each tick: 100 switches a second", 3

	.section .note.GNU-stack, "", @progbits

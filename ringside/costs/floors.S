/*
 * The floors: the shortest switches between two procs that we can write down.  Not for
 * the floppy: the bench puts them beside P_PROC (ringside/emulators/graft.py), points the IDT's gate
 * at one of them, and lets P_PROC's own procs play through it.
 *
 *	floor_general	6 instructions, int and iret among them: the general registers
 *	floor_segments	14: ds, es, fs and gs as well
 *	floor_c		21: P_PROC's own gate and C half, without lldt and without a count
 *	floor_leaves	20: the same, with a C half that leaves by itself (floor_leave.c)
 *
 * What makes the first two so short: there are two procs, and their frames lie FLIP bytes apart,
 * at places that differ in one bit.  So "the other one" is an xor, for esp as for esp0,
 * and no register is needed for it.
 *
 * What they leave out, and a design for use cannot:
 *
 *	C		the first two: no stack of ring 0's, no cld, no call, so nothing can be
 *			decided
 *	a third proc	the first two: an xor knows only the other one
 *	isolation	both procs share one LDT: each could name the other's segments.
 *			floor_general does not even change ds, es, fs and gs: both run with
 *			A's data and window
 *	a look		nothing is counted, for no log and no screen; nor is there a watchdog
 *	errors		a fault in here finds no room below the frame
 */
#include "ring0/frame.h"
#include "procs/proc_segments.h"
#include "ring3/ask.h"
#include "switch.h"

#define FLIP		0x100
#define TSS_ESP0	4
#define A_PLACES	3		/* of an LDT */

	.section .hook.ckpt_frames, "ax"
	jmp	floors_start

	.text
/*
 * floors_start - proc A goes on, and nothing of P_PROC but its procs and tables is in use
 *
 * From:	start (p_proc.S), where both frames have been filled in.  Ring 0.
 * To:		ring 3, proc A.
 * Stack:	ring0_stack, then A's frame.
 * Interrupts:	off, until iret.
 */
	.global	floors_start, floors_ready
floors_start:
	call	alarm_stop		# ring0/machine.c: no watchdog
	movl	$ASK_NOTHING, proc_a_data
	movl	$ASK_NOTHING, proc_b_data

	mov	$proc_a_ldt, %esi	# B's LDT has A's places free
	mov	$proc_b_ldt, %edi
	mov	$A_PLACES * 2, %ecx
	cld
	rep movsl
	mov	$B_LDT, %eax
	lldt	%ax

	mov	$proc_a, %esi
	mov	$floor_a, %edi
	mov	$FRAME_BYTES / 4, %ecx
	rep movsl
	mov	$proc_b, %esi
	mov	$floor_b, %edi
	mov	$FRAME_BYTES / 4, %ecx
	rep movsl

	movl	$floor_a + FRAME_BYTES, tss + TSS_ESP0
	mov	$TSS, %eax
	ltr	%ax
floors_ready:
	mov	$floor_a, %esp
	restore_registers
	iret

/* From: ring 3, by int 0x30.  The CPU has pushed its five words at the frame's end. */
	.global	floor_general
floor_general:
	pusha
	xorl	$FLIP, %ss:tss + TSS_ESP0
	xor	$FLIP, %esp
	popa
	iret

	.global	floor_segments
floor_segments:
	save_registers
	xorl	$FLIP, %ss:tss + TSS_ESP0
	xor	$FLIP, %esp
	restore_registers
	iret

/* P_PROC's gate, and the program's own switch_to_next (switch.c). */
	.global	floor_c
floor_c:
	save_registers
	mov	%esp, %eax
	lds	%cs:floor_stack_pointer, %esp
	les	%cs:floor_tss_pointer, %edx
	cld
	call	switch_to_next
	lea	-FRAME_BYTES(%eax), %esp
	restore_registers
	iret

/* What call pushes is left on ring 0's stack, which each switch begins at its end again. */
	.global	floor_leaves
floor_leaves:
	save_registers
	mov	%esp, %eax
	lds	%cs:floor_stack_pointer, %esp
	les	%cs:floor_tss_pointer, %edx
	cld
	call	floor_leave

	.balign	4
floor_stack_pointer:
	.long	ring0_stack_end
	.word	RING0_DATA
floor_tss_pointer:
	.long	tss
	.word	RING0_DATA

/* Some pages away from any code, as all that is written (ring0/program.ld). */
	.balign	0x1000
	.space	0x1000
	.global	floor_a, floor_b
floor_a:
	.space	FRAME_BYTES
	.long	floor_b + FRAME_BYTES		# next, for C
	.balign	FLIP
floor_b:
	.space	FRAME_BYTES
	.long	floor_a + FRAME_BYTES

	.section .note.GNU-stack, "", @progbits

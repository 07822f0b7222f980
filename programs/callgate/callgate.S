/*
 * CALLGATE: P_PROC through the other door that Intel has built for ring 3.  The frames are
 * the same, but a proc does not interrupt itself: it calls, with a parameter, and the CPU
 * copies that parameter from the proc's stack into the frame.
 *
 * Read P_PROC (p_proc.S) first.  This file has all that differs:
 *
 *	call_frame.h	what lcall leaves, and where
 *	start		as in P_PROC, but that the first way out is by lret
 *	the tables	the gate stands in the GDT; the IDT has no door for ring 3
 *	the frames	as in P_PROC (procs/first_frame.h)
 *	the gate	the way from one proc to the other
 *	exceptions	fault_entry: they still come through the IDT, and leave by iret
 *	the procs	proc.h, mistakes.h
 *
 * fault.c and gap.c deal with what a call gate lets in: interrupts, and single steps.
 * switch.c chooses the next proc, as in P_PROC.
 */
#include "call_frame.h"
#include "procs/first_frame.h"
#include "procs/proc_segments.h"
#include "ring3/ask.h"
#include "ring0/fault_entry.h"
#include "ring0/tables.h"
#include "show/program.h"


/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, then proc A's frame.
 * Interrupts:	off until sti in leave; on in ring 3, and for one instruction of ring 0.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S
	.code32
	call	watch_start		# procs/watch.c: first lines of screen and log
	call	gap_start		# gap.c

	mov	$TSS, %eax
	ltr	%ax
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:
	mov	$proc_a_end, %eax	# A's frame looks as if A had once called
	jmp	leave


/* ---- the tables -------------------------------------------------------- */

	.data

/*
 * The GDT, and in it the call gate (Intel, volume 3, section 5.8.3): where it leads, how
 * many parameters the CPU copies, and that ring 3 may use it (DPL 3).  The offset in the
 * lcall is ignored.  door.c knows the gate by the name that P_PROC has for its own.
 */
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	LDT_SEGMENTS(DESCRIPTOR)
idt_gate:
	row_begins CALL_GATE_PLACE, CALL_GATE
	.word	gate_with_stop, RING0_CODE
	.byte	PARAMETERS, ACCESS_PRESENT | ACCESS_DPL(3) | ACCESS_CALL_GATE
	.word	0
	gdt_ends
	.set	CALL_GATE, CALL_GATE_PLACE + 3

	proc_ldts			# procs/proc_segments.h

/* The IDT: exceptions and hardware interrupts, and nothing behind them. */
	idt_begins
	fault_gates
	idt_ends

	tss_begins proc_a_end		# ss0:esp0 is read for lcall as for int
	.set	tss_bytes, . - tss

	double_fault_task


/* ---- the frames -------------------------------------------------------- */

/* A proc that has not called so far looks as if it had passed 0. */
	.set	FIRST_ESP, PROC_DATA_BYTES - PARAMETER_BYTES
	.balign	4
	proc	a, A, A_CODE, A_DATA, A_SCREEN, A_LDT, b, 0, 0, FIRST_ESP
	proc	b, B, B_CODE, B_DATA, B_SCREEN, B_LDT, a, 1, 0, FIRST_ESP


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - lcall of the running proc: save it, choose the next, run that
 *
 * From:	ring 3, through the call gate.  The CPU has changed to ss0:esp0, the end of
 *		the proc's frame, pushed ss and esp there, copied the parameter from the
 *		proc's stack, and pushed cs and eip.  All else is still the proc's, and
 *		that is more than behind int: eflags are not saved, and IF, TF, NT are as
 *		the proc had them.
 * To:		ring 3, the other proc, by lret out of its frame.
 * Stack:	the frame, until all is saved; ring0_stack for C; the other frame.
 * Interrupts:	ON at the first instruction, which shuts them out; one may come in front of
 *		it (fault.c: the gap).  Off until the sti in front of lret, which lets
 *		them in behind lret.
 * Intel:	volume 3, section 5.8.5 (stack switching) and 5.8.6 (returning); volume 2,
 *		CALL, RET and STI.
 *
 * gate_with_stop is the same with a magic breakpoint in front, as in P_PROC.
 */
	.global	gate_with_stop, ckpt_call, gate, leave
gate_with_stop:
	xchg	%bx, %bx
ckpt_call:				# first instruction inside: look at ss:esp
gate:
	cli				# int would have done it
	save_registers
	pushf				# the proc's, but for IF; nothing has changed them
	lea	FLAGS_BYTES(%esp), %eax	# the frame: C's 1st argument

	lds	%cs:ring0_stack_pointer, %esp
	les	%cs:tss_pointer, %edx
	cld

	decl	switches_left		# until the next look
	jz	gate_watched
	call	switch_to_next		# switch.c; eax: the proc whose turn it is
leave:
	lldt	PROC_LDT(%eax)
	lea	-(FRAME_BYTES + FLAGS_BYTES)(%eax), %esp
1:	popf				# IF stays clear: it was, at pushf
	restore_registers		# pops change no flags
	sti				# takes effect behind the next instruction
	lret	$PARAMETER_BYTES	# takes the parameter off both stacks
	restored_since 1b

/*
 * gate_watched - the rest of a switch, with a look and a place to stop
 *
 * From:	gate, when switches_left has come to 0; else as procs/watched_gate.S.
 */
	.global	gate_watched, ckpt_switched
gate_watched:
	mov	$RING0_SCREEN, %ecx
	mov	%ecx, %gs
	call	watched_switch		# procs/watch.c: switch_to_next, and the look
	call	gap_show		# gap.c; gives eax back
	cmpw	$gate_with_stop, idt_gate
	jne	leave
	xchg	%bx, %bx
ckpt_switched:				# the way to the other proc is next
	jmp	leave

	.balign	4
ring0_stack_pointer:
	.long	ring0_stack_end
	.word	RING0_DATA
tss_pointer:
	.long	tss
	.word	RING0_DATA


/* ---- exceptions and interrupts ----------------------------------------- */

	fault_vectors_to fault_entry

/*
 * fault_entry - saves the frame of frame.h, calls C, and leaves again
 *
 * From:	the IDT, out of any ring, by way of fault_vectors.
 * In:		as for fault_enters (ring0/fault_entry.h).
 * Stack:	as found, then fault_stack, then what is left.
 * To:		where it came from, by iret, if fault (fault.c) gives 0: ring 3, or the
 *		gate's first instruction; else the proc that fault gives, by lret.
 * Interrupts:	off.  NT is clear: the CPU has saved it with eflags.
 */
fault_entry:
	fault_enters			# eax: the proc to go on with; 0: the one that runs
	test	%eax, %eax
	jnz	leave
	mov	fault_found, %esp
1:	restore_registers
	iret
	restored_since 1b

	fault_stack


/* ---- the procs, and what the program is called ------------------------- */

#define PROC(name) proc_a_##name
#include "proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "proc.h"
#undef PROC

	program	callgate, " ring 0, lcall 0x43 ", \
		"int n through a gate that ring 3 may not use, or that does not exist. The only door is the call gate."

	.section .note.GNU-stack, "", @progbits

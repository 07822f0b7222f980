/*
 * USERCTX: two procs in ring 3, each run by a C function that returns when it traps.
 *
 * boot.S (or DOS) loads this file at SEG:0100 and jumps to its first byte in real
 * mode, as it does with P_PROC.  Here is what must be there before the first run, and
 * the procs; read context.h, run.S and main.c before.
 */
#include "context.h"
#include "ring3/ask.h"
#include "ring0/tables.h"
#include "user_segments.h"

/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack.
 * Interrupts:	off from the first instruction on, except in ring 3.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S; if it can't, it says why
	.code32
	mov	$TSS, %eax
	ltr	%ax
	xchg	%bx, %bx
	.global	ckpt_main
ckpt_main:				# TR is loaded; next: C
	jmp	main			# main.c


/* ---- the tables -------------------------------------------------------- */

	.data

/* The GDT and the procs' LDTs. */
	.set	tss_bytes, TSS_BYTES	# its size (main.c)
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	USER_SEGMENTS(DESCRIPTOR)
	gdt_ends

	ldt_begins a_ldt
	A_SEGMENTS(DESCRIPTOR)
	.set	a_ldt_bytes, . - a_ldt

	ldt_begins b_ldt
	B_SEGMENTS(DESCRIPTOR)
	.set	b_ldt_bytes, . - b_ldt

/* The IDT: exceptions and hardware interrupts, then the call; the limit ends behind
   that. */
	idt_begins
	fault_gates
idt_gate:
	interrupt_gate gate_with_stop, 3
	idt_ends

	.balign	4
	double_fault_task


/* ---- the procs --------------------------------------------------------- */

#define PROC(name) proc_a_##name
#include "ring3/proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "ring3/proc.h"
#undef PROC

	.global	proc_a_code_bytes, proc_b_code_bytes	# as check.c wants to know

	.section .note.GNU-stack, "", @progbits

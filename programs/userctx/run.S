/*
 * run(&context): ring 3 as a function that C calls, and that returns when the user
 * traps.  All of it is in this file: the way there, the way back, and what happens when
 * ring 0 itself traps.
 */
#include "context.h"
#include "ring0/frame.h"
#include "user_segments.h"
#include "ring0/vectors.h"

#define TSS_ESP0		4	/* x86.h holds it to that */
#define TRAP_CS			12	/* from esp in trap_entry: over 3 words */
#define TRAP_EFLAGS		16
#define TRAP_STACK_BYTES	2048

	.text

/*
 * load_base - writes a base from the context into a segment's descriptor in the GDT
 *
 * In:		eax: the context.
 * Does:	bytes 2 to 4 of a descriptor are 24 bits of its base.  One instruction
 *		writes these and byte 5, the access byte; the next mends that.
 * Clobbers:	edx.
 * Intel:	volume 3, section 3.4.5.
 */
	.macro	load_base selector, base
	mov	\base(%eax), %edx
	mov	%edx, gdt + (\selector & ~SELECTOR_RPL) + 2
	movb	$ACCESS_PRESENT | ACCESS_DPL(3) | ACCESS_DATA, gdt + (\selector & ~SELECTOR_RPL) + 5
	.endm

/*
 * void run(struct user_context *context)
 *
 * From:	C, in ring 0, after it has loaded the user's LDT.
 * In:		eax: the context, with CONTEXT_HEADROOM below it; C answers for what is in
 *		it (check.c).
 * Out:		to ring 3, by iret, with every register from the context.
 *		To C, when the user has trapped: see trap_from_ring3.
 * Stack:	C's, where C's registers stay; kernel_stack says where.  Then the context,
 *		from which all is popped.  esp0 is the end of its frame, where the CPU
 *		pushes at the trap.
 * Interrupts:	off, until iret takes IF from the context.
 * Errors:	a selector that the CPU refuses, or an eip outside the user's code: still
 *		in ring 0, and trap_handler makes of that a trap of the user.
 * Intel:	volume 2, IRET, return to outer privilege level; volume 3, section
 *		7.2.1 (esp0).
 */
	.global	run, run_iret
run:
	pusha				# what C wants to see again
	mov	%esp, kernel_stack
	lea	CONTEXT_END(%eax), %edx
	mov	%edx, tss + TSS_ESP0
	load_base USER_FS, FSBASE
	load_base USER_GS, GSBASE
	mov	%eax, %esp
1:	restore_registers		# with fs and gs the CPU reads the new bases
	add	$8, %esp		# trap_num, error_code
run_iret:
	iret
	restored_since 1b

/*
 * gate - int 0x30, the user's call
 *
 * From:	ring 3, through the IDT.  The CPU has changed to ss0:esp0, the end of
 *		the frame in the context, and pushed ss, esp, eflags, cs, eip there.  All
 *		else is still the user's, but for the flags IF and TF.
 *
 * gate_with_stop is the same with a magic breakpoint in front; the IDT points there
 * as long as every switch is shown (show/look.c).
 */
	.global	gate, gate_with_stop, ckpt_int
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	push	$0			# as if the CPU had pushed an error code,
	push	$TRAP_CALL		# and this were a vector

/*
 * trap_from_ring3 - the rest of the registers go into the context, and run returns
 *
 * In:		ss:esp: trap_num in the context that runs; above it all is filled in.
 * Out:		as run_return; the context has all that the user had.
 * Stack:	the context, then C's.  The user's own is not touched, wherever its esp
 *		points.
 * Interrupts:	off.
 * Errors:	none.
 * Intel:	volume 3, section 6.12.1 (the five words).
 */
trap_from_ring3:
	save_registers

/*
 * run_return - the end of run
 *
 * From:	above; or restore_refused (main.c), in the place of an iret.
 * In:		kernel_stack, as run has left it.  ss: RING0_DATA.
 * Out:		to run's caller: all general registers as they were at run, with the
 *		return address popped; ds = es = RING0_DATA, DF clear; fs and gs are
 *		anything.
 * Stack:	any; then C's.
 * Interrupts:	off.
 */
	.global	run_return
run_return:
	lds	%ss:kernel_stack, %esp	# a far pointer: ds:esp
	les	kernel_stack, %eax	# of this one, es is what is wanted
	cld				# C counts on it
	popa
	ret

/*
 * trap_entry - exceptions and interrupts, out of any ring
 *
 * From:	the entry points of vectors 0 to 0x2f, which have pushed vector and
 *		error code (or 0) below the CPU's words.
 * Stack:	the context, if ring 3 trapped; else as it was.
 * Interrupts:	off.
 */
	fault_vectors_to trap_entry
trap_entry:
	testl	$EFLAGS_VM, TRAP_EFLAGS(%esp)
	jnz	trap_from_v86
	testb	$SELECTOR_RPL, TRAP_CS(%esp)
	jnz	trap_from_ring3

/*
 * trap_from_ring0 - ring 0 itself has trapped
 *
 * In:		ss:esp: trap number, error code, eip, cs, eflags.  ss is RING0_DATA;
 *		all other segment registers may be a user's, in run.
 * Does:	makes a struct trap_frame of it, calls trap_handler(&frame), and goes on
 *		as the frame then says, if trap_handler comes back.
 * Stack:	for the frame the one that was in use, which may be a context: there is
 *		headroom below it.  Then trap_stack.
 * Interrupts:	off.
 */
trap_from_ring0:
	save_registers
	mov	%esp, %eax		# trap_handler's argument,
	mov	%esp, %ebx		# and the way back
	mov	$RING0_DATA, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	$trap_stack_end, %esp
	cld
	call	trap_handler
	mov	%ebx, %esp
	restore_registers
	add	$8, %esp		# trap number and error code
	iret

/*
 * trap_from_v86 - a user has got into virtual-8086 mode, and trapped
 *
 * From:	trap_entry.  Intel lets no iret of ring 3 go there; QEMU does.
 * In:		ss:esp: trap number, error code, eip, cs, eflags, esp, ss, and above these,
 *		up to esp0, es, ds, fs, gs, which the CPU pushes first.
 * Does:	moves the seven words over those four, to where they belong in a context.
 *		C refuses what eflags says, and the user ends.
 */
trap_from_v86:
	push	%eax
	.irp	word, 24, 20, 16, 12, 8, 4, 0
	mov	4 + \word(%esp), %eax
	mov	%eax, 4 + 16 + \word(%esp)
	.endr
	pop	%eax
	add	$16, %esp
	jmp	trap_from_ring3

	.data
	.balign	4
	.global	kernel_stack
kernel_stack:				# where run has left C's registers
	.long	0
	.word	RING0_DATA

	.bss
	.balign	4
	.space	TRAP_STACK_BYTES
trap_stack_end:

	.section .note.GNU-stack, "", @progbits

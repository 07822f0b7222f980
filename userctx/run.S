/*
 * run(&context): ring 3 as a function that C calls, and that returns when the user
 * traps.  All of it is in this file: the way there, the two ways back, and what
 * happens when ring 0 itself traps.
 */
#include "context.h"
#include "user_segments.h"
#include "vectors.h"

#define TSS_ESP0		4	/* x86.h holds it to that */
#define RUN_CONTEXT		28	/* from esp in trap_from_ring3: over 7 words */
#define TRAP_CS			12	/* from esp in trap_entry: over 3 words */

	.text

/*
 * set_base - writes a segment's base into its descriptor in the GDT
 *
 * In:		eax: the base; of a descriptor it has bytes 2, 3, 4 and 7.
 * Clobbers:	eax, flags.
 * Intel:	volume 3, section 3.4.5.
 */
	.macro	set_base selector
	mov	%ax, gdt + (\selector & ~SELECTOR_RPL) + 2
	shr	$16, %eax
	mov	%al, gdt + (\selector & ~SELECTOR_RPL) + 4
	mov	%ah, gdt + (\selector & ~SELECTOR_RPL) + 7
	.endm

/*
 * void run(struct user_context *context)
 *
 * From:	C, in ring 0, after it has loaded the user's LDT.
 * In:		eax: the context.
 * Out:		to ring 3, by iret, with every register from the context.
 *		To C, when the user has trapped: see trap_from_ring3.
 * Stack:	C's.  What C wants to see again stays there, and above it the
 *		context's address; esp0 points at that.  The five words for iret are
 *		built below esp0, where the CPU will push the same five:
 *
 *			 return address
 *			 ebx esi edi ebp	C's
 *		esp0 ->	 the context
 *			 ss esp eflags cs eip	 <- esp at iret, and behind the trap
 *
 * Interrupts:	off, until iret takes IF from the context.  That eflags has IOPL 0,
 *		and VM and NT clear, is C's business: it comes from C's initialiser,
 *		and ring 3 can change none of it but NT, which here does no harm.
 * Errors:	an eip outside the user's code: the CPU refuses it at run_iret, still
 *		in ring 0, and trap_handler makes of that a trap of the user.
 * Intel:	volume 2, IRET, return to outer privilege level; volume 3, section
 *		7.2.1 (esp0).
 */
	.global	run, run_iret
run:
	push	%ebx
	push	%esi
	push	%edi
	push	%ebp
	push	%eax
	mov	%esp, tss + TSS_ESP0

	mov	%eax, %ebp		# what ebp points at is found through ss, so that
	mov	FSBASE(%ebp), %eax	# the context is in reach when ds is the user's
	set_base USER_FS
	mov	GSBASE(%ebp), %eax
	set_base USER_GS

	push	$USER_DATA		# ss
	push	ESP(%ebp)
	push	EFLAGS(%ebp)
	push	$USER_CODE		# cs
	push	EIP(%ebp)

	mov	$USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$USER_FS, %eax
	mov	%eax, %fs		# the CPU reads the new bases
	mov	$USER_GS, %eax
	mov	%eax, %gs

	mov	EAX(%ebp), %eax
	mov	ECX(%ebp), %ecx
	mov	EDX(%ebp), %edx
	mov	EBX(%ebp), %ebx
	mov	ESI(%ebp), %esi
	mov	EDI(%ebp), %edi
	mov	EBP(%ebp), %ebp
run_iret:
	iret

/*
 * trap_entry - exceptions and interrupts, out of any ring
 *
 * From:	the entry points of vectors 0 to 0x2f, which have pushed vector and
 *		error code (or 0) below the CPU's words.
 * Stack:	run's, at esp0, if ring 3 trapped; else as it was.
 * Interrupts:	off.
 */
	fault_vectors_to trap_entry
trap_entry:
	testb	$SELECTOR_RPL, TRAP_CS(%esp)
	jz	trap_from_ring0
	jmp	trap_from_ring3

/*
 * gate - int 0x30, the user's call
 *
 * From:	ring 3, through the IDT.  All registers but cs, eip, ss, esp and the
 *		flags IF and TF are still the user's.
 *
 * gate_with_stop is the same with a magic breakpoint in front; the IDT points there
 * as long as every switch is shown (common/look.c).
 */
	.global	gate, gate_with_stop, ckpt_int
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	push	$0			# as if the CPU had pushed an error code,
	push	$TRAP_CALL		# and this were a vector

/*
 * trap_from_ring3 - stores everything back into the context, and returns from run
 *
 * In:		ss:esp: trap number, error code, the CPU's five words, the context.
 * Out:		to run's caller: the context has all that the user had, trap_num and
 *		error_code; ds = es = RING0_DATA, gs = RING0_SCREEN, DF clear; ebx,
 *		esi, edi, ebp and esp as they were at run; eax, ecx, edx are anything.
 * Stack:	run's.  The user's own is not touched, wherever its esp points.
 * Interrupts:	off.
 * Errors:	none.
 * Intel:	volume 3, section 6.12.1 (the five words).
 */
trap_from_ring3:
	push	%ebp			# one register for the context; as in run, ss finds
	mov	4 + RUN_CONTEXT(%esp), %ebp	# what it points at, and ds may be anything
	mov	%eax, EAX(%ebp)
	mov	%ecx, ECX(%ebp)
	mov	%edx, EDX(%ebp)
	mov	%ebx, EBX(%ebp)
	mov	%esi, ESI(%ebp)
	mov	%edi, EDI(%ebp)
	pop	EBP(%ebp)
	pop	TRAP_NUM(%ebp)
	pop	ERROR_CODE(%ebp)
	pop	EIP(%ebp)
	pop	%eax			# cs: always USER_CODE
	pop	EFLAGS(%ebp)
	pop	ESP(%ebp)

/*
 * run_return - the end of run
 *
 * From:	above; or trap_from_ring0, when the CPU has refused the user's eip, with
 *		registers that are the user's already.
 */
	.global	run_return
run_return:
	mov	%ss:tss + TSS_ESP0, %esp
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$RING0_SCREEN, %eax
	mov	%eax, %gs
	cld				# C counts on it
	pop	%eax			# the context
	pop	%ebp
	pop	%edi
	pop	%esi
	pop	%ebx
	ret

/*
 * trap_from_ring0 - ring 0 itself has trapped
 *
 * In:		ss:esp: trap number, error code, eip, cs, eflags.  ss is RING0_DATA;
 *		ds, es, fs and gs may be a user's, at run_iret.
 * Does:	makes a struct trap_frame of it, calls trap_handler(&frame), and goes on
 *		as the frame then says, if trap_handler comes back.
 * Stack:	the one that was in use.
 * Interrupts:	off.
 */
trap_from_ring0:
	pusha
	push	%ds
	push	%es
	push	%fs
	push	%gs
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$RING0_SCREEN, %eax
	mov	%eax, %gs
	cld
	mov	%esp, %eax
	call	trap_handler
	pop	%gs
	pop	%fs
	pop	%es
	pop	%ds
	popa
	add	$8, %esp		# trap number and error code
	iret

	.section .note.GNU-stack, "", @progbits

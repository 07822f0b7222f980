/*
 * FNCALL: run(&context) without rings, in a Linux program.
 *
 * In ring 0, iret leads into the user and int leads back.  Here ret leads into
 * the user and call leads back:
 *
 *	run_fncall	saves on its stack what it must give back to its caller;
 *			leaves the stack's place in the user's thread-local
 *			storage; loads the context; returns, but into the user
 *	fncall_trap	changes to that stack; stores the context; restores what
 *			was saved; returns to run_fncall's caller
 *
 * What TSS.esp0 is to the CPU, the word at fs:TLS_STACK is to fncall_trap.
 */
#include "fncall.h"

/* arch_prctl(2).  The headers that have these are for C alone. */
#define SYS_arch_prctl	158
#define ARCH_SET_FS	0x1002

/* On run_fncall's stack while the user runs. */
#define SAVED_CONTEXT	0
#define SAVED_FSBASE	8
#define SAVED_MXCSR	16
#define SAVED_X87_CW	20
#define SAVED_RFLAGS	24		/* above: r15 r14 r13 r12 rbp rbx, rip */

	.text

/*
 * void run_fncall(struct user_context *context)
 *
 * From:	C.
 * In:		rdi: the context.
 * Out:		to the user, by ret, with every register from the context.
 *		To C, much later: see fncall_trap.
 * Stack:	C's; at last the user's, where rip lies for a moment just below
 *		rsp, as if a call had pushed it.
 * Errors:	none that it could report.  A context whose fsbase or rsp leads
 *		nowhere causes a SIGSEGV here.  (So arch_prctl needs no check: it
 *		refuses no base that has just been written through.)
 * ABI:		System V for x86-64, 3.2.1: what a function must preserve.
 */
	.global	run_fncall
run_fncall:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushf
	sub	$SAVED_RFLAGS, %rsp
	stmxcsr	SAVED_MXCSR(%rsp)
	fnstcw	SAVED_X87_CW(%rsp)
	mov	%fs:TLS_SELF, %rax	# C's own fs base
	mov	%rax, SAVED_FSBASE(%rsp)
	mov	%rdi, SAVED_CONTEXT(%rsp)

	mov	%rdi, %rbx
	mov	FSBASE(%rbx), %rsi
	mov	%rsp, TLS_STACK(%rsi)	# where fncall_trap will look for all this
	call	set_fs_base

	push	RFLAGS(%rbx)
	popf				# nothing below changes a flag
	mov	RAX(%rbx), %rax
	mov	RCX(%rbx), %rcx
	mov	RDX(%rbx), %rdx
	mov	RBP(%rbx), %rbp
	mov	RSI(%rbx), %rsi
	mov	RDI(%rbx), %rdi
	mov	R8(%rbx), %r8
	mov	R9(%rbx), %r9
	mov	R10(%rbx), %r10
	mov	R11(%rbx), %r11
	mov	R12(%rbx), %r12
	mov	R13(%rbx), %r13
	mov	R14(%rbx), %r14
	mov	R15(%rbx), %r15
	mov	RSP(%rbx), %rsp
	push	RIP(%rbx)
	mov	RBX(%rbx), %rbx
	ret				# into the user

/*
 * fncall_trap - the one door back
 *
 * From:	the user, by call, which has pushed rip.  All else is still the
 *		user's: every general register, the flags, the fs base.
 * Out:		to run_fncall's caller, by ret: the context has all that the user
 *		had, rip behind the call and rsp as before it; trap_num is
 *		TRAP_CALL, error_code 0.  rbx, rbp, rsp, r12-r15, the flags (DF
 *		is clear), MXCSR, the x87 control word and the fs base are as
 *		they were at run_fncall; rax, rcx, rsi, rdi and r11 are anything.
 * Stack:	run_fncall's, from the first instruction on.
 * Errors:	none.  A user that comes with an fs base of its own making, or by
 *		jmp, is out of bounds; nothing here would notice.
 */
	.global	fncall_trap
fncall_trap:
	xchg	%rsp, %fs:TLS_STACK	# no register is free, so swap the two
	push	%rbx
	mov	8 + SAVED_CONTEXT(%rsp), %rbx
	pop	RBX(%rbx)
	pushf				# nothing above has changed a flag
	pop	RFLAGS(%rbx)
	mov	%rax, RAX(%rbx)
	mov	%rcx, RCX(%rbx)
	mov	%rdx, RDX(%rbx)
	mov	%rbp, RBP(%rbx)
	mov	%rsi, RSI(%rbx)
	mov	%rdi, RDI(%rbx)
	mov	%r8, R8(%rbx)
	mov	%r9, R9(%rbx)
	mov	%r10, R10(%rbx)
	mov	%r11, R11(%rbx)
	mov	%r12, R12(%rbx)
	mov	%r13, R13(%rbx)
	mov	%r14, R14(%rbx)
	mov	%r15, R15(%rbx)
	mov	%fs:TLS_STACK, %rax
	mov	(%rax), %rcx		# what call has pushed
	add	$8, %rax
	mov	%rcx, RIP(%rbx)
	mov	%rax, RSP(%rbx)
	movq	$TRAP_CALL, TRAP_NUM(%rbx)
	movq	$0, ERROR_CODE(%rbx)

	mov	SAVED_FSBASE(%rsp), %rsi
	call	set_fs_base
	ldmxcsr	SAVED_MXCSR(%rsp)
	fldcw	SAVED_X87_CW(%rsp)
	add	$SAVED_RFLAGS, %rsp
	popf
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret				# to run_fncall's caller

/*
 * set_fs_base - the fs base changes hands
 *
 * From:	run_fncall, fncall_trap.
 * In:		rsi: the base.
 * Out:		rax, rcx, rdi, r11: anything.
 * Stack:	run_fncall's.
 * Errors:	none, see run_fncall.
 * Linux:	arch_prctl(2); or wrfsbase, where the kernel lets us (main.c).
 */
set_fs_base:
	cmpb	$0, use_wrfsbase(%rip)
	jne	1f
	mov	$SYS_arch_prctl, %eax
	mov	$ARCH_SET_FS, %edi
	syscall				# puts rip into rcx, rflags into r11
	ret

1:	wrfsbase %rsi
	ret

	.bss
	.global	use_wrfsbase
use_wrfsbase:
	.byte	0

	.section .note.GNU-stack, "", @progbits

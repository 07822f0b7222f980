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
#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define SYS_mprotect	10
#define PROT_NONE	0
#define PROT_READ_WRITE	3

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
	call	*base_to_user(%rip)

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
	.global	fncall_trap_end		# the only access by the user's fs; it may become gs
fncall_trap_end:
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
	mov	FSBASE(%rbx), %rax
	mov	TLS_STACK(%rax), %rax	# the user's rsp
	mov	(%rax), %rcx		# what call has pushed
	add	$8, %rax
	mov	%rcx, RIP(%rbx)
	mov	%rax, RSP(%rbx)
	movq	$TRAP_CALL, TRAP_NUM(%rbx)
	movq	$0, ERROR_CODE(%rbx)


leave:	mov	SAVED_FSBASE(%rsp), %rsi
	call	*base_to_c(%rip)
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
 * fncall_faulted - another way back, for what is no call
 *
 * From:	rewrite.c's signal handler, as the place where sigreturn goes on.  The
 *		context has been stored, trap_num among it.
 * Out:		as fncall_trap.  The x87 stack is empty, as C expects it, though the
 *		user was interrupted at any instruction.
 * Stack:	run_fncall's.
 */
	.global	fncall_faulted
fncall_faulted:
	fninit
	jmp	leave

/*
 * fs_by_arch_prctl, fs_by_wrfsbase - the fs base changes hands
 *
 * From:	run_fncall, fncall_trap: base_to_user and base_to_c point here.
 * In:		rsi: the base.
 * Out:		rax, rcx, rdi, r11: anything.
 * Stack:	run_fncall's.
 * Errors:	none, see run_fncall.
 * Linux:	arch_prctl(2); or wrfsbase, where the kernel lets us (main.c).
 */
	.global	fs_by_arch_prctl, fs_by_wrfsbase
fs_by_arch_prctl:
	mov	$SYS_arch_prctl, %eax
	mov	$ARCH_SET_FS, %edi
	syscall				# puts rip into rcx, rflags into r11
	ret

fs_by_wrfsbase:
	wrfsbase %rsi
	ret

/*
 * gs_by_arch_prctl, gs_by_wrgsbase - the user gets gs instead, and fs stays libc's
 *
 * From:	run_fncall: base_to_user points here.
 * In:		rsi: the user's TLS.
 * Out:		rax, rcx, rdx, rsi, rdi, r11: anything.  libc's thread-local storage is
 *		closed: each access by fs faults, the kernel's own among them.
 * Stack:	run_fncall's, which must not lie within GUARD_REACH and a page of the fs base.
 * Errors:	none: rewrite.c has tried it once.
 */
	.global	gs_by_arch_prctl, gs_by_wrgsbase
gs_by_arch_prctl:
	lea	8(%rsp), %rax
	mov	%rax, TLS_RUNNING(%rsi)
	mov	$SYS_arch_prctl, %eax
	mov	$ARCH_SET_GS, %edi
	syscall
	jmp	close

gs_by_wrgsbase:
	lea	8(%rsp), %rax
	mov	%rax, TLS_RUNNING(%rsi)
	wrgsbase %rsi

close:	mov	8 + SAVED_FSBASE(%rsp), %rsi
	mov	$PROT_NONE, %edx
	jmp	guard

/*
 * gs_left - C gets libc's thread-local storage back; gs stays, C has no use for it
 *
 * From:	fncall_trap, fncall_faulted: base_to_c points here.
 * In:		rsi: C's fs base; gs: the user's.
 * Out, Stack, Errors: as gs_by_arch_prctl, but libc's storage is open.
 */
	.global	gs_left
gs_left:
	movq	$0, %gs:TLS_RUNNING
	mov	$PROT_READ_WRITE, %edx

guard:	lea	-GUARD_REACH(%rsi), %rdi
	add	$GUARD_REACH + PAGE - 1, %rsi
	and	$-PAGE, %rdi
	and	$-PAGE, %rsi
	sub	%rdi, %rsi
	mov	$SYS_mprotect, %eax
	syscall
	ret

	.data
	.balign	8
	.global	base_to_user, base_to_c
base_to_user:
	.quad	fs_by_arch_prctl
base_to_c:
	.quad	fs_by_arch_prctl

	.section .note.GNU-stack, "", @progbits

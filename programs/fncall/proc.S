/*
 * The users: both run the same code, since each finds its own world through fs, rsp
 * and its registers.  main.c has a row for each kind of them.
 *
 * From:	run_fncall, by ret; later behind its call.
 * In:		fs: its struct user_tls; all that it had at its call.
 * Out:		at each call, rdi: how many turns it has had; rsi: where its
 *		thread-local storage lies, as it sees it itself.
 * Stack:	its own; the same rsp at every call.
 */
#include "fncall.h"

	.text
	.global	proc, proc_call
proc:
	incq	%fs:TLS_TURNS
	mov	%fs:TLS_TURNS, %rdi
	mov	%fs:TLS_SELF, %rsi
proc_call:
	call	fncall_trap		# the other one's turn; we'll be back right here
	jmp	proc
proc_end:

/*
 * proc_many - as proc, with more instructions that want fs than one could wait for
 *
 * It has had MANY turns at its first call, and tells so.
 */
proc_many:
	.rept	MANY
	incq	%fs:TLS_TURNS
	.endr
	mov	%fs:TLS_TURNS, %rdi
	mov	%fs:TLS_SELF, %rsi
	call	fncall_trap
	jmp	proc_many
proc_many_end:

/*
 * proc_wild - as proc, but at its second turn it follows a pointer to nowhere
 */
proc_wild:
	incq	%fs:TLS_TURNS
	mov	%fs:TLS_TURNS, %rdi
	mov	%fs:TLS_SELF, %rsi
	call	fncall_trap
	movb	$1, NOWHERE
	jmp	proc_wild
proc_wild_end:

/*
 * proc_summed - as proc, but it looks first whether any byte of its own has changed
 *
 * Keeps its first sum in rbx, and stops for good when a later one differs.
 */
proc_summed:
	lea	proc_summed(%rip), %rax
	lea	proc_summed_end(%rip), %rcx
	xor	%edx, %edx
1:	movzbl	(%rax), %esi
	add	%esi, %edx
	inc	%rax
	cmp	%rcx, %rax
	jb	1b
	test	%ebx, %ebx
	cmovz	%edx, %ebx
	cmp	%edx, %ebx
	jne	2f
	incq	%fs:TLS_TURNS
	mov	%fs:TLS_TURNS, %rdi
	mov	%fs:TLS_SELF, %rsi
	call	fncall_trap
	jmp	proc_summed
2:	ud2
proc_summed_end:

/*
 * proc_rdfsbase - as proc, but it asks the CPU for the base, not its own storage
 */
proc_rdfsbase:
	incq	%fs:TLS_TURNS
	mov	%fs:TLS_TURNS, %rdi
	rdfsbase %rsi
	call	fncall_trap
	jmp	proc_rdfsbase
proc_rdfsbase_end:

	.global	proc_end, proc_many, proc_many_end, proc_wild, proc_wild_end
	.global	proc_summed, proc_summed_end, proc_rdfsbase, proc_rdfsbase_end


	.section .note.GNU-stack, "", @progbits

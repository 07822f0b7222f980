/*
 * The users: both run the same code, since each finds its own world through fs, rsp
 * and its registers.
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

	.section .note.GNU-stack, "", @progbits

/*
 * A proc that calls.  Included once for each proc, with PROC(name) naming its labels, so
 * that each has code of its own.
 *
 * From:	lret, at offset 0 of its code segment; later behind its lcall.
 * In:		ds = es = ss: its data, with esp at the end of it; gs: its window; all
 *		else zero.
 * Stack:	its own; the same esp at every lcall, one word below the end: the parameter,
 *		which lret takes off again.
 *
 * The rest is as in ring3/proc.h.  The parameter is the lower half of its count.  Ring 0
 * shows it, and believes nothing of it.
 */
#define ASKED		0	/* in its data: the first word */

	.section .text.procs, "ax"
PROC(code):
	add	$1, %esi
	adc	$0, %edi
	cmpl	$ASK_NOTHING, ASKED
	jne	PROC(asked)
PROC(turn):
	push	%esi
PROC(call):
	lcall	$CALL_GATE, $0		# the other proc's turn; we'll be back right here
	jmp	PROC(code)

PROC(asked):
	pusha				# whatever was asked: the count first
	lea	28(%esp), %eax		# esp as it is at lcall
	call	PROC(draw)
	popa
	cmpl	$ASK_MISTAKE, ASKED
	jae	1f
	movl	$ASK_NOTHING, ASKED
	jmp	PROC(turn)

1:	mov	ASKED, %eax
	sub	$ASK_MISTAKE, %eax
	jmp	PROC(mistake)

#define WINDOW %gs
#include "ring3/draw.h"
#undef WINDOW

#include "mistakes.h"

	.set	PROC(code_bytes), . - PROC(code)
	.global	PROC(code), PROC(call)

	.bss
	.balign	4
	.global	PROC(data)
PROC(data):
	.space	PROC_DATA_BYTES

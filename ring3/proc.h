/*
 * A proc: what runs in ring 3.  Included once for each, with PROC(name) naming
 * its labels, so that each has code of its own.
 *
 * From:	iret, at offset 0 of its code segment; later behind its int 0x30.
 * In:		ds = es = ss: its data, with esp at the end of it; gs: its window;
 *		all else zero.
 * Stack:	its own; the same esp at every int 0x30.
 *
 * It counts its turns in edi:esi (64 bits: at full speed 32 are gone within
 * minutes) and shows the count in its window whenever ring 0 has asked for it
 * (ask.h), or for a mistake.  Addresses are offsets in its own segments, so this
 * code knows only its own world; it has no name for anything else.
 */
#define ASKED		0	/* in its data: the first word */

	.section .text.procs, "ax"
PROC(code):
	add	$1, %esi
	adc	$0, %edi
	cmpl	$ASK_NOTHING, ASKED
	jne	PROC(asked)
PROC(int):
	int	$0x30			# the other one's turn; we'll be back right here
	jmp	PROC(code)

PROC(asked):
	pusha				# whatever it is: the count first
	lea	32(%esp), %eax		# before pusha: what it is at int 0x30
	call	PROC(draw)
	popa
	cmpl	$ASK_MISTAKE, ASKED
	jae	1f
	movl	$ASK_NOTHING, ASKED
	jmp	PROC(int)

1:	mov	ASKED, %eax
	sub	$ASK_MISTAKE, %eax
	jmp	PROC(mistake)

#define WINDOW %gs
#include "draw.h"
#undef WINDOW

#include "mistakes.h"

	.set	PROC(code_bytes), . - PROC(code)
	.global	PROC(code), PROC(int)

	.bss
	.balign	4
	.global	PROC(data)
PROC(data):
	.space	PROC_DATA_BYTES

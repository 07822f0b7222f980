/*
 * A proc that never yields.  Included once for each, with PROC(name) naming its
 * labels, so that each has code of its own.
 *
 * From:	iret, at offset 0 of its code segment; later at any instruction.
 * In:		ds = es = ss: its data, with esp at the end of it; gs: its window;
 *		all else zero.
 * Stack:	its own.
 *
 * It counts its laps in edi:esi and shows the count in its window whenever ring 0 has
 * asked for it (ask.h).  It knows nothing of the other proc, nor of the ticks: one
 * may come between add and adc, where CF is all that knows of the 4294967296 laps.
 */
#define ASKED		0	/* in its data: the first word */

	.section .text.procs, "ax"
PROC(code):
	add	$1, %esi
	adc	$0, %edi
	cmpl	$ASK_NOTHING, ASKED
	je	PROC(code)

	pusha				# whatever it is: the count first
	lea	32(%esp), %eax		# before pusha: what it is in the loop
	call	PROC(draw)
	popa
PROC(answer):
	push	%eax
	mov	$ASK_NOTHING, %eax	# ring 0 may ask for more at any moment: read and
	xchg	%eax, ASKED		# clear in one instruction
	sub	$ASK_MISTAKE, %eax
	jae	1f
	pop	%eax
	jmp	PROC(code)

1:	pop	%ecx			# back to where esp was; no register is needed now
	jmp	PROC(mistake)

#define WINDOW %gs
#include "ring3/draw.h"
#undef WINDOW

#include "ring3/mistakes.h"

	.set	PROC(code_bytes), . - PROC(code)
	.global	PROC(code)

	.bss
	.balign	4
	.global	PROC(data)
PROC(data):
	.space	PROC_DATA_BYTES

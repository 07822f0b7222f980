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
 * (procs.h).  Addresses are offsets in its own segments, so this code knows only
 * its own world; it has no name for anything else.
 */
#define ASKED		0	/* in its data: the first word */

#define CELL(row, column)	((row) * ROW_BYTES + (column) * 2)

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
	pusha
	mov	ASKED, %eax
	movl	$ASK_NOTHING, ASKED
	sub	$ASK_MISTAKE, %eax
	jae	PROC(mistake)
	mov	$CELL(WINDOW_TEXT_ROW, COUNT_COLUMN + COUNT_DIGITS - 1), %ebx
	mov	$10, %ebp
1:	mov	%edi, %eax		# edi:esi / 10, upper half first: its remainder
	xor	%edx, %edx		# goes on into the lower half
	div	%ebp
	mov	%eax, %edi
	mov	%esi, %eax
	div	%ebp
	mov	%eax, %esi
	add	$'0', %dl
	mov	%dl, %gs:(%ebx)
	sub	$2, %ebx
	or	%edi, %eax
	jnz	1b

	mov	%ss, %eax
	mov	$4, %ecx
	mov	$CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 3), %ebx
	call	PROC(hex)
	movb	$':', %gs:CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 4)
	lea	32(%esp), %eax		# before pusha: what it is at int 0x30
	mov	$8, %ecx
	mov	$CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 12), %ebx
	call	PROC(hex)
	popa
	jmp	PROC(int)

/* eax in ecx hexadecimal digits, the last one at gs:ebx.  Clobbers them and dl. */
PROC(hex):
	mov	%al, %dl
	and	$0xf, %dl
	add	$'0', %dl
	cmp	$'9', %dl
	jbe	1f
	add	$'a' - '0' - 10, %dl
1:	mov	%dl, %gs:(%ebx)
	sub	$2, %ebx
	shr	$4, %eax
	loop	PROC(hex)
	ret

/* eax: which mistake, 0 to MISTAKES - 1.  There is no way back from any. */
PROC(mistake):
	lea	(PROC(mistakes) - PROC(code))(,%eax,MISTAKE_BYTES), %eax
	jmp	*%eax
#include "mistakes.h"

	.set	PROC(code_bytes), . - PROC(code)
	.global	PROC(code), PROC(int)

	.bss
	.balign	4
	.global	PROC(data)
PROC(data):
	.space	PROC_DATA_BYTES

/*
 * What a proc writes into its window: its count and its stack.  Included in each
 * proc's code, with PROC(name) naming its labels and WINDOW the segment register
 * that holds the window, at WINDOW_AT if that is not its beginning.
 *
 * In:		edi:esi the count; eax: the esp to show.
 * Stack:	the proc's; 12 bytes.
 * Clobbers:	all general registers.
 */
#ifndef WINDOW_AT
#define WINDOW_AT 0
#endif

PROC(draw):
	push	%eax
	mov	$WINDOW_AT + CELL(WINDOW_TEXT_ROW, COUNT_COLUMN + COUNT_DIGITS - 1), %ebx
	mov	$10, %ebp
1:	mov	%edi, %eax		# edi:esi / 10, upper half first: its remainder
	xor	%edx, %edx		# goes on into the lower half
	div	%ebp
	mov	%eax, %edi
	mov	%esi, %eax
	div	%ebp
	mov	%eax, %esi
	add	$'0', %dl
	mov	%dl, WINDOW:(%ebx)
	sub	$2, %ebx
	or	%edi, %eax
	jnz	1b

	mov	%ss, %eax
	mov	$4, %ecx
	mov	$WINDOW_AT + CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 3), %ebx
	call	PROC(hex)
	movb	$':', WINDOW:WINDOW_AT + CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 4)
	pop	%eax
	mov	$8, %ecx
	mov	$WINDOW_AT + CELL(WINDOW_TEXT_ROW, STACK_COLUMN + 12), %ebx

/* Writes eax as ecx hexadecimal digits, the last at WINDOW:ebx.  Clobbers these and dl. */
PROC(hex):
	mov	%al, %dl
	and	$0xf, %dl
	add	$'0', %dl
	cmp	$'9', %dl
	jbe	1f
	add	$'a' - '0' - 10, %dl
1:	mov	%dl, WINDOW:(%ebx)
	sub	$2, %ebx
	shr	$4, %eax
	loop	PROC(hex)
	ret

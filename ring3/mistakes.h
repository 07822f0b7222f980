/*
 * Six famous mistakes, for a proc to make when it is asked to (keys 1 to 6).
 * Included in each proc's code, with mistake n at PROC(mistakes) + (n - 1) *
 * MISTAKE_BYTES.  The labels name the instruction that ring 0's report will show; it
 * is followed by int3, so that its bytes are easy to tell from the next.
 *
 * From:	PROC(mistake), with the mistake's number, from 0, in eax.  There is no
 *		way back.
 * Stack:	the proc's.  All general registers may be used.
 */
PROC(mistake):
	lea	(PROC(mistakes) - PROC(code))(,%eax,MISTAKE_BYTES), %eax
	jmp	*%eax

	.balign	MISTAKE_BYTES, INT3
PROC(mistakes):
	xor	%ecx, %ecx		# 1: divides by zero: #DE
PROC(fault_1):
	div	%ecx

	.balign	MISTAKE_BYTES, INT3
PROC(fault_2):
	cli				# 2: wants no interrupts: #GP, IOPL is 0

	.balign	MISTAKE_BYTES, INT3
	mov	$0x09, %ah		# 3: calls DOS: #GP, that gate is not ring 3's
PROC(fault_3):
	int	$0x21

	.balign	MISTAKE_BYTES, INT3
	mov	$RING0_DATA, %eax	# 4: wants to see ring 0's data: #GP
PROC(fault_4):
	mov	%eax, %ds

	.balign	MISTAKE_BYTES, INT3
PROC(fault_5):
	.byte	0xd9, 0xe8		# 5: fld1, calculates: #NM, the FPU is off

	.balign	MISTAKE_BYTES, INT3
PROC(fault_6):
	jmp	PROC(fault_6)		# 6: never yields: the alarm
	.org	PROC(mistakes) + MISTAKES * MISTAKE_BYTES, INT3

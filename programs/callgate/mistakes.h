/*
 * Six mistakes with call gates, for a proc to make when it is asked to (keys 1 to 6).
 * Included in each proc's code, with mistake n at PROC(mistakes) + (n - 1) *
 * CALL_MISTAKE_BYTES.  The labels name the instruction that ring 0's report will show.
 *
 * From:	PROC(mistake), with the mistake's number, from 0, in eax.  There is no way
 *		back: hlt ends it where an emulator checks no limit (README.md).
 * Stack:	the proc's, empty.  All general registers may be used.
 */
#define CALL_MISTAKE_BYTES	24

PROC(mistake):
	imul	$CALL_MISTAKE_BYTES, %eax, %eax
	lea	(PROC(mistakes) - PROC(code))(%eax), %eax
	jmp	*%eax

PROC(mistakes):
PROC(fault_1):
	lcall	$CALL_GATE, $0		# 1: no parameter: #SS, there is nothing to copy
	hlt

	.org	PROC(mistakes) + CALL_MISTAKE_BYTES, INT3
	push	%eax
	pushw	$7			# 2: a parameter of 16 bits: the gate copies 32, and
	lcall	$CALL_GATE, $0		# lret takes off 32
PROC(fault_2):
	pop	%ecx			# what was pushed before: #SS, esp is two bytes too high
	hlt

	.org	PROC(mistakes) + 2 * CALL_MISTAKE_BYTES, INT3
	push	%eax
PROC(fault_3):
	ljmp	$CALL_GATE, $0		# 3: jumps: #GP, a jump cannot come back to ring 3

	.org	PROC(mistakes) + 3 * CALL_MISTAKE_BYTES, INT3
	push	%eax
PROC(fault_4):
	lcall	$RING0_CODE, $0x100	# 4: calls past the gate: #GP

	.org	PROC(mistakes) + 4 * CALL_MISTAKE_BYTES, INT3
	push	%eax
	push	$EFLAGS_ALWAYS | EFLAGS_TF	# 5: single-steps: #DB behind the lcall, in
	popf				# ring 0 already, for a call gate leaves TF set
	lcall	$CALL_GATE, $0
PROC(fault_5):
	hlt

	.org	PROC(mistakes) + 5 * CALL_MISTAKE_BYTES, INT3
PROC(fault_6):
	jmp	PROC(fault_6)		# 6: never calls: the alarm
	.org	PROC(mistakes) + MISTAKES * CALL_MISTAKE_BYTES, INT3

/*
 * The end of a program that cannot even start.
 */
#include "stop.h"

	.text

/*
 * stop_in_real_mode - say why not, and end
 *
 * In:		si: text, ending in 0; ds = SEG.  Real mode or virtual-8086 mode.
 * To:		DOS, if DOS loaded the program; else a key reboots.
 */
	.code16
	.global	stop_in_real_mode
stop_in_real_mode:
	sti				# the BIOS needs the keyboard's interrupt
1:	lodsb
	mov	$0x0e, %ah		# BIOS: write in teletype manner
	xor	%bx, %bx
	int	$0x10
	test	%al, %al
	jnz	1b
	cmpw	$INT_20, 0
	je	1f
	mov	$0x00, %ah		# BIOS: wait for a key
	int	$0x16
	ljmp	$0xffff, $0x0000	# where the CPU starts after a reset
1:	int	$0x20

	.section .note.GNU-stack, "", @progbits

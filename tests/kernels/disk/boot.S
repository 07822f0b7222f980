/*
 * DISK - a boot sector, real mode, and segments that are not flat
 *
 * This file: the first sector.  The BIOS loads it to 0x7c00 and jumps there in real mode;
 * dl is the drive.  It loads the kernel behind it to 0x10000 and jumps to 1000:0000.
 */
#include "disk.h"

	.code16
	.text
	.global	start
start:
	ljmp	$0, $1f			# some BIOSes come with cs = 0x07c0
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	$packet, %si
	mov	$0x42, %ah		# read sectors by number
	int	$0x13
	jc	1f
	ljmp	$KERNEL_BASE >> 4, $0
1:	mov	$0x0e21, %ax		# an exclamation mark on the screen
	int	$0x10
2:	hlt
	jmp	2b

packet:
	.byte	16, 0
	.word	KERNEL_SECTORS
	.word	0, KERNEL_BASE >> 4	# to offset, segment
	.quad	1			# from sector

	.org	510
	.word	0xaa55
	.section .note.GNU-stack, "", @progbits

/*
 * enter.S - from real mode into protected mode
 *
 * From the boot sector, by a far jump: real mode, cs = KERNEL_BASE / 16.
 */
#include "../pc.h"
#include "disk.h"

	.code16
	.text
	.global	start
start:
	cli				# until there is an IDT, and for good in ring 0
	mov	%cs, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$kernel_stack_end, %sp
	in	$0x92, %al		# the PS/2's way to open A20
	or	$2, %al
	and	$0xfe, %al		# bit 0 would reset the machine
	out	%al, $0x92
	lgdtl	gdtr			# 32-bit operand: all of the base
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmp	$KERNEL_CODE, $1f	# cs still is a segment of 16 bits

	.code32
1:	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$kernel_stack_end, %esp	# its upper half as well
	push	$0
	popf
	jmp	kernel

	.section .note.GNU-stack, "", @progbits

/*
 * The way back: from ring 0 into real mode and to DOS, if DOS loaded the program.
 * Restores whatever enter.S has changed.
 */
#include "ports.h"
#include "tables.h"

#define REAL_CODE		0x08
#define REAL_DATA		0x10

/* Where the BIOS keeps which keys are held. */
#define BIOS_KEYS		0x417
#define BIOS_KEYS_DOWN		0x0f		/* both Shift, Ctrl, Alt */
#define BIOS_LEFT_KEYS		0x418
#define BIOS_LEFT_KEYS_DOWN	0x03		/* Ctrl, Alt */
#define BIOS_RIGHT_KEYS		0x496
#define BIOS_RIGHT_KEYS_DOWN	0x0f		/* Ctrl, Alt; and a prefix that has just come */

	.text

/*
 * back_to_dos - does not come back
 *
 *	void back_to_dos(void)
 *
 * A program with pages has another one (paging.S), which comes here as leave_protected_mode.
 *
 * From:	ring 0, after bios_devices_restore (machine.c).
 * To:		DOS, by int 0x20, in text mode 80 x 25.
 * Stack:	ring0_stack, from its end: what is on it is no longer needed.
 * Interrupts:	off, and NMI, until real mode and its vectors are back.
 * Intel:	volume 3, section 10.9.2, switching back to real-address mode.
 */
	.code32
	.weak	back_to_dos
	.global	leave_protected_mode
back_to_dos:
leave_protected_mode:
	mov	$CMOS_NMI_OFF | CMOS_STATUS_D, %al
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al		# the clock chip wants each index followed up

	# Real mode keeps the limits and operand sizes that the segment registers have
	# now.  So load them with those of real mode: 64 KiB, 16 bits.
	lgdtl	real_gdt
	ljmpw	$REAL_CODE, $1f		# "w": an offset of 16 bits
	.code16
1:	mov	$REAL_DATA, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	mov	$ring0_stack_end, %esp
	movzwl	%sp, %esp
	lidtl	real_idtr
	mov	bios_cr0, %eax		# PE was clear there; FPU as it was
	mov	%eax, %cr0
	ljmp	*real_mode		# only now does cs become a segment
in_real_mode:
	mov	%cs, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss

	mov	$CMOS_STATUS_D, %al	# NMI has its vector again
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al

	pushw	$EFLAGS_ALWAYS | EFLAGS_IF
	popfw				# NT is clear, so that no later iret finds it set
	call	close_a20		# a20.S

	# The BIOS would think keys still held that were released while it did not listen.
	xor	%ax, %ax
	mov	%ax, %fs
	andb	$~BIOS_KEYS_DOWN, %fs:BIOS_KEYS
	andb	$~BIOS_LEFT_KEYS_DOWN, %fs:BIOS_LEFT_KEYS
	andb	$~BIOS_RIGHT_KEYS_DOWN, %fs:BIOS_RIGHT_KEYS
	mov	%cs, %ax
	mov	%ax, %fs
	mov	bios_dr7, %eax
	mov	%eax, %dr7
	mov	$0x0003, %ax		# BIOS: text mode 80 x 25, with a cursor
	int	$0x10
	int	$0x20			# DOS knows us by the segment in cs


	.data

/* Entry 0 holds what lgdt wants, as in every program's gdt. */
	.balign	8
real_gdt:
	table_register real_gdt
	.word	0
	base_here
	.word	PROGRAM_BYTES - 1, 0	# REAL_CODE
	.byte	0, ACCESS_PRESENT | ACCESS_CODE, 0, 0
	base_here
	.word	PROGRAM_BYTES - 1, 0	# REAL_DATA
	.byte	0, ACCESS_PRESENT | ACCESS_DATA, 0, 0
real_gdt_end:

/* Real mode's vectors: 256 far pointers at the bottom of memory. */
real_idtr:
	.word	256 * 4 - 1
	.long	0

	.global	real_mode
real_mode:
	.word	in_real_mode, 0		# its segment is the program's (enter.S)

	.section .note.GNU-stack, "", @progbits

/*
 * From real mode into protected mode: the part that every program shares.
 *
 * The program gives: gdt (its entry 0 is what lgdt wants), idtr, and in section
 * .bases the places of all bases to be mended.  The linker script gives: where
 * .bases and .data lie in the file, where .data belongs, and .bss.
 */
#include "frame.h"
#include "ports.h"
#include "segments.h"
#include "stop.h"

#define FLOPPY_MOTORS_OFF	0x0c		/* no reset; DMA and interrupt stay on */

/* The BIOS' own. */
#define BIOS_MOTORS		0x43f		/* bits 0-3: the motors that run */
#define BIOS_MOTORS_MASK	0x0f

/* What DOS puts in front of a program. */
#define DOS_MEMORY_END		2		/* a segment */
#define PROGRAM_PARAGRAPHS	0x1000		/* 64 KiB */

#define RING0_STACK_BYTES	2048

	.text

/*
 * enter_protected_mode - comes back where it was called, but in ring 0
 *
 * From:	a program's first instruction, real mode.
 * In:		cs = ds = es = ss = SEG, any SEG; two bytes of stack in use.
 * Out:		32-bit protected mode: ds = es = ss = RING0_DATA, gs =
 *		RING0_SCREEN, fs = 0, esp = ring0_stack_end; NT and IOPL clear; GDTR
 *		and IDTR loaded, TR not; FPU instructions fault; text mode 80 x 25.
 * Interrupts:	off from the first instruction on, and masked at the PICs; NMI
 *		allowed.  What leave.S needs for the way back is kept: who has
 *		opened A20, CR0, the PICs' masks.
 * Clobbers:	everything else.
 * Errors:	protected mode already on, less memory from DOS than 64 KiB, A20
 *		stays shut: says so, and ends (stop.S).
 * Intel:	volume 3, section 10.9.1, switching to protected mode.
 */
	.code16
	.global	enter_protected_mode
enter_protected_mode:
	cli				# the BIOS' interrupts are of no more use
	cld

	# smsw may be executed anywhere and tells the truth even in virtual-8086
	# mode, where a DOS memory manager owns the tables that we want to load.
	smsw	%ax
	mov	$already_protected, %si
	test	$CR0_PE, %al
	jnz	stop_in_real_mode

	cmpw	$INT_20, 0		# all of SEG is ours, unless DOS says not
	jne	1f
	mov	DOS_MEMORY_END, %ax
	mov	%cs, %bx
	sub	%bx, %ax
	cmp	$PROGRAM_PARAGRAPHS, %ax
	mov	$memory_too_small, %si
	jb	stop_in_real_mode
1:
	call	open_a20		# a20.S
	mov	$a20_stays_shut, %si
	jc	stop_in_real_mode

	# The file is flat: .data stands right behind the code in it.  At run time
	# it belongs some pages further on, and .bss behind that.
	mov	$data_in_file_end - 1, %si
	mov	$data_end - 1, %di
	mov	$data_bytes, %cx
	std				# upwards, and the two may overlap
	rep movsb
	cld
	mov	$data_end, %di
	mov	$bss_dwords, %cx
	xor	%eax, %eax
	rep stosl
	mov	%bl, a20_opened_by

	# The BIOS stops a floppy's motor by its clock tick, which will not come.
	xor	%ax, %ax
	mov	%ax, %fs
	andb	$~BIOS_MOTORS_MASK, %fs:BIOS_MOTORS
	mov	$FLOPPY_CONTROL, %dx
	mov	$FLOPPY_MOTORS_OFF, %al
	out	%al, %dx

	mov	$0x0003, %ax		# BIOS: text mode 80 x 25, 16 colours
	int	$0x10
	mov	$0x2000, %cx		# no cursor
	mov	$0x01, %ah
	int	$0x10

	# Bases in the tables are still offsets.  One 32-bit addition mends each: it
	# stands at byte 2, in a descriptor as in GDTR and IDTR.  Of a descriptor
	# these are the lower 24 bits, and the sum stays below 0x110000, so that
	# nothing carries into the access byte.
	xor	%eax, %eax
	mov	%cs, %ax
	shl	$4, %eax
	mov	%eax, program_base
	mov	%cs, real_mode + 2	# leave.S
	mov	$bases, %si
1:	mov	(%si), %di
	add	%eax, 2(%di)
	add	$2, %si
	cmp	$bases_end, %si
	jb	1b

	# From here on nothing may interrupt: not the devices, though a BIOS may have come
	# back with IF set; not even an NMI until there is an IDT; and no breakpoint that
	# a debugger has left armed.
	cli
	mov	%dr7, %eax
	mov	%eax, bios_dr7
	mov	$DR7_NONE, %eax
	mov	%eax, %dr7
	in	$PIC_1_DATA, %al
	mov	%al, bios_masks
	in	$PIC_2_DATA, %al
	mov	%al, bios_masks + 1
	mov	$0xff, %al
	out	%al, $PIC_1_DATA
	out	%al, $PIC_2_DATA
	mov	$CMOS_NMI_OFF | CMOS_STATUS_D, %al
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al		# the clock chip wants each index followed up

	pop	%bp			# where to go on
	lgdtl	gdt			# "l": all 32 bits of the base, not 24
	lidtl	idtr
	mov	%cr0, %eax
	mov	%eax, bios_cr0
	or	$CR0_PE | CR0_MP | CR0_EM | CR0_TS, %eax
	mov	%eax, %cr0
	ljmpl	$RING0_CODE, $1f	# only now does cs become a selector

	.code32
1:	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$ring0_stack_end, %esp
	mov	$RING0_SCREEN, %eax
	mov	%eax, %gs
	xor	%eax, %eax
	mov	%eax, %fs
	lldt	%ax			# no LDT yet: selectors with TI set fault

	# An iret with NT set would be a return to another task; IOPL above 0 would
	# open the ports to ring 3.  The BIOS may have left either of them set.
	push	$EFLAGS_ALWAYS
	popf

	mov	$CMOS_STATUS_D, %al	# NMI has its gate now
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al

	movzwl	%bp, %ebp
	add	$program_segment, %ebp	# 0, unless offsets have more than 16 bits
	jmp	*%ebp

	.section .rodata
already_protected:
	.ascii	"\r\nRingpong wants to enter protected mode, but the CPU is there already:\r\n"
	.asciz	"a memory manager (EMM386?) or Windows runs. Start without it, or boot the floppy.\r\n"
memory_too_small:
	.asciz	"\r\nRingpong wants 64 KiB of memory for itself, and DOS has less to give.\r\n"
a20_stays_shut:
	.ascii	"\r\nRingpong cannot open address line A20 of this machine. See its BIOS setup\r\n"
	.asciz	"for a \"gate A20\" option. A key restarts.\r\n"

	.bss
	.balign	4
	.global	program_base, ring0_stack_end, bios_cr0, bios_dr7, bios_masks
	.global	a20_opened_by
program_base:				# linear; offsets + this = linear addresses
	.space	4
bios_cr0:				# as it was found
	.space	4
bios_dr7:				# as it was found
	.space	4
bios_masks:				# of PIC 1 and PIC 2, as they were found
	.space	2
a20_opened_by:				# by a20.S; 0: it was open
	.space	1
	.balign	4
	.space	RING0_STACK_BYTES
ring0_stack_end:

	.section .note.GNU-stack, "", @progbits

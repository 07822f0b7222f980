/*
 * Address line 20, in real mode: opened on the way into protected mode, and shut on the
 * way back to DOS if it was shut.  No way works on all machines, so three are tried, and
 * only a test of memory tells whether one has worked.
 */
#include "ports.h"

/* To the keyboard controller, whose output pin 1 is A20; pin 0 is the CPU's reset, low. */
#define KEYBOARD_INPUT_FULL	0x02		/* in the status: it takes no byte now */
#define KEYBOARD_WRITE_OUTPUT	0xd1
#define KEYBOARD_A20_ON		0xdf
#define KEYBOARD_A20_OFF	0xdd

/* In SYSTEM_CONTROL_A. */
#define SYSTEM_CONTROL_A20	0x02
#define SYSTEM_CONTROL_RESET	0x01

/* What has opened it: a20_opened_by (enter.S), by which leave.S shuts it again. */
#define A20_BY_BIOS		1
#define A20_BY_KEYBOARD		2
#define A20_BY_PORT_92		3

	.text

/*
 * open_a20 - make address line 20 work, without which every odd megabyte is
 * the even one below it (a kindness to programs of 1981)
 *
 * From:	enter_protected_mode (enter.S), real mode.
 * Out:		carry clear: it works, by test; set: it could not be made to.  bl:
 *		what has opened it, 0 if it was open.
 * Clobbers:	ax, cx, and what int 15h clobbers.
 */
	.code16
	.global	open_a20
open_a20:
	mov	$0, %bl
	call	test_a20
	jnc	9f

	mov	$0x2401, %ax		# the BIOS knows best, if it knows at all
	int	$0x15
	mov	$A20_BY_BIOS, %bl
	call	test_a20
	jnc	9f

	mov	$A20_BY_KEYBOARD, %bl
	call	keyboard_ready		# the AT's way: an output pin of the keyboard
	mov	$KEYBOARD_WRITE_OUTPUT, %al		# controller
	out	%al, $KEYBOARD_STATUS
	call	keyboard_ready
	mov	$KEYBOARD_A20_ON, %al
	out	%al, $KEYBOARD_DATA
	call	keyboard_ready
	call	test_a20
	jnc	9f

	mov	$A20_BY_PORT_92, %bl
	in	$SYSTEM_CONTROL_A, %al	# the PS/2's way
	or	$SYSTEM_CONTROL_A20, %al
	and	$~SYSTEM_CONTROL_RESET, %al
	out	%al, $SYSTEM_CONTROL_A
	call	test_a20
9:	ret

/* Waits until the keyboard controller takes a byte, or for 65536 looks. */
keyboard_ready:
	xor	%cx, %cx
1:	in	$KEYBOARD_STATUS, %al
	test	$KEYBOARD_INPUT_FULL, %al
	loopnz	1b
	ret

/*
 * close_a20 - shut it again in the way it was opened, if it was shut
 *
 * From:	leave.S, real mode.
 * Clobbers:	everything except segment registers.
 */
	.global	close_a20
close_a20:
	mov	a20_opened_by, %bl
	mov	$0x2400, %ax
	cmp	$A20_BY_BIOS, %bl
	je	1f
	cmp	$A20_BY_KEYBOARD, %bl
	je	2f
	cmp	$A20_BY_PORT_92, %bl
	jne	9f
	in	$SYSTEM_CONTROL_A, %al
	and	$~(SYSTEM_CONTROL_A20 | SYSTEM_CONTROL_RESET), %al
	out	%al, $SYSTEM_CONTROL_A
	ret

1:	int	$0x15
	ret

2:	call	keyboard_ready
	mov	$KEYBOARD_WRITE_OUTPUT, %al
	out	%al, $KEYBOARD_STATUS
	call	keyboard_ready
	mov	$KEYBOARD_A20_OFF, %al
	out	%al, $KEYBOARD_DATA
	call	keyboard_ready
9:	ret

/*
 * test_a20 - are 0000:0500 and ffff:0510, one megabyte above it, two bytes?
 *
 * Out:		carry clear: two.  The byte (the BIOS' print-screen state) is put
 *		back.  It looks for a while: some chips take their time.
 * Clobbers:	ax, cx.
 */
test_a20:
	push	%ds
	push	%es
	xor	%cx, %cx
	mov	%cx, %ds
	dec	%cx
	mov	%cx, %es
	mov	0x500, %ah
1:	mov	%es:0x510, %al
	not	%al
	mov	%al, 0x500		# differs from the byte above, unless they are one
	cmp	%es:0x510, %al
	loope	1b
	setne	%cl
	mov	%ah, 0x500
	cmp	$1, %cl			# carry if 0: they never differed
	pop	%es
	pop	%ds
	ret

	.section .note.GNU-stack, "", @progbits

/*
 * Sleep: the one place where ring 0 lets interrupts in.
 *
 * Everywhere else in ring 0 IF is clear, so that an interrupt can only find a proc: the
 * CPU then changes to ss0:esp0 and pushes into that proc's frame.  The hlt below is
 * interrupted in ring 0.  The ring stays, and so does the stack: the CPU does not read
 * the TSS, and pushes three words (eflags, cs, eip) where esp is.  No frame is touched.
 * (Intel, volume 3, section 6.12.1.)
 *
 * So that an interrupt of the sleeping ring 0 is not taken for one of a proc, the
 * interrupt controller gives other vectors meanwhile: from WAKE_VECTORS on (machine.c,
 * wakers_set).
 */
#include "ports.h"

	.text

/*
 * void sleep(void) - until an interrupt
 *
 * From:	C, in ring 0, after wakers_set and a look at the keyboard.  An interrupt
 *		that has come since wakers_set waits in the controller, and ends this sleep
 *		at once: none is missed.
 * Stack:	any of ring 0's except a frame; four words below the return address are used.
 * Interrupts:	off before and behind.  sti lets them in only after the instruction that
 *		follows it (Intel, volume 2, STI), so none can come before hlt, be
 *		served, and leave hlt to wait for another.
 */
	.global	sleep
sleep:
	sti
	hlt
	cli				# eip points here when hlt is interrupted
	ret

/*
 * wake - the interrupt that ends a sleep
 *
 * From:	the IDT, vectors WAKE_VECTORS and up: timer or keyboard at the hlt above, or
 *		a line that had fallen when the CPU asked (vector WAKE_VECTORS + 7; the end
 *		below then ends nothing).
 * In:		any segment registers; ss is RING0_DATA.
 * Does:	tells the controller that the interrupt has ended.  pace.c then polls timer
 *		and keyboard for what has happened.
 * Interrupts:	off.  iret gives back IF, which sleep clears, and NT, which HWTASK's ring 0
 *		has set and the CPU has cleared on the way in.
 */
	.global	wake
wake:
	push	%eax
	mov	$PIC_END, %al
	out	%al, $PIC_1
	pop	%eax
	iret

	.section .note.GNU-stack, "", @progbits

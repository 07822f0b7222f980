/*
 * The gate, on show: p_proc.S and timer.S come here when a look is due.  Nothing here is
 * needed for the switch itself.
 */
#include "ring0/frame.h"
#include "ring0/segments.h"
#include "switch.h"

	.text

/*
 * gate_watched - the rest of a switch, with a look and a place to stop
 *
 * From:	gate (p_proc.S) or tick (timer.S), when switches_left has come to 0.
 * In:		eax: the frame of the proc that came in, complete; ds, es, ss RING0_DATA;
 *		DF clear.
 * To:		ring 3, the other proc, by iret out of its frame.
 * Stack:	ring0_stack; the other frame.
 * Interrupts:	off.
 *
 * While the IDT leads to gate_with_stop, Bochs may stop here once more (ring0/door.c).
 */
	.global	gate_watched, ckpt_switched
gate_watched:
	mov	$RING0_SCREEN, %ecx
	mov	%ecx, %gs
	call	watched_switch		# watch.c: switch_to_next, and the look
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
	cmpw	$gate_with_stop, idt_gate
1:	restore_registers		# pops change no flags
	jne	2f
	xchg	%bx, %bx
ckpt_switched:				# the other proc's iret is next
2:	iret
	restored_since 1b

	.section .note.GNU-stack, "", @progbits

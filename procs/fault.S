/*
 * Every way into ring 0 except int 0x30: exceptions and interrupts.  (Two of them are
 * in panic.S.)
 */
#include "ring0/fault_entry.h"
#include "ring0/vectors.h"
#include "switch.h"

	.text
	fault_vectors_to fault_entry

/*
 * fault_entry - saves the frame of frame.h, calls C, and leaves again
 *
 * From:	fault_vectors.
 * In:		as for fault_enters (fault_entry.h).
 * Stack:	as found, then fault_stack, then the frame of the proc that is left to.
 * Interrupts:	off.
 * To:		ring 3, as from the gate, if fault (fault.c) comes back.
 */
fault_entry:
	fault_enters			# eax: the proc to go on with
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
1:	restore_registers
	iret
	restored_since 1b

	fault_stack

	.section .note.GNU-stack, "", @progbits

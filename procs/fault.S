/*
 * Every way into ring 0 but int 0x30: exceptions and interrupts.  (Two of them are
 * in panic.S.)
 */
#include "ring0/frame.h"
#include "ring0/segments.h"
#include "ring0/vectors.h"
#include "switch.h"

#define FAULT_STACK_BYTES	2048

	.text
	fault_vectors_to fault_entry

/*
 * fault_entry - the frame, in the shape of frame.h, on to C, and out again
 *
 * In:		ss:esp: vector, error code, the CPU's words.  ss is RING0_DATA, by
 *		whatever way one came; ds, es, fs, gs may be anything.
 * Does:	takes vector and error code off the stack, so that the words below
 *		the CPU's are again those of struct frame (from ring 0, without
 *		esp and ss).  From ring 3 it lies where the gate would have put it:
 *		the proc is saved in its own frame.
 * Stack:	as found, then fault_stack: the one in use may be what is broken.
 * To:		ring 3, as from the gate, if fault (fault.c) comes back.
 */
fault_entry:
	popl	%ss:fault_vector
	popl	%ss:fault_error
	save_registers
	mov	%esp, %eax		# fault's 1st argument: the frame
	lss	%cs:fault_stack_pointer, %esp	# ss may be what is broken
	mov	%ss, %edx
	mov	%edx, %ds
	mov	%edx, %es
	mov	$RING0_SCREEN, %edx
	mov	%edx, %gs
	cld
	mov	fault_vector, %edx	# 2nd
	mov	fault_error, %ecx	# 3rd
	call	fault			# eax: the proc to go on with
	lldt	PROC_LDT(%eax)
	lea	-FRAME_BYTES(%eax), %esp
1:	restore_registers
	iret
	restored_since 1b

	.balign	4
fault_stack_pointer:
	.long	fault_stack_end
	.word	RING0_DATA

	.bss
	.balign	4
fault_vector:
	.space	4
fault_error:
	.space	4
	.space	FAULT_STACK_BYTES
fault_stack_end:

	.section .note.GNU-stack, "", @progbits

/*
 * One entry point for each vector below 0x30, and what they share.  None of
 * them leads to the switch.
 */
#include "fault.h"
#include "segments.h"

	.text

/*
 * fault_vectors - vector n enters at fault_vectors + n * FAULT_VECTOR_BYTES
 *
 * From:	the IDT, out of any ring.  From ring 3 the CPU has pushed its five
 *		words at the end of the running proc's frame; from ring 0 only
 *		eflags, cs, eip, on the stack that was in use.  Then, for some
 *		exceptions, an error code (Intel, volume 3, section 6.13).
 * Does:	puts a zero where the CPU gave no error code, and the vector below,
 *		so that all stacks look the same.
 * Interrupts:	off.
 */
	.balign	16
	.global	fault_vectors
fault_vectors:
	.set	vector, 0
	.rept	FAULT_VECTORS
	.balign	FAULT_VECTOR_BYTES
	.if	vector >= 32 || !((ERROR_CODE_VECTORS >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	fault_entry
	.set	vector, vector + 1
	.endr

/*
 * fault_entry - the frame, in the shape of frame.h, and on to C
 *
 * In:		ss:esp: vector, error code, the CPU's words.  ss is RING0_DATA, by
 *		whatever way one came; ds, es, fs, gs may be anything.
 * Does:	takes vector and error code off the stack, so that the words below
 *		the CPU's are again those of struct frame (from ring 0, without
 *		esp and ss).
 * Stack:	as found, then fault_stack: the one in use may be what is broken.
 * To:		fault (fault.c), which does not come back.
 */
fault_entry:
	popl	%ss:fault_vector
	popl	%ss:fault_error
	pusha
	push	%ds
	push	%es
	push	%fs
	push	%gs
	mov	%esp, %eax		# fault's 1st argument: the frame
	lds	%cs:fault_stack_pointer, %esp
	push	%ds
	pop	%es
	mov	$RING0_SCREEN, %edx
	mov	%edx, %gs
	cld
	mov	fault_vector, %edx	# 2nd
	mov	fault_error, %ecx	# 3rd
	call	fault

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
	.space	1024
fault_stack_end:

	.section .note.GNU-stack, "", @progbits

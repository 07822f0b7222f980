/*
 * From fault_vectors to C, for programs whose procs lie in frames.  What comes after C is
 * each program's own: it decides which frame is left.
 */
#ifndef FAULT_ENTRY_H
#define FAULT_ENTRY_H

#include "frame.h"
#include "segments.h"

#ifdef __ASSEMBLER__

#define FAULT_STACK_BYTES	2048

/*
 * fault_enters - saves the frame of frame.h, and calls C on a stack that is known to be good
 *
 * From:	the first instruction of fault_entry.
 * In:		ss:esp: vector, error code, the CPU's words.  ss is RING0_DATA,
 *		whichever ring was interrupted; ds, es, fs, gs may be anything.
 * Does:	takes vector and error code off the stack, so that the words below
 *		the CPU's are again those of struct frame (from ring 0, without
 *		esp and ss).  From ring 3 they lie where int would have put them:
 *		the proc is saved in its own frame.
 * Stack:	as found, then fault_stack: the one in use may be what is broken.
 * Interrupts:	off.
 * Out:		what fault, in C, returns in eax; DF is clear.
 */
	.macro	fault_enters
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
	call	fault
	.endm

/* fault_stack - behind fault_entry: the far pointer for lss, and the memory of fault_enters. */
	.macro	fault_stack
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
	.global	fault_stack_end
fault_stack_end:
	.endm

#endif
#endif

/*
 * One entry point for each vector below WAKE_VECTORS: what the exceptions and the
 * interrupts of a proc find in the IDT.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include "x86.h"

#define FAULT_VECTORS		(IRQ_VECTORS + IRQS)
#define FAULT_VECTOR_BYTES	16	/* an entry point every so often */

#ifdef __ASSEMBLER__

/*
 * fault_vectors - vector n enters at fault_vectors + n * FAULT_VECTOR_BYTES
 *
 * From:	the IDT, out of any ring.  From ring 3 the CPU has pushed its five
 *		words at ss0:esp0; from ring 0 only eflags, cs, eip, on the stack that
 *		was in use.  Then, for some exceptions, an error code (Intel, volume 3,
 *		section 6.13).
 * Does:	puts a zero where the CPU gave no error code, and the vector below,
 *		so that all stacks look the same.
 * To:		entry.
 * Interrupts:	off.
 */
	.macro	fault_vectors_to entry
	.balign	FAULT_VECTOR_BYTES
	.global	fault_vectors
fault_vectors:
	.set	vector, 0
	.rept	FAULT_VECTORS
	.balign	FAULT_VECTOR_BYTES
	.if	vector >= 32 || !((ERROR_CODE_VECTORS >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	\entry
	.set	vector, vector + 1
	.endr
	.endm

#endif
#endif

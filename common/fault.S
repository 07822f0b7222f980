/*
 * Every way into ring 0 but int 0x30: exceptions, interrupts, and the task that
 * is left when even those fail.
 */
#include "frame.h"
#include "segments.h"
#include "vectors.h"

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
 * To:		ring 3, by leave_ring0 (p_proc.S), if fault (fault.c) comes back.
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
	call	fault			# eax: the proc to go on with
	jmp	leave_ring0

/*
 * nmi - counted, and that is all: nobody here knows what a machine means by it
 *
 * From:	the IDT, at any instruction, whatever IF says, and even while esp is
 *		inside a frame: its words go where nothing is saved yet, or where
 *		all is popped already.
 * In:		ss is RING0_DATA, by whatever way one came.
 */
	.global	nmi
nmi:
	incl	%ss:nmis
	iret

/*
 * double_fault - the task behind vector 8
 *
 * From:	a task gate: the CPU could not deliver an exception, most likely
 *		because the stack it should push to is not usable.  It has put all
 *		registers into the TSS that was in use and taken those of
 *		double_fault_tss, so this stack is good whatever has happened (Intel,
 *		volume 3, section 6.15, interrupt 8).  The error code pushed is zero.
 * Stack:	double_fault_stack.
 * To:		double_fault_panic (fault.c), which does not come back.
 */
	.global	double_fault
double_fault:
	call	double_fault_panic

	.balign	4
fault_stack_pointer:
	.long	fault_stack_end
	.word	RING0_DATA

	.bss
	.balign	4
	.global	nmis, double_fault_stack_end
nmis:
	.space	4
fault_vector:
	.space	4
fault_error:
	.space	4
	.space	FAULT_STACK_BYTES
fault_stack_end:
	.space	FAULT_STACK_BYTES
double_fault_stack_end:

	.section .note.GNU-stack, "", @progbits

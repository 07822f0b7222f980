/*
 * The two entry points that must work whatever state ring 0 is in: NMI, and the double
 * fault, for when an exception cannot be delivered.
 */
#include "frame.h"

#define PANIC_STACK_BYTES	1024

	.text

/*
 * nmi - count it and return; what it signals is machine-specific
 *
 * From:	the IDT, at any instruction, whatever IF says, and even while esp is
 *		inside a frame: its words go where nothing has been saved so far, or
 *		where everything has been popped already.
 * In:		ss is RING0_DATA, whichever ring was interrupted.
 */
	.global	nmi
nmi:
	incl	%ss:nmis
1:	iret				# eip may be where a proc's segment ends
	restored_since 1b

/*
 * double_fault - the task behind vector 8
 *
 * From:	a task gate: the CPU could not deliver an exception, most likely
 *		because the stack it should push to is not usable.  It has saved all
 *		registers in the TSS that was in use and loaded those of
 *		double_fault_tss, so this stack is good whatever has happened (Intel,
 *		volume 3, section 6.15, interrupt 8).  The error code pushed is zero.
 * Stack:	double_fault_stack.
 * To:		double_fault_panic (panic.c), which does not come back.
 */
	.global	double_fault
double_fault:
	call	double_fault_panic

	.bss
	.balign	4
	.global	nmis, double_fault_stack_end
nmis:
	.space	4
	.space	PANIC_STACK_BYTES
double_fault_stack_end:

	.section .note.GNU-stack, "", @progbits

/*
 * The ways in and out, in a page that stays in each space even when ring 0 is hidden.
 *
 * Since Meltdown (2018) kernels give ring 3 a second directory, in which nothing of ring 0
 * is left but what the CPU itself needs to get in: GDT, IDT and TSS, a stack for five
 * words, and the instructions that load CR3.  Ring 0 then cannot even be guessed at
 * by what a wrongly predicted read leaves behind in a cache.  Key k turns that on.
 */
#include "ring0/flat_segments.h"
#include "ring0/frame.h"
#include "thread.h"

#define ENTRY_STACK_BYTES	256

	.section .entry_code, "ax"

	fault_vectors_to fault_door

/*
 * fault_door - exceptions and interrupts, whether ring 0 is hidden or not
 *
 * From:	fault_vectors.  ss:esp: vector, error code, the CPU's words.
 * To:		fault_entry, with these words where it expects them: on the running thread's
 *		kernel stack.
 */
fault_door:
	cmpb	$0, %ss:ring0_hidden
	je	fault_entry
	push	%eax
	mov	%cr3, %eax
	and	$~SPACE_HIDES, %eax
	mov	%eax, %cr3		# from here on all of ring 0 is there
	mov	%esp, %eax
	sub	$entry_stack, %eax
	cmp	$ENTRY_STACK_BYTES, %eax
	mov	(%esp), %eax
	lea	4(%esp), %esp
	ja	fault_entry		# out of ring 0, and already on a kernel stack

	push	%eax
	mov	%ss:current, %eax
	mov	%ss:THREAD_STACK_END(%eax), %eax
	xchg	%eax, %esp		# eax: the entry stack
	testb	$SELECTOR_RPL, %ss:16(%eax)
	jnz	1f
	sub	$FRAME_BYTES, %esp	# iret has been refused: the frame is still needed
	jmp	2f
1:	pushl	%ss:28(%eax)		# ss
	pushl	%ss:24(%eax)		# esp
2:	pushl	%ss:20(%eax)		# eflags
	pushl	%ss:16(%eax)		# cs
	pushl	%ss:12(%eax)		# eip
	pushl	%ss:8(%eax)		# error code
	pushl	%ss:4(%eax)		# vector
	mov	%ss:(%eax), %eax
	jmp	fault_entry

/*
 * hiding_gate - int 0x30 while ring 0 is hidden
 *
 * From:	ring 3.  CR3: the directory without ring 0.  Stack: the entry stack.
 * To:		gate, as if the CPU had come there by itself.
 */
	.global	hiding_gate, hiding_gate_with_stop, hiding_say_gate
hiding_say_gate:
	push	$say_gate
	jmp	1f
hiding_gate_with_stop:
	push	$gate_with_stop
	jmp	1f
hiding_gate:
	push	$gate
1:	push	%eax
	mov	%cr3, %eax
	and	$~SPACE_HIDES, %eax
	mov	%eax, %cr3		# from here on all of ring 0 is there
	mov	%ss:current, %eax
	mov	%ss:THREAD_STACK_END(%eax), %eax
	xchg	%eax, %esp		# eax: the entry stack
	pushl	%ss:24(%eax)		# ss
	pushl	%ss:20(%eax)		# esp
	pushl	%ss:16(%eax)		# eflags
	pushl	%ss:12(%eax)		# cs
	pushl	%ss:8(%eax)		# eip
	pushl	%ss:4(%eax)		# where to
	mov	%ss:(%eax), %eax
	ret

/*
 * leave_hidden - the last steps to ring 3 while ring 0 is hidden
 *
 * From:	leave_ring0, by way_out.  Registers: the thread's; on the kernel stack the five
 *		words for iret.
 */
	.global	leave_hidden
leave_hidden:
	push	%eax
	mov	%esp, %eax
	mov	$entry_stack_end, %esp
	pushl	%ss:20(%eax)
	pushl	%ss:16(%eax)
	pushl	%ss:12(%eax)
	pushl	%ss:8(%eax)
	pushl	%ss:4(%eax)
	pushl	%ss:(%eax)
	mov	%cr3, %eax
	or	$SPACE_HIDES, %eax
	mov	%eax, %cr3		# from here on only this page of ring 0 is there
	pop	%eax
1:	iret
	restored_since 1b

	.section .entry_data, "aw"
	.balign	4
	.global	entry_stack_end, ring0_hidden
entry_stack:
	.space	ENTRY_STACK_BYTES
entry_stack_end:
ring0_hidden:
	.byte	0

	.section .note.GNU-stack, "", @progbits

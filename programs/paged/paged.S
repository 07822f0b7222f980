/*
 * PAGED: KSTACK's two threads, each in an address space of its own.
 *
 * boot.S (or DOS) loads this file at SEG:0100 and jumps to its first byte in real
 * mode, with cs = ds = es = ss = SEG and sp = 0xfffe.  Read on in this order:
 *
 *	thread.h	a thread, and what its space holds
 *	start		real mode, protected mode, pages (ring0/paging.S), the first thread
 *	the tables	GDT, IDT, TSS
 *	the gate	int 0x30, int 0x31, exceptions
 *	the switch	from one kernel stack to the other, and from space to space
 *	hide.S		the same with ring 0 hidden from ring 3
 *	ring3.S		what runs in ring 3
 *
 * Offsets are linear addresses here (flat_segments.h).  At each xchg %bx,%bx Bochs stops, if
 * it is told to (magic breakpoint); the label after it names the place.
 */
#include "ring0/flat_segments.h"
#include "ring0/frame.h"
#include "show/program.h"
#include "thread.h"

#define FRAME_CS		52	/* in struct frame */

/* ---- start ------------------------------------------------------------- */

/* The program, 8 KiB up to where pages may begin, its copy there, its pool of pages. */
#define PARAGRAPHS		(0x1000 + 0x200 + 0x1000 + 0x1400)

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, then thread A's kernel stack.
 * Interrupts:	off from enter_protected_mode on, except in ring 3.
 * Errors:	too little memory: says so, and ends.
 */
	.code16
	.global	start
start:
	mov	$PARAGRAPHS, %cx
	mov	$memory_too_small, %si
	call	want_memory		# ring0/wants.S; comes back if all is well
	call	enter_protected_mode	# ring0/enter.S; if it can't, it says why
	.code32
	call	paging_on		# ring0/paging.S

/*
 * Ring 0: flat segments, pages, esp ring0_stack.  TR is not loaded; without it there
 * would be no way back from ring 3.
 */
	call	threads_start		# threads.c: spaces and kernel stacks are made; eax:
					# the first thread to run
	xchg	%bx, %bx
	.global	ckpt_spaces
ckpt_spaces:				# info tab; page 0x08049000 at each space
	mov	$TSS, %edx
	ltr	%dx			# esp0 is still 0: schedule_in writes it
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:
	mov	%eax, %edx		# there is no thread to leave: from itself
	jmp	schedule_away		# schedule.c; this stack is left for good

	.section .rodata
memory_too_small:
	.asciz	"\r\nPAGED wants 216 KiB of memory below 640 KiB, for its pages. Free some and start it again.\r\n"


/* ---- the tables, in a page that stays when ring 0 is hidden --------------- */

	.section .entry_data, "aw"

	gdt_begins start_gdt		# for lgdt, before there are pages
	FLAT_RING0_SEGMENTS(DESCRIPTOR)
	FLAT_RING3_SEGMENTS(DESCRIPTOR)
	gdt_ends

/* Two doors for ring 3: 0x30 yields, 0x31 says something. */
	idt_begins
	fault_gates
idt_gate:
	interrupt_gate gate_with_stop, 3
	.global	idt_say
idt_say:
	interrupt_gate say_gate, 3
	idt_ends

	tss_begins 0			# esp0: at the first switch (schedule.c)
	.set	tss_bytes, TSS_BYTES

	.balign	4
	double_fault_task

	.data
	start_gdt_and_registers

	program paged, " ring 0, int 0x30: a kernel stack and a page directory for each thread ", \
		"int n through a gate that ring 3 may not use, or that does not exist. The doors are int 0x30 and int 0x31."


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - int 0x30 of the running thread: it yields
 *
 * From:	ring 3, through the IDT.  The CPU has changed to ss0:esp0, the end of
 *		the thread's kernel stack, and pushed ss, esp, eflags, cs, eip there;
 *		it has cleared IF and TF.  All else is still the thread's.  Or from
 *		hiding_gate (hide.S), which has made it look so.
 * To:		ring 3, the same thread, by iret: in between it has waited in schedule,
 *		and the other has run.
 * Stack:	the thread's kernel stack, from its end on, for C as well.
 * Interrupts:	off.
 * Intel:	volume 3, section 6.12.1; volume 2, INT n and IRET.
 */
	.global	gate_with_stop, ckpt_int, gate
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	save_registers			# a struct frame, at the stack's end

	# Flat as it is, ring 3's ds would do as well, but ring 3 may have made it null.
	lds	%ss:current, %eax	# the thread that runs
	les	THREAD_NEXT(%eax), %edx	# the next one
	cld				# C counts on it; the gate has not cleared it
	call	schedule		# schedule.c; time passes
	.global	leave_ring0
leave_ring0:
	restore_registers
	jmp	*%ss:way_out		# to leave, unless ring 0 is hidden
	.global	leave
leave:
	iret
	restored_since leave_ring0

/*
 * say_gate - int 0x31: the text at eax goes to the log
 *
 * From:	ring 3, as the gate.  eax: the text's address, of which nothing is known.
 * To:		ring 3; eax: 0, or -1 if there is no such text.
 */
	.global	say_gate
say_gate:
	save_registers
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %eax
	call	say			# say.c
	jmp	leave_ring0

/*
 * fault_entry - exceptions and interrupts
 *
 * From:	fault_door (hide.S), out of any ring.
 * In:		ss:esp: vector, error code (vectors.h), the CPU's words; ds, es, fs, gs
 *		may be anything.
 * To:		as the frame says, if fault (threads.c) comes back.
 * Stack:	the kernel stack of the running thread: from its end on if it was in
 *		ring 3, and further down if it was ring 0.
 */
	.global	fault_entry
fault_entry:
	popl	%ss:fault_vector
	popl	%ss:fault_error
	save_registers
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %eax		# C's 1st argument: the frame
	mov	fault_vector, %edx
	mov	fault_error, %ecx
	call	fault			# threads.c; no way back from a thread's end
	testb	$SELECTOR_RPL, FRAME_CS(%esp)
	jnz	leave_ring0
	restore_registers		# into ring 0: copy_in goes on
	iret

	.data
	.balign	4
	.global	current, way_out
current:				# a far pointer to the thread that runs; C knows only
	.long	0			# its offset; 0 before there is one
	.word	RING0_DATA, 0
way_out:				# of ring 0: leave, or leave_hidden (hide.S)
	.long	leave

	.bss
	.balign	4
fault_vector:
	.space	4
fault_error:
	.space	4


/* ---- the switch -------------------------------------------------------- */

	.text

/*
 * switch_stacks - from one thread to the other
 *
 *	struct thread *switch_stacks(struct thread *from, struct thread *to)
 *
 * From:	schedule (schedule.c), in thread from.
 * Out:		comes back in thread to, at its own call of this, with to in eax.
 * Stack:	from's kernel stack, then to's.
 * Interrupts:	off.
 * Intel:	volume 3, section 4.10 (what CR3 makes the CPU forget).
 *
 * The space changes in between: from's stack is not written to any more, to's not read
 * so far.  Both orders would do, since ring 0 and with it both stacks are the same in each
 * space.  But as soon as to's registers are back, ring 0 works for to, and must find
 * to's memory; so CR3 is loaded before.  To load it makes the CPU forget all translations
 * but the global ones, even with the same value: so it is compared first.
 *
 * enter_stack is the second half alone, for a caller that leaves nothing behind.
 */
	.global	switch_stacks, enter_stack
switch_stacks:
	pusha				# a struct switched (thread.h)
	pushf
	mov	%esp, THREAD_ESP(%eax)
enter_stack:
	mov	THREAD_SPACE(%edx), %ecx
	mov	%cr3, %ebx
	cmp	%ecx, %ebx
	je	1f
	mov	%ecx, %cr3		# the space is to's
1:	mov	THREAD_ESP(%edx), %esp
	popf
	popa
	ret				# to to's resume address

/*
 * first_schedule - a new thread's first steps
 *
 * From:	the ret above: thread_prepare has put this address on the stack.
 * In:		eax: the thread.  The frame on the stack is what ring 3 begins with.
 */
	.global	first_schedule
first_schedule:
	call	schedule_in		# as schedule does when switch_stacks comes back
	pop	%eax			# the end of every backtrace, two words
	pop	%eax
	jmp	leave_ring0

/*
 * leave_kernel_stack - no thread is left, and each may be made new, with its stack and its space
 *
 * From:	fault (threads.c).  To: threads_wait.  Stack: ring0_stack, from its end.
 */
	.global	leave_kernel_stack
leave_kernel_stack:
	mov	double_fault_tss + TSS_CR3, %eax
	mov	%eax, %cr3		# ring 0's own directory
	mov	$ring0_stack_end, %esp
	jmp	threads_wait

	.section .note.GNU-stack, "", @progbits

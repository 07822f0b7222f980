/*
 * KSTACK: two threads in ring 3 play ping-pong through ring 0, each with a kernel
 * stack of its own.
 *
 * boot.S (or DOS) loads this file at SEG:0100 and jumps to its first byte in real
 * mode, with cs = ds = es = ss = SEG and sp = 0xfffe.  Read on in this order:
 *
 *	thread.h	a thread, and the picture of its kernel stack
 *	start		real mode, protected mode, the first thread
 *	the tables	GDT, IDT, TSS with its I/O bitmap
 *	the gate	int 0x30: onto the thread's kernel stack, and off again; the
 *			same for exceptions
 *	the switch	from one kernel stack to the other
 *	the threads	what runs in ring 3
 *
 * and then schedule.c, which is the rest of the switch; threads.c has their lives.
 *
 * Addresses are offsets in this program: every segment of ring 0 begins at
 * SEG:0000.  At each xchg %bx,%bx Bochs stops, if it is told to (magic
 * breakpoint); the label after it names the place.
 */
#include "ring0/frame.h"
#include "ring3/ask.h"
#include "ring0/tables.h"
#include "show/program.h"
#include "thread.h"
#include "thread_segments.h"


/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, then thread A's kernel stack.
 * Interrupts:	off from the first instruction on, except in ring 3.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S; if it can't, it says why
	.code32

/*
 * Ring 0: ds, es, ss hold RING0_DATA, gs RING0_SCREEN, esp ring0_stack.  GDTR and
 * IDTR are loaded.  TR is not; without it there would be no way back from ring 3.
 */
	call	threads_start		# threads.c: both kernel stacks are prepared; eax:
					# the first to run
	xchg	%bx, %bx
	.global	ckpt_stacks
ckpt_stacks:				# x /29wx at each thread's esp
	mov	$TSS, %edx
	ltr	%dx			# esp0 is still 0: schedule_in writes it
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:
	mov	%eax, %edx		# there is no thread to leave: from itself
	jmp	schedule_away		# schedule.c; this stack is left for good


/* ---- the tables -------------------------------------------------------- */

	.data

/*
 * The GDT (Intel, volume 3, section 3.5.1): each row of segments.h and
 * thread_segments.h makes an entry.
 */
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	THREAD_SEGMENTS(DESCRIPTOR)
	gdt_ends

/*
 * The IDT (Intel, volume 3, section 6.10).  Vectors 0-0x2f: exceptions and
 * hardware interrupts (tables.h).  0x30 is the one door that ring 3 may knock at,
 * and the last: the limit ends behind it.
 */
	idt_begins
	fault_gates
idt_gate:
	interrupt_gate gate_with_stop, 3
	idt_ends

/*
 * The TSS (Intel, volume 3, section 7.2.1): where the CPU looks for the stack when
 * it comes from ring 3; and, when ring 3 wants a port, for that port's bit.  All
 * 65536 are there, and 1 means closed.  One more byte of ones must follow, since the
 * CPU reads two bytes at a time even at the last port (volume 1, section 19.5.2).
 */
	.global	io_bitmap
	tss_begins 0, (io_bitmap - tss)	# esp0: at the first switch (schedule.c)
io_bitmap:
	.fill	PORTS / 8, 1, 0xff
	.byte	0xff
	.set	tss_bytes, . - tss

	.balign	4
	double_fault_task

	program	kstack, " ring 0, int 0x30: a kernel stack for each thread "


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - int 0x30 of the running thread: it yields
 *
 * From:	ring 3, through the IDT.  The CPU has changed to ss0:esp0, the end of
 *		the thread's kernel stack, and pushed ss, esp, eflags, cs, eip there;
 *		it has cleared IF and TF.  All else is still the thread's.
 * To:		ring 3, the same thread, by iret: in between it has waited in schedule,
 *		and the other has run.
 * Stack:	the thread's kernel stack, from its end on, for C as well.
 * Interrupts:	off.
 * Intel:	volume 3, section 6.12.1; volume 2, INT n and IRET.
 *
 * gate_with_stop is the same with a magic breakpoint in front.  The IDT points
 * there as long as every switch is shown (show/look.c).
 */
	.global	gate_with_stop, ckpt_int, gate
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	save_registers			# a struct frame, at the stack's end

	# Until here ds and es were the thread's; ss is not: the CPU has loaded it, with
	# ss0.  Two far pointers give C its segments and its arguments at once.
	lds	%ss:current, %eax	# the thread that runs
	les	THREAD_NEXT(%eax), %edx	# the next one
	cld				# C counts on it; the gate has not cleared it
	call	schedule		# schedule.c; time passes
leave_ring0:
	restore_registers
	iret
	restored_since leave_ring0

	fault_vectors_to fault_entry

/*
 * fault_entry - exceptions and interrupts; those of ring 3 are like the gate
 *
 * From:	the IDT, out of any ring, by way of fault_vectors.
 * In:		ss:esp: vector, error code (vectors.h), the CPU's words.  ss is
 *		RING0_DATA, whichever ring was interrupted; ds, es, fs, gs may be anything.
 * Does:	takes vector and error code off the stack, so that a struct frame lies
 *		there (from ring 0 without esp and ss).
 * To:		ring 3, the same thread, if fault (threads.c) comes back.
 * Stack:	the kernel stack of the running thread: from its end on if it was in
 *		ring 3, and further down if ring 0 itself has failed.
 * Interrupts:	off.
 */
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
	jmp	leave_ring0

	.data
	.balign	4
	.global	current
current:				# a far pointer to the thread that runs; C knows only
	.long	0			# the first word
	.word	RING0_DATA

	.bss
	.balign	4
fault_vector:
	.space	4
fault_error:
	.space	4
	.text


/* ---- the switch -------------------------------------------------------- */

/*
 * switch_stacks - the one moment in which one thread stops and the other goes on
 *
 *	struct thread *switch_stacks(struct thread *from, struct thread *to);
 *
 * From:	schedule (schedule.c).  The call has pushed the resume address.
 * In:		eax: the thread that runs; edx: the next one.
 * Out:		eax: the thread that runs now.  It held itself in eax when it called,
 *		and pusha has kept that, so it need not be told which thread it is.
 *		All other registers and flags are as they were at its own call.
 * Stack:	from's kernel stack, then to's.
 * Interrupts:	off.
 *
 * enter_stack is the second half alone, for a caller that leaves nothing behind.
 */
	.global	switch_stacks, enter_stack
switch_stacks:
	pusha				# a struct switched (thread.h)
	pushf
	mov	%esp, THREAD_ESP(%eax)
enter_stack:
	mov	THREAD_ESP(%edx), %esp
	popf
	popa
	ret				# to to's resume address

/*
 * first_schedule - a new thread's first steps
 *
 * From:	the ret above: thread_prepare has put this address on the stack.
 * In:		eax: the thread; ebp: the end of every backtrace.  The frame above
 *		that is what ring 3 begins with: ds, es its data, fs, gs its TLS, two
 *		arguments in ecx and edx, all other registers zero.
 * Stack:	the thread's kernel stack, with nothing on it but a struct new_stack.
 * Interrupts:	off.
 */
	.global	first_schedule
first_schedule:
	call	schedule_in		# as schedule does when switch_stacks comes back
	pop	%eax			# the end of every backtrace, two words
	pop	%eax
	jmp	leave_ring0

/*
 * leave_kernel_stack - no thread is left, and each may be made new on its old stack
 *
 * From:	fault (threads.c), on the kernel stack of the last thread.
 * To:		threads_wait (threads.c).
 * Stack:	ring0_stack, from its end: start never returns to it.
 * Interrupts:	off.
 */
	.global	leave_kernel_stack
leave_kernel_stack:
	mov	$ring0_stack_end, %esp
	jmp	threads_wait


/* ---- the threads ------------------------------------------------------- */

/*
 * What runs in ring 3: the same instructions for both threads.
 *
 * From:	iret, at offset 0 of USER_CODE; later behind the int 0x30.
 * In:		ds = es = ss = USER_DATA; fs, gs: the thread's own; ecx: its window;
 *		edx: whether it should show the time; all else zero.
 * Stack:	its own, in USER_DATA; the same esp at every int 0x30.
 *
 * %gs:TURNS is one address in the code and two counts in memory: that is what TLS,
 * thread-local storage, is for.
 */
#define PROC(name) thread_##name

	.section .text.procs, "ax"
	.global	thread_code, thread_int
thread_code:
	mov	%ecx, %es
	mov	%edx, %gs:CLOCK
thread_turn:
	addl	$1, %gs:TURNS
	adcl	$0, %gs:TURNS + 4
	cmpl	$ASK_NOTHING, %fs:ASKED
	jne	thread_asked
thread_int:
	int	$0x30			# the other thread's turn; we'll be back right here
	jmp	thread_turn

thread_asked:
	pusha				# whatever was asked: the count first
	mov	%gs:TURNS, %esi
	mov	%gs:TURNS + 4, %edi
	lea	32(%esp), %eax		# esp before pusha, as it is at int 0x30
	call	thread_draw
	cmpl	$0, %gs:CLOCK
	je	1f
	call	thread_clock
1:	popa
	cmpl	$ASK_MISTAKE, %fs:ASKED
	jae	2f
	movl	$ASK_NOTHING, %fs:ASKED
	jmp	thread_int

2:	mov	%fs:ASKED, %eax
	sub	$ASK_MISTAKE, %eax
	cmp	$ASK_CLOCK - ASK_MISTAKE, %eax
	jb	thread_mistake
	movl	$1, %gs:CLOCK
	movl	$ASK_COUNT, %fs:ASKED
	jmp	thread_asked

/*
 * The time of day, from the clock chip: an index goes out, a number in two decimal
 * digits comes in.  A thread without these ports gets a #GP(0) at the first out.
 * Interrupts are on, but none of them touches the clock.
 * Clobbers:	eax, ecx, ebx.
 */
#define CMOS_HOURS		4	/* minutes are 2, seconds 0 */
#define CMOS_STATUS_A		0x0a
#define CMOS_UPDATING		0x80	/* the numbers are about to change */

	.global	thread_clock
thread_clock:
	mov	$CMOS_STATUS_A, %al
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al
	test	$CMOS_UPDATING, %al
	jnz	2f			# next time, then
	mov	$CELL(WINDOW_END_ROW, COUNT_COLUMN), %ebx
	mov	$CMOS_HOURS, %cl
1:	mov	%cl, %al
	out	%al, $CMOS_INDEX
	in	$CMOS_DATA, %al
	mov	%al, %ah
	shr	$4, %al
	and	$0xf, %ah
	add	$'0' << 8 | '0', %ax
	mov	%al, %es:(%ebx)
	mov	%ah, %es:2(%ebx)
	add	$CELL(0, 3), %ebx	# over the colon
	sub	$2, %cl
	jns	1b
2:	ret

#define WINDOW %es
#include "ring3/draw.h"
#undef WINDOW

#include "ring3/mistakes.h"

	.set	thread_code_bytes, . - thread_code

	.section .note.GNU-stack, "", @progbits

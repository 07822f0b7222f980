/*
 * From one thread to the other: one schedules itself out, on its own kernel stack;
 * the other finds itself scheduled in, on its own.
 *
 *	out	interrupts are off: that is checked
 *		fs and gs will find the other's segments: their bases change in the GDT
 *		this thread's ports are closed
 *		resume address, registers, flags go on the stack (switch_stacks, kstack.S)
 *	--------esp := the other's --------------------------------------------
 *	in	flags, registers, resume address come from that stack
 *		esp0 := the end of this thread's stack, where the next int begins
 *		this thread's ports are opened
 *
 * A thread that is scheduled in for the first time finds a stack that was prepared
 * for it, and goes the same way.
 *
 * All functions: ring 0, interrupts off, the kernel stack of the thread that runs,
 * unless it says otherwise.
 */
#include "panic.h"
#include "thread.h"
#include "thread_segments.h"
#include "x86.h"

extern struct descriptor gdt[];			/* kstack.S */
extern struct tss tss;
extern uint8_t io_bitmap[];			/* the TSS's: a bit for each port, 1: closed */
extern uint32_t program_base;			/* enter.S */

struct thread *current;				/* 0 before there is one */
static struct thread *previous;

/* Intel, volume 3, section 3.4.5: a descriptor has its base in three pieces. */
static void set_base(unsigned selector, const void *offset)
{
	struct descriptor *descriptor = &gdt[selector / DESCRIPTOR_BYTES];
	uint32_t base = program_base + (uint32_t)offset;

	descriptor->base_low = base;
	descriptor->base_mid = base >> 16;	/* above is 0: base < 0x110000 */
}

/* fs and gs hold what they held until they are loaded again: the gate's pops do. */
static void take_tls(const struct thread *thread)
{
	set_base(TLS_1, thread->tls[0]);
	set_base(TLS_2, thread->tls[1]);
}

/* Intel, volume 1, section 19.5.2: the I/O permission bit map. */
static void close_ports(const struct thread *thread)
{
	for (const uint16_t *port = thread->ports; *port; port++)
		io_bitmap[*port / 8] |= 1 << *port % 8;
}

static void open_ports(const struct thread *thread)
{
	for (const uint16_t *port = thread->ports; *port; port++)
		io_bitmap[*port / 8] &= ~(1 << *port % 8);
}

/* Of the thread that runs, all that is not registers and stack. */
static void schedule_out(struct thread *to)
{
	uint32_t eflags;

	__asm__ volatile("pushf; pop %0" : "=r"(eflags));
	if (eflags & EFLAGS_IF)
		panic_because("schedule: interrupts are on");
	take_tls(to);
	close_ports(current);
	previous = current;
}

/*
 * From:	yield, in the midst of the running thread's int 0x30.
 * In:		whose turn it is.
 * Out:		comes back when it is the caller's turn again.
 * Errors:	interrupts on: panic.
 */
void schedule(struct thread *to)
{
	schedule_out(to);
	schedule_in(switch_stacks(current, to));
}

/*
 * The same for who will not come back, and of whom nothing is kept: start, and a
 * thread that has ended.  Any stack.
 */
void schedule_away(struct thread *to)
{
	schedule_out(to);
	enter_stack(current, to);
}

/*
 * From:	schedule, or first_schedule (kstack.S), right after the change of stacks.
 * In:		who it is that runs now: it has known all the while, in a register
 *		that pusha and popa have carried over.
 */
void schedule_in(struct thread *self)
{
	self->esp = POISON;
	current = self;
	tss.esp0 = (uint32_t)self->stack_end;
	open_ports(self);
	look_if_due(previous, self);
}

/* An address as ring 3 has it: in USER_DATA. */
static uint32_t user_address(const uint32_t *offset)
{
	return (uint32_t)offset - (uint32_t)user_data;
}

/*
 * Makes a thread new: its data are empty, but for its TLS's own addresses; its
 * kernel stack looks as if it had been scheduled out just before its first
 * instruction.  Neither may be in use.  Any stack.
 */
void thread_prepare(struct thread *thread)
{
	struct new_stack *stack = (struct new_stack *)thread->stack_end - 1;
	uint32_t *user = thread->tls[0];

	for (unsigned i = 0; i < USER_BYTES / sizeof *user; i++)
		user[i] = 0;
	for (unsigned i = 0; i < 2; i++)
		*thread->tls[i] = user_address(thread->tls[i]);

	*stack = (struct new_stack){
		.switched = {
			.eflags = EFLAGS_ALWAYS,
			.ebp = (uint32_t)&stack->end_ebp,
			.eax = (uint32_t)thread,	/* who it is */
			.resume = (uint32_t)first_schedule,
		},
		.end_ebp = POISON,
		.end_eip = POISON,
		.frame = {
			.gs = TLS_2, .fs = TLS_1, .es = USER_DATA, .ds = USER_DATA,
			.ecx = thread->arguments[0], .edx = thread->arguments[1],
			.eip = 0, .cs = USER_CODE,
			.eflags = EFLAGS_ALWAYS | EFLAGS_IF,
			.esp = user_address(user) + USER_BYTES, .ss = USER_DATA,
		},
	};
	thread->esp = (uint32_t)stack;
}

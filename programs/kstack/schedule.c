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
#include "ring0/door.h"
#include "ring0/enter.h"
#include "ring0/panic.h"
#include "ring0/tables.h"
#include "thread.h"
#include "thread_segments.h"

static struct thread *previous;

/*
 * Bytes 2 to 5 of a descriptor: the base's lower 24 bits, and the access byte (Intel,
 * volume 3, section 3.4.5).  The upper 8 bits, in byte 7, are 0 for good: the program
 * lies below 0x110000.
 */
typedef uint32_t base_and_access __attribute__((may_alias, aligned(2)));
_Static_assert(offsetof(struct descriptor, access) == offsetof(struct descriptor, base_low) + 3,
	       "descriptor");

static inline base_and_access *base_in(struct descriptor *descriptor)
{
	return (base_and_access *)&descriptor->base_low;
}

/* fs and gs hold what they held until they are loaded again: the gate's pops do. */
static inline void take_tls(const struct thread *thread)
{
	*base_in(&gdt[TLS_1 / DESCRIPTOR_BYTES]) = thread->tls_base[0];
	*base_in(&gdt[TLS_2 / DESCRIPTOR_BYTES]) = thread->tls_base[1];
}

/*
 * The I/O permission bit map: Intel, volume 1, section 19.5.2.  bts sets a bit, btr
 * clears one; which, they count from an address on, over as many bytes as it takes.
 */
static inline void close_ports(const struct thread *thread)
{
	for (const uint32_t *port = thread->ports; *port != PORTS_END; port++)
		__asm__("bts %1, %0" : "+m"(io_bitmap) : "r"(*port) : "cc");
}

static inline void open_ports(const struct thread *thread)
{
	for (const uint32_t *port = thread->ports; *port != PORTS_END; port++)
		__asm__("btr %1, %0" : "+m"(io_bitmap) : "r"(*port) : "cc");
}

/* Of the thread that runs, all that is not registers and stack. */
static inline __attribute__((always_inline))
void schedule_out(struct thread *from, struct thread *to)
{
	uint32_t eflags;

	__asm__ volatile("pushf; pop %0" : "=r"(eflags));
	if (eflags & EFLAGS_IF)
		panic_because("schedule: interrupts are on");
	take_tls(to);
	close_ports(from);
	previous = from;
}

/*
 * From:	the gate (kstack.S), in the running thread's int 0x30.
 * In:		the thread that runs, and whose turn it is: the same, if it plays alone.
 * Out:		comes back when it is the caller's turn again.
 * Errors:	interrupts on: panic.
 */
void schedule(struct thread *from, struct thread *to)
{
	schedule_out(from, to);
	schedule_in(switch_stacks(from, to));
}

/*
 * The same for who will not come back, and of whom nothing is kept: start, and a
 * thread that has ended.  It has not yielded, so it does not count as a switch.  Any
 * stack.
 */
void schedule_away(struct thread *from, struct thread *to)
{
	switches_left++;
	schedule_out(from, to);
	enter_stack(from, to);
}

/*
 * From:	schedule, or first_schedule (kstack.S), right after the change of stacks.
 * In:		who it is that runs now: it has known all the while, in a register
 *		that pusha and popa have carried over.
 * Does:	counts the switch, too, and looks at the game when that is due.
 */
void schedule_in(struct thread *self)
{
	self->esp = POISON;
	current = self;
	tss.esp0 = (uint32_t)self->stack_end;
	open_ports(self);
	if (!--switches_left)
		look(previous, self);
}

/* An address as ring 3 has it: in USER_DATA. */
static uint32_t user_address(const uint32_t *offset)
{
	return (uint32_t)offset - (uint32_t)user_data;
}

/*
 * Makes a thread new: its data are empty, but for its TLS's own addresses; its
 * kernel stack looks as if it had been scheduled out just before its first
 * instruction.  Neither may be in use, and check.c has nothing to say.  Any stack.
 */
void thread_prepare(struct thread *thread)
{
	struct new_stack *stack = (struct new_stack *)thread->stack_end - 1;
	uint32_t *user = thread_data(thread);

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
	for (unsigned i = 0; i < 2; i++)
		thread->tls_base[i] = (program_base + (uint32_t)thread->tls[i]) |
		    (ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)) << 24;
}

/*
 * From one thread to the other: KSTACK's schedule without TLS and ports, and with a space
 * that changes in switch_stacks (paged.S).
 *
 * All functions: ring 0, interrupts off, the kernel stack of the thread that runs,
 * unless it says otherwise.
 */
#include "ring0/door.h"
#include "ring0/panic.h"
#include "ring0/tables.h"
#include "ring3/ask.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/screen.h"
#include "thread.h"

static struct thread *previous;

static inline __attribute__((always_inline))
void schedule_out(struct thread *from)
{
	uint32_t eflags;

	__asm__ volatile("pushf; pop %0" : "=r"(eflags));
	if (eflags & EFLAGS_IF)
		panic_because("schedule: interrupts are on");
	previous = from;
}

/*
 * From:	the gate (paged.S), in the running thread's int 0x30.
 * In:		the thread that runs, and the next one: the same, if it plays alone.
 * Out:		comes back when it is the caller's turn again.
 * Errors:	interrupts on: panic.
 */
void schedule(struct thread *from, struct thread *to)
{
	schedule_out(from);
	schedule_in(switch_stacks(from, to));
}

/* The same for a caller that will not come back: start, or a thread that has ended.  It has
   not yielded, so this does not count as a switch.  Any stack. */
void schedule_away(struct thread *from, struct thread *to)
{
	switches_left++;
	schedule_out(from);
	enter_stack(from, to);
}

/* A look at the game, when one is due (show/look.c).  gs: anything. */
static void look(struct thread *from, struct thread *to)
{
	screen_use();

	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		panel_show(switches, from, to);
	ask_count(thread_word(from, ASKED));
	ask_count(thread_word(to, ASKED));
	look_end(from->place, to->place);
	doors_set();
}

/*
 * From:	schedule, or first_schedule (paged.S), right after the change of stacks.
 * In:		the thread that runs now: it has known all along, in a register that
 *		pusha and popa have carried over.
 * Does:	also counts the switch, and looks at the game when that is due.
 */
void schedule_in(struct thread *self)
{
	current = self;
	tss.esp0 = self->esp0;
	if (!--switches_left)
		look(previous, self);
}

/*
 * The two threads and their lives: turns, an end, a new start; and what the keys do.
 *
 * All functions: ring 0, interrupts off, the kernel stack of the thread that runs,
 * unless it says otherwise.
 */
#include "ring0/cause.h"
#include "show/look.h"
#include "show/pace.h"
#include "ring3/ask.h"
#include "show/program.h"
#include "show/report.h"
#include "show/screen.h"
#include "show/text.h"
#include "thread.h"
#include "procs/turns.h"
#include "thread_segments.h"
#include "ring0/watchdog.h"
#include "show/window.h"

static uint8_t stack_a[KSTACK_BYTES] __attribute__((aligned(4)));
static uint8_t stack_b[KSTACK_BYTES] __attribute__((aligned(4)));

/* What the threads see in ds: a piece for each, with its two TLS at the bottom. */
uint32_t user_data[USER_DATA_BYTES / sizeof(uint32_t)];
enum { TLS_WORDS = TLS_BYTES / sizeof(uint32_t), USER_WORDS = USER_BYTES / sizeof(uint32_t) };

static struct thread *ended_last;	/* valid when no thread is left */

static const uint32_t clock_ports[] = { CMOS_INDEX, CMOS_DATA, PORTS_END };
static const uint32_t no_ports[] = { PORTS_END };

struct thread thread_a = {
	.stack_end = stack_a + KSTACK_BYTES, .esp = POISON, .ports = clock_ports,
	.tls = { user_data, user_data + TLS_WORDS },
	.next_segment = RING0_DATA, .name = 'A', .place = 0, .arguments = { A_SCREEN, true },
};
struct thread thread_b = {
	.stack_end = stack_b + KSTACK_BYTES, .esp = POISON, .ports = no_ports,
	.tls = { user_data + USER_WORDS, user_data + USER_WORDS + TLS_WORDS },
	.next_segment = RING0_DATA, .name = 'B', .place = 1, .arguments = { B_SCREEN, false },
};

/*
 * Starts a thread, for the first time or again.
 * Errors: what it asks for is refused (check.c): log and screen say so, and it does not
 * play.
 */
static void thread_start(struct thread *thread)
{
	const char *what = "ports", *why = ports_error(thread->ports);

	if (!why) {
		what = "tls";
		why = tls_error(thread);
	}
	if (why) {
		log_line("refused thread=%c %s=\"%s\"", thread->name, what, why);
		stacks_refused(thread, what, why);
		return;
	}
	thread_prepare(thread);
	*ask_of(thread) = ASK_COUNT;
	stacks_start(thread);
	join(thread);
}

/*
 * From: start (kstack.S), once, before ring 3 exists.  Stack: ring0_stack.
 * Out: the first thread to run.
 * Errors: all are refused: waits, since key r tries again.
 */
struct thread *threads_start(void)
{
	look_start();
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0,
		   program.ring0_title);
	screen_put(KEYS_ROW, 2, KEYS,
	    "space hold  + - pace  f full speed  1-6 A's mistakes  7 B's  r restart  q quit");
	thread_start(&thread_a);
	thread_start(&thread_b);
	if (!current) {
		log_line("halt reason=\"no thread was started\"");
		while (!current)
			look_while_halted("No thread was started. Each window says why.");
		watchdog_start();
	}
	return current;
}

/*
 * No thread is left: waits until a key has restarted one, and goes on with it.
 * From: leave_kernel_stack (kstack.S).  Stack: ring0_stack, from its end.
 */
_Noreturn void threads_wait(void)
{
	while (!current)
		look_while_halted("No thread is left.");
	watchdog_start();
	schedule_away(ended_last, current);
}

/*
 * From:	fault_entry (kstack.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		comes back if the thread goes on.  If not, its stack is left for good.
 */
void fault(const struct frame *frame, uint32_t vector, uint32_t error)
{
	struct thread *ending = current;
	struct cause cause = { .vector = vector, .error = error };

	screen_use();
	if (!fault_ends(ending->name, frame, &cause))
		return;

	struct thread *next = leave_turns(ending);

	report_end(ending->name, ending->place,
		   cause.restoring ? thread_frame(ending) : frame, &cause,
		   next ? next->name : 0);
	if (!next) {
		ended_last = ending;
		current = 0;
		leave_kernel_stack();
	}
	watchdog_start();		/* the next one's time begins now */
	schedule_away(ending, next);
}

/* Restarts a thread that has ended, on its old kernel stack. */
static void restart(struct thread *thread)
{
	if (thread->playing)
		return;
	thread_start(thread);
	if (thread->playing)
		report_start(thread->name);
}

void procs_restart(void)
{
	restart(&thread_a);
	restart(&thread_b);
}

/* In: 0 to MISTAKES - 1: one of A's mistakes; MISTAKES: B tries to show the time as well. */
void proc_ask_mistake(unsigned number)
{
	if (number > MISTAKES)
		return;

	const struct thread *thread = number < MISTAKES ? &thread_a : &thread_b;

	if (!thread->playing)
		procs_restart();
	if (thread->playing)
		*ask_of(thread) = ASK_MISTAKE + number;
}

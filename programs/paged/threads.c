/*
 * The two threads and their lives: turns, an end, a new start; and what the keys do.
 *
 * All functions: ring 0, interrupts off, the kernel stack of the thread that runs,
 * unless it says otherwise.
 */
#include "ring0/cause.h"
#include "ring0/flat_segments.h"
#include "ring0/watchdog.h"
#include "ring3/ask.h"
#include "thread.h"
#include "procs/turns.h"
#include "show/layout.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/program.h"
#include "show/report.h"
#include "show/screen.h"
#include "show/text.h"
#include "show/walk.h"

enum { KSTACK_BYTES = 1024 };
static uint8_t stack_a[KSTACK_BYTES] __attribute__((aligned(4)));
static uint8_t stack_b[KSTACK_BYTES] __attribute__((aligned(4)));

static struct thread *ended_last;	/* valid when no thread is left */

struct thread thread_a = {
	.stack_end = stack_a + KSTACK_BYTES, .esp0 = (uint32_t)stack_a + KSTACK_BYTES,
	.next_segment = RING0_DATA, .name = 'A', .place = 0, .first_page = FIRST_OF_A,
};
struct thread thread_b = {
	.stack_end = stack_b + KSTACK_BYTES, .esp0 = (uint32_t)stack_b + KSTACK_BYTES,
	.next_segment = RING0_DATA, .name = 'B', .place = 1, .first_page = FIRST_OF_B,
};

/* Makes a thread new, in a new space: its kernel stack is as if it had been scheduled out just
   before its first instruction. */
static void thread_start(struct thread *thread)
{
	struct new_stack *stack = (struct new_stack *)thread->stack_end - 1;
	static const char *const secrets[] = { "what only A knows", "B's own secret" };

	*stack = (struct new_stack){
		.switched = {
			.eflags = EFLAGS_ALWAYS, .ebp = (uint32_t)&stack->end_ebp,
			.eax = (uint32_t)thread,	/* "self", as switch_stacks returns it */
			.resume = (uint32_t)first_schedule,
		},
		.frame = {
			.es = USER_DATA, .ds = USER_DATA, .eip = RING3_CODE, .cs = USER_CODE,
			.eflags = EFLAGS_ALWAYS | EFLAGS_IF, .esp = RING3_STACK_END, .ss = USER_DATA,
		},
	};
	thread->esp = (uint32_t)stack;
	format((char *)thread_word(thread, SECRET), secrets[thread->place]);
	*thread_word(thread, ASKED) = ASK_COUNT;
	panel_start(thread);
	join(thread);
}

/* From: start (paged.S), once.  Stack: ring0_stack.  Out: the first thread to run. */
struct thread *threads_start(void)
{
	spaces_start();			/* this takes long: before the alarm is set */
	space_make(&thread_a);
	space_make(&thread_b);
	look_start();
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	screen_put(KEYS_ROW, 2, KEYS,
	    "space hold  + - pace  f full speed  1-9 A's mistakes  k hide  r again  q quit");
	thread_start(&thread_a);
	thread_start(&thread_b);
	panel_event("ring 0 is %s; k hides it", cpu_has_pge ? "global" : "in both spaces");
	log_line("pages wp=%s global=%s a=%8 b=%8", cpu_has_wp ? "yes" : "no", cpu_has_pge ? "yes" : "no",
		 thread_a.space, thread_b.space);
	return current;
}

/* From: leave_kernel_stack (paged.S): waits until a key has restarted a thread.  Stack: ring0_stack. */
_Noreturn void threads_wait(void)
{
	while (!current)
		look_while_halted("No thread is left.");
	watchdog_start();
	schedule_away(ended_last, current);
}

/*
 * From:	fault_entry (paged.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		comes back if what was interrupted goes on.  If not, its stack is left for good.
 */
void fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	uint32_t address = fault_address();
	struct thread *ending = current;
	struct cause cause = { .vector = vector, .error = error };

	screen_use();
	if (vector == VECTOR_PF && ending && page_fault_mended(ending, frame, error, address))
		return;
	if (!fault_ends(ending->name, frame, &cause)) {
		if (vector == VECTOR_BP && (frame->eip & PAGE_ADDRESS) == RING3_DATA)
			panel_event("%c runs data: no bit forbids it", ending->name);
		return;
	}

	struct thread *next = leave_turns(ending);
	const struct frame *told = cause.restoring ? thread_frame(ending) : frame;

	cause.unreadable = walk_unreadable(ending->space, told->eip);
	if (vector == VECTOR_PF)
		cause.page = walk_words(ending->space, walk(ending->space, address), error);
	report_end(ending->name, ending->place, told, &cause, next ? next->name : 0);
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
	space_make(thread);
	thread_start(thread);
	report_start(thread->name);
}

void procs_restart(void)
{
	restart(&thread_a);
	restart(&thread_b);
}

/* In: 0 to PAGED_MISTAKES - 1: one of A's mistakes (the sixth is B's as well); the one behind:
   key k. */
void proc_ask_mistake(unsigned number)
{
	enum { OTHERS_SECRET = 5 };

	if (number == PAGED_MISTAKES) {
		hide_ring0(!ring0_hidden);
		return;
	}
	if (!thread_a.playing)
		procs_restart();
	*thread_word(&thread_a, ASKED) = ASK_MISTAKE + number;
	if (number == OTHERS_SECRET && thread_b.playing)
		*thread_word(&thread_b, ASKED) = ASK_MISTAKE + number;
}

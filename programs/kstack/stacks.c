/*
 * Ring 0's panel: both kernel stacks, from the end where int begins to the saved
 * esp; esp0; the bases of fs and gs, and the open ports.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "show/text.h"
#include "thread.h"
#include "thread_segments.h"
#include "show/window.h"
#include "show/words.h"
#include "ring0/tables.h"

/* In a half's third column, below the words by push. */
enum {
	SWITCHED_ROW = FRAME_ROW + 5,
	SWITCHED_COLUMN = 29,
	SWITCHED_WORDS = 3,
};

/* A thread's window, and its half of the panel, empty. */
static void start(const struct thread *thread)
{
	window_start(thread->place, thread->place ? " thread B, ring 3 " :
	    " thread A, ring 3, owner of the clock's ports ");
}

/* A thread's window, and what stands around its stack, as they are when it starts. */
void stacks_start(const struct thread *thread)
{
	unsigned column = half_column(thread->place);

	start(thread);
	if (*thread->ports != PORTS_END)
		screen_put(A_ROW + WINDOW_END_ROW, COUNT_LABEL_COLUMN, LABEL, "time    :  :");
	screen_put(HALF_ROW, column, proc_colour(thread->place),
	    thread->place ? "kernel stack of B" : "kernel stack of A");
	words_start(thread->place);
	screen_put(SWITCHED_ROW - 1, column + SWITCHED_COLUMN, FAINT, "saved");
	screen_put(SWITCHED_ROW, column + SWITCHED_COLUMN, LABEL, "to ");
	screen_put(SWITCHED_ROW + 1, column + SWITCHED_COLUMN, LABEL, "is ");
	screen_put(SWITCHED_ROW + 2, column + SWITCHED_COLUMN, LABEL, "fl ");
}

/* A thread that could not be made.  In: what is wrong about it (check.c). */
void stacks_refused(const struct thread *thread, const char *what, const char *why)
{
	char line[COLUMNS + 1];

	start(thread);
	format(line, "not started, %s %s", what, why);
	screen_put((thread->place ? B_ROW : A_ROW) + WINDOW_END_ROW, COUNT_LABEL_COLUMN, ALARM, line);
	screen_put(HALF_ROW, half_column(thread->place), ALARM,
		   thread->place ? " thread B was refused " : " thread A was refused ");
}

/* What lies at the saved esp; nothing does while the thread runs. */
static void show_switched(const struct thread *thread)
{
	const struct switched *switched = (const struct switched *)thread->esp;
	unsigned column = half_column(thread->place) + SWITCHED_COLUMN + 3;

	if (thread->esp == POISON) {
		for (unsigned row = 0; row < SWITCHED_WORDS; row++)
			screen_put(SWITCHED_ROW + row, column, FAINT, "----");
		return;
	}
	screen_put(SWITCHED_ROW, column, VALUE, hex(switched->resume, 4));
	screen_put(SWITCHED_ROW + 1, column, VALUE, hex(switched->eax, 4));
	screen_put(SWITCHED_ROW + 2, column, VALUE, hex(switched->eflags, 4));
}

/* The arrow is where esp0 says, not where we think it should be. */
static void show_stack(const struct thread *thread, const char *what)
{
	uint32_t end = (uint32_t)thread->stack_end;
	unsigned column = half_column(thread->place);

	screen_put(HALF_ROW, column + 26, BALL, what);
	words_show(thread->place, thread_frame(thread));
	show_switched(thread);
	screen_put(FRAME_END_ROW, column, LABEL, "esp");
	screen_put(FRAME_END_ROW, column + 4, thread->esp == POISON ? FAINT : VALUE,
	    hex(thread->esp, 8));
	screen_put(FRAME_END_ROW, column + 14, FAINT, "end");
	screen_put(FRAME_END_ROW, column + 18, VALUE, hex(end, 8));
	screen_put(FRAME_END_ROW, column + 27, BALL, tss.esp0 == end ? "\x1b esp0" : "      ");
}

static uint32_t base_of(unsigned selector)
{
	const struct descriptor *descriptor = &gdt[selector / DESCRIPTOR_BYTES];

	return descriptor->base_low | (uint32_t)descriptor->base_mid << 16;
}

static bool is_open(unsigned port)
{
	return !(io_bitmap[port / 8] & 1 << port % 8);
}

/*
 * What a switch has changed.  In: how many there were, the threads it was from and
 * to (the same, if one plays alone).
 */
void stacks_show(uint64_t switches, const struct thread *from, const struct thread *to)
{
	char line[HALF_COLUMNS + 1];

	screen_switches(switches);
	show_stack(from, "just saved");
	show_stack(to, "iret next ");
	words_show_tss(&tss);
	format(line, "fs %8 gs %8 ports %s", base_of(TLS_1), base_of(TLS_2),
	    is_open(CMOS_INDEX) ? "70-71" : "none ");
	screen_put(TSS_ROW, HALF_RIGHT, LABEL, line);
}

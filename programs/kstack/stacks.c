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
	SWITCHED_ROW = 5,
	SWITCHED_COLUMN = 29,
};

/* What lies at the saved esp, the lower halves: where it goes on, who it is, its flags. */
static const struct word switched[] = {
	WORD("to ", struct switched, resume, 4, SWITCHED_ROW, SWITCHED_COLUMN, VALUE),
	WORD("is ", struct switched, eax, 4, SWITCHED_ROW + 1, SWITCHED_COLUMN, VALUE),
	WORD("fl ", struct switched, eflags, 4, SWITCHED_ROW + 2, SWITCHED_COLUMN, VALUE),
	{ 0 },
};

/* A thread's window, and its half of the panel, empty. */
static void start(const struct thread *thread)
{
	window_start(thread->place, thread->place ? " thread B, ring 3 " :
	    " thread A, ring 3, owner of the clock's ports ");
}

/* A thread's window, and the labels around its stack, at the thread's start. */
void stacks_start(const struct thread *thread)
{
	unsigned column = half_column(thread->place);

	start(thread);
	if (*thread->ports != PORTS_END)
		screen_put(A_ROW + WINDOW_END_ROW, COUNT_LABEL_COLUMN, LABEL, "time    :  :");
	screen_put(HALF_ROW, column, proc_colour(thread->place),
	    thread->place ? "kernel stack of B" : "kernel stack of A");
	frame_name(thread->place);
	screen_put(WORDS_ROW + SWITCHED_ROW - 1, column + SWITCHED_COLUMN, FAINT, "saved");
	words_name(switched, thread->place);
	tss_name();
}

/* A thread that could not be made.  In: what is wrong with it (check.c). */
void stacks_refused(const struct thread *thread, const char *what, const char *why)
{
	char line[COLUMNS + 1];

	start(thread);
	format(line, "not started, %s %s", what, why);
	screen_put((thread->place ? B_ROW : A_ROW) + WINDOW_END_ROW, COUNT_LABEL_COLUMN, ALARM, line);
	screen_put(HALF_ROW, half_column(thread->place), ALARM,
		   thread->place ? " thread B was refused " : " thread A was refused ");
}

/* Nothing lies at the saved esp while the thread runs. */
static void show_switched(const struct thread *thread)
{
	if (thread->esp != POISON)
		words_show(switched, thread->place, (const void *)thread->esp);
	else
		for (const struct word *w = switched; w->name; w++)
			screen_put(WORDS_ROW + w->row,
			    half_column(thread->place) + w->column + text_length(w->name), FAINT, "----");
}

/* The arrow stands where esp0 points, not where we think it should. */
static void show_stack(const struct thread *thread, const char *what)
{
	uint32_t end = (uint32_t)thread->stack_end;
	unsigned column = half_column(thread->place);

	screen_put(HALF_ROW, column + 26, BALL, what);
	frame_show(thread->place, thread_frame(thread));
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
 * What a switch has changed.  In: how many switches there were; the threads it went
 * from and to (the same one, if it plays alone).
 */
void stacks_show(uint64_t switches, const struct thread *from, const struct thread *to)
{
	char line[HALF_COLUMNS + 1];

	screen_switches(switches);
	show_stack(from, "just saved");
	show_stack(to, "iret next ");
	tss_show(&tss);
	format(line, "fs %8 gs %8 ports %s", base_of(TLS_1), base_of(TLS_2),
	    is_open(CMOS_INDEX) ? "70-71" : "none ");
	screen_put(TSS_ROW, HALF_RIGHT, LABEL, line);
}

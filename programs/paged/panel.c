/*
 * What the screen shows of PAGED: both kernel stacks, as in KSTACK; both spaces, where the same
 * linear address leads to; and esp0.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "ring0/tables.h"
#include "thread.h"
#include "show/text.h"
#include "show/window.h"
#include "show/words.h"

/* In a half's first column, below the words by int. */
enum {
	SPACE_ROW = WORDS_ROW + 5,
	SPACE_VALUE = 7,
};

/* A thread's window, and the labels around its stack, at the thread's start. */
void panel_start(const struct thread *thread)
{
	unsigned column = half_column(thread->place);

	window_start(thread->place, thread->place ? " thread B, ring 3 " : " thread A, ring 3 ");
	screen_put((thread->place ? B_ROW : A_ROW) + WINDOW_END_ROW, SECRET_COLUMN - 12, LABEL, "at");
	screen_put((thread->place ? B_ROW : A_ROW) + WINDOW_END_ROW, SECRET_COLUMN - 9, LABEL, hex(SECRET, 8));
	screen_put(HALF_ROW, column, proc_colour(thread->place),
	    thread->place ? "kernel stack, space of B" : "kernel stack, space of A");
	frame_name(thread->place);
	screen_put(SPACE_ROW, column, LABEL, "cr3");
	screen_put(SPACE_ROW + 1, column, LABEL, "linear");
	screen_put(SPACE_ROW + 2, column, LABEL, "lies");
	tss_name();
	window_page(thread->place, *pool_page(thread->first_page + WINDOW), false);
}

/* The arrow stands where esp0 points, not where we think it should. */
static void show(const struct thread *thread, const char *what)
{
	uint32_t end = (uint32_t)thread->stack_end;
	unsigned column = half_column(thread->place);

	window_page(thread->place, *pool_page(thread->first_page + WINDOW), true);
	screen_put(HALF_ROW, column + 26, BALL, what);
	frame_show(thread->place, thread_frame(thread));
	screen_put(SPACE_ROW, column + SPACE_VALUE, VALUE, hex(thread->space, 8));
	screen_put(SPACE_ROW + 1, column + SPACE_VALUE, VALUE, hex(SECRET, 8));
	screen_put(SPACE_ROW + 2, column + SPACE_VALUE, proc_colour(thread->place),
	    hex(walk(thread->space, SECRET).physical, 8));
	screen_put(FRAME_END_ROW, column, LABEL, "esp");
	screen_put(FRAME_END_ROW, column + 4, VALUE, hex(thread->esp, 8));
	screen_put(FRAME_END_ROW, column + 14, FAINT, "end");
	screen_put(FRAME_END_ROW, column + 18, VALUE, hex(end, 8));
	screen_put(FRAME_END_ROW, column + 27, BALL, tss.esp0 == end ? "\x1b esp0" : "      ");
}

/* What a switch has changed.  In: how many there were; the threads it went from and to. */
void panel_show(uint64_t switches, const struct thread *from, const struct thread *to)
{
	screen_switches(switches);
	show(from, "just saved");
	show(to, "iret next ");
	tss_show(&tss);
}

/* What has happened last, at the lower right of the panel.  In: as format (show/text.h). */
void panel_event(const char *how, ...)
{
	static char line[COLUMNS + 1];
	va_list values;

	va_start(values, how);
	format_list(line, how, values);
	va_end(values);
	screen_fill(TSS_ROW, HALF_RIGHT, HALF_COLUMNS, LABEL | ' ');
	screen_put(TSS_ROW, HALF_RIGHT, LABEL, line);
}

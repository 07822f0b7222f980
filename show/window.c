/*
 * A proc's window, as ring 0 draws it when the proc starts and when it ends; and the
 * report on its end, in its half of ring 0's panel.  The proc itself writes what
 * changes inside its window (draw.h).
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "window.h"
#include "text.h"

enum colour proc_colour(unsigned place)
{
	return place ? PROC_B : PROC_A;
}

static unsigned window_row(unsigned place)
{
	return place ? B_ROW : A_ROW;
}

unsigned half_column(unsigned place)
{
	return place ? HALF_RIGHT : HALF_LEFT;
}

static void clear_half(unsigned place)
{
	for (unsigned row = 0; row < HALF_ROWS; row++)
		screen_fill(HALF_ROW + row, half_column(place), HALF_COLUMNS, LABEL | ' ');
}

/* The window at its proc's start; the half of the panel is empty. */
void window_start(unsigned place, const char *title)
{
	unsigned window = window_row(place);

	screen_box(window, WINDOW_ROWS, DOUBLE, proc_colour(place), title);
	for (unsigned row = window + 1; row < window + WINDOW_ROWS - 1; row++)
		screen_fill(row, 1, COLUMNS - 2, VALUE | ' ');
	screen_put(window + WINDOW_TEXT_ROW, COUNT_LABEL_COLUMN, LABEL, "count");
	screen_put(window + WINDOW_TEXT_ROW, STACK_LABEL_COLUMN, LABEL, "ss:esp");
	clear_half(place);
}

/* The proc has ended: a red line in its window, and its half is free for the report. */
void window_end(unsigned place, const char *why)
{
	unsigned column = half_column(place);

	screen_put(window_row(place) + WINDOW_END_ROW, COUNT_LABEL_COLUMN, ALARM, why);
	clear_half(place);
	screen_fill(HALF_ROW, column, HALF_COLUMNS, ALARM | ' ');
	screen_put(HALF_ROW, column + 1, ALARM, place ? "proc B has ended" : "proc A has ended");
}

/* A row of that report; a text too long for it goes on in the rows below. */
void window_report(unsigned place, unsigned row, const char *text)
{
	screen_wrapped(HALF_ROW + row, half_column(place), HALF_COLUMNS, VALUE, text);
}

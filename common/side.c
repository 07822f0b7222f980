/*
 * The two sides of the screen, one for each proc, by its place: 0 is A's.  A side is
 * the proc's window and half of ring 0's panel, where a program shows what it keeps
 * of that proc, and in its place, once the proc has ended, the report on that.  What
 * changes inside the window, the proc writes itself (proc.h).
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any stack, interrupts off, no errors.
 */
#include "side.h"

static unsigned window_row(unsigned place)
{
	return place ? B_ROW : A_ROW;
}

enum colour side_colour(unsigned place)
{
	return place ? PROC_B : PROC_A;
}

/* Out: where its half of the panel begins. */
unsigned side_column(unsigned place)
{
	return place ? SIDE_B_COLUMN : SIDE_A_COLUMN;
}

static void clear_half(unsigned place)
{
	for (unsigned row = 0; row < SIDE_ROWS; row++)
		screen_fill(SIDE_TITLE_ROW + row, side_column(place), SIDE_COLUMNS, LABEL | ' ');
}

/* As a side is when its proc starts: the half is empty. */
void side_start(unsigned place)
{
	unsigned window = window_row(place);

	screen_box(window, WINDOW_ROWS, DOUBLE, side_colour(place),
	    place ? " proc B, ring 3 " : " proc A, ring 3 ");
	for (unsigned row = window + 1; row < window + WINDOW_ROWS - 1; row++)
		screen_fill(row, 1, COLUMNS - 2, VALUE | ' ');
	screen_put(window + WINDOW_TEXT_ROW, COUNT_LABEL_COLUMN, LABEL, "count");
	screen_put(window + WINDOW_TEXT_ROW, STACK_LABEL_COLUMN, LABEL, "ss:esp");
	clear_half(place);
}

/* The proc has ended: a red line in its window, and room for a report. */
void side_end(unsigned place, const char *why)
{
	screen_put(window_row(place) + WINDOW_END_ROW, COUNT_LABEL_COLUMN, ALARM, why);
	clear_half(place);
	screen_fill(SIDE_TITLE_ROW, side_column(place), SIDE_COLUMNS, ALARM | ' ');
	screen_put(SIDE_TITLE_ROW, side_column(place) + 1, ALARM,
	    place ? "proc B has ended" : "proc A has ended");
}

/* A line of that report, or what follows from there if it is too long for one. */
void side_report(unsigned place, unsigned row, const char *text)
{
	screen_wrapped(SIDE_TITLE_ROW + row, side_column(place), SIDE_COLUMNS, VALUE, text);
}

/* A proc's window, and its half of ring 0's panel (window.c). */
#ifndef WINDOW_H
#define WINDOW_H

#include "layout.h"
#include "screen.h"

/* A half of the panel; the ball flies between the two. */
enum {
	HALF_ROW = RING0_ROW + 1,
	HALF_ROWS = RING0_ROWS - 3,	/* the panel's last row is the TSS's */
	HALF_COLUMNS = 36,
	HALF_LEFT = 2,
	HALF_RIGHT = 42,
	TSS_ROW = HALF_ROW + HALF_ROWS,
};

/* A proc's place is 0: upper window, left half; or 1: the other. */
enum colour proc_colour(unsigned place);
unsigned half_column(unsigned place);
void window_start(unsigned place, const char *title);
void window_end(unsigned place, const char *why);
void window_page(unsigned place, uint32_t *page, bool to_the_screen);	/* window_page.c */
void window_report(unsigned place, unsigned row, const char *text);

#endif

/* What a proc has of the screen: its window, and its half of ring 0's panel (side.c). */
#ifndef SIDE_H
#define SIDE_H

#include "layout.h"
#include "screen.h"

/* Where a half's title stands, and its rows. */
enum {
	SIDE_TITLE_ROW = RING0_ROW + 1,
	SIDE_ROWS = 11,
	SIDE_COLUMNS = 36,
	SIDE_A_COLUMN = 2,
	SIDE_B_COLUMN = 42,
};

enum colour side_colour(unsigned place);
unsigned side_column(unsigned place);

void side_start(unsigned place);
void side_end(unsigned place, const char *why);
void side_report(unsigned place, unsigned row, const char *text);

#endif

/*
 * Where things stand on the 80 x 25 text screen, for assembly and C alike.
 * A proc's window is whole rows, one piece of video memory, so that one
 * segment can hold exactly that.
 *
 *	row  0		pace, number of switches
 *	rows 1-4	proc A's window			ring 3
 *	rows 5-18	both frames, TSS, esp0		ring 0
 *	rows 19-22	proc B's window			ring 3
 *	row  23		keys
 *
 * Row 24 is for a hint to those whose keyboard is silent: many terminals have no more
 * than 24.  The ball has columns 38-41 of rows 2-20 to itself.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "ring0/text_memory.h"

#define TITLE_ROW		0
#define A_ROW			1
#define RING0_ROW		5
#define RING0_ROWS		14
#define B_ROW			19
#define KEYS_ROW		23
#define HINT_ROW		24

#define WINDOW_ROWS		4
#define WINDOW_BYTES		(WINDOW_ROWS * ROW_BYTES)
#define WINDOW_LINEAR(row)	(SCREEN_LINEAR + (row) * ROW_BYTES)

/* What a proc writes into its own window: row and columns inside it. */
#define WINDOW_TEXT_ROW		1
#define WINDOW_END_ROW		2		/* ring 0 writes here why a proc has ended */
#define COUNT_LABEL_COLUMN	3
#define COUNT_COLUMN		9		/* 20 decimal digits */
#define COUNT_DIGITS		20
#define STACK_LABEL_COLUMN	52
#define STACK_COLUMN		59		/* ssss:eeeeeeee, hexadecimal */

#define BALL_COLUMN		38

#endif

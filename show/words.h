/*
 * Words of memory in a half of ring 0's panel: a table says which, and where they stand
 * (words.c); frames (frame_words.c), the TSS (tss_words.c).
 */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "ring0/frame.h"
#include "ring0/x86.h"
#include "window.h"

/* Rows of a half: title, who pushes, the words, the end. */
enum {
	WORDS_ROW = HALF_ROW + 2,
	FRAME_ROWS = 8,
	FRAME_END_ROW = WORDS_ROW + FRAME_ROWS,
};

/* A row of a table; the last one has no name. */
struct word {
	const char *name;	/* its value follows it */
	uint8_t offset;		/* in what is shown */
	uint8_t digits : 4;	/* of the value: 4 or 8 */
	uint8_t row : 4;	/* from WORDS_ROW on */
	uint8_t column;		/* in the half */
	uint8_t attribute;	/* of the value; 0: the proc's colour */
};
#define WORD(name, struct, field, digits, row, column, colour) \
	{ name, offsetof(struct, field), digits, row, column, (colour) >> 8 }
#define OF_THE_PROC	0	/* a colour */

void words_name(const struct word *words, unsigned place);
void words_show(const struct word *words, unsigned place, const void *from);

void frame_name(unsigned place);
void frame_show(unsigned place, const struct frame *frame);

void tss_name(void);
void tss_show(const struct tss *tss);

#endif

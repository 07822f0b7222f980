/* The words of a frame in ring 0's panel (words.c). */
#ifndef WORDS_H
#define WORDS_H

#include "ring0/frame.h"
#include "window.h"
#include "ring0/x86.h"

/* Rows of a half: title, who pushes, the words, the end. */
enum {
	FRAME_ROW = HALF_ROW + 2,
	FRAME_ROWS = 8,
	FRAME_END_ROW = FRAME_ROW + FRAME_ROWS,
};

void words_start(unsigned place);
void words_show(unsigned place, const struct frame *frame);
void words_show_tss(const struct tss *tss);

#endif

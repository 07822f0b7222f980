/*
 * What ring 0 may ask of a proc.  It writes the question to the first word of the
 * proc's data, and the proc looks there once a turn: ring 0 can ask, and force nothing.
 */
#ifndef ASK_H
#define ASK_H

#define ASK_NOTHING	0
#define ASK_COUNT	1	/* draw your count */
#define ASK_MISTAKE	2	/* make the first of your mistakes; 3: the second */
#define MISTAKES	6	/* mistakes.h */
#define MISTAKE_BYTES	8

#ifndef __ASSEMBLER__

#include <stdint.h>

/* From: ring 0, after a look.  In: the word of a proc that is asked for its count, unless
   it is asked for something else. */
static inline void ask_count(uint32_t *ask)
{
	if (*ask == ASK_NOTHING)
		*ask = ASK_COUNT;
}

#endif
#endif

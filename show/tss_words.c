/*
 * Where the TSS points, in the last row of ring 0's panel, on the left.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "words.h"

static const struct word words[] = {
	WORD("TSS  ss0:esp0  ", struct tss, ss0, 4, TSS_ROW - WORDS_ROW, 0, VALUE),
	WORD(":", struct tss, esp0, 8, TSS_ROW - WORDS_ROW, 19, VALUE),
	{ 0 },
};

void tss_name(void)
{
	words_name(words, 0);
}

void tss_show(const struct tss *tss)
{
	words_show(words, 0, tss);
}

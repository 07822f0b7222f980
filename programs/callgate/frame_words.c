/*
 * The words of a frame, in its half of ring 0's panel: as show/frame_words.c, but by lcall.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "call_frame.h"
#include "show/words.h"

/* The columns of a half. */
enum {
	BY_LCALL = 0,
	BY_PUSHA = 16,
	BY_PUSH = 29,
};

static const struct word words[] = {
	WORD("ss     ", struct frame, ss, 4, 0, BY_LCALL, VALUE),
	WORD("esp    ", struct frame, esp, 8, 1, BY_LCALL, VALUE),
	WORD("param  ", struct frame, eflags, 8, 2, BY_LCALL, BALL),
	WORD("cs     ", struct frame, cs, 4, 3, BY_LCALL, VALUE),
	WORD("eip    ", struct frame, eip, 8, 4, BY_LCALL, VALUE),
	WORD("eax ", struct frame, eax, 8, 0, BY_PUSHA, VALUE),
	WORD("ecx ", struct frame, ecx, 8, 1, BY_PUSHA, VALUE),
	WORD("edx ", struct frame, edx, 8, 2, BY_PUSHA, VALUE),
	WORD("ebx ", struct frame, ebx, 8, 3, BY_PUSHA, VALUE),
	WORD("esp ", struct frame, pusha_esp, 8, 4, BY_PUSHA, FAINT),
	WORD("ebp ", struct frame, ebp, 8, 5, BY_PUSHA, VALUE),
	WORD("esi ", struct frame, esi, 8, 6, BY_PUSHA, VALUE),
	WORD("edi ", struct frame, edi, 8, 7, BY_PUSHA, VALUE),
	WORD("ds ", struct frame, ds, 4, 0, BY_PUSH, VALUE),
	WORD("es ", struct frame, es, 4, 1, BY_PUSH, VALUE),
	WORD("fs ", struct frame, fs, 4, 2, BY_PUSH, VALUE),
	WORD("gs ", struct frame, gs, 4, 3, BY_PUSH, VALUE),
	{ 0 },
};

/* By pushf, in the word below. */
static const struct word flags[] = {
	{ "eflags ", 0, 8, 6, BY_LCALL, VALUE >> 8 },
	{ 0 },
};

/* The names of the words, and who pushes them. */
void frame_name(unsigned place)
{
	unsigned column = half_column(place);

	screen_put(WORDS_ROW - 1, column + BY_LCALL, FAINT, "by lcall");
	screen_put(WORDS_ROW + 5, column + BY_LCALL, FAINT, "by pushf");
	screen_put(WORDS_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(WORDS_ROW - 1, column + BY_PUSH, FAINT, "by push");
	words_name(words, place);
	words_name(flags, place);
}

void frame_show(unsigned place, const struct frame *frame)
{
	words_show(words, place, frame);
	words_show(flags, place, (const uint32_t *)frame - 1);
}

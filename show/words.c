/*
 * The words of a frame, and where the TSS points, in ring 0's panel.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "words.h"
#include "text.h"
#include "window.h"

/* The columns of a half. */
enum {
	BY_INT = 0,
	BY_PUSHA = 16,
	BY_PUSH = 29,
};

/*
 * A frame's words, three columns by who pushed them, each in the order of the
 * pushes: the highest address is on top.  The esp that pusha saves is faint: it
 * is ring 0's, and popa skips it.
 */
struct word {
	const char *name;
	uint8_t offset;		/* in struct frame */
	uint8_t digits;
	uint8_t row, column;
};
#define WORD(name, field, digits, row, column) \
	{ name, offsetof(struct frame, field), digits, row, column }
static const struct word words[] = {
	WORD("ss     ", ss, 4, 0, BY_INT),
	WORD("esp    ", esp, 8, 1, BY_INT),
	WORD("eflags ", eflags, 8, 2, BY_INT),
	WORD("cs     ", cs, 4, 3, BY_INT),
	WORD("eip    ", eip, 8, 4, BY_INT),
	WORD("eax ", eax, 8, 0, BY_PUSHA),
	WORD("ecx ", ecx, 8, 1, BY_PUSHA),
	WORD("edx ", edx, 8, 2, BY_PUSHA),
	WORD("ebx ", ebx, 8, 3, BY_PUSHA),
	WORD("esp ", pusha_esp, 8, 4, BY_PUSHA),
	WORD("ebp ", ebp, 8, 5, BY_PUSHA),
	WORD("esi ", esi, 8, 6, BY_PUSHA),
	WORD("edi ", edi, 8, 7, BY_PUSHA),
	WORD("ds ", ds, 4, 0, BY_PUSH),
	WORD("es ", es, 4, 1, BY_PUSH),
	WORD("fs ", fs, 4, 2, BY_PUSH),
	WORD("gs ", gs, 4, 3, BY_PUSH),
};
enum { WORDS = sizeof words / sizeof words[0] };

/* The names of the words, and who pushes them. */
void words_start(unsigned place)
{
	unsigned column = half_column(place);

	screen_put(FRAME_ROW - 1, column + BY_INT, FAINT, "by int");
	screen_put(FRAME_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(FRAME_ROW - 1, column + BY_PUSH, FAINT, "by push");
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(FRAME_ROW + w->row, column + w->column, LABEL, w->name);
	screen_put(TSS_ROW, HALF_LEFT, LABEL, "TSS  ss0:esp0");
}

void words_show(unsigned place, const struct frame *frame)
{
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(FRAME_ROW + w->row,
		    half_column(place) + w->column + text_length(w->name),
		    w->offset == offsetof(struct frame, pusha_esp) ? FAINT : VALUE,
		    hex(*(const uint32_t *)((const uint8_t *)frame + w->offset), w->digits));
}

void words_show_tss(const struct tss *tss)
{
	screen_put(TSS_ROW, HALF_LEFT + 15, VALUE, hex(tss->ss0, 4));
	screen_put(TSS_ROW, HALF_LEFT + 19, LABEL, ":");
	screen_put(TSS_ROW, HALF_LEFT + 20, VALUE, hex(tss->esp0, 8));
}

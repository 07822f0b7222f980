/*
 * Ring 0's panel, between the procs' windows: both contexts, word by word, and esp0.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack, interrupts off, no
 * errors.
 */
#include "contexts.h"
#include "show/program.h"
#include "show/text.h"
#include "show/window.h"
#include "ring0/tables.h"

/* The rows and columns of a context in its half of the panel. */
enum {
	CONTEXT_ROW = HALF_ROW + 2,
	BASES_ROW = 8,
	BY_TRAP = 0,
	BY_PUSHA = 16,
	BY_PUSH = 29,
};

/* By who pushed them, each column in the order of the pushes: the highest address is on
   top.  The esp that pusha saves is faint: it is ring 0's, and popa skips it. */
static const struct word {
	const char *name;
	uint8_t offset;		/* in struct user_context */
	uint8_t digits;
	uint8_t row, column;
} words[] = {
#define WORD(name, field, digits, row, column) \
	{ name, offsetof(struct user_context, field), digits, row, column }
	WORD("ss     ", ss, 4, 0, BY_TRAP),
	WORD("esp    ", esp, 8, 1, BY_TRAP),
	WORD("eflags ", eflags, 8, 2, BY_TRAP),
	WORD("cs     ", cs, 4, 3, BY_TRAP),
	WORD("eip    ", eip, 8, 4, BY_TRAP),
	WORD("error    ", error_code, 4, 6, BY_TRAP),
	WORD("trap_num ", trap_num, 4, 7, BY_TRAP),
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
	WORD("fsbase ", fsbase, 8, BASES_ROW, 0),
	WORD("gsbase ", gsbase, 8, BASES_ROW, 17),
#undef WORD
};
enum { WORDS = sizeof words / sizeof words[0] };

static enum colour word_colour(const struct player *player, const struct word *word)
{
	switch (word->offset) {
	case offsetof(struct user_context, pusha_esp):
		return FAINT;
	case offsetof(struct user_context, trap_num):
	case offsetof(struct user_context, error_code):
		return proc_colour(player->place);
	default:
		return VALUE;
	}
}

/* What stands around a context, as it is when its user starts. */
void contexts_player(const struct player *player)
{
	unsigned column = half_column(player->place);

	window_start(player->place, player->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(HALF_ROW, column, proc_colour(player->place),
		   player->place ? "context of B" : "context of A");
	screen_put(HALF_ROW, column + 13, FAINT, "to");
	screen_put(HALF_ROW, column + 16, LABEL, hex((uint32_t)&player->context.fsbase, 8));
	screen_put(CONTEXT_ROW - 1, column + BY_TRAP, FAINT, "by the trap");
	screen_put(CONTEXT_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(CONTEXT_ROW - 1, column + BY_PUSH, FAINT, "by push");
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(CONTEXT_ROW + w->row, column + w->column, LABEL, w->name);
}

/* In: what has become of the context, 10 characters. */
static void draw_context(const struct player *player, const char *what)
{
	const uint8_t *context = (const uint8_t *)&player->context;
	unsigned column = half_column(player->place);

	screen_put(HALF_ROW, column + 26, BALL, what);
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(CONTEXT_ROW + w->row, column + w->column + text_length(w->name),
			   word_colour(player, w),
			   hex(*(const uint32_t *)(context + w->offset), w->digits));
}

void contexts_start(void)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	screen_put(TSS_ROW, HALF_LEFT, LABEL, "TSS  ss0:esp0");
	screen_put(TSS_ROW, HALF_LEFT + 30, FAINT,
		   "where a trap pushes: the end of a context");
}

/* What a switch has changed.  In: how many there were, the players it was from and to
   (the same, if one plays alone). */
void contexts_switch(uint64_t switches, const struct player *from, const struct player *to)
{
	screen_switches(switches);
	draw_context(from, "just saved");
	draw_context(to, "runs next ");
	screen_put(TSS_ROW, HALF_LEFT + 15, VALUE, hex(tss.ss0, 4));
	screen_put(TSS_ROW, HALF_LEFT + 19, LABEL, ":");
	screen_put(TSS_ROW, HALF_LEFT + 20, VALUE, hex(tss.esp0, 8));
}

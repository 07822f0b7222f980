/*
 * Ring 0's panel, between the procs' windows: both contexts, word by word, and esp0.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack, interrupts off, no
 * errors.
 */
#include "contexts.h"
#include "text.h"
#include "window.h"
#include "x86.h"

extern struct tss tss;		/* main.c */

/* Where a context stands in its half of the panel. */
enum {
	CONTEXT_ROW = HALF_ROW + 2,
	GENERAL = 0,
	CONTROL = 18,
};

static const struct word {
	const char *name;
	uint8_t offset;		/* in struct user_context */
	uint8_t row, column;	/* of the name */
	uint8_t value;		/* so many columns on */
} words[] = {
	{ "eax", EAX, 0, GENERAL, 5 },
	{ "ecx", ECX, 1, GENERAL, 5 },
	{ "edx", EDX, 2, GENERAL, 5 },
	{ "ebx", EBX, 3, GENERAL, 5 },
	{ "esp", ESP, 4, GENERAL, 5 },
	{ "ebp", EBP, 5, GENERAL, 5 },
	{ "esi", ESI, 6, GENERAL, 5 },
	{ "edi", EDI, 7, GENERAL, 5 },
	{ "eip", EIP, 0, CONTROL, 10 },
	{ "eflags", EFLAGS, 1, CONTROL, 10 },
	{ "fsbase", FSBASE, 3, CONTROL, 10 },
	{ "gsbase", GSBASE, 4, CONTROL, 10 },
	{ "trap_num", TRAP_NUM, 6, CONTROL, 10 },
	{ "error", ERROR_CODE, 7, CONTROL, 10 },
};
enum { WORDS = sizeof words / sizeof words[0] };

/* What stands around a context, as it is when its user starts. */
void contexts_player(const struct player *player)
{
	unsigned column = half_column(player->place);

	window_start(player->place, player->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(HALF_ROW, column, proc_colour(player->place),
		   player->place ? "context of B" : "context of A");
	screen_put(HALF_ROW, column + 14, FAINT, "at");
	screen_put(HALF_ROW, column + 17, LABEL, hex((uint32_t)&player->context, 8));
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
		screen_put(CONTEXT_ROW + w->row, column + w->column + w->value,
			   w->offset < TRAP_NUM ? VALUE : proc_colour(player->place),
			   hex(*(const uint32_t *)(context + w->offset), 8));
}

void contexts_start(void)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, " ring 0, run(&context) ");
	screen_put(TSS_ROW, HALF_LEFT, LABEL, "TSS  ss0:esp0");
	screen_put(TSS_ROW, HALF_LEFT + 30, FAINT,
		   "the stack of run's caller, at every trap");
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

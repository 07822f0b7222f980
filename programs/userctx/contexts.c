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
#include "show/words.h"
#include "ring0/tables.h"

/* The rows and columns of a context in its half of the panel. */
enum {
	BASES_ROW = 8,
	BY_TRAP = 0,
	BY_PUSHA = 16,
	BY_PUSH = 29,
};

/* By who pushed them, each column in the order of the pushes: the highest address is on
   top.  The esp that pusha saves is faint: it is ring 0's, and popa skips it. */
static const struct word words[] = {
	WORD("ss     ", struct user_context, ss, 4, 0, BY_TRAP, VALUE),
	WORD("esp    ", struct user_context, esp, 8, 1, BY_TRAP, VALUE),
	WORD("eflags ", struct user_context, eflags, 8, 2, BY_TRAP, VALUE),
	WORD("cs     ", struct user_context, cs, 4, 3, BY_TRAP, VALUE),
	WORD("eip    ", struct user_context, eip, 8, 4, BY_TRAP, VALUE),
	WORD("error    ", struct user_context, error_code, 4, 6, BY_TRAP, OF_THE_PROC),
	WORD("trap_num ", struct user_context, trap_num, 4, 7, BY_TRAP, OF_THE_PROC),
	WORD("eax ", struct user_context, eax, 8, 0, BY_PUSHA, VALUE),
	WORD("ecx ", struct user_context, ecx, 8, 1, BY_PUSHA, VALUE),
	WORD("edx ", struct user_context, edx, 8, 2, BY_PUSHA, VALUE),
	WORD("ebx ", struct user_context, ebx, 8, 3, BY_PUSHA, VALUE),
	WORD("esp ", struct user_context, pusha_esp, 8, 4, BY_PUSHA, FAINT),
	WORD("ebp ", struct user_context, ebp, 8, 5, BY_PUSHA, VALUE),
	WORD("esi ", struct user_context, esi, 8, 6, BY_PUSHA, VALUE),
	WORD("edi ", struct user_context, edi, 8, 7, BY_PUSHA, VALUE),
	WORD("ds ", struct user_context, ds, 4, 0, BY_PUSH, VALUE),
	WORD("es ", struct user_context, es, 4, 1, BY_PUSH, VALUE),
	WORD("fs ", struct user_context, fs, 4, 2, BY_PUSH, VALUE),
	WORD("gs ", struct user_context, gs, 4, 3, BY_PUSH, VALUE),
	WORD("fsbase ", struct user_context, fsbase, 8, BASES_ROW, 0, VALUE),
	WORD("gsbase ", struct user_context, gsbase, 8, BASES_ROW, 17, VALUE),
	{ 0 },
};

/* The labels around a context, at its user's start. */
void contexts_player(const struct player *player)
{
	unsigned column = half_column(player->place);

	window_start(player->place, player->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(HALF_ROW, column, proc_colour(player->place),
		   player->place ? "context of B" : "context of A");
	screen_put(HALF_ROW, column + 13, FAINT, "to");
	screen_put(HALF_ROW, column + 16, LABEL, hex((uint32_t)&player->context.fsbase, 8));
	screen_put(WORDS_ROW - 1, column + BY_TRAP, FAINT, "by the trap");
	screen_put(WORDS_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(WORDS_ROW - 1, column + BY_PUSH, FAINT, "by push");
	words_name(words, player->place);
}

/* In: what has become of the context, 10 characters. */
static void draw_context(const struct player *player, const char *what)
{
	screen_put(HALF_ROW, half_column(player->place) + 26, BALL, what);
	words_show(words, player->place, &player->context);
}

void contexts_start(void)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	tss_name();
	screen_put(TSS_ROW, HALF_LEFT + 30, FAINT,
		   "where a trap pushes: the end of a context");
}

/* What a switch has changed.  In: how many switches there were; the players it went from
   and to (the same one, if it plays alone). */
void contexts_switch(uint64_t switches, const struct player *from, const struct player *to)
{
	screen_switches(switches);
	draw_context(from, "just saved");
	draw_context(to, "runs next ");
	tss_show(&tss);
}

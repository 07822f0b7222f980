/*
 * Ring 0's panel: both procs' TSSs, and ring 0's own link; and in the place of a TSS,
 * once its proc has ended, the report on that (window.c).
 *
 * All functions: ring 0 with gs = RING0_SCREEN, a stack of ring 0's, interrupts off, no
 * errors.
 */
#include "task.h"
#include "ring0/tables.h"
#include "show/program.h"
#include "show/screen.h"
#include "show/text.h"
#include "show/window.h"

/* Rows and columns of a half. */
enum {
	TITLE_LINE = HALF_ROW,
	WHO_LINE = HALF_ROW + 1,
	WORDS_LINE = HALF_ROW + 2,
	STATE_LINE = HALF_ROW + HALF_ROWS - 1,
	LEFT = 0,
	MIDDLE = 16,
	RIGHT = 29,
};

/* The words of a TSS.  Faint are those that the CPU only reads. */
static const struct word {
	const char *name;
	uint8_t offset;		/* in struct tss */
	uint8_t digits;
	uint8_t row, column;
	bool only_read;
} words[] = {
#define WORD(name, field, digits, row, column, only_read) \
	{ name, offsetof(struct tss, field), digits, row, column, only_read }
	WORD("ss     ", ss, 4, 0, LEFT, false),
	WORD("esp    ", esp, 8, 1, LEFT, false),
	WORD("eflags ", eflags, 8, 2, LEFT, false),
	WORD("cs     ", cs, 4, 3, LEFT, false),
	WORD("eip    ", eip, 8, 4, LEFT, false),
	WORD("ss0    ", ss0, 4, 5, LEFT, true),
	WORD("esp0   ", esp0, 8, 6, LEFT, true),
	WORD("ldt    ", ldt, 4, 7, LEFT, true),
	WORD("eax ", eax, 8, 0, MIDDLE, false),
	WORD("ecx ", ecx, 8, 1, MIDDLE, false),
	WORD("edx ", edx, 8, 2, MIDDLE, false),
	WORD("ebx ", ebx, 8, 3, MIDDLE, false),
	WORD("ebp ", ebp, 8, 4, MIDDLE, false),
	WORD("esi ", esi, 8, 5, MIDDLE, false),
	WORD("edi ", edi, 8, 6, MIDDLE, false),
	WORD("cr3 ", cr3, 8, 7, MIDDLE, true),
	WORD("ds ", ds, 4, 0, RIGHT, false),
	WORD("es ", es, 4, 1, RIGHT, false),
	WORD("fs ", fs, 4, 2, RIGHT, false),
	WORD("gs ", gs, 4, 3, RIGHT, false),
};
enum { WORDS = sizeof words / sizeof words[0] };

/* A proc's window, and the names around its TSS, as they are when it starts. */
void panel_task(const struct task *task)
{
	unsigned column = half_column(task->place);

	window_start(task->place, task->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(TITLE_LINE, column, proc_colour(task->place), task->place ? "TSS of B" : "TSS of A");
	screen_put(TITLE_LINE, column + 12, FAINT, "at");
	screen_put(TITLE_LINE, column + 17, LABEL, hex((uint32_t)&task->tss, 8));
	screen_put(WHO_LINE, column, FAINT, "by the CPU, at each task switch");
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(WORDS_LINE + w->row, column + w->column, LABEL, w->name);
	screen_put(STATE_LINE, column, FAINT, "descriptor");
	screen_put(STATE_LINE, column + 11, LABEL, hex(task->selector, 4));
}

/* In: the tasks, the one that runs first. */
void panel_start(const struct task *first)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	panel_task(first);
	panel_task(first->next);
	screen_put(TSS_ROW, HALF_LEFT, LABEL, "ring 0's TSS   next by");
}

/* In: what has become of the task, 10 characters. */
static void draw_task(const struct task *task, const char *what)
{
	unsigned column = half_column(task->place);

	screen_put(TITLE_LINE, column + 26, BALL, what);
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(WORDS_LINE + w->row, column + w->column + text_length(w->name),
		    w->only_read ? FAINT : VALUE,
		    hex(*(const uint32_t *)((const uint8_t *)&task->tss + w->offset), w->digits));
	screen_put(STATE_LINE, column + 17, BALL, task_is_busy(task->selector) ? "busy     " : "available");
}

/* What a switch has changed.  In: how many there were, the procs it was from and to (the
   same, if one plays alone). */
void panel_switch(uint64_t switches, const struct task *from, const struct task *to)
{
	screen_switches(switches);
	draw_task(from, "just saved");
	draw_task(to, "next      ");
	screen_put(TSS_ROW, HALF_LEFT + 23, LABEL, waiting_is_busy ? "iret, backlink" : "ljmp, selector");
	screen_put(TSS_ROW, HALF_LEFT + 38, VALUE, hex(tss.backlink, 4));
}

/*
 * Ring 0's panel: both procs' TSSs, and ring 0's own link; and in place of a TSS whose
 * proc has ended, the report on its end (window.c).
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
#include "show/words.h"

/* Rows and columns of a half. */
enum {
	TITLE_LINE = HALF_ROW,
	WHO_LINE = HALF_ROW + 1,
	STATE_LINE = HALF_ROW + HALF_ROWS - 1,
	LEFT = 0,
	MIDDLE = 16,
	RIGHT = 29,
};

/* The words of a TSS.  Faint are those that the CPU only reads. */
static const struct word words[] = {
	WORD("ss     ", struct tss, ss, 4, 0, LEFT, VALUE),
	WORD("esp    ", struct tss, esp, 8, 1, LEFT, VALUE),
	WORD("eflags ", struct tss, eflags, 8, 2, LEFT, VALUE),
	WORD("cs     ", struct tss, cs, 4, 3, LEFT, VALUE),
	WORD("eip    ", struct tss, eip, 8, 4, LEFT, VALUE),
	WORD("ss0    ", struct tss, ss0, 4, 5, LEFT, FAINT),
	WORD("esp0   ", struct tss, esp0, 8, 6, LEFT, FAINT),
	WORD("ldt    ", struct tss, ldt, 4, 7, LEFT, FAINT),
	WORD("eax ", struct tss, eax, 8, 0, MIDDLE, VALUE),
	WORD("ecx ", struct tss, ecx, 8, 1, MIDDLE, VALUE),
	WORD("edx ", struct tss, edx, 8, 2, MIDDLE, VALUE),
	WORD("ebx ", struct tss, ebx, 8, 3, MIDDLE, VALUE),
	WORD("ebp ", struct tss, ebp, 8, 4, MIDDLE, VALUE),
	WORD("esi ", struct tss, esi, 8, 5, MIDDLE, VALUE),
	WORD("edi ", struct tss, edi, 8, 6, MIDDLE, VALUE),
	WORD("cr3 ", struct tss, cr3, 8, 7, MIDDLE, FAINT),
	WORD("ds ", struct tss, ds, 4, 0, RIGHT, VALUE),
	WORD("es ", struct tss, es, 4, 1, RIGHT, VALUE),
	WORD("fs ", struct tss, fs, 4, 2, RIGHT, VALUE),
	WORD("gs ", struct tss, gs, 4, 3, RIGHT, VALUE),
	{ 0 },
};

/* A proc's window, and the labels around its TSS, at the proc's start. */
void panel_task(const struct task *task)
{
	unsigned column = half_column(task->place);

	window_start(task->place, task->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(TITLE_LINE, column, proc_colour(task->place), task->place ? "TSS of B" : "TSS of A");
	screen_put(TITLE_LINE, column + 12, FAINT, "at");
	screen_put(TITLE_LINE, column + 17, LABEL, hex((uint32_t)&task->tss, 8));
	screen_put(WHO_LINE, column, FAINT, "by the CPU, at each task switch");
	words_name(words, task->place);
	screen_put(STATE_LINE, column, FAINT, "descriptor");
	screen_put(STATE_LINE, column + 11, LABEL, hex(task->selector, 4));
}

/* In: the task that runs first, which leads to the other. */
void panel_start(const struct task *first)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	panel_task(first);
	panel_task(first->next);
	screen_put(TSS_ROW, HALF_LEFT, LABEL, "ring 0's TSS   next by");
}

static bool is_busy(const struct task *task)
{
	return gdt[task->selector / DESCRIPTOR_BYTES].access & ACCESS_BUSY;
}

/* In: what has become of the task, 10 characters. */
static void draw_task(const struct task *task, const char *what)
{
	unsigned column = half_column(task->place);

	screen_put(TITLE_LINE, column + 26, BALL, what);
	words_show(words, task->place, &task->tss);
	screen_put(STATE_LINE, column + 17, BALL, is_busy(task) ? "busy     " : "available");
}

/* What a switch has changed.  In: how many switches there were; the procs it went from
   and to (the same one, if it plays alone). */
void panel_switch(uint64_t switches, const struct task *from, const struct task *to)
{
	screen_switches(switches);
	draw_task(from, "just saved");
	draw_task(to, "next      ");
	screen_put(TSS_ROW, HALF_LEFT + 23, LABEL, waiting_is_busy ? "iret, backlink" : "ljmp, selector");
	screen_put(TSS_ROW, HALF_LEFT + 38, VALUE, hex(tss.backlink, 4));
}

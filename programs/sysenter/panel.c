/*
 * What the screen shows of SYSENTER: both frames, both spaces, esp0, and the MSRs.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off, no errors.
 */
#include "proc.h"
#include "ring0/tables.h"
#include "show/text.h"
#include "show/window.h"
#include "show/words.h"

enum { BY_HAND = 0, BY_PUSHA = 16, BY_PUSH = 29 };	/* columns of a half */

static const struct word words[] = {
	WORD("esp    ", struct proc_frame, esp, 8, 0, BY_HAND, BALL),
	WORD("eip    ", struct proc_frame, eip, 8, 1, BY_HAND, BALL),
	WORD("eflags ", struct proc_frame, eflags, 8, 3, BY_HAND, VALUE),
	WORD("eax ", struct proc_frame, eax, 8, 0, BY_PUSHA, VALUE),
	WORD("ebx ", struct proc_frame, ebx, 8, 1, BY_PUSHA, VALUE),
	WORD("ebp ", struct proc_frame, ebp, 8, 2, BY_PUSHA, VALUE),
	WORD("esi ", struct proc_frame, esi, 8, 3, BY_PUSHA, VALUE),
	WORD("edi ", struct proc_frame, edi, 8, 4, BY_PUSHA, VALUE),
	WORD("ds ", struct proc_frame, ds, 4, 0, BY_PUSH, VALUE),
	WORD("es ", struct proc_frame, es, 4, 1, BY_PUSH, VALUE),
	WORD("fs ", struct proc_frame, fs, 4, 2, BY_PUSH, VALUE),
	WORD("gs ", struct proc_frame, gs, 4, 3, BY_PUSH, VALUE),
	{ 0 },
};

/* A proc's window, and the labels around its frame, at the proc's start. */
void panel_start(struct proc *proc)
{
	unsigned column = half_column(proc->place);

	window_start(proc->place, proc->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(HALF_ROW, column, proc_colour(proc->place), proc->place ? "frame of B" : "frame of A");
	screen_put(HALF_ROW, column + 12, FAINT, "from");
	screen_put(HALF_ROW, column + 17, LABEL, hex((uint32_t)frame_of(proc), 8));
	screen_put(WORDS_ROW - 1, column + BY_HAND, FAINT, "in ecx and edx");
	screen_put(WORDS_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(WORDS_ROW - 1, column + BY_PUSH, FAINT, "by push");
	screen_put(WORDS_ROW + 2, column + BY_HAND, FAINT, "by pushf");
	words_name(words, proc->place);
	screen_put(WORDS_ROW + 5, column, LABEL, "cr3");
	screen_put(WORDS_ROW + 6, column, LABEL, "linear");
	screen_put(WORDS_ROW + 6, column + BY_PUSHA, LABEL, "lies at");
	tss_name();
	window_page(proc->place, *pool_page(proc->first_page + WINDOW), false);
}

/* The arrow stands where esp0 points, not where we think it should. */
static void show(struct proc *proc, const char *what)
{
	unsigned column = half_column(proc->place);

	window_page(proc->place, *pool_page(proc->first_page + WINDOW), true);
	screen_put(HALF_ROW, column + 26, BALL, what);
	words_show(words, proc->place, frame_of(proc));
	screen_put(WORDS_ROW + 5, column + 7, VALUE, hex(proc->space, 8));
	screen_put(WORDS_ROW + 6, column + 7, VALUE, hex(RING3_DATA, 8));
	screen_put(WORDS_ROW + 6, column + BY_PUSHA + 8, proc_colour(proc->place),
		   hex(walk(proc->space, RING3_DATA).physical, 8));
	screen_put(FRAME_END_ROW, column, FAINT, "up to");
	screen_put(FRAME_END_ROW, column + 6, LABEL, hex((uint32_t)proc, 8));
	screen_put(FRAME_END_ROW, column + 15, BALL,
		   tss.esp0 == (uint32_t)proc ? "\x1b esp0" : "      ");
}

/* What a switch has changed.  In: how many there were; the procs it went from and to. */
void panel_show(uint64_t switches, struct proc *from, struct proc *to)
{
	char line[HALF_COLUMNS + 1];

	screen_switches(switches);
	show(from, "just saved");
	show(to, "next to go");
	tss_show(&tss);
	format(line, "MSRs %4:%8 esp %8", (uint32_t)SYSENTER_CODE, (uint32_t)gate,
	       (uint32_t)&tss.esp0);
	screen_put(TSS_ROW, HALF_RIGHT, LABEL, line);
}

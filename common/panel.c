/*
 * Ring 0's panel, between the procs' windows: both frames and esp0.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack or fault_stack,
 * interrupts off, no errors.
 */
#include "panel.h"
#include "layout.h"
#include "screen.h"
#include "side.h"
#include "text.h"

/* Where the two frames stand, and the columns of one of them. */
enum {
	FRAME_ROW = SIDE_TITLE_ROW + 2,
	FRAME_ROWS = 8,
	FRAME_END_ROW = FRAME_ROW + FRAME_ROWS,
	TSS_ROW = FRAME_END_ROW + 1,
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

/* A proc's window and what stands around its frame, as they are when it starts. */
void panel_proc(const struct proc *proc)
{
	unsigned column = side_column(proc->place);

	side_start(proc->place);
	screen_put(SIDE_TITLE_ROW, column, side_colour(proc->place), proc->place ? "frame of B" : "frame of A");
	screen_put(SIDE_TITLE_ROW, column + 12, FAINT, "from");
	screen_put(SIDE_TITLE_ROW, column + 17, LABEL, hex((uint32_t)&proc->frame, 8));
	screen_put(FRAME_ROW - 1, column + BY_INT, FAINT, "by int");
	screen_put(FRAME_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	screen_put(FRAME_ROW - 1, column + BY_PUSH, FAINT, "by push");
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(FRAME_ROW + w->row, column + w->column, LABEL, w->name);
}

/* In: what has become of the frame, 10 characters. */
static void draw_frame(const struct proc *proc, const char *what)
{
	const uint8_t *frame = (const uint8_t *)&proc->frame;

	screen_put(SIDE_TITLE_ROW, side_column(proc->place) + 26, BALL, what);
	for (const struct word *w = words; w < words + WORDS; w++)
		screen_put(FRAME_ROW + w->row,
		    side_column(proc->place) + w->column + text_length(w->name),
		    w->offset == offsetof(struct frame, pusha_esp) ? FAINT : VALUE,
		    hex(*(const uint32_t *)(frame + w->offset), w->digits));
}

/* In: the procs, the one that runs first. */
void panel_start(const struct proc *first)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, " ring 0, int 0x30 ");
	panel_proc(first);
	panel_proc(first->next);
	screen_put(TSS_ROW, SIDE_A_COLUMN, LABEL, "TSS  ss0:esp0");
}

/* The arrow is where esp0 says, not where we think it should be. */
static void draw_frame_end(const struct proc *proc, const struct tss *tss)
{
	uint32_t end = (uint32_t)(&proc->frame + 1);
	unsigned column = side_column(proc->place);

	screen_put(FRAME_END_ROW, column, FAINT, "up to");
	screen_put(FRAME_END_ROW, column + 6, LABEL, hex(end, 8));
	screen_put(FRAME_END_ROW, column + 15, BALL,
	    tss->esp0 == end ? "\x1b esp0: int pushes" : "                   ");
}

/*
 * What a switch has changed.  In: how many there were, the procs it was from and
 * to (the same, if one plays alone).
 */
void panel_switch(uint64_t switches, const struct proc *from, const struct proc *to,
		   const struct tss *tss)
{
	screen_switches(switches);
	draw_frame(from, "just saved");
	draw_frame(to, "iret next ");
	screen_put(TSS_ROW, SIDE_A_COLUMN + 15, VALUE, hex(tss->ss0, 4));
	screen_put(TSS_ROW, SIDE_A_COLUMN + 19, LABEL, ":");
	screen_put(TSS_ROW, SIDE_A_COLUMN + 20, VALUE, hex(tss->esp0, 8));
	draw_frame_end(from, tss);
	draw_frame_end(to, tss);
}

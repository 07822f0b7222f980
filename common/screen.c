/*
 * The text screen, drawn from ring 0: boxes and labels once, numbers at every
 * switch that is shown.  What changes inside a proc's window, the proc writes
 * itself (proc.h); only the ball, which crosses all borders, is ring 0's.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack or fault_stack,
 * interrupts off, no errors.  Text is code page 437, as the display has it.
 */
#include <stdbool.h>

#include "screen.h"
#include "layout.h"
#include "text.h"

/* A cell of the screen; __seg_gs: an offset in the segment that gs selects. */
typedef volatile __seg_gs uint16_t cell;

enum colour {
	TITLE = 0x1700,		/* grey on blue */
	TITLE_VALUE = 0x1f00,	/* white on blue */
	PROC_A = 0x0b00,	/* light cyan */
	PROC_B = 0x0a00,	/* light green */
	RING0 = 0x0c00,		/* light red */
	LABEL = 0x0700,		/* grey */
	FAINT = 0x0800,		/* dark grey */
	VALUE = 0x0f00,		/* white */
	BALL = 0x0e00,		/* yellow */
	KEYS = 0x7000,		/* black on grey */
	ALARM = 0x4f00,		/* white on red */
};

/* Where the two frames stand in the panel, and the columns of one of them. */
enum {
	PACE_COLUMN = 13,
	SWITCHES_COLUMN = 49,
	FRAME_TITLE_ROW = RING0_ROW + 1,
	FRAME_ROW = RING0_ROW + 3,
	FRAME_ROWS = 8,
	FRAME_END_ROW = FRAME_ROW + FRAME_ROWS,
	TSS_ROW = FRAME_END_ROW + 1,
	REPORT_ROWS = FRAME_END_ROW + 1 - FRAME_TITLE_ROW,	/* in a frame's place */
	REPORT_COLUMNS = 36,
	FRAME_A_COLUMN = 2,
	FRAME_B_COLUMN = 42,
	BY_INT = 0,
	BY_PUSHA = 16,
	BY_PUSH = 29,
};

static cell *cell_at(unsigned row, unsigned column)
{
	return (cell *)(row * ROW_BYTES + column * 2);
}

static void put(unsigned row, unsigned column, enum colour colour, const char *text)
{
	for (cell *c = cell_at(row, column); *text; text++)
		*c++ = colour | (uint8_t)*text;
}

static void fill(unsigned row, unsigned column, unsigned count, uint16_t value)
{
	for (cell *c = cell_at(row, column); count--;)
		*c++ = value;
}

enum box_style { SINGLE, DOUBLE };

/* A box over the whole width, with its title in the upper edge. */
static void box(unsigned row, unsigned rows, enum box_style style,
		enum colour colour, const char *title)
{
	/* corners from upper left to lower right, horizontal, vertical */
	static const char edges[][6] = {
		[SINGLE] = "\xda\xbf\xc0\xd9\xc4\xb3",
		[DOUBLE] = "\xc9\xbb\xc8\xbc\xcd\xba",
	};
	const uint8_t *edge = (const uint8_t *)edges[style];
	unsigned last = row + rows - 1;

	fill(row, 1, COLUMNS - 2, colour | edge[4]);
	fill(last, 1, COLUMNS - 2, colour | edge[4]);
	for (unsigned r = row + 1; r < last; r++) {
		*cell_at(r, 0) = colour | edge[5];
		*cell_at(r, COLUMNS - 1) = colour | edge[5];
	}
	*cell_at(row, 0) = colour | edge[0];
	*cell_at(row, COLUMNS - 1) = colour | edge[1];
	*cell_at(last, 0) = colour | edge[2];
	*cell_at(last, COLUMNS - 1) = colour | edge[3];
	put(row, 3, colour, title);
}

static enum colour proc_colour(const struct proc *proc)
{
	return proc->place ? PROC_B : PROC_A;
}

static unsigned window_row(const struct proc *proc)
{
	return proc->place ? B_ROW : A_ROW;
}

static unsigned frame_column(const struct proc *proc)
{
	return proc->place ? FRAME_B_COLUMN : FRAME_A_COLUMN;
}

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

static unsigned length(const char *text)
{
	unsigned n = 0;

	while (text[n])
		n++;
	return n;
}

/* A proc's window and what stands around its frame, as they are when it starts. */
void screen_proc(const struct proc *proc)
{
	unsigned window = window_row(proc);
	unsigned column = frame_column(proc);

	box(window, WINDOW_ROWS, DOUBLE, proc_colour(proc),
	    proc->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	for (unsigned row = window + 1; row < window + WINDOW_ROWS - 1; row++)
		fill(row, 1, COLUMNS - 2, VALUE | ' ');
	put(window + WINDOW_TEXT_ROW, COUNT_LABEL_COLUMN, LABEL, "count");
	put(window + WINDOW_TEXT_ROW, STACK_LABEL_COLUMN, LABEL, "ss:esp");

	for (unsigned row = 0; row < REPORT_ROWS; row++)
		fill(FRAME_TITLE_ROW + row, column, REPORT_COLUMNS, LABEL | ' ');
	put(FRAME_TITLE_ROW, column, proc_colour(proc), proc->place ? "frame of B" : "frame of A");
	put(FRAME_TITLE_ROW, column + 12, FAINT, "from");
	put(FRAME_TITLE_ROW, column + 17, LABEL, hex((uint32_t)&proc->frame, 8));
	put(FRAME_ROW - 1, column + BY_INT, FAINT, "by int");
	put(FRAME_ROW - 1, column + BY_PUSHA, FAINT, "by pusha");
	put(FRAME_ROW - 1, column + BY_PUSH, FAINT, "by push");
	for (const struct word *w = words; w < words + WORDS; w++)
		put(FRAME_ROW + w->row, column + w->column, LABEL, w->name);
}

/* In: what has become of the frame, 10 characters. */
static void draw_frame(const struct proc *proc, const char *what)
{
	const uint8_t *frame = (const uint8_t *)&proc->frame;

	put(FRAME_TITLE_ROW, frame_column(proc) + 26, BALL, what);
	for (const struct word *w = words; w < words + WORDS; w++)
		put(FRAME_ROW + w->row,
		    frame_column(proc) + w->column + length(w->name),
		    w->offset == offsetof(struct frame, pusha_esp) ? FAINT : VALUE,
		    hex(*(const uint32_t *)(frame + w->offset), w->digits));
}

/* Everything that stays.  In: the proc that runs first. */
void screen_start(const struct proc *first)
{
	fill(0, 0, ROWS * COLUMNS, LABEL | ' ');
	fill(TITLE_ROW, 0, COLUMNS, TITLE | ' ');
	put(TITLE_ROW, 2, TITLE, "RINGPONG");
	put(TITLE_ROW, SWITCHES_COLUMN, TITLE, "switches");
	box(RING0_ROW, RING0_ROWS, SINGLE, RING0, " ring 0, int 0x30 ");
	screen_proc(first);
	screen_proc(first->next);
	put(TSS_ROW, FRAME_A_COLUMN, LABEL, "TSS  ss0:esp0");
	fill(KEYS_ROW, 0, COLUMNS, KEYS | ' ');
	put(KEYS_ROW, 2, KEYS,
	    "space hold, step  + - pace  f full speed  1-6 A's mistakes  r restart  q quit");
}

/* The arrow is where esp0 says, not where we think it should be. */
static void draw_frame_end(const struct proc *proc, const struct tss *tss)
{
	uint32_t end = (uint32_t)(&proc->frame + 1);
	unsigned column = frame_column(proc);

	put(FRAME_END_ROW, column, FAINT, "up to");
	put(FRAME_END_ROW, column + 6, LABEL, hex(end, 8));
	put(FRAME_END_ROW, column + 15, BALL,
	    tss->esp0 == end ? "\x1b esp0: int pushes" : "                   ");
}

/*
 * What a switch has changed.  In: how many there were, the procs it was from and
 * to (the same, if one plays alone).
 */
void screen_switch(uint64_t switches, const struct proc *from, const struct proc *to,
		   const struct tss *tss)
{
	const char *number = decimal(switches);

	put(TITLE_ROW, COLUMNS - 2 - length(number), TITLE, number);
	draw_frame(from, "just saved");
	draw_frame(to, "iret next ");
	put(TSS_ROW, FRAME_A_COLUMN + 15, VALUE, hex(tss->ss0, 4));
	put(TSS_ROW, FRAME_A_COLUMN + 19, LABEL, ":");
	put(TSS_ROW, FRAME_A_COLUMN + 20, VALUE, hex(tss->esp0, 8));
	draw_frame_end(from, tss);
	draw_frame_end(to, tss);
}

/*
 * The ball on its way to a proc.  In: how far it is, step of steps.  It goes
 * straight through ring 0, row by row, and a little from side to side.  Who plays
 * alone gets it back from halfway.
 */
void screen_ball(const struct proc *to, unsigned step, unsigned steps)
{
	enum { TOP = A_ROW + WINDOW_TEXT_ROW, BOTTOM = B_ROW + WINDOW_TEXT_ROW };
	static cell *ball;
	static uint16_t under;
	static const uint8_t sway[] = { 0, 1, 2, 3, 2, 1 };
	bool alone = to->next == to;
	unsigned there = 2 * step > steps ? 2 * step - steps : steps - 2 * step;
	unsigned way = (alone ? (steps + there) / 2 : step) * (BOTTOM - TOP) / steps;
	unsigned row = to->place ? TOP + way : BOTTOM - way;

	if (ball)
		*ball = under;
	ball = cell_at(row, BALL_COLUMN + sway[row % sizeof sway]);
	under = *ball;
	*ball = BALL | 'O';
}

void screen_pace(const char *pace, const char *more)
{
	fill(TITLE_ROW, PACE_COLUMN, SWITCHES_COLUMN - PACE_COLUMN, TITLE | ' ');
	put(TITLE_ROW, PACE_COLUMN, TITLE_VALUE, pace);
	put(TITLE_ROW, PACE_COLUMN + length(pace), TITLE, more);
}

/* Last words, below the frames. */
void screen_message(const char *first, const char *second)
{
	fill(TSS_ROW, 0, 2 * COLUMNS, ALARM | ' ');
	put(TSS_ROW, 4, ALARM, first);
	put(TSS_ROW + 1, 4, ALARM, second);
}

/* A text on several rows, broken between words. */
static void put_wrapped(unsigned row, unsigned column, unsigned columns,
			enum colour colour, const char *text)
{
	while (*text) {
		unsigned fits = length(text);

		if (fits > columns)
			for (fits = columns; text[fits] != ' '; fits--)
				;
		for (unsigned i = 0; i < fits; i++)
			*cell_at(row, column + i) = colour | (uint8_t)text[i];
		text += fits;
		text += *text == ' ';
		row++;
	}
}

/* A proc has ended: a red line in its window, and room for a report where its
   frame was. */
void screen_end(const struct proc *proc, const char *why)
{
	unsigned column = frame_column(proc);

	put(window_row(proc) + WINDOW_END_ROW, COUNT_LABEL_COLUMN, ALARM, why);
	for (unsigned row = 0; row < REPORT_ROWS; row++)
		fill(FRAME_TITLE_ROW + row, column, REPORT_COLUMNS, LABEL | ' ');
	fill(FRAME_TITLE_ROW, column, REPORT_COLUMNS, ALARM | ' ');
	put(FRAME_TITLE_ROW, column + 1, ALARM,
	    proc->place ? "proc B has ended" : "proc A has ended");
}

/* A line of that report, or what follows from there if it is too long for one. */
void screen_report(const struct proc *proc, unsigned row, const char *text)
{
	put_wrapped(FRAME_TITLE_ROW + row, frame_column(proc), REPORT_COLUMNS, VALUE, text);
}

/* A line of the report on ring 0's own end: the whole panel is its room. */
void screen_panic(unsigned row, const char *text)
{
	fill(RING0_ROW + row, 0, COLUMNS, ALARM | ' ');
	put(RING0_ROW + row, 4, ALARM, text);
}

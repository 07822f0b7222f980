/*
 * The text screen, drawn from ring 0: the means, and what every program has.  The
 * ball crosses all borders, so it is ring 0's.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack or fault_stack,
 * interrupts off, no errors.  Text is code page 437, as the display has it.
 */
#include "screen.h"
#include "layout.h"
#include "text.h"

/* A cell of the screen; __seg_gs: an offset in the segment that gs selects. */
typedef volatile __seg_gs uint16_t cell;

enum {
	PACE_COLUMN = 13,
	SWITCHES_COLUMN = 49,
};

static cell *cell_at(unsigned row, unsigned column)
{
	return (cell *)(row * ROW_BYTES + column * 2);
}

void screen_put(unsigned row, unsigned column, enum colour colour, const char *text)
{
	for (cell *c = cell_at(row, column); *text; text++)
		*c++ = colour | (uint8_t)*text;
}

void screen_fill(unsigned row, unsigned column, unsigned count, uint16_t value)
{
	for (cell *c = cell_at(row, column); count--;)
		*c++ = value;
}

/* A box over the whole width, with its title in the upper edge. */
void screen_box(unsigned row, unsigned rows, enum box_style style,
		enum colour colour, const char *title)
{
	/* corners from upper left to lower right, horizontal, vertical */
	static const uint8_t edges[][6] = {
		[SINGLE] = { 0xda, 0xbf, 0xc0, 0xd9, 0xc4, 0xb3 },
		[DOUBLE] = { 0xc9, 0xbb, 0xc8, 0xbc, 0xcd, 0xba },
	};
	const uint8_t *edge = edges[style];
	unsigned last = row + rows - 1;

	screen_fill(row, 1, COLUMNS - 2, colour | edge[4]);
	screen_fill(last, 1, COLUMNS - 2, colour | edge[4]);
	for (unsigned r = row + 1; r < last; r++) {
		*cell_at(r, 0) = colour | edge[5];
		*cell_at(r, COLUMNS - 1) = colour | edge[5];
	}
	*cell_at(row, 0) = colour | edge[0];
	*cell_at(row, COLUMNS - 1) = colour | edge[1];
	*cell_at(last, 0) = colour | edge[2];
	*cell_at(last, COLUMNS - 1) = colour | edge[3];
	screen_put(row, 3, colour, title);
}

/* What every program has: the title, the rows between, the keys. */
void screen_start(void)
{
	screen_fill(0, 0, ROWS * COLUMNS, LABEL | ' ');
	screen_fill(TITLE_ROW, 0, COLUMNS, TITLE | ' ');
	screen_put(TITLE_ROW, 2, TITLE, "RINGPONG");
	screen_put(TITLE_ROW, SWITCHES_COLUMN, TITLE, "switches");
	screen_fill(KEYS_ROW, 0, COLUMNS, KEYS | ' ');
	screen_put(KEYS_ROW, 2, KEYS,
	    "space hold, step  + - pace  f full speed  1-6 A's mistakes  r restart  q quit");
}

void screen_switches(uint64_t switches)
{
	const char *number = decimal(switches);

	screen_put(TITLE_ROW, COLUMNS - 2 - text_length(number), TITLE, number);
}

/*
 * The ball on its way from one proc's place to another's.  In: how far it is, step
 * of steps.  It goes straight through ring 0, row by row, and a little from side
 * to side.  Who plays alone gets it back from halfway.
 */
void screen_ball(unsigned from, unsigned to, unsigned step, unsigned steps)
{
	enum { TOP = A_ROW + WINDOW_TEXT_ROW, BOTTOM = B_ROW + WINDOW_TEXT_ROW };
	static cell *ball;
	static uint16_t under;
	static const uint8_t sway[] = { 0, 1, 2, 3, 2, 1 };
	unsigned back = 2 * step > steps ? 2 * step - steps : steps - 2 * step;
	unsigned way = (from == to ? (steps + back) / 2 : step) * (BOTTOM - TOP) / steps;
	unsigned row = to ? TOP + way : BOTTOM - way;

	if (ball)
		*ball = under;
	ball = cell_at(row, BALL_COLUMN + sway[row % sizeof sway]);
	under = *ball;
	*ball = BALL | 'O';
}

void screen_pace(const char *pace, const char *more)
{
	screen_fill(TITLE_ROW, PACE_COLUMN, SWITCHES_COLUMN - PACE_COLUMN, TITLE | ' ');
	screen_put(TITLE_ROW, PACE_COLUMN, TITLE_VALUE, pace);
	screen_put(TITLE_ROW, PACE_COLUMN + text_length(pace), TITLE, more);
}

/* In the lower edge of ring 0's panel, on the right, as the title on the left of the
   upper one: what a turn takes. */
void screen_clocks(const char *text)
{
	enum { EDGE_ROW = RING0_ROW + RING0_ROWS - 1, BEGIN = COLUMNS / 2 + 2, END = COLUMNS - 3 };
	enum { LINE = 0xc4 };		/* as screen_box has drawn it */

	screen_fill(EDGE_ROW, BEGIN, END - BEGIN, RING0 | LINE);
	screen_put(EDGE_ROW, END - text_length(text), RING0, text);
}

/* In the last row, which is empty else.  In: a text; "" takes it away. */
void screen_hint(const char *text)
{
	screen_fill(HINT_ROW, 0, COLUMNS, LABEL | ' ');
	screen_put(HINT_ROW, 1, BALL, text);
}

/* Why nothing goes on, in the panel's lowest rows. */
enum { MESSAGE_ROW = RING0_ROW + RING0_ROWS - 2, MESSAGE_CELLS = 2 * COLUMNS };
static uint16_t under_message[MESSAGE_CELLS];
static bool message_shown;

void screen_message(const char *first, const char *second)
{
	if (!message_shown)
		for (unsigned i = 0; i < MESSAGE_CELLS; i++)
			under_message[i] = cell_at(MESSAGE_ROW, 0)[i];
	message_shown = true;
	screen_fill(MESSAGE_ROW, 0, MESSAGE_CELLS, ALARM | ' ');
	screen_put(MESSAGE_ROW, 4, ALARM, first);
	screen_put(MESSAGE_ROW + 1, 4, ALARM, second);
}

/* It goes on: what the message has covered is there again. */
void screen_message_over(void)
{
	for (unsigned i = 0; message_shown && i < MESSAGE_CELLS; i++)
		cell_at(MESSAGE_ROW, 0)[i] = under_message[i];
	message_shown = false;
}

/* A text on several rows, broken between words. */
void screen_wrapped(unsigned row, unsigned column, unsigned columns,
			enum colour colour, const char *text)
{
	while (*text) {
		unsigned fits = text_length(text);

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

/* A line of the report on ring 0's own end: the whole panel is its room. */
void screen_panic(unsigned row, const char *text)
{
	screen_fill(RING0_ROW + row, 0, COLUMNS, ALARM | ' ');
	screen_put(RING0_ROW + row, 4, ALARM, text);
}

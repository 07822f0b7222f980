/* The text screen, as ring 0 draws it (screen.c). */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "ring0/segments.h"

enum colour {
	TITLE = 0x1700,		/* grey on blue */
	TITLE_VALUE = 0x1f00,	/* white on blue */
	PROC_A = 0x0b00,	/* light cyan */
	PROC_B = 0x0a00,	/* light green */
	RING0 = 0x0c00,		/* light red */
	LABEL = 0x0700,		/* grey */
	FAINT = 0x0300,		/* cyan: 7.3:1 on black, where dark grey has 2.8:1 */
	VALUE = 0x0f00,		/* white */
	BALL = 0x0e00,		/* yellow */
	KEYS = 0x7000,		/* black on grey */
	ALARM = 0x4f00,		/* white on red */
};

enum box_style { SINGLE, DOUBLE };

/* Loads gs with RING0_SCREEN, for callers that cannot assume it. */
static inline void screen_use(void)
{
	__asm__ volatile("mov %0, %%gs" : : "r"(RING0_SCREEN));
}

void screen_put(unsigned row, unsigned column, enum colour colour, const char *text);
void screen_wrapped(unsigned row, unsigned column, unsigned columns,
		    enum colour colour, const char *text);
void screen_fill(unsigned row, unsigned column, unsigned count, uint16_t value);
void screen_box(unsigned row, unsigned rows, enum box_style style,
		enum colour colour, const char *title);

void screen_start(void);
void screen_switches(uint64_t switches);
void screen_ball(unsigned from, unsigned to, unsigned step, unsigned steps);
void screen_clocks(const char *text);
void screen_pace(const char *pace, const char *more);
void screen_hint(const char *text);
void screen_message(const char *first, const char *second);
void screen_message_over(void);
void screen_panic(unsigned row, const char *text);

#endif

/* What an exception or interrupt means for the running proc (cause.c). */
#ifndef CAUSE_H
#define CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* Why a proc has ended. */
struct cause {
	uint32_t vector, error;
	bool restoring;		/* it happened while ring 0 restored the proc's registers */
	unsigned unreadable;	/* of the bytes that a report shows at eip: no page for so many */
	const struct page_words *page;	/* of a page fault, in a program with pages (show/report.h) */
};

bool is_restoring(uint32_t eip);
bool fault_ends(char proc, const struct frame *frame, struct cause *cause);

/* The places where ring 0 restores a proc's registers (frame.h). */
struct restore {
	uint16_t begin, end;
};
extern const struct restore restores[], restores_end[];

extern uint32_t spurious;	/* how many interrupts came that no device had asked for */

#endif

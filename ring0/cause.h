/* What an exception or interrupt means for the proc that it has met (cause.c). */
#ifndef CAUSE_H
#define CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* Why a proc has ended. */
struct cause {
	uint32_t vector, error;
	bool restoring;		/* when ring 0 gave it its registers back */
};

bool is_restoring(uint32_t eip);
bool fault_ends(char proc, const struct frame *frame, struct cause *cause);

/* The places where ring 0 gives a proc its registers back (frame.h). */
struct restore {
	uint16_t begin, end;
};
extern const struct restore restores[], restores_end[];

extern uint32_t spurious;	/* interrupts that no device has asked for */

#endif

/* What has happened to a proc, for the log and the screen (report.c). */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* The proc: who it is, and what is in its registers. */
struct reported {
	const struct frame *frame;
	char name;
	uint8_t place;		/* its side of the screen */
};

struct cause {
	uint32_t vector, error;
	bool restoring;		/* when ring 0 gave the proc its registers back */
};

void report_end(const struct reported *proc, const struct cause *cause, char next);
void report_trap(const struct reported *proc, uint32_t vector);

#endif

/* What has happened, for the log and the screen (report.c). */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct cause {
	uint32_t vector, error;
	bool restoring;		/* when ring 0 gave the proc its registers back */
};

void report_end(const struct proc *proc, const struct cause *cause, const struct proc *next);
void report_trap(const struct proc *proc, uint32_t vector, uint32_t count);
void report_panic(const struct frame *frame, const struct cause *cause);

#endif

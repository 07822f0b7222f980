/* What has happened, for the log and the screen (report.c). */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "ring0/cause.h"
#include "ring0/frame.h"

void report_end(char proc, unsigned place, const struct frame *frame,
		const struct cause *cause, char next);
void report_start(char proc);
void report_none_left(void);
void report_strays(void);

#endif

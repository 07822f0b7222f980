/* What has happened, for the log and the screen (report.c). */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "ring0/cause.h"
#include "ring0/frame.h"

enum { CODE_BYTES = 8 };	/* shown at cs:eip */

/* A page fault in words (walk.c). */
struct page_words {
	uint32_t address, directory;	/* CR2 and CR3 */
	char lines[2][40];	/* the entries of directory and table */
	const char *usually;	/* one sentence */
};

void report_end(char proc, unsigned place, const struct frame *frame,
		const struct cause *cause, char next);
void report_start(char proc);
void report_none_left(void);
void report_strays(void);

#endif

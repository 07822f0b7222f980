/*
 * What the command line asks for.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

/* What both users run (proc.S). */
struct kind {
	const char *name, *start, *end;
	int fixed;			/* its code must not change */
};

struct options {
	const struct kind *kind;
	uint64_t switches, threads;	/* threads: 0 without --threads */
	int by_instruction, fs_is_not_mine;
};

struct options read_options(int argc, char **argv);

#endif

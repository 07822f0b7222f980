/* The procs' lives, and what ring 0 may ask of one (procs.c). */
#ifndef PROCS_H
#define PROCS_H

/*
 * The first word of a proc's data.  Ring 0 writes there, the proc looks there
 * once a turn: that is how one asks, since nobody can make it do anything.
 */
#define ASK_NOTHING	0
#define ASK_COUNT	1	/* draw your count, please */
#define ASK_MISTAKE	2	/* make the first of your mistakes; 3: the second */
#define MISTAKES	6	/* mistakes.h */
#define MISTAKE_BYTES	8

#ifndef __ASSEMBLER__

#include "ring0/frame.h"

struct proc *proc_running(void);
struct proc *proc_end(struct proc *proc);

#endif
#endif

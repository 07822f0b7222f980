/* The procs' lives (procs.c). */
#ifndef PROCS_H
#define PROCS_H

#include "switch.h"

extern struct proc proc_a_end;	/* A, which its frame's end names; the first to run */

struct proc *proc_running(void);
struct proc *proc_end(struct proc *proc);
struct proc *procs_wait(void);

#endif

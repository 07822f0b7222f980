/* The procs' lives (procs.c). */
#ifndef PROCS_H
#define PROCS_H

#include "switch.h"

struct proc *proc_running(void);
struct proc *proc_end(struct proc *proc);
struct proc *procs_wait(void);

#endif

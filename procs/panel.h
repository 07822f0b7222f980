/* What ring 0 shows of the procs (panel.c). */
#ifndef PANEL_H
#define PANEL_H

#include <stdint.h>

#include "switch.h"

void panel_start(struct proc *first);
void panel_proc(struct proc *proc);
void panel_switch(uint64_t switches, struct proc *from, struct proc *to,
		  const struct tss *tss);

#endif

/* What ring 0 shows of the procs (panel.c). */
#ifndef PANEL_H
#define PANEL_H

#include <stdint.h>

#include "ring0/frame.h"
#include "ring0/x86.h"

extern const char ring0_title[];	/* how one gets into ring 0 */

void panel_start(const struct proc *first);
void panel_proc(const struct proc *proc);
void panel_switch(uint64_t switches, const struct proc *from, const struct proc *to,
		  const struct tss *tss);

#endif

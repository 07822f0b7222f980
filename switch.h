/* switch.c, as the rest of ring 0 sees it. */
#ifndef SWITCH_H
#define SWITCH_H

#include "ring0/frame.h"
#include "ring0/x86.h"

struct proc *switch_to_next(struct proc *from, struct tss *tss);

#endif

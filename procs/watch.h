/* The switch with everything one sees around it (watch.c). */
#ifndef WATCH_H
#define WATCH_H

#include "switch.h"

void watch_start(void);
struct proc *watched_switch(struct frame *saved);

#endif

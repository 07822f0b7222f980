/* The switch with everything one sees around it (watch.c). */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

#include "frame.h"

extern uint32_t switches_left;	/* counted down by the gate */

void watch_start(void);
struct proc *watched_switch(struct proc *from);

#endif

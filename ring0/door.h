/* The door that ring 3 may knock at, and what stands behind it (door.c). */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "x86.h"

extern uint32_t switches_left;	/* until the next look; the gate counts it down */

void door_stops(bool stop);

/* Each program's own (p_proc.S and its like): the IDT's entry, and where it may lead. */
extern struct gate idt_gate;
extern const char gate[], gate_with_stop[];

#endif

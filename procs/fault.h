/* Every way into ring 0 but int 0x30: fault.S, fault.c. */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

#include "switch.h"

struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error);

#endif

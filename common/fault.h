/* Exceptions and interrupts nobody asked for: fault.S, fault.c. */
#ifndef FAULT_H
#define FAULT_H

#define FAULT_VECTORS		0x30	/* 32 exceptions, 16 hardware interrupts */
#define FAULT_VECTOR_BYTES	16	/* fault.S: one entry point every so often */

#ifndef __ASSEMBLER__

#include <stdint.h>

#include "frame.h"

_Noreturn void fault(const struct frame *frame, uint32_t vector, uint32_t error);

#endif
#endif

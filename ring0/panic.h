/* Ring 0's own end (panic.c). */
#ifndef PANIC_H
#define PANIC_H

#include <stdint.h>

#include "frame.h"

extern volatile uint32_t nmis;	/* so many have come; one may at any moment */

_Noreturn void panic(const struct frame *frame, uint32_t vector, uint32_t error);
_Noreturn void panic_because(const char *what);
_Noreturn void double_fault_panic(void);	/* from panic.S */

#endif

/*
 * What ring 0 tells whoever shows it: a program links one show, and that defines these
 * (show/report.c, look.c, last_words.c).  So ring 0 knows no screen and no log.
 *
 * All functions: ring 0, one of its stacks, interrupts off, no errors.
 */
#ifndef TELL_H
#define TELL_H

#include <stdint.h>

#include "frame.h"

/* An exception or interrupt has come, whatever becomes of it. */
void tell_way_in(void);

/* A proc has not yielded for a while: the next switch is to be looked at. */
void look_soon(void);

/* A proc has executed int3 or into, and goes on.  In: its name and frame; how often. */
void tell_trap(char proc, const struct frame *frame, uint32_t vector, uint32_t count);

/* Ring 0 has failed by an exception.  In: the state it was in. */
void tell_panic(const struct frame *frame, uint32_t vector, uint32_t error);

/* A check of ring 0's own has failed.  gs may be anything. */
void tell_failed_check(const char *what);

#endif

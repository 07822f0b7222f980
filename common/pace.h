/* How fast the game goes, and the keys that change it (pace.c). */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

void pace_start(void);
bool pace_wants_picture(void);
uint32_t pace_wait(const struct proc *to, uint64_t switches);
bool pace_is_slow(void);

#endif

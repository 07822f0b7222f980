/* How fast the game goes, and the keys that change it (pace.c). */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stdint.h>

void pace_start(void);
bool pace_wants_picture(void);
uint32_t pace_wait(unsigned from, unsigned to, uint64_t switches);
bool pace_is_slow(void);
bool pace_is_full(void);
void pace_while_halted(const char *why, uint64_t switches);

/* What the program does at the keys r; 1 to 9 (here: 0 to 8) and k (9). */
void procs_restart(void);
void proc_ask_mistake(unsigned number);

#endif

/* The looks at the game that every program takes (look.c). */
#ifndef LOOK_H
#define LOOK_H

#include <stdint.h>

void look_start(void);
uint64_t look_begin(char from, char to);
uint64_t look_begin_at(char from, char to, uint32_t esp0, const char *more);
void look_end(unsigned from, unsigned to);
void look_while_halted(const char *why);

#endif

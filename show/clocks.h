/* How many clocks a turn takes, for the screen (clocks.c). */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <stdint.h>

void clocks_start(void);
void clocks_begin(void);
void clocks_end(uint32_t turns);
void clocks_forget(void);

#endif

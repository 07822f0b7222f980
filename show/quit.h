/* The end of the game, by the key q (quit.c). */
#ifndef QUIT_H
#define QUIT_H

#include <stdint.h>

_Noreturn void quit(uint64_t switches);

#endif

/* The course of the game, whatever a switch is (game.c). */
#ifndef GAME_H
#define GAME_H

#include <stdint.h>

extern uint32_t switches_left;	/* until the next look; the program counts it down */

void game_start(void);
uint64_t game_switches(char from, char to);
void game_wait(unsigned from, unsigned to);

#endif

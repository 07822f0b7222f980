/* The devices: time, keyboard, power switch, debug port (machine.c). */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMER_HZ	32	/* timer_start to timer_done: 1/32 s */

enum key {
	KEY_NONE,
	KEY_SPACE,
	KEY_PLUS,
	KEY_MINUS,
	KEY_F,
	KEY_Q,
};

void debug_out(char c);
void timer_start(void);
bool timer_done(void);
enum key key_pressed(void);
void power_off(void);
_Noreturn void halt(void);

#endif

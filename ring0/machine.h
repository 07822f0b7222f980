/* The devices: interrupts, time, keyboard, power, debug port (machine.c). */
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
	KEY_R,
	KEY_1,
	KEY_7 = KEY_1 + 6,
	KEY_8,
	KEY_9,
	KEY_K,
};

void debug_out(char c);
bool interrupt_end(unsigned line);
void alarm_set(void);
void clock_set(unsigned hz);
void alarm_stop(void);
void wakers_set(void);
void timer_start(void);
bool timer_done(void);
void keys_gather(void);
enum key key_pressed(void);
bool keyboard_heard(void);
void bios_devices_restore(void);
void power_off(void);
_Noreturn void halt(void);

void sleep(void);		/* sleep.S */

#endif

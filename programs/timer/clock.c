/*
 * The clock: what TIMER has in place of the watchdog (ring0/watchdog.c).  There, a
 * proc that does not yield is ended after a second; here nobody yields, and what is
 * taken from a proc is its turn.
 *
 * A turn is one tick, 10 ms.  Ring 0 stops the clock while somebody looks, and starts
 * it anew before a proc goes on: so every turn is a whole one, however slow the pace.
 *
 * All functions: ring 0, any stack, interrupts off.
 */
#include "ring0/machine.h"
#include "ring0/watchdog.h"

enum { TICKS_PER_SECOND = 100 };

/* From: start, look.c, and fault.c when a proc has ended: before the next one runs. */
void watchdog_start(void)
{
	clock_set(TICKS_PER_SECOND);
}

/* From: look.c, while ring 0 takes its time. */
void watchdog_stop(void)
{
	alarm_stop();
}

/* From: nowhere.  IRQ 0 leads to the tick, and never to cause.c. */
bool watchdog_is_patient(void)
{
	return true;
}

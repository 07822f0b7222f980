/*
 * The clock: what TIMER has in place of the watchdog (ring0/watchdog.c).  The watchdog
 * ends a proc that does not yield for a second; here no proc ever yields, and the clock
 * only ends its turn.
 *
 * A turn is one tick, 10 ms.  Ring 0 stops the clock during a look, and restarts it
 * before a proc goes on: so every turn is a whole one, however slow the pace.
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

/* Never called: IRQ 0 leads to the tick, not to cause.c. */
bool watchdog_is_patient(void)
{
	return true;
}

/*
 * A proc that never executes int 0x30 would stop the game: no rule of the CPU
 * obliges it to.  So there is an alarm, which every look at the game sets anew;
 * as long as the procs yield, it never goes off.
 *
 * All functions: ring 0, any stack, interrupts off.
 */
#include "watchdog.h"
#include "door.h"
#include "machine.h"

enum { PATIENCE = 18 };		/* alarms; together a second */

static unsigned alarms;		/* since the last sign of life */
static uint32_t switches_seen;

/* From: look.c, and whatever ends a proc, before the next one runs. */
void watchdog_start(void)
{
	alarms = 0;
	alarm_set();
}

/* From: look.c, while ring 0 takes its time. */
void watchdog_stop(void)
{
	alarm_stop();
}

/* The alarm has gone off.  Out: whether the proc that runs may go on. */
bool watchdog_is_patient(void)
{
	if (switches_left != switches_seen)
		alarms = 0;
	switches_seen = switches_left;
	alarm_set();
	return ++alarms < PATIENCE;
}

/*
 * A proc that never executes int 0x30 would stop the game: nothing in the CPU forces it
 * to.  So there is an alarm, which every look at the game sets anew; as long as the
 * procs yield quickly, it never goes off.  If it does, the next switch is looked at,
 * however many were to come before that: a proc that yields slowly makes nobody wait for
 * the keys.  If there is no next switch for a second, the proc that runs is ended.
 *
 * All functions: ring 0, any stack, interrupts off.
 */
#include "watchdog.h"
#include "door.h"
#include "machine.h"
#include "tell.h"

enum { PATIENCE = 18 };		/* alarms; together a second */

static unsigned alarms;		/* since the last look */

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

/* The alarm has gone off, in ring 3.  Out: whether the proc that runs may go on. */
bool watchdog_is_patient(void)
{
	look_soon();
	keys_gather();
	alarm_set();
	return ++alarms < PATIENCE;
}

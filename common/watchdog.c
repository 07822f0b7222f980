/*
 * A proc that never executes int 0x30 would stop the game: no rule of the CPU
 * obliges it to.  So there is an alarm, which every look at the game sets anew;
 * as long as the procs yield, it never goes off.  It is the only interrupt that is
 * ever let in; others that come are strays.
 *
 * All functions: ring 0, any stack, interrupts off.
 */
#include "watchdog.h"
#include "game.h"
#include "machine.h"
#include "text.h"
#include "x86.h"

enum {
	ALARM_IRQ = 0,
	PATIENCE = 18,			/* alarms; together a second */
};

extern volatile uint32_t nmis;		/* panic.S */

static unsigned alarms;		/* since the last sign of life */
static uint32_t switches_seen;
static uint32_t spurious;	/* interrupts that no device has asked for */

/* From: a look, before a proc runs. */
void watchdog_start(void)
{
	alarms = 0;
	alarm_set();
}

/* From: a look, while ring 0 takes its time. */
void watchdog_stop(void)
{
	alarm_stop();
}

/* The alarm has gone off.  Out: whether the proc that runs may go on. */
static bool is_patient(void)
{
	if (switches_left != switches_seen)
		alarms = 0;
	switches_seen = switches_left;
	alarm_set();
	return ++alarms < PATIENCE;
}

/* A proc was interrupted.  In: the vector.  Out: whether the proc may go on. */
bool watchdog_lets_run(uint32_t vector)
{
	uint32_t irq = vector - IRQ_VECTORS;

	if (!interrupt_end(irq) || irq != ALARM_IRQ) {
		spurious++;
		return true;
	}
	return is_patient();
}

/* From: a look.  A line of the log for interrupts that came and did no harm. */
void log_strays(void)
{
	static uint32_t logged_nmis, logged_spurious;

	if (nmis == logged_nmis && spurious == logged_spurious)
		return;
	logged_nmis = nmis;
	logged_spurious = spurious;
	log_line("stray nmi=%d spurious=%d", (uint64_t)logged_nmis, (uint64_t)logged_spurious);
}

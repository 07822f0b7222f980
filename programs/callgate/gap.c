/*
 * The gap: a call gate leaves IF set, so an interrupt may come between lcall and cli.
 *
 * Usually none comes at all: the alarm is for procs that do not call.  Key 7 makes it a
 * clock, CLOCK_HZ interrupts a second, and then some fall into the gap: one instruction of
 * the more than thirty that a turn has.  All others that come while ring 0 works wait
 * until lret, and find ring 3.  The panel's last row has both counts.
 *
 * So this file takes the place of the watchdog (ring0/watchdog.c), and is that as well.
 *
 * All functions: ring 0, any stack, interrupts off.
 */
#include "call_frame.h"
#include "procs/procs.h"
#include "ring0/door.h"
#include "ring0/machine.h"
#include "ring0/tell.h"
#include "ring0/watchdog.h"
#include "ring3/ask.h"
#include "show/pace.h"
#include "show/screen.h"
#include "show/text.h"
#include "show/window.h"

enum {
	PATIENCE = 18,		/* alarms; together a second */
	CLOCK_HZ = 1008,	/* a multiple of it */
};

static bool clock_runs;
static unsigned alarms;			/* since the last look */
static uint32_t in_ring_3, in_the_gap;

/* ---- the watchdog, see ring0/watchdog.h */

void watchdog_start(void)
{
	alarms = 0;
	if (clock_runs)
		clock_set(CLOCK_HZ);
	else
		alarm_set();
}

void watchdog_stop(void)
{
	alarm_stop();
}

bool watchdog_is_patient(void)
{
	unsigned each = clock_runs ? CLOCK_HZ / PATIENCE : 1;

	alarms++;
	if (alarms % each)
		return true;
	look_soon();
	keys_gather();
	if (!clock_runs)
		alarm_set();
	return alarms < PATIENCE * each;
}

/* ---- the counts */

/*
 * From:	fault.c, for each alarm.
 * In:		the proc that runs; what was interrupted, from ring 0 without esp and ss.
 */
void gap_count(const struct proc *proc, const struct frame *frame)
{
	if (frame->cs & SELECTOR_RPL) {
		in_ring_3++;
		return;
	}
	in_the_gap++;
	if (!(in_the_gap & (in_the_gap - 1)))
		log_line("gap n=%d proc=%c cs:eip=%4:%8 esp=%8 esp0=%8 ring3=%d", (uint64_t)in_the_gap,
			 proc->name, (uint32_t)frame->cs, frame->eip, (uint32_t)&frame->esp,
			 (uint32_t)proc, (uint64_t)in_ring_3);
}

/* From: start (callgate.S), once.  gs: RING0_SCREEN. */
void gap_start(void)
{
	screen_put(KEYS_ROW, 2, KEYS,
	    "space hold  + - pace  f full speed  1-6 mistakes  7 clock  r restart  q quit ");
	gap_show(0);
}

/*
 * From:	gate_watched (callgate.S), at each look.  gs: RING0_SCREEN.
 * In, out:	the proc that is next.
 */
struct proc *gap_show(struct proc *to)
{
	char line[HALF_COLUMNS + 1];

	format(line, "IRQ 0 found ring 3 %d, ring 0 %d", (uint64_t)in_ring_3, (uint64_t)in_the_gap);
	screen_put(TSS_ROW, HALF_RIGHT, clock_runs ? BALL : LABEL, line);
	return to;
}

/*
 * What keys ask: A's mistakes, as procs/ask.c; and the clock.
 * From: pace.c.  In: 0 to MISTAKES - 1; MISTAKES: clock on, or off.
 */
void proc_ask_mistake(unsigned number)
{
	if (number == MISTAKES) {
		clock_runs = !clock_runs;
		log_line("clock hz=%d", (uint64_t)(clock_runs ? CLOCK_HZ : 0));
		return;
	}
	if (proc_a_end.ended)
		procs_restart();
	*proc_a_end.ask = ASK_MISTAKE + number;
}

/*
 * The switch for all to see: ring 0's task comes here when a look is due (look.c).
 *
 * All functions: ring 0's task, ring0_stack, interrupts off.  gs: RING0_SCREEN.
 */
#include "task.h"
#include "ring0/tables.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/text.h"

/* From: start, once, before the first switch. */
void watch_start(void)
{
	look_start();
	panel_start(&proc_a);
	ask_count(proc_a.ask);
	ask_count(proc_b.ask);
}

/*
 * From:	ring 0's task.
 * In:		the selector of the task that came.
 * Out:		in ring 0's backlink: that of the task to go on with.
 */
void watched_switch(uint32_t selector)
{
	static char more[16];
	struct task *from = task_of(selector), *to;

	tss.backlink = selector;
	to = switch_to_next(&tss);
	format(more, " tss=%4", (uint32_t)to->selector);

	uint64_t switches = look_begin_at(from->name, to->name, to->tss.esp0, more);

	if (pace_wants_picture())
		panel_switch(switches, from, to);
	ask_count(from->ask);
	ask_count(to->ask);
	look_end(from->place, to->place);
}

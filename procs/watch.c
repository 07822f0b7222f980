/*
 * The switch for all to see: the gate comes here when a look is due (look.c).
 */
#include "watch.h"
#include "ring0/tables.h"
#include "show/look.h"
#include "show/pace.h"
#include "panel.h"
#include "procs.h"
#include "ring3/ask.h"
#include "switch.h"

/*
 * From:	start (p_proc.S), once, before the first iret.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
void watch_start(void)
{
	look_start();
	panel_start(&proc_a_end);
	ask_count(proc_a_end.ask);
	ask_count(proc_a_end.next->ask);
}

/*
 * From:	the gate, in place of switch_to_next, with the same in and out.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
struct proc *watched_switch(struct frame *saved)
{
	struct proc *from = frame_proc(saved), *to = switch_to_next(saved, &tss);
	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		panel_switch(switches, from, to, &tss);
	ask_count(from->ask);
	ask_count(to->ask);
	look_end(from->place, to->place);
	return to;
}

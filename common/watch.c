/*
 * The switch for all to see: log, screen, pace.  The gate comes here when a look is
 * due (game.c).
 */
#include "watch.h"
#include "game.h"
#include "pace.h"
#include "panel.h"
#include "procs.h"
#include "switch.h"
#include "watchdog.h"

/* p_proc.S: the first to run, the TSS, the gate's two entry points. */
extern struct proc proc_a;
extern struct tss tss;
extern struct gate idt_gate;
extern char gate[], gate_with_stop[];

/* In: a proc that is asked for its count, unless it is asked for something else. */
static void ask_count(const struct proc *proc)
{
	if (*proc->ask == ASK_NOTHING)
		*proc->ask = ASK_COUNT;
}

/*
 * From:	start (p_proc.S), once, before the first iret.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
void watch_start(void)
{
	game_start();
	panel_start(&proc_a);
	ask_count(&proc_a);
	ask_count(proc_a.next);
	watchdog_start();
}

/*
 * From:	the gate, in place of switch_to_next, with the same in and out.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
struct proc *watched_switch(struct proc *from)
{
	struct proc *to = switch_to_next(from, &tss);

	watchdog_stop();
	uint64_t switches = game_switches(from->name, to->name);
	log_strays();
	if (pace_wants_picture())
		panel_switch(switches, from, to, &tss);
	ask_count(from);
	ask_count(to);
	game_wait(from->place, to->place);

	/* Who sees every switch may want to stop at every one. */
	idt_gate.offset = (uint16_t)(uint32_t)(pace_is_slow() ? gate_with_stop : gate);
	watchdog_start();
	return to;
}

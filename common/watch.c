/*
 * The switch for all to see: log, screen, pace.  The gate counts switches_left
 * down and comes here when it reaches zero: at a slow pace at every switch, at
 * full speed some thirty times a second, and always at those switches that the
 * log wants.  In between, switches cost what they cost and nothing else.
 */
#include "watch.h"
#include "fault.h"
#include "machine.h"
#include "pace.h"
#include "panel.h"
#include "procs.h"
#include "screen.h"
#include "switch.h"
#include "text.h"
#include "watchdog.h"

/* p_proc.S: the first to run, the tables, the gate's two entry points. */
extern struct proc proc_a;
extern struct tss tss;
extern struct gate idt[], idt_gate;
extern char program_name[], gdt[], gate[], gate_with_stop[];
extern uint32_t program_base;

uint32_t switches_left = 1;
static uint32_t switches_asked = 1;	/* what it was set to */
static uint64_t switches;		/* so far */
static uint64_t log_next = 1;		/* 1, 2, 4, 8, ... */

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
	log_line("boot prog=%s base=%8 gdt=%8 idt=%8 tss=%8", program_name, program_base,
		 (uint32_t)gdt, (uint32_t)idt, (uint32_t)&tss);
	screen_start();
	panel_start(&proc_a);
	pace_start();
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
	switches += switches_asked;
	if (switches == log_next) {
		log_line("switch n=%d from=%c to=%c esp0=%8", switches, from->name,
			 to->name, tss.esp0);
		log_next *= 2;
	}
	log_strays();
	if (pace_wants_picture())
		panel_switch(switches, from, to, &tss);
	ask_count(from);
	ask_count(to);
	switches_asked = pace_wait(from->place, to->place, switches);
	if (switches_asked > log_next - switches)
		switches_asked = log_next - switches;
	switches_left = switches_asked;

	/* Who sees every switch may want to stop at every one. */
	idt_gate.offset = (uint16_t)(uint32_t)(pace_is_slow() ? gate_with_stop : gate);
	watchdog_start();
	return to;
}

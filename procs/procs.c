/*
 * The procs' lives: who runs, an end, a new start.  The living are in a ring,
 * from each to the next; the ended wait in a chain by the same links.
 *
 * All functions: ring 0, ring0_stack or fault_stack, interrupts off.
 */
#include "procs.h"
#include "show/look.h"
#include "show/pace.h"
#include "panel.h"
#include "proc_segments.h"
#include "ring0/tables.h"
#include "show/report.h"
#include "ring3/ask.h"
#include "switch.h"

static struct proc *ended;	/* the last one first */

/* The one that runs, or is about to. */
struct proc *proc_running(void)
{
	return (struct proc *)tss.esp0;
}

/*
 * Takes the running proc out of the ring.  Nothing of it is lost yet: frame and
 * data stay for whoever wants to look.
 * Out: the proc to go on with, which esp0 names now; 0 if none is left.
 */
struct proc *proc_end(struct proc *proc)
{
	struct proc *next = switch_to_next(proc_frame(proc), &tss);
	struct proc *before = next;

	while (before->next != proc)
		before = before->next;
	before->next = next;
	proc->ended = true;
	proc->next = ended;
	ended = proc;
	return next == proc ? 0 : next;
}

/* Restarts all procs that have ended, as if they had never been: behind the one that
   runs.  If none does, the first of them is the one. */
void procs_restart(void)
{
	while (ended) {
		struct proc *proc = ended, *running = proc_running();

		ended = proc->next;
		if (running->ended) {
			tss.esp0 = (uint32_t)proc;
			running = proc->next = proc;
		} else {
			proc->next = running->next;
			running->next = proc;
		}
		proc->ended = false;
		*proc_frame(proc) = *proc->first;
		for (unsigned i = 0; i < PROC_DATA_BYTES / sizeof *proc->ask; i++)
			proc->ask[i] = 0;
		*proc->ask = ASK_COUNT;
		panel_proc(proc);
		report_start(proc->name);
	}
}

/* No proc is left.  Out: the one that a key has started; esp0 is at its frame's end. */
struct proc *procs_wait(void)
{
	while (proc_running()->ended)
		look_while_halted("No proc is left.");
	return proc_running();
}

/* Proc A, started anew if need be, is to make a mistake: 0 to MISTAKES - 1. */
void proc_ask_mistake(unsigned number)
{
	if (number >= MISTAKES)
		return;
	if (proc_a_end.ended)
		procs_restart();
	*proc_a_end.ask = ASK_MISTAKE + number;
}

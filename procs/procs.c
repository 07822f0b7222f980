/*
 * The procs' lives: which one runs, an end, a new start.  The procs that play are in
 * the turn list, a circle by their links next; by the same links, those that have
 * ended wait in a chain.
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

/* The proc that runs, or is about to. */
struct proc *proc_running(void)
{
	return (struct proc *)tss.esp0;
}

/*
 * Takes the running proc out of the turn list.  Its frame and data stay as they are,
 * for a debugger to read.
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

/* Restarts all procs that have ended, as if they had never run.  Their turns come after
   that of the running proc; if none runs, the first of them is the running one. */
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

/* No proc is left.  Out: the proc that a key has restarted; esp0 is at its frame's end. */
struct proc *procs_wait(void)
{
	while (proc_running()->ended)
		look_while_halted("No proc is left.");
	return proc_running();
}

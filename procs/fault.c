/*
 * What a fault does to the procs (what it is, says cause.c).
 */
#include "fault.h"
#include "ring0/cause.h"
#include "procs.h"
#include "show/report.h"
#include "ring0/watchdog.h"

/*
 * From:	fault_entry (fault.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		the proc to go on with; esp0 is at its frame's end.
 * Stack:	fault_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	struct proc *proc = proc_running();
	struct cause cause = { .vector = vector, .error = error };

	if (!fault_ends(proc->name, frame, &cause))
		return proc;

	struct proc *next = proc_end(proc);

	/* What it could not get back lies in its frame still; all else, where the CPU and
	   fault_entry have pushed it. */
	report_end(proc->name, proc->place, cause.restoring ? proc_frame(proc) : frame,
		   &cause, next ? next->name : 0);
	if (!next)
		next = procs_wait();
	watchdog_start();		/* the next one's time begins now */
	return next;
}

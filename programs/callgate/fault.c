/*
 * What an exception or interrupt does to the procs of CALLGATE (ring0/cause.c says what it
 * is).  It differs from P_PROC's in what a call gate leaves as it was:
 *
 *	IF	The gate's first instruction, cli, is behind it.  In front of cli there is a
 *		gap in which an interrupt finds ring 0, with esp in the proc's frame.
 *	TF	A proc that steps singly through its lcall gets its #DB at that same place:
 *		ring 0 would be stepped through.
 *
 * In the gap the proc's frame is not complete, but its five words are, and all registers
 * are still its own.  So such an exception is taken for the proc's.
 */
#include "call_frame.h"
#include "procs/procs.h"
#include "ring0/cause.h"
#include "ring0/door.h"
#include "ring0/watchdog.h"
#include "show/report.h"

struct frame *fault_found;	/* for the way back to where it was */

/*
 * Whether ring 0 was interrupted with nothing but the proc's own in its registers: at the
 * gate's first instruction; or at lret, if an NMI has ended the grace behind sti.
 */
static bool finds_the_proc(const struct frame *frame, uint32_t vector)
{
	bool at_gate = frame->eip >= (uint32_t)gate_with_stop && frame->eip <= (uint32_t)gate;

	if (frame->cs & SELECTOR_RPL)
		return false;
	if (vector >= IRQ_VECTORS)
		return at_gate || is_restoring(frame->eip);
	return at_gate && vector == VECTOR_DB;
}

/*
 * From:	fault_entry (callgate.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		0: on by iret, where it has happened; else the proc to go on with, by lret;
 *		esp0 is at its frame's end.
 * Stack:	fault_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	struct proc *proc = proc_running();
	struct frame *own = proc_frame(proc), whole = *frame;
	struct cause cause = { .vector = vector, .error = error };

	fault_found = frame;
	if (vector == IRQ_VECTORS + ALARM_IRQ)
		gap_count(proc, frame);
	if (finds_the_proc(frame, vector)) {
		whole.eip = own->eip;		/* pushed by lcall */
		whole.cs = own->cs;
		whole.esp = own->esp;
		whole.ss = own->ss;
	}
	if (!fault_ends(proc->name, whole.cs & SELECTOR_RPL ? &whole : frame, &cause))
		return 0;

	if (cause.restoring) {
		whole = *own;
		whole.eflags = *frame_flags(own);
	}
	*frame_flags(own) = EFLAGS_ALWAYS;	/* for its next life */

	struct proc *next = proc_end(proc);

	report_end(proc->name, proc->place, &whole, &cause, next ? next->name : 0);
	if (!next)
		next = procs_wait();
	watchdog_start();		/* the next proc's time begins now */
	return next;
}

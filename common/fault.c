/*
 * What becomes of an exception or an interrupt.  A proc's fault ends that proc;
 * ring 0's own ends the game.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, fault_stack, interrupts off.
 */
#include "fault.h"
#include "machine.h"
#include "panic.h"
#include "procs.h"
#include "report.h"
#include "segments.h"
#include "watchdog.h"
#include "x86.h"

/* p_proc.S: the places where ring 0 gives a proc its registers back. */
extern const struct restore {
	uint16_t begin, end;
} restores[], restores_end[];

static bool is_restoring(uint32_t eip)
{
	for (const struct restore *r = restores; r < restores_end; r++)
		if (eip >= r->begin && eip < r->end)
			return true;
	return false;
}

static struct reported reported(const struct proc *proc)
{
	return (struct reported){ &proc->frame, proc->name, proc->place };
}

/* Out: the proc to go on with. */
static struct proc *end_with_report(struct proc *proc, const struct cause *cause)
{
	struct proc *next = proc_end(proc);
	struct reported ended = reported(proc);

	report_end(&ended, cause, next ? next->name : 0);
	if (!next)
		halt();
	watchdog_start();		/* the next one's time begins now */
	return next;
}

static struct proc *trap(struct proc *proc, uint32_t vector)
{
	struct reported trapped = reported(proc);

	report_trap(&trapped, vector);
	return proc;
}

static struct proc *interrupt(struct proc *proc, uint32_t vector)
{
	if (watchdog_lets_run(vector))
		return proc;
	return end_with_report(proc, &(struct cause){ .vector = vector });
}

/*
 * From:	fault_entry (fault.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		the proc to go on with; esp0 is at its frame's end.
 */
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	struct proc *proc = proc_running();
	struct cause cause = { .vector = vector, .error = error };

	if (frame->cs & SELECTOR_RPL) {
		if (vector >= IRQ_VECTORS)
			return interrupt(proc, vector);
		if (vector == VECTOR_BP || vector == VECTOR_OF)
			return trap(proc, vector);
		return end_with_report(proc, &cause);
	}

	/* What the CPU refuses to give back to a proc, the proc has brought in. */
	if (is_restoring(frame->eip)) {
		cause.restoring = true;
		return end_with_report(proc, &cause);
	}

	/* From ring 0 the CPU has not pushed esp and ss: the stack goes on there. */
	struct frame whole;

	for (unsigned i = 0; i < offsetof(struct frame, esp) / sizeof(uint32_t); i++)
		((uint32_t *)&whole)[i] = ((const uint32_t *)frame)[i];
	whole.esp = (uint32_t)&frame->esp;
	whole.ss = RING0_DATA;
	panic(&whole, vector, error);
}

/*
 * What becomes of an exception or an interrupt.  A proc's fault ends that proc;
 * ring 0's own ends the game.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, one of its stacks, interrupts off.
 */
#include "cause.h"
#include "machine.h"
#include "panic.h"
#include "segments.h"
#include "stop.h"
#include "tell.h"
#include "watchdog.h"
#include "x86.h"

uint32_t spurious;
static uint32_t traps;		/* int3 and into */

/* Out: whether the instruction at eip restores a proc's registers. */
bool is_restoring(uint32_t eip)
{
	uint32_t offset = eip - (uint32_t)program_segment;

	for (const struct restore *r = restores; r < restores_end; r++)
		if (offset >= r->begin && offset < r->end)
			return true;
	return false;
}

/* A proc asks for int3 and into itself, and goes on behind them.  Their lines in the
   log get rarer, as those of the switches do. */
static void trap(char proc, const struct frame *frame, uint32_t vector)
{
	traps++;
	if (!(traps & (traps - 1)))
		tell_trap(proc, frame, vector, traps);
}

/* Out: whether this is the alarm, and has come too often. */
static bool alarm_ends(uint32_t irq)
{
	if (!interrupt_end(irq) || irq != ALARM_IRQ) {
		spurious++;
		return false;
	}
	return !watchdog_is_patient();
}

/*
 * From:	the program's fault.
 * In:		the name of the proc that runs; the frame (from ring 0 without esp
 *		and ss); vector and error code, and room for the rest of the cause.
 * Out:		whether the proc ends; if not, it goes on.
 * Errors:	a fault of ring 0's own: panic, which does not come back.
 */
bool fault_ends(char proc, const struct frame *frame, struct cause *cause)
{
	uint32_t vector = cause->vector;

	tell_way_in();
	if (frame->eflags & EFLAGS_VM) {
		/* In virtual-8086 mode cs is not a selector and has no RPL, but this is
		   ring 3 all the same.  On Intel's CPUs no iret in ring 3 can go there;
		   on QEMU it can.  The CPU has pushed four more words, so the proc cannot
		   be resumed from its frame. */
		if (vector >= IRQ_VECTORS)
			interrupt_end(vector - IRQ_VECTORS);
		return true;
	}
	if (frame->cs & SELECTOR_RPL) {
		if (vector >= IRQ_VECTORS)
			return alarm_ends(vector - IRQ_VECTORS);
		if (vector != VECTOR_BP && vector != VECTOR_OF)
			return true;
		trap(proc, frame, vector);
		return false;
	}

	/* If the CPU refuses to restore a value, the proc itself brought it in. */
	if (is_restoring(frame->eip)) {
		cause->restoring = true;
		return true;
	}

	/* From ring 0 the CPU does not push esp and ss: the old stack goes on there. */
	struct frame whole;

	for (unsigned i = 0; i < offsetof(struct frame, esp) / sizeof(uint32_t); i++)
		((uint32_t *)&whole)[i] = ((const uint32_t *)frame)[i];
	whole.esp = (uint32_t)&frame->esp;
	whole.ss = RING0_DATA;
	panic(&whole, vector, cause->error);
}

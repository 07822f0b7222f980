/*
 * A C half that does not return: it goes back to ring 3 by itself, which saves the ret.
 * For the bench only (floors.S), since half of it is assembly, in the order of struct frame.
 */
#include "switch.h"

_Noreturn void floor_leave(struct frame *saved, struct tss *tss);	/* for floors.S alone: no header has it */

/*
 * From:	floor_leaves (floors.S), in ring 0.
 * In:		the frame of the proc that came in, all of it saved there; the TSS.
 * To:		ring 3, the next proc; esp0 is the end of its frame.
 * Stack:	ring0_stack, then that frame.  Interrupts off, until iret.
 */
_Noreturn void floor_leave(struct frame *saved, struct tss *tss)
{
	struct proc *to = frame_proc(saved)->next;

	tss->esp0 = (uint32_t)to;
	__asm__ volatile("lea %c1(%0), %%esp\n\t"
			 "pop %%gs\n\tpop %%fs\n\tpop %%es\n\tpop %%ds\n\tpopa\n\tiret"
			 : : "r"(to), "i"(-(int)sizeof(struct frame)) : "memory");
	__builtin_unreachable();
}

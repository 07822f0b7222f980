/*
 * Who is next, and where the CPU will put what it pushes when that one comes
 * back: the half of the int 0x30 gate that is written in C.
 */
#include "switch.h"

/*
 * From:	the gate (p_proc.S), or watched_switch (watch.c), in ring 0.
 * In:		the proc that came in, all of it saved in its frame; the TSS.
 * Out:		the proc to go on with; esp0 is at the end of its frame.
 * Stack:	ring0_stack.  Interrupts off.
 * Intel:	volume 3, section 7.2.1 (esp0), 6.12.1 (who reads it).
 */
struct proc *switch_to_next(struct proc *from, struct tss *tss)
{
	struct proc *to = from->next;

	tss->esp0 = (uint32_t)(&to->frame + 1);
	return to;
}

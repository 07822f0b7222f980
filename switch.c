/*
 * Who is next, and where the CPU will put what it pushes when that one comes
 * back: the half of the int 0x30 gate that is written in C.
 */
#include "switch.h"

/*
 * From:	the gate (p_proc.S), or watched_switch (watch.c), in ring 0.
 * In:		the frame of the proc that came in, all of it saved there; the TSS.
 * Out:		the proc to go on with, which esp0 names now: the end of its frame.
 * Stack:	ring0_stack.  Interrupts off.
 * Intel:	volume 3, section 7.2.1 (esp0), 6.12.1 (who reads it).
 */
struct proc *switch_to_next(struct frame *saved, struct tss *tss)
{
	struct proc *to = frame_proc(saved)->next;

	tss->esp0 = (uint32_t)to;
	return to;
}

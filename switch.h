/*
 * A proc, as ring 0 knows it, and the half of the gate that is written in C.
 *
 * The record of a proc begins where its frame ends.  So one number is all of these:
 * the end of the frame, the proc, and what esp0 must be while it runs.
 *
 *	+16  ended, place, name
 *	+12  ldt
 *	 +8  first
 *	 +4  ask
 *	  0  next	<- struct proc *; esp0 while the proc runs
 *	 -4  ss		\
 *	 ...		 |  its frame (ring0/frame.h)
 *	-68  gs		/
 */
#ifndef SWITCH_H
#define SWITCH_H

#include "ring0/frame.h"
#include "ring0/x86.h"

#define PROC_LDT	12		/* in struct proc */

#ifndef __ASSEMBLER__

struct proc {
	struct proc *next;		/* whose turn it is after this one */
	uint32_t *ask;			/* in its data: what ring 0 wants (ask.h) */
	const struct frame *first;	/* what it starts with */
	uint16_t ldt;			/* selector of what it may name */
	char name;
	uint8_t place;			/* 0: upper window, left frame; 1: the other */
	uint32_t ended;
};
_Static_assert(offsetof(struct proc, next) == 0, "proc");
_Static_assert(offsetof(struct proc, ldt) == PROC_LDT, "proc");
_Static_assert(sizeof(struct proc) == 20, "proc");

static inline struct frame *proc_frame(struct proc *proc)
{
	return (struct frame *)proc - 1;
}

static inline struct proc *frame_proc(struct frame *frame)
{
	return (struct proc *)(frame + 1);
}

struct proc *switch_to_next(struct frame *saved, struct tss *tss);

#endif
#endif

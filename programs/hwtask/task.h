/*
 * A task: everything that the CPU saves of a proc, and what ring 0 adds to it.  For
 * assembly and C alike.
 *
 *	frame	ring 0's stack while this task's TSS is in use: esp0 is its end, so
 *		that exceptions find in it what ring0/frame.h draws.  HWTASK's switch
 *		does not touch it.
 *	jump	behind esp0, where a gate finds it from esp: a far pointer to the next
 *		task (HWJUMP)
 *	tss	Intel, volume 3, section 7.2.1.  The CPU saves eip, eflags, the eight
 *		general and the six segment registers there at each switch, and loads
 *		them, LDTR and CR3 from the next one.  It never writes LDT, CR3, esp0,
 *		the debug trap and the I/O bitmap: they stay as they were made.  What a
 *		TSS has no place for is not switched at all: FPU, debug registers.
 */
#ifndef TASK_H
#define TASK_H

#include "ring0/frame.h"
#include "procs/proc_segments.h"
#include "ring3/ask.h"

/*  place  selector          base               size               type         DPL  purpose */
#define TASK_SEGMENTS(SEG) \
SEG(0x40,  A_TSS,        in, proc_a_tss,           TSS_BYTES,         ACCESS_TSS,  0, "proc A, while it does not run") \
SEG(0x48,  B_TSS,        in, proc_b_tss,           TSS_BYTES,         ACCESS_TSS,  0, "proc B, while it does not run")

SELECTORS(TASK_SEGMENTS)

#define JUMP_BYTES	8

#ifndef __ASSEMBLER__

#include <stdbool.h>

struct task {
	struct frame frame;
	struct {
		uint32_t offset;	/* a jump to a TSS ignores it */
		uint16_t selector, unused;
	} jump;
	struct tss tss;
	struct task *next;		/* in the turn list */
	uint32_t *ask;			/* in its data: what ring 0 wants (ask.h) */
	const struct tss *first;	/* the TSS that it starts with */
	uint16_t selector;		/* of its TSS */
	char name;
	uint8_t place;			/* 0: upper window, left half; 1: the other */
	uint32_t ended;
};
_Static_assert(offsetof(struct task, jump) == FRAME_BYTES, "task");
_Static_assert(offsetof(struct task, tss) == FRAME_BYTES + JUMP_BYTES, "task");
_Static_assert(offsetof(struct task, next) == FRAME_BYTES + JUMP_BYTES + TSS_BYTES, "task");
_Static_assert(sizeof(struct task) == FRAME_BYTES + JUMP_BYTES + TSS_BYTES + 20, "task");

/* hwtask.S, hwjump.S */
extern const uint8_t waiting_is_busy;	/* ACCESS_BUSY, or 0: what a proc's TSS is, */
					/* while it waits for its turn */
extern struct task proc_a, proc_b;
_Noreturn void leave_task(void);

/* tasks.c */
void tasks_start(void);
struct task *task_of(uint32_t selector);
struct task *switch_to_next(struct tss *tss);
_Noreturn void task_go(struct task *task);
void tasks_wait(void);
struct frame *fault(struct frame *frame, uint32_t vector, uint32_t error);

/* watch.c, panel.c */
void watch_start(void);
void watched_switch(uint32_t from);
void panel_start(const struct task *first);
void panel_task(const struct task *task);
void panel_switch(uint64_t switches, const struct task *from, const struct task *to);

#endif
#endif

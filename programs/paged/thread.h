/*
 * A thread of PAGED, and what its address space holds.
 *
 * While it waits, its registers lie on its kernel stack as in KSTACK: a struct frame at the
 * end, what C keeps below it, and at the saved esp what switch_stacks has pushed.
 *
 * Its space, below ring 0's (ring0/paging.h): the same addresses in each thread, and
 * behind all but the code, pages of its own.  What is not listed is not there.
 *
 *	08048000  code		read, execute	one page for both
 *	08049000  data		read, write
 *	0804a000  a hole
 *	0804b000  later		read, write	there once it has been touched
 *	0804d000  window	read, write	ring 0 copies it to the screen
 *	0804e000  a guard page: not there
 *	0804f000  stack		read, write	down from 08050000
 */
#ifndef THREAD_H
#define THREAD_H

#define RING3_CODE	0x08048000	/* flat.ld */
#define RING3_DATA	0x08049000
#define RING3_LATER	0x0804b000
#define RING3_WINDOW	0x0804d000
#define RING3_STACK	0x0804f000
#define RING3_STACK_END	0x08050000

/* In its data. */
#define ASKED		(RING3_DATA + 0)	/* ring 0 asks here (ring3/ask.h) */
#define TURNS		(RING3_DATA + 4)	/* 64 bits */
#define SECRET		(RING3_DATA + 16)	/* a text */
#define SCRATCH		(RING3_DATA + 64)	/* for code that it writes itself */

#define SECRET_COLUMN	59		/* in its window, in the second row of text */

#define PAGED_MISTAKES	9
#define SAY_BYTES	32		/* the longest text for int 0x31, with its 0 */

#define THREAD_STACK_END	0	/* in struct thread */
#define THREAD_ESP		4
#define THREAD_SPACE		8
#define THREAD_NEXT		16

/* A thread's two directories are neighbours: this bit of CR3 chooses the one without ring 0. */
#define SPACE_HIDES		0x1000

#ifndef __ASSEMBLER__

#include <stdbool.h>

#include "ring0/frame.h"
#include "ring0/paging.h"

struct thread {
	void *stack_end;	/* of its kernel stack */
	uint32_t esp;		/* on that, while it waits */
	uint32_t space;		/* for CR3: its directory with all of ring 0 in it */
	uint32_t esp0;		/* where int begins: stack_end, or entry_stack_end (hide.S) */
	struct thread *next;	/* in the turn list: a far pointer, for les */
	uint16_t next_segment;	/* RING0_DATA */
	bool playing;		/* from its start to its end */
	char name;
	uint8_t place;		/* 0: upper window, left half of the panel; 1: the other */
	uint8_t first_page;	/* in the pool, of those below */
};
_Static_assert(offsetof(struct thread, esp) == THREAD_ESP, "thread");
_Static_assert(offsetof(struct thread, space) == THREAD_SPACE, "thread");
_Static_assert(offsetof(struct thread, next) == THREAD_NEXT, "thread");
_Static_assert(offsetof(struct thread, next_segment) == THREAD_NEXT + 4, "thread");

/* The pool behind ring 0's pages: a thread's from first_page on, and what both share. */
enum {
	DIRECTORY, HIDING_DIRECTORY, TABLE, DATA, LATER, WINDOW, STACK, PAGES_OF_A_THREAD,
};
enum {
	CODE = PAGES_OF_RING0, FIRST_OF_A, ENTRY_TABLE = FIRST_OF_A + PAGES_OF_A_THREAD, FIRST_OF_B,
	POOL_PAGES = FIRST_OF_B + PAGES_OF_A_THREAD,
};
_Static_assert(!(FIRST_OF_A % 2 || FIRST_OF_B % 2), "directories are not neighbours (SPACE_HIDES)");

/* What switch_stacks pushes on the stack that it switches from, and a new thread's stack. */
struct switched {
	uint32_t eflags, edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax, resume;
};
struct new_stack {
	struct switched switched;
	uint32_t end_ebp, end_eip;	/* the end of every backtrace */
	struct frame frame;
};

/* paged.S */
extern struct thread *current;		/* 0 before there is one */
struct thread *switch_stacks(struct thread *from, struct thread *to);
_Noreturn void enter_stack(struct thread *from, struct thread *to);
_Noreturn void leave_kernel_stack(void);
void first_schedule(void);
extern const char say_gate[], leave[];
extern struct gate idt_say;		/* the IDT's entry for int 0x31 */
extern const char *way_out;		/* of ring 0: leave or leave_hidden */

/* hide.S */
extern bool ring0_hidden;
extern uint8_t entry_stack_end[];
extern const char hiding_gate[], hiding_gate_with_stop[], hiding_say_gate[], leave_hidden[];

/* spaces.c */
void spaces_start(void);
void space_make(struct thread *thread);
uint32_t *thread_word(const struct thread *thread, uint32_t address);
bool page_fault_mended(struct thread *thread, struct frame *frame, uint32_t error, uint32_t address);
void hide_ring0(bool hide);
void doors_set(void);

/* schedule.c, panel.c */
void schedule(struct thread *from, struct thread *to);
void schedule_in(struct thread *self);
_Noreturn void schedule_away(struct thread *from, struct thread *to);
void panel_start(const struct thread *thread);
void panel_event(const char *how, ...);
void panel_show(uint64_t switches, const struct thread *from, const struct thread *to);

/* threads.c */
extern struct thread thread_a, thread_b;
struct thread *threads_start(void);
_Noreturn void threads_wait(void);
void fault(struct frame *frame, uint32_t vector, uint32_t error);

/* say.c */
void say(struct frame *frame);

static inline struct frame *thread_frame(const struct thread *thread)
{
	return (struct frame *)thread->stack_end - 1;
}

#endif
#endif

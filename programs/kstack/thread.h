/*
 * A thread, and the picture of its kernel stack.
 *
 * While a thread waits, all of its state lies on its kernel stack, in two layers:
 *
 *	stack_end  <- esp0 while the thread runs in ring 3
 *	  -4  ss    \
 *	  -8  esp    |
 *	 -12  eflags |  by the CPU (int)	    the thread in ring 3:
 *	 -16  cs     |				    a struct frame (frame.h)
 *	 -20  eip   /
 *	 -24  eax, ecx, edx, ebx, (esp), ebp, esi, edi	by the gate's pusha
 *	 -56  ds, es, fs, gs				by the gate
 *
 *	      what C keeps there: return addresses, registers
 *
 *	 +36  resume \  by the call of switch_stacks
 *	 +32  eax     |
 *	 +28  ecx     |
 *	 +24  edx     |				    the thread in ring 0:
 *	 +20  ebx     |  by its pusha		    a struct switched
 *	 +16  (esp)   |
 *	 +12  ebp     |
 *	  +8  esi     |
 *	  +4  edi    /
 *	  +0  eflags    by its pushf  <- esp, as it is kept in struct thread
 *
 * A new thread has never been here, so its stack is made to look as if it had:
 * struct new_stack, with the end of every backtrace in place of what C keeps.
 */
#ifndef THREAD_H
#define THREAD_H

#include "ring0/ports.h"

#define THREAD_ESP	4	/* in struct thread */
#define THREAD_NEXT	20

/* Not an address: far beyond ring 0's segments, so that any use of it faults. */
#define POISON		0xdefaced0

#define KSTACK_BYTES	1024

/* A list of ports: each costs a switch six instructions, so keep them few. */
#define PORTS_END	0xffffffff
#define PORTS_MAX	8

/*
 * Words in a thread's own segments.  The first of each is its own address in
 * USER_DATA, since no instruction says where a segment begins.
 */
#define TLS_SELF	0
#define ASKED		4	/* TLS_1: ring 0 asks here (ring3/ask.h) ... */
#define TURNS		4	/* TLS_2: 64 bits */
#define CLOCK		12	/* TLS_2: whether the thread shows the time */

#define ASK_CLOCK	(ASK_MISTAKE + MISTAKES)	/* ... and also for this */

#ifndef __ASSEMBLER__

#include <stdbool.h>

#include "ring0/frame.h"
#include "thread_segments.h"

struct thread {
	void *stack_end;	/* of its kernel stack */
	uint32_t esp;		/* on that, while it waits; else POISON */
	uint32_t tls_base[2];	/* of fs and gs, linear; above these 24 bits the access byte */
	const uint32_t *ports;	/* that it may use, ended by PORTS_END */

	/* Whose turn it is, and what it shows. */
	struct thread *next;	/* among those that play: a far pointer, for les */
	uint16_t next_segment;	/* RING0_DATA */
	bool playing;		/* from its start to its end */
	char name;
	uint8_t place;		/* 0: upper window, left half of the panel; 1: the other */

	/* What it begins with. */
	uint32_t *tls[2];
	uint32_t arguments[2];	/* in ecx and edx */
};
_Static_assert(offsetof(struct thread, esp) == THREAD_ESP, "thread");
_Static_assert(offsetof(struct thread, next) == THREAD_NEXT, "thread");
_Static_assert(offsetof(struct thread, next_segment) == THREAD_NEXT + 4, "thread");

/* What switch_stacks pushes on the stack that it switches from. */
struct switched {
	uint32_t eflags;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t resume;
};
_Static_assert(offsetof(struct switched, eax) == 32, "switched");
_Static_assert(offsetof(struct switched, resume) == 36, "switched");
_Static_assert(sizeof(struct switched) == 40, "switched");

/* A new thread's stack, up to its end. */
struct new_stack {
	struct switched switched;
	uint32_t end_ebp, end_eip;	/* ebp leads here, and nowhere from here */
	struct frame frame;
};
_Static_assert(sizeof(struct new_stack) == 40 + 8 + FRAME_BYTES, "new_stack");

/* schedule.c */
void thread_prepare(struct thread *thread);
void schedule(struct thread *from, struct thread *to);
void schedule_in(struct thread *self);
_Noreturn void schedule_away(struct thread *from, struct thread *to);

/* check.c */
enum { ERROR_BYTES = 40 };		/* the longest text that it has */
const char *ports_error(const uint32_t *ports);
const char *tls_error(const struct thread *thread);

/* kstack.S */
extern struct thread *current;		/* 0 before there is one */
extern uint8_t io_bitmap[PORTS / 8];	/* the TSS's: a bit for each port, 1: closed */
struct thread *switch_stacks(struct thread *from, struct thread *to);
_Noreturn void enter_stack(struct thread *from, struct thread *to);
void first_schedule(void);
_Noreturn void leave_kernel_stack(void);

/* threads.c */
extern struct thread thread_a, thread_b;
extern uint32_t user_data[];
struct thread *threads_start(void);
_Noreturn void threads_wait(void);
void fault(const struct frame *frame, uint32_t vector, uint32_t error);

/* watch.c */
void look(struct thread *from, struct thread *to);

/* stacks.c */
void stacks_start(const struct thread *thread);
void stacks_refused(const struct thread *thread, const char *what, const char *why);
void stacks_show(uint64_t switches, const struct thread *from, const struct thread *to);

/* A thread's piece of what ring 3 has in ds: its two TLS, and its stack. */
static inline uint32_t *thread_data(const struct thread *thread)
{
	return user_data + thread->place * (USER_BYTES / sizeof(uint32_t));
}

/* The word where ring 0 asks a thread (ask.h). */
static inline uint32_t *ask_of(const struct thread *thread)
{
	return &thread->tls[0][ASKED / sizeof(uint32_t)];
}

static inline struct frame *thread_frame(const struct thread *thread)
{
	return (struct frame *)thread->stack_end - 1;
}

#endif
#endif

/*
 * A proc of SYSENTER, its frame, and what its address space holds.
 *
 * The frame ends where struct proc begins, as in P_PROC, and that is esp0.  But sysenter
 * pushes nothing.  What it keeps of ring 3 the proc itself has put into ecx and edx, and the
 * gate saves these with all others:
 *
 *	+52          <- esp0, the frame's end: struct proc
 *	+48  eflags	by pushf; IF is clear, whatever it was in ring 3
 *	+44  eax     \
 *	+40  ecx      |	esp: where sysexit sets the stack
 *	+36  edx      |	eip: where sysexit goes on
 *	+32  ebx      |
 *	+28  (esp)    |	by pusha
 *	+24  ebp      |
 *	+20  esi      |
 *	+16  edi     /
 *	+12  ds es fs gs	by push	<- esp when all is saved; the frame's start
 *
 * An exception or interrupt of ring 3 finds the same end, and leaves a struct frame there
 * (ring0/frame.h), until iret or the proc's end.
 *
 * The space, below ring 0's (ring0/paging.h), at the same addresses for both:
 *
 *	08048000  code		read, execute	one page for both
 *	08049000  data		read, write
 *	0804d000  window	read, write	ring 0 copies it to the screen
 *	0804f000  stack		read, write	down from 08050000; nothing below
 */
#ifndef PROC_H
#define PROC_H

#define RING3_CODE	0x08048000	/* flat.ld */
#define RING3_DATA	0x08049000
#define RING3_WINDOW	0x0804d000
#define RING3_STACK	0x0804f000
#define RING3_STACK_END	0x08050000

#define ASKED		(RING3_DATA + 0)	/* ring 0 asks here (ring3/ask.h) */

#define SYSENTER_MISTAKES	8

#define PROC_FRAME_BYTES	52
#define PROC_SPACE		4	/* in struct proc */

/*
 * Four segments in the order on which sysenter and sysexit insist.  They do not read these
 * descriptors, but whatever reads them later must find what they set: flat, and accessed.
 *
 *  place  selector          base               size               type         DPL  purpose */
#define FLAT_RING3_SEGMENTS(SEG) \
SEG(0x30,  SYSENTER_CODE, flat, 0,                 ALL,               USED_CODE,   0, "cs in ring 0, behind sysenter") \
SEG(0x38,  SYSENTER_DATA, flat, 0,                 ALL,               USED_DATA,   0, "ss in ring 0, behind sysenter") \
SEG(0x40,  USER_CODE,    flat, 0,                  ALL,               USED_CODE,   3, "cs in ring 3, behind sysexit") \
SEG(0x48,  USER_DATA,    flat, 0,                  ALL,               USED_DATA,   3, "ss in ring 3, behind sysexit")

#include "ring0/flat_segments.h"

#define USED_CODE		(ACCESS_CODE | ACCESS_USED)
#define USED_DATA		(ACCESS_DATA | ACCESS_USED)

/* The registers that sysenter reads (Intel, volume 2, SYSENTER). */
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176

#ifndef __ASSEMBLER__

#include <stdbool.h>

#include "ring0/frame.h"
#include "ring0/paging.h"

struct proc {
	struct proc *next;	/* whose turn it is after this one */
	uint32_t space;		/* for CR3: its directory */
	uint8_t first_page;	/* in the pool, of those below */
	bool ended;
	char name;
	uint8_t place;		/* 0: upper window, left half of the panel; 1: the other */
};
_Static_assert(offsetof(struct proc, next) == 0, "proc");
_Static_assert(offsetof(struct proc, space) == PROC_SPACE, "proc");

struct proc_frame {
	uint16_t gs, gs_upper, fs, fs_upper, es, es_upper, ds, ds_upper;
	uint32_t edi, esi, ebp, pusha_esp, ebx;
	uint32_t eip;		/* edx */
	uint32_t esp;		/* ecx */
	uint32_t eax, eflags;
};
_Static_assert(offsetof(struct proc_frame, eip) == 36, "proc_frame");
_Static_assert(sizeof(struct proc_frame) == PROC_FRAME_BYTES, "proc_frame");

/* The pool behind ring 0's pages: a proc's from first_page on, and the code of both. */
enum { DIRECTORY, TABLE, DATA, WINDOW, STACK, PAGES_OF_A_PROC };
enum {
	CODE = PAGES_OF_RING0, FIRST_OF_A, FIRST_OF_B = FIRST_OF_A + PAGES_OF_A_PROC,
	POOL_PAGES = FIRST_OF_B + PAGES_OF_A_PROC,
};

static inline struct proc_frame *frame_of(struct proc *proc)
{
	return (struct proc_frame *)proc - 1;
}

/* sysenter.S */
extern struct proc proc_a, proc_b;
extern const char gate[], way_out[];	/* here a proc has all of its registers, in ring 0 */
extern const char leave[];		/* from here to way_out it gets them back */

/* spaces.c */
void space_make(struct proc *proc);
uint32_t *asked_of(const struct proc *proc);

/* procs.c */
struct proc *procs_start(void);
struct proc *watched_switch(struct proc *from);
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error);
extern struct frame *fault_found;	/* what was interrupted, for iret */

/* panel.c */
void panel_start(struct proc *proc);
void panel_show(uint64_t switches, struct proc *from, struct proc *to);

#endif
#endif

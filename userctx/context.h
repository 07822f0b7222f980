/*
 * The context: everything a user has in its registers, while it does not run.
 *
 * run(&context) loads it and enters ring 3; when the user traps, whatever the way,
 * all is stored here again, and run returns.
 *
 * The context is itself the stack that this is popped from and pushed on.  While its
 * user runs, TSS.esp0 is the end of its frame, so that the CPU's five words land where
 * they belong (Intel, volume 3, section 6.12.1); everything else is pushed below them.
 *
 *	+160 gsbase	linear addresses of its two small segments, as one has them
 *	+156 fsbase	for thread-local storage: 24 bits; only ever loaded, since
 *			ring 3 cannot change them
 *			<- esp0, and the end of the frame
 *	+152 ss       \
 *	+148 esp       |
 *	+144 eflags    |  pushed by the CPU, popped by iret
 *	+140 cs        |
 *	+136 eip      /   where the user goes on
 *	+132 error_code   by the CPU, or 0 where it pushes none	  \ only ever stored:
 *	+128 trap_num	  why run has returned: 0x100 for int	   | run skips them
 *			  0x30, else the CPU's vector		  /
 *	+124 eax      \
 *	+120 ecx       |
 *	+116 edx       |
 *	+112 ebx       |  pushed by pusha, popped by popa,
 *	+108 (esp)     |  which skips this one: the real one is above
 *	+104 ebp       |
 *	+100 esi       |
 *	 +96 edi      /
 *	 +92 ds       \
 *	 +88 es        |  pushed one by one; of a selector's word the lower
 *	 +84 fs        |  half counts
 *	 +80 gs       /   <- esp when all is saved, and when run begins to pop
 *	  +0 headroom	  for a trap in ring 0 while esp is inside: struct trap_frame,
 *			  17 words, and an NMI on top of it, 3 words
 */
#ifndef CONTEXT_H
#define CONTEXT_H

#define CONTEXT_GS	80	/* the frame, from here ... */
#define CONTEXT_END	156	/* ... to here */
#define FSBASE		156
#define GSBASE		160
#define CONTEXT_BYTES	164

#define TRAP_CALL	0x100	/* trap_num: no vector of the CPU's, but a call */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct user_context {
	uint32_t headroom[CONTEXT_GS / sizeof(uint32_t)];
	uint16_t gs, gs_upper, fs, fs_upper, es, es_upper, ds, ds_upper;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t trap_num, error_code;
	uint32_t eip;
	uint16_t cs, cs_upper;
	uint32_t eflags;
	uint32_t esp;
	uint16_t ss, ss_upper;
	uint32_t fsbase, gsbase;
};
#define AT(field, offset) \
	_Static_assert(offsetof(struct user_context, field) == offset, #field)
AT(gs, CONTEXT_GS); AT(fs, 84); AT(es, 88); AT(ds, 92);
AT(edi, 96); AT(esi, 100); AT(ebp, 104); AT(pusha_esp, 108);
AT(ebx, 112); AT(edx, 116); AT(ecx, 120); AT(eax, 124);
AT(trap_num, 128); AT(error_code, 132);
AT(eip, 136); AT(cs, 140); AT(eflags, 144); AT(esp, 148); AT(ss, 152);
AT(fsbase, CONTEXT_END); AT(fsbase, FSBASE); AT(gsbase, GSBASE);
#undef AT
_Static_assert(sizeof(struct user_context) == CONTEXT_BYTES, "context");

/*
 * What ring 0 had in its registers when it trapped itself: a context's frame, but for
 * esp and ss, which the CPU does not push where the ring stays (and so does the stack).
 */
struct trap_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t trap_num, error_code;
	uint32_t eip, cs, eflags;
};
enum { TRAP_POPPED = 12 };	/* so many words of it are popped before iret: gs to eax */
#define SAME(field) \
	_Static_assert(offsetof(struct trap_frame, field) + CONTEXT_GS == \
		       offsetof(struct user_context, field), #field)
SAME(gs); SAME(ds); SAME(edi); SAME(eax); SAME(trap_num); SAME(error_code); SAME(eflags);
#undef SAME
_Static_assert(offsetof(struct trap_frame, trap_num) == TRAP_POPPED * sizeof(uint32_t), "trap_frame");
_Static_assert(sizeof(struct trap_frame) + 3 * sizeof(uint32_t) == CONTEXT_GS, "headroom");

/* run.S */
void run(struct user_context *context);
_Noreturn void run_return(void);

/* main.c */
void trap_handler(struct trap_frame *trap);

#endif
#endif

/*
 * The context: all of a user's registers, while it does not run.
 *
 * run(&context) loads it and enters ring 3; when the user traps, for whatever reason,
 * all of it is stored again, and run returns.
 *
 * The context is itself the stack that this is popped from and pushed on.  While its
 * user runs, TSS.esp0 is the end of its frame, so that the CPU's five words land where
 * they belong (Intel, volume 3, section 6.12.1); everything else is pushed below them.
 *
 *	 +80 gsbase	linear addresses of the user's two small segments, as used
 *	 +76 fsbase	for thread-local storage: 24 bits; only ever loaded, since
 *			ring 3 cannot change them
 *			<- esp0, and the end of the frame
 *	 +72 ss       \
 *	 +68 esp       |
 *	 +64 eflags    |  pushed by the CPU, popped by iret
 *	 +60 cs        |
 *	 +56 eip      /   where the user goes on
 *	 +52 error_code   by the CPU, or 0 where it pushes none	  \ only ever stored:
 *	 +48 trap_num	  why run has returned: 0x100 for int	   | run skips them
 *			  0x30, else the CPU's vector		  /
 *	 +44 eax      \
 *	 +40 ecx       |
 *	 +36 edx       |
 *	 +32 ebx       |  pushed by pusha, popped by popa,
 *	 +28 (esp)     |  which skips this one: the real one is above
 *	 +24 ebp       |
 *	 +20 esi       |
 *	 +16 edi      /
 *	 +12 ds       \
 *	  +8 es        |  pushed one by one; of a selector's word the lower
 *	  +4 fs        |  half counts
 *	  +0 gs       /   <- esp when all is saved, and when run begins to pop
 *
 * HEADROOM below each context: while esp is inside, ring 0 itself may trap, which takes
 * a struct trap_frame, 17 words, and an NMI on top of that, 3 words.
 */
#ifndef CONTEXT_H
#define CONTEXT_H

#define CONTEXT_END	76	/* of the frame: esp0 */
#define FSBASE		76
#define GSBASE		80
#define CONTEXT_BYTES	84
#define CONTEXT_HEADROOM	(4 * (17 + 3))

#define TRAP_CALL	0x100	/* trap_num: no vector of the CPU's, but a call */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct user_context {
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
AT(gs, 0); AT(fs, 4); AT(es, 8); AT(ds, 12);
AT(edi, 16); AT(esi, 20); AT(ebp, 24); AT(pusha_esp, 28);
AT(ebx, 32); AT(edx, 36); AT(ecx, 40); AT(eax, 44);
AT(trap_num, 48); AT(error_code, 52);
AT(eip, 56); AT(cs, 60); AT(eflags, 64); AT(esp, 68); AT(ss, 72);
AT(fsbase, CONTEXT_END); AT(fsbase, FSBASE); AT(gsbase, GSBASE);
#undef AT
_Static_assert(sizeof(struct user_context) == CONTEXT_BYTES, "context");

/*
 * What ring 0 had in its registers when it trapped itself: a context's frame without
 * esp and ss, which the CPU does not push when the ring (and so the stack) stays.
 */
struct trap_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t trap_num, error_code;
	uint32_t eip, cs, eflags;
};
enum { TRAP_POPPED = 12 };	/* how many words of it are popped before iret: gs to eax */
#define SAME(field) \
	_Static_assert(offsetof(struct trap_frame, field) == \
		       offsetof(struct user_context, field), #field)
SAME(gs); SAME(ds); SAME(edi); SAME(eax); SAME(trap_num); SAME(error_code); SAME(eflags);
#undef SAME
_Static_assert(offsetof(struct trap_frame, trap_num) == TRAP_POPPED * sizeof(uint32_t), "trap_frame");
_Static_assert(sizeof(struct trap_frame) + 3 * sizeof(uint32_t) == CONTEXT_HEADROOM, "headroom");

/* run.S */
void run(struct user_context *context);
_Noreturn void run_return(void);

/* main.c */
void trap_handler(struct trap_frame *trap);

#endif
#endif

/*
 * The frame: all of a proc's registers, while it does not run.
 *
 * TSS.esp0 points at the frame's END, so that the CPU itself puts the first
 * five words there when the proc executes int 0x30 (Intel, volume 3, section
 * 6.12.1: inter-privilege stack switch).  The gate pushes the rest below them.
 *
 *	+68          <- esp0 while the proc runs: the frame's end
 *	+64  ss      \
 *	+60  esp      |
 *	+56  eflags   |  pushed by the CPU (int), popped by iret
 *	+52  cs       |
 *	+48  eip     /
 *	+44  eax     \
 *	+40  ecx      |
 *	+36  edx      |
 *	+32  ebx      |  pushed by pusha, popped by popa,
 *	+28  (esp)    |  which skips this one: the real one is above
 *	+24  ebp      |
 *	+20  esi      |
 *	+16  edi     /
 *	+12  ds      \
 *	 +8  es       |  pushed by the gate, one by one
 *	 +4  fs       |
 *	 +0  gs      /  <- esp when all is saved; the frame's start
 *
 * Each selector takes a word, of which only the lower half counts: some CPUs leave
 * the upper half unchanged when they push a selector.
 *
 * HEADROOM below each frame: while esp is inside a frame, a fault in the gate makes
 * the CPU push 4 words there, and the handler saves 2 + 12 more before it changes to
 * a stack of its own (fault_entry.h).
 */
#ifndef FRAME_H
#define FRAME_H

#define FRAME_BYTES	68
#define HEADROOM_BYTES	(4 * (4 + 2 + 12))

#ifdef __ASSEMBLER__

/* Into and out of a frame, in the order in which it is drawn above. */
	.macro	save_registers
	pusha
	push	%ds
	push	%es
	push	%fs
	push	%gs
	.endm

	.macro	restore_registers
	pop	%gs
	pop	%fs
	pop	%es
	pop	%ds
	popa
	.endm

/*
 * From label begin to here a proc's registers are restored, and their values are the
 * proc's own: if the CPU refuses a selector, or finds eip outside its segment, the
 * exception comes from ring 0, but it is the proc that ends (cause.c).
 */
	.macro	restored_since begin
1000:	.pushsection .restores, "a"
	.word	\begin, 1000b
	.popsection
	.endm

#else

#include <stddef.h>
#include <stdint.h>

struct frame {
	uint16_t gs, gs_upper, fs, fs_upper, es, es_upper, ds, ds_upper;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t eip;
	uint16_t cs, cs_upper;
	uint32_t eflags;
	uint32_t esp;
	uint16_t ss, ss_upper;
};
_Static_assert(offsetof(struct frame, gs) == 0, "frame");
_Static_assert(offsetof(struct frame, ds) == 12, "frame");
_Static_assert(offsetof(struct frame, edi) == 16, "frame");
_Static_assert(offsetof(struct frame, eax) == 44, "frame");
_Static_assert(offsetof(struct frame, eip) == 48, "frame");
_Static_assert(offsetof(struct frame, cs) == 52, "frame");
_Static_assert(offsetof(struct frame, eflags) == 56, "frame");
_Static_assert(offsetof(struct frame, esp) == 60, "frame");
_Static_assert(offsetof(struct frame, ss) == 64, "frame");
_Static_assert(sizeof(struct frame) == FRAME_BYTES, "frame");

#endif
#endif

/*
 * The frame of CALLGATE: P_PROC's (ring0/frame.h), as a call gate leaves it.
 *
 *	+68          <- esp0 while the proc runs: the frame's end
 *	+64  ss      \
 *	+60  esp      |
 *	+56  parameter | pushed by the CPU (lcall), popped by lret
 *	+52  cs       |
 *	+48  eip     /
 *	+44  eax ecx edx ebx (esp) ebp esi edi	by pusha
 *	+12  ds es fs gs			by the gate, one by one
 *	 -4  eflags	by pushf	<- esp when all is saved
 *
 * A call gate does not push eflags.  With one parameter its frame has the shape of an
 * interrupt's all the same: the parameter lies where an interrupt leaves eflags.  So
 * procs/ and switch.c work on it as they are.  The flags themselves lie in the word below,
 * in the frame's headroom.  Of that, the deepest exception while esp is inside the frame
 * (with an error code, at pop gs) still needs no more than there is.
 *
 * An exception or interrupt of ring 3 finds the same end, and pushes its own five words:
 * then the word at +56 is eflags, until the frame is left or its proc ends.
 */
#ifndef CALL_FRAME_H
#define CALL_FRAME_H

#include "ring0/frame.h"
#include "switch.h"

#define FLAGS_BYTES		4	/* below the frame */
#define PARAMETERS		1
#define PARAMETER_BYTES		(4 * PARAMETERS)

/* The gate's selector: its place in the GDT, behind LDT_SEGMENTS, and RPL 3. */
#define CALL_GATE_PLACE		0x40

#ifndef __ASSEMBLER__

/* What a proc has passed, and its flags.  In: its frame, after lcall. */
static inline uint32_t *frame_parameter(struct frame *frame)
{
	return &frame->eflags;
}

static inline uint32_t *frame_flags(struct frame *frame)
{
	return (uint32_t *)frame - 1;
}

/* Interrupts: how many found ring 3, and how many the gate's first instruction (gap.c). */
void gap_count(const struct proc *proc, const struct frame *frame);
void gap_start(void);
struct proc *gap_show(struct proc *to);

extern struct frame *fault_found;
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error);

#endif
#endif

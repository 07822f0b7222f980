/*
 * flat.h - what assembly and C of this kernel share
 */
#ifndef FLAT_H
#define FLAT_H

#define KERNEL_CODE	0x08
#define KERNEL_DATA	0x10
#define USER_CODE	0x18
#define USER_DATA	0x20
#define TSS_SELECTOR	0x28

#define VECTORS		48	/* exceptions, and the IRQs behind them */
#define SYSTEM_CALL	0x80
#define CALL_YIELD	0
#define CALL_GREET	1	/* esi: GREETING_BYTES bytes; eax: how many crossings yet */
#define CALL_WRONG	2	/* a result is wrong */
#define GREETING_BYTES	8

#ifndef __ASSEMBLER__

#include "../pc.h"

/* What enter pushes, and iret takes.  In ring 0 the frame ends before esp. */
struct frame {
	uint32_t es, ds;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t vector, error;
	uint32_t eip, cs, eflags, esp, ss;
};

void tables_start(void);
void set_kernel_stack(uint32_t end);

#endif
#endif

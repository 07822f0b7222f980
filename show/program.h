/*
 * What a program tells the show of itself: one row, which each program has.  For
 * assembly and C alike.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#define FULL_SPEED	16	/* the pace behind the last that is 2^pace */
#define BATCH_SMALLEST	64
#define NO_GATE		"int n through a gate that ring 3 may not use, or that does not exist. The only door is int 0x30."

#ifdef __ASSEMBLER__

	.macro	program name, title, no_gate=NO_GATE, full_speed=FULL_SPEED, full_speed_text="full speed", batch=BATCH_SMALLEST
	.section .rodata
	.balign	4
	.global	program
program:
	.long	1f, 2f, 3f, \full_speed, 4f, \batch
1:	.asciz	"\name"
2:	.asciz	"\title"
3:	.asciz	"\no_gate"
4:	.asciz	"\full_speed_text"
	.endm

#else

#include <stddef.h>
#include <stdint.h>

struct program {
	const char *name;		/* in the log */
	const char *ring0_title;	/* of ring 0's panel: how ring 3 gets in */
	const char *no_gate;		/* what int n does but for the program's door */
	unsigned full_speed;		/* the pace behind the last that is 2^pace */
	const char *full_speed_text;
	uint32_t batch_smallest;	/* switches between looks, at full speed; 2 or more */
};
_Static_assert(offsetof(struct program, full_speed) == 12, "the macro program has this order");
_Static_assert(sizeof(struct program) == 24, "the macro program has as many words");

extern const struct program program;

#endif
#endif

/*
 * The segments of P_PROC, beyond those of ring 0.  What a proc may name is in an
 * LDT of its own, and the gate loads the LDT of the proc that is next: so the
 * segments of the other proc have no selector at all (Intel, volume 3, section
 * 2.1.1).  The two LDTs use different places, so that a selector tells whose it is:
 * A_CODE, 0x00 + TI + DPL 3, is 0x07.
 */
#ifndef PROC_SEGMENTS_H
#define PROC_SEGMENTS_H

#include "ring0/segments.h"
#include "show/layout.h"

#define PROC_DATA_BYTES	256		/* data at the bottom, stack at the top */

/*  place  selector          base               size               type         DPL  purpose */
#define LDT_SEGMENTS(SEG) \
SEG(0x30,  A_LDT,        in, proc_a_ldt,           proc_a_ldt_bytes,  ACCESS_LDT,  0, "what proc A may name") \
SEG(0x38,  B_LDT,        in, proc_b_ldt,           proc_b_ldt_bytes,  ACCESS_LDT,  0, "what proc B may name")

#define A_SEGMENTS(SEG) \
SEG(0x04,  A_CODE,       in, proc_a_code,          proc_a_code_bytes, ACCESS_CODE, 3, "proc A's instructions") \
SEG(0x0c,  A_DATA,       in, proc_a_data,          PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc A's data and stack") \
SEG(0x14,  A_SCREEN,     at, WINDOW_LINEAR(A_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "proc A's window")

#define B_SEGMENTS(SEG) \
SEG(0x1c,  B_CODE,       in, proc_b_code,          proc_b_code_bytes, ACCESS_CODE, 3, "proc B's instructions") \
SEG(0x24,  B_DATA,       in, proc_b_data,          PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc B's data and stack") \
SEG(0x2c,  B_SCREEN,     at, WINDOW_LINEAR(B_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "proc B's window")

SELECTORS(LDT_SEGMENTS)
SELECTORS(A_SEGMENTS)
SELECTORS(B_SEGMENTS)

#ifdef __ASSEMBLER__
#include "ring0/tables.h"

/* Both LDTs.  B's begins with A's places, empty. */
	.macro	proc_ldts
	ldt_begins proc_a_ldt
	A_SEGMENTS(DESCRIPTOR)
	.set	proc_a_ldt_bytes, . - proc_a_ldt

	ldt_begins proc_b_ldt, 3	# the places of A
	B_SEGMENTS(DESCRIPTOR)
	.set	proc_b_ldt_bytes, . - proc_b_ldt
	.endm

#endif

#endif

/*
 * Every segment there is: the tables behind GDT and LDTs, and the selectors.
 *
 * What ring 0 needs is in the GDT.  What a proc may name is in an LDT of its own,
 * and the gate loads the LDT of the proc that is next: so the segments of the
 * other one have no selector at all (Intel, volume 3, section 2.1.1).  The places
 * in the two LDTs differ, and so a selector tells whose it is.
 *
 * A base "in" is an offset in the program, to which the program's own base (cs * 16
 * in real mode) is added at run time; one "at" is a linear address and stays.  The
 * size is exact: a limit is size - 1.  A selector is its place (with TI, 4, in an
 * LDT) and its segment's DPL as RPL: A_CODE is 0x00 + 4 + 3 = 0x07.
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "layout.h"
#include "x86.h"

#define PROGRAM_BYTES	0x10000		/* offsets in a program are 16 bits */
#define PROC_DATA_BYTES	256		/* data at the bottom, stack at the top */

/*  place  selector          base               size               type         DPL  purpose */
#define GDT_SEGMENTS(SEG) \
SEG(0x08,  RING0_CODE,   in, 0,                    PROGRAM_BYTES,     ACCESS_CODE, 0, "the program, as ring 0 runs it") \
SEG(0x10,  RING0_DATA,   in, 0,                    PROGRAM_BYTES,     ACCESS_DATA, 0, "the program, as ring 0 sees it; its stacks") \
SEG(0x18,  TSS,          in, tss,                  TSS_BYTES,         ACCESS_TSS,  0, "where int finds ss0:esp0") \
SEG(0x20,  A_LDT,        in, proc_a_ldt,           proc_a_ldt_bytes,  ACCESS_LDT,  0, "what proc A may name") \
SEG(0x28,  B_LDT,        in, proc_b_ldt,           proc_b_ldt_bytes,  ACCESS_LDT,  0, "what proc B may name") \
SEG(0x30,  RING0_SCREEN, at, SCREEN_LINEAR,        SCREEN_BYTES,      ACCESS_DATA, 0, "the whole text screen") \
SEG(0x38,  DOUBLE_FAULT_TSS, in, double_fault_tss, TSS_BYTES,         ACCESS_TSS,  0, "what the CPU loads when nothing else works")

#define A_SEGMENTS(SEG) \
SEG(0x04,  A_CODE,       in, proc_a_code,          proc_a_code_bytes, ACCESS_CODE, 3, "proc A's instructions") \
SEG(0x0c,  A_DATA,       in, proc_a_data,          PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc A's data and stack") \
SEG(0x14,  A_SCREEN,     at, WINDOW_LINEAR(A_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "proc A's window")

#define B_SEGMENTS(SEG) \
SEG(0x1c,  B_CODE,       in, proc_b_code,          proc_b_code_bytes, ACCESS_CODE, 3, "proc B's instructions") \
SEG(0x24,  B_DATA,       in, proc_b_data,          PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc B's data and stack") \
SEG(0x2c,  B_SCREEN,     at, WINDOW_LINEAR(B_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "proc B's window")

#define ALL_SEGMENTS(SEG) GDT_SEGMENTS(SEG) A_SEGMENTS(SEG) B_SEGMENTS(SEG)

#ifdef __ASSEMBLER__
#define SELECTOR(place, name, where, base, size, type, dpl, purpose) .set name, (place) + (dpl);
ALL_SEGMENTS(SELECTOR)
#else
#define SELECTOR(place, name, where, base, size, type, dpl, purpose) name = (place) + (dpl),
enum selector { ALL_SEGMENTS(SELECTOR) };
#endif
#undef SELECTOR

#endif

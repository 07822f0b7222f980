/*
 * Every segment there is: the one table behind the GDT and the selectors.
 *
 * A base is an offset in the program, to which the program's own base (cs * 16
 * in real mode) is added at run time; bases of the second table are linear
 * addresses and stay as they are.  The size is exact: a limit is size - 1.
 * A selector's RPL is its segment's DPL, so A_CODE is 0x20 + 3 = 0x23.
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "layout.h"
#include "x86.h"

#define PROGRAM_BYTES	0x10000		/* offsets in a program are 16 bits */
#define PROC_DATA_BYTES	256		/* data at the bottom, stack at the top */

/*  place  selector      base          size               type         DPL  purpose */
#define PROGRAM_SEGMENTS(SEG) \
SEG(0x08,  RING0_CODE,   0,            PROGRAM_BYTES,     ACCESS_CODE, 0, "the program, as ring 0 runs it") \
SEG(0x10,  RING0_DATA,   0,            PROGRAM_BYTES,     ACCESS_DATA, 0, "the program, as ring 0 sees it; its stacks") \
SEG(0x18,  TSS,          tss,          TSS_BYTES,         ACCESS_TSS,  0, "where int finds ss0:esp0") \
SEG(0x20,  A_CODE,       proc_a_code,  proc_a_code_bytes, ACCESS_CODE, 3, "proc A's instructions") \
SEG(0x28,  A_DATA,       proc_a_data,  PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc A's data and stack") \
SEG(0x30,  B_CODE,       proc_b_code,  proc_b_code_bytes, ACCESS_CODE, 3, "proc B's instructions") \
SEG(0x38,  B_DATA,       proc_b_data,  PROC_DATA_BYTES,   ACCESS_DATA, 3, "proc B's data and stack")

#define SCREEN_SEGMENTS(SEG) \
SEG(0x40,  RING0_SCREEN, SCREEN_LINEAR,        SCREEN_BYTES, ACCESS_DATA, 0, "the whole text screen") \
SEG(0x48,  A_SCREEN,     WINDOW_LINEAR(A_ROW), WINDOW_BYTES, ACCESS_DATA, 3, "proc A's window") \
SEG(0x50,  B_SCREEN,     WINDOW_LINEAR(B_ROW), WINDOW_BYTES, ACCESS_DATA, 3, "proc B's window")

#ifdef __ASSEMBLER__
#define SELECTOR(place, name, base, size, type, dpl, purpose) .set name, (place) + (dpl);
PROGRAM_SEGMENTS(SELECTOR)
SCREEN_SEGMENTS(SELECTOR)
#else
#define SELECTOR(place, name, base, size, type, dpl, purpose) name = (place) + (dpl),
enum selector { PROGRAM_SEGMENTS(SELECTOR) SCREEN_SEGMENTS(SELECTOR) };
#endif
#undef SELECTOR

#endif

/*
 * The segments of ring 0, the same in every program, and how a row of such a table
 * is to be read.  What a program has beyond that is in a table of its own, for
 * P_PROC in proc_segments.h.  How long its TSS is, each program says (tss_bytes).
 *
 * A base "in" is an offset in the program, to which the program's own base (cs * 16
 * in real mode) is added at run time; one "at" is a linear address and stays.  The
 * size is exact: a limit is size - 1.  A selector is its place (with TI, 4, in an
 * LDT) and its segment's DPL as RPL.  tables.h makes descriptors of the rows.
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "text_memory.h"
#include "x86.h"

#define PROGRAM_BYTES	0x10000		/* offsets in a program are 16 bits */

/*  place  selector          base               size               type         DPL  purpose */
#define RING0_SEGMENTS(SEG) \
SEG(0x08,  RING0_CODE,   in, 0,                    PROGRAM_BYTES,     ACCESS_CODE, 0, "the program, as ring 0 runs it") \
SEG(0x10,  RING0_DATA,   in, 0,                    PROGRAM_BYTES,     ACCESS_DATA, 0, "the program, as ring 0 sees it; its stacks") \
SEG(0x18,  TSS,          in, tss,                  tss_bytes,         ACCESS_TSS,  0, "where int finds ss0:esp0") \
SEG(0x20,  DOUBLE_FAULT, in, double_fault_tss,     TSS_BYTES,         ACCESS_TSS,  0, "the task for when nothing else works") \
SEG(0x28,  RING0_SCREEN, at, SCREEN_LINEAR,        SCREEN_BYTES,      ACCESS_DATA, 0, "the whole text screen")

/* The selectors of some rows, as constants. */
#ifdef __ASSEMBLER__
#define SELECTOR(place, name, where, base, size, type, dpl, purpose) .set name, (place) + (dpl);
#define SELECTORS(rows)		rows(SELECTOR)
#else
#define SELECTOR(place, name, where, base, size, type, dpl, purpose) name = (place) + (dpl),
#define SELECTORS(rows)		enum { rows(SELECTOR) };
#endif

SELECTORS(RING0_SEGMENTS)

#endif

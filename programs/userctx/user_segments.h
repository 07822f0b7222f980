/*
 * The segments of USERCTX, beyond those of ring 0 (ring0/segments.h, where it says
 * how to read a row).  Every user has the same selectors.  What they stand for is its
 * own: code and data are in an LDT, and C loads the LDT of the user that it is going
 * to run; the bases of the other two are in the context, and run puts them into the
 * GDT.
 */
#ifndef USER_SEGMENTS_H
#define USER_SEGMENTS_H

#include "ring0/segments.h"
#include "show/layout.h"

#define PROC_DATA_BYTES	256		/* data at the bottom, stack at the top */

/*  place  selector          base               size               type         DPL  purpose */
#define USER_SEGMENTS(SEG) \
SEG(0x30,  USER_FS,      at, 0,                    PROC_DATA_BYTES,   ACCESS_DATA, 3, "what fsbase leads to: data of its own") \
SEG(0x38,  USER_GS,      at, 0,                    WINDOW_BYTES,      ACCESS_DATA, 3, "what gsbase leads to: its window") \
SEG(0x40,  A_LDT,        in, a_ldt,                a_ldt_bytes,       ACCESS_LDT,  0, "proc A's USER_CODE and USER_DATA") \
SEG(0x48,  B_LDT,        in, b_ldt,                b_ldt_bytes,       ACCESS_LDT,  0, "proc B's USER_CODE and USER_DATA")

/* The rows of both LDTs: user is proc_a or proc_b. */
#define LDT_SEGMENTS(SEG, user) \
SEG(0x04,  USER_CODE,    in, user##_code,          user##_code_bytes, ACCESS_CODE, 3, "the user's instructions") \
SEG(0x0c,  USER_DATA,    in, user##_data,          PROC_DATA_BYTES,   ACCESS_DATA, 3, "the user's data and stack")

#define A_SEGMENTS(SEG) LDT_SEGMENTS(SEG, proc_a)
#define B_SEGMENTS(SEG) LDT_SEGMENTS(SEG, proc_b)

SELECTORS(USER_SEGMENTS)
SELECTORS(A_SEGMENTS)

#endif

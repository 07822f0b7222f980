/*
 * The segments of KSTACK, beyond those of ring 0.  Threads are neighbours in one
 * world: code and data are the same for both.  Two rows are whoever's turn it is:
 * the switch writes the bases of TLS_1 and TLS_2 (schedule.c).
 */
#ifndef THREAD_SEGMENTS_H
#define THREAD_SEGMENTS_H

#include "ring0/segments.h"
#include "show/layout.h"

#define TLS_BYTES	16
#define USER_BYTES	256		/* a thread's: two TLS, and a stack down from the end */
#define USER_DATA_BYTES	(2 * USER_BYTES)

/*  place  selector          base               size               type         DPL  purpose */
#define THREAD_SEGMENTS(SEG) \
SEG(0x30,  USER_CODE,    in, thread_code,          thread_code_bytes, ACCESS_CODE, 3, "the threads' instructions") \
SEG(0x38,  USER_DATA,    in, user_data,            USER_DATA_BYTES,   ACCESS_DATA, 3, "the threads' data and stacks") \
SEG(0x40,  TLS_1,        in, user_data,            TLS_BYTES,         ACCESS_DATA, 3, "the running thread's own: fs") \
SEG(0x48,  TLS_2,        in, user_data,            TLS_BYTES,         ACCESS_DATA, 3, "more of its own: gs") \
SEG(0x50,  A_SCREEN,     at, WINDOW_LINEAR(A_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "thread A's window") \
SEG(0x58,  B_SCREEN,     at, WINDOW_LINEAR(B_ROW), WINDOW_BYTES,      ACCESS_DATA, 3, "thread B's window")

SELECTORS(THREAD_SEGMENTS)

#endif

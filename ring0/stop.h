/* How to recognise a program that DOS has loaded, and how it ends (stop.S, leave.S). */
#ifndef STOP_H
#define STOP_H

/* The word at SEG:0000: an "int 0x20", which DOS puts there for a program to end by. */
#define INT_20			0x20cd

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

extern const uint16_t program_segment[];	/* what stands at SEG:0000 */

static inline bool loaded_by_dos(void)
{
	return program_segment[0] == INT_20;
}

_Noreturn void back_to_dos(void);

#endif

#endif

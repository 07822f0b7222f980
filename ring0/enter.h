/* What is known since protected mode was entered (enter.S). */
#ifndef ENTER_H
#define ENTER_H

#include <stdint.h>

extern uint32_t program_base;	/* linear; offsets + this = linear addresses */
extern uint8_t bios_masks[2];	/* of both PICs, as they were found */

#endif

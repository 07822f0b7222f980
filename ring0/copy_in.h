/* Bytes from ring 3 (copy_in.S). */
#ifndef COPY_IN_H
#define COPY_IN_H

#define COPY_IN_END	0xffc00000	/* no address of ring 3's lies behind */

#ifndef __ASSEMBLER__

#include <stdint.h>

uint32_t copy_in(void *to, uint32_t from, uint32_t bytes);
extern const char copy_in_byte[], copy_in_failed[];

#endif
#endif

/*
 * An instruction of 64-bit code as far as its segment override goes: where the prefix
 * stands, whether it has a meaning, and which address the instruction accesses.
 */
#ifndef DECODE_H
#define DECODE_H

#include <stdint.h>

#define LONGEST		15	/* bytes of an instruction (Intel, volume 2, 2.3.11) */
#define FS_PREFIX	0x64
#define GS_PREFIX	0x65

#define NO_REGISTER	-1
#define RIP_REGISTER	-2	/* the address counts from the next instruction */

struct instruction {
	int length;		/* in bytes; of a cut one, those that are there */
	int override;		/* where the fs or gs prefix that holds stands; -1: none does */
	uint8_t segment;	/* that prefix: FS_PREFIX, GS_PREFIX, or 0 */
	int base_access;	/* 0xf3 0x0f 0xae with a register: rdfsbase and its three like */
	int memory;		/* whether it has an operand that the prefix moves */
	int address_known;	/* 0: vector registers, a bit's number or a scaled disp8 change it */
	int base, index;	/* numbers of registers, or the two above */
	int scale;
	int64_t displacement;
	int narrow;		/* the address has 32 bits */
	int add_al;		/* xlat */
};

enum decoded { WHOLE, CUT, UNKNOWN };

enum decoded decode(const uint8_t *code, int available, struct instruction *found);

#endif

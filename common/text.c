/*
 * Numbers as text, and the log: one line of logfmt for everything that happens.
 *
 * All functions: ring 0, ring0_stack or fault_stack, interrupts off, no errors.
 */
#include "text.h"
#include "machine.h"

enum { LONGEST = 20 };			/* decimal digits of 2^64 - 1 */
static char digits_end[LONGEST + 1];	/* filled from its end */

const char *hex(uint32_t value, unsigned digits)
{
	char *text = digits_end + LONGEST;

	for (; digits--; value >>= 4)
		*--text = "0123456789abcdef"[value & 15];
	return text;
}

/* 64 bits by 10 in two steps of div, since there is no library to do it. */
const char *decimal(uint64_t value)
{
	char *text = digits_end + LONGEST;
	uint32_t high = value >> 32, low = value;

	do {
		uint32_t remainder = high % 10;

		high /= 10;
		__asm__("divl %2" : "+a"(low), "+d"(remainder) : "r"(10));
		*--text = '0' + remainder;
	} while (high | low);
	return text;
}

char *append(char *to, const char *text)
{
	while ((*to = *text++))
		to++;
	return to;
}

void log_text(const char *text)
{
	while (*text)
		debug_out(*text++);
}

void log_hex(const char *key, uint32_t value, unsigned digits)
{
	log_text(key);
	log_text(hex(value, digits));
}

/*
 * pc.c - one line of text on the debug port, for the kernels that have no words of
 * their own
 */
#include "pc.h"

static void put(const char *text)
{
	while (*text)
		outb(DEBUG_PORT, *text++);
}

/* "KERNEL: WHAT NUMBER", the number in hexadecimal. */
void say(const char *kernel, const char *what, uint32_t number)
{
	put(kernel);
	put(": ");
	put(what);
	for (int shift = 28; shift >= 0; shift -= 4)
		outb(DEBUG_PORT, "0123456789abcdef"[number >> shift & 15]);
	put("\n");
}

/*
 * report - says how many crossings there have been, at 1, 1,024, 2,048, 4,096, ...
 *
 * Called in ring 0 at each, from C and from assembly (eax, edx; ecx is lost as well).
 */
void report(const char *kernel, uint32_t crossings)
{
	if ((crossings & (crossings - 1)) == 0 && (crossings == 1 || crossings >= 1024))
		say(kernel, "crossings ", crossings);
}

/*
 * What a compiler may call without being asked: it takes a large initialiser, or a
 * loop that only writes, for a call to memset.
 *
 * From:	C, in ring 0, with ds = es = RING0_DATA.  Any stack.  No errors.
 */
#include <stddef.h>

/* In: to, the byte to write, how often.  Out: to. */
void *memset(void *to, int byte, size_t count)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(byte) : "memory");
	return to;
}

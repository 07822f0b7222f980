/*
 * What a thread may not ask for.  The switch hands ports and TLS to the CPU unchecked:
 * a port beyond the last would change a bit behind the I/O bitmap, and a TLS in the
 * wrong place would give ring 3 what is not its own.  So they are checked once, when
 * the thread is made, and never during a switch.
 *
 * All functions: ring 0, interrupts off, any stack.
 * Out: what is wrong, as a text that lasts until the next call; 0 if nothing is.
 */
#include "show/text.h"
#include "thread.h"
#include "thread_segments.h"
#include "ring0/x86.h"

static char error[ERROR_BYTES];

/* From: thread_start (threads.c).  In: a list of ports, which may have no end. */
const char *ports_error(const uint32_t *ports)
{
	unsigned count = 0;

	while (ports[count] != PORTS_END)
		if (++count > PORTS_MAX) {
			format(error, "no end after %d", (uint64_t)PORTS_MAX);
			return error;
		}
	for (unsigned i = 0; i < count; i++)
		if (ports[i] >= PORTS) {
			format(error, "%d: there is no such port", (uint64_t)ports[i]);
			return error;
		}
	return 0;
}

/* From: thread_start (threads.c).  In: a thread; both its TLS must lie in its data. */
const char *tls_error(const struct thread *thread)
{
	for (unsigned i = 0; i < 2; i++) {
		uint32_t from = (uint32_t)thread->tls[i];

		if (from - (uint32_t)thread_data(thread) > USER_BYTES - TLS_BYTES) {
			format(error, "%s %8: not in the thread's data", i ? "gs" : "fs", from);
			return error;
		}
	}
	return 0;
}

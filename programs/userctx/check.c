/*
 * What is wrong with a context that C has written: what would give its user more than
 * a user may have, or what the CPU would refuse.  Not for contexts that a user has come
 * back with: from ring 3 no user can bring in more than it had (except NT and a stray
 * eip; neither does ring 0 any harm).
 *
 * All functions: ring 0, any stack, no errors of their own.
 */
#include <stdbool.h>

#include "contexts.h"
#include "show/text.h"
#include "user_segments.h"
#include "ring0/x86.h"

enum { ERROR_BYTES = 40 };

static char error[ERROR_BYTES];		/* the last that was found */

/* With cs or ss of RPL 0, iret would stay in ring 0.  In: the register's name and value;
   whether it may hold that.  Out: whether it is wrong. */
static bool selector_wrong(const char *name, uint16_t selector, bool allowed)
{
	if (allowed)
		return false;
	if ((selector & SELECTOR_RPL) != SELECTOR_RPL)
		format(error, "%s: RPL %c", name, '0' + (selector & SELECTOR_RPL));
	else
		format(error, "%s: %4 is not the user's", name, (uint32_t)selector);
	return true;
}

/* ds, es, fs and gs may hold any selector of the user's, or null. */
static bool data_wrong(const char *name, uint16_t selector)
{
	return selector_wrong(name, selector,
			      selector == USER_DATA || selector == USER_CODE ||
			      selector == USER_FS || selector == USER_GS || selector <= SELECTOR_RPL);
}

/*
 * From:	the function that has written a context, before it runs.
 * In:		the context; what memory is its user's own.
 * Out:		0, or what is wrong, as a text that lasts until the next call.
 * Intel:	volume 3, section 2.3 (eflags), 3.4.2 (selectors); volume 2, IRET.
 */
const char *user_context_error(const struct user_context *context, const struct user_memory *memory)
{
	if (selector_wrong("cs", context->cs, context->cs == USER_CODE) ||
	    selector_wrong("ss", context->ss, context->ss == USER_DATA) ||
	    data_wrong("ds", context->ds) || data_wrong("es", context->es) ||
	    data_wrong("fs", context->fs) || data_wrong("gs", context->gs))
		return error;
	if (context->eflags & EFLAGS_IOPL) {
		format(error, "eflags: IOPL %c", '0' + (context->eflags / EFLAGS_IOPL_1 & 3));
		return error;
	}
	if (context->eflags & EFLAGS_VM)
		return "eflags: VM";
	if (context->eflags & EFLAGS_NT)
		return "eflags: NT";
	if (!(context->eflags & EFLAGS_IF))
		return "eflags: IF is clear";
	if (context->eip >= memory->code_bytes)
		return "eip: outside the code";
	if (context->fsbase != memory->data)
		return "fsbase: not the user's data";
	if (context->gsbase != memory->window)
		return "gsbase: not the user's window";
	return 0;
}

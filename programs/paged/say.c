/*
 * int 0x31: ring 3 has a text for the log, and gives its address.  An address of ring 3's is
 * only a number: it may lead to ring 0, to nowhere, or out of a page into a hole.  ring 0 could
 * read what ring 3 may not; so no such number is used before copy_in has checked it.
 */
#include "ring0/copy_in.h"
#include "show/screen.h"
#include "show/text.h"
#include "thread.h"

/* A character that stands between quotes in the log. */
static char plain(char c)
{
	return c < ' ' || c > '~' || c == '"' ? '?' : c;
}

/*
 * From:	say_gate (paged.S).
 * In:		the thread's frame; eax in it: the text's address.
 * Out:		eax in the frame: 0, or -1: refused.
 * Stack:	the thread's kernel stack.  Interrupts off.
 */
void say(struct frame *frame)
{
	char text[SAY_BYTES] = "";
	uint32_t at = frame->eax;

	screen_use();
	frame->eax = (uint32_t)-1;
	for (unsigned i = 0; i < SAY_BYTES - 1; i++) {
		if (copy_in(text + i, at + i, 1)) {
			const char *why = at + i >= COPY_IN_END ? "it is ring 0's" : "there is no page";

			log_line("refused proc=%c text=%8 why=\"%s\"", current->name, at, why);
			panel_event("%c at %8: %s", current->name, at, why);
			return;
		}
		if (!text[i])
			break;
		text[i] = plain(text[i]);
	}
	frame->eax = 0;
	panel_event("%c says: %s", current->name, text);
	log_line("say proc=%c at=%8 phys=%8 text=\"%s\"", current->name, at,
		 walk(current->space, at).physical, text);
}

/*
 * A look at the game, for KSTACK (show/look.c).
 */
#include "ring3/ask.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/screen.h"
#include "thread.h"

/*
 * From:	schedule_in, after a change of threads, when a look is due.
 * In:		the threads that it was from and to.
 * Stack:	the kernel stack of the thread that runs.  Interrupts off.  gs: anything.
 */
void look(struct thread *from, struct thread *to)
{
	screen_use();

	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		stacks_show(switches, from, to);
	ask_count(ask_of(from));
	ask_count(ask_of(to));
	look_end(from->place, to->place);
}

/*
 * What keys ask of proc A: P_PROC's and TIMER's.
 */
#include "procs.h"
#include "ring3/ask.h"
#include "show/pace.h"

/*
 * Asks proc A for a mistake, after restarting it if it has ended.
 * From:	pace.c.  Ring 0, ring0_stack, interrupts off.
 * In:		0 to MISTAKES - 1; beyond them there is none.
 */
void proc_ask_mistake(unsigned number)
{
	if (number >= MISTAKES)
		return;
	if (proc_a_end.ended)
		procs_restart();
	*proc_a_end.ask = ASK_MISTAKE + number;
}

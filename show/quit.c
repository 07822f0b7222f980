/*
 * The end of the game: back to DOS if DOS has loaded the program, else off.
 */
#include "quit.h"
#include "ring0/machine.h"
#include "ring0/stop.h"
#include "screen.h"
#include "text.h"

/*
 * From:	pace.c, at the key q.
 * In:		how many switches there were.
 * Stack:	any of ring 0's.  Interrupts off.  gs: RING0_SCREEN.
 */
_Noreturn void quit(uint64_t switches)
{
	log_line("quit n=%d", switches);
	if (loaded_by_dos()) {
		bios_devices_restore();
		back_to_dos();
	}
	power_off();
	screen_message("The game is over, and both procs stay where they are.",
		       "It is safe to switch the machine off.");
	halt();
}

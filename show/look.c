/*
 * A look at the game: log, screen, pace.  The gate counts switches_left down, and
 * when it reaches zero the program looks: at a slow pace at every switch, at full
 * speed some thirty times a second, and always at those switches that the log
 * wants.  In between, switches cost what they cost and nothing else.
 *
 *	look_start	once, before the first iret
 *	look_begin	the switch is counted, and logged if its number is 1, 2, 4, ...
 *			(here the program draws what only it knows)
 *	look_end	time passes, keys are obeyed; then switches_left is set anew
 *
 *	look_soon	in between: the next switch is to be looked at
 *	look_while_halted	no proc is left: keys are obeyed all the same
 *
 * All functions: ring 0 with gs = RING0_SCREEN, one of its stacks, interrupts off,
 * no errors.
 */
#include "look.h"
#include "report.h"
#include "ring0/door.h"
#include "ring0/enter.h"
#include "clocks.h"
#include "ring0/tables.h"
#include "ring0/tell.h"
#include "pace.h"
#include "program.h"
#include "screen.h"
#include "text.h"
#include "version.h"
#include "ring0/watchdog.h"

static uint32_t switches_asked = 1;	/* what it was set to */
static uint64_t switches;		/* so far */
static uint64_t log_next = 1;		/* 1, 2, 4, 8, ... */

void look_start(void)
{
	log_line("boot prog=%s base=%8 gdt=%8 idt=%8 tss=%8 version=" VERSION, program.name, program_base,
		 (uint32_t)gdt, (uint32_t)idt, (uint32_t)&tss);
	screen_start();
	clocks_start();
	pace_start();
	watchdog_start();
}

/* In: the names of who the last switch was from and to.  Out: how many there were. */
uint64_t look_begin(char from, char to)
{
	return look_begin_at(from, to, tss.esp0, "");
}

/* The same for a program that has more than one TSS.  In: esp0 in the one that is to be
   used next; what else the log is to say, " key=value". */
uint64_t look_begin_at(char from, char to, uint32_t esp0, const char *more)
{
	clocks_end(switches_asked);
	watchdog_stop();
	switches += switches_asked;
	if (switches == log_next) {
		log_line("switch n=%d from=%c to=%c esp0=%8%s", switches, from, to, esp0, more);
		log_next *= 2;
	}
	report_strays();
	return switches;
}

/* In: their places. */
void look_end(unsigned from, unsigned to)
{
	switches_asked = pace_wait(from, to, switches);
	if (switches_asked > log_next - switches)
		switches_asked = log_next - switches;
	switches_left = switches_asked;

	door_stops(pace_is_slow());	/* while every switch is shown, let Bochs stop at each */
	watchdog_start();
	if (pace_is_full())
		clocks_begin();
}

/* From: watchdog.c, between two switches.  The count stays right: what is not asked for
   any more is not counted, either. */
void look_soon(void)
{
	switches_asked -= switches_left - 1;
	switches_left = 1;
}

/*
 * No proc is left: sleeps until something has happened, and obeys the keys that make
 * sense then.
 * From:	the program, again and again until a proc plays.
 * In:		why none does, for the screen.
 */
void look_while_halted(const char *why)
{
	watchdog_stop();
	pace_while_halted(why, switches + switches_asked - switches_left);
}

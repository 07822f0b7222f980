/*
 * The course of the game, whatever a switch is: how many there were, which of
 * them the log tells, how many are due before the next look.
 *
 * The program counts switches_left down, and has a look when it reaches zero: at a
 * slow pace at every switch, at full speed some thirty times a second, and always
 * at those switches that the log wants.  In between, switches cost what they cost
 * and nothing else.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack, interrupts off, no
 * errors.
 */
#include "game.h"
#include "machine.h"
#include "pace.h"
#include "screen.h"
#include "text.h"
#include "x86.h"

/* The program's. */
extern const char program_name[];
extern struct tss tss;
extern struct gate idt[];
extern char gdt[];

extern uint32_t program_base;	/* enter.S */

uint32_t switches_left = 1;
static uint32_t switches_asked = 1;	/* what it was set to */
static uint64_t switches;		/* so far */
static uint64_t log_next = 1;		/* 1, 2, 4, 8, ... */

/* Once, before anyone runs. */
void game_start(void)
{
	log_line("boot prog=%s base=%8 gdt=%8 idt=%8 tss=%8", program_name, program_base,
		 (uint32_t)gdt, (uint32_t)idt, (uint32_t)&tss);
	screen_start();
	pace_start();
	interrupts_start();
}

/*
 * A look begins.  In: the names of those whom the last switch was from and to; esp0
 * is as it has left it.  Out: how many switches there were.
 */
uint64_t game_switches(char from, char to)
{
	switches += switches_asked;
	if (switches == log_next) {
		log_line("switch n=%d from=%c to=%c esp0=%8", switches, from, to, tss.esp0);
		log_next *= 2;
	}
	return switches;
}

/* A look ends, when its time has passed.  In: the places of those two. */
void game_wait(unsigned from, unsigned to)
{
	switches_asked = pace_wait(from, to, switches);
	if (switches_asked > log_next - switches)
		switches_asked = log_next - switches;
	switches_left = switches_asked;
}

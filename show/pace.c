/*
 * How fast the game goes: 2^pace switches a second, or as fast as it can.  Time
 * is cut into pictures, 32 a second.  Up to that pace each switch has pictures
 * of its own, beyond it there are several switches from picture to picture; at
 * full speed there is no waiting, and one look in four is a picture.  To wait is to
 * sleep (ring0/sleep.S), until the next picture or a key.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack, interrupts off, no
 * errors.
 */
#include "pace.h"
#include "program.h"
#include "quit.h"
#include "ring0/machine.h"
#include "screen.h"
#include "text.h"

enum {
	ONE_BY_ONE = 5,			/* 2^5: as many switches as pictures */
	DOUBLE_AFTER = 3 * TIMER_HZ,	/* pictures, unless a key has set the pace */
	LOOKS_PER_PICTURE = 4,		/* at full speed */
	LARGEST_BATCH = 1 << 26,
	SILENCE = 30 * TIMER_HZ,	/* pictures without a sign of the keyboard */
};

static unsigned pace;
static bool by_hand;		/* a key has set the pace, and it stays */
static bool held;
static unsigned steps;		/* switches to make while held */
static unsigned pictures;	/* at this pace so far */
static unsigned looks;		/* at full speed, since the last picture */
static uint32_t batch = 1;	/* switches until the next look */

static void show_pace(void)
{
	if (held)
		screen_pace("held", ": space steps, + - f go on");
	else if (pace == program.full_speed)
		screen_pace(program.full_speed_text, "");
	else
		screen_pace(decimal(1u << pace), pace ? " switches a second" : " switch a second");
}

static void set_pace(unsigned new)
{
	pace = new;
	pictures = 0;
	held = false;
	show_pace();
}

static void set_pace_by_hand(unsigned new)
{
	by_hand = true;
	set_pace(new);
}

static void hold(void)
{
	if (held) {
		steps++;
		return;
	}
	held = true;
	/* Each proc's window shows the count of its last picture.  Two more
	   switches, and both are up to date. */
	steps = batch > 1 ? 2 : 0;
	show_pace();
}

/* Out: whether the key has changed the pace. */
static bool obey(enum key key, uint64_t switches)
{
	switch (key) {
	case KEY_SPACE:
		hold();
		return true;
	case KEY_PLUS:
		set_pace_by_hand(pace < program.full_speed ? pace + 1 : program.full_speed);
		return true;
	case KEY_MINUS:
		set_pace_by_hand(pace ? pace - 1 : 0);
		return true;
	case KEY_F:
		set_pace_by_hand(program.full_speed);
		return true;
	case KEY_Q:
		quit(switches);
		return true;
	case KEY_R:
		procs_restart();
		return true;
	case KEY_1 ... KEY_K:
		proc_ask_mistake(key - KEY_1);
		return true;
	case KEY_NONE:
		break;
	}
	return false;
}

/* Obeys all keys that wait.  Out: whether one has changed the pace. */
static bool obey_keys(uint64_t switches)
{
	bool changed = false;
	enum key key;

	while ((key = key_pressed()) != KEY_NONE)
		changed |= obey(key, switches);
	return changed;
}

/* Once a picture.  A keyboard that was never heard is probably a USB keyboard, which is
   only heard here if the BIOS translates it ("legacy support"). */
static void mind_silence(void)
{
	static const char hint[] = "No key has come yet. A USB keyboard needs \"legacy support\" in the BIOS setup.";
	static unsigned silence;

	_Static_assert(sizeof hint <= COLUMNS, "a row");
	if (keyboard_heard()) {
		if (silence >= SILENCE)
			screen_hint("");
		silence = 0;
	} else if (++silence == SILENCE) {
		screen_hint(hint);
	}
}

/* A switch's pictures: the ball flies, or at least it arrives. */
static void wait_pictures(unsigned from, unsigned to, uint64_t switches)
{
	unsigned last = pace < ONE_BY_ONE ? TIMER_HZ >> pace : 1;

	for (unsigned picture = 1; picture <= last; picture++) {
		screen_ball(from, to, picture, last);
		timer_start();
		wakers_set();		/* set later: when it wakes us, the timer is done */
		while (!timer_done()) {
			if (obey_keys(switches))
				return;
			sleep();
		}
		mind_silence();
		if (++pictures == DOUBLE_AFTER && !by_hand)
			set_pace(pace + 1);
	}
}

/* At full speed there is no waiting: a batch is so large that it takes about a
   picture's time, and keys are looked at in between.  It grows by half, but not if the
   log has cut the last batch short, so that it never takes as long as the watchdog's
   alarm. */
static void adjust_batch(uint64_t switches)
{
	static uint64_t begun;		/* how many switches there were then */

	if (timer_done())
		batch -= batch / 3;
	else if (switches - begun >= batch)
		batch += batch / 2;
	begun = switches;
	if (batch < program.batch_smallest)
		batch = program.batch_smallest;
	if (batch > LARGEST_BATCH)
		batch = LARGEST_BATCH;
	obey_keys(switches);
	mind_silence();
	timer_start();
}

void pace_start(void)
{
	show_pace();
}

/* Whether the screen must be drawn before the next wait. */
bool pace_wants_picture(void)
{
	return !pace_is_full() || ++looks % LOOKS_PER_PICTURE == 0;
}

/*
 * After a switch: waits as long as the pace demands, and does what keys say.
 * In: the places of the procs it went from and to; how many switches there were.
 * Out: how many to make before the next call.
 */
uint32_t pace_wait(unsigned from, unsigned to, uint64_t switches)
{
	if (!held) {
		if (pace == program.full_speed) {
			adjust_batch(switches);
			screen_ball(from, to, 1, 1);
		} else {
			wait_pictures(from, to, switches);
		}
	}
	if (held) {
		screen_ball(from, to, 1, 1);
		while (held && !steps) {
			wakers_set();
			if (!obey_keys(switches))
				sleep();
		}
		if (held)
			steps--;
	}
	if (held || pace <= ONE_BY_ONE)
		batch = 1;
	else if (pace < program.full_speed)
		batch = 1 << (pace - ONE_BY_ONE);
	return batch;
}

bool pace_is_full(void)
{
	return !held && pace == program.full_speed;
}

/* Whether each switch is looked at. */
bool pace_is_slow(void)
{
	return batch == 1;
}

/*
 * From:	look.c, while no proc is left.
 * In:		why none is, for the screen; how many switches there were.
 * Does:	sleeps until a key or a picture's time later; obeys q, r and the mistakes,
 *		which restart.
 */
void pace_while_halted(const char *why, uint64_t switches)
{
	enum key key;

	screen_message(why, "Press r to start again, q to quit.");
	wakers_set();
	while ((key = key_pressed()) != KEY_NONE) {
		if (key < KEY_Q)
			continue;
		screen_message_over();
		obey(key, switches);
		return;
	}
	sleep();
}

/*
 * How many clocks a turn takes: the CPU counts them in its time-stamp counter, which
 * rdtsc reads.  A turn is a switch and all that the proc does until the next one.
 *
 * To read the counter during a switch would lengthen the switch.  So it is read
 * around many switches: after one look, and before the next.
 *
 *	clocks = rest + turns * clocks of a turn
 *
 * The rest is the way out of the one look and into the other, and the counts that the
 * procs draw once in between.  It is the same for few turns and for many, so the
 * difference of two such stretches is turns and nothing else:
 *
 *	clocks of a turn = (clocks - clocks before) / (turns - turns before)
 *
 * The mean of several such differences goes to the screen, once or twice a second.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, one of its stacks, interrupts off, no
 * errors.
 * Intel: volume 3, section 17.17 (time-stamp counter); volume 2, RDTSC, CPUID.
 */
#include <stdbool.h>

#include "clocks.h"
#include "layout.h"
#include "screen.h"
#include "text.h"
#include "ring0/x86.h"

/* Younger than the 386 that we assemble for, so written as bytes. */
#define CPUID	".byte 0x0f, 0xa2"
#define RDTSC	".byte 0x0f, 0x31"

enum {
	LONG_ENOUGH = 16384,		/* clocks; a shorter stretch is mostly rest */
	DIFFERENCES = 16,		/* in a sum */
};

struct stretch {
	uint64_t clocks;
	uint32_t turns;
};

static bool counts;			/* the CPU has a time-stamp counter */
static bool begun;
static uint64_t begin;
static struct stretch before;		/* the stretch before; no turns: none so far */
static struct stretch sum;
static unsigned differences;		/* in the sum */

/* If EFLAGS.ID can be changed, the CPU has cpuid; cpuid then tells whether it has rdtsc. */
static bool cpu_counts(void)
{
	uint32_t flags, changed, leaf = 1, features;

	__asm__("pushf; pop %0; mov %0, %1; xor %2, %1; push %1; popf; pushf; pop %1; push %0; popf"
		: "=&r"(flags), "=&r"(changed) : "i"(EFLAGS_ID) : "cc");
	if (!((flags ^ changed) & EFLAGS_ID))
		return false;
	__asm__(CPUID : "+a"(leaf), "=d"(features) : : "ebx", "ecx");
	return features & CPUID_TSC;
}

static inline uint64_t now(void)
{
	uint64_t clocks;

	__asm__ volatile(RDTSC : "=A"(clocks));
	return clocks;
}

void clocks_start(void)
{
	counts = cpu_counts();
}

/* From: look.c, as the last thing of a look. */
void clocks_begin(void)
{
	if (!counts)
		return;
	begun = true;
	begin = now();
}

static void show(void)
{
	static char line[COLUMNS + 1];
	uint32_t tenth;
	uint64_t tenths = divided(sum.clocks * 10 + sum.turns / 2, sum.turns, &tenth);
	uint64_t whole = divided(tenths, 10, &tenth);

	format(line, " %d.%c clocks a turn ", whole, '0' + tenth);
	screen_clocks(line);
}

static void add_difference(const struct stretch *more, const struct stretch *less)
{
	sum.clocks += more->clocks - less->clocks;
	sum.turns += more->turns - less->turns;
	if (++differences < DIFFERENCES)
		return;
	if ((int64_t)sum.clocks > 0)	/* else the counter was written to */
		show();
	sum = (struct stretch){ 0 };
	differences = 0;
}

/* From: look.c, as the first thing of a look.  In: how many turns there were since the
   last look; if that one did not call clocks_begin, they do not count. */
void clocks_end(uint32_t turns)
{
	if (!begun)
		return;
	begun = false;

	struct stretch here = { now() - begin, turns };

	if (here.clocks < LONG_ENOUGH)
		return;
	if (before.turns && turns > before.turns)
		add_difference(&here, &before);
	if (turns < before.turns)
		add_difference(&before, &here);
	before = here;
}

/* From: cause.c and report.c.  An exception is no part of a turn, and when other procs
   play than before, their turns may take longer or shorter. */
void clocks_forget(void)
{
	begun = false;
	before = sum = (struct stretch){ 0 };
	differences = 0;
}

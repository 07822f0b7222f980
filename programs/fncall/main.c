/*
 * Two users play ping-pong, and no ring lies between them: the kernel here is a
 * C program that runs user A until it traps, then user B, and so on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "fncall.h"
#include "options.h"
#include "players.h"
#include "rewrite.h"

#define MAY_WRFSBASE	2	/* in AT_HWCAP2; HWCAP2_FSGSBASE where Linux' headers are new */

#define COURT		32	/* columns that the ball flies through */
#define BALL_NS		8000000	/* it stays in each */

static struct pair game;
static struct options options;

static uint64_t switches;		/* so far */
static uint64_t next_look = 1;		/* the next switch to show */

/* What all turns have taken, by the CPU's time-stamp counter, without the looks. */
static uint64_t clocks, look_ended, clocks_of_first;

/* Ends the program.  Output that could not be written is also an error. */
static _Noreturn void quit(int status)
{
	printf("quit n=%" PRIu64 " clocks=%.1f", switches, switches ? (double)clocks / switches : 0);
	if (options.fs_is_not_mine)
		printf(" first=%" PRIu64 " faults=%" PRIu64 " rewritten=%" PRIu64 " late=%" PRIu64,
		       clocks_of_first, rewritten.faults, rewritten.rewritten, rewritten.late);
	putchar('\n');
	if (fclose(stdout) != 0) {
		fprintf(stderr, "fncall: cannot write: %s\n", strerror(errno));
		exit(1);
	}
	exit(status);
}

/* From look, in a terminal: the ball flies to the user whose turn it is, in the last line. */
static void fly(const struct player *to)
{
	for (int flown = 0; flown <= COURT; flown++) {
		int left = to == &game.b ? flown : COURT - flown;

		printf("\r\033[K  A %" PRIu64 " |%*so%*s| %" PRIu64 " B",
		       game.a.context.rdi, left, "", COURT - left, "", game.b.context.rdi);
		fflush(stdout);
		nanosleep(&(struct timespec){ .tv_nsec = BALL_NS }, NULL);
	}
	printf("\r\033[K");
}

/*
 * From serve: switch 1, 2, 4, 8, ..., or one before (so that the ball flies there and back).
 * Not inlined, so that all other switches go past it with one comparison.
 */
static __attribute__((noinline)) void look(const struct player *from, const struct player *to)
{
	int power_of_2 = (switches & (switches - 1)) == 0;

	clocks += __rdtsc() - look_ended;
	if (switches == 1)
		clocks_of_first = clocks;
	if (isatty(STDOUT_FILENO))
		fly(to);
	if (power_of_2)
		printf("switch n=%" PRIu64 " from=%c to=%c turns=%" PRIu64 " fsbase=%016" PRIx64 "\n",
		       switches, from->name, to->name, from->context.rdi, from->context.rsi);
	if (switches == options.switches)
		quit(0);
	next_look = power_of_2 && switches > 1 ? 2 * switches - 1 : switches + 1;
	if (next_look > options.switches)
		next_look = options.switches;
	look_ended = __rdtsc();
}

/* From play: what the kernel does when a user has trapped.  C's own stack and fs. */
static void serve(const struct player *from, const struct player *to)
{
	switch (from->context.trap_num) {
	case TRAP_CALL:			/* "It's the other one's turn." */
		if (++switches == next_look)
			look(from, to);
		break;
	default:			/* a kernel with rings would go on with the other one */
		ended(from, options.kind->start);
		quit(1);
	}
}

/*
 * From main: sets up what --fs-is-not-mine needs, but for what each thread does itself.  Ends the
 * program, with a line of the log, if the users' code is refused.
 */
static void use_gs(void)
{
	const void *where = NULL;
	enum refusal refusal = declare_code(options.kind->start, options.kind->end, options.kind->fixed, &where);

	if (!refusal)
		refusal = declare_code(fncall_trap, fncall_trap_end, 0, &where);
	if (refusal) {
		printf("refused user=AB why=\"%s\" offset=%#tx\n", why_refused(refusal), (const char *)where - options.kind->start);
		quit(1);
	}
	base_to_user = options.by_instruction ? gs_by_wrgsbase : gs_by_arch_prctl;
	base_to_c = gs_left;
}

/* From main: the kernel's loop, which quit ends. */
static _Noreturn void play(void)
{
	const char *why = options.fs_is_not_mine ? leave_fs_alone() : NULL;

	if (why) {
		fprintf(stderr, "fncall: no --fs-is-not-mine here: %s\n", why);
		exit(1);
	}
	first_turns(&game, options.kind->start);
	look_ended = __rdtsc();
	for (;;) {
		run_fncall(&game.a.context);
		serve(&game.a, &game.b);
		run_fncall(&game.b.context);
		serve(&game.b, &game.a);
	}
}

int main(int argc, char **argv)
{
	options = read_options(argc, argv);
	if (options.by_instruction && !(getauxval(AT_HWCAP2) & MAY_WRFSBASE)) {
		fputs("fncall: this CPU or this Linux has no wrfsbase; try without --wrfsbase\n", stderr);
		return 1;
	}

	printf("boot prog=fncall %s_by=%s%s\n", options.fs_is_not_mine ? "gsbase" : "fsbase",
	       !options.by_instruction ? "arch_prctl" : options.fs_is_not_mine ? "wrgsbase" : "wrfsbase",
	       options.fs_is_not_mine ? " fs=libc" : "");
	if (options.fs_is_not_mine)
		use_gs();
	else if (options.by_instruction)
		base_to_user = base_to_c = fs_by_wrfsbase;
	if (!options.threads)
		play();
	switches = play_in_threads((int)options.threads, options.switches, options.kind->start);
	quit(switches != options.threads * options.switches);
}

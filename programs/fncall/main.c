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

#define MAY_WRFSBASE	2	/* in AT_HWCAP2; HWCAP2_FSGSBASE where Linux' headers are new */

#define STACK_WORDS	64
#define COURT		32	/* columns that the ball flies through */
#define BALL_NS		8000000	/* it stays in each */

static const char usage[] =
	"usage: fncall [--switches=N] [--wrfsbase]\n"
	"\n"
	"Two users take turns without rings: entered by ret, left by call.  In a terminal\n"
	"a ball shows whose turn it is; switches 1, 2, 4, 8, ... are lines of text.\n"
	"\n"
	"--switches=N  end after N switches (65536)\n"
	"--wrfsbase    hand the fs base over by an instruction, not by arch_prctl(2)\n";

struct player {
	struct user_context context;
	char name;
};

static uint64_t a_stack[STACK_WORDS], b_stack[STACK_WORDS];
static struct user_tls a_tls = { .self = &a_tls }, b_tls = { .self = &b_tls };

/* All that a user needs before its first turn. */
static struct player a = { {
	.rip = (uint64_t)proc, .rsp = (uint64_t)(a_stack + STACK_WORDS),
	.rflags = RFLAGS_ALWAYS, .fsbase = (uint64_t)&a_tls,
}, 'A' };
static struct player b = { {
	.rip = (uint64_t)proc, .rsp = (uint64_t)(b_stack + STACK_WORDS),
	.rflags = RFLAGS_ALWAYS, .fsbase = (uint64_t)&b_tls,
}, 'B' };

static uint64_t switches;		/* so far */
static uint64_t next_look = 1;		/* the next switch to show */
static uint64_t last = 65536;

/* What all turns have taken, by the CPU's time-stamp counter, without the looks. */
static uint64_t clocks, look_ended;

/* Ends the program.  Output that could not be written is also an error. */
static void quit(void)
{
	printf("quit n=%" PRIu64 " clocks=%.1f\n", switches, (double)clocks / switches);
	if (fclose(stdout) != 0) {
		fprintf(stderr, "fncall: cannot write: %s\n", strerror(errno));
		exit(1);
	}
	exit(0);
}

/* From look, in a terminal: the ball flies to the user whose turn it is, in the last line. */
static void fly(const struct player *to)
{
	for (int flown = 0; flown <= COURT; flown++) {
		int left = to == &b ? flown : COURT - flown;

		printf("\r\033[K  A %" PRIu64 " |%*so%*s| %" PRIu64 " B",
		       a.context.rdi, left, "", COURT - left, "", b.context.rdi);
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
	if (isatty(STDOUT_FILENO))
		fly(to);
	if (power_of_2)
		printf("switch n=%" PRIu64 " from=%c to=%c turns=%" PRIu64 " fsbase=%016" PRIx64 "\n",
		       switches, from->name, to->name, from->context.rdi, from->context.rsi);
	if (switches == last)
		quit();
	next_look = power_of_2 && switches > 1 ? 2 * switches - 1 : switches + 1;
	if (next_look > last)
		next_look = last;
	look_ended = __rdtsc();
}

/* From main: what the kernel does when a user has trapped.  C's own stack and fs. */
static void serve(const struct player *from, const struct player *to)
{
	switch (from->context.trap_num) {
	case TRAP_CALL:			/* "It's the other one's turn." */
		if (++switches == next_look)
			look(from, to);
		break;
	default:			/* a kernel with rings would have more cases */
		fprintf(stderr, "fncall: unexpected trap %#" PRIx64 "\n", from->context.trap_num);
		exit(1);
	}
}

/* Says what is wrong in the command line, and where to read on. */
static _Noreturn void wrong(const char *what, const char *argument)
{
	fprintf(stderr, "fncall: %s \"%s\"; see fncall --help\n", what, argument);
	exit(2);
}

/* N of --switches=N. */
static uint64_t number(const char *digits)
{
	char *end;

	errno = 0;
	uint64_t value = strtoull(digits, &end, 10);
	if (*digits < '0' || *digits > '9' || *end || errno || value < 1 || value > INT64_MAX)
		wrong("--switches wants a whole number from 1 to 2^63-1, not", digits);
	return value;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return fputs(usage, stdout) < 0 || fclose(stdout) != 0;
		if (strncmp(argv[i], "--switches=", 11) == 0)
			last = number(argv[i] + 11);
		else if (strcmp(argv[i], "--wrfsbase") == 0)
			use_wrfsbase = 1;
		else
			wrong("unknown argument", argv[i]);
	}
	if (use_wrfsbase && !(getauxval(AT_HWCAP2) & MAY_WRFSBASE)) {
		fputs("fncall: this CPU or this Linux has no wrfsbase; try without --wrfsbase\n", stderr);
		return 1;
	}

	printf("boot prog=fncall fsbase_by=%s\n", use_wrfsbase ? "wrfsbase" : "arch_prctl");
	look_ended = __rdtsc();
	for (;;) {
		run_fncall(&a.context);
		serve(&a, &b);
		run_fncall(&b.context);
		serve(&b, &a);
	}
}

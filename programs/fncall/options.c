/*
 * Reads the command line (options.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "players.h"

static const char usage[] =
	"usage: fncall [--switches=N] [--wrfsbase] [--user=NAME] [--fs-is-not-mine [--threads=N]]\n"
	"\n"
	"Two users take turns without rings: entered by ret, left by call.  In a terminal\n"
	"a ball shows whose turn it is; switches 1, 2, 4, 8, ... are lines of text.\n"
	"\n"
	"--switches=N      end after N switches (65536)\n"
	"--wrfsbase        hand the base over by an instruction, not by arch_prctl(2)\n"
	"--user=NAME       what both run: proc; many (256 instructions with fs), wild (follows a bad\n"
	"                  pointer), summed (sums itself up), rdfsbase\n"
	"--fs-is-not-mine  leave fs to libc: users' instructions are changed to use gs, when they fault\n"
	"--threads=N       so many threads with two users each, all of the same code, without a ball\n";

static const struct kind kinds[] = {
	{ "proc", proc, proc_end, 0 },
	{ "many", proc_many, proc_many_end, 0 },
	{ "wild", proc_wild, proc_wild_end, 0 },
	{ "summed", proc_summed, proc_summed_end, 1 },
	{ "rdfsbase", proc_rdfsbase, proc_rdfsbase_end, 0 },
};
#define KINDS	(sizeof kinds / sizeof kinds[0])

/* Says what is wrong in the command line, and where to read on. */
static _Noreturn void wrong(const char *what, const char *argument)
{
	fprintf(stderr, "fncall: %s \"%s\"; see fncall --help\n", what, argument);
	exit(2);
}

/* N of --switches=N and --threads=N. */
static uint64_t number(const char *option, const char *digits, uint64_t most)
{
	char *end;

	errno = 0;
	uint64_t value = strtoull(digits, &end, 10);
	if (*digits < '0' || *digits > '9' || *end || errno || value < 1 || value > most)
		wrong(option, digits);
	return value;
}

/* NAME of --user=NAME. */
static const struct kind *named(const char *name)
{
	for (size_t at = 0; at < KINDS; at++)
		if (strcmp(kinds[at].name, name) == 0)
			return &kinds[at];
	wrong("--user wants proc, many, wild, summed or rdfsbase, not", name);
}

/*
 * From main.
 * Out:		what is asked for.
 * Errors:	of the command line: a sentence, and the program ends with 2.  --help ends it as well.
 */
struct options read_options(int argc, char **argv)
{
	struct options options = { .kind = kinds, .switches = 65536 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			exit(fputs(usage, stdout) < 0 || fclose(stdout) != 0);
		if (strncmp(argv[i], "--switches=", 11) == 0)
			options.switches = number("--switches wants a whole number from 1 to 2^63-1, not",
						  argv[i] + 11, INT64_MAX);
		else if (strncmp(argv[i], "--threads=", 10) == 0)
			options.threads = number("--threads wants a whole number from 1 to 64, not",
						 argv[i] + 10, MOST_THREADS);
		else if (strncmp(argv[i], "--user=", 7) == 0)
			options.kind = named(argv[i] + 7);
		else if (strcmp(argv[i], "--wrfsbase") == 0)
			options.by_instruction = 1;
		else if (strcmp(argv[i], "--fs-is-not-mine") == 0)
			options.fs_is_not_mine = 1;
		else
			wrong("unknown argument", argv[i]);
	}
	if (options.threads && !options.fs_is_not_mine)
		wrong("it needs --fs-is-not-mine:", "--threads");
	return options;
}

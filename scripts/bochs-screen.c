/*
 * Preloaded into Bochs by scripts/bochs: draws the guest's screen on the terminal
 * that BOCHS_SCREEN names and takes the guest's keys from there, so that Bochs'
 * debugger has its own terminal to itself.
 *
 * Bochs' text display calls initscr(), which is bound to the standard input and
 * output that the debugger also uses. This initscr() comes before that of ncurses
 * and does the same with another terminal. newterm() and stdscr are looked up
 * where the caller, a plugin, would find them: so no ncurses headers are needed,
 * and it does not matter which of its libraries Bochs was built with.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *initscr(void)
{
	Dl_info caller;
	void *plugin, **stdscr;
	void *(*newterm)(const char *type, FILE *out, FILE *in);
	FILE *terminal = fopen(getenv("BOCHS_SCREEN"), "r+");

	if (!terminal) {
		perror("BOCHS_SCREEN");
		exit(1);
	}
	dladdr(__builtin_return_address(0), &caller);
	plugin = dlopen(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	newterm = dlsym(plugin, "newterm");
	stdscr = dlsym(plugin, "stdscr");
	if (!newterm(NULL, terminal, terminal)) {
		fprintf(stderr, "BOCHS_SCREEN: ncurses does not know this terminal\n");
		exit(1);
	}
	return *stdscr;
}

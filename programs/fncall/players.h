/*
 * Two users and what each needs of its own; and how more such pairs play in threads.
 */
#ifndef PLAYERS_H
#define PLAYERS_H

#include <stdint.h>

#include "fncall.h"

#define STACK_WORDS	64
#define MOST_THREADS	64

struct player {
	struct user_context context;
	char name;
	_Alignas(64) struct user_tls tls;
	_Alignas(64) uint64_t stack[STACK_WORDS];
};

struct pair {
	struct player a, b;
};

void first_turns(struct pair *pair, const char *start);
void ended(const struct player *player, const char *start);
uint64_t play_in_threads(int threads, uint64_t switches, const char *start);

#endif

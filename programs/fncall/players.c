/*
 * Users in pairs, and threads with a pair each (players.h).
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "players.h"
#include "rewrite.h"

static struct thread {
	pthread_t id;
	struct pair pair;
	uint64_t switches;		/* made so far */
} all[MOST_THREADS];
static pthread_barrier_t begin, end;
static uint64_t wanted;
static const char *first;

/* All that a user needs before its first turn. */
static void first_turn(struct player *player, char name, const char *start)
{
	player->name = name;
	player->tls.self = &player->tls;
	player->context.rip = (uint64_t)start;
	player->context.rsp = (uint64_t)(player->stack + STACK_WORDS);
	player->context.rflags = RFLAGS_ALWAYS;
	player->context.fsbase = (uint64_t)&player->tls;
}

/* From C: a pair whose turns begin at that instruction. */
void first_turns(struct pair *pair, const char *start)
{
	first_turn(&pair->a, 'A', start);
	first_turn(&pair->b, 'B', start);
}

/* From C: says why a user is not run any more, which began at start. */
void ended(const struct player *player, const char *start)
{
	const struct user_context *context = &player->context;
	int64_t offset = (int64_t)(context->rip - (uint64_t)start);

	if (context->trap_num == TRAP_REFUSED)
		printf("refused user=%c why=\"%s\" offset=%#" PRIx64 "\n", player->name,
		       why_refused((enum refusal)context->error_code), offset);
	else
		printf("fault user=%c vector=%02" PRIx64 " error=%04" PRIx64 " address=%016" PRIx64 " offset=%#" PRIx64 "\n",
		       player->name, context->trap_num, context->error_code, context->fault_address, offset);
}

/* Both users' turns.  Not inlined: its stack begins below what its caller keeps free. */
static __attribute__((noinline)) void take_turns(struct thread *own)
{
	struct player *next = &own->pair.a;

	while (own->switches < wanted) {
		run_fncall(&next->context);
		if (next->context.trap_num != TRAP_CALL)
			break;
		own->switches++;
		next = next == &own->pair.a ? &own->pair.b : &own->pair.a;
	}
}

/*
 * A thread.  glibc has its thread-local storage at the end of its stack, and the pages that are closed while a
 * user runs reach below it: run_fncall's stack must not lie there.
 */
static void *turns_of(void *argument)
{
	struct thread *own = argument;
	char free_space[2 * (GUARD_REACH + PAGE)];
	const char *why;

	__asm__ volatile("" :: "r"(free_space) : "memory");
	first_turns(&own->pair, first);
	pthread_barrier_wait(&begin);
	why = leave_fs_alone();		/* closes it, to try */
	if (!why)
		take_turns(own);
	pthread_barrier_wait(&end);
	return (void *)why;
}

/*
 * From main.
 * In:		how many threads, how many switches each makes, where all users begin.
 * Out:		how many switches they have made; a pair whose user has faulted makes fewer.
 * Errors:	threads that cannot be made end the program.
 *
 * All threads exist before the first of them closes its thread-local storage, and end after the last user:
 * glibc chains its threads through that storage.
 */
uint64_t play_in_threads(int threads, uint64_t switches, const char *start)
{
	uint64_t made = 0;
	void *why;

	wanted = switches;
	first = start;
	pthread_barrier_init(&begin, NULL, (unsigned)threads + 1);
	pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
	for (int number = 0; number < threads; number++) {
		if (pthread_create(&all[number].id, NULL, turns_of, &all[number])) {
			fputs("fncall: Linux makes no more threads; try fewer with --threads\n", stderr);
			exit(1);
		}
	}
	pthread_barrier_wait(&begin);
	pthread_barrier_wait(&end);
	for (int number = 0; number < threads; number++) {
		struct thread *one = &all[number];
		struct player *stopped = one->switches % 2 ? &one->pair.b : &one->pair.a;

		pthread_join(one->id, &why);
		if (why)
			fprintf(stderr, "fncall: no --fs-is-not-mine in a thread: %s\n", (const char *)why);
		else if (one->switches < wanted)
			ended(stopped, start);
		printf("thread n=%d switches=%" PRIu64 " a_turns=%" PRIu64 " b_turns=%" PRIu64 "\n", number + 1,
		       one->switches, one->pair.a.tls.turns, one->pair.b.tls.turns);
		made += one->switches;
	}
	return made;
}

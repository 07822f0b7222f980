/*
 * USERCTX's main program: run one proc until it calls, then the other.  All that
 * ring 0 decides is here; what happens between the two lines of
 *
 *	run(&player->context);
 *	switch (player->context.trap_num) {
 *
 * is in run.S.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack, interrupts off.
 */
#include <stdbool.h>

#include "cause.h"
#include "contexts.h"
#include "look.h"
#include "machine.h"
#include "pace.h"
#include "panic.h"
#include "procs.h"
#include "report.h"
#include "user_segments.h"
#include "watchdog.h"
#include "x86.h"

extern volatile uint32_t proc_a_data[], proc_b_data[];		/* userctx.S */
extern uint32_t program_base;					/* common/enter.S */

const char program_name[] = "userctx";

/* esp0 is run's business.  The I/O bitmap begins beyond the limit, so every port is
   closed. */
struct tss tss = { .ss0 = RING0_DATA, .io_bitmap = TSS_BYTES };

struct player player_a = {
	.name = 'A', .place = 0, .row = A_ROW, .ldt = A_LDT, .data = proc_a_data,
};
struct player player_b = {
	.name = 'B', .place = 1, .row = B_ROW, .ldt = B_LDT, .data = proc_b_data,
};

static bool refused;		/* the CPU has, in run, to load the context's eip */

/* All that a user needs before it runs for the first time; or again. */
static void start_anew(struct player *player)
{
	player->context = (struct user_context){
		.eip = 0,
		.esp = PROC_DATA_BYTES,
		.eflags = EFLAGS_ALWAYS | EFLAGS_IF,
		.fsbase = program_base + (uint32_t)player->data,
		.gsbase = WINDOW_LINEAR(player->row),
	};
	for (unsigned i = 0; i < PROC_DATA_BYTES / sizeof *player->data; i++)
		player->data[i] = 0;
	player->data[0] = ASK_COUNT;
	player->ended = false;
	contexts_player(player);
}

/* The user's code and data become those that selectors stand for.  (A kernel with paging
   would load CR3 here.)  Intel: volume 3, section 2.4.2. */
static void load_ldt(uint16_t selector)
{
	__asm__ volatile("lldt %0" : : "r"(selector));
}

static void ask_count(struct player *player)
{
	if (player->data[0] == ASK_NOTHING)
		player->data[0] = ASK_COUNT;
}

/* A switch for all to see (common/look.c says when). */
static __attribute__((noinline)) void look(struct player *from, struct player *to)
{
	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		contexts_switch(switches, from, to);
	ask_count(from);
	ask_count(to);
	look_end(from->place, to->place);
}

/*
 * A trap that is no call.  What it means is the same in every program (cause.c): int3 and
 * into are the user's own wish, the alarm may have come too early, all else ends it.
 * In: the player, and the other one.  Out: whether it has ended; then the other goes on.
 */
static __attribute__((noinline)) bool trap_ends(struct player *player, const struct player *other)
{
	const struct user_context *context = &player->context;
	const struct frame frame = {		/* as reports want to have it */
		.eip = context->eip, .cs = USER_CODE, .eflags = context->eflags,
		.esp = context->esp, .ss = USER_DATA,
	};
	struct cause cause = { context->trap_num, context->error_code, refused };

	refused = false;
	if (!fault_ends(player->name, &frame, &cause))
		return false;

	player->ended = true;
	report_end(player->name, player->place, &frame, &cause, other->ended ? 0 : other->name);
	if (other->ended)
		halt();
	watchdog_start();		/* the other one's time begins now */
	return true;
}

/* A player's turn: until it calls, or ends. */
static void turn(struct player *player, struct player *other)
{
	if (player->ended)
		return;
	load_ldt(player->ldt);
	for (;;) {
		run(&player->context);
		switch (player->context.trap_num) {
		case TRAP_CALL:
			if (!--switches_left)
				look(player, other->ended ? player : other);
			return;
		default:
			if (trap_ends(player, other))
				return;
		}
	}
}

/* From: start (userctx.S), once.  In: TR loaded, no LDT. */
_Noreturn void main(void)
{
	look_start();
	contexts_start();
	start_anew(&player_a);
	start_anew(&player_b);
	for (;;) {
		turn(&player_a, &player_b);
		turn(&player_b, &player_a);
	}
}

/*
 * From:	trap_from_ring0 (run.S).
 * In:		what ring 0 had in its registers.
 * Out:		only if it was at run_iret, where the CPU refuses an eip that is beyond
 *		the user's code: then the frame says that ring 0 goes on at the end of
 *		run, and it looks to C as if the user had trapped.
 */
void trap_handler(struct trap_frame *trap)
{
	if (trap->eip == (uint32_t)run_iret) {
		struct user_context *context = *(struct user_context **)tss.esp0;

		context->trap_num = trap->trap_num;
		context->error_code = trap->error_code;
		refused = true;
		trap->eip = (uint32_t)run_return;
		return;
	}

	panic(&(struct frame){
		.gs = trap->gs, .fs = trap->fs, .es = trap->es, .ds = trap->ds,
		.edi = trap->edi, .esi = trap->esi, .ebp = trap->ebp, .ebx = trap->ebx,
		.edx = trap->edx, .ecx = trap->ecx, .eax = trap->eax,
		.eip = trap->eip, .cs = trap->cs, .eflags = trap->eflags,
		.esp = (uint32_t)(trap + 1), .ss = RING0_DATA,
	}, trap->trap_num, trap->error_code);
}

/* Keys r and 1 to 6 (common/pace.c): from a look. */
void procs_restart(void)
{
	if (player_a.ended)
		start_anew(&player_a);
	if (player_b.ended)
		start_anew(&player_b);
}

void proc_ask_mistake(unsigned number)
{
	if (number >= MISTAKES)
		return;
	if (player_a.ended)
		procs_restart();
	player_a.data[0] = ASK_MISTAKE + number;
}

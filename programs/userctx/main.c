/*
 * USERCTX's main program: run one proc until it calls, then the other.  All that
 * ring 0 decides is here; what happens between the two lines of
 *
 *	run(&player->context);
 *	switch (player->context.trap_num) {
 *
 * is in run.S.
 *
 * All functions: ring 0, ring0_stack, interrupts off.  gs is RING0_SCREEN, but in turn,
 * and where it says that it may be anything: run leaves the user's there.
 */
#include <stdbool.h>

#include "ring0/cause.h"
#include "contexts.h"
#include "show/look.h"
#include "show/pace.h"
#include "ring0/door.h"
#include "ring0/enter.h"
#include "ring0/panic.h"
#include "ring0/tables.h"
#include "show/program.h"
#include "ring3/ask.h"
#include "show/report.h"
#include "show/screen.h"
#include "show/text.h"
#include "user_segments.h"
#include "ring0/watchdog.h"
#include "show/window.h"

const struct program program = {
	"userctx", " ring 0, run(&context) ", NO_GATE, FULL_SPEED, "full speed", BATCH_SMALLEST,
};

/* esp0 is run's business.  The I/O bitmap begins beyond the limit, so every port is
   closed. */
struct tss tss = { .ss0 = RING0_DATA, .io_bitmap = TSS_BYTES };

struct player player_a = {
	.name = 'A', .place = 0, .row = A_ROW, .ldt = A_LDT, .data = proc_a_data,
	.code_bytes = (uint32_t)proc_a_code_bytes,
};
struct player player_b = {
	.name = 'B', .place = 1, .row = B_ROW, .ldt = B_LDT, .data = proc_b_data,
	.code_bytes = (uint32_t)proc_b_code_bytes,
};

static bool refused;		/* the CPU refused, in run, to load what is in the context */

/* A context that is not to run (check.c): its player has ended before it has begun. */
static void refuse(struct player *player, const char *error)
{
	static char line[COLUMNS + 1];

	player->ended = true;
	log_line("refused proc=%c context=\"%s\"", player->name, error);
	format(line, "refused: %s", error);
	window_end(player->place, line);
	window_report(player->place, 1, error);
	window_report(player->place, 3, "Ring 0 does not run a context with that: the CPU would believe it.");
}

/* All that a user needs before it runs for the first time; or again.  If something is
   wrong with it, its player stays ended. */
static void start_anew(struct player *player)
{
	const struct user_memory memory = {
		.code_bytes = player->code_bytes,
		.data = program_base + (uint32_t)player->data,
		.window = WINDOW_LINEAR(player->row),
	};

	player->context = (struct user_context){
		.gs = USER_GS, .fs = USER_FS, .es = USER_DATA, .ds = USER_DATA,
		.eip = 0, .cs = USER_CODE,
		.eflags = EFLAGS_ALWAYS | EFLAGS_IF,
		.esp = PROC_DATA_BYTES, .ss = USER_DATA,
		.fsbase = memory.data, .gsbase = memory.window,
	};
	for (unsigned i = 0; i < PROC_DATA_BYTES / sizeof *player->data; i++)
		player->data[i] = 0;
	player->data[0] = ASK_COUNT;
	player->ended = false;
	contexts_player(player);

	const char *error = user_context_error(&player->context, &memory);

	if (error)
		refuse(player, error);
}

/* The user's code and data become those that selectors stand for.  (A kernel with paging
   would load CR3 here.)  Intel: volume 3, section 2.4.2. */
static inline void load_ldt(const struct player *player)
{
	__asm__ volatile("lldt %0" : : "m"(player->ldt));
}

/* A switch, on show (show/look.c says when).  In: the player, and the other one;
   gs: anything. */
static __attribute__((noinline)) void look(struct player *from, struct player *other)
{
	struct player *to = other->ended ? from : other;

	screen_use();

	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		contexts_switch(switches, from, to);
	ask_count(from->data);
	ask_count(to->data);
	look_end(from->place, to->place);
}

static void trap(struct player *player, struct player *other);

/* A player's turn: until it calls. */
static inline __attribute__((always_inline)) void turn(struct player *player, struct player *other)
{
	for (;;) {
		load_ldt(player);
		run(&player->context);
		switch (player->context.trap_num) {
		case TRAP_CALL:
			if (!--switches_left)
				look(player, other);
			return;
		default:
			trap(player, other);
		}
	}
}

/* Until the player that has ended is restarted (procs_restart, from a look). */
static void play_alone(struct player *player, struct player *ended)
{
	do
		turn(player, ended);
	while (ended->ended);
}

/* If no proc is left, waits until a key has restarted one. */
static void wait_for_start(void)
{
	while (player_a.ended && player_b.ended)
		look_while_halted("No proc is left.");
}

/*
 * A trap that is not a call.  What it means is the same in every program (cause.c): a user
 * may ask for int3 and into, the alarm may have come too early, and all else ends the user.
 * If so, the other player goes on alone until this one is restarted; if both have ended,
 * only keys are obeyed.
 * In: the player, and the other one; gs: anything.
 */
static __attribute__((noinline)) void trap(struct player *player, struct player *other)
{
	const struct user_context *context = &player->context;
	const struct frame frame = {		/* as the report wants it */
		.eip = context->eip, .cs = context->cs, .eflags = context->eflags,
		.esp = context->esp, .ss = context->ss,
	};
	struct cause cause = {
		.vector = context->trap_num, .error = context->error_code, .restoring = refused,
	};

	screen_use();
	refused = false;
	if (!fault_ends(player->name, &frame, &cause))
		return;

	player->ended = true;
	report_end(player->name, player->place, &frame, &cause, other->ended ? 0 : other->name);
	wait_for_start();
	watchdog_start();		/* the next one's time begins now */
	if (player->ended)
		play_alone(other, player);
}

/* From: start (userctx.S), once.  In: TR loaded, no LDT. */
_Noreturn void main(void)
{
	look_start();
	contexts_start();
	start_anew(&player_a);
	start_anew(&player_b);
	if (player_a.ended && player_b.ended) {
		report_none_left();
		wait_for_start();
		watchdog_start();
	}
	if (player_b.ended)
		play_alone(&player_a, &player_b);
	if (player_a.ended)
		play_alone(&player_b, &player_a);
	for (;;) {
		turn(&player_a, &player_b);
		turn(&player_b, &player_a);
	}
}

/*
 * The CPU has refused what a context holds, in run or where nmi (panic.S) goes back to
 * ring 3.  What was popped already is in the registers, and its place in the context has
 * been overwritten by the pushes of the CPU and of trap_from_ring0.  So it is put back,
 * and to C it looks as if the user had trapped.
 * In:		the frame, right below the first word that was not popped.
 * To:		the end of run.
 */
static _Noreturn void restore_refused(const struct trap_frame *trap)
{
	const struct trap_frame was = *trap;
	struct user_context *context = (struct user_context *)(tss.esp0 - CONTEXT_END);
	uint32_t *words = (uint32_t *)context;
	const uint32_t *popped = (const uint32_t *)(trap + 1);

	for (unsigned i = 0; i < TRAP_POPPED && words + i < popped; i++)
		words[i] = ((const uint32_t *)&was)[i];
	context->trap_num = was.trap_num;
	context->error_code = was.error_code;
	refused = true;
	run_return();
}

/*
 * From:	trap_from_ring0 (run.S).
 * In:		what ring 0 had in its registers.  gs: anything.
 * Out:		the user whose context was refused has trapped; all else is a panic.
 * Stack:	trap_stack.
 */
void trap_handler(struct trap_frame *trap)
{
	if (is_restoring(trap->eip))
		restore_refused(trap);

	screen_use();
	panic(&(struct frame){
		.gs = trap->gs, .fs = trap->fs, .es = trap->es, .ds = trap->ds,
		.edi = trap->edi, .esi = trap->esi, .ebp = trap->ebp, .ebx = trap->ebx,
		.edx = trap->edx, .ecx = trap->ecx, .eax = trap->eax,
		.eip = trap->eip, .cs = trap->cs, .eflags = trap->eflags,
		.esp = (uint32_t)(trap + 1), .ss = RING0_DATA,
	}, trap->trap_num, trap->error_code);
}

/* Restarts a player that has ended, unless its context is refused again. */
static void restart(struct player *player)
{
	if (!player->ended)
		return;
	start_anew(player);
	if (!player->ended)
		report_start(player->name);
}

/* Keys r and 1 to 6 (show/pace.c): from a look. */
void procs_restart(void)
{
	restart(&player_a);
	restart(&player_b);
}

void proc_ask_mistake(unsigned number)
{
	if (number >= MISTAKES)
		return;
	if (player_a.ended)
		procs_restart();
	player_a.data[0] = ASK_MISTAKE + number;
}

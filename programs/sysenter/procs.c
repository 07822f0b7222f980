/*
 * The procs' lives: a start, a switch that is looked at, an end; and what exceptions do to
 * them (ring0/cause.c says what they are).
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack or fault_stack, interrupts off.
 */
#include "proc.h"
#include "ring0/cause.h"
#include "ring0/tables.h"
#include "ring0/watchdog.h"
#include "ring3/ask.h"
#include "show/layout.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/program.h"
#include "show/report.h"
#include "show/screen.h"
#include "show/text.h"
#include "show/walk.h"

struct frame *fault_found;

static struct proc *running(void)
{
	return (struct proc *)tss.esp0;
}

/* Starts a proc, for the first time or again: its space, its frame; its turn comes after the
   running one's. */
static void start(struct proc *proc)
{
	space_make(proc);
	*frame_of(proc) = (struct proc_frame){
		.ds = USER_DATA, .es = USER_DATA,
		.eip = RING3_CODE, .esp = RING3_STACK_END, .eflags = EFLAGS_ALWAYS,
	};
	*asked_of(proc) = ASK_COUNT;
	panel_start(proc);
	if (running()->ended) {
		tss.esp0 = (uint32_t)proc;
		proc->next = proc;
	}
	proc->next = running() == proc ? proc : running()->next;
	running()->next = proc;
	proc->ended = false;
}

/* From: start (sysenter.S), once.  Out: the first proc to run. */
struct proc *procs_start(void)
{
	look_start();
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	screen_put(KEYS_ROW, 2, KEYS,
	    "space hold, step  + - pace  f full speed  1-9 A's mistakes  r restart  q quit");
	spaces_start();
	proc_a.first_page = FIRST_OF_A;
	proc_b.first_page = FIRST_OF_B;
	start(&proc_a);
	start(&proc_b);
	log_line("msr cs=%4 esp=%8 eip=%8 a=%8 b=%8", (uint32_t)SYSENTER_CODE, (uint32_t)&tss.esp0,
		 (uint32_t)gate, proc_a.space, proc_b.space);
	return running();
}

/* From: gate_watched (sysenter.S).  In: the proc that came in.  Out: the next one. */
struct proc *watched_switch(struct proc *from)
{
	struct proc *to = from->next;

	tss.esp0 = (uint32_t)to;

	uint64_t switches = look_begin(from->name, to->name);

	if (pace_wants_picture())
		panel_show(switches, from, to);
	ask_count(asked_of(from));
	ask_count(asked_of(to));
	look_end(from->place, to->place);
	return running();
}

/* Takes the running proc out of the turn list.  Out: the next; 0 if none is left. */
static struct proc *end(struct proc *proc)
{
	struct proc *before = proc, *next = proc->next;

	while (before->next != proc)
		before = before->next;
	before->next = next;
	proc->ended = true;
	if (next == proc)
		return 0;
	tss.esp0 = (uint32_t)next;
	return next;
}

/*
 * Whether ring 0 was interrupted with nothing but the proc's own in its registers: in front of
 * the gate's first instruction, by a single step; or at sysexit, if an NMI has ended the
 * grace behind sti.
 */
static bool finds_the_proc(const struct frame *frame, uint32_t vector)
{
	if (frame->cs & SELECTOR_RPL)
		return false;
	return vector == VECTOR_DB ? frame->eip == (uint32_t)gate :
	    vector >= IRQ_VECTORS && is_restoring(frame->eip);
}

/*
 * From:	fault_entry (sysenter.S).
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		0: on by iret, where it has happened; else the proc to go on with, by sysexit;
 *		esp0 is at its frame's end.
 */
struct proc *fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	uint32_t address = fault_address();
	struct proc *proc = running();
	struct frame whole = *frame;
	struct cause cause = { .vector = vector, .error = error };

	fault_found = frame;
	if (finds_the_proc(frame, vector)) {
		whole.eip = frame->edx;
		whole.cs = USER_CODE;
		whole.esp = frame->ecx;
		whole.ss = USER_DATA;
	}
	if (!fault_ends(proc->name, whole.cs & SELECTOR_RPL ? &whole : frame, &cause))
		return 0;

	if (cause.restoring) {
		const struct proc_frame *own = frame_of(proc);

		whole.eip = own->eip;
		whole.cs = USER_CODE;
		whole.eflags = own->eflags;
		whole.esp = own->esp;
		whole.ss = USER_DATA;
	}
	cause.unreadable = walk_unreadable(proc->space, whole.eip);
	if (vector == VECTOR_PF)
		cause.page = walk_words(proc->space, walk(proc->space, address), error);

	struct proc *next = end(proc);

	report_end(proc->name, proc->place, &whole, &cause, next ? next->name : 0);
	while (running()->ended)
		look_while_halted("No proc is left.");
	watchdog_start();		/* the next proc's time begins now */
	return running();
}

static void restart(struct proc *proc)
{
	if (!proc->ended)
		return;
	start(proc);
	report_start(proc->name);
}

/* From: pace.c, key r. */
void procs_restart(void)
{
	restart(&proc_a);
	restart(&proc_b);
}

/* From: pace.c.  In: 0 to SYSENTER_MISTAKES - 1; beyond them there is none. */
void proc_ask_mistake(unsigned number)
{
	if (number >= SYSENTER_MISTAKES)
		return;
	if (proc_a.ended)
		procs_restart();
	*asked_of(&proc_a) = ASK_MISTAKE + number;
}

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
	    "space hold, step  + - pace  f full speed  1-8 A's mistakes  r restart  q quit");
	copy_ring3_code(CODE);		/* both spaces share that */
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

/* A frame, whole: from ring 0 the CPU does not push esp and ss. */
static struct frame whole_of(const struct frame *frame)
{
	unsigned bytes = frame->cs & SELECTOR_RPL ? sizeof *frame : offsetof(struct frame, esp);
	struct frame whole = { .esp = (uint32_t)&frame->esp, .ss = RING0_DATA };

	for (unsigned i = 0; i < bytes / sizeof(uint32_t); i++)
		((uint32_t *)&whole)[i] = ((const uint32_t *)frame)[i];
	return whole;
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
	return (vector == VECTOR_DB && frame->eip == (uint32_t)gate) ||
	    (vector >= IRQ_VECTORS && frame->eip == (uint32_t)way_out);
}

/* The proc as ring 3 knows it, by what it has passed in edx and ecx. */
static void back_in_ring_3(struct frame *whole, uint32_t eip, uint32_t esp)
{
	whole->eip = eip;
	whole->cs = USER_CODE;
	whole->esp = esp;
	whole->ss = USER_DATA;
}

/* What was refused to a proc: by sysexit, when its frame is popped; by a pop; by fault_entry's iret. */
static void restored(struct proc *proc, const struct frame *frame, struct frame *whole)
{
	if (frame->eip == (uint32_t)way_out)
		back_in_ring_3(whole, frame->edx, frame->ecx);
	else if (frame->eip >= (uint32_t)leave && frame->eip < (uint32_t)way_out)
		back_in_ring_3(whole, frame_of(proc)->eip, frame_of(proc)->esp);
	else
		*whole = *((const struct frame *)proc - 1);
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
	struct proc *next, *proc = running();
	struct frame whole = whole_of(frame);
	struct cause cause = { .vector = vector, .error = error };

	fault_found = frame;
	if (finds_the_proc(frame, vector))
		back_in_ring_3(&whole, frame->edx, frame->ecx);
	if (!fault_ends(proc->name, whole.cs & SELECTOR_RPL ? &whole : frame, &cause))
		return 0;

	if (cause.restoring)
		restored(proc, frame, &whole);
	cause.unreadable = walk_unreadable(proc->space, whole.eip);
	if (vector == VECTOR_PF)
		cause.page = walk_words(proc->space, walk(proc->space, address), error);
	next = end(proc);
	report_end(proc->name, proc->place, &whole, &cause, next ? next->name : 0);
	while (running()->ended)
		look_while_halted("No proc is left.");
	watchdog_start();		/* the next proc's time begins now */
	return running();
}

/* From: pace.c, key r. */
void procs_restart(void)
{
	struct proc *procs[] = { &proc_a, &proc_b };

	for (unsigned i = 0; i < 2; i++)
		if (procs[i]->ended) {
			start(procs[i]);
			report_start(procs[i]->name);
		}
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

/*
 * The tasks: which one is next, ends and new starts.  The tasks that play are in the turn
 * list, a circle by their links next; by the same links, those that have ended wait in a
 * chain.
 *
 * All functions: ring 0, a stack of ring 0's, interrupts off.
 */
#include "task.h"
#include "ring0/cause.h"
#include "ring0/tables.h"
#include "show/look.h"
#include "show/pace.h"
#include "show/report.h"
#include "ring0/watchdog.h"

static struct task *ended;	/* the last one first */

/* In: the selector of a proc's TSS; any other than A's is taken for B's. */
struct task *task_of(uint32_t selector)
{
	return selector == A_TSS ? &proc_a : &proc_b;
}

/*
 * The busy bit in a TSS's descriptor.  The CPU sets it whenever it enters a task, and
 * does not enter a busy task by call, jump or gate; iret, on the contrary, only returns
 * to a busy one (Intel, volume 3, section 7.2.2, table 7-2).  A jump and an iret clear
 * the bit of the task that they leave; a gate does not, because its caller is not done,
 * but waits.
 */
static void set_busy(uint32_t selector, uint8_t busy)
{
	struct descriptor *row = &gdt[selector / DESCRIPTOR_BYTES];

	row->access = (row->access & ~ACCESS_BUSY) | busy;
}

/* Writes behind each task's esp0 the task to jump to.  No task can jump to itself, for it
   is busy; so a proc that plays alone jumps to ring 0's task, which jumps back (HWJUMP).
   In: a task that plays (the only one, if it plays alone); ring 0's backlink then names
   it as the next. */
static void set_jumps(struct task *from)
{
	tss.backlink = from->selector;
	struct task *task = from;

	do {
		task->jump.selector = task->next == task ? TSS : task->next->selector;
		task = task->next;
	} while (task != from);
}

/* From: start.  What the tables cannot say, because HWTASK and HWJUMP share them. */
void tasks_start(void)
{
	set_busy(A_TSS, waiting_is_busy);
	set_busy(B_TSS, waiting_is_busy);
	set_jumps(&proc_a);
}

/*
 * From:	HWTASK's ring 0, when a proc has come by the task gate.
 * In:		ring 0's TSS; its backlink says which proc.
 * Out:		the proc to go on with: the backlink names it now, and iret follows it.
 * Stack:	ring0_stack.  Interrupts off.
 * Intel:	volume 3, section 7.4, task linking.
 */
struct task *switch_to_next(struct tss *tss)
{
	struct task *to = task_of(tss->backlink)->next;

	tss->backlink = to->selector;
	return to;
}

/* Leaves the running task for good.  In: the one to go on with, by a jump. */
_Noreturn void task_go(struct task *task)
{
	struct {
		uint32_t offset;
		uint16_t selector;
	} pointer = { 0, task->selector };

	set_busy(task->selector, 0);
	__asm__ volatile("ljmp *%0" : : "m"(pointer));
	__builtin_unreachable();
}

/* The task whose TSS is in use, as the CPU says. */
static struct task *task_running(void)
{
	uint16_t selector;

	__asm__ volatile("str %0" : "=r"(selector));
	return task_of(selector);
}

/* Takes the running task out of the turn list.  Out: the task to go on with; 0 if none is
   left. */
static struct task *task_end(struct task *task)
{
	struct task *next = task->next, *before = next;

	while (before->next != task)
		before = before->next;
	before->next = next;
	task->ended = true;
	task->next = ended;
	ended = task;
	if (next == task)
		return 0;
	set_jumps(next);
	return next;
}

/*
 * From:	fault_entry (tasks.S), in the task that has met the exception.
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Out:		the same frame, if the task goes on; else it does not come back.
 * Stack:	fault_stack.  gs: RING0_SCREEN.
 */
struct frame *fault(struct frame *frame, uint32_t vector, uint32_t error)
{
	struct task *task = task_running();
	struct cause cause = { .vector = vector, .error = error };

	if (!fault_ends(task->name, frame, &cause))
		return frame;

	struct task *next = task_end(task);

	report_end(task->name, task->place, cause.restoring ? &task->frame : frame, &cause,
		   next ? next->name : 0);
	if (!next)
		leave_task();
	watchdog_start();		/* the next one's time begins now */
	task_go(next);
}

/* No task is left: waits until a key has restarted one, which ring 0's backlink then names.
   From: leave_task (hwtask.S, hwjump.S).  Stack: ring0_stack. */
void tasks_wait(void)
{
	while (proc_a.ended && proc_b.ended)
		look_while_halted("No proc is left.");
	watchdog_start();
}

/* Key r: restarts all procs that have ended.  Their turns come after that of the running
   one; if none runs, the first of them is the running one. */
void procs_restart(void)
{
	struct task *running = proc_a.ended ? &proc_b : &proc_a;

	if (!ended)			/* the backlink says already who is next */
		return;
	while (ended) {
		struct task *task = ended;

		ended = task->next;
		if (running->ended) {
			running = task->next = task;
		} else {
			task->next = running->next;
			running->next = task;
		}
		task->ended = false;
		task->tss = *task->first;
		set_busy(task->selector, waiting_is_busy);
		for (unsigned i = 0; i < PROC_DATA_BYTES / sizeof *task->ask; i++)
			task->ask[i] = 0;
		*task->ask = ASK_COUNT;
		panel_task(task);
		report_start(task->name);
	}
	set_jumps(running);
}

/* Keys 1 to 6: asks proc A for a mistake, after restarting it if it has ended. */
void proc_ask_mistake(unsigned number)
{
	if (number >= MISTAKES)
		return;
	if (proc_a.ended)
		procs_restart();
	*proc_a.ask = ASK_MISTAKE + number;
}

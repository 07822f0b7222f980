/*
 * HWTASK: P_PROC as Intel meant it.  Each proc is a task with a TSS of its own, and
 * int 0x30 leads through a task gate: the CPU itself saves all registers, changes the
 * LDT and the stack, and goes on with another task.  Ring 0 is also a task.
 *
 * Read in this order:
 *
 *	task.h		what a task is, and what the CPU saves of it
 *	start		real mode, protected mode, the first task switch
 *	ring 0's task	it never ends: it goes on behind its own iret
 *	the IDT		with a task gate at 0x30
 *	tasks.S, tasks.c	the tables, the TSSs; ends and new starts
 *
 * hwjump.S is the same without a gate: from task to task by a far jump.
 */
#include "ring0/tables.h"
#include "show/program.h"
#include "task.h"


/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, which stays this task's.
 * Interrupts:	off in this task, on in the procs'.  A task switch takes IF from the TSS.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S
	.code32
	call	tasks_start		# both procs are busy: they wait for an iret
	call	watch_start		# watch.c: first lines of screen and log

	mov	$TSS, %eax
	ltr	%ax			# this is a task now, and busy
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:

/*
 * The first way out is every way out: iret, when NT is set, goes to the task that the
 * backlink names.  No task has called us so far, so we write down that A has.
 */
	movl	$A_TSS, tss
ring0_begins:
	pushf
	orl	$EFLAGS_NT, (%esp)
	popf


/* ---- ring 0's task ----------------------------------------------------- */

/*
 * ring0_task - a loop that the procs run through
 *
 * iret:	NT is set: the CPU saves this task in its TSS (eip: behind the iret; NT
 *		clear), marks it available, and loads the one that the backlink names.
 *		That one must be busy.
 * gate:	a proc has executed int 0x30.  The CPU has saved it in its TSS, left it
 *		busy, marked this one busy, loaded it, set NT, and written the proc's
 *		selector into our backlink.
 * In:		what this task had in its registers at its iret: DF clear, ds, es, ss
 *		RING0_DATA, gs RING0_SCREEN; nothing of the proc's.  No lldt, no pops.
 * Stack:	ring0_stack.
 * Interrupts:	off.
 * Intel:	volume 3, sections 7.3 and 7.4; volume 2, IRET (TASK-RETURN).
 *
 * The other proc gets its turn because we write another selector over the backlink.
 * For that, the busy bits never need to change: both procs always look as if they had
 * called us and waited, B even before it has ever run; without its busy bit, the first
 * iret to it would be #TS.
 */
	.global	gate, gate_with_stop, ckpt_int, ckpt_switched
ring0_task:
1:	iret
gate:
	decl	switches_left		# until the next look
	jz	gate_with_stop
	mov	$tss, %eax
	call	switch_to_next		# tasks.c; the backlink is the other proc's
	jmp	1b

/* All switches that are shown come this way; Bochs stops while each of them is shown. */
gate_with_stop:
	cmpb	$0, stops
	je	2f
	xchg	%bx, %bx
ckpt_int:				# the backlink says who has called: info tss
2:	mov	tss, %eax
	call	watched_switch		# watch.c: switch_to_next, on show
	cmpb	$0, stops
	je	1b
	xchg	%bx, %bx
ckpt_switched:				# the backlink names the next task
	jmp	1b

/*
 * leave_task - no proc is left: ring 0's task begins again, and waits for keys
 *
 * From:	fault (tasks.c), in the task of the last proc.  Not left by a task switch: the
 *		CPU would save the present state in its TSS, which a key may have made new.
 * To:		ring0_begins, with the proc that a key has restarted in the backlink.
 * Stack:	fault_stack, then ring0_stack from its end.
 * Interrupts:	off.
 * Intel:	volume 2, LTR: wants an available TSS, and ring 0's is that while procs run.
 */
	.global	leave_task
leave_task:
	mov	$ring0_stack_end, %esp
	mov	$TSS, %eax
	ltr	%ax
	xor	%eax, %eax		# as this task has begun: nothing of an LDT,
	mov	%eax, %fs		# that is the last proc's and goes with it
	lldt	%ax
	call	tasks_wait		# tasks.c
	jmp	ring0_begins


/*
 * door_stops - no breakpoint stands in front of a task gate, so ring 0's task has a flag
 *
 *	void door_stops(bool stop)
 *
 * From:	look.c.
 * In:		al.
 */
	.text
	.global	door_stops
door_stops:
	mov	%al, stops
	ret


/* ---- the IDT ----------------------------------------------------------- */

	.data
	idt_begins
	fault_gates
idt_gate:
	task_gate TSS, 3
	idt_ends

	.global	switches_left
switches_left:				# until the next look
	.long	1
stops:					# whether Bochs should stop at each switch
	.byte	1

	program	hwtask, " ring 0, int 0x30 "
	.global	waiting_is_busy
waiting_is_busy:
	.byte	ACCESS_BUSY

	.section .note.GNU-stack, "", @progbits

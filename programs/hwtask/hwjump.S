/*
 * HWJUMP: HWTASK without a task gate.  int 0x30 leads into ring 0 as in P_PROC, and
 * there a far jump names the TSS of the next task.  The proc is saved while it is in
 * ring 0, behind its own jump, and goes on there when its turn comes.
 *
 * Read HWTASK (hwtask.S) first; then
 *
 *	the gate	five instructions from one proc to the other
 *	ring 0's task	only for looks, and for a proc that plays alone
 */
#include "ring0/tables.h"
#include "show/program.h"
#include "task.h"

/* At the gate's first instruction: the five words, and above them, behind esp0, the far
   pointer to the next task (task.h). */
#define NEXT_TASK	20(%esp)


/* ---- start ------------------------------------------------------------- */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, which stays this task's.
 * Interrupts:	off in ring 0, on in the procs.  A task switch takes IF from the TSS.
 */
	.code16
	.global	start
start:
	call	enter_protected_mode	# ring0/enter.S
	.code32
	call	tasks_start
	call	watch_start		# watch.c: first lines of screen and log

	mov	$TSS, %eax
	ltr	%ax			# this is a task now, and busy
	xchg	%bx, %bx
	.global	ckpt_tss
ckpt_tss:


/* ---- ring 0's task ----------------------------------------------------- */

/*
 * ring0_task - a loop that the procs run through when a look is due
 *
 * ljmp:	the CPU saves this task in its TSS (eip: behind the ljmp), marks it
 *		available, and the other task, which must not be busy, busy.  NT and
 *		backlinks play no part: a jump is not a call.
 * Then:	a proc has jumped here, from the gate below.
 * In:		what this task had in its registers at its ljmp.
 * Stack:	ring0_stack.
 * Interrupts:	off.
 * Intel:	volume 3, section 7.3; volume 2, JMP (TASK-STATE-SEGMENT).
 */
	movl	$A_TSS, tss
ring0_begins:
ring0_task:
1:	mov	tss, %eax		# the backlink, where C writes the next task
	mov	%eax, next_task + 4
	ljmp	*next_task
	cmpl	$0, switches_left
	jne	1b			# a proc plays alone: back to it (tasks.c)
	mov	looker, %eax
	call	watched_switch		# watch.c
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


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - int 0x30 of the running proc
 *
 * From:	ring 3, through the IDT, still in the proc's task.  The CPU has changed to
 *		ss0:esp0 of its TSS, and pushed ss, esp, eflags, cs, eip there.  All
 *		else is still the proc's, and may stay: the jump saves it.
 * To:		the next task, behind its own jump; the first time, at its first
 *		instruction.  When the proc's turn comes again, iret leads to ring 3.
 * Stack:	the task's own.
 * Interrupts:	off.
 * Intel:	volume 3, sections 6.12.1 and 7.3; volume 2, JMP and IRET.
 */
	.global	gate, gate_with_stop, ckpt_int
gate_with_stop:
	xchg	%bx, %bx
ckpt_int:				# first instruction inside: look at ss:esp
gate:
	decl	%ss:switches_left	# until the next look
	jz	1f
	ljmp	*NEXT_TASK
2:	iret				# here we are back: the five words lead to ring 3
	restored_since 2b

1:	str	%ss:looker		# which proc: a jump leaves no backlink
	ljmp	*%ss:ring0_pointer
2:	iret
	restored_since 2b

	.balign	4
ring0_pointer:
	.long	0
	.word	TSS


/* ---- the IDT ----------------------------------------------------------- */

	.data
	idt_begins
	fault_gates
idt_gate:
	interrupt_gate gate_with_stop, 3
	idt_ends

	.balign	4
looker:					# the task that called for a look
	.long	0
next_task:				# where ring 0's task jumps
	.long	0, 0

	program	hwjump, " ring 0, int 0x30 "
	.global	waiting_is_busy
waiting_is_busy:
	.byte	0

	.section .note.GNU-stack, "", @progbits

/*
 * What the two forms of HWTASK share: the tables, the tasks, the exceptions, the procs.
 * The way from one task to another is in hwtask.S and in hwjump.S; begin there.
 */
#include "ring3/ask.h"
#include "ring0/fault_entry.h"
#include "ring0/tables.h"
#include "task.h"


/* ---- the tables -------------------------------------------------------- */

	.data
	gdt_begins
	RING0_SEGMENTS(DESCRIPTOR)
	LDT_SEGMENTS(DESCRIPTOR)
	TASK_SEGMENTS(DESCRIPTOR)
	gdt_ends

	proc_ldts


/* ---- the tasks --------------------------------------------------------- */

/*
 * Ring 0's own task.  Nothing need be filled in: the program starts in it, and the CPU
 * saves it here when it leaves it for the first time.
 */
	.balign	4
	.global	tss
tss:
	.rept	TSS_BYTES / 4 - 1
	.long	0
	.endr
	.word	0, TSS_BYTES		# debug trap; I/O bitmap, beyond the limit: no port
	.set	tss_bytes, . - tss

	double_fault_task

/*
 * What a proc finds when it starts: its own data in ds, es and ss, its window in gs, its
 * LDT, interrupts let in (watchdog.c), all else zero.
 */
	.macro	first_tss letter, code, data, screen, ldt
	.long	0			# backlink
	.long	proc_\letter\()_end, RING0_DATA, 0, 0, 0, 0	# esp0, ss0
	.long	0			# cr3
	.long	0, EFLAGS_ALWAYS | EFLAGS_IF	# eip eflags
	.long	0, 0, 0, 0		# eax ecx edx ebx
	.long	PROC_DATA_BYTES, 0, 0, 0	# esp ebp esi edi
	.long	\data, \code, \data, \data, 0, \screen	# es cs ss ds fs gs
	.long	\ldt
	.word	0, TSS_BYTES		# debug trap; I/O bitmap
	.endm

/* In struct task's order; and a second copy of the TSS, to start the proc again. */
	.macro	task letter, name, code, data, screen, ldt, tss, next, place
	.space	HEADROOM_BYTES
	.global	proc_\letter, proc_\letter\()_end, proc_\letter\()_tss
proc_\letter:
	.space	FRAME_BYTES
proc_\letter\()_end:
	.long	0, 0			# jump: tasks.c
proc_\letter\()_tss:
	first_tss \letter, \code, \data, \screen, \ldt
	.if	. - proc_\letter\()_tss != TSS_BYTES
	.error	"x86.h: TSS_BYTES is not the TSS's size"
	.endif
	.long	proc_\next, proc_\letter\()_data	# next, ask
	.long	proc_\letter\()_first
	.word	\tss
	.ascii	"\name"
	.byte	\place
	.long	0			# ended
	.pushsection .rodata
	.balign	4
proc_\letter\()_first:
	first_tss \letter, \code, \data, \screen, \ldt
	.popsection
	.endm

	.balign	4
	task	a, A, A_CODE, A_DATA, A_SCREEN, A_LDT, A_TSS, b, 0
	task	b, B, B_CODE, B_DATA, B_SCREEN, B_LDT, B_TSS, a, 1


/* ---- exceptions and interrupts ----------------------------------------- */

	.text
	fault_vectors_to fault_entry

/*
 * fault_entry - the same task, in ring 0
 *
 * From:	fault_vectors.  These gates do not switch tasks: each exception would need
 *		a task of its own, since a task is not told the vector that led to it.
 * In:		as for fault_enters (fault_entry.h), in the task's own frame.
 * Stack:	as found, then fault_stack.
 * To:		where it came from, if fault (tasks.c) comes back; else another task,
 *		and never back here.
 * Interrupts:	off.  NT is clear: the CPU has saved the proc's own, so that this iret is
 *		an ordinary one (Intel, volume 3, section 6.12.1).
 */
fault_entry:
	fault_enters			# eax: the frame
	mov	%eax, %esp
1:	restore_registers
	iret
	restored_since 1b

	fault_stack


/* ---- the procs --------------------------------------------------------- */

#define PROC(name) proc_a_##name
#include "ring3/proc.h"
#undef PROC

#define PROC(name) proc_b_##name
#include "ring3/proc.h"
#undef PROC

	.section .note.GNU-stack, "", @progbits

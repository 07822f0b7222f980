/*
 * Every way in which a CPU switches tasks, and nearly all in which it refuses to: for
 * the judge.
 *
 * As with crossings.S, which has all about rings: ringside/emulators/graft.py puts this behind
 * HWTASK on a copy of the floppy and bends four places of it (the hooks, below),
 * so that ring 0's task tries one case after the other.  The tables, the gates and
 * the TSSs are the program's own.
 *
 * Each case begins with proc A's task as `task` says, and then spoils what it is
 * about.  Who gets into A's task all the same, comes back behind what led there; and
 * so does an exception that is A's already.
 */
#include "procs/proc_segments.h"
#include "programs/hwtask/task.h"

#define CASE_BYTES	64
#include "cases.h"

/* Proc A's LDT, made longer: B's, which stands behind it, is not needed here. */
#define ABSENT_DATA	(0x18 + TI)
#define ABSENT_CODE	(0x20 + TI)
#define READ_ONLY	(0x28 + TI)
#define EXECUTE_ONLY	(0x30 + TI)
#define CONFORMING	(0x38 + TI)	/* proc A's code again */
#define LOCAL_BEYOND	(0x40 + TI)
#define LDT_BYTES	0x40

/* Task gates, in rows of the GDT that B has no need of. */
#define GATE		B_LDT		/* to A, for ring 0 */
#define OPEN_GATE	B_TSS		/* to ring 0's task, for ring 3 */

/* In a TSS. */
#define SS0_AT		0x08
#define EIP_AT		0x20
#define EFLAGS_AT	0x24
#define ESP_AT		0x38
#define ES_AT		0x48
#define CS_AT		0x4c
#define SS_AT		0x50
#define DS_AT		0x54
#define FS_AT		0x58
#define GS_AT		0x5c
#define LDT_AT		0x60
#define TRAP_AT		0x64

/* A 16-bit TSS. */
#define TSS_16_BYTES	44
#define ACCESS_TSS_16	0x01
#define IP_AT		0x0e

#define VECTOR_UD	6

#define TASK_GATE	(ACCESS_PRESENT | ACCESS_TASK_GATE)
#define AVAILABLE	(ACCESS_PRESENT | ACCESS_TSS)

	.macro	gate_row selector, task, access
	movw	$\task, gdt + \selector + 2
	movw	$(\access) << 8, gdt + \selector + 4
	.endm

	.macro	set_nt
	pushf
	orl	$NT, (%esp)
	popf
	.endm

	.macro	return_to selector
	movl	$\selector, tss
	set_nt
	iret
	.endm


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before ltr: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* Ring 0's task. */
	.section .hook.ckpt_tss, "ax"
	jmp	cases

/* Every exception, in ring 0.  On the stack: vector, error code, eip, cs, eflags ... */
	.section .hook.fault_entry, "ax"
	jmp	refused

/* The task of #DF. */
	.section .hook.double_fault, "ax"
	jmp	take_error

	.text
setup:
	row	A_CODE, a_code, a_code_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	ABSENT_DATA, proc_a_data, PROC_DATA_BYTES, ACCESS_DATA | ACCESS_DPL(3)
	row	ABSENT_CODE, a_code, a_code_bytes, ACCESS_CODE | ACCESS_DPL(3)
	row	READ_ONLY, proc_a_data, PROC_DATA_BYTES, ACCESS_PRESENT | (ACCESS_DATA & ~WRITABLE) | ACCESS_DPL(3)
	row	EXECUTE_ONLY, a_code, a_code_bytes, ACCESS_PRESENT | (ACCESS_CODE & ~READABLE) | ACCESS_DPL(3)
	row	CONFORMING, a_code, a_code_bytes, ACCESS_PRESENT | ACCESS_CODE | CONFORMS | ACCESS_DPL(3)
	movw	$LDT_BYTES - 1, gdt + A_LDT
	gate_row GATE, A_TSS, TASK_GATE
	gate_row OPEN_GATE, TSS, TASK_GATE | ACCESS_DPL(3)
	lead	0x2f, A_TSS, TASK_GATE
	lead	0x2e, GLOBAL_BEYOND, TASK_GATE
	lead	0x2d, A_TSS + TI, TASK_GATE
	lead	0x2c, RING0_DATA, TASK_GATE
	ret

/* Proc A's task, ready to be gone to; NT clear. */
fresh:
	push	$2
	popf
	mov	$task, %esi
	mov	$proc_a_tss, %edi
	mov	$TSS_BYTES / 4, %ecx
	rep movsl
	movw	$TSS_BYTES - 1, gdt + A_TSS
	movb	$AVAILABLE, ACCESS_OF(gdt, A_TSS)
	movb	$ACCESS_PRESENT | ACCESS_LDT, ACCESS_OF(gdt, A_LDT)
	ret

	.balign	4
task:
	.long	0, proc_a_end, RING0_DATA, 0, 0, 0, 0, 0
	.long	by_jump - a_code, 2
	.long	0x0a, 0x0c, 0x0d, 0x0b, PROC_DATA_BYTES, 0x5b, 0x51, 0xd1
	.long	A_DATA, A_CODE, A_DATA, A_DATA, 0, A_SCREEN
	.long	A_LDT
	.word	0, TSS_BYTES

/* An exception of ring 0's task: on to the next case.  One of A's: back. */
refused:
	push	%eax
	str	%ax
	cmp	$TSS, %ax
	pop	%eax
	jne	1f
	add	$8, %esp
	orl	$CASE_BYTES - 1, (%esp)
	incl	(%esp)
	andl	$~NT, 8(%esp)
	iret

1:	testb	$ACCESS_BUSY, %cs:ACCESS_OF(gdt, TSS)
	jnz	2f
	ljmp	$TSS, $0
2:	set_nt
	iret


/* ---- proc A, ring 3 ---------------------------------------------------- */

	.balign	CASE_BYTES
a_code:
case by_jump "int 0x30, ring 3 to 0"
	int	$0x30
case by_call "iret, ring 3 to 0"
	iret
case by_gate "lcall, ring 3 to 0"
	lcall	$OPEN_GATE + RPL3, $0
case closed_gate "#GP", GATE
	lcall	$GATE, $0
case closed_task "#GP", TSS
	ljmp	$TSS, $0
case no_stack "#DF(0000), ring 3 to 0"
	cli
	.balign	CASE_BYTES
	.set	a_code_bytes, . - a_code
#define HERE(label) ((label) - a_code)	/* its offset in A_CODE */

/* Ring 0's, for an exception with an error code: the next case instead. */
take_error:
	add	$4, %esp
	orl	$CASE_BYTES - 1, tss + EIP_AT
	incl	tss + EIP_AT
	lead	VECTOR_GP, RING0_CODE, ACCESS_PRESENT | ACCESS_INTERRUPT_GATE
	iret
	ljmp	$TSS, $0		# the second #DF, which is A's


/* ---- ring 0's task ----------------------------------------------------- */

cases:
case jump "ljmp, ring 0 to 3"
	call	fresh
	ljmp	$A_TSS, $0x1234
case jump_by_memory "ljmp, ring 0 to 3"
	call	fresh
	push	$A_TSS
	push	$0x1234
	ljmp	*(%esp)
case jump_by_gate "ljmp, ring 0 to 3"
	call	fresh
	ljmp	$GATE, $0
case jump_with_nt "ljmp, ring 0 to 3"
	call	fresh
	set_nt
	ljmp	$A_TSS, $0
case jump_to_nt "ljmp, ring 0 to 3"
	call	fresh
	orl	$NT, proc_a_tss + EFLAGS_AT
	ljmp	$A_TSS, $0
case jump_to_flags "ljmp, ring 0 to 3"
	call	fresh
	orl	$CF | IOPL | AC | ID, proc_a_tss + EFLAGS_AT
	ljmp	$A_TSS, $0
case jump_with_ts_clear "ljmp, ring 0 to 3"
	call	fresh
	clts
	ljmp	$A_TSS, $0
case jump_to_conforming "ljmp, ring 0 to 3"
	call	fresh
	movw	$CONFORMING + RPL3, proc_a_tss + CS_AT
	ljmp	$A_TSS, $0
case jump_to_no_ldt "ljmp, ring 0 to 0"
	call	fresh
	call	in_ring_0
	movl	$refused, proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0
case jump_to_16_bit "ljmp, ring 0 to 3"
	call	fresh
	call	in_16_bits
	ljmp	$A_TSS, $0
case call_16_bit "lcall, ring 0 to 3"
	call	fresh
	call	in_16_bits
	movw	$HERE(by_call), proc_a_tss + IP_AT
	lcall	$A_TSS, $0
case jump_to_short_16_bit "#TS", A_TSS
	call	fresh
	call	in_16_bits
	decw	gdt + A_TSS
	ljmp	$A_TSS, $0
case jump_to_trap "#DB, ring 3 to 0"
	else bochs, "ljmp, ring 0 to 3", "the #DB is a step of its own"
	else qemu, "ljmp, ring 0 to 3", "TCG does not look at T", qemu-no-task-trap
	call	fresh
	orw	$1, proc_a_tss + TRAP_AT
	ljmp	$A_TSS, $0
case call_task "lcall, ring 0 to 3"
	call	fresh
	movl	$HERE(by_call), proc_a_tss + EIP_AT
	lcall	$A_TSS, $0
case call_by_memory "lcall, ring 0 to 3"
	call	fresh
	movl	$HERE(by_call), proc_a_tss + EIP_AT
	push	$A_TSS
	push	$0x1234
	lcall	*(%esp)
case call_by_gate "lcall, ring 0 to 3"
	call	fresh
	movl	$HERE(by_call), proc_a_tss + EIP_AT
	lcall	$GATE, $0
case int_by_gate "int 0x2f, ring 0 to 3"
	call	fresh
	movl	$HERE(by_call), proc_a_tss + EIP_AT
	int	$0x2f
case return "iret, ring 0 to 3"
	call	fresh
	orb	$ACCESS_BUSY, ACCESS_OF(gdt, A_TSS)
	return_to A_TSS

/* Far pointers in memory lead to segments, too. */
case jump_by_memory_to_code "ljmp, ring 0 to 0"
	push	$RING0_CODE
	push	$call_by_memory_to_code
	ljmp	*(%esp)
case call_by_memory_to_code "lcall, ring 0 to 0"
	push	$RING0_CODE
	push	$ring_3_by_gate
	lcall	*(%esp)

/* What A does there. */
case ring_3_by_gate "ljmp, ring 0 to 3"
	call	fresh
	movl	$HERE(by_gate), proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0
case ring_3_closed_gate "ljmp, ring 0 to 3"
	call	fresh
	movl	$HERE(closed_gate), proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0
case ring_3_closed_task "ljmp, ring 0 to 3"
	call	fresh
	movl	$HERE(closed_task), proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0

/* An exception by a task gate, with its error code. */
case error_by_task "#GP", GLOBAL_BEYOND
	call	fresh
	call	in_ring_0
	movl	$take_error, proc_a_tss + EIP_AT
	lead	VECTOR_GP, A_TSS, TASK_GATE
	mov	$GLOBAL_BEYOND, %eax
	mov	%eax, %es

/* Two exceptions at once: #NP in the place of #UD, but not in that of #GP. */
case serial "#NP(0033)"
	lead	VECTOR_UD, RING0_CODE, ACCESS_INTERRUPT_GATE
	ud2
case double_exception "#DF(0000)"
	lead	VECTOR_GP, RING0_CODE, ACCESS_INTERRUPT_GATE
	mov	$GLOBAL_BEYOND, %eax
	mov	%eax, %es

case ring_3_no_stack "ljmp, ring 0 to 3"
	call	fresh
	movw	$0, proc_a_tss + SS0_AT
	movl	$HERE(no_stack), proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0

/* No task switch gets there: the exceptions of ring 0's task. */
case jump_to_busy "#GP", TSS
	ljmp	$TSS, $0
case jump_to_absent "#NP", A_TSS
	call	fresh
	movb	$ACCESS_TSS, ACCESS_OF(gdt, A_TSS)
	ljmp	$A_TSS, $0
case jump_to_short "#TS", A_TSS
	call	fresh
	decw	gdt + A_TSS
	ljmp	$A_TSS, $0
case jump_with_rpl_3 "#GP", GATE
	ljmp	$GATE + RPL3, $0
case jump_by_absent_gate "#NP", GATE
	gate_row GATE, A_TSS, ACCESS_TASK_GATE
	ljmp	$GATE, $0
case jump_by_gate_beyond "#GP", GLOBAL_BEYOND
	gate_row GATE, GLOBAL_BEYOND, TASK_GATE
	ljmp	$GATE, $0
case call_by_gate_to_local "#GP(0044)"
	else qemu, "#TS(0044)", "TCG has #TS for that"
	gate_row GATE, A_TSS + TI, TASK_GATE
	lcall	$GATE, $0
case call_to_busy "#GP", TSS
	lcall	$TSS, $0
case int_to_busy "#GP", TSS
	int	$0x30
case int_beyond "#GP", GLOBAL_BEYOND
	int	$0x2e
case int_to_local "#GP(0044)"
	else qemu, "#TS(0044)", "TCG has #TS for that"
	int	$0x2d
case int_to_data "#GP", RING0_DATA
	int	$0x2c
case int_to_absent "#NP", A_TSS
	call	fresh
	movb	$ACCESS_TSS, ACCESS_OF(gdt, A_TSS)
	int	$0x2f
case int_to_short "#TS", A_TSS
	call	fresh
	decw	gdt + A_TSS
	int	$0x2f
case return_to_nobody "#TS(0000)"
	return_to 0
case return_to_local "#TS(0044)"
	return_to A_TSS + TI
case return_beyond "#TS", GLOBAL_BEYOND
	return_to GLOBAL_BEYOND
case return_to_data "#TS", RING0_DATA
	return_to RING0_DATA
case return_to_available "#TS", A_TSS
	call	fresh
	return_to A_TSS
case return_to_absent "#NP", A_TSS
	call	fresh
	movb	$ACCESS_TSS | ACCESS_BUSY, ACCESS_OF(gdt, A_TSS)
	return_to A_TSS
case return_to_short "#TS", A_TSS
	call	fresh
	orb	$ACCESS_BUSY, ACCESS_OF(gdt, A_TSS)
	decw	gdt + A_TSS
	return_to A_TSS

/* Too late to stay: the exceptions of A's task. */
	.macro	bad place, value
	call	fresh
	movw	$\value, proc_a_tss + \place
	ljmp	$A_TSS, $0
	.endm

case ldt_local "#TS(0034)"
	bad	LDT_AT, A_LDT + TI
case ldt_beyond "#TS", GLOBAL_BEYOND
	bad	LDT_AT, GLOBAL_BEYOND
case ldt_data "#TS", RING0_DATA
	bad	LDT_AT, RING0_DATA
case ldt_absent "#TS", A_LDT
	call	fresh
	movb	$ACCESS_LDT, ACCESS_OF(gdt, A_LDT)
	ljmp	$A_TSS, $0
case stack_null "#TS(0000)"
	bad	SS_AT, 0
case stack_beyond "#TS(0044)"
	bad	SS_AT, LOCAL_BEYOND + RPL3
case stack_rpl "#TS(000c)"
	bad	SS_AT, A_DATA & ~RPL3
case stack_dpl "#TS", RING0_DATA
	bad	SS_AT, RING0_DATA + RPL3
case stack_read_only "#TS(002c)"
	bad	SS_AT, READ_ONLY + RPL3
case stack_absent "#SS(001c)"
	else qemu, "#NP(001c)", "TCG has #NP for that"
	bad	SS_AT, ABSENT_DATA + RPL3
case data_beyond "#TS(0044)"
	bad	DS_AT, LOCAL_BEYOND + RPL3
case data_dpl "#TS", RING0_DATA
	bad	ES_AT, RING0_DATA
case data_system "#TS", TSS
	bad	FS_AT, TSS
case data_execute_only "#TS(0034)"
	bad	GS_AT, EXECUTE_ONLY + RPL3
case data_absent "#NP(001c)"
	bad	GS_AT, ABSENT_DATA + RPL3
case code_null "#TS(0000)"
	bad	CS_AT, RPL3
case code_beyond "#TS(0044)"
	bad	CS_AT, LOCAL_BEYOND + RPL3
case code_data "#TS(000c)"
	bad	CS_AT, A_DATA
case code_dpl "#TS", RING0_CODE
	bad	CS_AT, RING0_CODE + RPL3
case code_absent "#NP(0024)"
	bad	CS_AT, ABSENT_CODE + RPL3
case offset_beyond "#GP(0000)"
	call	fresh
	movl	$a_code_bytes, proc_a_tss + EIP_AT
	ljmp	$A_TSS, $0

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end

/* Proc A's task in a 16-bit TSS (Intel, volume 3, section 7.6). */
in_16_bits:
	mov	$task_16, %esi
	mov	$proc_a_tss, %edi
	mov	$TSS_16_BYTES / 2, %ecx
	rep movsw
	movw	$TSS_16_BYTES - 1, gdt + A_TSS
	movb	$ACCESS_PRESENT | ACCESS_TSS_16, ACCESS_OF(gdt, A_TSS)
	ret

	.balign	4
task_16:
	.word	0, proc_a_end, RING0_DATA, 0, 0, 0, 0
	.word	by_jump - a_code, 2
	.word	0x0a, 0x0c, 0x0d, 0x0b, PROC_DATA_BYTES, 0x5b, 0x51, 0xd1
	.word	A_DATA, A_CODE, A_DATA, A_DATA
	.word	A_LDT

/* Proc A's task, in ring 0 and without LDT. */
in_ring_0:
	movw	$RING0_CODE, proc_a_tss + CS_AT
	movw	$RING0_DATA, proc_a_tss + SS_AT
	movw	$RING0_DATA, proc_a_tss + DS_AT
	movw	$RING0_DATA, proc_a_tss + ES_AT
	movw	$0, proc_a_tss + GS_AT
	movw	$0, proc_a_tss + LDT_AT
	movl	$proc_a_end, proc_a_tss + ESP_AT
	ret

	.section .note.GNU-stack, "", @progbits

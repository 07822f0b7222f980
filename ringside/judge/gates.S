/*
 * Call gates, far ret from where they lead, sysenter and sysexit: for the judge.
 *
 * As with crossings.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below), so that proc A tries one
 * case after the other.  Proc A has an LDT of its own here, with gates in it.
 */
#include "procs/proc_segments.h"

#define proc_a_ldt	cases_ldt
#define CASE_BYTES	32
#include "cases.h"

#define CONFORMING	(0x18 + TI)	/* ring3's code again, DPL 0, conforming */
#define ABSENT_CODE	(0x20 + TI)
#define TSS_DATA	(0x28 + TI)	/* the TSS as data, for ring 3 */
#define FAST		(0x30 + TI)	/* four rows, as sysenter wants them: all of memory */
#define RING1_CODE	(0x50 + TI)
#define RING1_STACK	(0x58 + TI)
#define ABSENT_DATA	(0x60 + TI)
#define GATES		0x68
#define LDT_BYTES	(gates_end - cases_ldt)
#define LOCAL_BEYOND	(0x1f0 + TI)

#define BASE		0x10000		/* where the program lies */
#define A_STACK		PROC_DATA_BYTES
#define HERE(label)	((label) - ring3)	/* its offset in A_CODE */

#define CALL_GATE	(ACCESS_PRESENT | 0x0c)
#define CALL_GATE_16	(ACCESS_PRESENT | 0x04)

#define ACCESS_TSS_16	0x01
#define TSS_16_BYTES	44

#define CR0_AM		0x40000

#define MSR_CS		0x174
#define MSR_ESP		0x175
#define MSR_EIP		0x176

	/* A call gate, and its selector's name. */
	.macro	call_gate name, selector, offset, count=0, access=CALL_GATE | ACCESS_DPL(3)
	.set	\name, . - cases_ldt + TI + RPL3
	.word	\offset, \selector
	.byte	\count, \access
	.word	0
	.endm

	.macro	write_msr number, value
	mov	$\number, %ecx
	mov	$\value, %eax
	wrmsr
	.endm


	.arch	i686


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/* Every exception, from any ring: on to the next case. */
	.section .hook.fault_entry, "ax"
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	iret

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	A_DATA, proc_a_data, PROC_DATA_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	row	CONFORMING, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | CONFORMS
	row	ABSENT_CODE, ring3, ring3_bytes, ACCESS_CODE | ACCESS_DPL(3)
	row	ABSENT_DATA, proc_a_data, PROC_DATA_BYTES, ACCESS_DATA
	row	TSS_DATA, tss, TSS_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	row	RING1_CODE, 0, PROGRAM_BYTES, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(1)
	row	RING1_STACK, 0, PROGRAM_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(1)
	movl	$ring1_stack_end, tss + 12
	movl	$RING1_STACK + 1, tss + 16
	movw	$LDT_BYTES - 1, gdt + A_LDT
	movw	$cases_ldt, gdt + A_LDT + 2	/* the program's base is 0x10000: its upper half stays */
	ret


/* ---- ring 3 ------------------------------------------------------------ */

	.balign	CASE_BYTES
ring3:
	nop

/* Instructions that there are not, or not so. */
case lock_nop "#UD"
	.byte	0xf0, 0x90
case lock_register "#UD"
	.byte	0xf0, 0x01, 0xc0		# lock add %eax, %eax
case lock_read "#UD"
	else qemu, "", "TCG does not ask for lock where nothing is written", qemu-lock-int
	.byte	0xf0, 0x8b, 0x04, 0x24		# lock mov (%esp), %eax
case lock_add ""
	lock addl $0, -4(%esp)
case undefined_0fff "#UD"
	.byte	0x0f, 0xff
case undefined_0fb9 "#UD"
	.byte	0x0f, 0xb9, 0xc0
case les_register "#UD"
	.byte	0xc4, 0xc0			# les %eax, %eax
case call_register "#UD"
	.byte	0xff, 0xd8			# lcall *%eax

/* Gates that refuse, or what they name. */
case gate_closed "#GP", CLOSED & ~RPL3
	lcall	$CLOSED, $0
case gate_absent "#NP", ABSENT & ~RPL3
	lcall	$ABSENT, $0
case gate_null "#GP(0000)"
	lcall	$TO_NULL, $0
case gate_data "#GP(000c)"
	lcall	$TO_DATA, $0
case gate_beyond "#GP", GLOBAL_BEYOND
	lcall	$TO_BEYOND, $0
case gate_beyond_ldt "#GP", LOCAL_BEYOND
	lcall	$TO_LOCAL_BEYOND, $0
case gate_absent_code "#NP", ABSENT_CODE
	lcall	$TO_ABSENT_CODE, $0
case gate_offset "#GP(0000)"
	else qemu, "lcall, ring 3 to 3", "TCG checks no segment limits"
	lcall	$TO_OFFSET, $0
case jmp_inner "#GP", RING0_CODE
	ljmp	$TO_RING0, $0

/* Within the ring. */
case jmp_same "ljmp, ring 3 to 3"
	ljmp	$TO_NEXT, $0x1234
case jmp_conforming "ljmp, ring 3 to 3"
	ljmp	$TO_CONFORMING, $0
case call_same "lcall, ring 3 to 3"
	mov	$A_STACK, %esp
	lcall	$TO_SAME, $0
	jmp	call_conforming
case ret_same "lret, ring 3 to 3"
	lret
case call_conforming "lcall, ring 3 to 3"
	lcall	$CALL_CONFORMING, $0
	jmp	call_no_stack
case ret_conforming "lret, ring 3 to 3"
	lret
case call_no_stack "#SS(0000)"
	else qemu, "lcall, ring 3 to 3", "TCG checks no segment limits"
	mov	$4, %esp
	lcall	$TO_NO_STACK, $0
case jmp_next ""
	jmp	call

/* To ring 0 and back, with parameters and without; and to ring 1. */
case call "lcall, ring 3 to 0"
	mov	$A_STACK, %esp
	lcall	$TO_RING0, $0x1234
	jmp	call_memory
case call_memory "lcall, ring 3 to 0"
	push	$TO_RING0
	push	$0x1234
	lcall	*(%esp)
	jmp	call_parameters
case call_parameters "lcall, ring 3 to 0"
	push	$0x11111111
	push	$0x22222222
	push	$0x33333333
	lcall	$WITH_3, $0
	jmp	call_ring1
case call_ring1 "lcall, ring 3 to 1"
	push	$0x44444444
	lcall	$TO_RING1, $0
	jmp	call_16_bit
case call_16_bit "lcall, ring 3 to 0"
	mov	$A_STACK, %esp
	pushw	$0x5555
	lcall	$TO_16_BIT, $0
	mov	$A_STACK, %esp
	jmp	sysexit_3

/* sysenter without wrmsr, as ring0 sees to it. */
case sysexit_3 "#GP(0000)"
	sysexit
case wrmsr_3 "#GP(0000)"
	wrmsr
case to_ring0 "int 0x30, ring 3 to 0"
	mov	$A_STACK, %esp
	mov	$ring0, %ebx
	int	$0x30
/* Alignment, which ring0 has let be checked. */
case unaligned "#AC(0000)"
	else qemu, "", "TCG does not check alignment"
	push	$AC | 2
	popf
	mov	-7(%esp), %eax
case aligned ""
	push	$AC | 2
	popf
	mov	%eax, -4(%esp)
	push	$2
	popf
case sysenter_null "#GP(0000)"
	sysenter
case to_ring0_again "int 0x30, ring 3 to 0"
	mov	$ring0_fast, %ebx
	int	$0x30
case sysenter_good "sysenter, ring 3 to 0"
	sysenter

/* Ring 0's stack is wrong: as ring0_tss has it, a conforming gate brings the exception.  es: TSS_DATA. */
	.macro	bad_ss0 selector
	movw	$\selector, %es:8
	mov	$A_STACK, %esp
	lcall	$TO_RING0, $0
	.endm

case tss_null "#TS(0000)"
	bad_ss0	0
case tss_rpl "#TS", RING0_DATA
	bad_ss0	RING0_DATA + RPL3
case tss_absent "#SS", ABSENT_DATA
	else qemu, "#TS(0064)", "TCG has #TS for that"
	bad_ss0	ABSENT_DATA
case tss_no_room "#SS", RING0_DATA
	else bochs, "#SS(0000)", "Bochs does not tell the new stack's selector"
	else qemu, "lcall, ring 3 to 0", "TCG does not check whether esp0 has room"
	movw	$RING0_DATA, %es:8
	movl	$24, %es:4
	lcall	$WITH_3_AND_NO_ROOM, $0

/* The last: no IDT at all. */
case no_exception_more "int 0x30, ring 3 to 0"
	movl	$ring0_stack_end, %es:4
	mov	$ring0_last, %ebx
	int	$0x30

/* sp0 and ss0 in a 16-bit TSS. */
case tss_16_bit "int 0x30, ring 3 to 0"
	mov	$ring0_very_last, %ebx
	int	$0x30

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end

/* #SS and #TS, in ring 3: error code, eip, cs, eflags. */
ring3_stack_fault:
	nop
ring3_fault:
	add	$4, %esp
	orl	$CASE_BYTES - 1, (%esp)
	incl	(%esp)
	iret
	.set	ring3_bytes, . - ring3
beyond:					# where only QEMU gets to
	jmp	jmp_inner


/* ---- inner rings ------------------------------------------------------- */

case ret "lret, ring 0 to 3"
	lret
case ret_parameters "lret, ring 0 to 3"
	lret	$12
case ret_16_bit "lret, ring 0 to 3"
	lretw	$2
case ret_ring1 "lcall, ring 1 to 0"
	lcall	$TO_RING0, $0
	lret	$4

no_room:				# where only QEMU gets to
	mov	$ring0_stack_end, %esp
	push_return ring0_stack_end, A_CODE, HERE(no_exception_more), 2, A_DATA, A_STACK
	iret

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stack_end, %esp
	jmp	call_0

case call_0 "lcall, ring 0 to 0"
	lcall	$TO_RING0_AGAIN, $0
	jmp	gate_rpl
case ret_0 "lret, ring 0 to 0"
	lret
case gate_rpl "#GP", CLOSED & ~RPL3
	lcall	$CLOSED, $0
case gate_outer "#GP", A_CODE & ~RPL3
	lcall	$TO_SAME, $0
case jmp_outer "#GP", A_CODE & ~RPL3
	ljmp	$TO_SAME, $0
case jmp_0 "ljmp, ring 0 to 0"
	ljmp	$TO_MSR, $0
case no_msr "wrmsr"
	mov	%cr0, %eax
	or	$CR0_AM, %eax
	mov	%eax, %cr0
	xor	%edx, %edx
	write_msr MSR_CS, 0
case sysexit_null "#GP(0000)"
	sysexit
case out "iret, ring 0 to 3"
	push_return ring0_stack_end, A_CODE, HERE(unaligned), 2, A_DATA, A_STACK
	iret

/* The three registers; sysexit; and back by sysenter. */
ring0_fast:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	xor	%edx, %edx
	movl	$0x0000ffff, %ecx
	mov	$cases_ldt + (FAST & ~7), %edi
	movl	$0x00cf9a00, 4(%edi)		# code, DPL 0
	mov	%ecx, (%edi)
	movl	$0x00cf9200, 12(%edi)		# data
	mov	%ecx, 8(%edi)
	movl	$0x00cffa00, 20(%edi)		# code, DPL 3
	mov	%ecx, 16(%edi)
	movl	$0x00cff200, 28(%edi)		# data
	mov	%ecx, 24(%edi)
case msr_cs "wrmsr"
	write_msr MSR_CS, FAST + RPL3
case msr_esp "wrmsr"
	write_msr MSR_ESP, BASE + ring0_stack_end
case msr_eip "wrmsr"
	write_msr MSR_EIP, BASE + sysenter_in
case sysexit_good "sysexit, ring 0 to 3"
	mov	$BASE + sysenter_good, %edx
	mov	$BASE + proc_a_data + A_STACK, %ecx
	sti
	sysexit
case sysenter_in "ljmp, ring 0 to 0"
	ljmp	$RING0_CODE, $ring0_tss

/* Gates of #TS and #SS in ring 3; es = the TSS. */
	.balign	CASE_BYTES
ring0_tss:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$ring0_stack_end, %esp
	gate	0x0a, HERE(ring3_fault), CONFORMING, 0x8e
	gate	0x0c, HERE(ring3_stack_fault), CONFORMING, 0x8e
	mov	$TSS_DATA + RPL3, %eax
	mov	%eax, %es
	push_return ring0_stack_end, A_CODE, HERE(tss_null), 2, A_DATA, A_STACK
	iret


	.balign	CASE_BYTES
ring0_last:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	movw	$TSS_16_BYTES - 1, gdt + TSS
	movb	$ACCESS_PRESENT | ACCESS_TSS_16, ACCESS_OF(gdt, TSS)
	movw	$ring0_stack_end, tss + 2
	movw	$RING0_DATA, tss + 4
	mov	$TSS, %eax
	ltr	%ax
	push_return ring0_stack_end, A_CODE, HERE(tss_16_bit), 2, A_DATA, A_STACK
	iret

	.balign	CASE_BYTES
ring0_very_last:
	lidtl	%cs:no_idt
case shutdown "shutdown"
	ud2

	.balign	4
no_idt:
	.word	0
	.long	0


/* ---- tables ------------------------------------------------------------ */

	.balign	8
cases_ldt:
	.quad	0, 0, 0x0040f20b80a0027f	# A_CODE, A_DATA, A_SCREEN
	.quad	0, 0, 0, 0, 0, 0, 0, 0, 0, 0	# made by setup
	.if	. - cases_ldt - GATES
	.error	"GATES is not where the gates are"
	.endif
	call_gate TO_RING0, RING0_CODE, ret
	call_gate WITH_3, RING0_CODE, ret_parameters, 3
	call_gate TO_16_BIT, RING0_CODE, ret_16_bit, 1, CALL_GATE_16 | ACCESS_DPL(3)
	call_gate TO_RING1, RING1_CODE + 1, ret_ring1, 1
	call_gate TO_RING0_AGAIN, RING0_CODE, ret_0
	call_gate CLOSED, RING0_CODE, ret, 0, CALL_GATE
	call_gate ABSENT, RING0_CODE, ret, 0, (CALL_GATE | ACCESS_DPL(3)) & ~ACCESS_PRESENT
	call_gate WITH_3_AND_NO_ROOM, RING0_CODE, no_room, 3
	call_gate TO_NULL, RPL3, 0
	call_gate TO_DATA, A_DATA, 0
	call_gate TO_BEYOND, GLOBAL_BEYOND, 0
	call_gate TO_LOCAL_BEYOND, LOCAL_BEYOND, 0
	call_gate TO_ABSENT_CODE, ABSENT_CODE, 0
	call_gate TO_OFFSET, A_CODE, HERE(beyond)
	call_gate TO_NEXT, A_CODE, HERE(jmp_conforming)
	call_gate TO_CONFORMING, CONFORMING, HERE(call_same)
	call_gate TO_SAME, A_CODE & ~RPL3, HERE(ret_same)
	call_gate CALL_CONFORMING, CONFORMING, HERE(ret_conforming)
	call_gate TO_NO_STACK, A_CODE, HERE(jmp_next)
	call_gate TO_MSR, RING0_CODE, no_msr
gates_end:

	.space	128
ring1_stack_end:

	.section .note.GNU-stack, "", @progbits

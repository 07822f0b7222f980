/*
 * Every way in which a CPU crosses between rings, or refuses to: for the judge.
 *
 * ringside/emulators/graft.py puts this behind the program on a copy of the floppy and bends
 * three places of the program (the hooks, below), so that proc A is ring3, and
 * behind each exception there stands the next case.  The tables, the gates, their
 * vector stubs, the TSS and the frames are the program's own.
 *
 * A case is a few instructions and, last, the one it is about, in 32 bytes.  It
 * says what that one must be: an exception with its error code, a way between
 * rings, or nothing to speak of.  Where an emulator is known to see it otherwise,
 * a line "else" says what it sees, and why.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

/*
 * Proc A's LDT, made longer: B's, which stands behind it, is not needed here.  A
 * selector with RPL 0 names the same segment, and what it may do is less.
 */
#define LOCAL_BEYOND	(0x48 + TI)	/* beyond the LDT */
#define CONFORMING	(0x18 + TI)	/* ring3's code again, DPL 0, conforming */
#define READ_ONLY	(0x20 + TI)	/* proc A's data, read-only */
#define ABSENT_DATA	(0x28 + TI)
#define ABSENT_CODE	(0x30 + TI)
#define TSS_DATA	(0x38 + TI)	/* the TSS as data, for ring 3 */
#define EXECUTE_ONLY	(0x40 + TI)
#define LDT_BYTES	0x48

#define A_STACK		PROC_DATA_BYTES


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/*
 * Every exception, from any ring: on to the next case.
 * On the stack: vector, error code, eip, cs, eflags ...
 */
	.section .hook.fault_entry, "ax"
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	andl	$~(TF | NT), %ss:8(%esp)
	iret

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	CONFORMING, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | CONFORMS
	row	READ_ONLY, proc_a_data, PROC_DATA_BYTES, ACCESS_PRESENT | (ACCESS_DATA & ~WRITABLE) | ACCESS_DPL(3)
	row	ABSENT_DATA, proc_a_data, PROC_DATA_BYTES, ACCESS_DATA | ACCESS_DPL(3)
	row	ABSENT_CODE, ring3, ring3_bytes, ACCESS_CODE | ACCESS_DPL(3)
	row	TSS_DATA, tss, TSS_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	row	EXECUTE_ONLY, ring3, ring3_bytes, ACCESS_PRESENT | (ACCESS_CODE & ~READABLE) | ACCESS_DPL(3)
	movw	$LDT_BYTES - 1, gdt + A_LDT
	ret


/* ---- ring 3 ------------------------------------------------------------ */

	.balign	CASE_BYTES
	.global	ring3
ring3:
#define HERE(label) ((label) - ring3)	/* its offset in A_CODE */

case undefined "#UD"
	ud2

/* Privileged instructions, and those that IOPL rules (it is 0). */
case cli_3 "#GP(0000)"
	cli
case sti_3 "#GP(0000)"
	sti
case hlt_3 "#GP(0000)"
	hlt
case clts_3 "#GP(0000)"
	clts
case lmsw_3 "#GP(0000)"
	lmsw	%ax
case mov_from_cr0_3 "#GP(0000)"
	mov	%cr0, %eax
case mov_to_cr0_3 "#GP(0000)"
	mov	%eax, %cr0
case lgdt_3 "#GP(0000)"
	lgdt	0
case lidt_3 "#GP(0000)"
	lidt	0
case lldt_3 "#GP(0000)"
	lldt	%ax
case ltr_3 "#GP(0000)"
	ltr	%ax
case in_3 "#GP(0000)"
	in	$0x60, %al
case out_3 "#GP(0000)"
	mov	$0x80, %edx
	out	%al, %dx
case popf_3 "popf"
	push	$IF | IOPL | CF
	popf

/* Gates: none there, or not for ring 3. */
case int_beyond_idt "#GP(018a)"
	int	$0x31
case int_ff "#GP(07fa)"
	int	$0xff
case int_gp_3 "#GP(006a)"
	int	$0x0d
case int_df_3 "#GP(0042)"
	int	$0x08
case int_irq_3 "#GP(0102)"
	int	$0x20
case int3_3 "int3, ring 3 to 0"
	int3
case into_3 "into, ring 3 to 0"
	mov	$0x7fffffff, %eax
	inc	%eax
	into
case into_not_3 "into"
	xor	%eax, %eax
	into

/* Arithmetic and the FPU. */
case divide_by_zero "#DE"
	xor	%ecx, %ecx
	div	%ecx
case divide_overflow "#DE"
	mov	$1, %ecx
	mov	%ecx, %edx
	div	%ecx
case divide_memory "div"
	mov	$100, %eax
	xor	%edx, %edx
	push	$7
	divl	(%esp)
case divide_memory_by_zero "#DE"
	push	$0
	divl	(%esp)
case fninit_3 "#NM"
	.byte	0xdb, 0xe3		# fninit: a bare 386 has none
case wait_3 "#NM"
	.byte	0x9b			# fwait

/* Segment registers: data. */
case load_ring0_data "#GP", RING0_DATA
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
case load_ring0_data_rpl "#GP", RING0_DATA
	mov	$RING0_DATA + RPL3, %eax
	mov	%eax, %es
case load_beyond "#GP", GLOBAL_BEYOND
	mov	$GLOBAL_BEYOND + RPL3, %eax
	mov	%eax, %fs
case load_beyond_ldt "#GP(004c)"
	mov	$LOCAL_BEYOND + RPL3, %eax
	mov	%eax, %gs
case load_execute_only "#GP(0044)"
	mov	$EXECUTE_ONLY + RPL3, %eax
	mov	%eax, %fs
case load_tss "#GP", TSS
	mov	$TSS, %eax
	mov	%eax, %ds
case load_absent "#NP(002c)"
	mov	$ABSENT_DATA + RPL3, %eax
	mov	%eax, %es
case load_cs "#UD"
	mov	%ds, %eax
	.byte	0x8e, 0xc8		# mov %eax, %cs, which no assembler writes
case load_null "mov %es"
	mov	$RPL3, %eax
	mov	%eax, %es
case load_code "mov %es"
	mov	$A_CODE, %eax
	mov	%eax, %es
case load_conforming "mov %fs"
	mov	$CONFORMING, %eax
	mov	%eax, %fs
case load_rpl_0 "mov %es"
	mov	$A_DATA & ~RPL3, %eax
	mov	%eax, %es
case pop_bad "#GP", RING0_DATA
	push	$RING0_DATA
	pop	%ds
case les_bad "#GP", RING0_DATA
	mov	$A_STACK, %esp
	push	$RING0_DATA
	push	$0
	les	(%esp), %eax
case lfs_good "lfs"
	push	$A_DATA
	push	$7
	lfs	(%esp), %eax

/* Segment registers: the stack. */
case stack_null "#GP(0000)"
	xor	%eax, %eax
	mov	%eax, %ss
case stack_rpl "#GP(000c)"
	mov	$A_DATA & ~RPL3, %eax
	mov	%eax, %ss
case stack_read_only "#GP(0024)"
	mov	$READ_ONLY + RPL3, %eax
	mov	%eax, %ss
case stack_ring0 "#GP", RING0_DATA
	mov	$RING0_DATA + RPL3, %eax
	mov	%eax, %ss
case stack_absent "#SS(002c)"
	mov	$ABSENT_DATA + RPL3, %eax
	mov	%eax, %ss
case stack_beyond "#GP(004c)"
	mov	$LOCAL_BEYOND + RPL3, %eax
	mov	%eax, %ss
case lss_good "lss"
	push	$A_DATA
	push	$A_STACK
	lss	(%esp), %esp

/* Memory: limits, types, null selectors.  Scratch is memory that nothing needs. */
case read_beyond "#GP(0000)"
	else qemu, "", "TCG checks no segment limits"
	mov	PROC_DATA_BYTES - 3, %eax
case stack_read_beyond "#SS(0000)"
	else qemu, "", "TCG checks no segment limits"
	mov	4(%esp), %eax
case push_below "#SS(0000)"
	else qemu, "", "TCG checks no segment limits"
	mov	$2, %esp
	push	%eax
case write_code "#GP(0000)"
	else qemu, "", "TCG checks no segment types"
	mov	$A_STACK, %esp
	mov	%eax, %cs:HERE(scratch)
case write_read_only "#GP(0000)"
	else qemu, "", "TCG checks no segment types"
	mov	$READ_ONLY + RPL3, %eax
	mov	%eax, %es
	mov	%al, %es:4
case read_execute_only "#GP(0000)"
	else qemu, "ljmp, ring 3 to 3", "TCG checks no segment types"
	ljmp	$EXECUTE_ONLY + RPL3, $HERE(1f)
1:	mov	%cs:HERE(scratch), %eax
case read_null "#GP(0000)"
	else qemu, "", "TCG lets null segments be used"
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%fs:0x500, %al
case jmp_beyond "#GP(0000)"
	else qemu, "", "TCG checks no segment limits"
	jmp	beyond

/* Far jmp. */
case ljmp_ring0 "#GP", RING0_CODE
	ljmp	$RING0_CODE, $0
case ljmp_null "#GP(0000)"
	ljmp	$RPL3, $0
case ljmp_data "#GP(000c)"
	ljmp	$A_DATA, $0
case ljmp_beyond "#GP", GLOBAL_BEYOND
	ljmp	$GLOBAL_BEYOND, $0
case ljmp_beyond_ldt "#GP(004c)"
	ljmp	$LOCAL_BEYOND + RPL3, $0
case ljmp_tss "#GP", TSS
	ljmp	$TSS, $0
case ljmp_absent "#NP(0034)"
	ljmp	$ABSENT_CODE + RPL3, $0
case ljmp_offset "#GP(0000)"
	ljmp	$A_CODE, $0x7fff
case ljmp_same "ljmp, ring 3 to 3"
	ljmp	$A_CODE, $HERE(ljmp_conforming)
case ljmp_conforming "ljmp, ring 3 to 3"
	ljmp	$CONFORMING, $HERE(ljmp_back)
case ljmp_back "ljmp, ring 3 to 3"
	ljmp	$A_CODE & ~RPL3, $HERE(lcall_ring0)

/* Far call and ret. */
case lcall_ring0 "#GP", RING0_CODE
	lcall	$RING0_CODE, $0
case lcall_same "lcall, ring 3 to 3"
	mov	$A_STACK, %esp
	lcall	$A_CODE, $HERE(lret_same)
	jmp	lret_ring0
case lret_same "lret, ring 3 to 3"
	lret
case lret_ring0 "#GP", RING0_CODE
	push	$RING0_CODE
	push	$0
	lret
case lret_null "#GP(0000)"
	push	$RPL3
	push	$0
	lret

/* iret within ring 3: flags that it may not change, and where it may not go. */
case iret_same "iret, ring 3 to 3"
	push_return A_STACK, A_CODE, HERE(iret_ring0), IF | IOPL | CF | AC | ID | 2
	iret
case iret_ring0 "#GP", RING0_CODE
	push_return A_STACK, RING0_CODE, 0
	iret
case iret_nested "#TS(0000)"
	push_return A_STACK, A_CODE, 0
	pushf
	orl	$NT, (%esp)
	popf
	iret

/* TF: the instruction after popf ends in #DB. */
case single_step "#DB"
	pushf
	orl	$TF, (%esp)
	popf
	nop

/* Into ring 0, where the tables are changed, and back. */
case to_ring0 "int 0x30, ring 3 to 0"
	mov	$A_STACK, %esp
	mov	$ring0, %ebx
	int	$0x30

/* Once more in ring 3, as ring0 sends us here: DPL 0 taken away, IOPL 3. */
case iopl3_cli "cli"
	cli
case iopl3_sti "sti"
	sti
case iopl3_out "out"
	out	%al, $0x80
case iopl3_popf "popf"
	push	$2
	popf
case iopl3_iret "iret, ring 3 to 3"
	push_return A_STACK, A_CODE, HERE(iopl3_trap), IF | 2
	iret
case iopl3_trap "int 0x2f, ring 3 to 0"	# a trap gate: IF stays
	mov	$iret_ring0_stub, %ebx
	int	$0x2f
case handler_conforming "int 0x2e, ring 3 to 3"
	int	$0x2e
	jmp	back_to_ring0
case iret_conforming "iret, ring 3 to 3"
	iret
case back_to_ring0 "int 0x30, ring 3 to 0"
	mov	$ring0_again, %ebx
	int	$0x30

/* By lret, with arguments to release. */
case lret_landed "int 0x30, ring 3 to 0"
	mov	$ring0_tss, %ebx
	int	$0x30

/* The I/O map, in the TSS where segment registers would be saved.  es: TSS_DATA. */
#define IO_MAP		(TSS_BYTES - 20)
#define IO_MAP_PLACE	(TSS_BYTES - 2)

case io_open "out"
	movw	$IO_MAP, %es:IO_MAP_PLACE
	out	%al, $0x80
case io_open_word "in"
	in	$0x87, %ax
case io_closed "#GP(0000)"
	movb	$1, %es:IO_MAP + 0x80 / 8
	out	%al, $0x80
case io_closed_word "#GP(0000)"
	in	$0x7f, %ax
case io_last "out"
	out	%al, $8 * (TSS_BYTES - 1 - IO_MAP) - 1
case io_beyond "#GP(0000)"
	out	%al, $8 * (TSS_BYTES - 1 - IO_MAP)

/*
 * A TSS that is wrong.  The exception for that cannot go to ring 0, for it would
 * want the same stack: its gate leads to ring3_fault, conforming.
 */
	.macro	bad_ss0 selector
	movw	$\selector, %es:8
	mov	$A_STACK, %esp
	int	$0x30
	.endm

case tss_null "#TS(0000)"
	bad_ss0	0
case tss_rpl "#TS", RING0_DATA
	bad_ss0	RING0_DATA + RPL3
case tss_code "#TS", RING0_CODE
	bad_ss0	RING0_CODE
case tss_beyond "#TS", GLOBAL_BEYOND
	bad_ss0	GLOBAL_BEYOND
case tss_beyond_ldt "#TS(004c)"
	bad_ss0	LOCAL_BEYOND
case tss_dpl "#TS(000c)"
	bad_ss0	A_DATA & ~RPL3
case tss_absent "#SS(002c)"
	else qemu, "#TS(002c)", "TCG has #TS for that"
	bad_ss0	ABSENT_DATA
case tss_no_room "#SS", RING0_DATA
	else qemu, "int 0x30, ring 3 to 0", "TCG does not check whether esp0 has room"
	movw	$RING0_DATA, %es:8
	movl	$8, %es:4
	mov	$ring0_short_tss, %ebx
	int	$0x30
case tss_good "int 0x30, ring 3 to 0"
	else qemu, "not reached", "it has gone on in ring 0 already"
	movl	$ring0_stack_end, %es:4
	mov	$ring0_short_tss, %ebx
	int	$0x30
case tss_short "#TS", TSS
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
	.global	scratch
scratch:
	.long	0
	.set	ring3_bytes, . - ring3
	.balign	CASE_BYTES
beyond:					# where only QEMU gets to
	jmp	ljmp_ring0
beyond_iret:
	iret
beyond_ljmp:
	ljmp	$RING0_CODE, $outer_null
beyond_int:
	mov	$outer, %ebx
	int	$0x30


/* ---- ring 0 ------------------------------------------------------------ */

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stack_end, %esp
	gate	0x2f, iret_ring0_stub, RING0_CODE, 0xef		# trap gate, DPL 3
	gate	0x2e, HERE(iret_conforming), CONFORMING, 0xee	# to a conforming segment
	gate	0x2d, iret_ring0_stub, RING0_CODE, 0x6e		# not present
	gate	0x2c, iret_ring0_stub, RING0_CODE, 0xec		# a call gate
	gate	0x2b, iret_ring0_stub, 0, 0x8e			# null
	gate	0x2a, iret_ring0_stub, RING0_DATA, 0x8e		# data
	gate	0x29, iret_ring0_stub, GLOBAL_BEYOND, 0x8e
	gate	0x24, iret_ring0_stub, LOCAL_BEYOND, 0x8e
	gate	0x28, HERE(iret_conforming), A_CODE, 0x8e	# an outer ring
	gate	0x27, HERE(iret_conforming), ABSENT_CODE, 0x8e
	gate	0x26, iretw_stub, RING0_CODE, 0x86		# a 16-bit gate
	gate	0x25, HERE(beyond_iret), CONFORMING, 0x8e	# beyond the segment
	jmp	undefined_0

iret_ring0_stub:
	iret
iretw_stub:
	iretw

/* Exceptions in ring 0: the same stack, three words. */
case undefined_0 "#UD"
	ud2
case divide_0 "#DE"
	xor	%ecx, %ecx
	div	%ecx
case fninit_0 "#NM"
	.byte	0xdb, 0xe3
case int3_0 "int3, ring 0 to 0"
	int3
case int_irq_0 "int 0x20, ring 0 to 0"
	int	$0x20
case int_trap_0 "int 0x2f, ring 0 to 0"
	int	$0x2f
case int_16_bit "int 0x26, ring 0 to 0"
	int	$0x26
case gate_absent "#NP(016a)"
	int	$0x2d
case gate_type "#GP(0162)"
	int	$0x2c
case gate_null "#GP(0000)"
	int	$0x2b
case gate_data "#GP", RING0_DATA
	int	$0x2a
case gate_beyond "#GP", GLOBAL_BEYOND
	int	$0x29
case gate_beyond_ldt "#GP(004c)"
	int	$0x24
case gate_outer "#GP(0004)"
	int	$0x28
case gate_absent_code "#NP(0034)"
	andb	$~ACCESS_DPL(3), ACCESS_OF(proc_a_ldt, ABSENT_CODE)
	int	$0x27
case gate_offset "#GP(0000)"
	else qemu, "int 0x25, ring 0 to 0", "TCG checks no segment limits"
	int	$0x25
case load_beyond_0 "#GP", GLOBAL_BEYOND
	mov	$GLOBAL_BEYOND, %eax
	mov	%eax, %es
case stack_rpl_0 "#GP", RING0_DATA
	mov	$RING0_DATA + 1, %eax
	mov	%eax, %ss
case stack_dpl_0 "#GP(000c)"
	mov	$A_DATA & ~RPL3, %eax
	mov	%eax, %ss
case read_beyond_0 "#GP(0000)"
	else qemu, "", "TCG checks no segment limits"
	mov	0xffffffff, %al

/* The registers of the tables. */
case ltr_null "#GP(0000)"
	else qemu, "", "TCG takes null for: no TSS"
	xor	%eax, %eax
	ltr	%ax
case ltr_busy "#GP", TSS
	mov	$TSS, %eax
	ltr	%ax
case ltr_data "#GP", RING0_DATA
	mov	$RING0_DATA, %eax
	ltr	%ax
case ltr_beyond "#GP", GLOBAL_BEYOND
	mov	$GLOBAL_BEYOND, %eax
	ltr	%ax
case ltr_local "#GP(001c)"
	mov	$TSS + TI, %eax
	ltr	%ax
case ltr_absent "#NP", TSS		# nor busy: that would come first
	andb	$~(ACCESS_PRESENT | 2), ACCESS_OF(gdt, TSS)
	mov	$TSS, %eax
	ltr	%ax
case ltr_again "ltr"
	orb	$ACCESS_PRESENT, ACCESS_OF(gdt, TSS)
	mov	$TSS, %eax
	ltr	%ax
case lldt_data "#GP", RING0_DATA
	mov	$RING0_DATA, %eax
	lldt	%ax
case lldt_beyond "#GP", GLOBAL_BEYOND
	mov	$GLOBAL_BEYOND, %eax
	lldt	%ax
case lldt_local "#GP(000c)"
	mov	$0x08 + TI, %eax
	lldt	%ax
case lldt_absent "#NP", B_LDT
	andb	$~ACCESS_PRESENT, ACCESS_OF(gdt, B_LDT)
	mov	$B_LDT, %eax
	lldt	%ax
case lldt_null "lldt"
	xor	%eax, %eax
	lldt	%ax
case load_no_ldt "#GP(000c)"
	mov	$A_DATA, %eax
	mov	%eax, %es
case lldt_again "lldt"
	mov	$A_LDT, %eax
	lldt	%ax

/* Far transfers within ring 0. */
case ljmp_ring3_0 "#GP(0004)"
	ljmp	$A_CODE, $0
case ljmp_outer_0 "#GP(0004)"
	ljmp	$A_CODE & ~RPL3, $0
case lcall_0 "lcall, ring 0 to 0"
	lcall	$RING0_CODE, $lret_0
	jmp	iret_same_0
case lret_0 "lret, ring 0 to 0"
	lret

/* iret within ring 0, and what it refuses. */
case iret_same_0 "iret, ring 0 to 0"
	push_return ring0_stack_end, RING0_CODE, popf_0, IOPL | CF | AC | ID | 2
	iret
case popf_0 "popf"
	push	$2
	popf
case iret_null "#GP(0000)"
	push_return ring0_stack_end, 0, 0
	iret
case iret_data "#GP", RING0_DATA
	push_return ring0_stack_end, RING0_DATA, 0
	iret
case iret_beyond "#GP", GLOBAL_BEYOND
	push_return ring0_stack_end, GLOBAL_BEYOND, 0
	iret
case iret_beyond_ldt "#GP(004c)"
	push_return ring0_stack_end, LOCAL_BEYOND, 0
	iret
case iret_dpl "#GP(0004)"
	push_return ring0_stack_end, A_CODE & ~RPL3, 0
	iret
case iret_absent "#NP(0034)"
	orb	$ACCESS_DPL(3), ACCESS_OF(proc_a_ldt, ABSENT_CODE)
	push_return ring0_stack_end, ABSENT_CODE + RPL3, 0, 2, A_DATA, A_STACK
	iret
case iret_offset "#GP(0000)"
	else qemu, "iret, ring 0 to 0", "TCG checks no segment limits"
	push_return ring0_stack_end, CONFORMING, HERE(beyond_ljmp)
	iret
case outer_null "#GP(0000)"
	push_return ring0_stack_end, A_CODE, 0, 2, 0, A_STACK
	iret
case outer_rpl "#GP(000c)"
	push_return ring0_stack_end, A_CODE, 0, 2, A_DATA & ~RPL3, A_STACK
	iret
case outer_read_only "#GP(0024)"
	push_return ring0_stack_end, A_CODE, 0, 2, READ_ONLY + RPL3, A_STACK
	iret
case outer_dpl "#GP", RING0_DATA
	push_return ring0_stack_end, A_CODE, 0, 2, RING0_DATA + RPL3, A_STACK
	iret
case outer_absent "#SS(002c)"		# see rules.py
	else qemu, "#NP(002c)", "IRET's list of exceptions says so"
	else bochs, "#NP(002c)", "IRET's list of exceptions says so", bochs-absent-stack-np
	push_return ring0_stack_end, A_CODE, 0, 2, ABSENT_DATA + RPL3, A_STACK
	iret
case outer_beyond "#GP(004c)"
	push_return ring0_stack_end, A_CODE, 0, 2, LOCAL_BEYOND + RPL3, A_STACK
	iret
case outer_offset "#GP(0000)"
	else qemu, "iret, ring 0 to 3", "TCG checks no segment limits"
	push_return ring0_stack_end, A_CODE, HERE(beyond_int), 2, A_DATA, A_STACK
	iret

/*
 * Out with ds = RING0_DATA, which is taken away; es null with RPL 3, made 0; fs
 * conforming and gs of DPL 3, which stay.  IOPL 3.
 */
case outer "iret, ring 0 to 3"
	push_return ring0_stack_end, A_CODE, HERE(iopl3_cli), IF | IOPL | 2, A_DATA, A_STACK
	call	mixed_segments
	iret
mixed_segments:
	mov	$RPL3, %eax
	mov	%eax, %es
	mov	$CONFORMING, %eax
	mov	%eax, %fs
	mov	$TSS_DATA + RPL3, %eax
	mov	%eax, %gs
	ret

/* Back again; out once more by lret, which releases arguments on both stacks. */
case ring0_again "lret, ring 0 to 3"
	mov	$ring0_stack_end, %esp
	push	$A_DATA
	push	$A_STACK - 8
	sub	$8, %esp
	push	$A_CODE
	push	$HERE(lret_landed)
	lret	$8

/* Gates of #TS and #SS in ring 3; es = the TSS. */
	.balign	CASE_BYTES
ring0_tss:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	andb	$~ACCESS_DPL(3), ACCESS_OF(proc_a_ldt, ABSENT_DATA)
	gate	0x0a, HERE(ring3_fault), CONFORMING, 0x8e
	gate	0x0c, HERE(ring3_stack_fault), CONFORMING, 0x8e
	mov	$TSS_DATA + RPL3, %eax
	mov	%eax, %es
	push_return ring0_stack_end, A_CODE, HERE(io_open), 2, A_DATA, A_STACK
	iret

/* Last: a TSS that ends in the middle of ss0. */
	.balign	CASE_BYTES
ring0_short_tss:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	movw	$8, gdt + TSS
	andb	$~2, ACCESS_OF(gdt, TSS)		# available
	mov	$TSS, %eax
	ltr	%ax
	push_return ring0_stack_end, A_CODE, HERE(tss_short), 2, A_DATA, A_STACK
	iret

	.section .note.GNU-stack, "", @progbits

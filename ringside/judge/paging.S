/*
 * Page faults, and crossings with paging on: for the judge.
 *
 * As with crossings.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below), so that proc A tries one
 * case after the other.  All of the first 4 MiB lies where it did, open to all rings;
 * protection is tried on other linear addresses (enum below), whose pages lead to
 * scratch memory of the program.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

/* Proc A's LDT, made longer: B's, which stands behind it, is not needed here. */
#define CONFORMING	(0x18 + TI)	/* ring3's code again, DPL 0, conforming */
#define FLAT		(0x20 + TI)	/* all of memory, for ring 3 */
#define FLAT0		(0x28 + TI)	/* and for ring 0 */
#define CODE_ABSENT	(0x30 + TI)	/* code in a page that is not there */
#define CODE_SUPER	(0x38 + TI)	/* and in one that is not for ring 3 */
#define LDT_BYTES	0x40

/* Where this program lies, and in it, beyond its code: scratch and page tables. */
#define BASE		0x10000
#define RING3		0x9000		/* proc A, in a page of its own */
#define A_MEMORY	0x9f00
#define SCRATCH		0xb000
#define DIRECTORY	0xc000
#define LOW_TABLE	0xd000		/* the first 4 MiB, or 2 */
#define TRIAL_TABLE	0xe000
#define OTHER_DIRECTORY	0xf000		/* of another task */

/* In a TSS. */
#define TSS_EIP		0x20
#define TSS_LDT		0x60


#define PAGE		PAGE_BYTES
#define P		PAGE_PRESENT
#define W		PAGE_WRITABLE
#define U		PAGE_USER
#define PS		0x80
#define CR4_PSE		0x10
#define CR4_PAE		0x20

/* Linear addresses to try, by the rights of their pages. */
#define TRIALS		0x400000
#define OPEN		(TRIALS + 0 * PAGE)
#define ABSENT		(TRIALS + 1 * PAGE)
#define SUPER		(TRIALS + 2 * PAGE)
#define READ		(TRIALS + 3 * PAGE)
#define SUPER_READ	(TRIALS + 4 * PAGE)
#define STACK		(TRIALS + 6 * PAGE)	/* ring 0's; below it nothing is there */
#define LOW		0
#define PROGRAM_PAGES	(TRIALS + 16 * PAGE)	/* the program once more, for all rings */
#define LAST		0xfffff000
#define NO_TABLE	0x800000
#define SUPER_TABLE	0xc00000
#define READ_TABLE	0x1000000
#define BIG		0x1400000
#define BIG_SUPER	0x1800000
#define BIG_READ	0x1c00000
#define BIG_RESERVED	0x2000000

#define A_STACK		PROC_DATA_BYTES
#define HERE(label)	((label) - ring3)	/* its offset in A_CODE */

	/* A row of proc A's LDT that is as it stands: base, limit, access byte, flags. */
	.macro	plain_row selector, base, limit, access, flags
	movl	$((\limit) & 0xffff) | ((\base) & 0xffff) << 16, proc_a_ldt + (\selector & ~7)
	movl	$((\base) >> 16 & 0xff) | (\access) << 8 | ((\limit) & 0xf0000) | (\flags) << 16 | ((\base) & 0xff000000), proc_a_ldt + (\selector & ~7) + 4
	.endm

	/* An entry of a page table or directory, for a linear address. */
	.macro	pte linear, physical, rights
	movl	$(\physical) | (\rights), TRIAL_TABLE + 4 * (((\linear) - TRIALS) / PAGE)
	.endm

	.macro	pde linear, physical, rights
	movl	$(\physical) | (\rights), DIRECTORY + 4 * ((\linear) >> 22)
	.endm


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/* Every exception of ring 3, and of ring 0. */
	.section .hook.fault_entry, "ax"
	jmp	refused

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	CONFORMING, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | CONFORMS
	plain_row FLAT, 0, 0xfffff, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3), 0xc0
	plain_row FLAT0, 0, 0xfffff, ACCESS_PRESENT | ACCESS_DATA, 0xc0
	plain_row CODE_ABSENT, ABSENT, 0xff, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3), SEGMENT_32BIT
	plain_row CODE_SUPER, SUPER, 0xff, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3), SEGMENT_32BIT
	row	A_DATA, A_MEMORY, PROC_DATA_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	movw	$LDT_BYTES - 1, gdt + A_LDT
	gate	0x2e, HERE(ring3_fault), CONFORMING, 0xee

	mov	$SCRATCH, %edi
	mov	$(PROGRAM_BYTES - SCRATCH) / 4, %ecx
	xor	%eax, %eax
	rep stosl

	/* The first 4 MiB where they are, for all rings; of the program, only what proc A needs. */
	mov	$LOW_TABLE, %edi
	mov	$P | W | U, %eax
	mov	$1024, %ecx
1:	mov	%eax, (%edi)
	add	$4, %edi
	add	$PAGE, %eax
	loop	1b
	mov	$LOW_TABLE + 4 * (BASE / PAGE), %edi
	mov	$0x10, %ecx
1:	andb	$~U, (%edi)
	add	$4, %edi
	loop	1b
	orb	$U, LOW_TABLE + 4 * ((BASE + RING3) / PAGE)

	pte	OPEN, BASE + SCRATCH, P | W | U
	pte	SUPER, BASE + SCRATCH, P | W
	pte	READ, BASE + SCRATCH, P | U
	pte	SUPER_READ, BASE + SCRATCH, P
	pte	STACK, BASE + SCRATCH, P | W
	mov	$TRIAL_TABLE + 16 * 4, %edi	/* PROGRAM_PAGES */
	mov	$BASE | P | W | U, %eax
	mov	$PROGRAM_BYTES / PAGE, %ecx
1:	stosl
	add	$PAGE, %eax
	loop	1b
	pde	LOW, BASE + LOW_TABLE, P | W | U
	pde	TRIALS, BASE + TRIAL_TABLE, P | W | U
	pde	SUPER_TABLE, BASE + TRIAL_TABLE, P | W
	pde	READ_TABLE, BASE + TRIAL_TABLE, P | U
	pde	BIG, 0, P | W | U | PS
	pde	BIG_SUPER, 0, P | W | PS
	pde	BIG_READ, 0, P | U | PS
	pde	BIG_RESERVED, 0x200000, P | W | U | PS
	mov	$CR4_PSE, %eax
	mov	%eax, %cr4
	mov	$BASE + DIRECTORY, %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ret

/*
 * On the stack: vector, error code, eip, cs, eflags ...  On to the next case, or,
 * if ebp is not 0, to there, in A_CODE.
 */
refused:
	add	$8, %esp
	andl	$~(TF | NT), %ss:8(%esp)
	test	%ebp, %ebp
	jnz	1f
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	iret
1:	mov	%ebp, %ss:(%esp)
	movl	$A_CODE, %ss:4(%esp)
	xor	%ebp, %ebp
	iret


/* ---- ring 3 ------------------------------------------------------------ */

	.org	RING3 - PLACE
ring3:

	xor	%ebp, %ebp

/* Data. */
case read_absent "#PF(0004)"
	mov	$FLAT + RPL3, %eax
	mov	%eax, %es
	mov	%es:ABSENT + 0x123, %eax
case read_across "#PF(0004)"
	mov	%es:ABSENT - 2, %eax
case write_absent "#PF(0006)"
	mov	%eax, %es:ABSENT
case read_super "#PF(0005)"
	mov	%es:SUPER, %al
case write_super "#PF(0007)"
	mov	%eax, %es:SUPER
case write_read_only "#PF(0007)"
	mov	%eax, %es:READ
case read_no_table "#PF(0004)"
	mov	%es:NO_TABLE, %eax
case read_super_table "#PF(0005)"
	mov	%es:SUPER_TABLE, %eax
case write_read_table "#PF(0007)"
	mov	%eax, %es:READ_TABLE
case read_big_super "#PF(0005)"
	mov	%es:BIG_SUPER + 0x123456, %eax
case write_big_read "#PF(0007)"
	mov	%eax, %es:BIG_READ + 0x3ffffc
case read_reserved "#PF(000d)"
	mov	%es:BIG_RESERVED, %eax
case change_read_only "#PF(0007)"
	incl	%es:READ + 0x123
case push_memory "#PF(0004)"
	push	%es:ABSENT
case call_absent "#PF(0004)"
	lcall	*%es:ABSENT
case load_absent "#PF(0004)"
	les	%es:ABSENT, %eax

/* The stack, and instructions. */
case push_read_only "#PF(0007)"
	mov	%es, %eax
	mov	%eax, %ss
	mov	$READ + PAGE, %esp
	push	%eax
case iret_super "#PF(0005)"
	else qemu, "#GP(0000)", "TCG pops as if ring 0 did", qemu-ring3-stack-as-ring0
	mov	$SUPER, %esp
	iret
case int_super "#PF(0007)"
	else qemu, "#PF(0002)", "TCG pushes as if ring 0 did, until there is no page", qemu-ring3-stack-as-ring0
	mov	$SUPER + 8, %esp
	int	$0x2e
case pop_super "#PF(0005)"
	pop	%fs
case popf_super "#PF(0005)"
	popf
case fetch_absent "ljmp, ring 3 to 3"
	mov	$HERE(fetch_super), %ebp
	ljmp	$CODE_ABSENT + RPL3, $0
case fetch_super "ljmp, ring 3 to 3"
	mov	$HERE(fetch_ring0), %ebp
	ljmp	$CODE_SUPER + RPL3, $0
case fetch_ring0 ""
	mov	$HERE(to_ring0), %ebp
	jmp	instruction_of_ring0
case to_ring0 "int 0x30, ring 3 to 0"
	mov	$A_DATA, %eax
	mov	%eax, %ss
	mov	$A_STACK, %esp
	mov	$ring0, %ebx
	int	$0x30

/*
 * Ring 0's stack, as ring0 has made it: in all of memory.  The exception comes by a
 * conforming gate.
 */
	.macro	esp0 offset
	movl	$\offset, %es:PROGRAM_PAGES + tss + 4
	int	$0x30
	.endm

case stack_read_only "#PF(0003)"
	esp0	SUPER_READ + PAGE
case stack_absent "#PF(0002)"
	esp0	ABSENT + PAGE
case stack_half "#PF(0002)"
	esp0	STACK + 8
case stack_across "#PF(0002)"
	esp0	STACK + 2
case stack_good "int 0x30, ring 3 to 0"
	mov	$ring0_tss, %ebx
	esp0	STACK + PAGE
case tss_absent "#PF(0000)"
	int	$0x30

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end

/* #PF by a conforming gate: error code, eip, cs, eflags. */
ring3_fault:
	add	$4, %esp
	orl	$CASE_BYTES - 1, (%esp)
	incl	(%esp)
	iret


/* ---- ring 0 ------------------------------------------------------------ */

	.org	RING3 + PAGE - PLACE
case instruction_of_ring0 "#PF(0005)"
	nop
	.set	ring3_bytes, . - ring3

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stack_end, %esp
	mov	$FLAT0, %eax
	mov	%eax, %fs
	jmp	read_absent_0

case read_absent_0 "#PF(0000)"
	mov	%fs:ABSENT, %eax
case write_absent_0 "#PF(0002)"
	mov	%eax, %fs:ABSENT
case write_read_only_0 ""
	mov	%eax, %fs:READ
	mov	%eax, %fs:SUPER
case protect "mov %cr0"
	mov	%cr0, %eax
	or	$CR0_WP, %eax
	mov	%eax, %cr0
case write_protected_0 "#PF(0003)"
	mov	%eax, %fs:READ
case write_protected_table_0 "#PF(0003)"
	mov	%eax, %fs:READ_TABLE
case lgdt_absent "#PF(0000)"
	lgdt	%fs:ABSENT

/* An IDT that ends after 0x20 gates, and a GDT after 7 entries, as far as pages go. */
case gate_absent "#PF(0000)"
	call	short_idt
	int	$0x2f
case idt_again "lidt"
	lidt	idtr
case row_absent "#PF(0000)"
	call	short_gdt
	mov	$B_LDT, %eax
	lldt	%ax
case gdt_again "lgdt"
	lgdt	gdt

/* #PF on the way to whose handler there is another exception. */
case double_page_fault "#DF(0000)"
	movb	$0, idt + 8 * VECTOR_PF + 5
	gate	VECTOR_DF, refused_twice, RING0_CODE, 0x8e
	mov	%fs:ABSENT, %eax
case page_fault_again ""
	movb	$0x8e, idt + 8 * VECTOR_PF + 5

/* iret's own stack, of which only the first two words are there. */
case iret_absent "#PF(0000)"
	mov	$FLAT0, %eax
	mov	%eax, %ss
	mov	$STACK + PAGE - 8, %esp
	iret
/* The last address, and the first behind it. */
case iret_wraps "iret, ring 0 to 0"
	call	frame_around_4_gib
	iret
case read_wraps ""			# refused or not: volume 3, section 5.3
	mov	%fs:0xfffffffe, %eax
case another_task "ljmp, ring 0 to 0"
	mov	$RING0_DATA, %eax
	mov	%eax, %ss
	mov	$ring0_stack_end, %esp
	call	task
	ljmp	$DOUBLE_FAULT, $0
case this_task "iret, ring 0 to 3"
	call	ring_3_again
	iret

/* Leaves ss:esp there, where eip and cs are; eflags are at 0.  ss is FLAT0 already. */
frame_around_4_gib:
	pde	LAST, BASE + TRIAL_TABLE, P | W
	movl	$BASE + SCRATCH | P | W, TRIAL_TABLE + 4 * 0x3ff
	pop	%ecx
	movl	$read_wraps, %fs:LAST + PAGE - 8
	movl	$RING0_CODE, %fs:LAST + PAGE - 4
	movl	$2, %fs:0
	mov	$LAST + PAGE - 8, %esp
	jmp	*%ecx

refused_twice:
	add	$4, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	iret

short_idt:
	mov	$idt, %esi
	mov	$SCRATCH + PAGE - 8 * 0x20, %edi
	mov	$2 * 0x20, %ecx
	rep movsl
	lidt	short_idtr
	ret

short_gdt:
	mov	$gdt, %esi
	mov	$SCRATCH + PAGE - B_LDT, %edi
	mov	$B_LDT / 4, %ecx
	rep movsl
	orb	$1, SCRATCH + PAGE - B_LDT + RING0_CODE + 5	# accessed: TCG never says so
	lgdt	short_gdtr
	ret

/* DOUBLE_FAULT's task, with another directory, the same but for its place, which comes back to this task. */
task:
	mov	$DIRECTORY, %esi
	mov	$OTHER_DIRECTORY, %edi
	mov	$1024, %ecx
	rep movsl
	movl	$BASE + OTHER_DIRECTORY, double_fault_tss + TSS_CR3
	movl	$BASE + DIRECTORY, tss + TSS_CR3
	movw	$A_LDT, tss + TSS_LDT		/* the CPU saves all segments but that */
	movl	$task_back, double_fault_tss + TSS_EIP
	pop	%eax
	jmp	*%eax

ring_3_again:
	movw	$FLAT0, tss + 8
	gate	VECTOR_PF, HERE(ring3_fault), CONFORMING, 0x8e
	mov	$FLAT + RPL3, %eax
	mov	%eax, %es
	pop	%ecx
	push_return ring0_stack_end, A_CODE, HERE(stack_read_only), 2, A_DATA, A_STACK
	jmp	*%ecx

task_back:
	ljmp	$TSS, $0

/* Last: a TSS of which ss0 lies in a page that is not there. */
	.balign	CASE_BYTES
ring0_tss:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	$ABSENT - 8, %eax
	mov	%ax, gdt + TSS + 2
	shr	$16, %eax
	mov	%al, gdt + TSS + 4
	andb	$~2, ACCESS_OF(gdt, TSS)		# available
	mov	$TSS, %eax
	ltr	%ax
	push_return STACK + PAGE, A_CODE, HERE(tss_absent), 2, A_DATA, A_STACK
	iret

	.balign	4
	.word	0
short_idtr:
	.word	8 * 0x31 - 1
	.long	ABSENT - 8 * 0x20
	.word	0
short_gdtr:
	.word	B_LDT + 7
	.long	ABSENT - B_LDT

	.section .note.GNU-stack, "", @progbits

/*
 * Page faults, and crossings, with PAE's tables: for the judge.
 *
 * As with paging.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below), so that proc A tries one
 * case after the other.  Entries have 8 bytes; of the four pointers to directories only the first
 * is there.  The first 2 MiB lie where they did, open to all rings but for the program.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

/* Proc A's LDT, made longer: B's, which stands behind it, is not needed here. */
#define FLAT		(0x18 + TI)	/* all of memory, for ring 3 */
#define FLAT0		(0x20 + TI)	/* and for ring 0 */
#define LDT_BYTES	0x28

/* Where this program lies, and in it, beyond its code: scratch and page tables. */
#define BASE		0x10000
#define RING3		0x9000		/* proc A, in a page of its own */
#define A_MEMORY	0x9f00
#define SCRATCH		0xb000
#define DIRECTORY	0xc000		/* of the first GiB */
#define LOW_TABLE	0xd000		/* the first 2 MiB */
#define TRIAL_TABLE	0xe000
#define POINTERS	0xf000		/* to directories */
#define MORE_POINTERS	0xf060		/* with bits that are reserved */

#define PAGE		PAGE_BYTES
#define P		PAGE_PRESENT
#define W		PAGE_WRITABLE
#define U		PAGE_USER
#define PS		0x80
#define CR4_PAE		0x20

/* What is reserved: bits 52 to 62 of all entries, here in the upper half; and 13 to 20 where a page has 2 MiB. */
#define BEYOND		(1 << (52 - 32))
#define BEYOND_TOO	(1 << (62 - 32))
#define WITHIN		(1 << 13)

/* Linear addresses to try, by the rights of their pages. */
#define TRIALS		0x400000
#define OPEN		(TRIALS + 0 * PAGE)
#define ABSENT		(TRIALS + 1 * PAGE)
#define SUPER		(TRIALS + 2 * PAGE)
#define READ		(TRIALS + 3 * PAGE)
#define RESERVED	(TRIALS + 4 * PAGE)
#define RESERVED_TOO	(TRIALS + 5 * PAGE)
#define STACK		(TRIALS + 7 * PAGE)	/* ring 0's; below it nothing is there */
#define PROGRAM_PAGES	(TRIALS + 16 * PAGE)	/* the program once more, for all rings */
#define LOW		0
#define NO_TABLE	0x800000
#define SUPER_TABLE	0xa00000
#define READ_TABLE	0xc00000
#define RESERVED_TABLE	0xe00000
#define BIG		0x1400000
#define BIG_SUPER	0x1600000
#define BIG_READ	0x1800000
#define BIG_WITHIN	0x1a00000
#define BIG_BEYOND	0x1c00000
#define NO_DIRECTORY	0x40000000

#define A_STACK		PROC_DATA_BYTES
#define HERE(label)	((label) - ring3)	/* its offset in A_CODE */

	/* A row of proc A's LDT that is as it stands: all of memory, in pages. */
	.macro	flat_row selector, access
	movl	$0xffff, proc_a_ldt + (\selector & ~7)
	movl	$(\access) << 8 | 0xcf0000, proc_a_ldt + (\selector & ~7) + 4
	.endm

	/* An entry of a page table or directory, for a linear address; more: its upper half. */
	.macro	pte linear, physical, rights, more=0
	movl	$(\physical) | (\rights), TRIAL_TABLE + 8 * (((\linear) - TRIALS) / PAGE)
	.if	\more
	movl	$\more, TRIAL_TABLE + 8 * (((\linear) - TRIALS) / PAGE) + 4
	.endif
	.endm

	.macro	pde linear, physical, rights, more=0
	movl	$(\physical) | (\rights), DIRECTORY + 8 * ((\linear) >> 21)
	.if	\more
	movl	$\more, DIRECTORY + 8 * ((\linear) >> 21) + 4
	.endif
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
	flat_row FLAT, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	flat_row FLAT0, ACCESS_PRESENT | ACCESS_DATA
	row	A_DATA, A_MEMORY, PROC_DATA_BYTES, ACCESS_PRESENT | ACCESS_DATA | ACCESS_DPL(3)
	movw	$LDT_BYTES - 1, gdt + A_LDT

	mov	$SCRATCH, %edi
	mov	$(PROGRAM_BYTES - SCRATCH) / 4, %ecx
	xor	%eax, %eax
	rep stosl

	mov	$LOW_TABLE, %edi
	mov	$P | W | U, %eax
	mov	$512, %ecx
	call	table
	mov	$LOW_TABLE + 8 * (BASE / PAGE), %edi
	mov	$0x10, %ecx
1:	andb	$~U, (%edi)
	add	$8, %edi
	loop	1b
	orb	$U, LOW_TABLE + 8 * ((BASE + RING3) / PAGE)

	pte	OPEN, BASE + SCRATCH, P | W | U
	pte	SUPER, BASE + SCRATCH, P | W
	pte	READ, BASE + SCRATCH, P | U
	pte	RESERVED, BASE + SCRATCH, P | W | U, BEYOND
	pte	RESERVED_TOO, BASE + SCRATCH, P | W | U, BEYOND_TOO
	pte	STACK, BASE + SCRATCH, P | W
	mov	$TRIAL_TABLE + 16 * 8, %edi	/* PROGRAM_PAGES */
	mov	$BASE | P | W | U, %eax
	mov	$PROGRAM_BYTES / PAGE, %ecx
	call	table
	pde	LOW, BASE + LOW_TABLE, P | W | U
	pde	TRIALS, BASE + TRIAL_TABLE, P | W | U
	pde	SUPER_TABLE, BASE + TRIAL_TABLE, P | W
	pde	READ_TABLE, BASE + TRIAL_TABLE, P | U
	pde	RESERVED_TABLE, BASE + TRIAL_TABLE, P | W | U, BEYOND
	pde	BIG, 0, P | W | U | PS
	pde	BIG_SUPER, 0, P | W | PS
	pde	BIG_READ, 0, P | U | PS
	pde	BIG_WITHIN, WITHIN, P | W | U | PS
	pde	BIG_BEYOND, 0, P | W | U | PS, BEYOND
	movl	$BASE + DIRECTORY + P, POINTERS
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$BASE + POINTERS, %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ret

/* edi: entries; ecx: so many; eax: the first page, and in its lowest bits the rights of all. */
table:
1:	mov	%eax, (%edi)
	add	$8, %edi
	add	$PAGE, %eax
	loop	1b
	ret

/* On the stack: vector, error code, eip, cs, eflags ...  On to the next case. */
refused:
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	iret


/* ---- ring 3 ------------------------------------------------------------ */

	.org	RING3 - PLACE
ring3:

	mov	$FLAT + RPL3, %eax
	mov	%eax, %es
case no_directory "#PF(0004)"
	mov	%es:NO_DIRECTORY, %eax
case no_table "#PF(0006)"
	mov	%eax, %es:NO_TABLE
case no_page "#PF(0004)"
	mov	%es:ABSENT + 0x123, %eax
case into_no_page "#PF(0006)"
	mov	%eax, %es:ABSENT - 2
case super_page "#PF(0005)"
	mov	%es:SUPER, %al
case super_table "#PF(0005)"
	mov	%es:SUPER_TABLE, %eax
case super_big "#PF(0005)"
	mov	%es:BIG_SUPER + 0x123456, %eax
case read_only_page "#PF(0007)"
	mov	%eax, %es:READ
case read_only_table "#PF(0007)"
	mov	%eax, %es:READ_TABLE
case read_only_big "#PF(0007)"
	mov	%eax, %es:BIG_READ + 0x1ffffc
case reserved_page "#PF(000d)"
	mov	%es:RESERVED, %eax
case reserved_page_too "#PF(000f)"
	mov	%eax, %es:RESERVED_TOO
case reserved_table "#PF(000d)"
	mov	%es:RESERVED_TABLE, %eax
case reserved_within_big "#PF(000d)"
	mov	%es:BIG_WITHIN, %eax
case reserved_beyond_big "#PF(000d)"
	mov	%es:BIG_BEYOND, %eax

/* Ring 0's stack, as ring 0 has made it: in all of memory. */
	.macro	esp0 offset
	movl	$\offset, %es:PROGRAM_PAGES + tss + 4
	int	$0x30
	.endm

case to_ring0 "int 0x30, ring 3 to 0"
	mov	$ring0, %ebx
	int	$0x30
case stack_page "int 0x30, ring 3 to 0"
	mov	$back, %ebx
	esp0	STACK + PAGE
case stack_big "int 0x30, ring 3 to 0"
	esp0	BIG_SUPER + BASE + SCRATCH + PAGE
case last "int 0x30, ring 3 to 0"
	mov	$ring0_again, %ebx
	int	$0x30

	.set	ring3_bytes, . - ring3


/* ---- ring 0 ------------------------------------------------------------ */

	.org	RING3 + PAGE - PLACE
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	movw	$FLAT0, tss + 8
	push_return ring0_stack_end, A_CODE, HERE(stack_page), 2, A_DATA, A_STACK
back:
	iret

	.balign	CASE_BYTES
ring0_again:
	mov	$FLAT0, %eax
	mov	%eax, %fs
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$ring0_stack_end, %esp
	jmp	no_directory_0

case no_directory_0 "#PF(0000)"
	mov	%fs:NO_DIRECTORY, %eax
case no_page_0 "#PF(0002)"
	mov	%eax, %fs:ABSENT
case read_only_0 ""
	mov	%eax, %fs:READ
	mov	%eax, %fs:BIG_READ + 0x100000
case protect "mov %cr0"
	mov	%cr0, %eax
	or	$CR0_WP, %eax
	mov	%eax, %cr0
case protected_page_0 "#PF(0003)"
	mov	%eax, %fs:READ
case protected_table_0 "#PF(0003)"
	mov	%eax, %fs:READ_TABLE
case protected_big_0 "#PF(0003)"
	mov	%eax, %fs:BIG_READ + 0x100000
case reserved_page_0 "#PF(0009)"
	mov	%fs:RESERVED, %eax
case reserved_big_0 "#PF(000b)"
	mov	%eax, %fs:BIG_WITHIN

/* Pointers to directories, of which one is bad, whether it is ever used or not. */
	.macro	pointers second, more=0
	movl	$\second, MORE_POINTERS + 8
	movl	$\more, MORE_POINTERS + 12
	mov	$BASE + MORE_POINTERS, %eax
	mov	%eax, %cr3
	.endm

case pointers_good "mov %cr3"
	movl	$BASE + DIRECTORY + P, MORE_POINTERS
	pointers 0
case pointers_1 "#GP(0000)"
	else qemu, "mov %cr3", "TCG loads no pointers: it reads them at each access"
	pointers P | W
case pointers_2 "#GP(0000)"
	else qemu, "mov %cr3", "TCG loads no pointers: it reads them at each access"
	pointers P | U
case pointers_8 "#GP(0000)"
	else qemu, "mov %cr3", "TCG loads no pointers: it reads them at each access"
	pointers P | 0x100
case pointers_beyond "#GP(0000)"
	else qemu, "mov %cr3", "TCG loads no pointers: it reads them at each access"
	pointers P, BEYOND
case pointers_absent "mov %cr3"
	pointers W | U, BEYOND
case pages_off "mov %cr0"
	mov	%cr0, %ecx
	btr	$31, %ecx
	mov	%ecx, %cr0
case pages_on_refused "#GP(0000)"
	else qemu, "mov %cr0", "TCG loads no pointers: it reads them at each access"
	movb	$P | U, MORE_POINTERS + 8
	bts	$31, %ecx
	mov	%ecx, %cr0
case pages_on "mov %cr0"
	movb	$U, MORE_POINTERS + 8
	mov	%ecx, %cr0

	.balign	CASE_BYTES
	.global	the_end
the_end:
	jmp	the_end

	.section .note.GNU-stack, "", @progbits

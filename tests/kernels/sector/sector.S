/*
 * sector.S - a kernel in a boot sector, and how it lives or dies
 *
 *   as: cpp with -DFATE=NAME, one of the names below; linked at 0x7c00
 *
 * The BIOS jumps here in real mode.  It enters protected mode with flat segments, fills an IDT at
 * IDT_AT with gates for #GP and int 0x30, and does what its fate is.  It has no stack of its own
 * for ring 0, and no other ring but where its fate needs one.
 */
#define GOES_ON		1	/* the handler of #GP skips the instruction that raised it */
#define LOOPS		2	/* the handler of #GP comes back to the same instruction */
#define OVERWRITTEN	3	/* the IDT is good for int 0x30 once, and then it is overwritten */
#define NO_IDT		4	/* int 0x30 before lidt */
#define NOT_COMPLETE	5	/* the far jmp behind CR0.PE has a selector beyond the GDT */
#define BAD_SS0		6	/* an instruction writes the user's selector into TSS.ss0 */
#define HALTS		7	/* hlt with interrupts off */
#define LONG		8	/* long mode, as far as a CPU has it, and an int without an IDT */
#define PAE		9	/* PAE paging, and a write to a page that is not mapped */
#define TSS_16		10	/* a TSS of 16 bits, with a null ss0 */
#define HIGH_STACK	11	/* ring 3 calls a ring 0 whose stack lies at 160 MiB, for ever */

#define IDT_AT		0x8000
#define TSS_AT		0x8800
#define DIRECTORY	0x9000
#define STACK		0x7c00
#define HIGH_STACK_AT	0xa000000
#define CODE_0		0x08
#define DATA_0		0x10
#define CODE_3		0x18
#define DATA_3		0x20
#define TSS_SELECTOR	0x28

	.code16
	.text
	.global	start
start:
	cli
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$STACK, %sp
	mov	$IDT_AT, %di		# nothing lies there, nor where the page tables will
	mov	$0x3000, %cx
	rep stosw
	lgdtl	gdtr
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
#if FATE == NOT_COMPLETE
	ljmpl	$0x80, $protected
#endif
	ljmpl	$CODE_0, $protected

	.code32
protected:
	mov	$DATA_0, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$STACK, %esp
#if FATE == NO_IDT
	int	$0x30
#endif
	mov	$(CODE_0 << 16) + general, %eax
	mov	%eax, IDT_AT + 8 * 13
	movl	$0x8e00, IDT_AT + 8 * 13 + 4
	mov	$comes_back, %ax
	mov	%eax, IDT_AT + 8 * 0x30
	movl	$0xee00, IDT_AT + 8 * 0x30 + 4
	lidtl	idtr
	int	$0x30
#if FATE == HALTS
	hlt
#elif FATE == GOES_ON || FATE == LOOPS
1:	mov	$0x80, %eax
	mov	%eax, %fs
	int	$0x30
	jmp	1b
#elif FATE == OVERWRITTEN
	mov	$IDT_AT, %edi
	xor	%eax, %eax
	mov	$0x200, %ecx
	rep stosl
	int	$0x30
#elif FATE == BAD_SS0 || FATE == TSS_16 || FATE == HIGH_STACK
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
#if FATE == BAD_SS0
	movl	$DATA_0, TSS_AT + 8	# as it should be
	movl	$STACK, TSS_AT + 4
	movl	$DATA_3 + 3, TSS_AT + 8
#elif FATE == HIGH_STACK
	movl	$DATA_0, TSS_AT + 8
	movl	$HIGH_STACK_AT, TSS_AT + 4
	mov	$HIGH_STACK_AT, %esp
#else
	movw	$STACK, TSS_AT + 2
#endif
	push	$DATA_3 + 3
	push	$STACK
	push	$2
	push	$CODE_3 + 3
	push	$user
	iret
user:	int	$0x30
#if FATE == HIGH_STACK
	jmp	user
#endif
#elif FATE == PAE
	movl	$DIRECTORY + 0x1000 + 1, DIRECTORY	# the first GiB: a directory, in which
	movl	$0x83, DIRECTORY + 0x1000		# the first 2 MiB are one page
	mov	$0x20, %eax
	mov	%eax, %cr4
	mov	$DIRECTORY, %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	mov	%eax, 0x234567
#elif FATE == LONG
	movl	$DIRECTORY + 0x1003, DIRECTORY
	movl	$DIRECTORY + 0x2003, DIRECTORY + 0x1000
	movl	$0x83, DIRECTORY + 0x2000
	mov	$0x20, %eax
	mov	%eax, %cr4
	mov	$DIRECTORY, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	ljmp	$0x30, $long
long:	.byte	0xcc
#endif
halt:	cli
	hlt
	jmp	halt

/* #GP: the error code, then the frame */
general:
	add	$4, %esp
#if FATE == GOES_ON
	addl	$2, (%esp)		# mov to fs has two bytes
#endif
	iret

comes_back:
	iret

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
#if FATE == TSS_16
	.word	0x2b, TSS_AT, 0x8100, 0
#else
	.word	0x67, TSS_AT, 0x8900, 0
#endif
	.quad	0x00af9a000000ffff
gdt_end:
gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	0x7ff
	.long	IDT_AT

	.org	510
	.word	0xaa55
	.section .note.GNU-stack, "", @progbits

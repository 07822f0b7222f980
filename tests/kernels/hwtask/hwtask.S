/*
 * HWTASK - the CPU's own task switch: a TSS for each task
 *
 *	kernel	ring 0	calls the user's task (lcall to its TSS), over and over
 *	user	ring 3	works, and goes back with iret, whose NT flag says: to the link
 *	clock	ring 0	a task of its own for IRQ 0, through a task gate; iret goes back
 *
 * A call to a TSS, or a task gate, stores all registers in the old task's TSS, loads them
 * from the new one, sets NT and stores a link to the old task.  Both stay busy until iret.
 * (Intel, volume 3, chapter 7.)
 */
#include "../pc.h"

#define KERNEL_CODE	0x08
#define KERNEL_DATA	0x10
#define USER_CODE	0x18
#define USER_DATA	0x20
#define KERNEL_TSS	0x28
#define USER_TSS	0x30
#define CLOCK_TSS	0x38

	.section .multiboot, "a"
	multiboot_header

/* start - GRUB jumps here: protected mode, flat segments, interrupts off, no stack */
	.text
	.global	start
start:
	mov	$kernel_stack_end, %esp
	push	$0
	popf
	set_base kernel_descriptor, kernel_tss
	set_base user_descriptor, user_tss
	set_base clock_descriptor, clock_tss
	set_gate idt+IRQ(0)*8, CLOCK_TSS, 0, TASK_GATE(0)
	lgdt	gdtr
	lidt	idtr
	ljmp	$KERNEL_CODE, $1f
1:	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$KERNEL_TSS, %eax
	ltr	%ax			# the task that runs here, so that it has a place to be stored in
	start_timer

/* kernel - a lap: the user's task, until its iret; then count it */
kernel:
	inc	%esi
	lcall	$USER_TSS, $0		# the offset means nothing: the TSS has eip
	cmp	laps, %esi		# the register has come back from kernel_tss
	jne	2f
	mov	%esi, %edx
	mov	$name, %eax
	call	report
	jmp	kernel
2:	int3				# no gate for it: the machine dies

/* user - ring 3.  The next call goes on behind iret. */
user:
	mov	$5000, %ecx
1:	loop	1b
	incl	laps
	iret				# NT: to the task in the link
	jmp	user

/* clock - IRQ 0.  The next one goes on behind iret. */
clock:
	out8	PIC1, PIC_EOI
	iret
	jmp	clock

	.section .rodata
name:	.asciz	"hwtask"

	.data
	.balign	8
gdt:	.quad	0
	flat_segment CODE(0)
	flat_segment DATA(0)
	flat_segment CODE(3)
	flat_segment DATA(3)
kernel_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
user_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
clock_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
gdt_end:

gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	idt_end - idt - 1
	.long	idt

/* A task before its first turn (Intel, volume 3, section 7.2.1). */
	.macro	task eip, eflags, esp, code, data
	.long	0			# link: the CPU writes it
	.long	kernel_stack_end, KERNEL_DATA, 0, 0, 0, 0
	.long	0			# cr3
	.long	\eip, \eflags
	.long	0, 0, 0, 0, \esp, 0, 0, 0
	.long	\data, \code, \data, \data, 0, 0
	.long	0			# ldt
	.word	0, TSS_BYTES		# the I/O map: beyond the limit
	.endm

	.balign	4
kernel_tss:
	.fill	25, 4, 0		# filled by the first switch away from it
	.word	0, TSS_BYTES
user_tss:
	task	user, EFLAGS_ALWAYS|EFLAGS_IF, user_stack_end, USER_CODE+3, USER_DATA+3
clock_tss:
	task	clock, EFLAGS_ALWAYS, clock_stack_end, KERNEL_CODE, KERNEL_DATA

laps:	.long	0

	.bss
	.balign	8
idt:	.space	(IRQ(0) + 1) * 8
idt_end:
	.balign	16
	.space	4096
kernel_stack_end:
	.space	4096
user_stack_end:
	.space	4096
clock_stack_end:

	.section .note.GNU-stack, "", @progbits

/*
 * kernel.S - tables, tasks, and the ways from one to the other
 *
 * Offsets here are those of the kernel's segments, which begin at KERNEL_BASE; addresses
 * in descriptors, GDTR and IDTR are linear.  A task that waits lies in a frame of its own,
 * and esp0 points at the end of the running task's.
 */
#include "../pc.h"
#include "disk.h"

#define FRAME_BYTES	(15*4)		/* ds es, pusha's 8, the CPU's 5 */
#define FRAME_NEXT	FRAME_BYTES

/* kernel - from enter.S: protected mode, the kernel's segments and stack, interrupts off */
	.text
	.global	kernel
kernel:
	# The IDT goes to address 0, and each task where its segments begin.
	cld
	mov	$VECTORS_DATA, %eax
	mov	%eax, %es
	mov	$idt, %esi
	xor	%edi, %edi
	mov	$VECTORS * 8 / 4, %ecx
	rep movsl
	mov	$TASKS_DATA, %eax
	mov	%eax, %es
	mov	$task, %esi
	mov	$TASK_A_BASE - TASKS_BASE + TASK_START, %edi
	mov	$task_end - task, %ecx
	rep movsb
	mov	$task, %esi
	mov	$TASK_B_BASE - TASKS_BASE + TASK_START, %edi
	mov	$task_end - task, %ecx
	rep movsb
	mov	$KERNEL_DATA, %eax
	mov	%eax, %es

	lidt	idtr
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
	start_timer
	mov	$frame_a, %esp
	jmp	leave

/* yield - int 0x40 from ring 3: five words lie at the end of the task's frame */
yield:
	pusha
	push	%ds
	push	%es
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %ebx		# the frame; C leaves ebx alone
	mov	$kernel_stack_end, %esp
	incl	crossings
	mov	crossings, %edx
	mov	$name, %eax
	call	report
	mov	FRAME_NEXT(%ebx), %esp
	lea	FRAME_BYTES(%esp), %eax
	mov	%eax, tss_esp0
leave:
	pop	%es
	pop	%ds
	popa
	iret

/* timer - IRQ 0, from ring 3 only: it counts, and the task goes on */
timer:
	push	%eax
	push	%edx
	push	%ds
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	ticks, %edx
	inc	%edx
	mov	%edx, ticks
	out8	PIC1, PIC_EOI
	pop	%ds
	pop	%edx
	pop	%eax
	iret

/*
 * The task, in ring 3: once for A and once for B, at TASK_START in their segments.  It
 * has its number of laps in memory and in a register, and is silent as long as both agree.
 */
task:
1:	mov	$20000, %ecx
	mov	%ecx, %edx
2:	dec	%edx
	loop	2b
	test	%edx, %edx		# both have come to zero
	jnz	3f
	inc	%edi
	incl	laps - task + TASK_START
	cmp	%edi, laps - task + TASK_START
	jne	3f
	int	$YIELD
	jmp	1b
3:	int3				# no gate for it: this is the end
	.balign	4
laps:	.long	0
task_end:

	.data
	.balign	8
gdt:	.quad	0
	segment	KERNEL_BASE, 0xffff, CODE(0), BITS_32
	segment	KERNEL_BASE, 0xffff, DATA(0), BITS_32
	.word	TSS_LIMIT, tss		# its base is KERNEL_BASE + tss
	.byte	KERNEL_BASE >> 16, TASK(0), 0, 0
	segment	TASK_A_BASE, TASK_LIMIT, CODE(3), BITS_32
	segment	TASK_A_BASE, TASK_LIMIT, DATA(3), BITS_32
	segment	TASK_B_BASE, TASK_LIMIT, CODE(3), BITS_32
	segment	TASK_B_BASE, TASK_LIMIT, DATA(3), BITS_32
	segment	0, 0x3ff, DATA(0), BITS_32
	segment	TASKS_BASE, 0x3ffff, DATA(0), BITS_32
gdt_end:
	.global	gdtr
gdtr:	.word	gdt_end - gdt - 1
	.long	KERNEL_BASE + gdt
idtr:	.word	VECTORS * 8 - 1
	.long	0

	.balign	8
idt:	.fill	32, 8, 0		# exceptions: the machine dies of them
	.word	timer, KERNEL_CODE, INTERRUPT_GATE(0) << 8, 0
	.fill	31, 8, 0
	.word	yield, KERNEL_CODE, INTERRUPT_GATE(3) << 8, 0

	.balign	4
tss:	.long	0			# link
tss_esp0:
	.long	frame_a_end, KERNEL_DATA
	.fill	22, 4, 0
	.word	0, TSS_BYTES		# the I/O map: beyond the limit, no port is open

/* Both tasks before their first turn, each below the name of the next. */
	.balign	4
frame_a:
	.long	TASK_A_DATA+3, TASK_A_DATA+3, 0, 0, 0, 0, 0, 0, 0, 0
	.long	TASK_START, TASK_A_CODE+3, EFLAGS_ALWAYS + EFLAGS_IF, TASK_LIMIT + 1, TASK_A_DATA+3
frame_a_end:
	.long	frame_b
frame_b:
	.long	TASK_B_DATA+3, TASK_B_DATA+3, 0, 0, 0, 0, 0, 0, 0, 0
	.long	TASK_START, TASK_B_CODE+3, EFLAGS_ALWAYS + EFLAGS_IF, TASK_LIMIT + 1, TASK_B_DATA+3
	.long	frame_a

crossings:
	.long	0
ticks:	.long	0
name:	.asciz	"disk"

	.balign	4
	.space	1024
	.global	kernel_stack_end
kernel_stack_end:

	.section .note.GNU-stack, "", @progbits

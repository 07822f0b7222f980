/*
 * V86 - a task in virtual-8086 mode, and the monitor that serves it
 *
 * The task is 16-bit code at 1000:0000.  With IOPL 0 its int n is refused with #GP; the
 * monitor looks at the instruction, counts it if it is int 0x21, and lets the task go on
 * behind it.  The timer comes through a gate of ring 0.
 *
 * From virtual-8086 mode the CPU pushes nine words: gs, fs, ds, es above the usual five,
 * and clears the four registers; iret with VM set in eflags takes them all back.  (Intel,
 * volume 3, section 20.3.)
 */
#include "../pc.h"

#define KERNEL_CODE	0x08
#define KERNEL_DATA	0x10
#define TSS_SELECTOR	0x18

#define V86_SEGMENT	0x1000
#define V86_LINEAR	0x10000
#define V86_STACK	0xfffe

#define GENERAL_PROTECTION 13
#define INT_OPCODE	0xcd
#define DOS		0x21		/* the number of the task's int */

/* Where the CPU's words lie on the monitor's stack, behind pusha's eight and the error code. */
#define AT_EIP		36
#define AT_CS		40

	.section .multiboot, "a"
	multiboot_header

/* start - GRUB jumps here: protected mode, flat segments, interrupts off, no stack */
	.text
	.global	start
start:
	mov	$kernel_stack_end, %esp
	push	$0
	popf
	set_base tss_descriptor, tss
	set_gate idt+GENERAL_PROTECTION*8, KERNEL_CODE, monitor, INTERRUPT_GATE(0)
	set_gate idt+IRQ(0)*8, KERNEL_CODE, timer, INTERRUPT_GATE(0)
	lgdt	gdtr
	lidt	idtr
	ljmp	$KERNEL_CODE, $1f
1:	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
	cld
	mov	$task, %esi
	mov	$V86_LINEAR, %edi
	mov	$task_end - task, %ecx
	rep movsb
	start_timer

	mov	$V86_SEGMENT, %eax
	push	%eax			# gs
	push	%eax			# fs
	push	%eax			# ds
	push	%eax			# es
	push	%eax			# ss
	push	$V86_STACK
	push	$EFLAGS_ALWAYS + EFLAGS_IF + EFLAGS_VM
	push	%eax			# cs
	push	$0			# ip
	iret

/* monitor - #GP: the task's int 0x21, or an end */
monitor:
	pusha
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	movzwl	AT_CS(%esp), %ebx
	shl	$4, %ebx
	add	AT_EIP(%esp), %ebx	# where the task is, linear
	cmpw	$DOS << 8 | INT_OPCODE, (%ebx)
	jne	2f
	addl	$2, AT_EIP(%esp)	# behind it
	incl	crossings
	mov	crossings, %edx
	mov	$name, %eax
	call	report
	popa
	add	$4, %esp		# the error code
	iret
2:	mov	$name, %eax
	mov	$not_an_int, %edx
	mov	(%ebx), %ecx
	call	say
3:	cli
	hlt
	jmp	3b

/* timer - IRQ 0 */
timer:
	push	%eax
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds		# iret brings the task's back
	incl	ticks
	out8	PIC1, PIC_EOI
	pop	%eax
	iret

/* The task, at offset 0 of its segment. */
	.code16
task:
	mov	$5000, %cx
1:	loop	1b
	inc	%bx
	push	%ds
	pop	%ax			# it has its own segments
	cmp	$V86_SEGMENT, %ax
	jne	2f
	int	$DOS
	jmp	task
2:	hlt				# the monitor knows no hlt
task_end:
	.code32

	.section .rodata
name:	.asciz	"v86"
not_an_int:
	.asciz	"the task may not "

	.data
	.balign	8
gdt:	.quad	0
	flat_segment CODE(0)
	flat_segment DATA(0)
tss_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
gdt_end:

gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	idt_end - idt - 1
	.long	idt

	.balign	4
tss:	.long	0			# link
	.long	kernel_stack_end, KERNEL_DATA
	.fill	22, 4, 0
	.word	0, TSS_BYTES		# the I/O map: beyond the limit

crossings:
	.long	0
ticks:	.long	0

	.bss
	.balign	8
idt:	.space	(IRQ(0) + 1) * 8
idt_end:
	.balign	16
	.space	4096
kernel_stack_end:

	.section .note.GNU-stack, "", @progbits

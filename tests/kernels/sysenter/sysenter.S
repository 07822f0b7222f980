/*
 * SYSENTER - the fast way in and out, and a port that ring 3 may use
 *
 * sysenter takes cs, esp and eip from three MSRs, and ss, like all of sysexit's
 * selectors, from the first of them: four descriptors in this order.  Nothing is pushed:
 * ring 3 itself says where it wants to go on (edx) and with which stack (ecx).
 * (Intel, volume 2, SYSENTER and SYSEXIT.)
 *
 * The timer uses the old way, a gate and the TSS.  The I/O map in the TSS opens one port.
 */
#include "../pc.h"

#define KERNEL_CODE	0x08		/* these four: in this order, one behind the other */
#define KERNEL_DATA	0x10
#define USER_CODE	0x18
#define USER_DATA	0x20
#define TSS_SELECTOR	0x28

#define SYSENTER_CS	0x174
#define SYSENTER_ESP	0x175
#define SYSENTER_EIP	0x176

#define POST_PORT	0x80		/* a PC shows what is written there, or ignores it */
#define MAP_BYTES	32		/* ports 0x00-0xff */

	.macro	write_msr number, value
	mov	$\number, %ecx
	mov	$\value, %eax
	xor	%edx, %edx
	wrmsr
	.endm

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
	set_gate idt+IRQ(0)*8, KERNEL_CODE, timer, INTERRUPT_GATE(0)
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
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
	write_msr SYSENTER_CS, KERNEL_CODE
	write_msr SYSENTER_ESP, kernel_stack_end
	write_msr SYSENTER_EIP, system_call
	start_timer

	mov	$USER_DATA + 3, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$user, %edx
	mov	$user_stack_end, %ecx
	sti
	sysexit

/*
 * system_call - sysenter from ring 3: interrupts are off, esp is kernel_stack_end.
 * edx and ecx are ring 3's eip and esp; both are lost to it, and eax.
 */
system_call:
	push	%ds
	push	%edx
	push	%ecx
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	cld
	incl	crossings
	mov	crossings, %edx
	mov	$name, %eax
	call	report
	pop	%ecx
	pop	%edx
	pop	%ds
	sti				# sysexit leaves IF alone; ring 3 is next, before any interrupt
	sysexit

/* timer - IRQ 0, from ring 3 only: ring 0 has interrupts off */
timer:
	push	%eax
	push	%ds
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	incl	ticks
	out8	PIC1, PIC_EOI
	pop	%ds
	pop	%eax
	iret

/* user - ring 3 */
user:
	mov	$5000, %ebx
1:	dec	%ebx
	jnz	1b
	mov	%ebx, %eax
	out	%al, $POST_PORT
	mov	%esp, %ecx
	mov	$2f, %edx
	sysenter
2:	inc	%esi
	cmp	%esi, crossings
	je	user
	int3				# no gate for it: the machine dies

	.section .rodata
name:	.asciz	"sysenter"

	.data
	.balign	8
gdt:	.quad	0
	flat_segment CODE(0)
	flat_segment DATA(0)
	flat_segment CODE(3)
	flat_segment DATA(3)
tss_descriptor:
	segment	0, TSS_LIMIT+MAP_BYTES+1, TASK(0), 0
gdt_end:

gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	idt_end - idt - 1
	.long	idt

	.balign	4
tss:	.long	0			# link
	.long	kernel_stack_end, KERNEL_DATA
	.fill	22, 4, 0
	.word	0, TSS_BYTES		# the I/O map follows
	.fill	POST_PORT / 8, 1, 0xff
	.byte	0xfe			# a bit that is 0 opens its port: 0x80
	.fill	MAP_BYTES - POST_PORT / 8 - 1, 1, 0xff
	.byte	0xff			# the CPU reads two bytes at once

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
	.space	4096
user_stack_end:

	.section .note.GNU-stack, "", @progbits

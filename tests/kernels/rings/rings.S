/*
 * RINGS - all four rings, and call gates with parameters
 *
 *	application  ring 3	calls the service with two numbers (a call gate)
 *	service      ring 2	adds them, and calls the driver with the sum (a call gate)
 *	driver       ring 1	writes to a port, which its IOPL allows; asks ring 0 to count
 *				(int 0x80); returns to ring 2, which returns to ring 3
 *
 * The CPU takes a stack for each ring from the TSS and copies a gate's parameters from
 * the caller's stack to it; far ret takes them from both.  The timer may come in any ring.
 */
#include "../pc.h"

#define CODE_0		0x08
#define DATA_0		0x10
#define CODE_1		0x18
#define DATA_1		0x20
#define CODE_2		0x28
#define DATA_2		0x30
#define CODE_3		0x38
#define DATA_3		0x40
#define SERVICE		0x48		/* a call gate to ring 2, two parameters */
#define DRIVER		0x50		/* a call gate to ring 1, one parameter */
#define TSS_SELECTOR	0x58

#define COUNT		0x80		/* the vector of what ring 0 does */
#define POST_PORT	0x80		/* a PC shows what is written there, or ignores it */

	.section .multiboot, "a"
	multiboot_header

/* start - GRUB jumps here: protected mode, flat segments, interrupts off, no stack */
	.text
	.global	start
start:
	mov	$stack_0_end, %esp
	push	$0
	popf
	set_base tss_descriptor, tss
	set_gate service_gate, CODE_2, service, CALL_GATE(3), 2
	set_gate driver_gate, CODE_1, driver, CALL_GATE(2), 1
	set_gate idt+IRQ(0)*8, CODE_0, timer, INTERRUPT_GATE(0)
	set_gate idt+COUNT*8, CODE_0, count, INTERRUPT_GATE(1)
	lgdt	gdtr
	lidt	idtr
	ljmp	$CODE_0, $1f
1:	mov	$DATA_0, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
	start_timer

	# To ring 3.  IOPL 1: the driver may use ports and the interrupt flag.
	mov	$DATA_3 + 3, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	%eax			# ss
	push	$stack_3_end
	push	$EFLAGS_ALWAYS + EFLAGS_IF + EFLAGS_IOPL(1)
	push	$CODE_3 + 3
	push	$application
	iret

/*
 * application - ring 3.  ds and es have DPL 3: every ring may use them.  What it keeps
 * in registers is there after the call, and so is its stack.
 */
application:
	mov	$5000, %ecx
1:	loop	1b
	mov	%esp, %ebp
	inc	%esi
	push	%esi
	push	$1000
	lcall	$SERVICE + 3, $0	# the gate says where; eax: the sum
	sub	%esi, %eax
	cmp	$1000, %eax
	jne	2f
	cmp	%esp, %ebp
	je	application
2:	int3				# no gate for it: the machine dies

/*
 * service - ring 2, by a call gate, on stack_2: eip, cs, the two numbers, and the
 * application's esp and ss
 */
service:
	mov	8(%esp), %eax
	add	12(%esp), %eax
	push	%eax
	lcall	$DRIVER + 2, $0
	lret	$8			# takes the numbers off this stack and the caller's

/* driver - ring 1, by a call gate, on stack_1: eip, cs, the number, the service's esp, ss */
driver:
	push	%eax
	mov	12(%esp), %eax
	cli
	out	%al, $POST_PORT
	sti
	int	$COUNT
	pop	%eax
	lret	$4

/* count - ring 0, int 0x80 from ring 1 */
count:
	pusha
	push	%ds
	mov	$DATA_0, %eax
	mov	%eax, %ds
	cld
	incl	crossings
	mov	crossings, %edx
	mov	$name, %eax
	call	report
	pop	%ds
	popa
	iret

/* timer - IRQ 0, from rings 1 to 3 */
timer:
	push	%eax
	out8	PIC1, PIC_EOI
	pop	%eax
	iret

	.section .rodata
name:	.asciz	"rings"

	.data
	.balign	8
gdt:	.quad	0
	flat_segment CODE(0)
	flat_segment DATA(0)
	flat_segment CODE(1)
	flat_segment DATA(1)
	flat_segment CODE(2)
	flat_segment DATA(2)
	flat_segment CODE(3)
	flat_segment DATA(3)
service_gate:
	.quad	0
driver_gate:
	.quad	0
tss_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
gdt_end:

gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	idt_end - idt - 1
	.long	idt

/* A stack for each ring, whose segment has that ring's DPL. */
	.balign	4
tss:	.long	0			# link
	.long	stack_0_end, DATA_0
	.long	stack_1_end, DATA_1+1
	.long	stack_2_end, DATA_2+2
	.fill	18, 4, 0
	.word	0, TSS_BYTES		# the I/O map: beyond the limit

crossings:
	.long	0

	.bss
	.balign	8
idt:	.space	(COUNT + 1) * 8
idt_end:
	.balign	16
	.space	4096
stack_0_end:
	.space	4096
stack_1_end:
	.space	4096
stack_2_end:
	.space	4096
stack_3_end:

	.section .note.GNU-stack, "", @progbits

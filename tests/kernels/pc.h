/*
 * pc.h - the little that these kernels know of the CPU and of a PC
 *
 * Descriptors and gates: Intel, volume 3, sections 3.4.5, 5.8.3 and 6.11.  The PIC and
 * the PIT are those of 1981.
 */
#ifndef PC_H
#define PC_H

/* Access bytes: present, and the DPL in bits 5 and 6.  (No spaces: gas wants them whole.) */
#define DPL(n)		((n)<<5)
#define CODE(dpl)	(DPL(dpl)+0x9a)
#define DATA(dpl)	(DPL(dpl)+0x92)
#define TASK(dpl)	(DPL(dpl)+0x89)		/* a TSS that no task runs on */
#define CALL_GATE(dpl)	(DPL(dpl)+0x8c)
#define TASK_GATE(dpl)	(DPL(dpl)+0x85)
#define INTERRUPT_GATE(dpl) (DPL(dpl)+0x8e)

/* And the flags of a segment of 32 bits. */
#define BITS_32		0x4	/* D/B: operands, or esp, have 32 bits */
#define PAGES_32	0xc	/* and G: the limit counts pages of 4 KiB */

#define TSS_BYTES	104	/* without an I/O map */
#define TSS_LIMIT	103

#define EFLAGS_ALWAYS	0x00002	/* bit 1 is always set */
#define EFLAGS_IF	0x00200
#define EFLAGS_IOPL(n)	((n) << 12)
#define EFLAGS_VM	0x20000

#define PIC1		0x20
#define PIC1_DATA	0x21
#define PIC2		0xa0
#define PIC2_DATA	0xa1
#define PIC_INIT	0x11	/* three words follow: first vector, wiring, mode */
#define PIC_EOI		0x20
#define IRQ(n)		(0x20+(n))	/* its vector, once the PICs have been told */

#define PIT		0x40
#define PIT_COMMAND	0x43
#define PIT_RATE	0x34	/* counter 0, low and high byte, over and over */
#define PIT_DIVISOR_LOW	0xa9	/* 0x4a9, of 1,193,182 Hz: 1,000 a second */
#define PIT_DIVISOR_HIGH 0x04

#define DEBUG_PORT	0xe9	/* QEMU and Bochs show what is written there */

#ifdef __ASSEMBLER__

/* For GRUB, and for QEMU's -kernel: no wishes. */
	.macro	multiboot_header
	.balign	4
	.long	0x1badb002, 0, -0x1badb002
	.endm

/* A descriptor whose base the assembler knows. */
	.macro	segment base, limit, access, flags
	.word	(\limit) & 0xffff, (\base) & 0xffff
	.byte	((\base) >> 16) & 0xff, \access
	.byte	((\flags) << 4) | (((\limit) >> 16) & 0xf), ((\base) >> 24) & 0xff
	.endm

/* All 4 GiB. */
	.macro	flat_segment access
	segment	0, 0xfffff, \access, PAGES_32
	.endm

/*
 * Only the linker knows where things are, and it cannot cut an address to pieces as
 * descriptors and gates want it: this is done at run time.  eax is lost.
 */
	.macro	set_base descriptor, address
	mov	$\address, %eax
	mov	%ax, \descriptor + 2
	shr	$16, %eax
	mov	%al, \descriptor + 4
	mov	%ah, \descriptor + 7
	.endm

	.macro	set_gate gate, selector, offset, access, words=0
	mov	$\offset, %eax
	mov	%ax, \gate
	movw	$\selector, \gate + 2
	movw	$((\access) << 8) | (\words), \gate + 4
	shr	$16, %eax
	mov	%ax, \gate + 6
	.endm

	.macro	out8 port, value
	mov	$\value, %al
	out	%al, $\port
	.endm

/* IRQs 0-15 become vectors 0x20-0x2f, and only the timer's comes through.  al is lost. */
	.macro	start_timer
	out8	PIC1, PIC_INIT
	out8	PIC1_DATA, IRQ(0)
	out8	PIC1_DATA, 4		# the second PIC is wired to IRQ 2
	out8	PIC1_DATA, 1		# as an 8086 wants it
	out8	PIC2, PIC_INIT
	out8	PIC2_DATA, IRQ(8)
	out8	PIC2_DATA, 2
	out8	PIC2_DATA, 1
	out8	PIC1_DATA, 0xfe
	out8	PIC2_DATA, 0xff
	out8	PIT_COMMAND, PIT_RATE
	out8	PIT, PIT_DIVISOR_LOW
	out8	PIT, PIT_DIVISOR_HIGH
	.endm

#else

#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile ("outb %0, %1" : : "a" (value), "Nd" (port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile ("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

void report(const char *kernel, uint32_t crossings);
void say(const char *kernel, const char *what, uint32_t number);

#endif
#endif

/*
 * Names from Intel's manual (Software Developer's Manual, volume 3), for
 * assembly and C alike.  Only what some program on the floppy uses.
 */
#ifndef X86_H
#define X86_H

/* The instruction int3, for places where nothing is to be executed. */
#define INT3			0xcc

/* EFLAGS, section 2.3.  Bit 1 is always set. */
#define EFLAGS_ALWAYS		0x00000002
#define EFLAGS_TF		0x00000100	/* single step: #DB behind each instruction */
#define EFLAGS_IF		0x00000200	/* interrupts are let in */
#define EFLAGS_IOPL		0x00003000	/* rings up to this may use ports, cli, sti */
#define EFLAGS_IOPL_1		0x00001000
#define EFLAGS_NT		0x00004000	/* nested task: iret returns to another one */
#define EFLAGS_VM		0x00020000	/* virtual-8086 mode */
#define EFLAGS_AC		0x00040000	/* changes from the 486 on */
#define EFLAGS_ID		0x00200000	/* changes where there is cpuid */

/* What cpuid says under 1, in edx: volume 2, CPUID. */
#define CPUID_TSC		0x00000010	/* a time-stamp counter, and rdtsc */
#define CPUID_SEP		0x00000800	/* sysenter and sysexit */
#define CPUID_PGE		0x00002000	/* global pages */

/* DR7, section 17.2.4: no breakpoint is armed.  Bit 10 is always set. */
#define DR7_NONE		0x00000400

/* CR0, section 2.5. */
#define CR0_PE			0x00000001	/* protected mode */
#define CR0_MP			0x00000002	/* with TS: wait also faults */
#define CR0_EM			0x00000004	/* FPU instructions fault with #NM */
#define CR0_TS			0x00000008	/* ... and so do MMX and SSE instructions */
#define CR0_WP			0x00010000	/* ring 0 may not write to read-only pages either */
#define CR0_PG			0x80000000	/* paging */

/* CR4, section 2.5; only where cpuid knows of something in it. */
#define CR4_PGE			0x00000080	/* pages may be global */

/*
 * An entry of a page directory or a page table, section 4.3: in the upper 20 bits the
 * physical address of a table or a page, 4 KiB each.
 */
#define PAGE_BYTES		0x1000
#define PAGE_PRESENT		0x001
#define PAGE_WRITABLE		0x002		/* in the entries of both levels, or it is not */
#define PAGE_USER		0x004		/* for ring 3; also in both */
#define PAGE_GLOBAL		0x100		/* a new CR3 does not make the CPU forget it */
#define PAGE_ADDRESS		0xfffff000

/* The error code of a page fault, section 4.7. */
#define FAULT_PRESENT		0x01		/* the page is there: its rights are the reason */
#define FAULT_WRITE		0x02
#define FAULT_USER		0x04		/* in ring 3 */
#define FAULT_RESERVED		0x08		/* an entry has a bit that must be 0 */

/* The access byte of a descriptor, sections 3.4.5 and 3.5. */
#define ACCESS_PRESENT		0x80
#define ACCESS_DPL(ring)	((ring) << 5)
#define ACCESS_MEMORY		0x10		/* S: code or data, no system segment */
#define ACCESS_CODE		0x1a		/* execute/read */
#define ACCESS_DATA		0x12		/* read/write, expand up */
#define ACCESS_USED		0x01		/* accessed: a selector has led here */
#define ACCESS_LDT		0x02
#define ACCESS_TSS		0x09		/* 32-bit TSS, available */
#define ACCESS_BUSY		0x02		/* ... or busy: its task runs, or waits for iret */
#define ACCESS_INTERRUPT_GATE	0x0e		/* 32-bit, clears IF on the way in */
#define ACCESS_TASK_GATE	0x05
#define ACCESS_CALL_GATE	0x0c		/* 32-bit: copies parameters of 32 bits */

/* The other half-byte of attributes: D/B, 32-bit operands and stack. */
#define SEGMENT_32BIT		0x40
#define SEGMENT_PAGES		0x80		/* G: the limit counts pages, not bytes */

/* Selectors, section 3.4.2. */
#define SELECTOR_TI		4		/* in the LDT, not in the GDT */
#define SELECTOR_RPL		3
#define DESCRIPTOR_BYTES	8

/*
 * Vectors, section 6.3, table 6-1.  Those of the hardware interrupts are ours to
 * choose (machine.c): the first that Intel has not reserved.
 */
#define VECTOR_DB		1		/* behind an instruction, if TF was set before it */
#define VECTOR_NMI		2
#define VECTOR_BP		3		/* int3 */
#define VECTOR_OF		4		/* into */
#define VECTOR_DF		8
#define VECTOR_TS		10
#define VECTOR_GP		13
#define VECTOR_PF		14
#define IRQ_VECTORS		0x20
#define IRQS			8	/* of the first interrupt controller; the second is masked */
#define WAKE_VECTORS		0x28	/* of the same lines, while ring 0 sleeps (sleep.S) */

/* The exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP
   #VC #SX, one bit a vector; and what is in it, section 6.13. */
#define ERROR_CODE_VECTORS	0x60227d00
#define ERROR_EXT		1		/* not caused by the program itself */
#define ERROR_IDT		2		/* the rest is a vector times 8 */

/* The 32-bit TSS, section 7.2.1; an I/O bitmap may follow it. */
#define TSS_BYTES		104
#define TSS_CR3			28
#define PORTS			65536

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct tss {
	uint32_t backlink;
	uint32_t esp0, ss0;	/* what int loads when it comes from ring 3 */
	uint32_t esp1, ss1, esp2, ss2;
	uint32_t cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs;
	uint32_t ldt;
	uint16_t trap;
	uint16_t io_bitmap;	/* offset; from the limit on: every port denied */
};
_Static_assert(offsetof(struct tss, esp0) == 4, "TSS");
_Static_assert(sizeof(struct tss) == TSS_BYTES, "TSS");

/* A segment's descriptor, section 3.4.5. */
struct descriptor {
	uint16_t limit, base_low;
	uint8_t base_mid, access, attributes, base_high;
};
_Static_assert(sizeof(struct descriptor) == DESCRIPTOR_BYTES, "descriptor");

/* A gate in the IDT, section 6.11.  The high half is the same in all gates of a program. */
struct gate {
	uint16_t offset, selector, access, offset_high;
};
_Static_assert(sizeof(struct gate) == DESCRIPTOR_BYTES, "gate");

#endif
#endif

/*
 * For assembly: macros that make descriptor tables out of rows (segments.h), and gates.
 * For C: the tables that a program has made with them.
 *
 * In the file, bases in the program are offsets.  Section .bases lists the places
 * of all of them, and enter.S adds the program's base there.
 */
#ifndef TABLES_H
#define TABLES_H

#include "segments.h"
#include "vectors.h"

#ifdef __ASSEMBLER__

	.macro	base_here
1:	.pushsection .bases, "a"
	.word	1b
	.popsection
	.endm

/* What lgdt and lidt want to know of a table: its limit and its base. */
	.macro	table_register table
	base_here
	.word	\table\()_end - \table - 1
	.word	\table, 0		# an offset has 16 bits
	.endm

/*
 * The GDT stands between these two.  The CPU never reads its entry 0, which therefore
 * holds what lgdt wants to know: of this table, or of another to begin with (flat_segments.h).
 */
	.macro	gdt_begins for_lgdt=gdt
	.balign	8
	.global	gdt
gdt:
	table_register \for_lgdt
	.word	0
	.set	next_place, DESCRIPTOR_BYTES
	.endm

	.macro	gdt_ends
gdt_end:
	.endm

/* An LDT begins here, with some places that stay empty; it ends where the next table does. */
	.macro	ldt_begins ldt, empty=0
	.global	\ldt
\ldt:
	.fill	\empty, DESCRIPTOR_BYTES, 0
	.set	next_place, \empty * DESCRIPTOR_BYTES
	.endm

/*
 * The IDT stands between these two; then what lidt wants to know.  idt_gate labels the
 * row that each program has for its own way in.
 */
	.macro	idt_begins
	.balign	8
	.global	idt, idt_gate, idtr
idt:
	.endm

	.macro	idt_ends
idt_end:
idtr:
	table_register idt
	.endm

/*
 * The TSS as p_proc.S spells it out: ring 0's stack for a way in from ring 3, and
 * nothing of what only a task switch reads.  io_map: where the bitmap of ports begins;
 * beyond the limit, as it is without one, every port is closed.
 */
	.macro	tss_begins esp0, io_map=TSS_BYTES
	.balign	4
	.global	tss
tss:
	.long	0			# backlink
	.long	\esp0, RING0_DATA	# esp0, ss0
	.rept	TSS_BYTES / 4 - 4	# all that belongs to a task switch
	.long	0
	.endr
	.word	0, \io_map		# debug trap; I/O bitmap
	.if	. - tss != TSS_BYTES
	.error	"x86.h: TSS_BYTES is not the TSS's size"
	.endif
	.endm

/* A row at its place in the table; its name, for reports (explain.c). */
	.macro	row_begins place, name
	.if	next_place != (\place) & ~SELECTOR_TI
	.error	"a segment's row is not at its place"
	.endif
	.set	next_place, next_place + DESCRIPTOR_BYTES
	.pushsection .segment_names, "a"
	.word	\place
	.asciz	"\name"
	.popsection
	.endm

	.macro	descriptor_at place, name, base_low, base_high, size, access
	row_begins \place, \name
	.word	(\size) - 1, \base_low
	.byte	\base_high, ACCESS_PRESENT | (\access)
	.if	(\access) & ACCESS_MEMORY
	.byte	SEGMENT_32BIT, 0
	.else
	.byte	0, 0			# TSS and LDT have no such bit
	.endif
	.endm

	.macro	descriptor_in place, name, base, size, access
	base_here
	descriptor_at \place, \name, \base, 0, \size, \access
	.endm

/* Rows as descriptors. */
#define DESCRIPTOR(place, name, where, base, size, type, dpl, purpose) \
	DESCRIPTOR_##where(place, name, base, size, type | ACCESS_DPL(dpl));
#define DESCRIPTOR_in(place, name, base, size, access) \
	descriptor_in place, name, base, size, access
#define DESCRIPTOR_at(place, name, base, size, access) \
	descriptor_at place, name, (base) & 0xffff, (base) >> 16, size, access

/* The upper half of ring 0's offsets, if they have more than 16 bits (flat_segments.h). */
#ifndef OFFSET_HIGH
#define OFFSET_HIGH		0
#endif

	.macro	interrupt_gate offset, dpl
	.word	\offset, RING0_CODE
	.word	(ACCESS_PRESENT | ACCESS_DPL(\dpl) | ACCESS_INTERRUPT_GATE) << 8, OFFSET_HIGH
	.endm

/* To a task: it goes on where its TSS says, so the gate has no offset. */
	.macro	task_gate tss, dpl=0
	.word	0, \tss
	.word	(ACCESS_PRESENT | ACCESS_DPL(\dpl) | ACCESS_TASK_GATE) << 8, 0
	.endm

/*
 * The gates of the exceptions and hardware interrupts (vectors.h), all of them, or
 * count from one on; then those that end ring 0's sleep (sleep.S).  Ring 3 may ask for
 * int3 and into by name; all others only happen to it.
 */
	.macro	fault_gates first=0, count=FAULT_VECTORS + IRQS
	.set	vector, \first
	.rept	\count
	.if	vector == VECTOR_NMI
	interrupt_gate nmi, 0
	.elseif	vector == VECTOR_DF
	task_gate DOUBLE_FAULT
	.elseif	vector >= WAKE_VECTORS
	interrupt_gate wake, 0
	.elseif	vector == VECTOR_BP || vector == VECTOR_OF
	interrupt_gate (fault_vectors + vector * FAULT_VECTOR_BYTES), 3
	.else
	interrupt_gate (fault_vectors + vector * FAULT_VECTOR_BYTES), 0
	.endif
	.set	vector, vector + 1
	.endr
	.endm

/*
 * The task behind vector 8 (panic.S): where it begins, and a stack that nothing else
 * uses.
 */
	.macro	double_fault_task
	.global	double_fault_tss
double_fault_tss:
	.long	0			# backlink
	.long	0, 0, 0, 0, 0, 0	# no stacks for other rings
	.long	0			# cr3
	.long	double_fault, EFLAGS_ALWAYS
	.long	0, 0, 0, 0		# eax ecx edx ebx
	.long	double_fault_stack_end, 0, 0, 0		# esp ebp esi edi
	.long	RING0_DATA, RING0_CODE, RING0_DATA, RING0_DATA	# es cs ss ds
	.long	0, RING0_SCREEN		# fs gs
	.long	0			# LDT
	.word	0, TSS_BYTES
	.if	. - double_fault_tss != TSS_BYTES
	.error	"x86.h: TSS_BYTES is not the TSS's size"
	.endif
	.endm

#else

extern struct descriptor gdt[];		/* its entry 0 is what lgdt wants */
extern struct gate idt[];
extern struct tss tss;
extern const struct tss double_fault_tss;

/* The names of all rows: a selector without RPL, the name ended by 0, and so on. */
extern const char segment_names[], segment_names_end[];

#endif
#endif

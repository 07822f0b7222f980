/*
 * The segments of a program with pages: each is all 4 GiB, since pages protect, and
 * ring 0 lies in the last 64 KiB of them.  (Only the screen keeps a segment of its own,
 * by which ring 0 alone draws.)
 *
 * Before paging is on there is nothing in the last 64 KiB.  So the program first runs
 * with other bases, in start_gdt: offset + base is the physical address, past the end of
 * the 4 GiB and round to 0.
 */
#ifndef FLAT_SEGMENTS_H
#define FLAT_SEGMENTS_H

#define RING0_LINEAR	0xffff0000	/* of offset 0, as in program_segment */
#define OFFSET_HIGH	0xffff		/* its upper half: in gates, and in the bases of "high" rows */
#define SCREEN_HIGH	0xfffef000	/* where ring 0 sees the text screen */

#include "tables.h"

/* A size that stands for 4 GiB; and the rows, as in segments.h, with the same selectors. */
#define ALL		0
#define FLAT_RING0_SEGMENTS(SEG) \
SEG(0x08,  RING0_CODE,   flat, 0,                  ALL,               ACCESS_CODE, 0, "everything, as ring 0 runs it") \
SEG(0x10,  RING0_DATA,   flat, 0,                  ALL,               ACCESS_DATA, 0, "everything, as ring 0 sees it") \
SEG(0x18,  TSS,          high, tss,                tss_bytes,         ACCESS_TSS,  0, "where int finds ss0:esp0") \
SEG(0x20,  DOUBLE_FAULT, high, double_fault_tss,   TSS_BYTES,         ACCESS_TSS,  0, "the task for when nothing else works") \
SEG(0x28,  RING0_SCREEN, high, SCREEN_HIGH,        SCREEN_BYTES,      ACCESS_DATA, 0, "the whole text screen")

/* A program may want others (SYSENTER). */
#ifndef FLAT_RING3_SEGMENTS
#define FLAT_RING3_SEGMENTS(SEG) \
SEG(0x30,  USER_CODE,    flat, 0,                  ALL,               ACCESS_CODE, 3, "everything, as ring 3 may run it") \
SEG(0x38,  USER_DATA,    flat, 0,                  ALL,               ACCESS_DATA, 3, "everything, as ring 3 may see it")
#endif

SELECTORS(FLAT_RING3_SEGMENTS)

#ifdef __ASSEMBLER__

#define DESCRIPTOR_flat(place, name, base, size, access) descriptor_flat place, name, access
#define DESCRIPTOR_high(place, name, base, size, access) descriptor_high place, name, base, size, access

	.macro	descriptor_flat place, name, access
	row_begins \place, \name
	.word	0xffff, 0
	.byte	0, ACCESS_PRESENT | (\access), SEGMENT_32BIT | SEGMENT_PAGES | 0x0f, 0
	.endm

/* The screen, whose address is a number; or what lies in ring 0, where only the lower half is
   not known before the program is linked. */
	.macro	descriptor_high place, name, base, size, access
	row_begins \place, \name
	.if	(\access) & ACCESS_MEMORY
	.word	(\size) - 1, (\base) & 0xffff
	.byte	((\base) >> 16) & 0xff, ACCESS_PRESENT | (\access), SEGMENT_32BIT, ((\base) >> 24) & 0xff
	.else
	.word	(\size) - 1, \base
	.byte	OFFSET_HIGH & 0xff, ACCESS_PRESENT | (\access), 0, OFFSET_HIGH >> 8
	.endif
	.endm

/* Ring 0's code and data before paging is on: enter.S mends these bases. */
	.macro	start_descriptor access
	base_here
	.word	0xffff, 0
	.byte	1, ACCESS_PRESENT | (\access), SEGMENT_32BIT | SEGMENT_PAGES | 0x0f, 0
	.endm

/*
 * Both tables, for the program's rows: entry 0 of gdt leads lgdt to start_gdt, and
 * flat_gdtr, flat_idtr belong to the time with paging (paging.S).
 */
	.macro	start_gdt_and_registers
	.balign	8
start_gdt:
	.quad	0
	start_descriptor ACCESS_CODE	# RING0_CODE
	start_descriptor ACCESS_DATA	# RING0_DATA
	.quad	0, 0
	.word	SCREEN_BYTES - 1, SCREEN_LINEAR & 0xffff
	.byte	SCREEN_LINEAR >> 16, ACCESS_PRESENT | ACCESS_DATA, SEGMENT_32BIT, 0
start_gdt_end:
	.global	flat_gdtr, flat_idtr
flat_gdtr:
	.word	gdt_end - gdt - 1
	.long	gdt
flat_idtr:
	.word	idt_end - idt - 1
	.long	idt
	.endm

#endif
#endif

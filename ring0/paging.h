/*
 * Pages: ring 0's own, the pool that all tables come from, and a look at what an
 * address leads to (paging.c, paging.S).
 *
 *	linear
 *	ffff0000  ring 0: the program, 64 KiB; what is code or constant is read-only
 *	fffef000  ring 0: the text screen
 *	fffd0000  ring 0: the pool, so that it can reach every table and every page of ring 3
 *	below     ring 3's, as its program makes it (map_page)
 */
#ifndef PAGING_H
#define PAGING_H

#include "x86.h"

#define POOL_LINEAR		0xfffd0000
#define TABLE_ENTRIES		1024
#define TABLE_SPANS		(TABLE_ENTRIES * PAGE_BYTES)	/* of addresses, 4 MiB */
#define RING0_SLOT		(TABLE_ENTRIES - 1)	/* in a directory: the last 4 MiB */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

/* What the first pages of the pool are; a program has those behind. */
enum {
	PAGE_OF_DIRECTORY,	/* ring 0's alone, for start and end: sees low memory as it is */
	PAGE_OF_LOW_TABLE,
	PAGE_OF_RING0_TABLE,	/* the same in all directories */
	PAGES_OF_RING0,
};

typedef uint32_t table[TABLE_ENTRIES];

struct walk {			/* what an address leads to */
	uint32_t address;
	uint32_t in_directory, in_table;	/* the entries; the second is 0 if the first is absent */
	uint32_t physical;	/* if the page is there */
	uint32_t rights;	/* PAGE_PRESENT, PAGE_WRITABLE, PAGE_USER: what both entries allow */
};

/* flat.ld's: the program's first page that is written to, and its end; ring 3's code as the
   program has it, and as ring 3 will. */
extern const uint8_t data_start[], bss_end[];
extern const uint32_t ring3_in_file[], ring3_code[], ring3_code_end[];

extern const unsigned pool_pages;	/* the program's: how many it has, at most 31 */
extern bool cpu_has_wp, cpu_has_pge;

static inline table *pool_page(unsigned page)
{
	return (table *)(POOL_LINEAR + page * PAGE_BYTES);
}

uint32_t pool_physical(unsigned page);
void clear_page(unsigned page);
void copy_ring3_code(unsigned page);
void map_page(unsigned table_page, uint32_t address, uint32_t physical, uint32_t rights);
void map_table(unsigned directory_page, uint32_t address, unsigned table_page, uint32_t rights);
struct walk walk(uint32_t directory_physical, uint32_t address);
void pages_global(bool on);

uint32_t paging_prepare(void);	/* from paging.S */

static inline uint32_t fault_address(void)
{
	uint32_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	return cr2;
}

static inline uint32_t space_now(void)
{
	uint32_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3;
}

#endif
#endif

/*
 * Pages and their tables (Intel, volume 3, chapter 4: 32-bit paging, 4 KiB pages only,
 * as the 386 has them).
 *
 * All functions: ring 0, any stack, interrupts off, no errors; paging is on, but where it
 * says so.
 */
#include "paging.h"
#include "enter.h"
#include "flat_segments.h"
#include "stop.h"
#include "text_memory.h"

bool cpu_has_wp, cpu_has_pge;
static uint32_t physical;	/* of the program's offset 0 */
static uint32_t pool;		/* of the pool's first page */

/* Before paging: where ring 0 finds a physical address. */
static void *unpaged(uint32_t address)
{
	return (void *)(address - program_base + RING0_LINEAR);
}

/* An even number of pages: a program may count on that in the pool (SPACE_HIDES in PAGED). */
static uint32_t pages_up(uint32_t address)
{
	return (address + 2 * PAGE_BYTES - 1) & ~(2 * PAGE_BYTES - 1);
}

/* Flags that can be changed tell the CPU's age: AC came with the 486, and CR0.WP, too. */
static bool flag_changes(uint32_t flag)
{
	uint32_t before, after;

	__asm__("pushf; pop %0; mov %0, %1; xor %2, %1; push %1; popf; pushf; pop %1; push %0; popf"
		: "=&r"(before), "=&r"(after) : "r"(flag) : "cc");
	return (before ^ after) & flag;
}

static void know_the_cpu(void)
{
	uint32_t leaf = 1, features = 0;

	cpu_has_wp = flag_changes(EFLAGS_AC);
	if (flag_changes(EFLAGS_ID))
		__asm__(".byte 0x0f, 0xa2" : "+a"(leaf), "=d"(features) : : "ebx", "ecx");	/* cpuid */
	cpu_has_pge = features & CPUID_PGE;
}

/*
 * Makes what is needed to turn paging on: ring 0's table, and a directory in which the
 * lowest 4 MiB are at their place as well, so that the next instruction is where it was.
 *
 * From:	paging_on (paging.S).  Paging is off; start_gdt's segments.
 * Out:		the directory's physical address.
 *
 * A page begins at a multiple of 4096, but DOS loads a program at any multiple of 16.  So
 * if need be the program is copied to where pages begin, and ring 0 goes on in the
 * copy; paging_off goes back to the original.
 */
uint32_t paging_prepare(void)
{
	uint32_t *directory, *low, *ring0, copy;
	uint32_t end = (uint32_t)bss_end - RING0_LINEAR, data = (uint32_t)data_start - RING0_LINEAR;

	know_the_cpu();
	physical = program_base;
	copy = pool = pages_up(program_base + PROGRAM_BYTES);
	if (physical != (physical & PAGE_ADDRESS)) {
		physical = copy;
		pool = copy + PROGRAM_BYTES;
	}

	directory = unpaged(pool_physical(PAGE_OF_DIRECTORY));
	low = unpaged(pool_physical(PAGE_OF_LOW_TABLE));
	ring0 = unpaged(pool_physical(PAGE_OF_RING0_TABLE));
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		directory[i] = ring0[i] = 0;
		low[i] = i * PAGE_BYTES | PAGE_PRESENT | PAGE_WRITABLE;
	}
	directory[0] = pool_physical(PAGE_OF_LOW_TABLE) | PAGE_PRESENT | PAGE_WRITABLE;
	directory[RING0_SLOT] = pool_physical(PAGE_OF_RING0_TABLE) | PAGE_PRESENT | PAGE_WRITABLE;

	/* A CPU without global pages does not look at their bit, which is 0 there all the same. */
	uint32_t rights = PAGE_PRESENT | (cpu_has_pge ? PAGE_GLOBAL : 0);
	uint32_t *program = ring0 + (RING0_LINEAR / PAGE_BYTES) % TABLE_ENTRIES;

	for (uint32_t at = 0; at < end; at += PAGE_BYTES)
		*program++ = (physical + at) | rights | (at < data ? 0 : PAGE_WRITABLE);
	rights |= PAGE_WRITABLE;
	ring0[(SCREEN_HIGH / PAGE_BYTES) % TABLE_ENTRIES] = SCREEN_LINEAR | rights;
	for (unsigned i = 0; i < pool_pages; i++)
		ring0[(POOL_LINEAR / PAGE_BYTES + i) % TABLE_ENTRIES] = pool_physical(i) | rights;

	if (physical == copy) {
		const uint32_t *from = (const uint32_t *)RING0_LINEAR;
		uint32_t *to = unpaged(copy);

		for (unsigned i = 0; i < PROGRAM_BYTES / sizeof *to; i++)
			to[i] = from[i];
	}
	return pool_physical(PAGE_OF_DIRECTORY);
}

uint32_t pool_physical(unsigned page)
{
	return pool + page * PAGE_BYTES;
}

/* Where ring 0 sees a page of the pool, by its physical address. */
static uint32_t *seen_at(uint32_t address)
{
	return (uint32_t *)(POOL_LINEAR + (address & PAGE_ADDRESS) - pool);
}

void clear_page(unsigned page)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		(*pool_page(page))[i] = 0;
}

/* Ring 3's code, out of the program: what follows it in the page is 0. */
void copy_ring3_code(unsigned page)
{
	clear_page(page);
	for (unsigned i = 0; i < (unsigned)(ring3_code_end - ring3_code); i++)
		(*pool_page(page))[i] = ring3_in_file[i];
}

/* An entry of a table in the pool, or of a directory.  In: an address that it is for; where
   that leads to; the entry's rights. */
void map_page(unsigned table_page, uint32_t address, uint32_t to, uint32_t rights)
{
	(*pool_page(table_page))[address / PAGE_BYTES % TABLE_ENTRIES] = to | rights;
}

void map_table(unsigned directory_page, uint32_t address, unsigned table_page, uint32_t rights)
{
	(*pool_page(directory_page))[address / TABLE_SPANS] = pool_physical(table_page) | rights;
}

/*
 * What an address leads to, as the CPU finds it.
 * In: a directory, as CR3 has it; it and its tables are in the pool.
 */
struct walk walk(uint32_t directory, uint32_t address)
{
	struct walk walk = { .address = address };

	walk.in_directory = seen_at(directory)[address / TABLE_SPANS];
	if (!(walk.in_directory & PAGE_PRESENT))
		return walk;
	walk.in_table = seen_at(walk.in_directory)[address / PAGE_BYTES % TABLE_ENTRIES];
	if (!(walk.in_table & PAGE_PRESENT))
		return walk;
	walk.physical = (walk.in_table & PAGE_ADDRESS) | address % PAGE_BYTES;
	walk.rights = walk.in_directory & walk.in_table & (PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER);
	return walk;
}

/*
 * Whether the CPU keeps what it knows of global pages when CR3 is loaded; to change that
 * makes it forget them.  Without the CPU's help nothing happens.
 */
void pages_global(bool on)
{
	uint32_t cr4;

	if (!cpu_has_pge)
		return;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(on ? cr4 | CR4_PGE : cr4 & ~CR4_PGE));
}

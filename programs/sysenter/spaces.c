/*
 * The procs' address spaces: ring 0's pages and a proc's own in each.
 *
 * All functions: ring 0, any stack, interrupts off, no errors.
 */
#include "proc.h"

const unsigned pool_pages = POOL_PAGES;

enum {
	READ = PAGE_PRESENT | PAGE_USER,
	READ_WRITE = READ | PAGE_WRITABLE,
	RING0 = PAGE_PRESENT | PAGE_WRITABLE,
};

/* A proc's space, as it is before its first instruction: all its pages are empty. */
void space_make(struct proc *proc)
{
	unsigned page = proc->first_page, table = page + TABLE;

	for (unsigned i = 0; i < PAGES_OF_A_PROC; i++)
		clear_page(page + i);
	map_page(table, RING3_CODE, pool_physical(CODE), READ);
	map_page(table, RING3_DATA, pool_physical(page + DATA), READ_WRITE);
	map_page(table, RING3_WINDOW, pool_physical(page + WINDOW), READ_WRITE);
	map_page(table, RING3_STACK, pool_physical(page + STACK), READ_WRITE);
	map_table(page + DIRECTORY, RING3_CODE, table, READ_WRITE);
	map_table(page + DIRECTORY, RING0_LINEAR, PAGE_OF_RING0_TABLE, RING0);
	proc->space = pool_physical(page + DIRECTORY);
}

/* Where ring 0 asks a proc, whichever space is loaded: it sees all pages in the pool. */
uint32_t *asked_of(const struct proc *proc)
{
	return &(*pool_page(proc->first_page + DATA))[(ASKED - RING3_DATA) / sizeof(uint32_t)];
}

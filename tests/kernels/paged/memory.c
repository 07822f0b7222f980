/*
 * memory.c - an address space for each process: a page directory, and one page table
 */
#include "paged.h"

extern uint32_t kernel_table[1024];
extern uint8_t user_program[];

#define SPACES	2

static uint32_t directories[SPACES][1024] __attribute__((aligned(PAGE)));
static uint32_t tables[SPACES][1024] __attribute__((aligned(PAGE)));
static uint8_t heaps[SPACES][PAGE] __attribute__((aligned(PAGE)));
static unsigned spaces;

/* The entry of the user's page table for an address. */
static uint32_t *entry(const struct space *space, uint32_t address)
{
	return &space->table[address / PAGE % 1024];
}

static uint32_t physical(const void *there)
{
	return PHYSICAL((uint32_t)there);
}

/* A space with the kernel in it, the program, the pages info and stack, and no heap. */
void space_create(struct space *space, uint8_t *info, uint8_t *stack)
{
	space->directory = directories[spaces];
	space->table = tables[spaces];
	space->heap = heaps[spaces];
	spaces++;
	space->directory[HIGHER_HALF >> 22] = physical(kernel_table) | WRITABLE | PRESENT;
	space->directory[USER_CODE_PAGE >> 22] = physical(space->table) | USER | WRITABLE | PRESENT;
	*entry(space, USER_CODE_PAGE) = physical(user_program) | USER | PRESENT;
	*entry(space, USER_INFO_PAGE) = physical(info) | USER | PRESENT;
	*entry(space, USER_STACK_PAGE) = physical(stack) | USER | WRITABLE | PRESENT;
}

void space_enter(const struct space *space)
{
	__asm__ volatile ("mov %0, %%cr3" : : "r" (physical(space->directory)) : "memory");
}

/* A page of zeros for the heap, if that is where the address is; else 0. */
int heap_map(const struct space *space, uint32_t address)
{
	if (address / PAGE != USER_HEAP_PAGE / PAGE)
		return 0;
	for (unsigned i = 0; i < PAGE; i++)
		((volatile uint8_t *)space->heap)[i] = 0;
	*entry(space, address) = physical(space->heap) | USER | WRITABLE | PRESENT;
	return 1;
}

/* The page is gone, and the CPU has to forget where it was. */
void heap_free(const struct space *space)
{
	*entry(space, USER_HEAP_PAGE) = 0;
	__asm__ volatile ("invlpg (%0)" : : "r" (USER_HEAP_PAGE) : "memory");
}

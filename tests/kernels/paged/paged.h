/*
 * paged.h - what assembly and C of this kernel share: who lives where
 *
 *	0x00400000	the user's code, one page for both processes, not writable
 *	0x00410000	what the kernel tells the user, not writable
 *	0x00420000	the user's heap: a page that is there once it is used
 *	0x007ff000	the user's stack
 *	0xc0000000	the first 4 MiB of memory, the kernel's; in every address space
 */
#ifndef PAGED_H
#define PAGED_H

#define HIGHER_HALF	0xc0000000
#define PHYSICAL(there)	((there) - HIGHER_HALF)

#define PAGE		0x1000
#define USER_CODE_PAGE	0x00400000
#define USER_INFO_PAGE	0x00410000
#define USER_HEAP_PAGE	0x00420000
#define USER_STACK_PAGE	0x007ff000

/* Of an entry in a page directory or table (Intel, volume 3, section 4.3). */
#define PRESENT		1
#define WRITABLE	2
#define USER		4

#define CR0_WP		0x00010000
#define CR0_PG		0x80000000

#define KERNEL_CODE	0x08
#define KERNEL_DATA	0x10
#define USER_CODE	0x18
#define USER_DATA	0x20
#define TSS_SELECTOR	0x28

#define PAGE_FAULT	14
#define SYSTEM_CALL	0x80
#define CALL_YIELD	0
#define CALL_FREE	1	/* the heap's page goes; the next use finds zeros */
#define CALL_WRONG	2	/* something is not as promised; ecx: what was found */

#ifndef __ASSEMBLER__

#include "../pc.h"

/* What enter pushes; the CPU the rest. */
struct frame {
	uint32_t es, ds;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t eip, cs, eflags, esp, ss;
};

/* memory.c */
struct space {
	uint32_t *directory;		/* as the kernel sees it */
	uint32_t *table;		/* of the user's 4 MiB */
	uint8_t *heap;			/* the page that the heap gets */
};
void space_create(struct space *space, uint8_t *info, uint8_t *stack);
void space_enter(const struct space *space);
int heap_map(const struct space *space, uint32_t address);
void heap_free(const struct space *space);

/* processes.c */
struct frame *processes_start(void);

#endif
#endif

/*
 * The busy bit in a TSS's descriptor.  The CPU sets it whenever it enters a task, and
 * does not enter a busy task by call, jump or gate; iret, on the contrary, only returns
 * to a busy one (Intel, volume 3, section 7.2.2, table 7-2).  A jump and an iret clear
 * the bit of the task that they leave; a gate does not, because its caller is not done,
 * but waits.
 *
 * All functions: ring 0, a stack of ring 0's, interrupts off.
 */
#include "ring0/tables.h"
#include "task.h"

static struct descriptor *row_of(uint32_t selector)
{
	return &gdt[selector / DESCRIPTOR_BYTES];
}

/* In: the selector of a TSS; ACCESS_BUSY, or 0. */
void task_set_busy(uint32_t selector, uint8_t busy)
{
	struct descriptor *row = row_of(selector);

	row->access = (row->access & ~ACCESS_BUSY) | busy;
}

/* In: the selector of a TSS. */
bool task_is_busy(uint32_t selector)
{
	return row_of(selector)->access & ACCESS_BUSY;
}

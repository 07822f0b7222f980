/*
 * The threads' address spaces: how they are made, the one page that comes later, and the
 * directories without ring 0.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any stack, interrupts off, no errors.
 */
#include "ring0/copy_in.h"
#include "ring0/door.h"
#include "ring0/flat_segments.h"
#include "ring0/tables.h"
#include "ring3/ask.h"
#include "show/clocks.h"
#include "show/text.h"
#include "thread.h"

const unsigned pool_pages = POOL_PAGES;

enum {
	READ = PAGE_PRESENT | PAGE_USER,
	READ_WRITE = READ | PAGE_WRITABLE,
	RING0 = PAGE_PRESENT | PAGE_WRITABLE,
};

/* What both spaces share: the code; and the table that is left of ring 0 when it is hidden. */
void spaces_start(void)
{
	copy_ring3_code(CODE);
	clear_page(ENTRY_TABLE);
	map_page(ENTRY_TABLE, RING0_LINEAR, walk(space_now(), RING0_LINEAR).physical, PAGE_PRESENT);
	map_page(ENTRY_TABLE, (uint32_t)data_start, walk(space_now(), (uint32_t)data_start).physical, RING0);
}

/* A thread's space, as it is before its first instruction: all its pages are empty. */
void space_make(struct thread *thread)
{
	unsigned page = thread->first_page, table = page + TABLE;

	for (unsigned i = 0; i < PAGES_OF_A_THREAD; i++)
		clear_page(page + i);
	map_page(table, RING3_CODE, pool_physical(CODE), READ);
	map_page(table, RING3_DATA, pool_physical(page + DATA), READ_WRITE);
	map_page(table, RING3_WINDOW, pool_physical(page + WINDOW), READ_WRITE);
	map_page(table, RING3_STACK, pool_physical(page + STACK), READ_WRITE);

	/* What a directory allows, the table's entries may still refuse. */
	map_table(page + DIRECTORY, RING3_CODE, table, READ_WRITE);
	map_table(page + DIRECTORY, RING0_LINEAR, PAGE_OF_RING0_TABLE, RING0);
	map_table(page + HIDING_DIRECTORY, RING3_CODE, table, READ_WRITE);
	map_table(page + HIDING_DIRECTORY, RING0_LINEAR, ENTRY_TABLE, RING0);
	thread->space = pool_physical(page + DIRECTORY);
}

/* A word of a thread's data, wherever its space has it: ring 0 sees all pages in the pool. */
uint32_t *thread_word(const struct thread *thread, uint32_t address)
{
	return &(*pool_page(thread->first_page + DATA))[(address - RING3_DATA) / sizeof(uint32_t)];
}

/*
 * A page fault that is no mistake.
 * In: the thread that runs; the frame, from ring 3 or from copy_in; error code; address.
 * Out: whether it goes on, as the frame says.
 */
bool page_fault_mended(struct thread *thread, struct frame *frame, uint32_t error, uint32_t address)
{
	unsigned page = thread->first_page + LATER;
	bool copying = frame->eip == (uint32_t)copy_in_byte;

	if (!copying && !(frame->cs & SELECTOR_RPL))
		return false;
	if (!(error & FAULT_PRESENT) && (address & PAGE_ADDRESS) == RING3_LATER) {
		map_page(thread->first_page + TABLE, RING3_LATER, pool_physical(page), READ_WRITE);
		log_line("page proc=%c at=%8 phys=%8", thread->name, RING3_LATER, pool_physical(page));
		panel_event("%c has got a page at %8", thread->name, RING3_LATER);
		return true;
	}
	if (copying)
		frame->eip = (uint32_t)copy_in_failed;
	return copying;
}

/* While ring 0 is hidden, the doors lead to hide.S, whether Bochs is to stop there or not. */
void doors_set(void)
{
	bool stops = idt_gate.offset == (uint16_t)(uint32_t)gate_with_stop;

	if (ring0_hidden)
		idt_gate.offset = (uint16_t)(uint32_t)(stops ? hiding_gate_with_stop : hiding_gate);
	idt_say.offset = (uint16_t)(uint32_t)(ring0_hidden ? hiding_say_gate : say_gate);
}

/* Key k.  A global page would stay known to the CPU in a space that does not have it. */
void hide_ring0(bool hide)
{
	ring0_hidden = hide;
	pages_global(!hide);
	thread_a.esp0 = (uint32_t)(hide ? entry_stack_end : thread_a.stack_end);
	thread_b.esp0 = (uint32_t)(hide ? entry_stack_end : thread_b.stack_end);
	tss.esp0 = current ? current->esp0 : thread_a.esp0;
	way_out = hide ? leave_hidden : leave;
	clocks_forget();		/* a turn is longer, or shorter again */
	log_line("hide ring0=%s global=%s", hide ? "yes" : "no", !hide && cpu_has_pge ? "yes" : "no");
	panel_event("ring 0 is %s; k %s it", hide ? "hidden from ring 3" :
		    cpu_has_pge ? "global" : "in both spaces", hide ? "shows" : "hides");
}

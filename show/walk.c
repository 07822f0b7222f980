/*
 * A page fault in words: which entry of which table the CPU came to, and which one refused.
 * Only programs with pages have this (ring0/paging.c).
 *
 * All functions: ring 0, any stack, interrupts off, no errors.
 */
#include "walk.h"
#include "text.h"

/* What stands in an entry, and whether it is the one that has refused. */
static void entry_words(char *to, const char *what, uint32_t slot, uint32_t entry, bool refused)
{
	format(to, "%s %4 %8 %s%s%s%s", what, slot, entry,
	       entry & PAGE_PRESENT ? "P" : "-", entry & PAGE_WRITABLE ? "W" : "-",
	       entry & PAGE_USER ? "U" : "-", refused ? " refuses" : "");
}

/* Whether an entry refuses an access, as the error code tells of it. */
static bool refuses(uint32_t entry, uint32_t error)
{
	return !(entry & PAGE_PRESENT) ||
	       ((error & FAULT_USER) && !(entry & PAGE_USER)) ||
	       ((error & FAULT_WRITE) && !(entry & PAGE_WRITABLE));
}

static const char *usually(struct walk walk, uint32_t error)
{
	if (error & FAULT_RESERVED)
		return "An entry has a bit that must be 0: ring 0 has spoilt its tables.";
	if (walk.address < PAGE_BYTES && !(error & FAULT_PRESENT))
		return "A null pointer: page 0 is never there, so that it is found at once.";
	if (!(error & FAULT_PRESENT))
		return "Nothing is there: a stray pointer, or the stack's guard page.";
	if (!(walk.rights & PAGE_USER))
		return "The page is ring 0's (no U): ring 3 may neither read nor write it.";
	return "May be read, not written to (no W): it is code, or constant.";
}

/* In: the directory in CR3; what the address leads to; the error code.  Out: valid until the
   next call. */
const struct page_words *walk_words(uint32_t directory, struct walk walk, uint32_t error)
{
	static struct page_words words;
	bool first = refuses(walk.in_directory, error);
	bool second = !first && refuses(walk.in_table, error);

	words.address = walk.address;
	words.directory = directory;
	words.usually = usually(walk, error);
	entry_words(words.lines[0], "directory", walk.address / TABLE_SPANS, walk.in_directory, first);
	if (walk.in_directory & PAGE_PRESENT)
		entry_words(words.lines[1], "table", walk.address / PAGE_BYTES % TABLE_ENTRIES,
			    walk.in_table, second);
	else
		format(words.lines[1], "no table");
	return &words;
}

/* How many of the CODE_BYTES at eip ring 3 may not read: up to the last byte that it may. */
unsigned walk_unreadable(uint32_t directory, uint32_t eip)
{
	for (unsigned i = 0; i < CODE_BYTES; i++)
		if (eip + i < eip || !(walk(directory, eip + i).rights & PAGE_USER))
			return CODE_BYTES - i;
	return 0;
}

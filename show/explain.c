/*
 * Exceptions in words: their names, what an error code says, and what usually
 * causes them.
 *
 * All functions: ring 0, any stack, no errors.
 */
#include <stdbool.h>

#include "explain.h"
#include "program.h"
#include "text.h"
#include "ring0/tables.h"

/* Intel, volume 3, table 6-1 and section 6.15. */
static const struct exception {
	const char *name, *title, *usually;
} exceptions[] = {
	[0] = { "#DE", "divide error",
		"A division by zero, or a quotient too large for its register." },
	[1] = { "#DB", "debug exception",
		"A single step: the trap flag TF is set. Or the instruction int1." },
	[2] = { "NMI", "non-maskable interrupt", "The hardware has an urgent problem." },
	[3] = { "#BP", "breakpoint", "The instruction int3." },
	[4] = { "#OF", "overflow", "The instruction into, with OF set." },
	[5] = { "#BR", "bound range exceeded", "The instruction bound found an index outside its array." },
	[6] = { "#UD", "invalid opcode",
		"No such instruction, a misplaced lock prefix, or an instruction that is not enabled." },
	[7] = { "#NM", "device not available",
		"An FPU instruction. Ring 0 keeps the FPU off, so that no proc finds what another left in it." },
	[8] = { "#DF", "double fault",
		"An exception that could not even be delivered: the stack of ring 0 is not usable." },
	[10] = { "#TS", "invalid TSS",
		"NT was set: iret tried to return to another task; or ring 0's stack in the TSS is bad." },
	[11] = { "#NP", "segment not present", "The descriptor says that its segment is not there." },
	[12] = { "#SS", "stack fault",
		"The stack has left its segment: too many pushes or pops, or a stray esp or ebp." },
	[13] = { "#GP", "general protection", 0 },
	[14] = { "#PF", "page fault", "There is no paging here." },
	[16] = { "#MF", "FPU error", "A calculation that the FPU could not do." },
	[17] = { "#AC", "alignment check", "An address that is no multiple of its operand's size." },
	[18] = { "#MC", "machine check", "The hardware has found itself broken." },
	[19] = { "#XM", "SIMD error", "A calculation that the SSE unit could not do." },
	[20] = { "#VE", "virtualization exception", "There is no guest here." },
	[21] = { "#CP", "control protection", "A return to where no call came from." },
	[IRQ_VECTORS] = { "IRQ0", "the alarm",
		"An endless loop: ring 0 ends any proc that does not execute int 0x30 for a second." },
};
enum { EXCEPTIONS = sizeof exceptions / sizeof exceptions[0] };

static const struct exception *exception(uint32_t vector)
{
	static const struct exception unknown = {
		"unknown", "unknown", "Intel has not said what this vector means."
	};

	return vector < EXCEPTIONS && exceptions[vector].name ? exceptions + vector : &unknown;
}

const char *exception_name(uint32_t vector)
{
	return exception(vector)->name;
}

const char *exception_title(uint32_t vector)
{
	return exception(vector)->title;
}

/* One sentence.  #GP has so many causes that the error code must help. */
const char *exception_usually(uint32_t vector, uint32_t error)
{
	if (vector != VECTOR_GP)
		return exception(vector)->usually;
	if (!error)
		return "An instruction that only ring 0 may execute, an address beyond the end of a segment, or a null selector.";
	if (error & ERROR_IDT)
		return program.no_gate;
	return "A selector that ring 3 may not load here: another ring's, of the wrong kind, or not in the table.";
}

static const char *segment_name(uint32_t selector)
{
	for (const char *row = segment_names; row < segment_names_end;) {
		const char *name = row + sizeof(uint16_t);

		if (*(const uint16_t *)row == selector)
			return name;
		for (row = name; *row++;)
			;
	}
	return 0;
}

/*
 * An error code for the log: four digits; or "none", for an exception that pushes none
 * (Intel, volume 3, section 6.13), and for an interrupt.
 */
const char *error_code(uint32_t vector, uint32_t error)
{
	static char digits[5];

	if (vector >= 32 || !(ERROR_CODE_VECTORS >> vector & 1))
		return "none";
	format(digits, "%4", error);
	return digits;
}

/*
 * What an error code says (Intel, volume 3, section 6.13): which table, which
 * entry, and whether something outside the program was the cause.  The two
 * lowest bits are not an RPL.  A page fault's says what was tried, by whom, and whether the
 * page is there.
 * Out: MEANING_BYTES at most, empty for an exception that has no error code.
 */
void error_meaning(char *to, uint32_t vector, uint32_t error)
{
	bool selects = vector >= VECTOR_TS && vector <= VECTOR_GP;
	uint32_t selector = error & ~(ERROR_EXT | ERROR_IDT) & 0xffff;

	*to = 0;
	if (vector == VECTOR_PF)
		format(to, "%s, %s, %s", error & FAULT_WRITE ? "write" : "read",
		       error & FAULT_USER ? "ring 3" : "ring 0", error & FAULT_RESERVED ? "reserved bit" :
		       error & FAULT_PRESENT ? "present" : "absent");
	if (!selects)
		return;
	if (!(error & ~ERROR_EXT)) {
		to = format(to, "no selector");
	} else if (error & ERROR_IDT) {
		to = format(to, "IDT 0x%2", selector / DESCRIPTOR_BYTES);
	} else {
		const char *name = segment_name(selector);

		to = format(to, selector > 0xff ? "%s 0x%4" : "%s 0x%2",
			    selector & SELECTOR_TI ? "LDT" : "GDT", selector);
		if (name)
			to = format(to, " (%s)", name);
	}
	if (error & ERROR_EXT)
		format(to, " EXT");
}

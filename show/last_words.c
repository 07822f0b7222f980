/*
 * Ring 0's last words: all that is known of its failure, in the log and on the screen.
 *
 * All functions: ring 0, a stack that is not the one in trouble, interrupts off.
 */
#include "explain.h"
#include "layout.h"
#include "ring0/segments.h"
#include "ring0/stop.h"
#include "ring0/tell.h"
#include "screen.h"
#include "text.h"

#define FAILED	"Ring 0 itself has failed. The machine stops here."

enum {
	STACK_WORDS = 24,	/* shown, from ss:esp on */
	WORDS_PER_ROW = 8,
};

/* Words of ring 0's stack, up to the end of its segment. */
static void stack_text(char *to, const struct frame *frame, unsigned first, unsigned count)
{
	*to = 0;
	for (unsigned i = first; i < first + count; i++) {
		uint32_t at = frame->esp + i * sizeof at;

		if (frame->ss != RING0_DATA || at - (uint32_t)program_segment > PROGRAM_BYTES - sizeof at)
			return;
		to = format(to, i > first ? " %8" : "%8", *(const uint32_t *)at);
	}
}

/* A row of them on the screen.  In: as format. */
static void panic_row(unsigned row, const char *how, ...)
{
	static char line[COLUMNS + 1];
	va_list values;

	va_start(values, how);
	format_list(line, how, values);
	va_end(values);
	screen_panic(row, line);
}

/*
 * Ring 0 has failed.  In: the state it was in.  None of it is trusted: what cannot
 * be read is not shown.
 */
void tell_panic(const struct frame *f, uint32_t vector, uint32_t error)
{
	const char *name = exception_name(vector);
	static char meaning[MEANING_BYTES], stack[9 * STACK_WORDS], line[COLUMNS + 1];

	error_meaning(meaning, vector, error);
	stack_text(stack, f, 0, STACK_WORDS);

	log_line("panic vector=%2 name=%s error=%s means=\"%s\" cs:eip=%4:%8 ss:esp=%4:%8 "
		 "eflags=%8 eax=%8 ecx=%8 edx=%8 ebx=%8 ebp=%8 esi=%8 edi=%8 "
		 "ds=%4 es=%4 fs=%4 gs=%4", vector, name, error_code(vector, error), meaning,
		 (uint32_t)f->cs, f->eip, (uint32_t)f->ss, f->esp, f->eflags, f->eax, f->ecx,
		 f->edx, f->ebx, f->ebp, f->esi, f->edi, (uint32_t)f->ds, (uint32_t)f->es,
		 (uint32_t)f->fs, (uint32_t)f->gs);
	log_line("stack words=\"%s\"", stack);

	screen_panic(0, FAILED);
	panic_row(2, "%s, vector 0x%2: %s", name, vector, exception_title(vector));
	screen_panic(3, exception_usually(vector, error));
	panic_row(5, "cs:eip %4:%8   error %4: %s", (uint32_t)f->cs, f->eip, error, meaning);
	panic_row(6, "eax %8   ebx %8   ecx %8   edx %8", f->eax, f->ebx, f->ecx, f->edx);
	panic_row(7, "esi %8   edi %8   ebp %8   eflags %8", f->esi, f->edi, f->ebp, f->eflags);
	panic_row(8, "ds  %4       es  %4       fs  %4       gs  %4", (uint32_t)f->ds,
	       (uint32_t)f->es, (uint32_t)f->fs, (uint32_t)f->gs);
	panic_row(10, "The stack, from ss:esp %4:%8 upwards:", (uint32_t)f->ss, f->esp);
	for (unsigned i = 0; i < STACK_WORDS; i += WORDS_PER_ROW) {
		stack_text(line, f, i, WORDS_PER_ROW);
		screen_panic(11 + i / WORDS_PER_ROW, line);
	}
}

/* From: panic_because (ring0/panic.c).  In: which check failed, and what it found. */
void tell_failed_check(const char *what)
{
	screen_use();
	log_line("panic check=\"%s\"", what);
	screen_panic(0, FAILED);
	screen_panic(2, what);
}

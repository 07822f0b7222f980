/*
 * The report on a proc's exception: a line for the log, and on the screen what a
 * learner needs to find the mistake.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off, no
 * errors.
 */
#include "report.h"
#include "clocks.h"
#include "explain.h"
#include "layout.h"
#include "screen.h"
#include "text.h"
#include "window.h"
#include "ring0/panic.h"
#include "ring0/tell.h"
#include "ring0/x86.h"

enum { CODE_TEXT_BYTES = 3 * CODE_BYTES + 1 };

/*
 * The bytes at a proc's cs:eip, up to the end of its segment, less the last that are in no page.  Ring 0 reads them as
 * the proc would: by the proc's own selector (in fs), while LDTR still holds its LDT.
 * First lar tells whether the selector names a present, readable segment (verr also
 * accepts an absent one), and lsl where it ends.
 */
static void code_text(char *to, const struct frame *frame, unsigned unreadable)
{
	const uint32_t readable = (ACCESS_PRESENT | ACCESS_CODE) << 8;
	uint32_t rights, limit;
	bool valid;

	*to = 0;
	if (frame->eflags & EFLAGS_VM)	/* cs is no selector */
		return;
	__asm__("lar %2, %0" : "=r"(rights), "=@ccz"(valid) : "r"((uint32_t)frame->cs));
	if (!valid || (rights & readable) != readable)
		return;
	__asm__("lsl %1, %0" : "=r"(limit) : "r"((uint32_t)frame->cs) : "cc");
	__asm__ volatile("mov %0, %%fs" : : "r"((uint32_t)frame->cs));
	for (uint32_t i = 0; i < CODE_BYTES - unreadable; i++) {
		uint32_t at = frame->eip + i;
		uint8_t byte;

		if (at > limit)
			break;
		__asm__ volatile("movb %%fs:(%1), %0" : "=q"(byte) : "r"(at));
		to = format(to, i ? " %2" : "%2", (uint32_t)byte);
	}
}

/* A row of the report on the screen.  In: the proc's place; the row; as format. */
static void report_row(unsigned place, unsigned row, const char *how, ...)
{
	static char line[COLUMNS + 1];
	va_list values;

	va_start(values, how);
	format_list(line, how, values);
	va_end(values);
	window_report(place, row, line);
}

/* The last proc has ended: from here on only keys are obeyed (look_while_halted). */
void report_none_left(void)
{
	log_line("halt reason=\"no proc is left\"");
}

/*
 * A proc has ended.  In: its name and place; its frame, unchanged; why; the name of
 * the proc that goes on, 0 if none is left.
 */
void report_end(char proc, unsigned place, const struct frame *frame,
		const struct cause *cause, char next)
{
	const char *name = exception_name(cause->vector);
	const char *title = exception_title(cause->vector);
	static char meaning[MEANING_BYTES], code[CODE_TEXT_BYTES], line[COLUMNS + 1];
	static char walked[2 * COLUMNS];
	const struct page_words *page = cause->page;

	error_meaning(meaning, cause->vector, cause->error);
	code_text(code, frame, cause->unreadable);
	*walked = 0;
	if (page)
		format(walked, " cr2=%8 walk=\"%s, %s\"", page->address, page->lines[0], page->lines[1]);

	log_line("fault proc=%c vector=%2 name=%s error=%s means=\"%s\" cs:eip=%4:%8 "
		 "ss:esp=%4:%8 bytes=\"%s\"%s%s", proc, cause->vector, name,
		 error_code(cause->vector, cause->error), meaning, (uint32_t)frame->cs, frame->eip,
		 (uint32_t)frame->ss, frame->esp, code,
		 cause->restoring ? " while=restore" : "", walked);
	log_line("end proc=%c alive=%s", proc, next ? (const char[]){ next, 0 } : "none");

	format(line, "ended by %s, %s", name, title);
	window_end(place, line);
	report_row(place, 1, "%s: %s", name, title);
	report_row(place, 2, page ? "0x%2 cr2 %8, cr3 %8" : "vector 0x%2", cause->vector,
		   page ? page->address : 0, page ? page->directory : 0);
	report_row(place, 3, "cs:eip %4:%8", (uint32_t)frame->cs, frame->eip);
	report_row(place, 4, " bytes %s", code);
	report_row(place, 5, "ss:esp %4:%8", (uint32_t)frame->ss, frame->esp);
	if (*meaning)
		format(line, " error %4: %s", cause->error, meaning);
	else
		format(line, " error none");
	window_report(place, 6, line);
	if (page) {
		report_row(place, 7, "\xc0%s", page->lines[0]);	/* the corners of a walk's way */
		report_row(place, 8, " \xc0%s", page->lines[1]);
		window_report(place, 9, page->usually);
	} else {
		window_report(place, 7, cause->restoring ? "while ring 0 restored its registers" : "");
		window_report(place, 8, exception_usually(cause->vector, cause->error));
	}

	if (!next)
		report_none_left();
}

/* A proc that had ended starts again. */
void report_start(char proc)
{
	log_line("start proc=%c", proc);
	clocks_forget();
}

/* int3 or into.  In: the proc, which goes on, and its frame; how many traps so far. */
void tell_trap(char proc, const struct frame *frame, uint32_t vector, uint32_t count)
{
	log_line("trap n=%d proc=%c vector=%2 name=%s cs:eip=%4:%8", (uint64_t)count,
		 proc, vector, exception_name(vector), (uint32_t)frame->cs, frame->eip);
}

/* A line of the log for interrupts that came and did no harm, if there are new ones. */
void report_strays(void)
{
	static uint32_t logged_nmis, logged_spurious;

	if (nmis == logged_nmis && spurious == logged_spurious)
		return;
	logged_nmis = nmis;
	logged_spurious = spurious;
	log_line("stray nmi=%d spurious=%d", (uint64_t)logged_nmis, (uint64_t)logged_spurious);
}

/* An exception is no part of a turn. */
void tell_way_in(void)
{
	clocks_forget();
}

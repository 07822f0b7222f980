/*
 * The report after a proc's exception: a line for the log, and for the screen what a
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

enum {
	CODE_BYTES = 8,		/* shown at cs:eip */
	CODE_TEXT_BYTES = 3 * CODE_BYTES + 1,
};

/*
 * The bytes at a proc's cs:eip, as far as its segment goes.  They are read as the
 * proc itself would read them: by its own selector (in fs), while its LDT is the
 * one in use.  First lar tells whether there is such a segment, that can be read
 * (verr says so of an absent one, too), and lsl where it ends.
 */
static void code_text(char *to, const struct frame *frame)
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
	for (uint32_t i = 0; i < CODE_BYTES; i++) {
		uint32_t at = frame->eip + i;
		uint8_t byte;

		if (at > limit)
			break;
		__asm__ volatile("movb %%fs:(%1), %0" : "=q"(byte) : "r"(at));
		to = format(to, i ? " %2" : "%2", (uint32_t)byte);
	}
}

/* The last has ended: only keys are obeyed from here on (look_while_halted). */
void report_none_left(void)
{
	log_line("halt reason=\"no proc is left\"");
}

/*
 * A proc has ended.  In: its name and place; its frame, still as it was; why; the
 * name of who goes on, 0 if nobody does.
 */
void report_end(char proc, unsigned place, const struct frame *frame,
		const struct cause *cause, char next)
{
	const char *name = exception_name(cause->vector);
	const char *title = exception_title(cause->vector);
	static char meaning[MEANING_BYTES], code[CODE_TEXT_BYTES], line[COLUMNS + 1];

	error_meaning(meaning, cause->vector, cause->error);
	code_text(code, frame);

	log_line("fault proc=%c vector=%2 name=%s error=%4 means=\"%s\" cs:eip=%4:%8 "
		 "ss:esp=%4:%8 bytes=\"%s\"%s", proc, cause->vector, name,
		 cause->error, meaning, (uint32_t)frame->cs, frame->eip,
		 (uint32_t)frame->ss, frame->esp, code,
		 cause->restoring ? " while=restore" : "");
	log_line("end proc=%c alive=%s", proc, next ? (const char[]){ next, 0 } : "none");

	format(line, "ended by %s, %s", name, title);
	window_end(place, line);
	format(line, "%s: %s", name, title);
	window_report(place, 1, line);
	format(line, "vector 0x%2", cause->vector);
	window_report(place, 2, line);
	format(line, "cs:eip %4:%8", (uint32_t)frame->cs, frame->eip);
	window_report(place, 3, line);
	format(line, " bytes %s", code);
	window_report(place, 4, line);
	format(line, "ss:esp %4:%8", (uint32_t)frame->ss, frame->esp);
	window_report(place, 5, line);
	if (*meaning)
		format(line, " error %4: %s", cause->error, meaning);
	else
		format(line, " error none");
	window_report(place, 6, line);
	window_report(place, 7, cause->restoring ? "when ring 0 gave its registers back" : "");
	window_report(place, 8, exception_usually(cause->vector, cause->error));

	if (!next)
		report_none_left();
}

/* Who had ended starts anew. */
void report_start(char proc)
{
	log_line("start proc=%c", proc);
	clocks_forget();
}

/* int3 or into.  In: the proc, which goes on, and its frame; how many there were. */
void tell_trap(char proc, const struct frame *frame, uint32_t vector, uint32_t count)
{
	log_line("trap n=%d proc=%c vector=%2 name=%s cs:eip=%4:%8", (uint64_t)count,
		 proc, vector, exception_name(vector), (uint32_t)frame->cs, frame->eip);
}

/* A line of the log for interrupts that came and did no harm. */
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

/*
 * The report after a proc's exception: a line for the log, and for the screen what a
 * learner needs to find the mistake.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any stack, interrupts off, no errors.
 */
#include "report.h"
#include "explain.h"
#include "layout.h"
#include "screen.h"
#include "side.h"
#include "text.h"

enum {
	CODE_BYTES = 8,		/* shown at cs:eip */
	CODE_TEXT_BYTES = 3 * CODE_BYTES + 1,
};

/*
 * The bytes at a proc's cs:eip, as far as its segment goes.  They are read as the
 * proc itself would read them: by its own selector (in fs), while its LDT is the
 * one in use, and after asking lsl where the segment ends.
 */
static void code_text(char *to, const struct frame *frame)
{
	uint32_t limit;
	bool valid;

	*to = 0;
	__asm__("lsl %2, %0" : "=r"(limit), "=@ccz"(valid) : "r"((uint32_t)frame->cs));
	if (!valid)
		return;
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

/*
 * A proc has ended.  In: the proc, still as it was; why; the name of who goes on, 0
 * if nobody does.
 */
void report_end(const struct reported *proc, const struct cause *cause, char next)
{
	const struct frame *frame = proc->frame;
	const char *name = exception_name(cause->vector);
	const char *title = exception_title(cause->vector);
	static char meaning[MEANING_BYTES], code[CODE_TEXT_BYTES], line[COLUMNS + 1];

	error_meaning(meaning, cause->vector, cause->error);
	code_text(code, frame);

	log_line("fault proc=%c vector=%2 name=%s error=%4 means=\"%s\" cs:eip=%4:%8 "
		 "ss:esp=%4:%8 bytes=\"%s\"%s", proc->name, cause->vector, name,
		 cause->error, meaning, (uint32_t)frame->cs, frame->eip,
		 (uint32_t)frame->ss, frame->esp, code,
		 cause->restoring ? " while=restore" : "");
	log_line("end proc=%c alive=%s", proc->name, next ? (const char[]){ next, 0 } : "none");

	format(line, "ended by %s, %s", name, title);
	side_end(proc->place, line);
	format(line, "%s, vector 0x%2: %s", name, cause->vector, title);
	side_report(proc->place, 1, line);
	side_report(proc->place, 2, cause->restoring ? "when ring 0 gave its registers back" : "");
	format(line, "cs:eip %4:%8", (uint32_t)frame->cs, frame->eip);
	side_report(proc->place, 3, line);
	format(line, " bytes %s", code);
	side_report(proc->place, 4, line);
	format(line, "ss:esp %4:%8", (uint32_t)frame->ss, frame->esp);
	side_report(proc->place, 5, line);
	if (*meaning)
		format(line, " error %4: %s", cause->error, meaning);
	else
		format(line, " error none");
	side_report(proc->place, 6, line);
	side_report(proc->place, 7, exception_usually(cause->vector, cause->error));

	if (!next) {
		log_line("halt reason=\"no proc is left\"");
		screen_message("No proc is left. The machine stops here.", "");
	}
}

/* int3 and into are a proc's own wish, and it goes on behind them.  Their lines in
   the log get rarer, as those of the switches do. */
void report_trap(const struct reported *proc, uint32_t vector)
{
	static uint32_t traps;

	traps++;
	if (traps & (traps - 1))
		return;
	log_line("trap n=%d proc=%c vector=%2 name=%s cs:eip=%4:%8", (uint64_t)traps,
		 proc->name, vector, exception_name(vector), (uint32_t)proc->frame->cs,
		 proc->frame->eip);
}

/*
 * The report after an exception: a line for the log, and for the screen what a
 * learner needs to find the mistake.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, fault_stack (report_panic also
 * double_fault_stack), interrupts off, no errors.
 */
#include "report.h"
#include "explain.h"
#include "screen.h"
#include "segments.h"
#include "text.h"

enum {
	CODE_BYTES = 8,		/* shown at cs:eip */
	CODE_TEXT_BYTES = 3 * CODE_BYTES + 1,
	STACK_WORDS = 24,	/* shown at ss:esp, of ring 0 */
	WORDS_PER_ROW = 8,
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
 * A proc has ended.  In: the proc, still as it was; why; who goes on, 0 if
 * nobody does.
 */
void report_end(const struct proc *proc, const struct cause *cause, const struct proc *next)
{
	const struct frame *frame = &proc->frame;
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
	log_line("end proc=%c alive=%s", proc->name,
		 next ? (const char[]){ next->name, 0 } : "none");

	format(line, "ended by %s, %s", name, title);
	screen_end(proc, line);
	format(line, "%s, vector 0x%2: %s", name, cause->vector, title);
	screen_report(proc, 1, line);
	screen_report(proc, 2, cause->restoring ? "when ring 0 gave its registers back" : "");
	format(line, "cs:eip %4:%8", (uint32_t)frame->cs, frame->eip);
	screen_report(proc, 3, line);
	format(line, " bytes %s", code);
	screen_report(proc, 4, line);
	format(line, "ss:esp %4:%8", (uint32_t)frame->ss, frame->esp);
	screen_report(proc, 5, line);
	if (*meaning)
		format(line, " error %4: %s", cause->error, meaning);
	else
		format(line, " error none");
	screen_report(proc, 6, line);
	screen_report(proc, 7, exception_usually(cause->vector, cause->error));

	if (!next) {
		log_line("halt reason=\"no proc is left\"");
		screen_message("No proc is left. The machine stops here.", "");
	}
}

/* int3 or into.  In: the proc, which goes on; how many there were. */
void report_trap(const struct proc *proc, uint32_t vector, uint32_t count)
{
	log_line("trap n=%d proc=%c vector=%2 name=%s cs:eip=%4:%8", (uint64_t)count,
		 proc->name, vector, exception_name(vector), (uint32_t)proc->frame.cs,
		 proc->frame.eip);
}

/* Words of ring 0's stack, one after the other, as long as there are some. */
static void stack_text(char *to, const struct frame *frame, unsigned first, unsigned count)
{
	*to = 0;
	for (unsigned i = first; i < first + count; i++) {
		uint32_t at = frame->esp + i * sizeof at;

		if (frame->ss != RING0_DATA || at > PROGRAM_BYTES - sizeof at)
			return;
		to = format(to, i > first ? " %8" : "%8", *(const uint32_t *)at);
	}
}

/*
 * Ring 0 has failed.  In: the state it was in.  Of that, nothing is believed:
 * what cannot be read is not shown.
 */
void report_panic(const struct frame *f, const struct cause *cause)
{
	const char *name = exception_name(cause->vector);
	static char meaning[MEANING_BYTES], stack[9 * STACK_WORDS], line[COLUMNS + 1];

	error_meaning(meaning, cause->vector, cause->error);
	stack_text(stack, f, 0, STACK_WORDS);

	log_line("panic vector=%2 name=%s error=%4 means=\"%s\" cs:eip=%4:%8 ss:esp=%4:%8 "
		 "eflags=%8 eax=%8 ecx=%8 edx=%8 ebx=%8 ebp=%8 esi=%8 edi=%8 "
		 "ds=%4 es=%4 fs=%4 gs=%4", cause->vector, name, cause->error, meaning,
		 (uint32_t)f->cs, f->eip, (uint32_t)f->ss, f->esp, f->eflags, f->eax, f->ecx,
		 f->edx, f->ebx, f->ebp, f->esi, f->edi, (uint32_t)f->ds, (uint32_t)f->es,
		 (uint32_t)f->fs, (uint32_t)f->gs);
	log_line("stack words=\"%s\"", stack);

	screen_panic(0, "Ring 0 itself has failed. The machine stops here.");
	format(line, "%s, vector 0x%2: %s", name, cause->vector, exception_title(cause->vector));
	screen_panic(2, line);
	screen_panic(3, exception_usually(cause->vector, cause->error));
	format(line, "cs:eip %4:%8   error %4: %s", (uint32_t)f->cs, f->eip, cause->error, meaning);
	screen_panic(5, line);
	format(line, "eax %8   ebx %8   ecx %8   edx %8", f->eax, f->ebx, f->ecx, f->edx);
	screen_panic(6, line);
	format(line, "esi %8   edi %8   ebp %8   eflags %8", f->esi, f->edi, f->ebp, f->eflags);
	screen_panic(7, line);
	format(line, "ds  %4       es  %4       fs  %4       gs  %4", (uint32_t)f->ds,
	       (uint32_t)f->es, (uint32_t)f->fs, (uint32_t)f->gs);
	screen_panic(8, line);
	format(line, "The stack, from ss:esp %4:%8 upwards:", (uint32_t)f->ss, f->esp);
	screen_panic(10, line);
	for (unsigned i = 0; i < STACK_WORDS; i += WORDS_PER_ROW) {
		stack_text(line, f, i, WORDS_PER_ROW);
		screen_panic(11 + i / WORDS_PER_ROW, line);
	}
}

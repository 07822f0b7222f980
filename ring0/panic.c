/*
 * Ring 0's own end: all that is known, on the log and the screen, and a halt.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, a stack that is not the one in
 * trouble, interrupts off.
 */
#include "panic.h"
#include "show/explain.h"
#include "show/layout.h"
#include "machine.h"
#include "show/screen.h"
#include "segments.h"
#include "show/text.h"
#include "x86.h"

/* The program's. */
extern const struct tss double_fault_tss;
extern const char gdt[];
extern uint32_t program_base;

enum {
	STACK_WORDS = 24,	/* shown, from ss:esp on */
	WORDS_PER_ROW = 8,
};

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
static void report_panic(const struct frame *f, uint32_t vector, uint32_t error)
{
	const char *name = exception_name(vector);
	static char meaning[MEANING_BYTES], stack[9 * STACK_WORDS], line[COLUMNS + 1];

	error_meaning(meaning, vector, error);
	stack_text(stack, f, 0, STACK_WORDS);

	log_line("panic vector=%2 name=%s error=%4 means=\"%s\" cs:eip=%4:%8 ss:esp=%4:%8 "
		 "eflags=%8 eax=%8 ecx=%8 edx=%8 ebx=%8 ebp=%8 esi=%8 edi=%8 "
		 "ds=%4 es=%4 fs=%4 gs=%4", vector, name, error, meaning,
		 (uint32_t)f->cs, f->eip, (uint32_t)f->ss, f->esp, f->eflags, f->eax, f->ecx,
		 f->edx, f->ebx, f->ebp, f->esi, f->edi, (uint32_t)f->ds, (uint32_t)f->es,
		 (uint32_t)f->fs, (uint32_t)f->gs);
	log_line("stack words=\"%s\"", stack);

	screen_panic(0, "Ring 0 itself has failed. The machine stops here.");
	format(line, "%s, vector 0x%2: %s", name, vector, exception_title(vector));
	screen_panic(2, line);
	screen_panic(3, exception_usually(vector, error));
	format(line, "cs:eip %4:%8   error %4: %s", (uint32_t)f->cs, f->eip, error, meaning);
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

/*
 * In: the state ring 0 was in; ss:esp as they were before the exception.  If even
 * the report fails, that is not reported.
 */
_Noreturn void panic(const struct frame *frame, uint32_t vector, uint32_t error)
{
	static bool panicking;

	if (!panicking) {
		panicking = true;
		report_panic(frame, vector, error);
	}
	halt();
}

/* A check of ring 0's own has failed.  In: which one, and what it has found.  gs
   and interrupts may be as they like. */
_Noreturn void panic_because(const char *what)
{
	__asm__ volatile("cli");
	screen_use();
	log_line("panic check=\"%s\"", what);
	screen_panic(0, "Ring 0 itself has failed. The machine stops here.");
	screen_panic(2, what);
	halt();
}

/* The TSS that was in use before double_fault's: a program may have several.  One
   without registers, if TR was not loaded yet. */
static const struct tss *tss_left(void)
{
	static const struct tss none;

	if (!double_fault_tss.backlink)
		return &none;

	const struct descriptor *row = (const struct descriptor *)(gdt + double_fault_tss.backlink);
	uint32_t linear = row->base_low | row->base_mid << 16 | (uint32_t)row->base_high << 24;

	return (const struct tss *)(linear - program_base);
}

/* From: double_fault (panic.S).  The CPU has put the registers into the TSS. */
_Noreturn void double_fault_panic(void)
{
	const struct tss *tss = tss_left();
	struct frame frame = {
		.gs = tss->gs, .fs = tss->fs, .es = tss->es, .ds = tss->ds,
		.edi = tss->edi, .esi = tss->esi, .ebp = tss->ebp, .ebx = tss->ebx,
		.edx = tss->edx, .ecx = tss->ecx, .eax = tss->eax,
		.eip = tss->eip, .cs = tss->cs, .eflags = tss->eflags,
		.esp = tss->esp, .ss = tss->ss,
	};

	panic(&frame, VECTOR_DF, 0);
}

/*
 * Ring 0's own end: what is known of it is told, and the machine halts.
 *
 * All functions: ring 0, a stack that is not the one in trouble, interrupts off.
 */
#include "panic.h"
#include "enter.h"
#include "machine.h"
#include "tables.h"
#include "tell.h"
#include "x86.h"

/*
 * In: the state ring 0 was in; ss:esp as they were before the exception.  If even
 * the report fails, that is not reported.
 */
_Noreturn void panic(const struct frame *frame, uint32_t vector, uint32_t error)
{
	static bool panicking;

	if (!panicking) {
		panicking = true;
		tell_panic(frame, vector, error);
	}
	halt();
}

/* A check of ring 0's own has failed.  In: which one, and what it has found.  gs
   and interrupts may be as they like. */
_Noreturn void panic_because(const char *what)
{
	__asm__ volatile("cli");
	tell_failed_check(what);
	halt();
}

/* The TSS that was in use before double_fault's: a program may have several.  One
   without registers, if TR was not loaded yet. */
static const struct tss *tss_left(void)
{
	static const struct tss none;

	if (!double_fault_tss.backlink)
		return &none;

	const struct descriptor *row = &gdt[double_fault_tss.backlink / DESCRIPTOR_BYTES];
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

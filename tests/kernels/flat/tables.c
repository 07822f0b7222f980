/*
 * tables.c - GDT, IDT and TSS, filled in at run time; PIC and PIT
 */
#include "flat.h"

extern uint8_t stubs[VECTORS][16], system_call_stub[];

void load_tables(const void *gdtr, const void *idtr);

struct descriptor {
	uint16_t limit_low;
	uint16_t base_low;
	uint8_t base_middle;
	uint8_t access;
	uint8_t flags_limit_high;
	uint8_t base_high;
};

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t zero;
	uint8_t access;
	uint16_t offset_high;
};

/* What lgdt and lidt read: six bytes. */
struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map;
};

static struct descriptor gdt[6];
static struct gate idt[256];
static struct tss tss;

static void set_descriptor(int number, uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
	struct descriptor *d = &gdt[number];

	d->limit_low = limit;
	d->base_low = base;
	d->base_middle = base >> 16;
	d->access = access;
	d->flags_limit_high = flags << 4 | (limit >> 16 & 0xf);
	d->base_high = base >> 24;
}

static void set_gate(int vector, const void *handler, uint8_t access)
{
	struct gate *g = &idt[vector];

	g->offset_low = (uint32_t)handler;
	g->selector = KERNEL_CODE;
	g->zero = 0;
	g->access = access;
	g->offset_high = (uint32_t)handler >> 16;
}

/* The PICs count from vector 0x20 on, and only the timer's IRQ comes through. */
static void start_timer(void)
{
	outb(PIC1, PIC_INIT);
	outb(PIC2, PIC_INIT);
	outb(PIC1_DATA, IRQ(0));
	outb(PIC2_DATA, IRQ(8));
	outb(PIC1_DATA, 1 << 2);	/* the second PIC is wired to IRQ 2 */
	outb(PIC2_DATA, 2);
	outb(PIC1_DATA, 1);	/* as an 8086 wants it */
	outb(PIC2_DATA, 1);
	outb(PIC1_DATA, (uint8_t)~1);
	outb(PIC2_DATA, 0xff);
	outb(PIT_COMMAND, PIT_RATE);
	outb(PIT, PIT_DIVISOR_LOW);
	outb(PIT, PIT_DIVISOR_HIGH);
}

/* Where the CPU pushes the next time that ring 3 is left. */
void set_kernel_stack(uint32_t end)
{
	tss.esp0 = end;
}

/* From start, once.  Interrupts are off, and stay so until the first thread runs. */
void tables_start(void)
{
	struct table_register gdtr = { sizeof gdt - 1, (uint32_t)gdt };
	struct table_register idtr = { sizeof idt - 1, (uint32_t)idt };

	set_descriptor(KERNEL_CODE / 8, 0, 0xfffff, CODE(0), PAGES_32);
	set_descriptor(KERNEL_DATA / 8, 0, 0xfffff, DATA(0), PAGES_32);
	set_descriptor(USER_CODE / 8, 0, 0xfffff, CODE(3), PAGES_32);
	set_descriptor(USER_DATA / 8, 0, 0xfffff, DATA(3), PAGES_32);
	set_descriptor(TSS_SELECTOR / 8, (uint32_t)&tss, sizeof tss - 1, TASK(0), 0);
	tss.ss0 = KERNEL_DATA;
	tss.io_map = sizeof tss;	/* beyond the limit: no port is open */

	for (int vector = 0; vector < VECTORS; vector++)
		set_gate(vector, stubs[vector], INTERRUPT_GATE(0));
	set_gate(SYSTEM_CALL, system_call_stub, INTERRUPT_GATE(3));

	load_tables(&gdtr, &idtr);
	start_timer();
}

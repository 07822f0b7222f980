/*
 * processes.c - two processes: who is next, what the calls do, and words on COM1
 */
#include "paged.h"

#define PROCESSES	2
#define COM1		0x3f8
#define COM1_LINE	(COM1 + 3)
#define COM1_8_BITS	0x03
#define COM1_DIVISOR	0x80	/* instead of data, COM1 and COM1 + 1 are the divisor */
#define COM1_STATUS	(COM1 + 5)
#define COM1_EMPTY	0x20

struct process {
	struct space space;
	struct frame *frame;
	uint8_t kernel_stack[PAGE];
};

extern struct tss {
	uint32_t link, esp0, ss0;
} tss;

static struct process processes[PROCESSES];
static uint8_t info[PAGE] __attribute__((aligned(PAGE)));
static uint8_t stacks[PROCESSES][PAGE] __attribute__((aligned(PAGE)));
static unsigned current;
static uint32_t crossings;

/* 115,200 bits a second, eight a character.  QEMU does not care, others do. */
static void start_serial(void)
{
	outb(COM1_LINE, COM1_DIVISOR);
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1_LINE, COM1_8_BITS);
}

static void put(char c)
{
	while (!(inb(COM1_STATUS) & COM1_EMPTY))
		;
	outb(COM1, c);
}

static void print(const char *what, uint32_t number)
{
	while (*what)
		put(*what++);
	for (int shift = 28; shift >= 0; shift -= 4)
		put("0123456789abcdef"[number >> shift & 15]);
	put('\n');
}

/* At each way in; the user may read it. */
static void count(void)
{
	crossings++;
	*(uint32_t *)info = crossings;
}

/* Says so at 1, 1,024, 2,048, 4,096, ... crossings, or as soon as a process asks then. */
static void tell(void)
{
	static uint32_t next = 1;

	if (crossings < next)
		return;
	print("paged: crossings ", crossings);
	next = next == 1 ? 1024 : 2 * next;
}

static struct frame *run(unsigned number)
{
	struct process *process = &processes[number];

	current = number;
	tss.esp0 = (uint32_t)process->kernel_stack + sizeof process->kernel_stack;
	space_enter(&process->space);
	return process->frame;
}

static struct frame *next(struct frame *frame)
{
	processes[current].frame = frame;
	return run((current + 1) % PROCESSES);
}

/* From the start, once: returns the frame through which the first process begins. */
struct frame *processes_start(void)
{
	start_serial();
	for (unsigned i = 0; i < PROCESSES; i++) {
		struct process *process = &processes[i];
		struct frame *frame = (struct frame *)(process->kernel_stack + PAGE) - 1;

		space_create(&process->space, info, stacks[i]);
		frame->ds = frame->es = frame->ss = USER_DATA | 3;
		frame->cs = USER_CODE | 3;
		frame->eip = USER_CODE_PAGE;
		frame->eflags = EFLAGS_ALWAYS | EFLAGS_IF;
		frame->esp = USER_STACK_PAGE + PAGE;
		process->frame = frame;
	}
	return run(0);
}

/* From system_call, timer and page_fault; interrupts are off. */
struct frame *process_call(struct frame *frame)
{
	count();
	tell();
	switch (frame->eax) {
	case CALL_YIELD:
		return next(frame);
	case CALL_FREE:
		heap_free(&processes[current].space);
		return frame;
	default:
		print("paged: the heap was not zero: ", frame->ecx);
		return frame;
	}
}

struct frame *process_timer(struct frame *frame)
{
	count();
	outb(PIC1, PIC_EOI);
	return next(frame);
}

/* From fatal: that is the end. */
void die(uint32_t vector, uint32_t address)
{
	print("paged: exception ", vector);
	print("paged: cr2 ", address);
	for (;;)
		__asm__ volatile ("cli; hlt");
}

void process_page_fault(uint32_t address, uint32_t error)
{
	if (!heap_map(&processes[current].space, address)) {
		print("paged: page fault, error code ", error);
		die(PAGE_FAULT, address);
	}
	count();
}

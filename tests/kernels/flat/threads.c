/*
 * threads.c - who is next, and what the calls do
 */
#include "flat.h"

#define THREADS		3
#define STACK_BYTES	4096

void thread_a(void), thread_b(void), thread_c(void);

/* A thread that waits lies in a frame on its own kernel stack. */
struct thread {
	struct frame *frame;
	uint8_t stack[STACK_BYTES];
};

static struct thread threads[THREADS];
static uint8_t user_stacks[THREADS][STACK_BYTES];
static unsigned current;
static uint32_t crossings;

/* The last greeting, between two fences that a copy in the wrong direction hits. */
static struct {
	uint32_t before;
	char greeting[GREETING_BYTES];
	uint32_t behind;
} heard;

/* The thread's first frame, as if it had once come in, with all its registers zero. */
static void create(unsigned number, void (*code)(void), uint16_t cs, uint16_t data)
{
	struct thread *thread = &threads[number];
	struct frame *frame = (struct frame *)(thread->stack + STACK_BYTES) - 1;

	frame->ds = frame->es = frame->ss = data;
	frame->cs = cs;
	frame->eip = (uint32_t)code;
	frame->eflags = EFLAGS_ALWAYS | EFLAGS_IF;
	frame->esp = (uint32_t)user_stacks[number] + STACK_BYTES;
	thread->frame = frame;
}

static struct frame *run(unsigned number)
{
	current = number;
	set_kernel_stack((uint32_t)threads[number].stack + STACK_BYTES);
	return threads[number].frame;
}

static struct frame *next(struct frame *frame)
{
	threads[current].frame = frame;
	return run((current + 1) % THREADS);
}

/* From start: returns the frame through which the first thread begins. */
struct frame *threads_start(void)
{
	create(0, thread_a, USER_CODE | 3, USER_DATA | 3);
	create(1, thread_b, USER_CODE | 3, USER_DATA | 3);
	create(2, thread_c, KERNEL_CODE, KERNEL_DATA);
	return run(0);
}

static struct frame *call(struct frame *frame)
{
	switch (frame->eax) {
	case CALL_YIELD:
		return next(frame);
	case CALL_GREET: {
		const char *from = (const char *)frame->esi;
		char *to = heard.greeting;
		uint32_t bytes = GREETING_BYTES;

		__asm__ volatile ("rep movsb" : "+S" (from), "+D" (to), "+c" (bytes) : : "memory");
		if (heard.before || heard.behind)
			say("flat", "the copy has missed its place: ", heard.before | heard.behind);
		frame->eax = crossings;
		return frame;
	}
	default:
		say("flat", "a thread says that its result is wrong: ", frame->edx);
		return frame;
	}
}

/*
 * From enter, with interrupts off: what has come in is in *frame.  Returns the frame to
 * leave through.
 */
struct frame *interrupt(struct frame *frame)
{
	report("flat", ++crossings);
	if (frame->vector == SYSTEM_CALL)
		return call(frame);
	if (frame->vector == IRQ(0)) {
		outb(PIC1, PIC_EOI);
		return next(frame);
	}
	say("flat", "exception ", frame->vector);
	say("flat", "its error code ", frame->error);
	say("flat", "at eip ", frame->eip);
	for (;;)
		__asm__ volatile ("cli; hlt");
}

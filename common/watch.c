/*
 * The switch for all to see: log, screen, pace.  The gate counts switches_left
 * down and comes here when it reaches zero: at a slow pace at every switch, at
 * full speed some thirty times a second, and always at those switches that the
 * log wants.  In between, switches cost what they cost and nothing else.
 */
#include "watch.h"
#include "fault.h"
#include "pace.h"
#include "screen.h"
#include "switch.h"
#include "text.h"

/* p_proc.S: the first to run, the tables, the gate's two entry points. */
extern struct proc proc_a;
extern struct tss tss;
extern struct gate idt[], idt_gate;
extern char gdt[], gate[], gate_with_stop[];
extern uint32_t program_base;

uint32_t switches_left = 1;		/* counted down by the gate */
static uint32_t switches_asked = 1;	/* what it was set to */
static uint64_t switches;		/* so far */
static uint64_t log_next = 1;		/* 1, 2, 4, 8, ... */

/*
 * From:	start (p_proc.S), once, before the first iret.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
void watch_start(void)
{
	log_hex("boot prog=p_proc base=", program_base, 8);
	log_hex(" gdt=", (uint32_t)gdt, 8);
	log_hex(" idt=", (uint32_t)idt, 8);
	log_hex(" tss=", (uint32_t)&tss, 8);
	log_text("\n");
	screen_start(&proc_a);
	pace_start();
	*proc_a.show = 1;
	*proc_a.next->show = 1;
}

static void log_switch(const struct proc *from, const struct proc *to)
{
	log_text("switch n=");
	log_text(decimal(switches));
	log_text(" from=");
	log_text((const char[]){ from->name, 0 });
	log_text(" to=");
	log_text((const char[]){ to->name, 0 });
	log_hex(" esp0=", tss.esp0, 8);
	log_text("\n");
}

/*
 * From:	the gate, in place of switch_to_next, with the same in and out.
 * Stack:	ring0_stack.  Interrupts off.  gs: RING0_SCREEN.
 */
struct proc *watched_switch(struct proc *from)
{
	struct proc *to = switch_to_next(from, &tss);

	switches += switches_asked;
	if (switches == log_next) {
		log_switch(from, to);
		log_next *= 2;
	}
	if (pace_wants_picture())
		screen_switch(switches, to, &tss);
	*from->show = 1;
	*to->show = 1;
	switches_asked = pace_wait(to, switches);
	if (switches_asked > log_next - switches)
		switches_asked = log_next - switches;
	switches_left = switches_asked;

	/* Who sees every switch may want to stop at every one. */
	idt_gate.offset = (uint16_t)(uint32_t)(pace_is_slow() ? gate_with_stop : gate);
	return to;
}

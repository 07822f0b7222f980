/* The machine as the page sees it: run for a while, make one step, tell what was in it.

   Everything called rp_... is called from web/machine.js. It stops Bochs with a timer of its own:
   a tick is an instruction, or ten while the CPU halts, so that time goes on there as well. */

#include "bochs.h"
#include "cpu/cpu.h"
#include "iodev/iodev.h"
#include "memory/memory-bochs.h"
#include "pc_system.h"
#include "plugin.h"
#include "gui/gui.h"

#include <emscripten.h>

#define EXPORT extern "C" EMSCRIPTEN_KEEPALIVE

bool rp_telling;

/* ---- what a step did: words, as web/machine.js reads them */

enum { READ, WRITE, EXCEPTION, INTERRUPT, READ_ENTRY, WRITE_ENTRY };
enum { EVENT_WORDS = 5, MOST_EVENTS = 4096, STATE_WORDS = 56, MOST_LOG = 1 << 16 };

static Bit32u events[MOST_EVENTS * EVENT_WORDS]; /* kind, address or vector, length or error, value low, high */
static Bit32u event_count;
static Bit32u last_linear;

static void event(Bit32u kind, Bit32u a, Bit32u b, Bit32u low, Bit32u high)
{
	if (event_count == MOST_EVENTS)
		return;
	Bit32u *e = events + EVENT_WORDS * event_count++;
	e[0] = kind;
	e[1] = a;
	e[2] = b;
	e[3] = low;
	e[4] = high;
}

static void access(Bit32u kind, Bit32u address, unsigned length, const Bit8u *data)
{
	Bit32u value[2] = { 0, 0 };

	memcpy(value, data, length < 8 ? length : 8);
	event(kind, address, length, value[0], value[1]);
}

void rp_linear(bx_address linear, unsigned length, unsigned how, const Bit8u *data)
{
	last_linear = (Bit32u)linear;
	access(how == BX_WRITE ? WRITE : READ, last_linear, length, data);
}

/* By its physical address alone Bochs tells an entry of a page table, and a write back to what it
   has just read by a linear one. why: an AccessReason of cpu.h. */
void rp_physical(bx_phy_address physical, unsigned length, unsigned how, unsigned why, const Bit8u *data)
{
	bool entry = why >= BX_PDPTR0_ACCESS && why <= BX_PML5E_ACCESS;

	if (entry)
		access(how == BX_WRITE ? WRITE_ENTRY : READ_ENTRY, (Bit32u)physical, length, data);
	else
		access(how == BX_WRITE ? WRITE : READ, last_linear, length, data);
}

/* ---- the state, as words */

static Bit32u now[STATE_WORDS];          /* after the step */
static Bit32u between[STATE_WORDS];      /* behind an interrupt, before the handler's first instruction */
static bool interrupted;

static Bit32u *segment(Bit32u *to, bx_segment_reg_t *s)
{
	*to++ = s->selector.value;
	*to++ = (Bit32u)s->cache.u.segment.base;
	*to++ = s->cache.u.segment.limit_scaled;
	*to++ = BX_CPU(0)->get_descriptor_h(&s->cache) >> 8 & 0xffff;
	return to;
}

static void tell_state(Bit32u *to)
{
	static const int ORDER[] = { BX_SEG_REG_CS, BX_SEG_REG_SS, BX_SEG_REG_DS, BX_SEG_REG_ES,
				     BX_SEG_REG_FS, BX_SEG_REG_GS };
	BX_CPU_C *cpu = BX_CPU(0);
	Bit64u ticks = bx_pc_system.time_ticks();

	for (int i = 0; i < 8; i++)
		*to++ = cpu->get_reg32(i);
	*to++ = cpu->get_eip();
	*to++ = cpu->read_eflags();
	*to++ = cpu->cr0.get32();
	*to++ = cpu->sregs[BX_SEG_REG_CS].selector.rpl;
	for (int i = 0; i < 6; i++)
		to = segment(to, &cpu->sregs[ORDER[i]]);
	to = segment(to, &cpu->tr);
	to = segment(to, &cpu->ldtr);
	*to++ = (Bit32u)cpu->gdtr.base;
	*to++ = cpu->gdtr.limit;
	*to++ = (Bit32u)cpu->idtr.base;
	*to++ = cpu->idtr.limit;
	*to++ = cpu->activity_state;
	*to++ = (Bit32u)ticks;
	*to++ = (Bit32u)(ticks >> 32);
	*to++ = (Bit32u)cpu->cr2;
	*to++ = (Bit32u)cpu->cr3;
	*to++ = cpu->cr4.get32();
}

/* ---- Bochs' callbacks */

void rp_exception(unsigned vector, unsigned error)
{
	if (rp_telling)
		event(EXCEPTION, vector, error, 0, 0);
}

void rp_interrupt(unsigned vector)
{
	if (rp_telling) {
		interrupted = true;
		event(INTERRUPT, vector, 0, 0, 0);
	}
}

/* Bochs enters an interrupt's handler and executes its first instruction in one go. This is called
   between them, so that the page can tell them apart. */
void rp_before_execution(void)
{
	if (interrupted) {
		interrupted = false;
		tell_state(between);
		event(INTERRUPT, 0x100, 0, 0, 0);
	}
}

static char log_text[MOST_LOG];
static Bit32u log_length;

void rp_out(Bit16u port, unsigned value)
{
	if (port == 0xe9 && log_length < MOST_LOG)
		log_text[log_length++] = (char)value;
}

/* ---- stopping it */

static int timer = -1;
static Bit32u wanted = 0xffffffff; /* linear address at which to stop */

static void stop(void *)
{
	bx_pc_system.kill_bochs_request = 1;
	BX_CPU(0)->async_event = 1;
}

void rp_initialize(void)
{
	if (timer < 0)
		timer = bx_pc_system.register_timer_ticks(NULL, stop, 1, 0, 0, "ringpong");
}

static void run(Bit32u ticks)
{
	bx_pc_system.kill_bochs_request = 0;
	bx_pc_system.activate_timer_ticks(timer, ticks, 0);
	BX_CPU(0)->cpu_loop();
	bx_pc_system.deactivate_timer(timer);
	bx_pc_system.kill_bochs_request = 0;
}

EXPORT void rp_run(Bit32u ticks)
{
	rp_telling = false;
	run(ticks);
	tell_state(now);
}

/* One instruction, with all accesses in it. */
EXPORT void rp_step(void)
{
	event_count = 0;
	interrupted = false;
	rp_telling = true;
	run(1);
	rp_telling = false;
	tell_state(now);
}

/* Steps until the next instruction lies at a linear address, at most so many; how many it were. */
EXPORT Bit32u rp_until(Bit32u linear, Bit32u most)
{
	BX_CPU_C *cpu = BX_CPU(0);
	Bit32u made = 0;

	rp_telling = false;
	do {
		run(1);
		made++;
	} while (made < most && (Bit32u)cpu->sregs[BX_SEG_REG_CS].cache.u.segment.base + cpu->get_eip() != linear);
	tell_state(now);
	return made;
}

/* Steps until CPL, as the low bits of cs, is another one than now; at most so many. */
EXPORT Bit32u rp_crossing(Bit32u most)
{
	BX_CPU_C *cpu = BX_CPU(0);
	unsigned ring = cpu->sregs[BX_SEG_REG_CS].selector.rpl;
	Bit32u made = 0;

	rp_telling = false;
	do {
		run(1);
		made++;
	} while (made < most && cpu->sregs[BX_SEG_REG_CS].selector.rpl == ring);
	tell_state(now);
	return made;
}

EXPORT Bit32u *rp_now(void)
{
	tell_state(now);
	return now;
}

EXPORT Bit32u *rp_between(void)
{
	return between;
}

EXPORT Bit32u *rp_events(void)
{
	return events;
}

EXPORT Bit32u rp_event_count(void)
{
	return event_count;
}

/* ---- memory, keys, log */

EXPORT void rp_read(Bit32u address, Bit32u length, Bit8u *to)
{
	BX_MEM(0)->dbg_fetch_mem(BX_CPU(0), address, length, to);
}

/* Of linear addresses; how many bytes could be read before a page was missing. */
EXPORT Bit32u rp_read_linear(Bit32u address, Bit32u length, Bit8u *to)
{
	for (Bit32u i = 0; i < length; i++) {
		bx_phy_address physical;

		if (!BX_CPU(0)->dbg_xlate_linear2phy(address + i, &physical))
			return i;
		rp_read((Bit32u)physical, 1, to + i);
	}
	return length;
}

/* The next instruction in words, as the GNU assembler has them; rp_length then knows its bytes. */
static unsigned length;

EXPORT const char *rp_disassemble(void)
{
	static char text[256];
	enum { LONGEST = 15 };
	Bit8u bytes[LONGEST + 1] = { 0 };
	BX_CPU_C *cpu = BX_CPU(0);
	bx_segment_reg_t *cs = &cpu->sregs[BX_SEG_REG_CS];
	bxInstruction_c decoded;

	rp_read_linear((Bit32u)cs->cache.u.segment.base + cpu->get_eip(), LONGEST, bytes);
	disasm(bytes, cs->cache.u.segment.d_b, false, text, &decoded, cs->cache.u.segment.base, cpu->get_eip(),
	       BX_DISASM_GAS);
	length = decoded.ilen();
	return text;
}

EXPORT Bit32u rp_length(void)
{
	return length;
}

/* Keys that are no character, as web/machine.js calls them. */
enum { SHIFT = 0x100, UP, DOWN, LEFT, RIGHT };

static Bit32u key_of(Bit32u which)
{
	if (which >= 'a' && which <= 'z')
		return BX_KEY_A + which - 'a';
	if (which >= '0' && which <= '9')
		return BX_KEY_0 + which - '0';
	switch (which) {
	case ' ': return BX_KEY_SPACE;
	case '+': return BX_KEY_KP_ADD;
	case '-': return BX_KEY_MINUS;
	case '.': return BX_KEY_PERIOD;
	case ',': return BX_KEY_COMMA;
	case '\n': return BX_KEY_ENTER;
	case '\b': return BX_KEY_BACKSPACE;
	case '\t': return BX_KEY_TAB;
	case 0x1b: return BX_KEY_ESC;
	case SHIFT: return BX_KEY_SHIFT_L;
	case UP: return BX_KEY_UP;
	case DOWN: return BX_KEY_DOWN;
	case LEFT: return BX_KEY_LEFT;
	case RIGHT: return BX_KEY_RIGHT;
	default: return BX_KEY_UNHANDLED;
	}
}

EXPORT void rp_key(Bit32u which, bool released)
{
	Bit32u key = key_of(which);

	if (key != BX_KEY_UNHANDLED)
		DEV_kbd_gen_scancode(key | (released ? BX_KEY_RELEASED : BX_KEY_PRESSED));
}

EXPORT char *rp_log(void)
{
	return log_text;
}

/* How long the log is; it is empty after that. */
EXPORT Bit32u rp_take_log(void)
{
	Bit32u length = log_length;

	log_length = 0;
	return length;
}

/*
 * The few devices that ring 0 talks to.  The only interrupt that comes to procs is that
 * of line 0: the alarm, for a proc that does not yield (watchdog.c), or in TIMER the
 * clock.  While ring 0 sleeps (sleep.S), the lines of timer and keyboard wake it.  They
 * only say that something has happened; timer and keyboard are then polled.
 *
 * All functions: ring 0, ring0_stack or fault_stack, interrupts off, no errors
 * but where it says so.
 */
#include "machine.h"
#include "enter.h"
#include "ports.h"
#include "x86.h"

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* One character of the log.  Bochs and QEMU listen there; a PC has nothing. */
void debug_out(char c)
{
	outb(DEBUG_PORT, (uint8_t)c);
}

/*
 * Initialises the two interrupt controllers (8259A): nothing is pending.  Our vectors are
 * IRQ_VECTORS and up, or WAKE_VECTORS and up, since the BIOS has its own among the
 * exceptions.  All lines of the second controller stay masked.
 * In: the first vector of each, and which lines are masked.
 */
enum {
	ICW1_CASCADED = 0x11,		/* edge triggered, four command words */
	ICW3_PIC_2_AT = 2,		/* the line of PIC 1 that PIC 2 uses */
	ICW4_8086 = 0x01,
	OCW3_IN_SERVICE = 0x0b,
	LINE_LAST = 7,
	ALARM_LINE = 0,
	KEYBOARD_LINE = 1,
	ALL_LINES = 0xff,
};

static void interrupts_start(uint8_t vector_1, uint8_t vector_2, uint8_t mask_1, uint8_t mask_2)
{
	outb(PIC_1, ICW1_CASCADED);
	outb(PIC_2, ICW1_CASCADED);
	outb(PIC_1_DATA, vector_1);
	outb(PIC_2_DATA, vector_2);
	outb(PIC_1_DATA, 1 << ICW3_PIC_2_AT);
	outb(PIC_2_DATA, ICW3_PIC_2_AT);
	outb(PIC_1_DATA, ICW4_8086);
	outb(PIC_2_DATA, ICW4_8086);
	outb(PIC_1_DATA, mask_1);
	outb(PIC_2_DATA, mask_2);
}

/*
 * Ends an interrupt.  If the line has fallen by the time the CPU asks for the vector,
 * the controller gives its last vector, with nothing in service: that is spurious, and
 * must not be ended.
 * In: the line.  Out: whether it was a true interrupt.
 */
bool interrupt_end(unsigned line)
{
	if (line == LINE_LAST) {
		outb(PIC_1, OCW3_IN_SERVICE);
		if (!(inb(PIC_1) & 1 << LINE_LAST))
			return false;
	}
	outb(PIC_1, PIC_END);
	return true;
}

/* The timer chip's counter 0, which interrupts by line 0.  In: mode; the value that it
   counts down from, 0 for 65536. */
enum {
	PIT_HZ = 1193182,
	PIT_0_MODE_0 = 0x30,	/* counter 0, both bytes, binary; mode 0: once, */
	PIT_0_MODE_2 = 0x34,	/* mode 2: again and again */
};

static void counter_0_set(uint8_t mode, uint16_t count)
{
	outb(PIT_CONTROL, mode);
	outb(PIT_COUNTER_0, count & 0xff);
	outb(PIT_COUNTER_0, count >> 8);
}

/* Lets lines of the first controller through, and drops pending interrupts.  In: its first
   vector, a bit for each line. */
static void lines_open(uint8_t vector, unsigned lines)
{
	interrupts_start(vector, WAKE_VECTORS, (uint8_t)~lines, ALL_LINES);
}

/* The alarm counts down once, for as long as it can (55 ms), and then interrupts.
   Setting it again starts it from the beginning. */
void alarm_set(void)
{
	counter_0_set(PIT_0_MODE_0, 0);
	lines_open(IRQ_VECTORS, 1 << ALARM_LINE);
}

/* The clock interrupts hz times a second.  Its first period begins now. */
void clock_set(unsigned hz)
{
	counter_0_set(PIT_0_MODE_2, PIT_HZ / hz);
	lines_open(IRQ_VECTORS, 1 << ALARM_LINE);
}

/* From here on neither alarm nor clock interrupts. */
void alarm_stop(void)
{
	outb(PIC_1_DATA, ALL_LINES);
}

/* What ends a sleep (sleep.S): 1/TIMER_HZ s from now, and any key.  A key that came before
   this no longer interrupts: look for it after this, and then sleep. */
void wakers_set(void)
{
	counter_0_set(PIT_0_MODE_0, PIT_HZ / TIMER_HZ);
	lines_open(WAKE_VECTORS, 1 << ALARM_LINE | 1 << KEYBOARD_LINE);
}

/*
 * The timer chip's counter 2, that of the loudspeaker, as an egg timer:
 * mode 0 counts down once and then holds its output high, which port 0x61 shows.
 */
enum {
	PIT_2_MODE_0 = 0xb0,	/* counter 2, both bytes, mode 0, binary */
	B_GATE_2 = 0x01,	/* 0x02 would be the loudspeaker itself */
	B_PARITY_BITS = 0x0c,
	B_OUT_2 = 0x20,
};

void timer_start(void)
{
	uint16_t count = PIT_HZ / TIMER_HZ;
	uint8_t b = inb(SYSTEM_CONTROL_B) & B_PARITY_BITS;

	outb(SYSTEM_CONTROL_B, b | B_GATE_2);
	outb(PIT_CONTROL, PIT_2_MODE_0);
	outb(PIT_COUNTER_2, count & 0xff);
	outb(PIT_COUNTER_2, count >> 8);
}

bool timer_done(void)
{
	return inb(SYSTEM_CONTROL_B) & B_OUT_2;
}

/*
 * Keys are known by their place (scan code set 1), so + and - are listed more than once:
 * for US and German keyboards, and for the numeric pad.  A code behind 0xe0 is another
 * key, in another place: none of ours.
 */
enum {
	STATUS_FULL = 0x01,
	STATUS_MOUSE = 0x20,
	CODE_PREFIX = 0xe0,
	KEYBOARD_BYTES = 32,		/* at most, waiting in the keyboard's controller */
	KEYS_KEPT = 32,
};

/* The keys that went down and have not been asked for yet. */
static enum key keys[KEYS_KEPT];
static unsigned keys_first, keys_waiting;
static bool heard;			/* a byte has come from the keyboard, whatever it says */

static enum key key_of(uint8_t code)
{
	switch (code) {
	case 0x39:
		return KEY_SPACE;
	case 0x0d:
	case 0x1b:
	case 0x4e:
		return KEY_PLUS;
	case 0x0c:
	case 0x35:
	case 0x4a:
		return KEY_MINUS;
	case 0x21:
		return KEY_F;
	case 0x10:
		return KEY_Q;
	case 0x13:
		return KEY_R;
	case 0x02 ... 0x0a:
		return KEY_1 + (code - 0x02);
	case 0x25:
		return KEY_K;
	}
	return KEY_NONE;
}

/*
 * Takes from the keyboard what it has: it keeps only 16 bytes, which are eight keys, and
 * loses what comes after that.  From: the alarm, and key_pressed.
 */
void keys_gather(void)
{
	static bool prefixed;

	for (unsigned i = 0; i < KEYBOARD_BYTES; i++) {
		uint8_t status = inb(KEYBOARD_STATUS);

		if (!(status & STATUS_FULL))
			return;

		uint8_t code = inb(KEYBOARD_DATA);

		if (status & STATUS_MOUSE)
			continue;

		enum key key = prefixed ? KEY_NONE : key_of(code);

		heard = true;
		prefixed = code == CODE_PREFIX;
		if (key == KEY_NONE)
			continue;
		if (keys_waiting < KEYS_KEPT)
			keys_waiting++;
		/* If there is no room, the last key is lost, not this one. */
		keys[(keys_first + keys_waiting - 1) % KEYS_KEPT] = key;
	}
}

/* The next key that went down, if there is one that means something. */
enum key key_pressed(void)
{
	keys_gather();
	if (!keys_waiting)
		return KEY_NONE;

	enum key key = keys[keys_first];

	keys_first = (keys_first + 1) % KEYS_KEPT;
	keys_waiting--;
	return key;
}

bool keyboard_heard(void)
{
	return heard;
}

/*
 * Leaves the devices as the BIOS expects them: its vectors, its clock tick, and no
 * interrupt that waits for an answer.  The PICs notice a line only when it rises, so
 * they come first, with all lines masked; then the lines that are up are made to fall.
 * Interrupts stay off; those that come from here on wait until they are let in.
 */
enum {
	BIOS_VECTORS_1 = 0x08,
	BIOS_VECTORS_2 = 0x70,
	PIT_0_MODE_3 = 0x36,		/* counter 0, both bytes, square wave */
};

void bios_devices_restore(void)
{
	interrupts_start(BIOS_VECTORS_1, BIOS_VECTORS_2, ALL_LINES, ALL_LINES);

	outb(PIT_CONTROL, PIT_0_MODE_3);
	outb(PIT_COUNTER_0, 0);		/* 65536: 18.2 Hz */
	outb(PIT_COUNTER_0, 0);
	outb(SYSTEM_CONTROL_B, inb(SYSTEM_CONTROL_B) & B_PARITY_BITS);
	outb(CMOS_INDEX, CMOS_STATUS_C);
	inb(CMOS_DATA);
	for (unsigned i = 0; i < KEYBOARD_BYTES && inb(KEYBOARD_STATUS) & STATUS_FULL; i++)
		inb(KEYBOARD_DATA);

	outb(PIC_1_DATA, bios_masks[0]);
	outb(PIC_2_DATA, bios_masks[1]);
}

/*
 * Switches off the machine, if it is one whose switch we know: the ports are written
 * only after the machine has identified itself.  Comes back if it is another, or if
 * that did not work.
 */
void power_off(void)
{
	/* QEMU's configuration device gives the signature "QEMU" under key 0;
	   its power management has the usual place in machines pc and q35. */
	outw(QEMU_CONFIG_SELECT, 0);
	if (inb(QEMU_CONFIG_DATA) == 'Q' && inb(QEMU_CONFIG_DATA) == 'E' &&
	    inb(QEMU_CONFIG_DATA) == 'M' && inb(QEMU_CONFIG_DATA) == 'U')
		outw(QEMU_POWER, 0x2000);

	/* Bochs' debug port answers with its own number. */
	if (inb(DEBUG_PORT) == DEBUG_PORT)
		for (const char *c = "Shutdown"; *c; c++)
			outb(BOCHS_POWER, (uint8_t)*c);
}

_Noreturn void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

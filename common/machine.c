/*
 * The few devices that ring 0 talks to, by asking them: no interrupts are used,
 * so nothing ever happens between two instructions of a proc.
 *
 * All functions: ring 0, ring0_stack or fault_stack, interrupts off, no errors
 * but where it says so.
 */
#include "machine.h"

enum port {
	PIT_COUNTER_2 = 0x42,
	PIT_CONTROL = 0x43,
	KEYBOARD_DATA = 0x60,
	SYSTEM_CONTROL_B = 0x61,
	KEYBOARD_STATUS = 0x64,
	DEBUG_PORT = 0xe9,
	QEMU_CONFIG_SELECT = 0x510,
	QEMU_CONFIG_DATA = 0x511,
	QEMU_POWER = 0x604,
	BOCHS_POWER = 0x8900,
};

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
 * The timer chip's counter 2, the one of the loudspeaker, as an egg timer:
 * mode 0 counts down once and then holds its output high, which port 0x61 shows.
 */
enum {
	PIT_HZ = 1193182,
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
 * The key that went down since the last call, if any and if it means something.
 * Keys are known by their place (scan code set 1), so + and - stand there more
 * than once: on US and on German keyboards, and on the numeric pad.
 */
enum {
	STATUS_FULL = 0x01,
	STATUS_MOUSE = 0x20,
};

enum key key_pressed(void)
{
	uint8_t status = inb(KEYBOARD_STATUS);

	if (!(status & STATUS_FULL))
		return KEY_NONE;

	uint8_t code = inb(KEYBOARD_DATA);

	if (status & STATUS_MOUSE)
		return KEY_NONE;

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
	}
	return KEY_NONE;
}

/*
 * Switches the machine off, if it is one whose switch we know: the ports are
 * touched only after the machine has said its name.  Comes back if it is not,
 * or if it has not worked.
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

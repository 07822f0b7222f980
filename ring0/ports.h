/*
 * The PC's I/O ports, for assembly and C.  What is written to them, and what their bits
 * mean, stands where it is used.
 */
#ifndef PORTS_H
#define PORTS_H

/* The interrupt controllers (8259A). */
#define PIC_1			0x20	/* commands */
#define PIC_1_DATA		0x21	/* masks, and vectors */
#define PIC_2			0xa0
#define PIC_2_DATA		0xa1
#define PIC_END			0x20	/* a command: the interrupt in service has ended */

/* The timer chip (8254). */
#define PIT_COUNTER_0		0x40
#define PIT_COUNTER_2		0x42
#define PIT_CONTROL		0x43

/* The keyboard controller (8042), and the two ports of the board. */
#define KEYBOARD_DATA		0x60
#define KEYBOARD_STATUS		0x64	/* to write there is a command */
#define SYSTEM_CONTROL_B	0x61
#define SYSTEM_CONTROL_A	0x92

/* The clock chip: its index port is also where NMI is switched. */
#define CMOS_INDEX		0x70
#define CMOS_DATA		0x71
#define CMOS_NMI_OFF		0x80
#define CMOS_STATUS_C		0x0c	/* to read it ends its interrupts */
#define CMOS_STATUS_D		0x0d	/* harmless to read */

#define FLOPPY_CONTROL		0x3f2

/* Ports that only emulators have: the log, and three power switches. */
#define DEBUG_PORT		0xe9
#define QEMU_CONFIG_SELECT	0x510
#define QEMU_CONFIG_DATA	0x511
#define QEMU_POWER		0x604
#define BOCHS_POWER		0x8900

#endif

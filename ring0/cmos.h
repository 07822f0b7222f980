/* The clock chip: its index port is also where NMI is switched. */
#ifndef CMOS_H
#define CMOS_H

#define CMOS_INDEX		0x70
#define CMOS_DATA		0x71
#define CMOS_NMI_OFF		0x80
#define CMOS_STATUS_C		0x0c		/* to read it ends its interrupts */
#define CMOS_STATUS_D		0x0d		/* harmless to read */

#endif

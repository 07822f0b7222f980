/*
 * What the boot sector leaves in memory, and how a directory looks: for boot.S, and for
 * MENU, which reads there.
 */
#ifndef FAT12_H
#define FAT12_H

/* In segment 0: the disk's first sectors, and among them its root directory. */
#define BOOT_SECTOR		0x7c00
#define ROOT			0xa400
#define ROOT_ENTRIES		224

/* In a directory entry. */
#define ENTRY_BYTES		32
#define NAME_BYTES		11		/* 8 and 3, padded with spaces */
#define BASE_BYTES		8		/* of them before the dot */
#define ENTRY_ATTRIBUTES	11
#define ENTRY_SIZE		28		/* 32 bits */
#define NO_FILE			0x18		/* label (as long names are), directory */

/* The BIOS' own: which keys are held. */
#define KEYBOARD_FLAGS		0x0417
#define SHIFT_KEYS		0x03

#endif

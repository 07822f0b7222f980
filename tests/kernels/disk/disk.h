/*
 * disk.h - who lies where in memory
 *
 *	0x000000	the IDT, over the real mode's vectors
 *	0x007c00	the boot sector, then nothing
 *	0x010000	the kernel: code and data, 64 KiB, which are all it can name
 *	0x100000	task A: 64 KiB, likewise; its code begins at offset 0x100
 *	0x120000	task B
 */
#ifndef DISK_H
#define DISK_H

#define KERNEL_BASE	0x10000
#define KERNEL_SECTORS	8		/* disk.ld fills them up */
#define TASKS_BASE	0x100000
#define TASK_A_BASE	0x100000
#define TASK_B_BASE	0x120000
#define TASK_LIMIT	0xffff
#define TASK_START	0x100		/* the offset at which a task begins */

#define KERNEL_CODE	0x08
#define KERNEL_DATA	0x10
#define TSS_SELECTOR	0x18
#define TASK_A_CODE	0x20
#define TASK_A_DATA	0x28
#define TASK_B_CODE	0x30
#define TASK_B_DATA	0x38
#define VECTORS_DATA	0x40		/* the first 1 KiB */
#define TASKS_DATA	0x48		/* where the tasks are loaded to */

#define YIELD		0x40		/* the vector by which a task gives up its turn */
#define VECTORS		(YIELD + 1)

#endif

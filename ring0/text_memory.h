/*
 * The PC's text screen, 80 x 25, as memory: two bytes a cell, character and attribute.
 * For assembly and C alike.
 */
#ifndef TEXT_MEMORY_H
#define TEXT_MEMORY_H

#define SCREEN_LINEAR		0xb8000
#define COLUMNS			80
#define ROWS			25
#define ROW_BYTES		(2 * COLUMNS)
#define SCREEN_BYTES		(ROWS * ROW_BYTES)
#define CELL(row, column)	((row) * ROW_BYTES + (column) * 2)	/* its offset */

#endif

/*
 * A window of a program with pages: all of the text screen is one page, so its proc draws in a
 * page of its own, and ring 0 copies that.
 *
 * From:	the program.  Ring 0, any stack, interrupts off, no errors.
 */
#include "layout.h"
#include "ring0/flat_segments.h"
#include "window.h"

/* In: the proc's place; its page; which way. */
void window_page(unsigned place, uint32_t *page, bool to_the_screen)
{
	volatile uint32_t *screen = (void *)(SCREEN_HIGH + CELL(place ? B_ROW : A_ROW, 0));

	for (unsigned i = 0; i < WINDOW_BYTES / sizeof *page; i++)
		if (to_the_screen)
			screen[i] = page[i];
		else
			page[i] = screen[i];
}

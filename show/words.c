/*
 * Words of memory, by a table.
 *
 * All functions: ring 0 with gs = RING0_SCREEN, any of its stacks, interrupts off,
 * no errors.
 */
#include "words.h"
#include "text.h"

void words_name(const struct word *words, unsigned place)
{
	for (const struct word *w = words; w->name; w++)
		screen_put(WORDS_ROW + w->row, half_column(place) + w->column, LABEL, w->name);
}

void words_show(const struct word *words, unsigned place, const void *from)
{
	for (const struct word *w = words; w->name; w++)
		screen_put(WORDS_ROW + w->row,
		    half_column(place) + w->column + text_length(w->name),
		    w->attribute ? (enum colour)(w->attribute << 8) : proc_colour(place),
		    hex(*(const uint32_t *)((const uint8_t *)from + w->offset), w->digits));
}

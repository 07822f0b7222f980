/* The players, and what ring 0 shows of their contexts (contexts.c). */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include <stdbool.h>
#include <stdint.h>

#include "context.h"

/* A proc, as ring 0 knows it. */
struct player {
	struct user_context context;
	char name;
	uint8_t place;			/* its side of the screen */
	uint8_t row;			/* its window's first */
	bool ended;
	uint16_t ldt;			/* selector of what it may name */
	volatile uint32_t *data;	/* its own; first: what ring 0 asks (procs.h) */
};

void contexts_start(void);
void contexts_player(const struct player *player);
void contexts_switch(uint64_t switches, const struct player *from, const struct player *to);

#endif

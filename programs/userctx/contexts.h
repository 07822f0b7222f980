/* The players, what may be in their contexts (check.c), and what ring 0 shows of them
   (contexts.c). */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include <stdbool.h>
#include <stdint.h>

#include "context.h"

/* What is a user's own, as its context may have it. */
struct user_memory {
	uint32_t code_bytes;
	uint32_t data, window;		/* linear addresses */
};

/* A proc, as ring 0 knows it. */
struct player {
	uint8_t headroom[CONTEXT_HEADROOM];	/* context.h */
	struct user_context context;
	char name;
	uint8_t place;			/* its side of the screen */
	uint8_t row;			/* its window's first */
	bool ended;
	uint16_t ldt;			/* selector of what it may name */
	uint32_t code_bytes;
	uint32_t *data;			/* its own; first: what ring 0 asks (ask.h) */
};

/* userctx.S */
extern uint32_t proc_a_data[], proc_b_data[];
extern const char proc_a_code_bytes[], proc_b_code_bytes[];	/* no places: numbers */

const char *user_context_error(const struct user_context *context, const struct user_memory *memory);

void contexts_start(void);
void contexts_player(const struct player *player);
void contexts_switch(uint64_t switches, const struct player *from, const struct player *to);

#endif

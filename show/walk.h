/* A page fault in words (walk.c). */
#ifndef WALK_H
#define WALK_H

#include <stdint.h>

#include "report.h"
#include "ring0/paging.h"

const struct page_words *walk_words(uint32_t directory, struct walk walk, uint32_t error);
unsigned walk_unreadable(uint32_t directory, uint32_t eip);

#endif

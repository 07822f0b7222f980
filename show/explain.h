/* Exceptions in words (explain.c). */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <stdint.h>

#define MEANING_BYTES	40	/* "LDT 0xfffc (" a selector's name ") EXT" */

const char *exception_name(uint32_t vector);
const char *exception_title(uint32_t vector);
const char *exception_usually(uint32_t vector, uint32_t error);
const char *error_code(uint32_t vector, uint32_t error);
void error_meaning(char *to, uint32_t vector, uint32_t error);

#endif

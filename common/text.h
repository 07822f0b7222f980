/* Numbers as text, and the log (text.c). */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

/* Digits of a number, ended by 0.  The text lasts until the next call. */
const char *hex(uint32_t value, unsigned digits);
const char *decimal(uint64_t value);

/* Copies a text, ended by 0; gives the place of that 0, where more can go. */
char *append(char *to, const char *text);

/* The log on port 0xe9, piece by piece. */
void log_text(const char *text);
void log_hex(const char *key, uint32_t value, unsigned digits);

#endif

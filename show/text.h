/* Numbers as text, formatted lines, and the log (text.c). */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdint.h>

#define LOG_LINE_BYTES	320	/* the longest, panic's, has some 280 */

/* Digits of a number, ended by 0.  The text lasts until the next call. */
const char *hex(uint32_t value, unsigned digits);
const char *decimal(uint64_t value);

/* 64 bits by 32: there is no library to do it. */
uint64_t divided(uint64_t value, uint32_t by, uint32_t *remainder);

unsigned text_length(const char *text);

/*
 * Formats a line, ended by 0; returns the place of that 0, where more can be
 * appended.  In how: %s a text, %c a character, %d a uint64_t in decimal, %2 %4 %8 a
 * uint32_t in that many hexadecimal digits.
 */
char *format(char *to, const char *how, ...);
char *format_list(char *to, const char *how, va_list values);

/* The same, as a line of the log on port 0xe9. */
void log_line(const char *how, ...);

#endif

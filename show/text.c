/*
 * Numbers as text, formatted lines, and the log: one line of logfmt for each event.
 *
 * All functions: ring 0, ring0_stack or fault_stack, interrupts off, no errors.
 */
#include "text.h"
#include "ring0/machine.h"

enum { LONGEST = 20 };			/* decimal digits of 2^64 - 1 */
static char digits_end[LONGEST + 1];	/* filled from the end */

const char *hex(uint32_t value, unsigned digits)
{
	char *text = digits_end + LONGEST;

	for (; digits--; value >>= 4)
		*--text = "0123456789abcdef"[value & 15];
	return text;
}

/* Two steps of div: the remainder of the upper half goes on into the lower half. */
uint64_t divided(uint64_t value, uint32_t by, uint32_t *remainder)
{
	uint32_t high = value >> 32, low = value;

	*remainder = high % by;
	__asm__("divl %2" : "+a"(low), "+d"(*remainder) : "r"(by) : "cc");
	return (uint64_t)(high / by) << 32 | low;
}

const char *decimal(uint64_t value)
{
	char *text = digits_end + LONGEST;
	uint32_t digit;

	do {
		value = divided(value, 10, &digit);
		*--text = '0' + digit;
	} while (value);
	return text;
}

unsigned text_length(const char *text)
{
	unsigned n = 0;

	while (text[n])
		n++;
	return n;
}

static char *append(char *to, const char *text)
{
	while ((*to = *text++))
		to++;
	return to;
}

char *format_list(char *to, const char *how, va_list values)
{
	for (; *how; how++) {
		if (*how != '%') {
			*to++ = *how;
			continue;
		}
		switch (*++how) {
		case 's':
			to = append(to, va_arg(values, const char *));
			break;
		case 'c':
			*to++ = (char)va_arg(values, int);
			break;
		case 'd':
			to = append(to, decimal(va_arg(values, uint64_t)));
			break;
		default:
			to = append(to, hex(va_arg(values, uint32_t), *how - '0'));
		}
	}
	*to = 0;
	return to;
}

char *format(char *to, const char *how, ...)
{
	va_list values;

	va_start(values, how);
	to = format_list(to, how, values);
	va_end(values);
	return to;
}

void log_line(const char *how, ...)
{
	static char line[LOG_LINE_BYTES];
	va_list values;

	va_start(values, how);
	*format_list(line, how, values) = '\n';
	va_end(values);
	for (const char *c = line; c == line || c[-1] != '\n'; c++)
		debug_out(*c);
}

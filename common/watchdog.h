/* The end of a proc that does not yield (watchdog.c). */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

void watchdog_start(void);
void watchdog_stop(void);
bool watchdog_lets_run(uint32_t vector);
void log_strays(void);

#endif

/* The end of a proc that does not yield (watchdog.c). */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>

#define ALARM_IRQ	0

void watchdog_start(void);
void watchdog_stop(void);
bool watchdog_is_patient(void);

#endif

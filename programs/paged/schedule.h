/* The switch in C (schedule.c), and what is shown of it (panel.c). */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "thread.h"

void schedule(struct thread *from, struct thread *to);
void schedule_in(struct thread *self);
_Noreturn void schedule_away(struct thread *from, struct thread *to);

void panel_start(const struct thread *thread);
void panel_event(const char *how, ...);
void panel_show(uint64_t switches, const struct thread *from, const struct thread *to);

#endif

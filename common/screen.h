/* The text screen, as ring 0 draws it (screen.c). */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdint.h>

#include "frame.h"
#include "x86.h"

void screen_start(const struct proc *first);
void screen_proc(const struct proc *proc);
void screen_switch(uint64_t switches, const struct proc *from, const struct proc *to,
		   const struct tss *tss);
void screen_ball(const struct proc *to, unsigned step, unsigned steps);
void screen_pace(const char *pace, const char *more);
void screen_message(const char *first, const char *second);
void screen_end(const struct proc *proc, const char *why);
void screen_report(const struct proc *proc, unsigned row, const char *text);
void screen_panic(unsigned row, const char *text);

#endif

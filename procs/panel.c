/*
 * Ring 0's panel, between the procs' windows: both frames and esp0; and in place of
 * a frame whose proc has ended, the report on its end (window.c).
 *
 * A program with another door defines its words and includes this file (CALLGATE).
 *
 * All functions: ring 0 with gs = RING0_SCREEN, ring0_stack or fault_stack,
 * interrupts off, no errors.
 */
#include "panel.h"
#include "show/program.h"
#include "show/screen.h"
#include "show/text.h"
#include "show/window.h"
#include "show/words.h"

#ifndef PANEL_PUSHES
#define PANEL_PUSHES	"\x1b esp0: int pushes"
#define PANEL_NO_PUSHES	"                   "
#define PANEL_NEXT	"iret next "
#endif

/* A proc's window, and the labels around its frame, at the proc's start. */
void panel_proc(struct proc *proc)
{
	unsigned column = half_column(proc->place);

	window_start(proc->place, proc->place ? " proc B, ring 3 " : " proc A, ring 3 ");
	screen_put(HALF_ROW, column, proc_colour(proc->place), proc->place ? "frame of B" : "frame of A");
	screen_put(HALF_ROW, column + 12, FAINT, "from");
	screen_put(HALF_ROW, column + 17, LABEL, hex((uint32_t)proc_frame(proc), 8));
	frame_name(proc->place);
}

/* In: what has become of the frame, 10 characters. */
static void draw_frame(struct proc *proc, const char *what)
{
	screen_put(HALF_ROW, half_column(proc->place) + 26, BALL, what);
	frame_show(proc->place, proc_frame(proc));
}

/* In: the proc that runs first, which leads to the other. */
void panel_start(struct proc *first)
{
	screen_box(RING0_ROW, RING0_ROWS, SINGLE, RING0, program.ring0_title);
	panel_proc(first);
	panel_proc(first->next);
	tss_name();
}

/* The arrow stands where esp0 points, not where we think it should. */
static void draw_frame_end(struct proc *proc, const struct tss *tss)
{
	unsigned column = half_column(proc->place);

	screen_put(FRAME_END_ROW, column, FAINT, "up to");
	screen_put(FRAME_END_ROW, column + 6, LABEL, hex((uint32_t)proc, 8));
	screen_put(FRAME_END_ROW, column + 15, BALL,
	    tss->esp0 == (uint32_t)proc ? PANEL_PUSHES : PANEL_NO_PUSHES);
}

/*
 * What a switch has changed.  In: how many switches there were; the procs it went from
 * and to (the same one, if it plays alone).
 */
void panel_switch(uint64_t switches, struct proc *from, struct proc *to,
		   const struct tss *tss)
{
	screen_switches(switches);
	draw_frame(from, "just saved");
	draw_frame(to, PANEL_NEXT);
	tss_show(tss);
	draw_frame_end(from, tss);
	draw_frame_end(to, tss);
}

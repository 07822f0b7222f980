/* A proc before it has ever run: its frame lies there as if it had once come in. */
#ifndef FIRST_FRAME_H
#define FIRST_FRAME_H

#include "ring0/frame.h"
#include "proc_segments.h"

/*
 * What a proc finds at first: its own data in ds, es and ss, its window in gs, all
 * else zero.  Interrupts are let in (watchdog.c), and nothing that ring 3 may do
 * shuts them out.
 */
	.macro	first_frame code, data, screen
	.long	\screen, 0, \data, \data		# gs fs es ds
	.long	0, 0, 0, 0, 0, 0, 0, 0			# edi esi ebp - ebx edx ecx eax
	.long	0, \code, EFLAGS_ALWAYS | EFLAGS_IF	# eip cs eflags
	.long	PROC_DATA_BYTES, \data			# esp ss
	.endm

/* A proc: its frame, and behind that struct proc (switch.h); and its first frame once
   more, for a new start. */
	.macro	proc letter, name, code, data, screen, ldt, next, place
	.space	HEADROOM_BYTES
	.global	proc_\letter, proc_\letter\()_end
proc_\letter:
	first_frame \code, \data, \screen
proc_\letter\()_end:
	.if	. - proc_\letter != FRAME_BYTES
	.error	"frame.h: FRAME_BYTES is not the frame's size"
	.endif
	.long	proc_\next\()_end, proc_\letter\()_data	# next, ask
	.long	proc_\letter\()_first
	.word	\ldt
	.ascii	"\name"
	.byte	\place
	.long	0				# ended
	.pushsection .rodata
	.balign	4
proc_\letter\()_first:
	first_frame \code, \data, \screen
	.popsection
	.endm

#endif

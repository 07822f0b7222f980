/*
 * A proc before it has ever run: its frame looks as if the proc had come in once.  For
 * assembly.
 */
#ifndef FIRST_FRAME_H
#define FIRST_FRAME_H

#include "ring0/frame.h"
#include "proc_segments.h"

/*
 * What a proc finds when it starts: its own data in ds, es and ss, its window in gs, all
 * else zero.  Interrupts are let in (watchdog.c), and nothing that ring 3 may do
 * shuts them out.
 */
	.macro	first_frame code, data, screen, eflags, esp
	.long	\screen, 0, \data, \data		# gs fs es ds
	.long	0, 0, 0, 0, 0, 0, 0, 0			# edi esi ebp - ebx edx ecx eax
	.long	0, \code, \eflags			# eip cs eflags
	.long	\esp, \data				# esp ss
	.endm

/* A proc: its frame, and behind that struct proc (switch.h); and a second copy of its
   first frame, to start it again. */
	.macro	proc letter, name, code, data, screen, ldt, next, place, eflags=EFLAGS_ALWAYS|EFLAGS_IF, esp=PROC_DATA_BYTES
	.space	HEADROOM_BYTES
	.global	proc_\letter, proc_\letter\()_end
proc_\letter:
	first_frame \code, \data, \screen, \eflags, \esp
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
	first_frame \code, \data, \screen, \eflags, \esp
	.popsection
	.endm

#endif

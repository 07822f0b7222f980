/*
 * SYSENTER: the way in that has no descriptor, no frame, and no stack.
 *
 * Read P_PROC (p_proc.S) first, and then in this order:
 *
 *	proc.h		a proc, its frame, its address space
 *	start		whether the CPU has sysenter; protected mode, pages, the MSRs
 *	the tables	GDT, IDT, and the TSS that sysenter does not know
 *	the gate	the way from one proc to the other
 *	exceptions	they come through the IDT, and leave by iret
 *	ring3.S		what runs in ring 3
 *
 * and then procs.c and spaces.c.  Offsets are linear addresses here (flat_segments.h).
 */
#include "proc.h"
#include "ring0/fault_entry.h"
#include "show/program.h"

/* Younger than the 386 that we assemble for, so written as bytes. */
#define WRMSR	.byte 0x0f, 0x30
#define SYSEXIT	.byte 0x0f, 0x35

/* ---- start ------------------------------------------------------------- */
/* Paragraphs: the program, 8 KiB up to where pages may begin, its copy there, its pool. */
#define PARAGRAPHS		(0x1000 + 0x200 + 0x1000 + 0xe00)

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	the loader, by a far jump.  Real mode; never comes back.
 * Stack:	the loader's, then ring0_stack, then proc A's.
 * Interrupts:	off from enter_protected_mode on, except in ring 3.
 * Errors:	no sysenter, or too little memory: says so, and ends.
 */
	.code16
	.global	start
start:
	call	want_sysenter		# ring0/want_sysenter.S; they come back if all is well
	mov	$PARAGRAPHS, %cx
	mov	$too_little_memory, %si
	call	want_memory		# ring0/wants.S
	call	enter_protected_mode	# ring0/enter.S; if it can't, it says why
	.code32
	call	paging_on		# ring0/paging.S
	call	procs_start		# procs.c: spaces and frames; eax: the first proc

	xchg	%bx, %bx
	.global	ckpt_spaces
ckpt_spaces:				# info tab; page 0x08049000 in each space
	mov	%eax, %ebx
	mov	$TSS, %eax
	ltr	%ax			# for exceptions and interrupts alone
	mov	$msrs, %esi
1:	mov	(%esi), %ecx
	mov	4(%esi), %eax
	xor	%edx, %edx
	.global	ckpt_wrmsr
ckpt_wrmsr:
	WRMSR				# ecx: which; eax: its value
	add	$8, %esi
	cmp	$msrs_end, %esi
	jb	1b
	xchg	%bx, %bx
	.global	ckpt_msrs
ckpt_msrs:				# sysenter works from here on
	call	watchdog_start		# A's time begins now
	mov	%ebx, %eax
	jmp	leave

	.section .rodata
too_little_memory:
	.asciz	"\r\nSYSENTER wants 192 KiB of memory below 640 KiB, for its pages. Free some and start it again.\r\n"

	.data
	.balign	4
/*
 * What sysenter reads, and all that it reads.  The stack is not a stack: the first
 * instruction finds esp0 there, of the proc that runs.
 */
	.global	msrs
msrs:
	.long	MSR_SYSENTER_CS, SYSENTER_CODE
	.long	MSR_SYSENTER_ESP, tss + 4
	.long	MSR_SYSENTER_EIP, gate
msrs_end:


/* ---- the tables -------------------------------------------------------- */

	.section .entry_data, "aw"
	gdt_begins start_gdt		# for lgdt, before there are pages
	FLAT_RING0_SEGMENTS(DESCRIPTOR)
	FLAT_RING3_SEGMENTS(DESCRIPTOR)
	gdt_ends

/* The IDT: exceptions and hardware interrupts.  The door does not stand in any table. */
	idt_begins
	fault_gates
	idt_ends

/* In front of the first instruction esp is at esp0.  A #DB or NMI that comes just there pushes
   below: eflags into the backlink, where iret with NT finds no task by them, and into this. */
	.space	HEADROOM_BYTES
	tss_begins proc_a
	.set	tss_bytes, TSS_BYTES

	.balign	4
	double_fault_task
	start_gdt_and_registers

	program sysenter, " ring 0, sysenter ", \
		"int n through a gate that ring 3 may not use, or that does not exist. The only door is sysenter."


/* ---- the frames -------------------------------------------------------- */

/* In struct proc's order.  C fills in the frames. */
	.macro	proc letter, name, place
	.space	HEADROOM_BYTES + FRAME_BYTES
	.global	proc_\letter
proc_\letter:
	.long	0, 0			# next, space
	.byte	0, 1			# first_page; ended: it has not started so far
	.ascii	"\name"
	.byte	\place
	.endm

	.data
	.balign	4
	proc	a, A, 0
	proc	b, B, 1


/* ---- the gate ---------------------------------------------------------- */

	.text

/*
 * gate - sysenter of the running proc: save it, choose the next, run that
 *
 * From:	ring 3.  The CPU has read three MSRs and nothing else: cs is SYSENTER_CODE, ss
 *		SYSENTER_DATA, both flat; eip is this; esp is at tss.esp0.  It has cleared
 *		IF.  TF, NT, DF and all else are the proc's, and where it was, only the
 *		proc has kept: esp in ecx, eip in edx.
 * To:		ring 3, the other proc, by sysexit with that one's ecx and edx.
 * Stack:	the frame.  No C: ds and es would have to be loaded for it.
 * Interrupts:	off, until the sti in front of sysexit lets them in behind it.
 * Intel:	volume 2, SYSENTER, SYSEXIT, STI; volume 3, section 5.8.7.
 */
	.global	gate, leave
gate:
	mov	(%esp), %esp		# esp0, the frame's end: struct proc
	pushf				# IF is clear already
	save_registers

	decl	%ss:switches_left	# until the next look
	jz	gate_watched
	mov	PROC_FRAME_BYTES(%esp), %eax	# the next proc, by ss
	mov	%eax, %ss:tss + 4	# for sysenter as for int
leave:
	mov	%ss:PROC_SPACE(%eax), %ecx
	mov	%ecx, %cr3		# its memory, and not the other's
	lea	-PROC_FRAME_BYTES(%eax), %esp
1:	restore_registers
	popf
	sti				# takes effect behind the next instruction
	.global	way_out
way_out:
	SYSEXIT				# cs:eip USER_CODE:edx, ss:esp USER_DATA:ecx
	restored_since 1b

/*
 * gate_watched - the same with a look, and a place to stop
 *
 * From:	gate, when switches_left has come to 0.  Stack: the frame, then ring0_stack.
 */
	.global	gate_watched, ckpt_sysenter, ckpt_switched
gate_watched:
	lea	PROC_FRAME_BYTES(%esp), %eax	# C's 1st argument: the proc
	mov	$RING0_DATA, %edx
	mov	%edx, %ds
	mov	%edx, %es
	mov	%edx, %ss
	mov	$ring0_stack_end, %esp
	mov	$RING0_SCREEN, %edx
	mov	%edx, %gs
	cld
	cmpb	$0, stops
	je	1f
	xchg	%bx, %bx
ckpt_sysenter:				# the frame of the proc that came in is complete
1:	call	watched_switch		# procs.c; eax: the proc whose turn it is
	cmpb	$0, stops
	je	leave
	xchg	%bx, %bx
ckpt_switched:				# the way out is next
	jmp	leave

/*
 * door_stops - an MSR would have to be written to have a breakpoint in front of the gate, so
 * there is a flag
 *
 *	void door_stops(bool stop)
 *
 * From:	look.c.
 */
	.global	door_stops
door_stops:
	mov	%al, stops
	ret

	.data
	.balign	4
	.global	switches_left
switches_left:				# until the next look
	.long	1
stops:					# whether Bochs should stop at each switch
	.byte	1
	.text


/* ---- exceptions and interrupts ----------------------------------------- */

	fault_vectors_to fault_entry

/*
 * fault_entry - saves the frame of frame.h, calls C, and leaves again
 *
 * From:	the IDT, out of any ring, by way of fault_vectors.
 * In:		as for fault_enters (ring0/fault_entry.h).
 * Stack:	as found, then fault_stack, then what is left.
 * To:		where it came from, by iret, if fault (procs.c) gives 0; else the proc that
 *		fault gives, by sysexit.
 * Interrupts:	off.  NT is clear: the CPU has saved it with eflags.
 */
fault_entry:
	fault_enters
	test	%eax, %eax
	jnz	leave
	mov	fault_found, %esp
1:	restore_registers
	iret
	restored_since 1b

	fault_stack
	.section .note.GNU-stack, "", @progbits

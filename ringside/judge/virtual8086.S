/*
 * Virtual-8086 mode: how interrupts leave it, how iret gets there, and what it
 * refuses: for the judge.
 *
 * As with crossings.S: ringside/emulators/graft.py puts this behind P_PROC on a copy of the
 * floppy and bends three places of it (the hooks, below).  Proc A goes to ring 0, and
 * ring 0 to virtual-8086 mode, where the program's offsets are what they are in
 * real mode.
 */
#include "procs/proc_segments.h"

#define CASE_BYTES	32
#include "cases.h"

#define CONFORMING	(0x18 + TI)
#define LDT_BYTES	0x20

#define VM		EFLAGS_VM
#define SEG		0x1000		/* the program's, in real mode */
#define STACK_8086	0xfff0
#define A_STACK		PROC_DATA_BYTES


/* ---- the hooks --------------------------------------------------------- */

/* Ring 0, before the first iret: the program's screen and log are not wanted. */
	.section .hook.watch_start, "ax"
	jmp	setup

/* int $0x30 goes where ebx says. */
	.section .hook.gate_with_stop, "ax"
	jmp	*%ebx

/* Every exception: on to the next case, with IOPL as ebp has it.  On the stack: vector, error code, eip, cs, eflags ... */
	.section .hook.fault_entry, "ax"
	add	$8, %esp
	orl	$CASE_BYTES - 1, %ss:(%esp)
	incl	%ss:(%esp)
	or	%ebp, %ss:8(%esp)
	iret

	.text
setup:
	row	A_CODE, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | ACCESS_DPL(3)
	row	CONFORMING, ring3, ring3_bytes, ACCESS_PRESENT | ACCESS_CODE | CONFORMS
	movw	$LDT_BYTES - 1, gdt + A_LDT
	ret

	.balign	CASE_BYTES
ring3:
	mov	$ring0, %ebx
	int	$0x30
	.global	the_end
the_end:
	jmp	the_end
	.set	ring3_bytes, . - ring3

	.macro	push_8086 eip, flags
	push	$1			# gs, fs, ds, es
	push	$2
	push	$3
	push	$4
	push	$SEG
	push	$STACK_8086
	push	$VM | (\flags)
	push	$SEG
	push	$\eip
	.endm

	.balign	CASE_BYTES
ring0:
	mov	$RING0_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stack_end, %esp
	gate	0x2f, iret_stub, RING0_CODE, 0xef		# trap gate, DPL 3
	gate	0x2e, 0, CONFORMING, 0xee
	xor	%ebp, %ebp
	jmp	enter
iret_stub:
	iret

case high_eip "iret, ring 0 to virtual-8086 mode"	# its upper half is of no consequence
	push_8086 eip=0x10000+beyond, flags=IOPL+2
	iret
case out "iret, ring 0 to 3"
	push_return ring0_stack_end, A_CODE, ((the_end) - ring3), 2, A_DATA, A_STACK
	iret
case enter "iret, ring 0 to virtual-8086 mode"
	push_8086 eip=v86_int, flags=IF+CF+ID+2
	iret


/* ---- virtual-8086 mode ------------------------------------------------- */

	.code16
case v86_int "#GP(0000)"
	int	$0x2f
case v86_int3 "int3, virtual-8086 mode to ring 0"
	int3
case v86_into "into, virtual-8086 mode to ring 0"
	mov	$0x7fff, %ax
	inc	%ax
	into
case v86_iret "#GP(0000)"
	iret
case v86_popf "#GP(0000)"
	popf
case v86_cli "#GP(0000)"
	cli
case v86_sti "#GP(0000)"
	sti
case v86_hlt "#GP(0000)"
	hlt
case v86_in "#GP(0000)"
	in	$0x60, %al
case v86_clts "#GP(0000)"
	clts
case v86_lgdt "#GP(0000)"
	lgdt	0
case v86_mov_cr0 "#GP(0000)"
	mov	%eax, %cr0
case v86_lldt "#UD"
	.byte	0x0f, 0x00, 0xd0	# lldt %ax
case v86_ltr "#UD"
	.byte	0x0f, 0x00, 0xd8
case v86_undefined "#UD"
	ud2
case v86_load "mov %es"
	mov	$SEG, %ax
	mov	%ax, %es
case v86_load_stack "mov %ss"
	mov	%ax, %ss
case v86_pop "pop %fs"
	push	%cs
	pop	%fs
case v86_lds "lds"
	pushw	$SEG
	pushw	$7
	mov	%sp, %bp
	lds	(%bp), %ax
	movl	$IOPL, %ebp
	ud2

/* IOPL 3. */
case iopl3_int "int 0x2f, virtual-8086 mode to ring 0"
	xor	%ebp, %ebp
	int	$0x2f
case iopl3_closed "#GP(0102)"
	int	$0x20
case iopl3_conforming "#GP", CONFORMING
	int	$0x2e
case iopl3_cli "cli"
	cli
case iopl3_sti "sti"
	sti
case iopl3_out "#GP(0000)"
	out	%al, $0x80
case iopl3_popf "popf"
	pushw	$2
	popf
case iopl3_iret "iret"
	pushw	$IF | IOPL | CF | 2
	push	%cs
	pushw	$back
	iret
case back "int 0x30, virtual-8086 mode to ring 0"
	movl	$ring0_beyond, %ebx
	int	$0x30
beyond:
	movl	$ring0_end, %ebx
	int	$0x30
	.code32

	.balign	CASE_BYTES
ring0_beyond:
	mov	$ring0_stack_end, %esp
	jmp	high_eip
ring0_end:
	mov	$ring0_stack_end, %esp
	jmp	out

	.section .note.GNU-stack, "", @progbits

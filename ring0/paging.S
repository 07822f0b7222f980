/*
 * Paging on, and off again.  Between the two, ring 0 lies in the last 64 KiB of the
 * linear addresses (flat_segments.h); before and after, where it lies in memory.
 */
#define FLAT_RING3_SEGMENTS(SEG)	/* a program's own, and none of these */
#include "flat_segments.h"
#include "paging.h"

	.text

/*
 * paging_on - as enter_protected_mode leaves it, but with pages
 *
 * From:	ring 0, start_gdt's segments (enter_protected_mode has loaded them).
 * Out:		paging is on, with CR0.WP where the CPU has it, and global pages
 *		likewise; cs, ds, es, ss flat, gs RING0_SCREEN; GDTR and IDTR lead to gdt and
 *		idt at their linear addresses; program_base is 0, since offsets are linear.
 *		CR3: a directory of ring 0's alone.
 * Stack:	the same offsets, also when the program has been copied (paging.c).
 * Interrupts:	off.  An NMI finds its gate at every instruction.
 * Clobbers:	eax, ecx, edx, fs.
 * Intel:	volume 3, sections 10.9.1 (the order) and 2.5 (CR0.WP).
 */
	.global	paging_on
paging_on:
	call	paging_prepare		# eax: the directory
	mov	%eax, %cr3
	mov	%cr0, %edx
	or	$CR0_PG, %edx
	cmpb	$0, cpu_has_wp
	je	1f
	or	$CR0_WP, %edx
1:	mov	%edx, %cr0
	jmp	1f			# a 386 has fetched what follows without pages
1:
	# Addresses in the lowest 4 MiB still mean what they did.  Leave them for good.
	lgdtl	flat_gdtr
	ljmp	$RING0_CODE, $1f
1:	mov	$RING0_DATA, %edx
	mov	%edx, %ds
	mov	%edx, %es
	mov	%edx, %ss
	mov	$RING0_SCREEN, %edx
	mov	%edx, %gs
	lidtl	flat_idtr
	mov	%eax, double_fault_tss + TSS_CR3
	movl	$0, program_base
	mov	$1, %eax
	jmp	pages_global

/*
 * back_to_dos - the same as leave.S has, for a program with pages
 *
 * From:	quit (show/quit.c).
 * To:		leave_protected_mode, in the original if the program was copied.
 */
	.global	back_to_dos
back_to_dos:
	xor	%eax, %eax
	call	pages_global
	mov	double_fault_tss + TSS_CR3, %eax
	mov	%eax, %cr3
	lgdtl	gdt			# start_gdt, where it lies in memory; and so idt
	lidtl	idtr
	ljmp	$RING0_CODE, $1f
1:	mov	$RING0_DATA, %edx
	mov	%edx, %ds
	mov	%edx, %es
	mov	%edx, %ss
	mov	%cr0, %edx
	and	$~(CR0_PG | CR0_WP), %edx
	mov	%edx, %cr0
	jmp	1f
1:	xor	%eax, %eax
	mov	%eax, %cr3		# forgets all pages
	jmp	leave_protected_mode

	.section .note.GNU-stack, "", @progbits

/*
 * PAGED - paging, a kernel in the higher half, two processes with an address space each
 *
 * Each lap of a process uses its heap, which is not there: a page fault (#PF) brings a
 * page of zeros.  It gives the page back (int 0x80), uses the heap once more, and yields
 * (int 0x80).  The timer takes the CPU from it as well.
 *
 * This file: the start, from physical addresses to the higher half; the ways in; the
 * user's program.  memory.c has the page tables, processes.c the rest.
 */
#include "../pc.h"
#include "paged.h"

	.section .multiboot, "a"
	multiboot_header

/*
 * start - GRUB jumps here: protected mode, flat segments, paging off
 *
 * Linked where it is loaded.  All else is linked 3 GiB higher, and until paging is on
 * has to be called by its physical address.
 */
	.section .boot, "ax"
	.global	start
start:
	cld
	mov	$PHYSICAL(kernel_table), %edi
	mov	$PRESENT + WRITABLE, %eax
	mov	$1024, %ecx
1:	stosl				# 1,024 pages from address 0 on
	add	$PAGE, %eax
	loop	1b

	# The same 4 MiB twice: in the higher half, and here, where eip is still.
	movl	$PHYSICAL(kernel_table) + PRESENT + WRITABLE, PHYSICAL(boot_directory)
	movl	$PHYSICAL(kernel_table) + PRESENT + WRITABLE, PHYSICAL(boot_directory) + HIGHER_HALF / 0x400000 * 4
	mov	$PHYSICAL(boot_directory), %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$CR0_PG + CR0_WP, %eax
	mov	%eax, %cr0
	mov	$higher_half, %eax
	jmp	*%eax

	.text
higher_half:
	mov	$boot_stack_end, %esp
	push	$0
	popf				# NT as well is as the loader left it
	set_base tss_descriptor, tss
	mov	$interrupt_table, %edx
	mov	$stubs, %ecx		# each vector's stub, 8 bytes each
1:	mov	%cx, (%edx)
	mov	%ecx, 4(%edx)		# its upper half is the offset's
	movw	$KERNEL_CODE, 2(%edx)
	movw	$INTERRUPT_GATE(0) << 8, 4(%edx)
	add	$8, %edx
	add	$8, %ecx
	cmp	$stubs_end, %ecx
	jb	1b
	set_gate interrupt_table+PAGE_FAULT*8, KERNEL_CODE, page_fault, INTERRUPT_GATE(0)
	set_gate interrupt_table+IRQ(0)*8, KERNEL_CODE, timer, INTERRUPT_GATE(0)
	set_gate interrupt_table+SYSTEM_CALL*8, KERNEL_CODE, system_call, INTERRUPT_GATE(3)
	lgdt	gdtr
	lidt	idtr
	ljmp	$KERNEL_CODE, $1f
1:	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$TSS_SELECTOR, %eax
	ltr	%ax
	start_timer
	call	processes_start		# eax: the first process' frame, in its space
	mov	%eax, %esp
	jmp	leave

/* stubs - 8 bytes for each exception: its vector, which fatal wants to know */
	.balign	8
stubs:
	.set	vector, 0
	.rept	32
	.balign	8
	push	$vector
	jmp	fatal
	.set	vector, vector + 1
	.endr
	.balign	8
stubs_end:

/* fatal - an exception that nothing here expects: the vector, and no way back */
fatal:
	pop	%eax
	mov	%cr2, %edx
	call	die

/* Every way in looks like this; the CPU's words are above, and below them pusha's. */
	.macro	enter
	pusha
	push	%ds
	push	%es
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %eax
	.endm

system_call:
	enter
	call	process_call		# eax: the frame to leave through
	mov	%eax, %esp
	jmp	leave

timer:
	enter
	call	process_timer
	mov	%eax, %esp
leave:
	pop	%es
	pop	%ds
	popa
	iret

/*
 * page_fault - #PF.  Below the CPU's five words lies an error code, which iret does not
 * know of.  CR2 has the address.
 */
page_fault:
	enter
	mov	%cr2, %eax
	mov	40(%esp), %edx		# the error code
	call	process_page_fault
	pop	%es
	pop	%ds
	popa
	add	$4, %esp
	iret

/*
 * The user's program.  It is linked in the higher half and runs at USER_CODE_PAGE: its
 * jumps are relative.
 */
	.section .user, "ax"
	.balign	PAGE
	.global	user_program
user_program:
	mov	$50000, %ecx		# what else a program does
1:	loop	1b
	mov	$2, %ebx
2:	incl	USER_HEAP_PAGE		# a page fault
	mov	USER_HEAP_PAGE, %ecx
	cmp	$1, %ecx		# the page was all zeros
	je	3f
	mov	$CALL_WRONG, %eax
	int	$SYSTEM_CALL
3:	mov	$CALL_FREE, %eax
	int	$SYSTEM_CALL
	dec	%ebx
	jnz	2b
	push	USER_INFO_PAGE		# how many crossings yet
	pop	%ecx
	mov	$CALL_YIELD, %eax
	int	$SYSTEM_CALL
	jmp	user_program

	.data
	.balign	8
gdt:	.quad	0
	flat_segment CODE(0)
	flat_segment DATA(0)
	flat_segment CODE(3)
	flat_segment DATA(3)
tss_descriptor:
	segment	0, TSS_LIMIT, TASK(0), 0
gdt_end:

gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
idtr:	.word	interrupt_table_end - interrupt_table - 1
	.long	interrupt_table

	.balign	4
	.global	tss
tss:	.long	0			# link
	.long	0, KERNEL_DATA		# esp0 (processes.c), ss0
	.fill	22, 4, 0
	.word	0, TSS_BYTES		# the I/O map: beyond the limit, no port is open

	.bss
	.global	kernel_table
	.balign	PAGE
boot_directory:
	.space	PAGE
kernel_table:
	.space	PAGE
	.space	PAGE
boot_stack_end:
	.balign	8
interrupt_table:
	.space	256 * 8
interrupt_table_end:

	.section .note.GNU-stack, "", @progbits

/*
 * FLAT - flat segments, one TSS, a kernel stack for each thread
 *
 * Two threads in ring 3 and one in ring 0.  Thread A asks (int 0x80) and yields; thread
 * B only computes, so that the timer takes the CPU from it in ring 3; the third waits
 * (hlt), so that the timer comes in ring 0.
 *
 * This file: the start, every way in, the way out, and the threads themselves.
 * tables.c has the tables, threads.c says who is next.
 */
#include "../pc.h"
#include "flat.h"

	.section .multiboot, "a"
	multiboot_header

	.text
/*
 * start - GRUB jumps here: protected mode, flat segments, interrupts off, no stack
 */
	.global	start
start:
	mov	$boot_stack_end, %esp
	push	$0
	popf				# NT and DF are as the loader left them
	call	tables_start
	call	threads_start		# eax: the first thread's frame
	mov	%eax, %esp
	jmp	leave

/*
 * load_tables - void load_tables(const void *gdtr, const void *idtr)
 *
 * The selectors that GRUB has left mean something else in the new GDT: all are loaded
 * again, cs by a far jump.
 */
	.global	load_tables
load_tables:
	lgdt	(%eax)
	lidt	(%edx)
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
	ret

/*
 * stubs - 16 bytes for each vector, 0-47
 *
 * Some exceptions push an error code.  The others get a 0 in its place, and all their
 * vector, so that one struct frame fits them all.
 */
	.balign	16
	.global	stubs, system_call_stub
stubs:
	.set	vector, 0
	.rept	VECTORS
	.balign	16
	.if	(vector != 8) && (vector < 10 || vector > 14) && (vector != 17)
	push	$0
	.endif
	push	$vector
	jmp	enter
	.set	vector, vector + 1
	.endr

system_call_stub:
	push	$0
	push	$SYSTEM_CALL
	jmp	enter

/*
 * enter - every way in
 *
 * The CPU has pushed eflags, cs, eip (from ring 3, ss and esp before them), the stub
 * error code and vector.  Interrupts are off.  struct frame is what lies here then.
 */
enter:
	pusha
	push	%ds
	push	%es
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld				# C wants it so
	mov	%esp, %eax
	call	interrupt		# eax: the frame to leave through
	mov	%eax, %esp
leave:
	pop	%es
	pop	%ds
	popa
	add	$8, %esp		# vector and error code
	iret

/* thread A, ring 3: eight calls with DF set, as if within a copy downwards; then a yield */
	.global	thread_a, thread_b, thread_c
thread_a:
	mov	$greeting, %esi
1:	mov	$8, %edi
2:	std
	mov	$CALL_GREET, %eax
	int	$SYSTEM_CALL
	cld
	incl	greetings
	dec	%edi
	jnz	2b
	mov	$CALL_YIELD, %eax
	int	$SYSTEM_CALL
	jmp	1b

/* thread B, ring 3: sums 1 to 1,000, and looks whether it is right */
thread_b:
	mov	$1000, %ecx
	xor	%edx, %edx
1:	add	%ecx, %edx
	loop	1b
	cmp	$1000 * 1001 / 2, %edx
	je	thread_b
	mov	$CALL_WRONG, %eax
	int	$SYSTEM_CALL
	jmp	thread_b

/* thread C, ring 0: waits for the timer */
thread_c:
	hlt
	jmp	thread_c

	.section .rodata
greeting:
	.ascii	"greeting"

	.data
	.balign	4
greetings:
	.long	0

	.bss
	.balign	16
	.space	4096
boot_stack_end:

	.section .note.GNU-stack, "", @progbits

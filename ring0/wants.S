/*
 * What a program may want of its machine before it starts: memory, or what it asks for itself
 * (want_sysenter.S).  If it is not there, the log and the screen say so, and the program ends.
 */
#include "ports.h"
#include "stop.h"

#define DOS_MEMORY_END		2	/* a segment, in what DOS puts in front of a program */
#define BIOS_MEMORY_KIB		0x413
#define KIB_TO_PARAGRAPHS	6	/* bits */

	.text
	.code16

/*
 * want_memory - comes back if there is so much memory from the program on
 *
 * From:	a program's first instructions, real mode.
 * In:		cx: paragraphs; si: what the screen says if there is less.
 * Stack:	the loader's.
 * Errors:	there is less: ends.
 * Clobbers:	ax, ebx, fs.
 */
	.global	want_memory
want_memory:
	xor	%ax, %ax
	mov	%ax, %fs
	mov	%fs:BIOS_MEMORY_KIB, %ax
	shl	$KIB_TO_PARAGRAPHS, %ax
	cmpw	$INT_20, 0		# below that all is ours, unless DOS says not
	jne	1f
	mov	DOS_MEMORY_END, %ax
1:	mov	%cs, %bx
	sub	%bx, %ax
	movzwl	%ax, %ebx		# what there is, for the log
	cmp	%cx, %ax
	mov	$too_little_memory_log, %di
	jb	stay_out
	ret

/*
 * stay_out - a line for the log, a text for the screen, and the end
 *
 * In:		di: the rest of the line, without its last number, ebx; si: the text.
 */
	.global	stay_out
stay_out:
	push	%di
	mov	$boot, %di
	call	log
	mov	program, %di		# its first word is its name (show/program.h)
	call	log
	pop	%di
	call	log
	mov	$8, %cx
1:	rol	$4, %ebx
	mov	%bl, %al
	and	$0x0f, %al
	add	$'0', %al
	cmp	$'9', %al
	jbe	2f
	add	$'a' - '0' - 10, %al
2:	out	%al, $DEBUG_PORT
	loop	1b
	mov	$'\n', %al
	out	%al, $DEBUG_PORT
	jmp	stop_in_real_mode	# stop.S

log:	mov	(%di), %al
	test	%al, %al
	jz	1f
	out	%al, $DEBUG_PORT
	inc	%di
	jmp	log
1:	ret

	.section .rodata
boot:
	.asciz	"boot prog="
too_little_memory_log:
	.asciz	" stays-out=\"too little memory\" paragraphs="

	.section .note.GNU-stack, "", @progbits

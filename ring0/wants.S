/*
 * What a program may want of its machine before it starts: a CPU that has sysenter, memory.  If it
 * is not there, the log and the screen say so, and the program ends.
 */
#include "ports.h"
#include "stop.h"
#include "x86.h"

#define CPUID			.byte 0x0f, 0xa2	/* younger than the 386 */

#define DOS_MEMORY_END		2	/* a segment, in what DOS puts in front of a program */
#define BIOS_MEMORY_KIB		0x413
#define KIB_TO_PARAGRAPHS	6	/* bits */

/* The signature, in eax of cpuid 1: volume 2, CPUID. */
#define SIGNATURE_FAMILY	0x0ff00f00
#define SIGNATURE_MODEL		0x000f00f0
#define SIGNATURE_STEPPING	0x0000000f
#define FAMILY_6		0x00000600
#define MODEL_3			0x00000030

	.text
	.code16

/*
 * want_sysenter - comes back if the CPU has sysenter
 *
 * From:	a program's first instructions, real mode.
 * Stack:	the loader's.
 * Errors:	it has not: ends.  A Pentium Pro (family 6, model below 3, stepping below 3)
 *		says that it has, and has not (Intel, volume 2, SYSENTER).
 * Clobbers:	eax, ebx, ecx, edx.
 */
	.global	want_sysenter
want_sysenter:
	pushfl
	pop	%eax
	mov	%eax, %ecx
	xor	$EFLAGS_ID, %eax	# can be changed where there is cpuid
	push	%eax
	popfl
	pushfl
	pop	%eax
	push	%ecx
	popfl
	xor	%eax, %ecx
	xor	%ebx, %ebx		# the signature, if there is none
	test	$EFLAGS_ID, %ecx
	jz	2f
	mov	$1, %eax
	CPUID
	mov	%eax, %ebx
	test	$CPUID_SEP, %edx
	jz	2f
	and	$SIGNATURE_FAMILY, %eax
	cmp	$FAMILY_6, %eax
	jne	1f
	mov	%ebx, %eax
	and	$SIGNATURE_MODEL, %eax
	cmp	$MODEL_3, %eax
	jae	1f
	mov	%ebx, %eax
	and	$SIGNATURE_STEPPING, %eax
	cmp	$3, %eax
	jb	2f
1:	ret
2:	mov	$no_sysenter_log, %di
	mov	$no_sysenter, %si
	jmp	stay_out

/*
 * want_memory - comes back if there is so much memory from the program on
 *
 * From:	as above.
 * In:		cx: paragraphs.
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
	mov	$too_little_memory, %si
	jb	stay_out
	ret

/*
 * stay_out - a line for the log, a text for the screen, and the end
 *
 * In:		di: the rest of the line, without its last number, ebx; si: the text.
 */
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
no_sysenter_log:
	.asciz	" stays-out=\"the CPU has no sysenter\" signature="
no_sysenter:
	.ascii	"\r\nThis CPU has no sysenter: that came with the Pentium II. (QEMU: -cpu pentium2;\r\n"
	.asciz	"Bochs: model=p3_katmai in bochsrc.) The other programs do without it.\r\n"
too_little_memory_log:
	.asciz	" stays-out=\"too little memory\" paragraphs="
too_little_memory:
	.ascii	"\r\nThis program wants 192 KiB of memory below 640 KiB, for its pages. Free some, and\r\n"
	.asciz	"start it again.\r\n"

	.section .note.GNU-stack, "", @progbits

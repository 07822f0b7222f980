/* Whether the CPU has sysenter: what else a program may want is in wants.S. */
#include "x86.h"

#define CPUID			.byte 0x0f, 0xa2	/* younger than the 386 */

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

	.section .rodata
no_sysenter_log:
	.asciz	" stays-out=\"the CPU has no sysenter\" signature="
no_sysenter:
	.ascii	"\r\nThis CPU has no sysenter: that came with the Pentium II. (QEMU: -cpu pentium2;\r\n"
	.asciz	"Bochs: model=p3_katmai in bochsrc.) The other programs do without it.\r\n"

	.section .note.GNU-stack, "", @progbits

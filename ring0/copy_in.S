/*
 * Memory of ring 3's, for a ring 0 that has pages: the one place where it follows a pointer
 * that ring 3 has given it.
 */
#include "copy_in.h"

	.text

/*
 * copy_in - bytes from ring 3
 *
 *	uint32_t copy_in(void *to, uint32_t from, uint32_t bytes)
 *
 * Out:		how many were not copied: all if the last of them would lie beyond ring 3's
 *		addresses, for there ring 0 itself may read, and the CPU would not object;
 *		some if a page is missing: the CPU objects at copy_in_byte, and fault
 *		goes on at copy_in_failed (spaces.c), where ecx still counts.
 */
	.global	copy_in, copy_in_byte, copy_in_failed
copy_in:
	push	%esi
	push	%edi
	mov	%eax, %edi
	mov	%edx, %esi
	add	%ecx, %edx
	jc	copy_in_failed		# round to 0
	cmp	$COPY_IN_END, %edx
	ja	copy_in_failed
copy_in_byte:
	rep movsb
copy_in_failed:
	mov	%ecx, %eax
	pop	%edi
	pop	%esi
	ret

	.section .note.GNU-stack, "", @progbits

/*
 * A proc for tests: it fills its registers, and looks for ever whether they have
 * stayed as they were.  Put over the code of a proc (steady.py); PROC is 0 for A and 1
 * for B, so that no value is both's.
 *
 * A lap has one instruction of each kind that an interrupt could disturb: flags that
 * are waited for, one push above another, a string that is read downwards, a stack
 * that is just being loaded.  It ends in ud2 if something is not as it should be.
 */
#define PATTERN(n)	(0x01020304 * (n) + 0x10000000 + PROC * 0x55000000)
#define DATA		(0x0f + PROC * 0x18)
#define CODE		(0x07 + PROC * 0x18)
#define SCREEN		(0x17 + PROC * 0x18)
#define ALWAYS		0x202			/* bit 1, IF */
#if PROC
#define NEEDED		0x000400		/* DF */
#else
#define NEEDED		0x244cd5		/* ID AC NT OF DF SF ZF AF PF CF */
#endif
#define LAPS		8			/* in the data: 64 bits */
#define TEXT		64			/* 32 bytes */

	.text
	.global	_start, lap, lap_end
_start:
	mov	$SCREEN, %eax
	mov	%eax, %es
	mov	$CODE, %eax
	mov	%eax, %fs
	mov	$DATA, %eax
	mov	%eax, %gs
	mov	$PATTERN(2), %edx
	mov	$PATTERN(3), %ebx
	mov	$PATTERN(5), %edi
	mov	$PATTERN(6), %ebp
lap:
	mov	$PATTERN(1), %eax
	mov	$4, %ecx
	mov	$TEXT + 16, %esi
	pushl	$NEEDED
	popf				# leaves IF alone
	rep lodsb				# DF: downwards; may be interrupted inside
	push	%ss
	pop	%ss				# nothing comes between this and the next
	.global	shadow
shadow:	nop
	jecxz	1f				# no flags
	jmp	bad
1:	not	%edx
	push	%edx				# something that must not be overwritten
	mov	$0, %edx
	pop	%edx
	not	%edx
	pushf
	cld
	cmpl	$NEEDED | ALWAYS, (%esp)
	lea	4(%esp), %esp
	jne	bad
	cmp	$TEXT + 12, %esi
	jne	bad
	cmp	$PATTERN(1) & 0xffffff00, %eax	# the text is zero
	jne	bad
	cmp	$PATTERN(2), %edx
	jne	bad
	cmp	$PATTERN(3), %ebx
	jne	bad
	cmp	$PATTERN(5), %edi
	jne	bad
	cmp	$PATTERN(6), %ebp
	jne	bad
	addl	$1, LAPS
	adcl	$0, LAPS + 4
lap_end:
	jmp	lap
bad:	ud2

	.section .note.GNU-stack, "", @progbits

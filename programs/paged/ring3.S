/*
 * What runs in ring 3: the same instructions for both threads, at the same addresses, with
 * the same addresses of data.  Which data these are depends on the space.
 *
 * From:	iret, at thread_code; later behind the int 0x30.
 * In:		ds = es = ss: everything, as far as pages allow; all else zero.
 * Stack:	up to RING3_STACK_END; the same esp at every int 0x30.
 */
#include "ring0/flat_segments.h"
#include "ring3/ask.h"
#include "show/layout.h"
#include "thread.h"

#define PROC(name) thread_##name

	.section .ring3, "ax"
	.global	thread_code, thread_turn, thread_int
thread_code:
thread_turn:
	addl	$1, TURNS
	adcl	$0, TURNS + 4
	cmpl	$ASK_NOTHING, ASKED
	jne	thread_asked
thread_int:
	int	$0x30			# the other thread's turn; we'll be back right here
	jmp	thread_turn

thread_asked:
	pusha				# whatever was asked: the count first
	mov	TURNS, %esi
	mov	TURNS + 4, %edi
	lea	32(%esp), %eax		# esp before pusha, as it is at int 0x30
	call	thread_draw
	mov	$SECRET, %esi		# and what it finds in its data
	mov	$RING3_WINDOW + CELL(WINDOW_END_ROW, SECRET_COLUMN), %edi
	mov	$0x0f, %ah
1:	lodsb
	stosw
	cmpb	$0, (%esi)
	jne	1b
	popa
	cmpl	$ASK_MISTAKE, ASKED
	jae	thread_mistake
thread_answered:
	movl	$ASK_NOTHING, ASKED
	jmp	thread_int

#define WINDOW %ds
#define WINDOW_AT RING3_WINDOW
#include "ring3/draw.h"
#undef WINDOW

/*
 * Nine things that it should not do, for the keys 1 to 9; the labels name the instruction.
 * It survives those that end at thread_answered.
 */
thread_mistake:
	mov	ASKED, %eax
	jmp	*thread_mistakes - ASK_MISTAKE * 4(, %eax, 4)

thread_mistakes:
	.long	1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, 9f

1:	mov	$RING0_LINEAR, %ebx	# 1: reads ring 0: #PF, those pages are not ring 3's
thread_fault_1:
	mov	(%ebx), %eax

2:
thread_fault_2:				# 2: writes its code: #PF, that page is read-only
	movb	$0x90, thread_code

3:	movw	$0xc3cc, SCRATCH	# 3: runs data: int3, ret.  No bit forbids it (NX came
	mov	$SCRATCH, %eax		#    with the long tables of PAE): a trap from there, and on
thread_fault_3:
	call	*%eax
	jmp	thread_answered

4:
thread_fault_4:				# 4: pushes beyond the stack: #PF in the guard page
	push	%eax
	jmp	4b

5:
thread_fault_5:				# 5: reads through a null pointer: #PF, page 0 is not there
	mov	0, %eax

6:	mov	$SECRET, %eax		# 6: says what lies where the other has its secret: its own
thread_fault_6:
	int	$0x31
	jmp	thread_answered

7:
thread_fault_7:				# 7: reads across the end of a page: #PF in the hole behind
	mov	RING3_DATA + PAGE_BYTES - 2, %eax

8:	mov	$RING0_LINEAR + 0x100, %eax	# 8: has ring 0 say what lies in ring 0: refused
thread_fault_8:
	int	$0x31
	jmp	thread_answered

9:
thread_fault_9:				# 9: writes where nothing is yet: ring 0 puts a page there
	incl	RING3_LATER
	jmp	thread_answered

	.section .note.GNU-stack, "", @progbits

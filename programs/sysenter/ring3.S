/*
 * What runs in ring 3: the same instructions for both procs, at the same addresses, with the
 * same addresses of data.  Which data these are depends on the space.
 *
 * From:	sysexit, at proc_code; later at proc_back.
 * In:		ds = es = USER_DATA; ecx, edx: esp and eip, as sysexit has taken them; all
 *		else zero.
 * Stack:	down from RING3_STACK_END; the same esp at every sysenter.
 *
 * It counts its turns in edi:esi.  ecx and edx do not survive a sysenter: it has to
 * say in them where it wants to go on.
 */
#include "proc.h"
#include "ring3/ask.h"
#include "show/layout.h"

#define SYSENTER	.byte 0x0f, 0x34
#define SYSEXIT		.byte 0x0f, 0x35
#define WRMSR		.byte 0x0f, 0x30

#define PROC(name) proc_##name

	.section .ring3, "ax"
	.global	proc_code, proc_sysenter, proc_back
proc_code:
	add	$1, %esi
	adc	$0, %edi
	cmpl	$ASK_NOTHING, ASKED
	jne	proc_asked
proc_turn:
	mov	%esp, %ecx		# nothing else keeps it
	mov	$proc_back, %edx
proc_sysenter:
	SYSENTER			# the other proc's turn
proc_back:
	jmp	proc_code

proc_asked:
	pusha				# whatever was asked: the count first
	lea	32(%esp), %eax		# esp before pusha, as it is at sysenter
	call	proc_draw
	popa
	cmpl	$ASK_MISTAKE, ASKED
	jae	proc_mistake
	movl	$ASK_NOTHING, ASKED
	jmp	proc_turn

#define WINDOW %ds
#define WINDOW_AT RING3_WINDOW
#include "ring3/draw.h"
#undef WINDOW

/*
 * Eight things that it should not do, for the keys 1 to 8; the labels name the instruction.
 * None comes back.
 */
proc_mistake:
	mov	%esp, %ecx
	mov	$proc_back, %edx
	mov	ASKED, %eax
	jmp	*proc_mistakes - ASK_MISTAKE * 4(, %eax, 4)

proc_mistakes:
	.long	1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f

1:
proc_fault_1:				# 1: reads ring 0: #PF, those pages are not ring 3's
	mov	RING0_LINEAR, %eax

2:	mov	$MSR_SYSENTER_EIP, %ecx	# 2: wants ring 0 to begin somewhere else: #GP, only ring 0
proc_fault_2:				# may write MSRs
	WRMSR

3:
proc_fault_3:				# 3: leaves a ring that it is not in: #GP
	SYSEXIT

4:	xor	%ecx, %ecx		# 4: has not said where its stack is: it is at 0 now, and
	mov	$1f, %edx		# the first push beyond all, in ring 0: #PF
	SYSENTER
1:
proc_fault_4:
	push	%eax

5:	push	$EFLAGS_ALWAYS | EFLAGS_TF	# 5: single-steps: #DB behind the sysenter, in
	popf				# ring 0 already, for TF stays set
	SYSENTER
proc_fault_5:
	hlt

6:
proc_fault_6:				# 6: never enters: the alarm
	jmp	6b

7:	mov	$RING0_LINEAR, %edx	# 7: wants to go on in ring 0: there it is, but in ring 3:
	SYSENTER			# #PF at that address

8:
proc_fault_8:				# 8: uses the door of others: #GP, there is no gate 0x30
	int	$0x30

	.section .note.GNU-stack, "", @progbits

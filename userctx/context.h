/*
 * The context: everything a user has in its registers, while it does not run.
 *
 * run(&context) loads it and enters ring 3; when the user traps, whatever the way,
 * all is stored here again, and run returns.
 *
 *	 +0  eax ecx edx ebx esp ebp esi edi	the general registers, in the order
 *						of the CPU's numbers
 *	+32  eip		where the user goes on
 *	+36  eflags
 *	+40  fsbase, gsbase	linear addresses of its two small segments, as one has
 *				them for thread-local storage; only ever loaded:
 *				ring 3 cannot change them
 *	+48  trap_num		why run has returned: 0x100 for int 0x30, else the
 *				CPU's vector; only ever stored
 *	+52  error_code		0 where the CPU pushes none; only ever stored
 *
 * Not in a context: selectors.  They are the same for every user (user_segments.h), and
 * what a user has loaded into ds, es, fs or gs is gone at its next run.
 */
#ifndef CONTEXT_H
#define CONTEXT_H

#define EAX		0
#define ECX		4
#define EDX		8
#define EBX		12
#define ESP		16
#define EBP		20
#define ESI		24
#define EDI		28
#define EIP		32
#define EFLAGS		36
#define FSBASE		40
#define GSBASE		44
#define TRAP_NUM	48
#define ERROR_CODE	52
#define CONTEXT_BYTES	56

#define TRAP_CALL	0x100	/* trap_num: no vector of the CPU's, but a call */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct user_context {
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t eip, eflags;
	uint32_t fsbase, gsbase;
	uint32_t trap_num, error_code;
};
#define AT(field, offset) \
	_Static_assert(offsetof(struct user_context, field) == offset, #field)
AT(eax, EAX); AT(ecx, ECX); AT(edx, EDX); AT(ebx, EBX);
AT(esp, ESP); AT(ebp, EBP); AT(esi, ESI); AT(edi, EDI);
AT(eip, EIP); AT(eflags, EFLAGS);
AT(fsbase, FSBASE); AT(gsbase, GSBASE);
AT(trap_num, TRAP_NUM); AT(error_code, ERROR_CODE);
#undef AT
_Static_assert(sizeof(struct user_context) == CONTEXT_BYTES, "context");

/*
 * What ring 0 had in its registers when it trapped itself, in the order of the
 * pushes from the highest address down: three words by the CPU (the ring stays, and so
 * does the stack), two by it or by the vector's entry, the rest by trap_from_ring0.
 */
struct trap_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
	uint32_t trap_num, error_code;
	uint32_t eip, cs, eflags;
};

/* run.S */
void run(struct user_context *context);
extern char run_iret[], run_return[];

/* main.c */
void trap_handler(struct trap_frame *trap);

#endif
#endif

/*
 * A context: all of a user's registers, while it does not run.
 *
 * run_fncall(&context) loads it and enters the user; when the user calls
 * fncall_trap, all of it is stored again, and run_fncall returns.
 *
 *	  +0  rax rcx rdx rbx rsp rbp rsi rdi	the general registers, in the
 *	 +64  r8 ... r15			order of the CPU's numbers
 *	+128  rip	where the user goes on
 *	+136  rflags
 *	+144  fsbase	its struct user_tls; only ever loaded: a user keeps it
 *	+152  trap_num	why run_fncall has returned; only ever stored
 *	+160  error_code
 *	+168  fault_address	of a page fault (trap_num 14): what could not be accessed
 *
 * Not in a context, so not a user's own: gs base and segment registers (nothing
 * here touches them) and all of x87, MMX, SSE and AVX (as at any call).
 */
#ifndef FNCALL_H
#define FNCALL_H

#define RAX		0
#define RCX		8
#define RDX		16
#define RBX		24
#define RSP		32
#define RBP		40
#define RSI		48
#define RDI		56
#define R8		64
#define R9		72
#define R10		80
#define R11		88
#define R12		96
#define R13		104
#define R14		112
#define R15		120
#define RIP		128
#define RFLAGS		136
#define FSBASE		144
#define TRAP_NUM	152
#define ERROR_CODE	160
#define FAULT_ADDRESS	168

#define TRAP_CALL	0x100	/* trap_num: no vector of the CPU's, but a call */
#define TRAP_REFUSED	0x101	/* an fs that cannot become gs: error_code says why (rewrite.h) */
#define TRAP_PAGE_FAULT	14	/* trap_num below 32 is the CPU's vector */
#define RFLAGS_ALWAYS	0x002	/* bit 1 has no meaning and is always set */

/* What a user finds through fs. */
#define TLS_SELF	0
#define TLS_STACK	8
#define TLS_TURNS	16
#define TLS_RUNNING	24

/* On run_fncall's stack while the user runs. */
#define SAVED_CONTEXT	0
#define SAVED_FSBASE	8
#define SAVED_MXCSR	16
#define SAVED_X87_CW	20
#define SAVED_RFLAGS	24		/* above: r15 r14 r13 r12 rbp rbx, rip */

#define MANY	256		/* instructions of proc_many, all of them by fs */
#define NOWHERE	0x1234		/* an address of proc_wild's: in page 0, which Linux never maps */

/* Without fs: what is closed while a user runs, so that its accesses by fs fault: the
   pages that hold the host's fs base and GUARD_REACH bytes on either side. */
#define PAGE		4096
#define GUARD_REACH	1024

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct user_context {
	uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, fsbase;
	uint64_t trap_num, error_code, fault_address;
};
#define AT(field, offset) \
	_Static_assert(offsetof(struct user_context, field) == offset, #field)
AT(rax, RAX); AT(rcx, RCX); AT(rdx, RDX); AT(rbx, RBX);
AT(rsp, RSP); AT(rbp, RBP); AT(rsi, RSI); AT(rdi, RDI);
AT(r8, R8);   AT(r9, R9);   AT(r10, R10); AT(r11, R11);
AT(r12, R12); AT(r13, R13); AT(r14, R14); AT(r15, R15);
AT(rip, RIP); AT(rflags, RFLAGS); AT(fsbase, FSBASE);
AT(trap_num, TRAP_NUM); AT(error_code, ERROR_CODE); AT(fault_address, FAULT_ADDRESS);
#undef AT

struct user_tls {
	struct user_tls *self;	/* the fs base: compiled code looks for it at fs:0 */
	uint64_t stack;		/* run_fncall's, while the user runs; else the user's */
	uint64_t turns;		/* the user's own: how often it has run (proc.S) */
	uint64_t running;	/* without fs: run_fncall's stack, while this user runs; else 0 */
};
_Static_assert(offsetof(struct user_tls, self) == TLS_SELF, "tls");
_Static_assert(offsetof(struct user_tls, stack) == TLS_STACK, "tls");
_Static_assert(offsetof(struct user_tls, turns) == TLS_TURNS, "tls");
_Static_assert(offsetof(struct user_tls, running) == TLS_RUNNING, "tls");

/* run_fncall.S */
void run_fncall(struct user_context *context);
void fncall_faulted(void);		/* where a signal handler leads a user that has faulted; no function */
extern char fncall_trap[], fncall_trap_end[];

/* How the base changes hands: one of these pairs. */
void fs_by_arch_prctl(void), fs_by_wrfsbase(void);
void gs_by_arch_prctl(void), gs_by_wrgsbase(void), gs_left(void);
extern void (*base_to_user)(void), (*base_to_c)(void);

/* proc.S: what users run, and where it ends. */
extern char proc[], proc_end[], proc_many[], proc_many_end[], proc_wild[], proc_wild_end[];
extern char proc_summed[], proc_summed_end[], proc_rdfsbase[], proc_rdfsbase_end[];

#endif
#endif

/*
 * The host does not let us have fs: what user code wants of fs it gets from gs.
 *
 * Code is not recompiled for that.  While a user runs, libc's thread-local storage is closed
 * (run_fncall.S), so each of its instructions with an fs prefix faults when it is executed
 * first.  The handler changes that one byte from 0x64 to 0x65 and returns; the instruction
 * is executed again, uses gs, and never faults for this reason again.
 *
 * Another thread may execute the same bytes meanwhile.  It meets the old prefix or the new
 * one, because one byte is written in one access and no other byte changes.  With the new one it
 * goes on; with the old one it faults, and finds here that the work is done.  Its sigreturn ends in
 * an iret, which serializes, so it fetches the new byte (Intel, volume 3, 9.1.3).  The page stays
 * executable while it is writable, and a lock keeps one thread from closing it under another's write.
 *
 * Nothing here may touch libc's thread-local storage: no call of libc, no errno, no stack protector.
 */
#define _GNU_SOURCE		/* the names of registers in a signal's frame */
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "decode.h"
#include "fncall.h"
#include "rewrite.h"

#define ARCH_GET_GS	0x1004
#define GENERAL_PROTECTION	13
#define FETCH		0x10	/* in the error code of a page fault */
#define WIDEST		64	/* bytes of an operand; a fault may be anywhere in it */
#define HALF_OF_ALL	(UINT64_C(1) << 47)	/* addresses from here to the last as many do not exist */
#define STACK_OF_SIGNALS	0x10000
#define MOST_CODES	16
#define RSEQ_UNREGISTER	1
#define RSEQ_SIGNATURE	0x53053053
#define MOST_OF_RSEQ	512

static const int by_number[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static struct code {
	const uint8_t *start, *end;
	int fixed;
} codes[MOST_CODES];
static int declared;

struct rewritten rewritten;
static int page_is_open;		/* the lock */

/* A system call that knows no errno. */
static long ask(long number, long one, long two, long three, long four)
{
	long answer;
	register long r10 __asm__("r10") = four;

	__asm__ volatile("syscall" : "=a"(answer)
			 : "a"(number), "D"(one), "S"(two), "d"(three), "r"(r10) : "rcx", "r11", "memory");
	return answer;
}

const char *why_refused(enum refusal refusal)
{
	switch (refusal) {
#define WORDS(name, why)	case name: return why;
	REFUSALS(WORDS)
#undef WORDS
	default: return "it was not refused";
	}
}

/* ---- what may be changed ------------------------------------------------- */

/*
 * From:	main, before any user runs.
 * In:		code of a user, which a handler may change; fixed: it may not, since that
 *		code sums itself up (nothing in its bytes tells that).
 * Out:		a refusal, with the place: code that asks for the base itself would not
 *		fault, but would read or write the host's.
 */
enum refusal declare_code(const void *start, const void *end, int fixed, const void **where)
{
	const uint8_t *last = (const uint8_t *)end - 2;

	/* At any byte, since a user may jump to any: 0f ae with a register is rdfsbase, rdgsbase,
	   wrfsbase or wrgsbase, or nothing at all without its f3. */
	for (const uint8_t *at = start; at < last; at++) {
		if (at[0] == 0x0f && at[1] == 0xae && at[2] >= 0xc0 && at[2] < 0xe0) {
			*where = at;
			return REFUSED_BASE;
		}
	}
	if (declared == MOST_CODES)
		return REFUSED_FOREIGN;
	codes[declared++] = (struct code){ start, end, fixed };
	return NOT_REFUSED;
}

static enum refusal may_change(const uint8_t *at)
{
	for (int code = 0; code < declared; code++)
		if (at >= codes[code].start && at < codes[code].end)
			return codes[code].fixed ? REFUSED_FIXED : NOT_REFUSED;
	return REFUSED_FOREIGN;
}

/*
 * Makes an fs prefix a gs prefix.  All signals are blocked, so what holds the lock is never
 * interrupted by what wants it.
 */
static enum refusal rewrite(uint8_t *prefix)
{
	long page = (long)prefix & -PAGE;
	enum refusal refusal = NOT_REFUSED;

	while (__atomic_exchange_n(&page_is_open, 1, __ATOMIC_ACQUIRE))
		ask(SYS_sched_yield, 0, 0, 0, 0);
	if (*prefix != FS_PREFIX) {
		__atomic_add_fetch(&rewritten.late, 1, __ATOMIC_RELAXED);
	} else if (ask(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0) < 0) {
		refusal = REFUSED_BY_HOST;
	} else {
		__atomic_store_n(prefix, GS_PREFIX, __ATOMIC_SEQ_CST);
		rewritten.rewritten++;
		ask(SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC, 0);
	}
	__atomic_store_n(&page_is_open, 0, __ATOMIC_RELEASE);
	return refusal;
}

/* ---- what has faulted ---------------------------------------------------- */

/* Where the instruction accesses memory, before fs or gs is added. */
static uint64_t address_of(const struct instruction *found, const greg_t *registers)
{
	uint64_t address = (uint64_t)found->displacement;

	if (found->base == RIP_REGISTER)
		address += (uint64_t)registers[REG_RIP] + (uint64_t)found->length;
	else if (found->base != NO_REGISTER)
		address += (uint64_t)registers[by_number[found->base]];
	if (found->index != NO_REGISTER)
		address += (uint64_t)registers[by_number[found->index]] << found->scale;
	if (found->add_al)
		address += (uint64_t)registers[REG_RAX] & 0xff;
	return found->narrow ? (uint32_t)address : address;
}

static int exists(uint64_t address)
{
	return address + HALF_OF_ALL < 2 * HALF_OF_ALL;
}

/*
 * Of an instruction whose prefix is gs by now: whether it still was fs when it faulted.  If not, gs
 * itself leads to where nothing is, and the fault is the user's own.
 */
static int was_late(const struct instruction *found, const greg_t *registers, uint64_t fs_base, uint64_t gs_base)
{
	uint64_t address = address_of(found, registers), fault = (uint64_t)registers[REG_CR2];

	if (registers[REG_TRAPNO] == GENERAL_PROTECTION)
		return found->address_known && !exists(fs_base + address) && exists(gs_base + address);
	if (!found->address_known)
		return fault - (fs_base - GUARD_REACH - PAGE) < 2 * (GUARD_REACH + PAGE);
	return fault - (fs_base + address) < WIDEST && fault - (gs_base + address) >= WIDEST;
}

/* Ends the user's turn: run_fncall returns with this trap. */
static void give_up(greg_t *registers, struct user_tls *tls, uint64_t trap_num, uint64_t error_code)
{
	struct user_context *context = *(struct user_context **)(tls->running + SAVED_CONTEXT);
	uint64_t *general = &context->rax;

	for (int number = 0; number < 16; number++)
		general[number] = (uint64_t)registers[by_number[number]];
	context->rip = (uint64_t)registers[REG_RIP];
	context->rflags = (uint64_t)registers[REG_EFL];
	context->trap_num = trap_num;
	context->error_code = error_code;
	context->fault_address = trap_num == TRAP_PAGE_FAULT ? (uint64_t)registers[REG_CR2] : 0;
	registers[REG_RIP] = (greg_t)fncall_faulted;
	registers[REG_RSP] = (greg_t)tls->running;
}

/*
 * From:	Linux, as the handler of SIGSEGV, SIGBUS, SIGILL and SIGFPE.
 * In:		where: all registers, which sigreturn loads again; x87, SSE and AVX state as well.
 * Out:		to the same instruction, rewritten; or to run_fncall's caller, by fncall_faulted.
 * Stack:	the thread's own for signals, since a user's may be small, or the cause.  Every
 *		signal is blocked.  What interrupts a user and faults itself comes here as well, on
 *		the same stack further down: nothing of a user is kept elsewhere.
 * Errors:	a fault of C's own is left to Linux, which ends the program.
 */
static void on_fault(int signal_number, siginfo_t *info, void *where)
{
	greg_t *registers = ((ucontext_t *)where)->uc_mcontext.gregs;
	const uint8_t *code = (const uint8_t *)registers[REG_RIP];
	uint64_t trap = (uint64_t)registers[REG_TRAPNO], error = (uint64_t)registers[REG_ERR];
	uint64_t fault = (uint64_t)registers[REG_CR2], fs_base;
	struct instruction found;
	struct user_tls *tls = NULL;
	enum refusal refusal;
	enum decoded whole;
	int available = LONGEST;

	(void)info;
	ask(SYS_arch_prctl, ARCH_GET_GS, (long)&tls, 0, 0);
	if (!tls || !tls->running) {
		signal(signal_number, SIG_DFL);
		return;
	}
	fs_base = *(uint64_t *)(tls->running + SAVED_FSBASE);
	__atomic_add_fetch(&rewritten.faults, 1, __ATOMIC_RELAXED);

	/* A fetch that faults leaves no more to be read than lies before the address. */
	if (trap == TRAP_PAGE_FAULT && error & FETCH)
		available = fault - (uint64_t)code < LONGEST ? (int)(fault - (uint64_t)code) : 0;
	else if (signal_number == SIGFPE || (trap == GENERAL_PROTECTION && !exists((uint64_t)code)))
		available = 0;
	whole = decode(code, available, &found);
	if (available < LONGEST) {
		if (!available || found.segment != FS_PREFIX)
			goto real;
		refusal = REFUSED_CUT;
	} else if (found.base_access) {
		refusal = REFUSED_BASE;
	} else if (signal_number != SIGSEGV || (trap != TRAP_PAGE_FAULT && trap != GENERAL_PROTECTION)) {
		goto real;
	} else if (whole == WHOLE && !found.memory) {
		goto real;
	} else if (found.segment == GS_PREFIX) {
		if (whole != WHOLE || !was_late(&found, registers, fs_base, (uint64_t)tls))
			goto real;
		__atomic_add_fetch(&rewritten.late, 1, __ATOMIC_RELAXED);
		return;
	} else if (found.segment != FS_PREFIX) {
		goto real;
	} else if (whole != WHOLE) {
		refusal = REFUSED_UNKNOWN;
	} else {
		refusal = may_change(code + found.override);
		if (!refusal)
			refusal = rewrite((uint8_t *)code + found.override);
		if (!refusal)
			return;
	}
	give_up(registers, tls, TRAP_REFUSED, refusal);
	return;
real:
	give_up(registers, tls, trap, error);
}

/* ---- setting it up ------------------------------------------------------- */

static uint64_t own_fs_base(void)
{
	uint64_t base;

	__asm__("mov %%fs:0, %0" : "=r"(base));
	return base;
}

/*
 * Linux writes to a thread's rseq area whenever it preempts the thread, and ends the program if that is closed.
 * glibc does without it.  How long the area is differs between its versions.
 */
static int give_rseq_back(void)
{
#ifdef SYS_rseq
#if __has_include(<sys/rseq.h>)
	if (!__rseq_size)
		return 0;
	for (long size = 20; size <= MOST_OF_RSEQ; size += 4)
		if (!ask(SYS_rseq, (long)own_fs_base() + __rseq_offset, size, RSEQ_UNREGISTER, RSEQ_SIGNATURE))
			return 0;
	return -1;
#endif
#endif
	return 0;
}

/*
 * From:	C, once in each thread that runs users without fs; before that, the code of
 *		the users is declared.
 * Out:		NULL; or why it cannot be done here.
 * Stack:	C's: more than GUARD_REACH and a page below the thread's TLS.
 */
const char *leave_fs_alone(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	uint64_t base = own_fs_base(), start = (base - GUARD_REACH) & -(uint64_t)PAGE;
	uint64_t bytes = ((base + GUARD_REACH + PAGE - 1) & -(uint64_t)PAGE) - start;
	long closed, opened;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = STACK_OF_SIGNALS + getauxval(AT_MINSIGSTKSZ) };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		return "no stack for signals";
	sigfillset(&action.sa_mask);
	for (unsigned number = 0; number < sizeof signals / sizeof signals[0]; number++)
		if (sigaction(signals[number], &action, NULL))
			return "no handler for SIGSEGV";
	if (give_rseq_back())
		return "Linux keeps this thread's rseq area, which must be open";
	/* Makes the pages a mapping of their own, so that Linux need not split and join one at each
	   switch.  (Without it, all works, and takes longer.) */
	ask(SYS_madvise, (long)start, (long)bytes, MADV_DONTDUMP, 0);
	closed = ask(SYS_mprotect, (long)start, (long)bytes, PROT_NONE, 0);
	opened = ask(SYS_mprotect, (long)start, (long)bytes, PROT_READ | PROT_WRITE, 0);
	if (closed || opened)
		return "Linux does not close libc's thread-local storage";
	return NULL;
}

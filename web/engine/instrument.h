/* What Bochs calls while it runs, in the form that its instrument/instrumentation.txt asks for.

   Only what the page needs does something: accesses to memory while a step is told, interrupts
   and exceptions, and port 0xe9, on which the guest writes its log. All else is empty. */

#ifndef RINGPONG_INSTRUMENT_H
#define RINGPONG_INSTRUMENT_H

class bxInstruction_c;

extern bool rp_telling; /* do rp_linear and rp_physical keep accesses? */

/* Called by the memory macros of bochs.h (ringside/web/engine.py puts them there), with the data:
   the documented callback for accesses has none. */
void rp_linear(bx_address linear, unsigned length, unsigned how, const Bit8u *data);
void rp_physical(bx_phy_address physical, unsigned length, unsigned how, unsigned why, const Bit8u *data);

void rp_initialize(void);
void rp_exception(unsigned vector, unsigned error);
void rp_interrupt(unsigned vector);
void rp_before_execution(void);
void rp_out(Bit16u port, unsigned value);

#define BX_INSTR_INIT_ENV()
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_INITIALIZE(cpu) rp_initialize()
#define BX_INSTR_EXIT(cpu)
#define BX_INSTR_RESET(cpu, type)
#define BX_INSTR_HLT(cpu)
#define BX_INSTR_MWAIT(cpu, addr, len, flags)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(cmd)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu, branch_eip, new_eip)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu, branch_eip)
#define BX_INSTR_UCNEAR_BRANCH(cpu, what, branch_eip, new_eip)
#define BX_INSTR_FAR_BRANCH(cpu, what, prev_cs, prev_eip, new_cs, new_eip)
#define BX_INSTR_OPCODE(cpu, i, opcode, len, is32, is64)
#define BX_INSTR_EXCEPTION(cpu, vector, error) rp_exception(vector, error)
#define BX_INSTR_INTERRUPT(cpu, vector)
#define BX_INSTR_HWINTERRUPT(cpu, vector, cs, eip) rp_interrupt(vector)
#define BX_INSTR_CLFLUSH(cpu, laddr, paddr)
#define BX_INSTR_CACHE_CNTRL(cpu, what)
#define BX_INSTR_TLB_CNTRL(cpu, what, new_cr3)
#define BX_INSTR_PREFETCH_HINT(cpu, what, seg, offset)
#define BX_INSTR_BEFORE_EXECUTION(cpu, i) \
	do { if (rp_telling) rp_before_execution(); } while (0)
#define BX_INSTR_AFTER_EXECUTION(cpu, i)
#define BX_INSTR_REPEAT_ITERATION(cpu, i)
#define BX_INSTR_LIN_ACCESS(cpu, lin, phy, len, memtype, rw)
#define BX_INSTR_PHY_ACCESS(cpu, phy, len, memtype, rw)
#define BX_INSTR_INP(addr, len)
#define BX_INSTR_INP2(addr, len, val)
#define BX_INSTR_OUTP(addr, len, val) rp_out(addr, val)
#define BX_INSTR_WRMSR(cpu, addr, value)
#define BX_INSTR_VMEXIT(cpu, reason, qualification)

#endif

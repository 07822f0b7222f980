"""What the judge checks: each rule with its place in Intel's manual.

The manual is the Software Developer's Manual, SDM; sections are numbered as in its
editions up to 2023. A place stands at the margin; below it the rules, name and sentence.
EXEMPTIONS, at the end, are the bits in which an emulator is known to differ.
"""

import dataclasses
import functools
import re
from typing import NamedTuple

from ringside.emulators import versions

TABLE = """
vol. 3A, 6.3.1, external interrupts; 6.3.2, maskable hardware interrupts; 6.8.1
    interrupt-let-in    IF was set: else the hardware has to wait

vol. 3A, 6.2, exception and interrupt vectors
    interrupt-vector    the vector is 32 or above: the hardware can bring any, but those below are reserved

vol. 3A, 6.8.3, masking when switching stacks; vol. 2B, STI
    interrupt-shadow    the instruction before has not loaded ss by mov or pop, nor set IF by sti

vol. 2A, INT n/INTO/INT3, Operation: PROTECTED-MODE
    gate-in-idt         the gate's 8 bytes lie within IDTR's limit
    gate-read           the gate is read at IDTR's base + 8 * vector
    gate-type           it is an interrupt gate, a trap gate or a task gate
    gate-dpl            by int n, int3, into: the gate's DPL is at least CPL
    gate-present        the gate is present

vol. 2A, INT n/INTO/INT3, Operation: TRAP-OR-INTERRUPT-GATE
    handler-not-null    the gate's selector is not null
    handler-in-table    it lies within the limit of its table
    handler-read        its descriptor is read at the table's base + 8 * index
    handler-code        the descriptor is a code segment's
    handler-dpl         its DPL is at most CPL: never to less privilege
    handler-present     it is present

vol. 2A, INT n/INTO/INT3, Operation: INTER-PRIVILEGE-LEVEL-INTERRUPT; vol. 3A, 6.12.1
    tss-limit           ss and esp for the new ring lie within TR's limit
    tss-ss              the new ss is read in the TSS: for ring 0 at TR's base + 8; in a 16-bit one + 4
    tss-esp             the new esp is read in the TSS: for ring 0 at TR's base + 4; in a 16-bit one, sp at + 2
    stack-not-null      the new ss is not null
    stack-in-table      it lies within the limit of its table
    stack-rpl           its RPL is the new ring
    stack-read          its descriptor is read at the table's base + 8 * index
    stack-dpl           the stack's DPL is the new ring
    stack-writable      it is a writable data segment
    stack-present       it is present
    push-ss             first word pushed: the old ss
    push-esp            second word: the old esp
    int-ss              ss is the TSS's, and its hidden part what the descriptor says
    int-cpl             CPL is the DPL of the new code segment

vol. 2A, INT n/INTO/INT3, Operation: INTER- and INTRA-PRIVILEGE-LEVEL-INTERRUPT
    stack-room          the stack has room for all that is pushed
    handler-offset      the gate's offset is within the limit of its code segment
    push-eflags         pushed next: eflags, as they were
    push-cs             then: the old cs
    int-cs              cs is the gate's, RPL = CPL, its hidden part what the descriptor says
    int-eip             eip is the gate's offset
    int-esp             esp is below the last word pushed
    int-if              an interrupt gate clears IF, a trap gate leaves it
    int-tf-nt-rf-vm     TF, NT, RF and VM are clear

vol. 3A, 6.5, exception classifications
    push-eip            then eip: by a fault that of the instruction, by a trap or by hardware the next

vol. 3A, 6.13, error code
    push-error          last, by the exceptions that have one: the error code

vol. 3B, 17.3.1.1, the resume flag
    push-rf             RF in the eflags pushed is set by a fault, and by no instruction; by the hardware, see push-eflags
    resume-flag         RF is clear after an instruction, but iret

vol. 2A, IRET, Operation: PROTECTED-MODE, TASK-RETURN
    task-link           by iret, if NT is set: the TSS is the one that the old TSS's link names

vol. 2A, JMP and CALL, Operation: TASK-GATE and TASK-STATE-SEGMENT
    task-ring           by jmp, call: the DPL of TSS or task gate is at least CPL and RPL
    task-gate-present   by jmp, call: the task gate is present

vol. 3A, 7.3, steps 1 to 4; 7.2.2; table 7-1
    task-global         the selector is one of the GDT
    task-in-gdt         it lies within the GDT's limit
    task-read           its descriptor is read at the GDT's base + 8 * index
    task-type           the descriptor is a TSS's, and not a busy one's; by iret, a busy one's
    task-present        it is present
    task-limit          its limit is at least 0x67; of a 16-bit one, 0x2b

vol. 3A, 7.3, steps 6 to 8; table 7-2
    task-left           by jmp, iret: the busy bit of the old TSS's descriptor is cleared
    task-save-eip       eip is saved in the old TSS: of the next instruction; by a fault, of the one that has caused it
    task-save           eflags, general and segment registers are saved there
    task-save-nt        NT in the eflags saved: cleared by iret, else as it was

vol. 3A, 7.3, steps 9 to 11; 7.4; table 7-2; 2.5
    task-backlink       by call, int, exception: the old TSS's selector goes into the new one's link
    task-nt             NT is set by call, int, exception; else as in the new TSS
    task-busy           the busy bit of the new TSS's descriptor is set
    task-tr             TR is the new TSS's selector, its hidden part what the descriptor says
    task-ts             TS of cr0 is set

vol. 3A, 7.3, step 12
    task-load           eip, eflags, general and segment registers, LDTR are read in the new TSS
    task-cr3            and, if paging is on, cr3
    task-cpl            CPL is the RPL of the new cs

vol. 3A, 7.3, step 13; table 7-1
    task-ldt            the LDT's selector is null, or an LDT's in the GDT, within its limit
    task-ldt-read       its descriptor is read at the GDT's base + 8 * index
    task-ldt-present    it is present
    task-descriptor     descriptors of segments are read at the table's base + 8 * index
    task-stack          ss is writable data, not null, in its table; DPL and RPL are CPL
    task-stack-present  it is present
    task-data           others: null, or in their tables and readable; DPL at least CPL and RPL, unless conforming
    task-data-present   they are present
    task-code           cs is code, not null, in its table; DPL is its RPL; of a conforming segment, at most
    task-code-present   it is present
    task-segment        the registers are those selectors, their hidden parts what the descriptors say
    task-offset         eip is within cs's limit

vol. 3A, 7.2.1; vol. 3B, 17.3.1.5
    task-trap           T in the new TSS is clear: else there is a #DB

vol. 3A, 6.13, error code; vol. 2A, INT n/INTO/INT3, Operation: TASK-GATE
    task-error          an error code is pushed on the new task's stack

vol. 2A, IRET, Operation: RETURN-TO-SAME- and -OUTER-PRIVILEGE-LEVEL
    iret-flags          CF PF AF ZF SF TF DF OF NT RF AC ID are those popped
    iret-if             IF is the one popped if CPL was at most IOPL, else as it was
    iret-iopl           IOPL, VIF, VIP are those popped if CPL was 0, else as they were

vol. 2A, IRET, Operation and Exceptions; vol. 2B, RET, far
    return-in-stack     all that is popped is within ss's limit
    return-popped       eip, cs, by iret eflags, to an outer ring esp and ss, are read there
    return-not-null     the cs popped is not null
    return-in-table     it lies within the limit of its table
    return-read         its descriptor is read at the table's base + 8 * index
    return-code         the descriptor is a code segment's
    return-inwards      its RPL is at least CPL: never to more privilege
    return-dpl          its DPL is its RPL; of a conforming segment, at most
    return-present      it is present
    return-offset       eip is within its limit
    return-eip          eip is the one popped
    return-cs           cs is the one popped, its hidden part what the descriptor says
    return-esp          esp is the one popped; in the same ring, above what was popped

vol. 2A, IRET, Operation: RETURN-TO-OUTER-PRIVILEGE-LEVEL; vol. 2B, RET, far; vol. 3A, 5.8.6
    outer-not-null      the ss popped is not null
    outer-in-table      it lies within the limit of its table
    outer-rpl           its RPL is that of the new cs
    outer-read          its descriptor is read at the table's base + 8 * index
    outer-writable      it is a writable data segment
    outer-dpl           its DPL is the new CPL
    outer-present       it is present
    outer-ss            ss is the one popped, its hidden part what the descriptor says
    outer-cpl           CPL is the RPL of the new cs
    outer-nulled        es, fs, gs, ds: 0 if null, or too privileged for the ring (DPL < CPL)

vol. 3A, 20.2.5, 20.2.7, 20.3; vol. 2A, INT n, IRET, Operation: virtual-8086 mode
    v86-iopl            in it, int n, iret, popf: IOPL is 3
    v86-undefined       in it, there is no lldt, nor ltr
    v86-handler         an interrupt leads from it to a segment of DPL 0 that is not conforming
    v86-push            and before all else pushes gs, fs, ds, es
    v86-nulled          which are null then
    v86-popped          iret with VM set in the flags popped: behind ss there are es, ds, fs, gs
    v86-segments        each base is the selector times 16; all limits are 0xffff, all DPLs 3
    v86-flags           all flags are those popped
    v86-cpl             CPL is 3

vol. 2A, JMP and CALL, far, Operation: PROTECTED-MODE; vol. 3A, 5.8.1
    far-operand         by way of memory: offset and selector are read where the operand lies
    far-not-null        the selector is not null
    far-in-table        it lies within the limit of its table
    far-read            its descriptor is read at the table's base + 8 * index
    far-code            the descriptor is a code segment's
    far-ring            DPL = CPL and RPL <= CPL; of a conforming segment, DPL <= CPL
    far-present         it is present
    far-offset          the offset is within its limit
    far-cs              cs is the selector, RPL = CPL, its hidden part what the descriptor says
    far-eip             eip is the offset
    call-room           the stack has room for cs and eip
    call-push           pushed: cs, then eip, of the next instruction
    call-esp            esp is below them

vol. 2A, CALL and JMP, Operation: CALL-GATE; vol. 3A, 5.8.4
    call-gate-ring      the call gate's DPL is at least CPL and RPL
    call-gate-present   the call gate is present
    call-target-not-null  the gate's selector is not null
    call-target-in-table  it lies within the limit of its table
    call-target-read    its descriptor is read at the table's base + 8 * index
    call-target-code    the descriptor is a code segment's
    call-target-ring    its DPL is at most CPL; by jmp, if it is not conforming, CPL
    call-target-present  it is present
    call-target-offset  the gate's offset is within its limit
    call-target-cs      cs is the gate's, RPL = CPL, its hidden part what the descriptor says
    call-target-eip     eip is the gate's offset
    call-target-cpl     by call, CPL is the DPL of the new code segment, unless it is conforming; else as it was
    call-parameters     to an inner ring: as many words as the gate says are read on the old stack, and pushed in that order

vol. 2B, SYSENTER and SYSEXIT; vol. 3A, 5.8.7
    sysenter-cs         PE is set, and the cs in its MSR is not null
    sysenter-msr        wrmsr: the MSR is eax
    sysenter-segments   cs, ss are the MSR's cs, and 8 above; by sysexit 16 and 24 above; they hold all of memory
    sysenter-start      sysenter: esp and eip are those in their MSRs
    sysenter-flags      sysenter: IF, RF and VM are clear
    sysenter-cpl        CPL is 0; by sysexit 3
    sysexit-registers   sysexit: esp is ecx, eip is edx

vol. 2B, MOV; vol. 2B, POP; vol. 2A, LDS/LES/LFS/LGS/LSS
    load-operand        the selector, and the offset with it, is read where the operand lies
    load-not-cs         the register is not cs
    load-in-table       the selector is null or lies within the limit of its table
    load-read           its descriptor is read at the table's base + 8 * index
    load-ss-not-null    ss: the selector is not null
    load-ss-rpl         ss: its RPL is CPL
    load-ss-writable    ss: it is a writable data segment
    load-ss-dpl         ss: its DPL is CPL
    load-ss-present     ss: it is present
    load-readable       others: it is data, or code that can be read
    load-ring           others: DPL is at least CPL and RPL; of conforming code, any
    load-present        others: it is present
    load-segment        the register is the selector, its hidden part what the descriptor says
    load-null           others: a null selector is loaded, and no descriptor
    load-offset         the offset goes into the general register
    load-esp            by pop: esp is above what was popped

vol. 3A, 20.1.1, address translation in real-address mode
    load-real           the base is selector * 16, the rest as it was; no table is read

vol. 2A, LGDT/LIDT, LLDT, LTR
    table-ring          CPL is 0
    table-operand       limit and base are read where the operand lies
    table-limit         the limit is the operand's
    table-base          the base is the operand's; with 16-bit operands 24 bits of it
    lldt-in-table       lldt: the selector is null or lies within the GDT's limit
    lldt-read           lldt: its descriptor is read at the GDT's base + 8 * index
    lldt-type           lldt: the descriptor is an LDT's
    lldt-present        lldt: it is present
    lldt-ldtr           lldt: LDTR is the selector, its hidden part what the descriptor says
    lldt-null           lldt: a null selector is loaded, there is no LDT
    ltr-not-null        ltr: the selector is not null
    ltr-in-table        ltr: it lies within the GDT's limit
    ltr-read            ltr: its descriptor is read at the GDT's base + 8 * index
    ltr-type            ltr: the descriptor is a TSS's, and not a busy one's
    ltr-present         ltr: it is present
    ltr-tr              ltr: TR is the selector, its hidden part what the descriptor says
    ltr-busy            ltr: the descriptor's busy bit is set

vol. 2B, MOV, control registers; vol. 3A, 2.5, 9.9.1
    cr0                 cr0 is the register's value, ET set; no segment changes with it
    cr3                 cr3 is the register's value

vol. 2A, CLTS
    clts                TS of cr0 is clear

vol. 2B, POPF
    popf-popped         the flags are read from the stack
    popf-flags          CF PF AF ZF SF TF DF OF NT AC ID are those popped, RF is clear
    popf-if             IF is the one popped if CPL was at most IOPL, else as it was
    popf-iopl           IOPL is the one popped if CPL was 0, else as it was
    popf-esp            esp is above what was popped

vol. 3A, 5.9, privileged instructions; vol. 2A, CLI; vol. 2B, STI; vol. 1, 18.5
    privileged          CPL is 0
    iopl                cli, sti: CPL is at most IOPL
    interrupt-flag      cli, sti: IF is as the instruction says
    port                in, out: CPL is at most IOPL, or the I/O map, within TR's limit, opens the port

vol. 3A, 4.3, 32-bit paging; 4.4, PAE paging
    page-present        each entry on the way to a page is present
    page-reserved       no bit is set in it that is reserved
    page-entry          entries are read where CR3, or the entry before, and the address say

vol. 3A, 4.4.1, PDPTE registers
    pointer-reserved    mov to cr0, cr3, with PAE: of the four pointers to directories none is present with a reserved bit set

vol. 3A, 4.6.1, access rights; 2.5, WP; 4.7, page-fault exceptions
    page-user           by ring 3, unless it is for a table or a TSS: U/S is set in each entry
    page-writable       written by ring 3, or by others while WP of cr0 is set: R/W is set in each
    page-error          the error code says whether it was a write, ring 3's, and what refused it
    page-address        cr2 is the linear address that was accessed

vol. 3A, 4.8, accessed and dirty flags
    page-accessed       the accessed bit of each entry that was used is set, and nothing else written there
    page-dirty          and the dirty bit of the last, if the page is written

vol. 3A, 6.15, interrupt 8, table 6-5
    double-fault        #DE, #TS, #NP, #SS, #GP on the way to the handler of one of these, these or #PF to that of #PF: #DF(0)

vol. 3A, 6.15, interrupt 8; 9.1
    shutdown            #DE, #TS, #NP, #SS, #GP, #PF on the way to the handler of #DF: the CPU shuts down

vol. 3A, 6.15, exception and interrupt reference; vol. 2, the instruction's Exceptions
    undefined           the instruction is not ud2, nor one that there is not, or not with lock or a register
    aligned             while AM of cr0 and AC are set, ring 3 accesses data at multiples of their size
    fpu                 EM and TS of cr0 are clear; for wait, MP or TS
    divide-operand      the divisor is read where the operand lies
    divide              the divisor is not 0, and the quotient fits
    quotient            div: eax is the quotient, edx the remainder
    trap-flag           TF was clear: else the instruction ends in #DB

vol. 3B, 17.3.1.1 to 17.3.1.3, debug exceptions; vol. 2B, MOV, debug registers
    breakpoint-instruction  no armed debug register names the instruction, or RF is set: else #DB in its place
    breakpoint-data     no armed one names what it has written, or, for any access, read: else #DB behind it
    breakpoint-access   mov, debug registers: GD of DR7 is clear
    debug-register      mov: the debug register is the general one, or the other way round

vol. 3B, 17.2.3, debug status register
    debug-status        DR6 has bits set for the breakpoints of the last #DB, and, since it was written, for GD and TF

vol. 3A, 5.3, limit checking; 5.4.1, null selectors; 5.5, type checking
    operand-not-null    a segment through which memory is touched is not null
    operand-writable    it is writable data, if it is written
    operand-readable    it is no execute-only code, if it is read
    operand-limit       the operand is within its limit
    jmp-limit           by jmp: the next eip is within cs's limit

vol. 3A, 5.3, limit checking; 3.4.5.1, expand-down data segments
    expand-down         of such a segment: an operand, or what is pushed or popped, is above its limit; without B, below 64 KiB

the Operation of each instruction: what is not named there stays
    eip                 eip is at the next instruction
    kept                all other registers and flags are as they were
    kept-memory         tables, TSS, frames and stack are as they were where nothing wrote
    nothing-else        no other memory was read or written
    course              there is no exception, and no interrupt, without a reason

vol. 3A, 5.5, privilege levels
    cpl                 CPL is the RPL of cs

vol. 3A, 3.4.5.1, code- and data-segment descriptor types
    accessed-load       mov, pop, lds: the accessed bit of the descriptor is set
    accessed-transfer   int, iret, far jmp, call, ret: those of cs and of ss are
    accessed-task       a task switch: those of all segments that are loaded are

ringside/recorder/recording.py
    known               the recording holds the memory that the CPU had to read
    agrees              memory that the recording holds twice is the same in both places
    window              the words of the stack are those around ss:esp
    named               bytes and text of a step are the same instruction, with the same operands
    modelled            the case is one of those that the judge has rules for
"""


# Rules of which no case that is tried (cases.py, and what a clock interrupts) has a fact, and why.
WITHOUT_A_CASE = {
    "course": "it is told only where it is broken: an exception for which no rule gives a reason",
    "known": "it is told only where a recording does not hold what the CPU had to read",
    "modelled": "it is told only where the judge has no rule",
}


class Rule(NamedTuple):
    place: str      # in the manual
    sentence: str


def _parse(table: str) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    place = ""
    for line in table.splitlines():
        if line.startswith(" "):
            name, sentence = line.split(maxsplit=1)
            found[name] = Rule(place, sentence)
        elif line:
            place = line
    return found


RULES = _parse(TABLE)


@dataclasses.dataclass(frozen=True)
class Exemption:
    """Bits that are not compared where a rule is checked in a field."""
    emulator: str
    rule: str
    field: str      # regular expression
    mask: int
    reason: str
    only: str = ""  # where that row of ringside/emulators/versions.py holds; everywhere without one

    def covers(self, emulator: str, rule: str, field: str) -> bool:
        return ((emulator, rule) == (self.emulator, self.rule) and re.fullmatch(self.field, field) is not None
                and (not self.only or versions.holds(self.only)))


BUSY_LATE = "TCG fills TR's hidden part before it sets the busy bit"
CODE = "TCG never reads the accessed bit of a descriptor, and sets it only in loads by mov, pop, lds"
EXEMPTIONS = (
    Exemption("qemu", "accessed-transfer", r"[gl]dt\.\d+", 1 << 40, CODE),
    Exemption("qemu", "int-cs", r"cs\.(type|attributes)", 1, CODE),
    Exemption("qemu", "far-cs", r"cs\.(type|attributes)", 1, CODE),
    Exemption("qemu", "return-cs", r"cs\.(type|attributes)", 1, CODE),
    Exemption("qemu", "outer-ss", r"ss\.(type|attributes)", 1, CODE),
    Exemption("qemu", "int-ss", r"ss\.(type|attributes)", 1, CODE),
    Exemption("qemu", "call-target-cs", r"cs\.(type|attributes)", 1, CODE),
    Exemption("qemu", "push-rf", ".*", 1 << 16, "TCG left RF to the guest; since version 10 faults push it set, but not in "
              "task switches, and int n right behind an iret pushes it as that iret has set it"),
    Exemption("qemu", "push-eflags", ".*", 1 << 16, "TCG pushes RF set when the hardware interrupts", "qemu-pushes-rf"),
    Exemption("qemu", "v86-flags", "eflags", 1 << 16, "TCG leaves RF as it is where virtual-8086 mode is entered",
              "qemu-pushes-rf"),
    Exemption("qemu", "push-error", ".*", 1,
              "TCG leaves EXT out of the error code of an exception on the way to a handler"),
    Exemption("qemu", "page-reserved", ".*", 1, "TCG leaves P out of the error code, if it is a reserved bit that refuses"),
    Exemption("bochs", "stack-room", "written", 1,
              "Bochs pushes word by word, and finds out when there is no room any more"),
    Exemption("qemu", "ltr-tr", r"tr\.(type|attributes)", 2, BUSY_LATE),
    Exemption("qemu", "task-tr", r"tr\.(type|attributes)", 2, BUSY_LATE),
    Exemption("qemu", "accessed-task", r"[gl]dt\.\d+", 1 << 40, CODE),
    Exemption("qemu", "task-segment", r"[c-gs]s\.(type|attributes)", 1, CODE),
)


@functools.lru_cache(None)
def exempt(emulator: str, rule: str, field: str) -> int:
    """The bits of a field in which an emulator is known to differ."""
    bits = 0
    for exemption in EXEMPTIONS:
        if exemption.covers(emulator, rule, field):
            bits |= exemption.mask
    return bits


@dataclasses.dataclass(frozen=True)
class Otherwise:
    """A rule that is broken leads to something else than the manual's exception."""
    emulator: str
    rule: str
    does: int | str     # another exception's vector; "nothing": goes on as if it were not; "something else"
    reason: str
    only: str = ""  # where that row of ringside/emulators/versions.py holds; everywhere without one


LIMITS = "TCG checks no segment limits"
ABSENT = ("IRET's pseudo-code and interrupt 12 in vol. 3A, 6.15 say #SS, IRET's list of exceptions says #NP; "
          "the emulators do as the list says")
OTHERWISE = (
    Otherwise("qemu", "handler-offset", "nothing", LIMITS),
    Otherwise("qemu", "return-offset", "nothing", LIMITS),
    Otherwise("qemu", "call-target-offset", "nothing", LIMITS),
    Otherwise("qemu", "call-room", "nothing", LIMITS),
    Otherwise("qemu", "stack-room", "nothing", LIMITS + ", nor whether esp0 has room"),
    Otherwise("qemu", "expand-down", "nothing", LIMITS),
    Otherwise("qemu", "stack-present", 10, "TCG has #TS for that"),
    Otherwise("qemu", "task-global", 10, "TCG has #TS for that"),
    Otherwise("qemu", "task-stack-present", 11, "TCG has #NP for that"),
    Otherwise("qemu", "task-trap", "nothing", "TCG does not look at T", "qemu-no-task-trap"),
    Otherwise("bochs", "task-trap", "nothing", "the #DB is a step of its own: see TRAP_LATE"),
    Otherwise("qemu", "ltr-not-null", "something else", "TCG takes null for: no TSS"),
    Otherwise("bochs", "outer-present", 11, ABSENT, "bochs-absent-stack-np"),
    Otherwise("qemu", "outer-present", 11, ABSENT),
)


def otherwise(emulator: str, rule: str) -> Otherwise | None:
    return next((entry for entry in OTHERWISE if (entry.emulator, entry.rule) == (emulator, rule)
                 and (not entry.only or versions.holds(entry.only))), None)


# Where an exception of a task that has only just been entered finds registers that are no
# task's: the eip of the instruction that led there, and, until ss is loaded, ring 0 and an ss
# of base 0. There only the exception, the task and what was saved are judged. A #DB for T finds
# all of the new task but the last 12 bits of its eip: they are those of the instruction that led there.
LOST = {"qemu"}

# Where a call by a gate to a conforming segment leaves cs with that segment's DPL as its RPL, and CPL as it was.
RPL_OF_CONFORMING = {"qemu"}

# Where a call gate to a new stack without room gives #SS the error code 0: CALL's list of exceptions says #SS(selector).
SS_WITHOUT_SELECTOR = {"bochs"}

# Where ring 3's own stack, in crossings that stay there, is accessed as if ring 0 did.
STACK_AS_RING_0 = {"qemu"} if versions.holds("qemu-ring3-stack-as-ring0") else set[str]()

# What must lie in a row within the limit, by which rule, though a stack of 16 bits wraps: as on one of 32 bits.
IN_A_ROW = {"bochs": ("return-in-stack", "call-room")}

# Where no instruction loads PAE's pointers to directories: each access reads them in memory, and looks there at those
# reserved bits alone that all entries have, for a #PF.
WALKS_POINTERS = {"qemu"}

# Where a debugger's step ends between an instruction and the #DB that TF has caused.
TRAP_LATE = {"bochs"}

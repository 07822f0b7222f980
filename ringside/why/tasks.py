"""The CPU's own task switch (Intel SDM vol. 3A, 7.3), walked on a machine that stands still."""

import typing

from ringside.why import words
from ringside.why.machine import Descriptor, Machine
from ringside.why.refusal import Refused, described, descriptor_of, refuse

SWITCH, TESTS = "vol. 3A, 7.3", "vol. 3A, 7.3, table 7-1"


class Layout(typing.NamedTuple):
    """Where a TSS has what is checked (vol. 3A, 7.2.1 and 7.6); last: its smallest limit."""
    last: int
    eip: int
    eflags: int
    cs: int
    ss: int
    data: dict[str, int]
    ldt: int
    size: int       # of eip and esp
    esp: int


OF_32 = Layout(0x67, 0x20, 0x24, 0x4C, 0x50, {"es": 0x48, "ds": 0x54, "fs": 0x58, "gs": 0x5C}, 0x60, 4, 0x38)
OF_16 = Layout(0x2B, 14, 16, 36, 38, {"es": 34, "ds": 40}, 42, 2, 26)


def switch(machine: Machine, selector: int, who: str, key: str, external: int, evidence: list[str],
           wants_busy: bool = False) -> None:
    """A switch to the TSS that a selector names."""
    vector, error = (10 if wants_busy else 13), selector & ~3 | external
    fix = "clear NT before the first iret (push $0; popf)" if key == "nt-set" else ""
    if selector & 4 or selector & ~3 == 0:
        raise refuse(key, f"{who}, {'in the LDT' if selector & 4 else 'which is null'}; a TSS is in the GDT", vector, error,
                     SWITCH, evidence, fix)
    tss = descriptor_of(machine, selector, who, key, vector, SWITCH, external)
    lines = [*evidence, described(selector, tss)]
    if tss.type not in (1, 3, 9, 11):
        raise refuse(f"{key}-type", f"{who}: {words.entry(selector)} is no TSS: {words.kind(tss)}", vector, error, SWITCH, lines,
                     fix)
    if bool(tss.type & 2) != wants_busy:
        raise refuse("tss-busy", f"{who}: its TSS is {'not busy' if wants_busy else 'busy: type 0xb where 9 is wanted'}", vector,
                     error, SWITCH,
                     lines, fix or "a TSS descriptor begins as type 9 (0x89); the CPU sets busy itself")
    if not tss.present:
        raise refuse(f"{key}-not-present", f"{who}: {words.entry(selector)} is not present", 11, error, SWITCH, lines)
    least = OF_32 if tss.type & 8 else OF_16
    if tss.limit < least.last:
        raise refuse("tss-limit", f"{who}: the TSS' limit {tss.limit:#x} is too small; a TSS needs {least.last:#x}", 10, error,
                     SWITCH, lines,
                     f"the limit is sizeof of the struct minus 1: {least.last:#x} at least")
    entered(machine, selector, tss, external, lines)


def new_task(machine: Machine, tss: Descriptor, external: int, evidence: list[str]) -> None:
    """What the new TSS says: LDT, cs, ss, then the data segments."""
    def word(place: int) -> int:
        """A selector in the TSS."""
        return machine.read(tss.base + place, 2)

    has = OF_32 if tss.type & 8 else OF_16
    ldt, cs, ss = word(has.ldt), word(has.cs), word(has.ss)
    eip = machine.read(tss.base + has.eip, has.size)
    lines = [f"TSS at {tss.base:08x}: cs {cs:04x}, ss {ss:04x}, ldt {ldt:04x}, eip {eip:08x}", *evidence]
    if ldt & ~3:
        found = descriptor_of(machine, ldt, f"the new task's LDT selector {ldt:04x}", "tss-ldt", 10, TESTS, external)
        if found.type != 2 or not found.present:
            raise refuse("tss-ldt", f"the new task's LDT selector {ldt:04x}: {words.entry(ldt)} is no LDT: {words.kind(found)}",
                         10,
                         ldt & ~3 | external, TESTS, [described(ldt, found), *lines], "set the TSS' LDT word to 0 if there is no "
                         "LDT")
    if has is OF_32 and machine.read(tss.base + has.eflags) >> 17 & 1:
        return
    code = descriptor_of(machine, cs, f"the new task's cs = {cs:04x}", "tss-cs", 10, TESTS, external)
    if not code.is_code or code.dpl != cs & 3 and not code.is_conforming:
        raise refuse("tss-cs", f"the new task's cs = {cs:04x}: {words.entry(cs)} is {words.kind(code)}; its RPL is {cs & 3}", 10,
                     cs & ~3 | external, TESTS, [described(cs, code), *lines])
    if ss & ~3 == 0:
        raise refuse("tss-ss-null", "the new task's ss is null", 10, external, TESTS, lines)
    stack = descriptor_of(machine, ss, f"the new task's ss = {ss:04x}", "tss-ss", 10, TESTS, external)
    if ss & 3 != cs & 3 or stack.dpl != cs & 3 or not stack.is_stack:
        raise refuse("tss-ss", f"the new task's ss = {ss:04x} has RPL {ss & 3} and {words.entry(ss)} is {words.kind(stack)}; cs "
                     f"= {cs:04x} needs RPL and DPL {cs & 3}", 10, ss & ~3 | external, TESTS, [described(ss, stack), *lines],
                     f"give the selectors in the TSS of a ring-{cs & 3} task RPL {cs & 3}")
    for name, place in has.data.items():
        selector = word(place)
        if selector & ~3:
            found = descriptor_of(machine, selector, f"the new task's {name} = {selector:04x}", f"tss-{name}", 10, TESTS,
                                  external)
            if not found.is_readable or not found.is_conforming and found.dpl < max(cs & 3, selector & 3):
                raise refuse(f"tss-{name}", f"the new task's {name} = {selector:04x}: {words.entry(selector)} is "
                             f"{words.kind(found)}", 10,
                             selector & ~3 | external, TESTS, [described(selector, found), *lines])


def here(machine: Machine) -> None:
    """The task that TR names, into which the CPU has just switched."""
    tr = machine.state.segments["tr"]
    tss = machine.descriptor(tr.selector)
    if not tr.selector & ~3 or not tss or tss.type not in (3, 11):
        return
    has = OF_32 if tss.type & 8 else OF_16
    if machine.read(tss.base + has.esp, has.size) != machine.state["esp"] & (1 << 8 * has.size) - 1:
        return  # it has not begun: this is no switch
    entered(machine, tr.selector, tss, 0, [described(tr.selector, tss)])


def entered(machine: Machine, selector: int, tss: Descriptor, external: int, evidence: list[str]) -> None:
    """The new task's checks; what the CPU itself has saved in its TSS says what the registers held when it left the task."""
    try:
        new_task(machine, tss, external, evidence)
    except Refused as refused:
        register = {"tss-cs": "cs", "tss-ss": "ss"}.get(refused.refusal.key)
        if register and left_by_cpu(machine, selector):
            refused.refusal.key = f"{register}-not-reloaded"
            refused.refusal.says += (f"; the CPU saved it so when it left that task, so {register} held it: loaded under another "
                                     "GDT, the boot loader's, and not again after lgdt")
            refused.refusal.fix = "a far jmp after lgdt loads cs" if register == "cs" else "load ss after lgdt"
        raise


def left_by_cpu(machine: Machine, selector: int) -> bool:
    """Does a back link name that task? Then the CPU itself has written its TSS."""
    for number in range(1, min((machine.state["gdt.limit"] + 1) // 8, 256)):
        found = machine.descriptor(8 * number)
        if found and found.type in (1, 3, 9, 11) and machine.read(found.base, 2) == selector:
            return True
    return False

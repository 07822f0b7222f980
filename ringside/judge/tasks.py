"""Task switches, as model.py has all else: Intel's manual (SDM), vol. 3A, chapter 7.

    through_gate()          by an interrupt or exception     \
    transfer()              by a far jmp or call              > find the task that is meant,
    return_to_caller()      by iret, NT being set            /
    switch()                and go there

Once all that the old task has had in its registers is saved, there is no way back: what
then is refused is an exception of the new task.
"""

from typing import NamedTuple

from ringside.emulators.registers import GENERAL
from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import (ACCESSED, ALL, BUSY, DB, Fault, FREE, GP, IF, INVALID_TSS, IOPL, Mark, NP, NT, RF, SS,
                                  Stuck, TF, TS, VIF, VIP, VM)
from ringside.judge.rules import otherwise
from ringside.judge.descriptors import TASK_GATE, TI, TSS_32, TSS_BUSY, TSS_TYPES, descriptor_of, error_code, is_null

# Vol. 3A, 7.2.1: where things are in a TSS.
LINK, CR3, TRAP = 0x00, 0x1C, 0x64     # the last two in a 32-bit one
IN_TSS = ("es", "cs", "ss", "ds", "fs", "gs")
LDT_TYPE = 0x02


class Form(NamedTuple):
    """Vol. 3A, 7.2.1, figure 7-2; 7.6, figure 7-10: where things are in a TSS."""
    size: int           # of a word
    eip: int
    eflags: int
    registers: int
    selectors: int
    names: tuple[str, ...]
    ldt: int
    last: int


FORM_32 = Form(4, 0x20, 0x24, 0x28, 0x48, IN_TSS, 0x60, 0x67)
FORM_16 = Form(2, 0x0E, 0x10, 0x12, 0x22, IN_TSS[:4], 0x2A, 0x2B)
UPPER = 0xFFFF0000      # of a register, of which a 16-bit TSS says nothing


def form_of(kind: int) -> Form:
    """kind: type of a TSS."""
    return FORM_32 if kind & TSS_32 else FORM_16


# ---- the task that is meant -----------------------------------------------------------

def through_gate(cpu: Cpu, gate: Descriptor, back: int, flags: int, external: int, error: int | None) -> None:
    """Vol. 2A, INT n/INTO/INT3, Operation: TASK-GATE. flags: eflags, as they are saved."""
    selector = gate.gate_selector()
    task = task_of(cpu, selector, Fault(GP, error_code(selector, external)), busy=False, external=external)
    switch(cpu, selector, task, back, flags, nests=True, external=external)
    if error is not None:
        cpu.stack_takes("task-error", 4, 4, Fault(SS, external))
        esp = cpu.push(cpu.get("ss.base"), cpu.get("esp"), cpu.stack_mask(), [(error, [(ALL, "task-error")])], 4)
        cpu.set("esp", esp, "task-error")
    needs_offset(cpu, external)


def transfer(cpu: Cpu, selector: int, target: Descriptor, after: int, calls: bool) -> None:
    """Vol. 2A, JMP and CALL, Operation: TASK-GATE and TASK-STATE-SEGMENT."""
    cpu.need("task-ring", target.dpl_at_least(max(cpu.cpl, selector & 3)), Fault(GP, error_code(selector)),
             f"CPL {cpu.cpl}, RPL {selector & 3}, {target}")
    if target.system_type() == TASK_GATE:
        cpu.need("task-gate-present", target.present(), Fault(NP, error_code(selector)), "P = 1")
        selector = target.gate_selector()
    task = task_of(cpu, selector, Fault(GP, error_code(selector)), busy=False)
    switch(cpu, selector, task, after, flags_saved(cpu, RF), nests=calls)
    needs_offset(cpu)


def return_to_caller(cpu: Cpu, after: int) -> None:
    """Vol. 2A, IRET, Operation: TASK-RETURN. A recording without accesses may not show the
    TSS's link: then no program ever writes one, so that it is taken for 0."""
    selector = cpu.read(cpu.get("tr.base") + LINK, 2, "task-link", room=4, assumed=0)
    task = task_of(cpu, selector, Fault(INVALID_TSS, error_code(selector)), busy=True)
    switch(cpu, selector, task, after, flags_saved(cpu, RF | NT), nests=False)
    needs_offset(cpu)


def flags_saved(cpu: Cpu, but: int) -> int:
    """eflags, as far as the old TSS has room for them."""
    size = form_of(cpu.get("tr.type", TSS_32)).size
    return cpu.get("eflags", (1 << 8 * size) - 1 & ~but)


def task_of(cpu: Cpu, selector: int, bad: Fault, busy: bool, external: int = 0) -> Descriptor:
    """Vol. 3A, 7.3, steps 3 and 4: the descriptor of a TSS that can be gone to."""
    cpu.need("task-global", not selector & TI, bad, "TI = 0")
    cpu.need_within("task-in-gdt", selector | 7, "gdtr.limit", bad)
    linear = cpu.get("gdtr.base") + (selector & ~7)
    task = Descriptor(cpu, linear, cpu.read(linear, 8, "task-read", rely=0))
    kind = task.system_type()
    cpu.need("task-type", kind in TSS_TYPES and bool(kind & TSS_BUSY) == busy, bad, str(task))
    cpu.need("task-present", task.present(), Fault(NP, error_code(selector, external)), "P = 1")
    last = form_of(kind).last
    cpu.need("task-limit", task.limit() >= last, Fault(INVALID_TSS, error_code(selector, external)),
             f"{task.limit():#x} >= {last:#x}")
    return task


# ---- the switch -----------------------------------------------------------------------

def switch(cpu: Cpu, selector: int, task: Descriptor, back: int, flags: int, nests: bool, external: int = 0) -> None:
    """Vol. 3A, 7.3, steps 6 to 13; table 7-2.

    back, flags     eip and eflags, as they are saved
    nests           as by a call: the old task waits for the new one's iret
    """
    ring, old = cpu.cpl, cpu.get("tr.selector", 0xFFFF if nests else 0xFFF8)
    if cpu.get("eflags", TF):
        raise Stuck("modelled", "a task switch with TF set")
    leave(cpu, form_of(cpu.get("tr.type", TSS_32)), old, back, flags, stays_busy=nests)
    enter(cpu, selector, task, old if nests else None)
    load(cpu, form_of(task.system_type()), task.base(), nests, external)
    cpu.route = f"ring {ring} to {cpu.cpl}, task {old:04x} to {selector:04x}"


def leave(cpu: Cpu, form: Form, selector: int, back: int, flags: int, stays_busy: bool) -> None:
    """Steps 6 to 8: busy bit and TSS of the old task."""
    if not stays_busy:
        linear = cpu.get("gdtr.base") + (selector & ~7)
        cpu.may_read(linear, 4, "task-left")
        cpu.may_read(linear + 4, 4, "task-left")
        row = cpu.known(linear, 8)
        if row is None:
            raise Stuck("known", f"8 bytes at {linear:#x}, for task-left")
        cpu.marked.append(Mark(linear, row & ~BUSY, "task-left"))
    tss = cpu.get("tr.base")
    cpu.save(tss + form.eip, form.size, back, (ALL, "task-save-eip"))
    cpu.save(tss + form.eflags, form.size, flags, (NT, "task-save-nt"), (RF, "push-rf"), (ALL, "task-save"))
    for number, name in enumerate(GENERAL):
        value = cpu.get(name, (1 << 8 * form.size) - 1)
        cpu.save(tss + form.registers + form.size * number, form.size, value, (ALL, "task-save"))
    for number, name in enumerate(form.names):
        cpu.save(tss + form.selectors + form.size * number, 2, cpu.get(f"{name}.selector"), (ALL, "task-save"))


def enter(cpu: Cpu, selector: int, task: Descriptor, caller: int | None) -> None:
    """Steps 9 to 11: busy bit and link of the new task, TR, and TS."""
    cpu.set_segment("tr", selector, task, "task-tr", BUSY, "task-busy")
    if caller is not None:
        cpu.save(task.base() + LINK, 2, caller, (ALL, "task-backlink"))
    cpu.set("cr0", TS, "task-ts", TS)


def load(cpu: Cpu, form: Form, tss: int, nested: bool, external: int) -> None:
    """Steps 12 and 13, of which the last makes exceptions in the new task."""
    size = form.size
    if form is FORM_16:
        pass        # it has no cr3
    elif cpu.paging():
        cpu.set("cr3", cpu.read(tss + CR3, 4, "task-cr3"), "task-cr3")
    else:
        cpu.may_read(tss + CR3, 4, "task-load")
    cpu.set("eip", cpu.read(tss + form.eip, size, "task-load"), "task-load")
    taken = FREE | RF | IF | IOPL | VIF | VIP
    flags = cpu.read(tss + form.eflags, size, "task-load", rely=(taken | VM) & ~(NT if nested else 0))
    if flags & VM:
        raise Stuck("modelled", "a task in virtual-8086 mode")
    cpu.set_flags(flags, taken, "task-load")
    cpu.set_flags(NT if nested else flags, NT, "task-nt")
    for number, name in enumerate(GENERAL):
        cpu.set(name, cpu.read(tss + form.registers + size * number, size, "task-load"), "task-load")
        cpu.unspecified[name] = 0 if size == 4 else UPPER
    selectors = dict.fromkeys(IN_TSS, 0) | {name: cpu.read(tss + form.selectors + size * number, 2, "task-load", room=size)
                                            for number, name in enumerate(form.names)}
    ldt = cpu.read(tss + form.ldt, 2, "task-load", room=size)
    rely = 0 if otherwise(cpu.layout.emulator, "task-trap") else 1
    trap = cpu.read(tss + TRAP, 2, "task-trap", room=4, rely=rely) if size == 4 else 0

    cpu.in_new_task = True
    for name, selector in {**selectors, "ldtr": ldt}.items():
        cpu.set_null(name, selector, "task-segment")
    ring = selectors["cs"] & 3
    cpu.set("cpl", ring, "task-cpl")
    load_ldt(cpu, ldt, external)
    load_stack(cpu, selectors["ss"], ring, external)
    for name in ("ds", "es", "fs", "gs"):
        if not is_null(selectors[name]):
            load_data(cpu, name, selectors[name], ring, external)
    load_code(cpu, selectors["cs"], ring, external)
    cpu.need("task-trap", not trap & 1, Fault(DB), "T = 0")


def needs_offset(cpu: Cpu, external: int = 0) -> None:
    eip, limit = cpu.get("eip"), cpu.now("cs.limit")
    cpu.need("task-offset", eip <= limit, Fault(GP, external), f"{eip:#x} <= {limit:#x}")


def load_ldt(cpu: Cpu, selector: int, external: int) -> None:
    if is_null(selector):
        return
    bad = Fault(INVALID_TSS, error_code(selector, external))
    cpu.need("task-ldt", not selector & TI, bad, "TI = 0")
    table = descriptor_of(cpu, selector, "task-ldt", "task-ldt-read", bad)
    cpu.need("task-ldt", table.system_type() == LDT_TYPE, bad, str(table))
    cpu.need("task-ldt-present", table.present(), bad, "P = 1")
    cpu.set_segment("ldtr", selector, table, "task-segment", mark=0)


def load_stack(cpu: Cpu, selector: int, ring: int, external: int) -> None:
    bad = Fault(INVALID_TSS, error_code(selector, external))
    cpu.need("task-stack", not is_null(selector), bad, f"{selector:04x}")
    stack = descriptor_of(cpu, selector, "task-stack", "task-descriptor", bad)
    cpu.need("task-stack", stack.is_writable_data(), bad, str(stack))
    fits = stack.dpl() == ring and selector & 3 == ring
    cpu.need("task-stack", fits, bad, f"CPL {ring}, RPL {selector & 3}, {stack}")
    cpu.need("task-stack-present", stack.present(), Fault(SS, error_code(selector, external)), "P = 1")
    cpu.set_segment("ss", selector, stack, "task-segment", ACCESSED, "accessed-task")


def load_data(cpu: Cpu, name: str, selector: int, ring: int, external: int) -> None:
    bad = Fault(INVALID_TSS, error_code(selector, external))
    data = descriptor_of(cpu, selector, "task-data", "task-descriptor", bad)
    cpu.need("task-data", data.is_readable(), bad, str(data))
    if not data.is_conforming():
        fits = data.dpl_at_least(max(ring, selector & 3))
        cpu.need("task-data", fits, bad, f"CPL {ring}, RPL {selector & 3}, {data}")
    cpu.need("task-data-present", data.present(), Fault(NP, error_code(selector, external)), "P = 1")
    cpu.set_segment(name, selector, data, "task-segment", ACCESSED, "accessed-task")


def load_code(cpu: Cpu, selector: int, ring: int, external: int) -> None:
    bad = Fault(INVALID_TSS, error_code(selector, external))
    cpu.need("task-code", not is_null(selector), bad, f"{selector:04x}")
    code = descriptor_of(cpu, selector, "task-code", "task-descriptor", bad)
    cpu.need("task-code", code.is_code(), bad, str(code))
    if code.is_conforming():
        cpu.need("task-code", code.dpl_at_most(ring), bad, f"RPL {ring}, conforming, {code}")
    else:
        cpu.need("task-code", code.dpl() == ring, bad, f"RPL {ring}, {code}")
    cpu.need("task-code-present", code.present(), Fault(NP, error_code(selector, external)), "P = 1")
    cpu.set_segment("cs", selector, code, "task-segment", ACCESSED, "accessed-task")

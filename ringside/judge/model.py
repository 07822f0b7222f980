"""What Intel's manual says a CPU does: the model by which recordings are judged.

Each function is a piece of the manual's pseudo-code (Software Developer's Manual, SDM for
short), sentence by sentence, executed on a Cpu (cpu.py):

    cpu.need(rule, holds, fault, why)    a demand; if it is not met, that exception
    cpu.read(linear, size, rule)         memory that the CPU must read
    cpu.set(field, value, rule)          what must be so afterwards

Read interrupt() first, then return_far() and load_segment(); task switches are in tasks.py.
Rules are names in rules.py. A function that stands for an instruction is given the Cpu, the
instruction as decode.py has it, and the eip of the next one.
"""

from collections.abc import Callable
import re
from typing import NamedTuple

from ringside.emulators.registers import GENERAL
from ringside.judge import tasks
from ringside.judge.cpu import (ACCESSED, AF, ALL, BP, BUSY, CF, CONTRIBUTORY, Cpu, DB, DE, DOUBLE_FAULT, Descriptor, EM, ET,
                                FREE, Fault, GP, IF, INVALID_TSS, IOPL, MP, NM, NP, NT, OF, OVERFLOW, PF, Parts, RF, SF, SS,
                                Stuck, TF, TS, UD, VIF, VIP, VM, ZF)
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import CALL_GATES, TASK_GATE, TI, TSS_TYPES, descriptor_of, error_code, gate_error, is_null
from ringside.judge.rules import LOST


# ---- interrupts and exceptions --------------------------------------------------------

def interrupt(cpu: Cpu, vector: int, back: int, software: bool = False, error: int | None = None, fault: bool = False,
              hardware: bool = False) -> None:
    """Vol. 2A, INT n/INTO/INT3, Operation; vol. 3A, 6.12.1.

    back        the eip to come back to
    software    by int n, int3 or into
    error       error code, of the exceptions that have one
    fault       it is an exception of the class of faults
    hardware    no instruction has asked for it
    """
    external = 0 if software else 1
    ring = cpu.cpl

    # PROTECTED-MODE
    bad_gate = Fault(GP, gate_error(vector, external))
    cpu.need_within("gate-in-idt", 8 * vector + 7, "idtr.limit", bad_gate)
    linear = cpu.get("idtr.base") + 8 * vector
    gate = Descriptor(cpu, linear, cpu.read(linear, 8, "gate-read", rely=0))
    kind = gate.system_type()
    cpu.need("gate-type", kind in (TASK_GATE, 0x06, 0x07, 0x0E, 0x0F), bad_gate, str(gate))
    if software:
        cpu.need("gate-dpl", gate.dpl_at_least(ring), bad_gate, f"DPL {gate.raw >> 45 & 3} >= CPL {ring}")
    cpu.need("gate-present", gate.present(), Fault(NP, gate_error(vector, external)), "P = 1")
    told = 0 if hardware else RF  # by a rule; else it is as it was
    if kind == TASK_GATE:
        flags = cpu.get("eflags", 0xFFFFFFFF & ~told) | (RF if fault else 0)
        tasks.through_gate(cpu, gate, back, flags, external, error)
        return

    # TRAP-OR-INTERRUPT-GATE
    size = 4 if kind & 8 else 2
    selector = gate.gate_selector()
    bad_code = Fault(GP, error_code(selector, external))
    cpu.need("handler-not-null", not is_null(selector), Fault(GP, external), f"{selector:04x}")
    code = descriptor_of(cpu, selector, "handler-in-table", "handler-read", bad_code)
    cpu.need("handler-code", code.is_code(), bad_code, str(code))
    cpu.need("handler-dpl", code.dpl_at_most(ring), bad_code, f"DPL {code.raw >> 45 & 3} <= CPL {ring}")
    cpu.need("handler-present", code.present(), Fault(NP, error_code(selector, external)), "P = 1")

    # INTER-PRIVILEGE-LEVEL-INTERRUPT and INTRA-PRIVILEGE-LEVEL-INTERRUPT
    inner = not code.is_conforming() and code.dpl() < ring
    new = code.dpl() if inner else ring
    room = size * (3 + 2 * inner + (error is not None))
    if inner:
        stack, ss, esp = ring_stack(cpu, new, external)
        base, mask = stack.base(), stack.stack_mask()
        fits = (esp - room & mask) + room - 1 <= stack.limit()
        cpu.refused_words = range(0) if fits else range(base, base + esp)
        cpu.need("stack-room", fits, Fault(SS, error_code(ss, external)), f"{room} bytes below {esp:#x}")
    else:
        cpu.stack_takes("stack-room", room, Fault(SS, external))
        base, mask, esp = cpu.get("ss.base"), cpu.stack_mask(), cpu.get("esp")
    offset = gate.gate_offset(size)
    cpu.need("handler-offset", offset <= code.limit(), Fault(GP, external), f"{offset:#x} <= {code.limit():#x}")

    flags = cpu.get("eflags", (1 << 8 * size) - 1 & ~told) | (RF if fault else 0)
    words = [(flags, [(told, "push-rf"), (ALL, "push-eflags")]),
             (cpu.get("cs.selector"), [(ALL, "push-cs")]),
             (back, [(ALL, "push-eip")])]
    if inner:
        words[:0] = [(cpu.get("ss.selector"), [(ALL, "push-ss")]), (cpu.get("esp"), [(ALL, "push-esp")])]
    if error is not None:
        words.append((error, [(ALL, "push-error")]))
    esp = cpu.push(base, esp, mask, words, size)

    if inner:
        cpu.set_segment("ss", ss, stack, "int-ss", ACCESSED, "accessed-transfer")
    cpu.set("esp", esp, "int-esp")
    cpu.set_segment("cs", selector & ~3 | new, code, "int-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", offset, "int-eip")
    cpu.set("cpl", new, "int-cpl")
    if kind & 1 == 0:
        cpu.set_flags(0, IF, "int-if")
    else:
        cpu.keep_flags(IF, "int-if")
    cpu.set_flags(0, TF | NT | RF | VM, "int-tf-nt-rf-vm")
    cpu.route = f"ring {ring} to {new}"


def ring_stack(cpu: Cpu, ring: int, external: int) -> tuple[Descriptor, int, int]:
    """INTER-PRIVILEGE-LEVEL-INTERRUPT: descriptor, ss and esp of the new ring's stack."""
    if not cpu.get("tr.type", 0x08):
        raise Stuck("modelled", "a 16-bit TSS")
    place = 8 * ring + 4
    no_stack = Fault(INVALID_TSS, error_code(cpu.now("tr.selector"), external))
    cpu.need_within("tss-limit", place + 5, "tr.limit", no_stack)
    tss = cpu.get("tr.base")
    ss = cpu.read(tss + place + 4, 2, "tss-ss", room=4)
    esp = cpu.read(tss + place, 4, "tss-esp")
    bad_stack = Fault(INVALID_TSS, error_code(ss, external))
    cpu.need("stack-not-null", not is_null(ss), Fault(INVALID_TSS, external), f"{ss:04x}")
    stack = descriptor_of(cpu, ss, "stack-in-table", "stack-read", bad_stack)
    cpu.need("stack-rpl", ss & 3 == ring, bad_stack, f"RPL {ss & 3}")
    cpu.need("stack-dpl", stack.dpl() == ring, bad_stack, str(stack))
    cpu.need("stack-writable", stack.is_writable_data(), bad_stack, str(stack))
    cpu.need("stack-present", stack.present(), Fault(SS, error_code(ss, external)), "P = 1")
    return stack, ss, esp


def hardware_interrupt(cpu: Cpu, vector: int, behind: Instruction | None) -> None:
    """Vol. 3A, 6.3.1. behind: the instruction before, if it is known. What is not modelled is an
    interrupt within a repeated instruction, where RF is pushed as 1 (vol. 3B, 17.3.1.1)."""
    if not cpu.protected():
        raise Stuck("modelled", "an interrupt in real mode")
    shadow = behind and (behind.name in ("load segment", "pop segment") and behind.register == "ss"
                         or behind.name == "sti")
    cpu.check("interrupt-let-in", "IF", IF, cpu.get("eflags", IF))
    cpu.check("interrupt-shadow", "comes", "later" if shadow else "now", "now")
    cpu.check("interrupt-vector", "vector", max(vector, 32), vector)
    try:
        interrupt(cpu, vector, cpu.get("eip"), hardware=True)
    except Fault as fault:
        deliver(cpu, fault)
        return
    cpu.kind = f"interrupt {vector:#04x}"


def deliver(cpu: Cpu, fault: Fault) -> None:
    """An exception instead of the instruction (vol. 3A, 6.5, 6.13); or, when that has led to
    another task, instead of the first one there (7.3, step 13)."""
    if cpu.in_new_task:
        cpu.lost = cpu.layout.emulator in LOST
    else:
        cpu.forget()
    to_handler(cpu, fault, cpu.now("eip"), fault=fault.vector != DB)


def single_step(cpu: Cpu, back: int) -> None:
    """Vol. 3B, 17.3.1.4: TF was set when the instruction began."""
    cpu.refused = "trap-flag"
    cpu.check("trap-flag", "TF = 1", True, True)
    to_handler(cpu, Fault(DB), back)


def to_handler(cpu: Cpu, exception: Fault, back: int, fault: bool = False) -> None:
    """Vol. 3A, 6.15, interrupt 8, table 6-5: what becomes of a second exception on the way."""
    cpu.fault = exception
    try:
        interrupt(cpu, exception.vector, back, error=exception.error, fault=fault)
        cpu.kind = str(exception)
    except Fault as second:
        if exception.vector == DOUBLE_FAULT or cpu.in_new_task:
            raise Stuck("modelled", f"{second} on the way to the handler of {exception}") from None
        if exception.vector in CONTRIBUTORY and second.vector in CONTRIBUTORY:
            cpu.check("double-fault", f"{exception}, then {second}", True, True)
            cpu.refused = "double-fault"
            second = Fault(DOUBLE_FAULT, 0)
        cpu.excuse_reads()
        to_handler(cpu, second, back, fault=True)


def int_n(cpu: Cpu, code: Instruction, after: int) -> None:
    interrupt(cpu, code.immediate, after, software=True)
    cpu.kind = f"int {code.immediate:#04x}"


def int3(cpu: Cpu, code: Instruction, after: int) -> None:
    interrupt(cpu, BP, after, software=True)
    cpu.kind = "int3"


def into(cpu: Cpu, code: Instruction, after: int) -> None:
    if cpu.get("eflags", OF):
        interrupt(cpu, OVERFLOW, after, software=True)
    else:
        cpu.set("eip", after, "eip")
    cpu.kind = "into"


# ---- iret and far ret -----------------------------------------------------------------

def iret(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, IRET/IRETD, Operation: PROTECTED-MODE."""
    if cpu.get("eflags", NT):
        tasks.return_to_caller(cpu, after)
    else:
        return_far(cpu, code.size, with_flags=True)
    cpu.kind = "iret"


def ret_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, RET, Operation: far return."""
    return_far(cpu, code.size, with_flags=False, arguments=code.immediate)
    cpu.kind = "lret"


def return_far(cpu: Cpu, size: int, with_flags: bool, arguments: int = 0) -> None:
    """PROTECTED-MODE-RETURN, RETURN-TO-SAME- and RETURN-TO-OUTER-PRIVILEGE-LEVEL."""
    ring = cpu.cpl
    popped = size * (3 if with_flags else 2)
    cpu.stack_has("return-in-stack", popped)
    eip = cpu.peek(0, size, "return-popped")
    selector = cpu.peek(size, 2, "return-popped", room=size)
    taken = flags_taken(cpu, size, RF, VIF | VIP | VM) if with_flags else 0
    flags = cpu.peek(2 * size, size, "return-popped", rely=taken) if with_flags else 0
    if flags & VM and ring == 0:
        raise Stuck("modelled", "a return to virtual-8086 mode")
    popped += arguments

    new = selector & 3
    bad_code = Fault(GP, error_code(selector))
    cpu.need("return-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    code = descriptor_of(cpu, selector, "return-in-table", "return-read", bad_code)
    cpu.need("return-code", code.is_code(), bad_code, str(code))
    cpu.need("return-inwards", new >= ring, bad_code, f"RPL {new} >= CPL {ring}")
    if code.is_conforming():
        cpu.need("return-dpl", code.dpl_at_most(new), bad_code, f"RPL {new}, conforming, {code}")
    else:
        cpu.need("return-dpl", code.dpl() == new, bad_code, f"RPL {new}, {code}")
    cpu.need("return-present", code.present(), Fault(NP, error_code(selector)), "P = 1")

    if new == ring:
        needs_offset(cpu, eip, code)
        cpu.release(popped, "return-esp")
    else:
        cpu.stack_has("return-in-stack", popped + 2 * size)
        cpu.may_read(cpu.above(popped), size, "return-popped")
        ss = cpu.peek(popped + size, 2, "return-popped", room=size)
        stack = outer_stack(cpu, ss, new)
        needs_offset(cpu, eip, code)
        esp = cpu.peek(popped, size, "return-popped")
        mask = stack.stack_mask()
        cpu.set("esp", esp & ~mask | esp + arguments & mask, "return-esp")
        cpu.set_segment("ss", ss, stack, "outer-ss", ACCESSED, "accessed-transfer")
    if with_flags:
        take_flags(cpu, flags, taken, ((FREE | RF, "iret-flags"), (IF, "iret-if"), (IOPL | VIF | VIP, "iret-iopl")))
    if new != ring:
        take_segments_away(cpu, new)
    cpu.set_segment("cs", selector, code, "return-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", eip, "return-eip")
    cpu.set("cpl", new, "outer-cpl")
    cpu.route = f"ring {ring} to {new}"


def needs_offset(cpu: Cpu, eip: int, code: Descriptor) -> None:
    cpu.need("return-offset", eip <= code.limit(), Fault(GP, 0), f"{eip:#x} <= {code.limit():#x}")


def outer_stack(cpu: Cpu, selector: int, ring: int) -> Descriptor:
    """RETURN-TO-OUTER-PRIVILEGE-LEVEL: the stack there."""
    bad_stack = Fault(GP, error_code(selector))
    cpu.need("outer-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    stack = descriptor_of(cpu, selector, "outer-in-table", "outer-read", bad_stack)
    cpu.need("outer-rpl", selector & 3 == ring, bad_stack, f"RPL {selector & 3}")
    cpu.need("outer-writable", stack.is_writable_data(), bad_stack, str(stack))
    cpu.need("outer-dpl", stack.dpl() == ring, bad_stack, str(stack))
    cpu.need("outer-present", stack.present(), Fault(SS, error_code(selector)), "P = 1")
    return stack


def flags_taken(cpu: Cpu, size: int, also: int = 0, ring_0: int = 0) -> int:
    """The flags that iret or popf takes from the stack: which of them, depends on the ring."""
    flags = FREE | also | (IF if cpu.iopl_allows() else 0) | (IOPL | ring_0 if cpu.cpl == 0 else 0)
    return flags & (1 << 8 * size) - 1


def take_flags(cpu: Cpu, flags: int, taken: int, rules: Parts) -> None:
    """Those taken are as popped, by the rules of iret or popf; the others stay."""
    for mask, rule in rules:
        cpu.set_flags(flags, mask & taken, rule)
        cpu.keep_flags(mask & ~taken, rule)


def take_segments_away(cpu: Cpu, ring: int) -> None:
    """RETURN-TO-OUTER-PRIVILEGE-LEVEL, last: what the outer ring must not keep."""
    for name in ("es", "fs", "gs", "ds"):
        selector, dpl = cpu.before[f"{name}.selector"], cpu.before[f"{name}.dpl"]
        if is_null(selector):
            cpu.set_null(name, 0, "outer-nulled")
            continue
        conforming = cpu.before[f"{name}.type"] & 0x1C == 0x1C
        if not conforming:
            cpu.bound(f"{name}.dpl", 3, ring - 1 if dpl >= ring else ring)
        elif dpl < ring:
            cpu.rely(f"{name}.type", 0x1C)
        if dpl >= ring or conforming:
            cpu.set(f"{name}.selector", selector, "outer-nulled")
        else:
            cpu.set_null(name, 0, "outer-nulled")


# ---- far jmp and call -----------------------------------------------------------------

def jmp_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, JMP, Operation: FAR-JMP, PROTECTED-MODE."""
    transfer_far(cpu, code, after, calls=False)
    cpu.kind = "ljmp"


def call_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, CALL, Operation: FAR-CALL, PROTECTED-MODE."""
    transfer_far(cpu, code, after, calls=True)
    cpu.kind = "lcall"


def transfer_far(cpu: Cpu, code: Instruction, after: int, calls: bool) -> None:
    selector, offset = far_pointer(cpu, code)
    cpu.need("far-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    target = descriptor_of(cpu, selector, "far-in-table", "far-read", Fault(GP, error_code(selector)))
    kind = target.system_type() if target.is_system() else None
    if kind in (TASK_GATE, *TSS_TYPES):
        tasks.transfer(cpu, selector, target, after, calls)
        return
    if kind in CALL_GATES and target.dpl_at_least(max(cpu.cpl, selector & 3)):
        raise Stuck("modelled", "a call gate")
    far_code(cpu, selector, offset, target, pushes=2 * code.size if calls else 0)
    if calls:
        words = [(cpu.get("cs.selector"), [(ALL, "call-push")]), (after, [(ALL, "call-push")])]
        esp = cpu.push(cpu.get("ss.base"), cpu.get("esp"), cpu.stack_mask(), words, code.size)
        cpu.set("esp", esp, "call-esp")
    ring = cpu.cpl
    cpu.set_segment("cs", selector & ~3 | ring, target, "far-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", offset, "far-eip")
    cpu.route = f"ring {ring} to {ring}"


def far_pointer(cpu: Cpu, code: Instruction) -> tuple[int, int]:
    """Selector and offset: in the instruction, or in memory, the offset below. If that is not
    recorded, they are believed to be what led there; a TSS's offset is of no consequence."""
    if code.memory is None:
        return code.selector, code.immediate
    if cpu.before["tr.selector"] == cpu.after["tr.selector"]:
        where = "eip", "cs.selector"
    else:
        where = "", "tr.selector"
    pointer = cpu.operand(code.memory, "far-operand", (code.size, where[0]), (2, where[1]))
    return pointer >> 8 * code.size, pointer & (1 << 8 * code.size) - 1


def far_code(cpu: Cpu, selector: int, offset: int, code: Descriptor, pushes: int) -> None:
    """The checks of a code segment that a far jmp or call goes to."""
    ring = cpu.cpl
    bad_code = Fault(GP, error_code(selector))
    cpu.need("far-code", code.is_code(), bad_code, str(code))
    if code.is_conforming():
        cpu.need("far-ring", code.dpl_at_most(ring), bad_code, f"CPL {ring}, conforming, {code}")
    else:
        cpu.need("far-ring", selector & 3 <= ring and code.dpl() == ring, bad_code, f"CPL {ring}, {code}")
    cpu.need("far-present", code.present(), Fault(NP, error_code(selector)), "P = 1")
    if pushes:
        cpu.stack_takes("call-room", pushes, Fault(SS, 0))
    cpu.need("far-offset", offset <= code.limit(), Fault(GP, 0), f"{offset:#x} <= {code.limit():#x}")


# ---- loads of segment registers -------------------------------------------------------

def load_segment(cpu: Cpu, name: str, selector: int) -> None:
    """Vol. 2B, MOV: loading a segment register while in protected mode."""
    if not cpu.protected():
        cpu.set(f"{name}.selector", selector, "load-real")
        cpu.set(f"{name}.base", selector << 4, "load-real")
        return
    bad = Fault(GP, error_code(selector))
    if name == "ss":
        load_stack_segment(cpu, selector, bad)
    elif is_null(selector):
        cpu.set_null(name, selector, "load-null")
    else:
        segment = descriptor_of(cpu, selector, "load-in-table", "load-read", bad)
        cpu.need("load-readable", segment.is_readable(), bad, str(segment))
        if not segment.is_conforming():
            lowest = max(cpu.cpl, selector & 3)
            cpu.need("load-ring", segment.dpl_at_least(lowest), bad, f"CPL {cpu.cpl}, RPL {selector & 3}, {segment}")
        cpu.need("load-present", segment.present(), Fault(NP, error_code(selector)), "P = 1")
        cpu.set_segment(name, selector, segment, "load-segment", ACCESSED, "accessed-load")


def load_stack_segment(cpu: Cpu, selector: int, bad: Fault) -> None:
    ring = cpu.cpl
    cpu.need("load-ss-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    segment = descriptor_of(cpu, selector, "load-in-table", "load-read", bad)
    cpu.need("load-ss-rpl", selector & 3 == ring, bad, f"RPL {selector & 3}, CPL {ring}")
    cpu.need("load-ss-writable", segment.is_writable_data(), bad, str(segment))
    cpu.need("load-ss-dpl", segment.dpl() == ring, bad, str(segment))
    cpu.need("load-ss-present", segment.present(), Fault(SS, error_code(selector)), "P = 1")
    cpu.set_segment("ss", selector, segment, "load-segment", ACCESSED, "accessed-load")


def selector_operand(cpu: Cpu, code: Instruction, rule: str, register: str) -> int:
    """A selector in memory, or in a general register, that a register is loaded with."""
    if code.memory:
        return cpu.operand(code.memory, rule, (2, f"{register}.selector"))
    assert code.source
    return cpu.get(code.source, 0xFFFF)


def mov_segment(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need("load-not-cs", code.register not in ("cs", None), Fault(UD), f"{code.register}")
    assert code.register
    selector = selector_operand(cpu, code, "load-operand", code.register)
    load_segment(cpu, code.register, selector)
    cpu.set("eip", after, "eip")
    cpu.kind = f"mov %{code.register}"


def pop_segment(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.stack_has("load-operand", code.size)
    assert code.register
    selector = cpu.peek(0, 2, "load-operand", room=code.size)
    cpu.release(code.size, "load-esp")
    load_segment(cpu, code.register, selector)
    cpu.set("eip", after, "eip")
    cpu.kind = f"pop %{code.register}"


def load_far_pointer(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, LDS/LES/LFS/LGS/LSS: an offset and, above it, a selector."""
    assert code.memory and code.register
    general = GENERAL[code.immediate]
    pointer = cpu.operand(code.memory, "load-operand", (code.size, general), (2, f"{code.register}.selector"))
    load_segment(cpu, code.register, pointer >> 8 * code.size)
    cpu.set(general, pointer, "load-offset", (1 << 8 * code.size) - 1)
    cpu.set("eip", after, "eip")
    cpu.kind = f"l{code.register}"


# ---- the registers of the tables ------------------------------------------------------

def load_table(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, LGDT/LIDT: a limit of 16 bits and, above it, a base."""
    cpu.need("table-ring", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    assert code.memory and code.name
    register = code.name[1:] + "r"
    operand = cpu.operand(code.memory, "table-operand", (2, f"{register}.limit"), (4, f"{register}.base"))
    cpu.set(f"{register}.limit", operand & 0xFFFF, "table-limit")
    cpu.set(f"{register}.base", operand >> 16 & (0xFFFFFFFF if code.size == 4 else 0xFFFFFF), "table-base")
    cpu.set("eip", after, "eip")
    cpu.kind = code.name


def table_descriptor(cpu: Cpu, code: Instruction, name: str, register: str) -> tuple[int, Descriptor | None]:
    """Selector and, unless it is null, descriptor of lldt and ltr."""
    cpu.need("table-ring", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    selector = selector_operand(cpu, code, "table-operand", register)
    if is_null(selector):
        return selector, None
    bad = Fault(GP, error_code(selector))
    cpu.need(f"{name}-in-table", not selector & TI, bad, "TI = 0")
    cpu.need_within(f"{name}-in-table", selector | 7, "gdtr.limit", bad)
    linear = cpu.get("gdtr.base") + (selector & ~7)
    return selector, Descriptor(cpu, linear, cpu.read(linear, 8, f"{name}-read", rely=0))


def lldt(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, LLDT."""
    selector, table = table_descriptor(cpu, code, "lldt", "ldtr")
    if table is None:
        cpu.set_null("ldtr", selector, "lldt-null")
    else:
        cpu.need("lldt-type", table.system_type() == 0x02, Fault(GP, error_code(selector)), str(table))
        cpu.need("lldt-present", table.present(), Fault(NP, error_code(selector)), "P = 1")
        cpu.set_segment("ldtr", selector, table, "lldt-ldtr", mark=0)
    cpu.set("eip", after, "eip")
    cpu.kind = "lldt"


def ltr(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, LTR."""
    selector, tss = table_descriptor(cpu, code, "ltr", "tr")
    cpu.need("ltr-not-null", tss is not None, Fault(GP, 0), f"{selector:04x}")
    assert tss
    cpu.need("ltr-type", tss.system_type() in (0x01, 0x09), Fault(GP, error_code(selector)), str(tss))
    cpu.need("ltr-present", tss.present(), Fault(NP, error_code(selector)), "P = 1")
    cpu.set_segment("tr", selector, tss, "ltr-tr", BUSY, "ltr-busy")
    cpu.set("eip", after, "eip")
    cpu.kind = "ltr"


def write_control(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, MOV to control registers; of them, cr0."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    if code.register != "cr0" or code.source is None:
        raise Stuck()
    cpu.set("cr0", cpu.get(code.source) | ET, "cr0")
    cpu.set("eip", after, "eip")
    cpu.kind = "mov %cr0"


# ---- what not every ring may do -------------------------------------------------------

def popf(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, POPF/POPFD. Real mode has the rights of ring 0."""
    cpu.stack_has("popf-popped", code.size)
    taken = flags_taken(cpu, code.size)
    flags = cpu.peek(0, code.size, "popf-popped", rely=taken)
    take_flags(cpu, flags, taken, ((FREE, "popf-flags"), (IF, "popf-if"), (IOPL, "popf-iopl")))
    cpu.set_flags(0, RF, "popf-flags")
    cpu.release(code.size, "popf-esp")
    cpu.set("eip", after, "eip")
    cpu.kind = "popf"


def clear_task_switched(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, CLTS."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    cpu.set("cr0", 0, "clts", TS)
    cpu.set("eip", after, "eip")
    cpu.kind = "clts"


def interrupt_flag(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, CLI; vol. 2B, STI."""
    cpu.need("iopl", cpu.iopl_allows(), Fault(GP, 0), f"CPL {cpu.cpl}, IOPL {cpu.before['eflags'] >> 12 & 3}")
    cpu.set_flags(IF if code.name == "sti" else 0, IF, "interrupt-flag")
    cpu.set("eip", after, "eip")
    cpu.kind = code.name


def privileged(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 3A, 5.9. What it does in ring 0 is not judged."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    raise Stuck()


def port(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 1, 18.5; vol. 2A, IN; vol. 2B, OUT. What comes in is not judged."""
    if cpu.iopl_allows():
        cpu.need("port", True, Fault(GP, 0), "IOPL allows it")
    else:
        map_allows(cpu, code.immediate if code.has_immediate else cpu.get("edx", 0xFFFF), code.size, after)
    if code.name == "in":
        cpu.unspecified["eax"] = (1 << 8 * code.size) - 1
    cpu.set("eip", after, "eip")
    cpu.kind = code.name


def map_allows(cpu: Cpu, number: int, size: int, after: int) -> None:
    """Vol. 1, 18.5.2, the I/O permission bit map, in the TSS. A recording without accesses does
    not show it: then it is believed to say what happened."""
    refused = Fault(GP, 0)
    if cpu.accesses is None:
        cpu.believed = True
        cpu.need("port", cpu.after["eip"] == after, refused, "the I/O map, which is not recorded")
        return
    tss = cpu.get("tr.base")
    place = cpu.read(tss + 0x66, 2, "port") + number // 8
    cpu.need_within("port", place + 1, "tr.limit", refused)
    found = cpu.read(tss + place, 2, "port") >> number % 8 & (1 << size) - 1
    cpu.need("port", not found, refused, f"port {number:#x} in the I/O map: {found:b}")


# ---- other reasons for an exception ---------------------------------------------------

def ud2(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need("undefined", False, Fault(UD))


def fpu(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 3A, 2.5, table 2-2. What it computes is not judged."""
    bits = EM | TS if code.name == "fpu" else MP | TS
    found = cpu.before["cr0"] & bits
    cpu.bound("cr0", bits, 0)
    cpu.need("fpu", not found if code.name == "fpu" else found != bits, Fault(NM))
    raise Stuck()


def divide(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, DIV, of edx:eax. It leaves the arithmetic flags as it likes."""
    assert code.memory or code.source
    divisor = cpu.operand(code.memory, "divide-operand", (4, None)) if code.memory else cpu.get(str(code.source))
    dividend = cpu.get("edx") << 32 | cpu.get("eax")
    cpu.need("divide", divisor != 0 and dividend // divisor < 1 << 32, Fault(DE), f"{dividend:#x} / {divisor:#x}")
    cpu.set("eax", dividend // divisor, "quotient")
    cpu.set("edx", dividend % divisor, "quotient")
    cpu.unspecified["eflags"] = CF | PF | AF | ZF | SF | OF
    cpu.set("eip", after, "eip")
    cpu.kind = "div"


def touch(cpu: Cpu, code: Instruction, after: int) -> None:
    """mov: the checks of vol. 3A, 5.3 to 5.5."""
    if code.memory:
        cpu.need_operand(code.memory, code.size, code.name == "write")
    raise Stuck()


def push(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.stack_takes("operand-limit", code.size, Fault(SS, 0))
    raise Stuck()


def jmp(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need_within("jmp-limit", after + code.immediate & 0xFFFFFFFF, "cs.limit", Fault(GP, 0))
    raise Stuck()


def other(cpu: Cpu, code: Instruction, after: int) -> None:
    raise Stuck()


# ---- which instruction is which -------------------------------------------------------

Operation = Callable[[Cpu, Instruction, int], None]


class Judged(NamedTuple):
    operation: Operation
    text: str       # regular expression: what the disassembler calls it


# Executed on the model wherever they stand.
JUDGED: dict[str, Judged] = {
    "int": Judged(int_n, "int "), "int3": Judged(int3, "int3"), "into": Judged(into, "into"),
    "iret": Judged(iret, "iret"), "ret far": Judged(ret_far, "lret"),
    "jmp far": Judged(jmp_far, "ljmp"), "call far": Judged(call_far, "lcall"),
    "load segment": Judged(mov_segment, "mov[lw]? .*,%[cdefgs]s$"),
    "pop segment": Judged(pop_segment, "pop[lw]? %[cdefgs]s$"),
    "load far pointer": Judged(load_far_pointer, "l[defgs]s "),
    "lgdt": Judged(load_table, "lgdt"), "lidt": Judged(load_table, "lidt"),
    "lldt": Judged(lldt, "lldt"), "ltr": Judged(ltr, "ltr"),
    "write control": Judged(write_control, "mov .*,%cr"), "popf": Judged(popf, "popf"),
    "cli": Judged(interrupt_flag, "cli"), "sti": Judged(interrupt_flag, "sti"),
    "clts": Judged(clear_task_switched, "clts"),
    "privileged": Judged(privileged, "hlt|lmsw|wrmsr|rdmsr|mov %(cr|db)|mov .*,%db"),
    "in": Judged(port, "in "), "out": Judged(port, "out "),
    "ud2": Judged(ud2, "ud2"), "fpu": Judged(fpu, "f(?!wait)"),
    "wait": Judged(fpu, "fwait"), "div": Judged(divide, "divl |div %e"),
}
NAMES = {name: re.compile(judged.text) for name, judged in JUDGED.items()}
IN_REAL_MODE = {"load segment", "pop segment", "load far pointer", "lgdt", "lidt", "write control", "popf",
                "cli", "sti"}

# Asked only when there is an exception to explain.
REASONS: dict[str, Operation] = {"read": touch, "write": touch, "push": push, "jmp": jmp}


def execute(cpu: Cpu, code: Instruction, after: int) -> None:
    """An instruction; or the exception in its place, or behind it."""
    name = str(code.name)
    operation = JUDGED[name].operation if name in JUDGED else REASONS.get(name, other)
    trap = cpu.get("eflags", TF)
    try:
        operation(cpu, code, after)
    except Fault as fault:
        deliver(cpu, fault)
        return
    except Stuck as why:
        if why.rule or not trap:
            raise
    if operation is not iret and not cpu.in_new_task:
        cpu.set_flags(0, RF, "resume-flag")
    if trap and operation not in (int_n, int3):
        single_step(cpu, cpu.expected["eip"].value if "eip" in cpu.expected else after)

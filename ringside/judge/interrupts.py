"""Interrupts and exceptions, as model.py has all else: Intel's manual (SDM), vol. 3A, chapter 6.

    interrupt()             through a gate of the IDT
    hardware_interrupt()    asked for by no instruction
    deliver()               an exception in the place of an instruction
    to_handler()            and what becomes of a second one on the way
"""

from ringside.judge import breakpoints
from ringside.judge import tasks
from ringside.judge import virtual8086
from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import (ACCESSED, ALL, BP, CONTRIBUTORY, DB, DOUBLE_FAULT, Fault, GP, IF, INVALID_TSS, NP, NT, OF,
                                  OVERFLOW, PAGE_FAULT, Part, RF, Shutdown, SS, Stuck, TF, VM)
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import TASK_GATE, TSS_32, descriptor_of, error_code, gate_error, is_null
from ringside.judge.paging import ERROR_PRESENT, ERROR_RESERVED
from ringside.judge.rules import LOST


def interrupt(cpu: Cpu, vector: int, back: int, software: bool = False, error: int | None = None, fault: bool = False,
              hardware: bool = False, believed: int = 0) -> None:
    """Vol. 2A, INT n/INTO/INT3, Operation; vol. 3A, 6.12.1.

    back        the eip to come back to
    software    by int n, int3 or into
    error       error code, of the exceptions that have one
    fault       it is an exception of the class of faults
    hardware    no instruction has asked for it
    believed    bits of the error code that were taken from what has happened
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
        flags = tasks.flags_saved(cpu, told) | (RF if fault else 0)
        tasks.through_gate(cpu, gate, back, flags, external, error)
        return

    # TRAP-OR-INTERRUPT-GATE
    size = 4 if kind & 8 else 2
    virtual = cpu.virtual()
    selector = gate.gate_selector()
    bad_code = Fault(GP, error_code(selector, external))
    cpu.need("handler-not-null", not is_null(selector), Fault(GP, external), f"{selector:04x}")
    code = descriptor_of(cpu, selector, "handler-in-table", "handler-read", bad_code)
    cpu.need("handler-code", code.is_code(), bad_code, str(code))
    cpu.need("handler-dpl", code.dpl_at_most(ring), bad_code, f"DPL {code.raw >> 45 & 3} <= CPL {ring}")
    cpu.need("handler-present", code.present(), Fault(NP, error_code(selector, external)), "P = 1")

    # INTER-PRIVILEGE-LEVEL-INTERRUPT and INTRA-PRIVILEGE-LEVEL-INTERRUPT
    inner = not code.is_conforming() and code.dpl() < ring
    if virtual:
        cpu.rely("eflags", VM)
        cpu.need("v86-handler", inner and code.dpl() == 0, bad_code, str(code))
    new = code.dpl() if inner else ring
    room = size * (3 + 2 * inner + 4 * virtual + (error is not None))
    if inner:
        stack, ss, esp = ring_stack(cpu, new, external)
        base, mask = stack.base(), stack.stack_mask()
        cpu.new_stack_takes(stack, esp, room, size, Fault(SS, error_code(ss, external)))
    else:
        cpu.stack_takes("stack-room", room, size, Fault(SS, external))
        base, mask, esp = cpu.get("ss.base"), cpu.stack_mask(), cpu.get("esp")
    offset = gate.gate_offset(size)
    cpu.need("handler-offset", offset <= code.limit(), Fault(GP, external), f"{offset:#x} <= {code.limit():#x}")

    flags = cpu.get("eflags", (1 << 8 * size) - 1 & ~told) | (RF if fault else 0)
    words = [(flags, [(told, "push-rf"), (ALL, "push-eflags")]),
             (cpu.get("cs.selector"), [(ALL, "push-cs")]),
             (back, [(ALL, "push-eip")])]
    if inner:
        words[:0] = [(cpu.get("ss.selector"), [(ALL, "push-ss")]), (cpu.get("esp"), [(ALL, "push-esp")])]
    if virtual:
        words[:0] = virtual8086.words_saved(cpu)
    if error is not None:
        words.append((error, error_parts(vector, error, believed)))
    esp = cpu.push(base, esp, mask, words, size, user=cpu.crossing_as() if new == ring else False)

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
    if virtual:
        virtual8086.segments_taken(cpu)
        cpu.route = f"virtual-8086 mode to ring {new}"


def error_parts(vector: int, error: int, believed: int) -> list[Part]:
    """By which rules an error code is what it is."""
    if vector != PAGE_FAULT:
        return [(ALL, "push-error")]
    told = "page-reserved" if error & ERROR_RESERVED else "page-error"
    return [(ERROR_PRESENT, told), (ALL & ~believed & ~ERROR_PRESENT, "page-error")]


def ring_stack(cpu: Cpu, ring: int, external: int) -> tuple[Descriptor, int, int]:
    """INTER-PRIVILEGE-LEVEL-INTERRUPT: descriptor, ss and esp of the new ring's stack."""
    size = 4 if cpu.get("tr.type", TSS_32) else 2
    place = size * (2 * ring + 1)
    no_stack = Fault(INVALID_TSS, error_code(cpu.now("tr.selector"), external))
    cpu.need_within("tss-limit", place + size + 1, "tr.limit", no_stack)
    tss = cpu.get("tr.base")
    ss = cpu.read(tss + place + size, 2, "tss-ss", room=size)
    esp = cpu.read(tss + place, size, "tss-esp")
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
    if not cpu.protected() and not cpu.virtual():
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
    back = cpu.now("eip")
    if not cpu.in_new_task:
        cpu.forget()
    elif cpu.layout.emulator in LOST and fault.vector == DB:     # T traps in a task that is complete, but for eip
        back = back & ~0xFFF | cpu.before["cs.base"] + cpu.before["eip"] & 0xFFF
    else:
        cpu.lost = cpu.layout.emulator in LOST
    to_handler(cpu, fault, back, fault=fault.vector != DB)


def single_step(cpu: Cpu, back: int) -> None:
    """Vol. 3B, 17.3.1.4: TF was set when the instruction began."""
    cpu.refused = "trap-flag"
    cpu.why_debug = breakpoints.BS
    cpu.check("trap-flag", "TF = 1", True, True)
    to_handler(cpu, Fault(DB), back)


def data_breakpoint(cpu: Cpu, back: int, why: int) -> None:
    """Vol. 3B, 17.3.1.2: behind the instruction; TF may have been set as well."""
    cpu.refused = "breakpoint-data"
    cpu.why_debug = why
    cpu.check("breakpoint-data", "DR7", True, True)
    to_handler(cpu, Fault(DB), back)


def task_trap(cpu: Cpu) -> None:
    """Vol. 3A, 7.3, step 13: in the task that has just been entered T is set."""
    cpu.refused = "task-trap"
    cpu.why_debug = breakpoints.BT
    told = cpu.known(cpu.get("tr.base") + tasks.TRAP, 2)
    cpu.check("task-trap", "T", 1, None if told is None else told & 1)
    to_handler(cpu, Fault(DB), cpu.before["eip"])


def to_handler(cpu: Cpu, exception: Fault, back: int, fault: bool = False) -> None:
    """Vol. 3A, 6.15, interrupt 8, table 6-5: what becomes of a second exception on the way."""
    cpu.fault = exception
    cpu.pushed.clear()
    if exception.vector == DB:
        breakpoints.note(cpu, cpu.why_debug)
    if exception.address is not None and "cr2" in cpu.before:
        note_address(cpu, exception.address, exception.span)
    try:
        interrupt(cpu, exception.vector, back, error=exception.error, fault=fault, believed=exception.believed)
        cpu.kind = str(exception)
    except Fault as second:
        if exception.vector == DOUBLE_FAULT and second.vector in (PAGE_FAULT, *CONTRIBUTORY):
            cpu.refused = "shutdown"
            raise Shutdown(f"{second} on the way to the handler of {exception}") from None
        if exception.vector == DOUBLE_FAULT or cpu.in_new_task:
            raise Stuck("modelled", f"{second} on the way to the handler of {exception}") from None
        if doubles(exception, second):
            cpu.check("double-fault", f"{exception}, then {second}", True, True)
            cpu.refused = "double-fault"
            second = Fault(DOUBLE_FAULT, 0)
        cpu.excuse_reads()
        to_handler(cpu, second, back, fault=True)


def note_address(cpu: Cpu, linear: int, span: int) -> None:
    """Vol. 3A, 4.7: cr2, one of so many addresses."""
    varies = (1 << (linear ^ linear + span - 1).bit_length()) - 1
    cpu.expected.pop("cr2", None)
    cpu.set("cr2", linear, "page-address", 0xFFFFFFFF & ~varies)
    if varies:
        cpu.check("page-address", f"{linear:#x} to {linear + span - 1:#x}", True, linear <= cpu.after["cr2"] < linear + span)


def doubles(first: Fault, second: Fault) -> bool:
    """Table 6-5."""
    if first.vector == PAGE_FAULT:
        return second.vector in (PAGE_FAULT, *CONTRIBUTORY)
    return first.vector in CONTRIBUTORY and second.vector in CONTRIBUTORY


def int_n(cpu: Cpu, code: Instruction, after: int) -> None:
    if cpu.virtual():
        virtual8086.needs_iopl(cpu)
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

"""Loads of segment registers, as model.py has all else: Intel's manual (SDM), vol. 2B, MOV and POP; vol. 2A, LDS."""

from ringside.emulators.registers import GENERAL
from ringside.judge.cpu import Cpu
from ringside.judge.facts import ACCESSED, Fault, GP, NP, SS, UD
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import descriptor_of, error_code, is_null


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
    cpu.stack_has("load-operand", code.size, code.size)
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

"""Exceptions of instructions that cross no ring, as model.py has all else: asked only when there is one to explain."""

from ringside.judge.cpu import Cpu
from ringside.judge.facts import AC, AF, ALIGNMENT, AM, CF, DE, EM, Fault, GP, MP, NM, OF, PF, SF, SS, Stuck, TS, UD, ZF
from ringside.judge.decode import Instruction


def undefined(cpu: Cpu, code: Instruction, after: int) -> None:
    """ud2; and what decode.py calls undefined."""
    cpu.need("undefined", False, Fault(UD))


def fpu(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 3A, 2.5, table 2-2. What it computes is not judged."""
    bits = EM | TS if code.name == "fpu" else MP | TS
    found = cpu.before["cr0"] & bits
    cpu.bound("cr0", bits, 0)
    told = f"EM = {found // EM & 1}, MP = {found // MP & 1}, TS = {found // TS & 1}"
    cpu.need("fpu", not found if code.name == "fpu" else found != bits, Fault(NM), told)
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
        needs_alignment(cpu, cpu.linear_of(code.memory), code.size)
        cpu.page(cpu.linear_of(code.memory), code.size, code.name == "write")
    raise Stuck()


def needs_alignment(cpu: Cpu, linear: int, size: int) -> None:
    """Vol. 3A, 6.15, interrupt 17."""
    if cpu.cpl == 3 and cpu.get("cr0", AM) and cpu.get("eflags", AC):
        cpu.need("aligned", linear % size == 0, Fault(ALIGNMENT, 0), f"{size} bytes at {linear:#x}")


def push(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.stack_takes("operand-limit", code.size, code.size, Fault(SS, 0))
    cpu.page(cpu.above(-code.size), code.size, write=True)
    raise Stuck()


def jmp(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need_within("jmp-limit", after + code.immediate & 0xFFFFFFFF, "cs.limit", Fault(GP, 0))
    raise Stuck()


def other(cpu: Cpu, code: Instruction, after: int) -> None:
    raise Stuck()

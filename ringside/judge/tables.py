"""The registers of the tables, and cr0, as model.py has all else: Intel's manual (SDM), vol. 2A, LGDT, LLDT, LTR."""

from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import BUSY, ET, Fault, GP, NP, Stuck
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import TI, error_code, is_null
from ringside.judge.loads import selector_operand


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
    """Vol. 2B, MOV to control registers; of them, cr0 and cr3."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    if code.register not in ("cr0", "cr3") or code.register not in cpu.before or code.source is None:
        raise Stuck()
    cpu.set(code.register, cpu.get(code.source) | (ET if code.register == "cr0" else 0), code.register)
    cpu.load_pointers()
    cpu.set("eip", after, "eip")
    cpu.kind = f"mov %{code.register}"

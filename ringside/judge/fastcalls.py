"""sysenter and sysexit, as model.py has all else: Intel's manual (SDM), vol. 2B, SYSENTER and SYSEXIT; vol. 3A, 5.8.7.

Three model-specific registers say where sysenter leads: sysenter.cs, .esp and .eip. A recording
shows them when wrmsr writes them (judge.py); one that begins later does not, and then they are
believed to be what has led there.
"""

from ringside.judge.cpu import Cpu
from ringside.judge.decode import Instruction
from ringside.judge.facts import Fault, GP, HIDDEN, IF, RF, Stuck, VM

MSRS = {0x174: "sysenter.cs", 0x175: "sysenter.esp", 0x176: "sysenter.eip"}     # vol. 4, table 2-2
ALL_OF_MEMORY = 0xFFFFFFFF
CODE, DATA, DPL_3 = 0xC09B, 0xC093, 0x60     # attributes: as the manual says, and no descriptor


def set_flat(cpu: Cpu, name: str, selector: int, attributes: int, rule: str) -> None:
    values = 0, ALL_OF_MEMORY, attributes & 0x1F, attributes >> 5 & 3, attributes
    cpu.set(f"{name}.selector", selector, rule)
    for key, value in zip(HIDDEN, values):
        cpu.set(f"{name}.{key}", value, rule)


def needs_cs(cpu: Cpu, selector: int | None) -> int:
    """The cs that the MSR names. selector: what it seems to be, if it is not recorded."""
    if "sysenter.cs" not in cpu.before:
        if selector is None:
            raise Stuck()
        cpu.believed = True
        return selector
    found = cpu.get("sysenter.cs", 0xFFFC)
    cpu.need("sysenter-cs", found != 0, Fault(GP, 0), f"{found:04x}")
    return found


def sysenter(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need("sysenter-cs", cpu.protected(), Fault(GP, 0), "PE = 1")
    ring = cpu.cpl
    led = cpu.after["cpl"] == 0 and ring != 0
    selector = needs_cs(cpu, cpu.after["cs.selector"] & 0xFFFC if led else None)
    set_flat(cpu, "cs", selector, CODE, "sysenter-segments")
    set_flat(cpu, "ss", selector + 8 & 0xFFFF, DATA, "sysenter-segments")
    for field in ("esp", "eip"):
        name = f"sysenter.{field}"
        cpu.set(field, cpu.get(name) if name in cpu.before else cpu.after[field], "sysenter-start")
    cpu.set_flags(0, VM | IF | RF, "sysenter-flags")
    cpu.set("cpl", 0, "sysenter-cpl")
    cpu.kind, cpu.route = "sysenter", f"ring {ring} to 0"


def sysexit(cpu: Cpu, code: Instruction, after: int) -> None:
    cpu.need("sysenter-cs", cpu.protected(), Fault(GP, 0), "PE = 1")
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    selector = needs_cs(cpu, cpu.after["cs.selector"] - 16 & 0xFFFC if cpu.after["cpl"] == 3 else None)
    set_flat(cpu, "cs", selector + 16 & 0xFFFF | 3, CODE | DPL_3, "sysenter-segments")
    set_flat(cpu, "ss", selector + 24 & 0xFFFF | 3, DATA | DPL_3, "sysenter-segments")
    cpu.set("esp", cpu.get("ecx"), "sysexit-registers")
    cpu.set("eip", cpu.get("edx"), "sysexit-registers")
    cpu.set("cpl", 3, "sysenter-cpl")
    cpu.kind, cpu.route = "sysexit", "ring 0 to 3"


def wrmsr(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2C, WRMSR. Of other registers it is only judged who may."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    name = MSRS.get(cpu.before["ecx"])
    if name is None or name not in cpu.before:
        raise Stuck()
    cpu.set(name, cpu.get("eax"), "sysenter-msr")
    cpu.set("eip", after, "eip")
    cpu.kind = "wrmsr"

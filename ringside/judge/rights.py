"""What not every ring may do, as model.py has all else: Intel's manual (SDM), vol. 3A, 5.9; vol. 1, 18.5."""

from ringside.judge import virtual8086
from ringside.judge.cpu import Cpu
from ringside.judge.facts import Fault, FREE, GP, IF, IOPL, RF, Stuck, TS
from ringside.judge.decode import Instruction
from ringside.judge.returns import flags_taken, take_flags


def popf(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, POPF/POPFD. Real mode has the rights of ring 0."""
    cpu.stack_has("popf-popped", code.size, code.size)
    taken = flags_taken(cpu, code.size)
    flags = cpu.peek(0, code.size, "popf-popped", rely=taken)
    if cpu.virtual():
        virtual8086.needs_iopl(cpu)
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
    if not cpu.virtual() and cpu.iopl_allows():
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

"""Virtual-8086 mode, as model.py has all else: Intel's manual (SDM), vol. 3A, chapter 20.

    from_there()    what more an interrupt does that comes there
    go_there()      what iret does that leads there
    iret()          iret there
"""

from ringside.judge.cpu import Cpu
from ringside.judge.decode import Instruction
from ringside.judge.facts import ALL, Fault, FREE, GP, HIDDEN, IF, IOPL, Part, RF, VIF, VIP, VM

SAVED = ("gs", "fs", "ds", "es")    # in the order in which they are pushed
ATTRIBUTES = 0xF3                   # 20.2.1, 20.2.5: of every segment: data that can be written, DPL 3
LAST = 0xFFFF                       # offset in a segment

# Executed there as model.py says; of all else only the exceptions are judged.
JUDGED = {"int", "int3", "into", "iret", "popf", "cli", "sti", "in", "out", "privileged", "read debug", "write debug", "clts",
          "lgdt", "lidt", "lldt", "ltr",
          "write control", "wrmsr", "load segment", "pop segment", "load far pointer", "ud2", "fpu", "wait"}
UNDEFINED = {"lldt", "ltr"}         # 20.2.7: they need protected mode


def words_saved(cpu: Cpu) -> list[tuple[int, list[Part]]]:
    return [(cpu.get(f"{name}.selector"), [(ALL, "v86-push")]) for name in SAVED]


def segments_taken(cpu: Cpu) -> None:
    for name in SAVED:
        cpu.set_null(name, 0, "v86-nulled")


def set_segment(cpu: Cpu, name: str, selector: int) -> None:
    values = selector << 4, LAST, ATTRIBUTES & 0x1F, ATTRIBUTES >> 5 & 3, ATTRIBUTES
    cpu.set(f"{name}.selector", selector, "v86-segments")
    for key, value in zip(HIDDEN, values):
        cpu.set(f"{name}.{key}", value, "v86-segments")


def needs_iopl(cpu: Cpu) -> None:
    """Vol. 3A, 20.2.7; 20.3.3.4."""
    cpu.rely("eflags", VM)
    cpu.need("v86-iopl", cpu.iopl_allows(), Fault(GP, 0), f"IOPL {cpu.before['eflags'] >> 12 & 3}")


def go_there(cpu: Cpu, eip: int, cs: int, flags: int) -> None:
    """Vol. 2A, IRET, Operation: RETURN-TO-VIRTUAL-8086-MODE. eip, cs and eflags are popped already."""
    cpu.stack_has("return-in-stack", 36, 4)
    esp = cpu.peek(12, 4, "return-popped")
    ss, es, ds, fs, gs = (cpu.peek(16 + 4 * place, 2, "return-popped" if place == 0 else "v86-popped", room=4)
                          for place in range(5))
    for name, selector in (("cs", cs), ("ss", ss), ("es", es), ("ds", ds), ("fs", fs), ("gs", gs)):
        set_segment(cpu, name, selector)
    cpu.set("eip", eip & LAST, "return-eip")
    cpu.set("esp", esp, "return-esp")
    cpu.set("cpl", 3, "v86-cpl")
    cpu.set_flags(flags, FREE | RF | IF | IOPL | VIF | VIP | VM, "v86-flags")
    cpu.route = "ring 0 to virtual-8086 mode"


def iret(cpu: Cpu, code: Instruction) -> None:
    """Vol. 2A, IRET, Operation: RETURN-FROM-VIRTUAL-8086-MODE."""
    needs_iopl(cpu)
    size = code.size
    cpu.stack_has("return-in-stack", 3 * size, size)
    eip = cpu.peek(0, size, "return-popped", span=3 * size)
    cs = cpu.peek(size, 2, "return-popped", room=size)
    taken = (FREE | IF | RF) & (1 << 8 * size) - 1
    flags = cpu.peek(2 * size, size, "return-popped", rely=taken)
    cpu.need("return-offset", eip <= LAST, Fault(GP, 0), f"{eip:#x} <= {LAST:#x}")
    set_segment(cpu, "cs", cs)
    cpu.set("eip", eip, "return-eip")
    cpu.set_flags(flags, taken, "iret-flags")
    cpu.release(3 * size, "return-esp")

"""Registers: their names, in order; and their contents, as QEMU's monitor and Bochs' debugger print them.

    found = of_qemu(text)       text: what `info registers` prints
    found["eax"], found["cs"].base, found["gdtr"].limit
    segments_of_bochs(text)     of those alone that have a selector, and of the tables' registers

FRAME_WORDS are the words of ring0/frame.h, TSS_WORDS those of Intel's 32-bit TSS (SDM vol. 3A,
7.2.1), each from the lowest address up.

GDB's commands import this file, too. So it imports nothing of ours.
"""

import re
from typing import Any, NamedTuple

GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
NUMBERS = GENERAL + ("eip", "eflags", "cr0", "cpl")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
SELECTORS = SEGMENTS + ("tr", "ldtr")
FRAME_WORDS = ("gs", "fs", "es", "ds", "edi", "esi", "ebp", "pusha_esp", "ebx", "edx", "ecx", "eax",
               "eip", "cs", "eflags", "esp", "ss")
TSS_WORDS = ("backlink", "esp0", "ss0", "esp1", "ss1", "esp2", "ss2", "cr3", "eip", "eflags", *GENERAL,
             "es", "cs", "ss", "ds", "fs", "gs", "ldt", "iomap")

VM = 1 << 17        # of eflags
FLAGS = 0xf0ff00    # of the upper half of a descriptor: what is neither base nor limit


class Segment(NamedTuple):
    """A register with a selector, and what the CPU keeps of its descriptor."""
    selector: int
    base: int
    limit: int
    flags: int      # at their places in the descriptor's upper half

    @property
    def dpl(self) -> int:
        return self.flags >> 13 & 3


class Table(NamedTuple):
    """GDTR or IDTR."""
    base: int
    limit: int


# The numbers by name; a Segment for each of SELECTORS; a Table each for gdtr and idtr.
Registers = dict[str, Any]


def code_address(text: str) -> int:
    """The linear address of the next instruction. All the registers cost ten times as much."""
    eip, base = re.findall(r"\bEIP=(\w+)", text)[0], re.findall(r"^CS *=\w+ (\w+)", text, re.M)[0]
    return int(eip, 16) + int(base, 16)


def of_qemu(text: str) -> Registers:
    """Besides those of NUMBERS there are cr2, cr3, cr4, dr0 to dr7, and hlt: 1 while the CPU is halted."""
    found: Registers = {name.lower(): int(value, 16)
                        for name, value in re.findall(r"\b(E[A-Z]{2}|CR\d|DR\d|CPL|HLT)=([0-9a-f]+)", text)}
    found["eflags"] = found.pop("efl")
    for name, *numbers in re.findall(r"^(\w\w|LDT) *=(\w{4}) (\w{8}) (\w{8}) (\w{8})", text, re.M):
        selector, base, limit, flags = (int(number, 16) for number in numbers)
        found[name.lower()] = Segment(selector, base, limit, flags & FLAGS)
    found["ldtr"] = found.pop("ldt")
    for name, *pair in re.findall(r"^(GDT|IDT)= +(\w{8}) (\w{8})", text, re.M):
        found[name.lower() + "r"] = Table(*(int(number, 16) for number in pair))
    return found


def segments_of_bochs(text: str) -> dict[str, Segment | Table]:
    """text: what `sreg` prints. cs … gs, tr, ldtr as Segments; gdtr, idtr as Tables."""
    found: dict[str, Segment | Table] = {}
    for name, *numbers in re.findall(r"^(\w+):0x(\w+), dh=0x(\w+), dl=0x(\w+)", text, re.M):
        selector, high, low = (int(number, 16) for number in numbers)
        base = high & 0xff000000 | (high & 0xff) << 16 | low >> 16
        limit = high & 0xf0000 | low & 0xffff
        if high & 0x800000:  # counted in pages
            limit = limit << 12 | 0xfff
        found[name] = Segment(selector, base, limit, high & FLAGS)
    for name, *pair in re.findall(r"^(gdtr|idtr):base=0x(\w+), limit=0x(\w+)", text, re.M):
        found[name] = Table(*(int(number, 16) for number in pair))
    return found


def cpl_of(found: Registers) -> int:
    """The CPL, where the emulator does not tell it: 3 in virtual-8086 mode, vol. 3A, 5.5 and 20.2."""
    if not found["cr0"] & 1:
        return 0
    return 3 if found["eflags"] & VM else int(found["cs"].selector) & 3

"""The word of memory that decides of a refusal: the one whose last writer is asked for.

word(machine, refusal)      a Word, or None if it is a register's value that decides
"""

import collections.abc
import dataclasses
import re

from ringside.why import ways_out
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal

DESCRIBED = re.compile(r"^((?:[GLI]DT|page (?:directory(?: pointer)?|table)) entry 0?x?[0-9a-f]+) at (physical )?([0-9a-f]{8,}) "
                       r"= ([0-9a-f]+)")
OF_TSS = ("tss-base", "tss-limit", "tss-unmapped", "tss-type", "tss-busy", "ltr-type", "ltr-not-present")
OF_REGISTERS = ("idt-not-loaded", "interrupts-before-idt", "idt-base", "gdt-base", "lgdt-operand-size", "lidt-operand-size")
IN_FRAME = {"iret-cs": 1, "v86-vm-flag": 2, "iret-eip": 0, "v86-eip": 0, "iret-frame-order": 1, "error-code-left": 0, "ret-cs": 1}


@dataclasses.dataclass(frozen=True)
class Word:
    """Bytes at a physical address, with a name."""
    name: str
    physical: int
    size: int


def word(machine: Machine, refusal: Refusal) -> Word | None:
    """By the key of the refusal; else the first descriptor, gate or page table entry of its evidence."""
    if refusal.key in OF_REGISTERS:
        return None
    for find in (of_tss, of_frame, described):
        try:
            found = find(machine, refusal)
        except (Unknown, Unmapped):
            continue
        if found:
            return found
    return None


def at(machine: Machine, name: str, linear: int, size: int) -> Word | None:
    """The word at a linear address, if a page is there."""
    physical = machine.walk(linear & 0xFFFFFFFF).physical
    return None if physical is None else Word(name, physical, size)


def of_tss(machine: Machine, refusal: Refusal) -> Word | None:
    """A stack's words in the TSS; or the descriptor of the TSS."""
    tr = machine.state.segments["tr"]
    if refusal.key in OF_TSS and tr.selector & ~3:
        selector = tr.selector & ~7
        return at(machine, f"the descriptor of the TSS, GDT entry {selector >> 3},", machine.state["gdt.base"] + selector, 8)
    size = 4 if tr.type & 8 else 2      # a TSS of 16 bits has words of two bytes
    if refusal.key == "tss-layout" or (found := re.match(r"tss-ss([012])|ss([012])-", refusal.key)):
        ring = 0 if refusal.key == "tss-layout" else int(found[1] or found[2])  # type: ignore[index]
        return at(machine, f"TSS.ss{ring}", tr.base + size * (2 * ring + 2), 2)
    if found := re.match(r"esp([012])-", refusal.key):
        ring = int(found[1])
        return at(machine, f"TSS.esp{ring}", tr.base + size * (2 * ring + 1), size)
    return None


def of_frame(machine: Machine, refusal: Refusal) -> Word | None:
    """A word of the frame that iret or far ret has refused."""
    ss, esp = machine.state.segments["ss"], machine.state["esp"]
    places = [place for key, place in IN_FRAME.items() if refusal.key.startswith(key)]
    if refusal.key.startswith(("iret-ss", "frame-overwritten")):
        places = [len(ways_out.IRET_WORDS) - 1]
    if not places:
        return None
    name = ways_out.IRET_WORDS[places[0]]
    return at(machine, "the word too many" if refusal.key == "error-code-left" else f"the frame's {name}",
              ss.base + esp + 4 * places[0], 4)


def described(machine: Machine, refusal: Refusal) -> Word | None:
    """The evidence names tables' entries with their addresses."""
    lines: collections.abc.Iterator[re.Match[str]] = filter(None, map(DESCRIBED.match, refusal.bytes))
    # Of a page walk the last entry that is reached decides; of tables, what is named first.
    found = list(lines)
    if not found:
        return None
    match = found[-1] if found[0][2] else found[0]
    if match[2]:
        return Word(match[1], int(match[3], 16), 8 if len(match[4]) > 8 else 4)
    return at(machine, match[1], int(match[3], 16), 8)

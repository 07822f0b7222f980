"""Does an ELF describe what has run? Its code is looked for in the machine's memory.

base(path, given, machine)      (what to add to its addresses, a note); Unfit if its code is nowhere
"""

import dataclasses
import pathlib
import struct

from ringside.why.machine import Machine, Unknown, Unmapped

HEADER, SEGMENT = struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<8I")
LOAD, EXECUTABLE = 1, 1
SAMPLE, SKIPPED = 48, 16    # bytes that are compared; a multiboot header may be patched by its loader
SEARCHED = 32 << 20         # of physical memory, from its beginning


class Unfit(Exception):
    """The ELF is not of this kernel. The text says so."""


@dataclasses.dataclass(frozen=True)
class Code:
    """Some bytes of an executable segment, and where they should lie."""
    virtual: int
    physical: int
    data: bytes


def code(path: pathlib.Path) -> Code | None:
    """Of the largest executable segment, from its middle; None if there is none."""
    with path.open("rb") as file:
        head = HEADER.unpack(file.read(HEADER.size))
        file.seek(head[5])
        found = [SEGMENT.unpack(file.read(SEGMENT.size)) for _ in range(head[10])]
        largest = max((entry for entry in found if entry[0] == LOAD and entry[6] & EXECUTABLE), key=lambda entry: int(entry[4]),
                      default=None)
        if largest is None or largest[4] < SAMPLE + SKIPPED:
            return None
        _, offset, virtual, physical, size, *_ = largest
        middle = max(SKIPPED, size // 2)
        file.seek(offset + middle)
        return Code(virtual + middle, physical + middle, file.read(min(SAMPLE, size - middle)))


def base(path: pathlib.Path, given: int, machine: Machine) -> tuple[int, str]:
    """As given, if the code lies there; else where it is found."""
    try:
        wanted = code(path)
    except struct.error:
        raise Unfit(f"{path} is cut off: its headers are not whole") from None
    if wanted is None or machine.physical is None or not any(wanted.data):
        return given, ""
    if there(machine, wanted.virtual + given, wanted.data) or machine.physical(wanted.physical + given,
                                                                               len(wanted.data)) == wanted.data:
        return given, ""
    memory = machine.physical(0, min(machine.memory, SEARCHED))
    places = occurrences(memory, wanted.data)
    if len(places) != 1:
        raise Unfit(f"the code of {path.name} lies nowhere in memory, neither where it is linked nor elsewhere: it is another "
                    "kernel's, or of another build; its names are left out")
    moved = places[0] - wanted.virtual
    return moved, (f"the code of {path.name} lies {moved:#x} from where it is linked, so its names are taken from there (--base "
                   f"{moved:#x})")


def there(machine: Machine, linear: int, data: bytes) -> bool:
    """Are these bytes at a linear address?"""
    try:
        return machine.bytes(linear & 0xFFFFFFFF, len(data)) == data
    except (Unknown, Unmapped):
        return False


def occurrences(memory: bytes, data: bytes) -> list[int]:
    """Where data begins; two are enough to know that it is not one."""
    first = memory.find(data)
    second = memory.find(data, first + 1) if first >= 0 else -1
    return [place for place in (first, second) if place >= 0]

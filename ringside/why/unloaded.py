"""A kernel of which its loader has read only the first sectors: the ELF says what should lie behind them.

clue(context, refusal)      for clues.refine
byte_at(symbols, address)   the ELF's byte at an address
"""

import pathlib
import struct

from ringside.why import elf
from ringside.why.context import Context
from ringside.why.refusal import Refusal
from ringside.why.source import Symbols

SECTOR = 512
FEW = 16            # bytes that are not 0: a kernel may clear a few itself
LARGEST = 16 << 20


def loaded(path: pathlib.Path) -> tuple[int, bytes]:
    """Where the ELF's bytes begin, and all of them, with zeros between segments; b"" if they are none or too many."""
    content = path.read_bytes()
    head = elf.HEADER.unpack(content[:elf.HEADER.size])
    found = [elf.SEGMENT.unpack_from(content, head[5] + number * elf.SEGMENT.size) for number in range(head[10])]
    parts = [(entry[2], content[entry[1]:entry[1] + entry[4]]) for entry in found if entry[0] == elf.LOAD and entry[4]]
    if not parts or max(at for at, _ in parts) - min(at for at, _ in parts) > LARGEST:
        return 0, b""
    start, end = min(at for at, _ in parts), max(at + len(data) for at, data in parts)
    made = bytearray(end - start)
    for at, data in parts:
        made[at - start:at - start + len(data)] = data
    return start, bytes(made)


def clue(context: Context, refusal: Refusal) -> bool:
    """From a whole number of sectors on all of it is 0 in memory, and not in the ELF."""
    machine, symbols = context.machine, context.symbols
    if not symbols.elf or machine.physical is None:
        return False
    try:
        start, wanted = loaded(symbols.elf)
    except (OSError, struct.error):
        return False
    first = start + symbols.base & 0xFFFFFFFF
    there = machine.bytes(first, len(wanted))
    last = len(there.rstrip(b"\0"))         # what lies behind is 0
    # The first sector that begins behind that, and whose bytes are missing.
    cut = -(-last // SECTOR) * SECTOR
    lost = len(wanted[cut:]) - wanted[cut:].count(0)
    if not last or cut >= len(wanted) or lost < FEW or wanted[last:cut].strip(b"\0"):
        return False
    refusal.key = "kernel-truncated"
    refusal.says = (f"the kernel is not whole in memory: of its {len(wanted)} bytes from {first:08x} on, {cut // SECTOR} "
                    f"sectors were loaded; from {first + cut:08x} on all is 0 where the ELF has {lost} other bytes; so "
                    f"{refusal.says}")
    refusal.fix = "let the boot loader read as many sectors as the kernel has"
    return True


def byte_at(symbols: Symbols, address: int) -> int | None:
    """What the ELF has there; None if nothing."""
    try:
        start, wanted = loaded(symbols.elf) if symbols.elf else (0, b"")
    except (OSError, struct.error):
        return None
    place = address - start - symbols.base & 0xFFFFFFFF
    return wanted[place] if place < len(wanted) else None

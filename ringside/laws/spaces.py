"""What ring 3 may reach by pages, as the CPU walks them: for probe.py, while ring 3 runs.

    space = Space(read, registers)      read(physical, size); registers of registers.py
    space.kernel_in_reach(tables)       P1: tables of reach.py
    space.code_written(linear)          P7
    space.own                           {frame: linear}: the pages that ring 3 may write
"""

from collections.abc import Callable, Iterator

from ringside.emulators.registers import Registers
from ringside.laws import reach
from ringside.recorder import pages

PAGE = pages.PAGE
MINE = pages.PRESENT | pages.USER
ENTRIES = 1024
ENTRY_COVERS = PAGE * ENTRIES       # of a directory
Read = Callable[[int, int], bytes]


def on(registers: Registers) -> bool:
    """Pages of 32 bits: the laws know no others."""
    return bool(registers["cr0"] >> 31) and not registers["cr4"] & pages.PAE


class Space:
    """One address space, read once."""

    def __init__(self, read: Read, registers: Registers) -> None:
        directory = self._table(read, registers["cr3"])
        self.tables = {registers["cr3"] & ~(PAGE - 1)}
        self.pages: dict[int, int] = {}     # by linear address: the entry, with the rights that the directory leaves it
        for number, entry in enumerate(directory):
            start = number * ENTRY_COVERS
            if not entry & pages.PRESENT:
                continue
            if entry & pages.LARGE and registers["cr4"] & pages.PSE:
                self.pages.update((start + place, entry & 0xffc00fff | place) for place in range(0, ENTRY_COVERS, PAGE))
                continue
            self.tables.add(entry & ~(PAGE - 1))
            for place, leaf in enumerate(self._table(read, entry)):
                if leaf & pages.PRESENT:
                    self.pages[start + place * PAGE] = leaf & (entry | ~(pages.USER | pages.WRITABLE))
        self.own = {entry & ~(PAGE - 1): linear for linear, entry in self.pages.items()
                    if entry & (MINE | pages.WRITABLE) == MINE | pages.WRITABLE}

    @staticmethod
    def _table(read: Read, physical: int) -> list[int]:
        raw = read(physical & ~(PAGE - 1) & 0xffffffff, PAGE)
        return [int.from_bytes(raw[at:at + 4], "little") for at in range(0, PAGE, 4)]

    def kernel_in_reach(self, tables: reach.Tables) -> Iterator[str]:
        for frame in sorted(self.tables & self.own.keys()):
            yield f"a table of its pages is within reach of ring 3: the page at {self.own[frame]:08x} = the frame at {frame:x}"
        for what, start, end in tables.kernel():
            for linear in {place & ~(PAGE - 1) & 0xffffffff for place in (start, end - 1)}:
                entry = self.pages.get(linear, 0)
                if entry & MINE == MINE:
                    yield f"{what} is within reach of ring 3: the page at {linear:08x} has U = 1, {entry:08x} in its table"
                elif entry and (mine := self.own.get(entry & ~(PAGE - 1))) is not None:
                    yield f"{what} is within reach of ring 3: the page at {mine:08x} = the frame of that at {linear:08x}"

    def code_written(self, linear: int) -> Iterator[str]:
        entry = self.pages.get(linear & ~(PAGE - 1), 0)
        if entry & pages.WRITABLE:
            yield (f"ring 3 may write the code that it runs: the page at {linear & ~(PAGE - 1):08x} has W = 1, "
                   f"{entry:08x} in its table")

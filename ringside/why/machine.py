"""The machine that is looked at: a state of the CPU, and memory if there is any to read.

Machine.read(linear, size)      through the page tables
Machine.walk(linear)            the page walk, with each entry
Machine.descriptor(selector)    a Descriptor, or None beyond the limit
"""

import collections.abc
import dataclasses

from ringside.recorder import pages
from ringside.recorder.pages import PAGE, PRESENT, USER, WRITABLE
from ringside.why.log import State

Physical = collections.abc.Callable[[int, int], bytes]   # (address, size): the bytes there


class Unknown(Exception):
    """What would have to be known is not. The text says what."""


class Unmapped(Exception):
    """An access that the page tables refuse."""

    def __init__(self, linear: int, walk: "Walk", user: bool, write: bool) -> None:
        super().__init__(f"linear address {linear:08x}: {walk.why(user, write, True)}")
        self.linear, self.walk = linear, walk


@dataclasses.dataclass(frozen=True)
class Entry:
    """Of a page table; a pointer of PAE's topmost table has no rights."""
    name: str
    at: int         # its physical address
    value: int
    pointer: bool = False

    def __str__(self) -> str:
        """With its value and place."""
        return f"{self.name} = {self.value:08x} (at physical {self.at:08x})"


@dataclasses.dataclass(frozen=True)
class Walk:
    """The entries by which a linear address is looked up, and what they lead to."""
    linear: int
    entries: tuple[Entry, ...]      # as far as they are reached; none: paging is off
    physical: int | None            # None: not present

    @property
    def directory(self) -> Entry | None:
        """The entry of the page directory, if it is reached."""
        return next((entry for entry in self.entries if not entry.pointer), None)

    def why(self, user: bool, write: bool, protect: bool) -> str:
        """Which entry refuses such an access; "" if none. protect: CR0.WP, for ring 0."""
        for entry in self.entries:
            if not entry.value & PRESENT:
                return f"{entry} is not present"
        rights = [entry for entry in self.entries if not entry.pointer]
        for entry in rights:
            if user and not entry.value & USER:
                return f"{entry} lacks U: not for ring 3"
        for entry in rights:
            if write and not entry.value & WRITABLE and (user or protect):
                return f"{entry} lacks W: read-only" + ("" if user else ", and CR0.WP is set")
        return ""


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """Eight bytes of GDT, LDT or IDT (Intel SDM vol. 3A, 3.4.5 and 6.11)."""
    raw: int
    at: int

    @property
    def present(self) -> bool:
        """P."""
        return bool(self.raw >> 47 & 1)

    @property
    def dpl(self) -> int:
        """DPL."""
        return self.raw >> 45 & 3

    @property
    def type(self) -> int:
        """With S: 0x10 and above is code or data."""
        return self.raw >> 40 & 0x1F

    @property
    def is_code(self) -> bool:
        """S and the code bit."""
        return self.type & 0x18 == 0x18

    @property
    def is_conforming(self) -> bool:
        """Code that outer rings may jump to."""
        return self.type & 0x1C == 0x1C

    @property
    def is_stack(self) -> bool:
        """Data that can be written."""
        return self.type & 0x1A == 0x12

    @property
    def is_readable(self) -> bool:
        """Data, or code with R."""
        return self.type & 0x18 == 0x10 or self.type & 0x1A == 0x1A

    @property
    def base(self) -> int:
        """Of a segment."""
        return self.raw >> 16 & 0xFFFFFF | self.raw >> 32 & 0xFF000000

    @property
    def limit(self) -> int:
        """In bytes: G makes it pages."""
        limit = self.raw & 0xFFFF | self.raw >> 32 & 0xF0000
        return limit << 12 | 0xFFF if self.raw >> 55 & 1 else limit

    @property
    def big(self) -> bool:
        """D/B."""
        return bool(self.raw >> 54 & 1)

    @property
    def selector(self) -> int:
        """Of a gate."""
        return self.raw >> 16 & 0xFFFF

    @property
    def offset(self) -> int:
        """Of a gate."""
        return self.raw & 0xFFFF | (self.raw >> 32 & 0xFFFF0000 if self.type & 8 else 0)


TABLES = {"PDPTE": ("page directory pointer", 0x1F), "PDE": ("page directory", PAGE - 1), "PTE": ("page table", PAGE - 1)}


def named(entry: pages.Entry) -> Entry:
    """With its place in its table, of which the lowest bits of its address tell."""
    table, within = TABLES[entry.name]
    return Entry(f"{table} entry {(entry.physical & within) // entry.size:#x}", entry.physical, entry.value,
                 entry.name == "PDPTE")


class Machine:
    """A state, and memory as it is when the machine has stopped. memory: its size in bytes."""
    def __init__(self, state: State, physical: Physical | None = None, memory: int = 0) -> None:
        self.state, self.physical, self.memory = state, physical, memory

    def read_physical(self, address: int, size: int = 4) -> int:
        """A20 shut clears bit 20. Raises Unknown without memory."""
        if self.physical is None:
            raise Unknown("memory, which a log does not show")
        if not self.state.numbers.get("a20", 1):
            address &= ~0x100000
        return int.from_bytes(self.physical(address, size), "little")

    def walk(self, linear: int) -> Walk:
        """As the judge's model does it: ringside/recorder/pages.py."""
        if not self.state["cr0"] >> 31:
            return Walk(linear, (), linear)
        found = [*pages.walk(linear, self.state["cr3"], self.state["cr4"], self.read_physical)]
        return Walk(linear, tuple(map(named, found)), pages.physical_of(linear, found))

    def bytes(self, linear: int, size: int) -> bytes:
        """As ring 0 reads them."""
        found = b""
        while size > len(found):
            here = linear + len(found) & 0xFFFFFFFF
            walk, count = self.walk(here), min(size - len(found), PAGE - here % PAGE)
            if walk.physical is None:
                raise Unmapped(here, walk, False, False)
            found += self.read_physical(walk.physical, count).to_bytes(count, "little")
        return found

    def read(self, linear: int, size: int = 4) -> int:
        """A number. Raises Unmapped."""
        return int.from_bytes(self.bytes(linear & 0xFFFFFFFF, size), "little")

    def writable(self, linear: int, size: int) -> None:
        """Raises Unmapped if ring 0 cannot write there."""
        for here in {linear & 0xFFFFFFFF, linear + size - 1 & 0xFFFFFFFF}:
            walk = self.walk(here)
            if walk.why(False, True, bool(self.state["cr0"] >> 16 & 1)):
                raise Unmapped(here, walk, False, True)

    def table(self, selector: int) -> tuple[str, int, int]:
        """(name, base, limit) of the table that a selector names."""
        if selector & 4:
            ldt = self.state.segments["ldtr"]
            return "LDT", ldt.base, ldt.limit if ldt.selector & ~3 else -1
        return "GDT", self.state["gdt.base"], self.state["gdt.limit"]

    def descriptor(self, selector: int) -> Descriptor | None:
        """None beyond the table's limit."""
        _, base, limit = self.table(selector)
        if (selector | 7) > limit:
            return None
        at = base + (selector & ~7) & 0xFFFFFFFF
        return Descriptor(self.read(at, 8), at)

    def gate(self, vector: int) -> Descriptor:
        """An entry of the IDT, whatever its limit."""
        at = self.state["idt.base"] + 8 * vector & 0xFFFFFFFF
        return Descriptor(self.read(at, 8), at)

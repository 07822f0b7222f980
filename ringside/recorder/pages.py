"""Page tables (Intel SDM vol. 3A, 4.3, 4.4): the entries by which linear addresses are translated.

    walk(linear, cr3, cr4, read)    the entries, one by one: up to the page, or to one that is not present
    physical_of(linear, entries)    where they lead; None if to no page
    entries(state, addresses, read) {"1c004": value}: those of many addresses, as a recording has them

read(physical, size) is a number in memory; None if it is not known: then the walk ends in Unread.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 0x20, 0x40, 0x80     # in an entry
PG, WP = 1 << 31, 1 << 16       # cr0
PSE, PAE = 1 << 4, 1 << 5       # cr4
PAGE = 0x1000
FRAME = 0x000FFFFF_FFFFF000     # of an entry: where a table or a page lies

Read = Callable[[int, int], int | None]


class Unread(Exception):
    """An entry that nothing tells; its physical address."""


class Entry(NamedTuple):
    name: str           # PDPTE, PDE, PTE
    physical: int
    size: int
    value: int
    covers: int         # bytes of the linear addresses for which it stands
    leads_to_page: bool


def _levels(cr4: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Bytes of an entry; name of each level and the lowest bit of its index."""
    if cr4 & PAE:
        return 8, (("PDPTE", 30), ("PDE", 21), ("PTE", 12))
    return 4, (("PDE", 22), ("PTE", 12))


def walk(linear: int, cr3: int, cr4: int, read: Read) -> Iterator[Entry]:
    size, levels = _levels(cr4)
    table = cr3 & (0xFFFFFFE0 if cr4 & PAE else 0xFFFFF000)
    covers = 1 << 32
    for name, shift in levels:
        index = (linear & covers - 1) >> shift
        covers = 1 << shift
        value = read(table + size * index, size)
        if value is None:
            raise Unread(table + size * index)
        large = name == "PDE" and bool(value & LARGE) and bool(cr4 & (PSE | PAE))
        entry = Entry(name, table + size * index, size, value, covers, large or name == "PTE")
        yield entry
        if not value & PRESENT or entry.leads_to_page:
            return
        table = value & FRAME


def physical_of(linear: int, found: Iterable[Entry]) -> int | None:
    for entry in found:
        if not entry.value & PRESENT:
            return None
        if entry.leads_to_page:
            return entry.value & FRAME & ~(entry.covers - 1) | linear & entry.covers - 1
    return None


def entries(state: dict[str, Any], addresses: Iterable[int], read: Read) -> dict[str, int]:
    """state: of a recording, or what it is made of: cr3 and cr4 are asked for."""
    found: dict[str, int] = {}
    for page in sorted({address & 0xFFFFFFFF & ~(PAGE - 1) for address in addresses}):
        try:
            found.update((f"{entry.physical:x}", entry.value) for entry in walk(page, state["cr3"], state["cr4"], read))
        except Unread:
            pass
    return found

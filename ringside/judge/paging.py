"""Paging, as model.py has all else: Intel's manual (SDM), vol. 3A, chapter 4.

    cpu.page(linear, size, write)   memory is accessed there: by ring 3, unless it is told
                                    that the CPU itself does it (user=False)
    somewhere(cpu)                  a #PF of an instruction whose operands decode.py does not know

A translation may come from the TLB (4.10), and then the tables may say what they like. Where a
recording has the accesses, it shows each entry that was read: an entry not read there comes from
the TLB. Where it has none (QEMU), the tables are taken to be what counts.
"""

from collections.abc import Iterator
from typing import Any

from ringside.judge.account import Account
from ringside.judge.facts import Fault, GP, PAGE_FAULT, Stuck
from ringside.judge.rules import WALKS_POINTERS
from ringside.judge.states import Layout, Values
from ringside.recorder.pages import (ACCESSED, DIRTY, Entry, FRAME, LARGE, PAE, PAGE, PG, PRESENT, PSE, Unread, USER, WP,
                                     WRITABLE, physical_of, walk)
from ringside.recorder.recording import Access

ERROR_PRESENT, ERROR_WRITE, ERROR_USER, ERROR_RESERVED = 1, 2, 4, 8     # vol. 3A, 4.7: in the error code

# Vol. 3A, 4.3, table 4-4; 4.4.2, tables 4-9 to 4-11. Bits 52 to 62 of PAE's entries; what lies beyond
# the CPU's physical addresses, and bit 63 without NXE, is not known here.
RESERVED_LARGE, RESERVED_LARGE_PAE, RESERVED_PAE = 1 << 21, 0xFF << 13, 0x7FF << 52
RESERVED_POINTER = 0xFFF << 52 | 0x1E6      # table 4-8


MARKS = ACCESSED | DIRTY
POINTERS_BYTES = 4 * 8


def field_of(entry: Entry) -> str:
    return f"pages.{entry.physical:x}"


class Paging(Account):
    def __init__(self, layout: Layout, before: Values, after: Values, walks: list[Access] | None) -> None:
        super().__init__(layout, before, after)
        self.walks = walks
        self.told_entries = {access[1] for access in walks or () if access[0] == "read"}
        self.walked: dict[int, Entry] = {}      # by physical address: all that the model went by
        self.tables_known = any(field.startswith("pages.") for field in before)

    def paging(self) -> bool:
        return "cr3" in self.before and self.get("cr0", PG) == PG

    def _entry(self, physical: int, size: int) -> int | None:
        return self.before.get(f"pages.{physical:x}")

    def translate(self, linear: int) -> int | None:
        """The physical address, if it is known, or else None."""
        if "cr3" not in self.before or not self.before["cr0"] & PG:
            return None
        try:
            return physical_of(linear, walk(linear, self.now("cr3"), self.before["cr4"], self._entry))
        except Unread:
            return None

    def page(self, linear: int, size: int, write: bool = False, user: bool | None = None, span: int = 1) -> None:
        """So many bytes are accessed. span: of so many, it is not laid down
        which come first."""
        if not self.paging():
            return
        by_user = self.cpl == 3 if user is None else user
        first, last = linear & 0xFFFFFFFF, linear + size - 1 & 0xFFFFFFFF
        self.page_at(first, write, by_user, span)
        if first // PAGE != last // PAGE:
            self.page_at(last & ~(PAGE - 1), write, by_user, span)

    def page_at(self, linear: int, write: bool, user: bool, span: int = 1) -> None:
        """Vol. 3A, 4.6.1: whether the tables allow it; 4.8: what they note of it."""
        try:
            found = list(self._walk(linear))
        except Unread as unknown:
            if self.walks is None and self.tables_known:
                raise Stuck("known", f"the entry at {unknown.args[0]:#x} for {linear:#x}") from None
            return
        if self.walks is not None and not all(entry.physical in self.told_entries
                                              for entry in found if entry.name != "PDPTE"):
            return
        self.walked.update((entry.physical, entry) for entry in found)
        self._rely_on(found)
        access = ERROR_WRITE * write | ERROR_USER * user
        for entry in found:
            self._need(entry, "page-present", PRESENT, linear, access, span)
            reserved = self._reserved(entry)
            self.rely(field_of(entry), reserved)
            self.need("page-reserved", not entry.value & reserved,
                      Fault(PAGE_FAULT, access | ERROR_PRESENT | ERROR_RESERVED, linear, span), f"{entry.name} {entry.value:#x}")
        rights = [entry for entry in found if entry.name != "PDPTE"]
        if user:
            for entry in rights:
                self._need(entry, "page-user", USER, linear, access | ERROR_PRESENT, span)
        if write and (user or not all(entry.value & WRITABLE for entry in rights)):
            if user or self.get("cr0", WP):
                for entry in rights:
                    self._need(entry, "page-writable", WRITABLE, linear, access | ERROR_PRESENT, span)
        if self.walks is not None:
            for entry in rights:
                self.set(field_of(entry), ACCESSED, "page-accessed", ACCESSED)
                if write and entry.leads_to_page:
                    self.set(field_of(entry), DIRTY, "page-dirty", DIRTY)

    def _walk(self, linear: int) -> Iterator[Entry]:
        """Up to an entry that refuses by its reserved bits."""
        for entry in walk(linear, self.now("cr3"), self.before["cr4"], self._entry):
            yield entry
            if entry.value & PRESENT and entry.value & self._reserved(entry):
                return

    def load_pointers(self) -> None:
        """Vol. 3A, 4.4.1: mov to a control register loads PAE's pointers to directories, if some bits of cr0 or cr4 change;
        and may do so if they do not."""
        if not self.paging() or not self.before["cr4"] & PAE or self.layout.emulator in WALKS_POINTERS:
            return
        table = self.now("cr3") & 0xFFFFFFE0
        pointers = range(table, table + POINTERS_BYTES, 8)
        found = [Entry("PDPTE", physical, 8, self._entry(physical, 8) or 0, 1 << 30, False)
                 for physical in pointers if physical in self.told_entries]
        self.walked.update((pointer.physical, pointer) for pointer in found)
        for pointer in found:
            self.rely(field_of(pointer), PRESENT | RESERVED_POINTER)
            self.need("pointer-reserved", not pointer.value & PRESENT or not pointer.value & RESERVED_POINTER, Fault(GP, 0),
                      f"{pointer.value:#x} at {pointer.physical:#x}")
        if self.told_entries:
            self.check("page-entry", "pointers that are read", [*pointers], [pointer.physical for pointer in found])

    def marks_of(self, field: str) -> int:
        """The bits of an entry that may have been set, or not: of a page whose access did not come to its end."""
        if not field.startswith("pages.") or field in self.expected:
            return 0
        return MARKS if int(field.removeprefix("pages."), 16) in self.walked else 0

    def _need(self, entry: Entry, rule: str, bit: int, linear: int, error: int, span: int) -> None:
        self.rely(field_of(entry), bit)
        self.need(rule, bool(entry.value & bit), Fault(PAGE_FAULT, error, linear, span),
                  f"{entry.name} {entry.value:#x} for {linear:#x}")

    def _rely_on(self, found: list[Entry]) -> None:
        pae = bool(self.before["cr4"] & PAE)
        self.get("cr3", 0xFFFFFFE0 if pae else 0xFFFFF000)
        self.rely("cr4", PAE)
        for entry in found:
            if entry.name == "PDE" and entry.value & PRESENT:
                if entry.value & LARGE and not pae:
                    self.rely("cr4", PSE)
                self.rely(field_of(entry), LARGE if pae or self.before["cr4"] & PSE else 0)
            if not entry.leads_to_page and entry.value & PRESENT:
                self.rely(field_of(entry), FRAME & 0xFFFFFFFF)

    def _reserved(self, entry: Entry) -> int:
        large = entry.leads_to_page and entry.name == "PDE"
        if not self.before["cr4"] & PAE:
            return RESERVED_LARGE if large else 0
        return RESERVED_PAE | (RESERVED_LARGE_PAE if large else 0)


def somewhere(cpu: Paging, error: int) -> None:
    """Vol. 3A, 4.7. Where it was, cr2 is believed, and whether it was a write, the error code."""
    linear = cpu.after["cr2"]
    try:
        cpu.page_at(linear & ~(PAGE - 1), bool(error & ERROR_WRITE), cpu.cpl == 3, span=PAGE)
    except Fault as fault:
        fault.believed = ERROR_WRITE
        raise


def complete(before: Values, after: Values, walks: list[Access] | None) -> None:
    """Gives two states what one of them, or the walks between them, have of paging."""
    told: dict[str, list[int]] = {}
    for _, physical, _, value in walks or ():
        told.setdefault(f"pages.{physical:x}", []).append(value)
    for field in ("cr2", "cr3", "cr4"):
        if field in before or field in after:
            before.setdefault(field, after.get(field, 0))
            after.setdefault(field, before[field])
    for field in {*told, *(field for state in (before, after) for field in state if field.startswith("pages."))}:
        values: Any = told.get(field)
        before.setdefault(field, values[0] if values else after.get(field, 0))
        after.setdefault(field, values[-1] if values else before[field])

"""Address spaces, tried from outside: what a lab lists of them is there for ring 3, and nothing else is.

    findings = Spaces(emulator, image, wanted, model).run()     wanted: {page: rights}, as listed() reads them

No symbol is asked. Ring 3 begins in the first page that is listed. The tables are walked as the CPU walks them, in
each space; and then ring 3 itself reads and writes a byte of some thousand pages (isolation.py), of those that are
near something and of a sample of all others.
"""

import itertools
from typing import Any

from ringside.attacks import isolation
from ringside.attacks.isolation import ADDRESS, ALLOWED, PAGE, PRESENT, USER, WRITABLE
from ringside.emulators import machines
from ringside.emulators.registers import Registers
from ringside.laws import beginning, looks, reach
from ringside.laws.probe import Finding

RING_0 = 0xffc00000     # from here on addresses are ring 0's, by the lab's page
TURNS = 6               # arrivals at ring 3's first instruction that are waited for
WP = 1 << 16            # of cr0
LAWS = {
    "M1": "a space holds the pages that the lab lists, with these rights, and no other page for ring 3",
    "M2": "ring 0 is at the same addresses in each space",
    "M3": "no page for ring 3 leads to memory of ring 0: not to its tables, its stacks, its code",
    "M4": "what ring 3 may write has a frame of its own: no other page of its space leads there, and none of another space",
    "M5": "code is written by no ring: not ring 3's, and not ring 0's where CR0.WP holds",
}
RIGHTS = {"read": PRESENT | USER, "read and write": PRESENT | USER | WRITABLE}

Pages = dict[int, tuple[int, int]]      # linear page: where it leads, what both entries allow


def listed(pages: dict[str, str]) -> dict[int, int]:
    """Of a lab.toml: {"08048000": "read"}."""
    return {int(page, 16): RIGHTS[rights] for page, rights in pages.items()}


class _Space:
    """One address space, as it is while ring 3 runs in it."""

    def __init__(self, machine: Any, registers: Registers) -> None:
        self.cr3 = registers["cr3"] & ADDRESS
        self.pages: Pages = {}
        self.tables = {self.cr3}        # physical
        for high, upper in enumerate(isolation.entries(machine, self.cr3)):
            if not upper & PRESENT:
                continue
            self.tables.add(upper & ADDRESS)
            for low, lower in enumerate(isolation.entries(machine, upper & ADDRESS)):
                if lower & PRESENT:
                    self.pages[(high << 10 | low) * PAGE] = lower & ADDRESS, upper & lower & (PRESENT | USER | WRITABLE)
        known = reach.Tables(machine.read, registers)
        self.ring_0 = {page: what for what, start, end in known.kernel() for page in range(start & ADDRESS, end, PAGE)}
        self.handlers = {page for page, what in self.ring_0.items() if what.startswith("the handler")}
        self.wp = bool(registers["cr0"] & WP)

    def of_ring_3(self) -> Pages:
        return {page: told for page, told in self.pages.items() if told[1] & USER}


class Spaces:
    """One run in one emulator."""

    def __init__(self, emulator: str, image: machines.Path, wanted: dict[int, int], model: str = "") -> None:
        self.emulator, self.image, self.wanted, self.model = emulator, image, wanted, model
        self.entry = min(wanted)
        self.findings: list[Finding] = []
        self.arrived = 0

    def found(self, law: str, said: str) -> None:
        if not any(one.law == law for one in self.findings):
            self.findings.append(Finding(law, said, max(0, self.arrived - 1)))

    def run(self) -> list[Finding]:
        kind = type("_Paged", (looks.EMULATORS[self.emulator],), {"base": 0})   # what is written goes where pages lead
        with kind(self.image, self.model) as self.machine:
            try:
                self._look()
            except machines.Missing as missing:
                what = str(missing).partition("\n")[0]
                self.found("H1", f"ring 3 has come to {self.entry:08x} {self.arrived} times, and then never: {what}")
        return self.findings

    def _look(self) -> None:
        machine, spaces = self.machine, list[_Space]()
        machine.run_to(beginning.PROGRAM_START, timeout=looks.LIMIT)
        while self.arrived < TURNS:
            machine.run_to(self.entry, timeout=looks.LIMIT)
            registers = machine.registers()
            if registers["cs"].selector & 3 == 3:
                self.arrived += 1
                if all(space.cr3 != registers["cr3"] & ADDRESS for space in spaces):
                    spaces.append(_Space(machine, registers))
            machine.step()
        if len(spaces) < 2:
            self.found("H1", f"after {TURNS} turns CR3 has always been {spaces[0].cr3:08x}: there is one space")
            return
        for space in spaces:
            self._holds(space)
        for one, other in itertools.permutations(spaces, 2):
            self._apart(one, other)
        self._tries(registers)

    # ---- what the tables say

    def _holds(self, space: _Space) -> None:
        mine = space.of_ring_3()
        for page in sorted({*mine, *self.wanted}):
            has, must = mine[page][1] if page in mine else 0, self.wanted.get(page, 0)
            if page >= RING_0:
                self.found("M3", f"in the space {space.cr3:08x} the page {page:08x} {_words(has)}; it must be ring 0's alone")
            elif has != must and not (page == self.entry and has & ~must == WRITABLE):      # that is M5
                self.found("M1", f"in the space {space.cr3:08x} the page {page:08x} {_words(has)}; "
                                 + (f"by the lab it {_words(must)}" if must else "the lab does not list it"))
        frames = {space.pages[page][0]: what for page, what in space.ring_0.items() if page in space.pages}
        frames |= {table: "a directory or a table" for table in space.tables}
        for page, (frame, _) in mine.items():
            if frame in frames:
                self.found("M3", f"in the space {space.cr3:08x} the page {page:08x} is for ring 3 and leads to {frame:08x}; "
                                 f"{frames[frame]} lies there")
        first = dict[int, int]()
        for page, (frame, rights) in sorted(mine.items()):
            if (there := first.setdefault(frame, page)) != page and (rights | mine[there][1]) & WRITABLE:
                self.found("M4", f"in the space {space.cr3:08x} the pages {there:08x} and {page:08x} both lead to {frame:08x}")
        for page in (self.entry, *(sorted(space.handlers) if space.wp else ())):
            if space.pages.get(page, (0, 0))[1] & WRITABLE:
                self.found("M5", f"the page {page:08x} in the space {space.cr3:08x} holds code and may be written")

    def _apart(self, one: _Space, other: _Space) -> None:
        theirs = {frame: page for page, (frame, _) in other.of_ring_3().items()}
        for page, (frame, rights) in one.of_ring_3().items():
            if rights & WRITABLE and frame in theirs:
                self.found("M4", f"{page:08x} in the space {one.cr3:08x} may be written and leads to {frame:08x}; "
                                 f"so does {theirs[frame]:08x} in the space {other.cr3:08x}")
        for page, told in one.pages.items():
            if not told[1] & USER and other.pages.get(page) != told:
                self.found("M2", f"{page:08x} leads to {told[0]:08x} in the space {one.cr3:08x}, and in the space "
                                 f"{other.cr3:08x} it does not")

    # ---- what the CPU does

    def _tries(self, registers: Registers) -> None:
        """Ring 3 reads and writes; our handler of #PF, in place of the kernel's, says what became of it."""
        machine = self.machine
        gate = reach.Tables(machine.read, registers).idt[isolation.VECTOR_PF]
        machine.write(gate.offset, isolation.ANSWER)
        machine.write(isolation.CODE, isolation.PROBE)
        for (page, way), error in sorted(isolation.tried(machine, isolation.SAMPLE, looks.LIMIT).items()):
            rights = self.wanted.get(page * PAGE, 0)
            if error == ALLOWED and not rights & (WRITABLE if way == "write" else USER):
                law = "M5" if rights else "M3" if page * PAGE >= RING_0 else "M1"
                self.found(law, f"ring 3 tries to {way} {page * PAGE:08x}, and may; it must be refused")


def _words(rights: int) -> str:
    return next((f"is for ring 3 to {words}" for words, bits in RIGHTS.items() if bits == rights), "is not for ring 3")

"""Where a kernel crosses rings without a line in Bochs' listing: far calls and returns, sysenter, sysexit.

    in_elf(path, base)      Places of instructions, as objdump finds them in the kernel's ELF file
    in_tables(machine)      Places that the CPU's registers tell: where call gates lead, and sysenter;
                            and the ways back from there, near by
    Watch(machine, places)  breakpoints there
    disassembled(...)       an instruction's bytes and text

A Place is a linear address: of the instruction that crosses, or of the one that it leads to.
"""

from collections.abc import Iterable, Iterator
import functools
import pathlib
import re
import subprocess
import tempfile
from typing import NamedTuple

from ringside.emulators import versions
from ringside.emulators.anybochs import AnyBochs
from ringside.emulators.registers import Segment, Table

MOST = 16           # of linear breakpoints, in Bochs
LONGEST = 16        # bytes of an instruction, and one more
NEAR = 0x4000       # bytes behind where ring 0 is entered, in which its way out is looked for
HERE, BEHIND = 1, 0     # ticks from the breakpoint to behind the crossing

FOUND = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f ]+)\t(?:data16 )?(sysenter|sysexit|lret|lcall)[lw]?\b", re.M)

CALL_GATE_16, CALL_GATE_32, LDT = 0x84, 0x8C, 0x82      # types of system segments and gates, present
OF_THE_LDT, WIDE = 4, 8                                 # TI of a selector; of a gate's type
SELECTOR = 0xFFFC
# Behind a stop at a breakpoint; last the bytes of the instruction that comes next. Of a far call Bochs may complain before.
STOPPED = re.compile(r"^\(0\) Breakpoint (\d+),.*\nNext at t=(\d+)\n(?:bx_dbg_.*\n)*\(0\) .*; ([0-9a-f]+)$", re.M)
FALSE_ONES = 100    # stops at other code than a Place's, before it is given up


class Place(NamedTuple):
    linear: int
    kind: str           # lcall, lret, sysenter, sysexit
    after: int          # HERE or BEHIND
    code: bytes         # what lies there, its first bytes: another program may run at that address before


def in_elf(elf: pathlib.Path | None, base: int) -> list[Place]:
    if not elf:
        return []
    text = subprocess.run(["objdump", "-d", "-w", "-z", str(elf)], check=True, capture_output=True, text=True).stdout
    return [*_found(text, base)]


def _found(text: str, base: int) -> Iterator[Place]:
    for linear, code, kind in FOUND.findall(text):
        yield Place(int(linear, 16) + base & 0xFFFFFFFF, kind, HERE, bytes.fromhex(code))


def in_tables(machine: AnyBochs) -> list[Place]:
    """Of a machine that has run until its tables are made."""
    entries = [*_entries(machine)]
    ways_out: dict[int, Place] = {}
    for kind, linear in entries:
        back = "lret" if kind == "lcall" else "sysexit"
        ways_out.update((place.linear, place) for place in _disassembled(machine, linear) if place.kind == back)
    return [*(Place(linear, kind, BEHIND, machine.read(linear, 1)) for kind, linear in entries), *ways_out.values()]


def _entries(machine: AnyBochs) -> Iterator[tuple[str, int]]:
    """Where ring 0, or another inner ring, is entered: (by what, linear address)."""
    msrs = dict(re.findall(r"(sysenter_\w+?)_msr = 0x([0-9a-f]+)", machine.cmd('show "cpu0.MSR"')))
    if int(msrs.get("sysenter_cs", "0"), 16) & ~3:
        yield "sysenter", int(msrs["sysenter_eip"], 16)
    segments = machine.sreg()
    tables = {name: [*_rows(machine, segments[name])] for name in ("gdtr", "ldtr")}
    others = [row for row in tables["gdtr"] if row >> 40 & 0x9F == LDT]
    for row in [*tables["gdtr"], *(row for table in others for row in _rows(machine, Table(base_of(table), limit_of(table))))]:
        kind = row >> 40 & 0x9F
        if kind in (CALL_GATE_16, CALL_GATE_32):
            offset = row & 0xFFFF | (row >> 48 << 16 if kind & WIDE else 0)
            selector = row >> 16 & SELECTOR
            code = tables["ldtr" if selector & OF_THE_LDT else "gdtr"][selector >> 3:][:1]
            if code:
                yield "lcall", base_of(code[0]) + offset & 0xFFFFFFFF


def _rows(machine: AnyBochs, table: Segment | Table) -> Iterator[int]:
    raw = machine.read(table.base, (min(table.limit, 0xFFFF) + 1) // 8 * 8)
    for place in range(0, len(raw), 8):
        yield int.from_bytes(raw[place:place + 8], "little")


def base_of(row: int) -> int:
    return row >> 16 & 0xFFFFFF | row >> 32 & 0xFF000000


def limit_of(row: int) -> int:
    return row & 0xFFFF | row >> 32 & 0xF0000


def _disassembled(machine: AnyBochs, linear: int) -> Iterator[Place]:
    """Code from there on; objdump is in step, since an instruction begins there."""
    with tempfile.NamedTemporaryFile(prefix="rp-") as file:
        file.write(machine.read(linear, NEAR))
        file.flush()
        said = subprocess.run(["objdump", "-D", "-w", "-z", "-b", "binary", "-m", "i386", f"--adjust-vma={linear:#x}", file.name],
                              check=True, capture_output=True, text=True).stdout
    yield from _found(said, 0)


@functools.lru_cache(None)
def disassembled(code: str, wide: bool, place: int) -> tuple[str, str]:
    """Its bytes and its text."""
    with tempfile.NamedTemporaryFile(prefix="rp-") as file:
        file.write(bytes.fromhex(code))
        file.flush()
        said = subprocess.run(["objdump", "-D", "-w", "-z", "-b", "binary", "-m", "i386", "-M", "i386" if wide else "i8086",
                               f"--adjust-vma={place:#x}", file.name], check=True, capture_output=True, text=True).stdout
    found = re.search(r"^ *\w+:\t([0-9a-f ]+)\t(.*)$", said, re.M)
    if not found:
        return code[:2], "(bad)"
    return found[1].replace(" ", ""), versions.one_spelling(re.sub(r"\s+", " ", found[2].strip()))


class Stop(NamedTuple):
    place: Place
    tick: int       # behind the crossing


class Watch:
    """Breakpoints at places, as far as Bochs takes them. It may run on from each stop at once."""

    def __init__(self, machine: AnyBochs, places: Iterable[Place]) -> None:
        self.machine = machine
        self.by_number: dict[str, Place] = {}
        self.false_ones: dict[str, int] = {}
        for place in [*places][:MOST]:
            machine.cmd(f"lb {place.linear:#x}")
            number = re.findall(r"^ *(\d+) lbreakpoint", machine.cmd("blist"), re.M)[-1]
            self.by_number[number] = place

    def stops(self, text: str) -> Iterator[Stop]:
        """Those in what Bochs has printed."""
        for number, tick, code in STOPPED.findall(text):
            place = self.by_number[number]
            if place.code.startswith(bytes.fromhex(code)) or bytes.fromhex(code).startswith(place.code):
                yield Stop(place, int(tick) + place.after)
                continue
            self.false_ones[number] = self.false_ones.get(number, 0) + 1
            if self.false_ones[number] == FALSE_ONES:
                self.machine.cmd(f"d {number}")

"""Which crossings a kernel makes, and when: one run of Bochs at full speed that lists them.

    found(image, Wanted(first=100)).lines       Lines, in order

Bochs' debugger prints a line for each interrupt, exception and iret, with the tick behind it. It has
none for sysenter, sysexit, far calls and far returns: there it stops (places.py), and runs on at once.
What is in no ELF file is known once the kernel's tables are made: then there is another run. Task switches
by a jmp are not found.
"""

import dataclasses
import pathlib
import re
import select
import time
from typing import NamedTuple

from ringside.emulators import machines
from ringside.emulators.anybochs import MEMORY, PER_SECOND, AnyBochs
from ringside.emulators.image import Image
from ringside.recorder import places
from ringside.recorder.trace import offset_of

# Real mode's have offsets of four digits, and virtual-8086 mode's. A Bochs that writes all sixteen is understood.
LISTED = re.compile(r"^(\d{11,}): ([a-z][a-z ()]*?) ([0-9a-f]{4}):(?:0{8})?([0-9a-f]{8}|[0-9a-f]{4}) ", re.M)
STOP, PROMPT = "(0) Breakpoint", re.compile(r"<bochs:\d+> $")     # of the debugger
DIES = re.compile(r"^\(0\)\.\[(\d+)\]", re.M)      # the instruction at which it does: what it prints last
LOOK_SECONDS = 0.05
QUIET_SECONDS = 10      # without a line, once there were some: no more will come
WAYS_OUT = ("iret", "lret", "sysexit")
INTERRUPT = "exception (not softint)"   # or an exception


class Line(NamedTuple):
    tick: int       # behind the crossing
    kind: str       # softint; iret; what else leads into a handler; or a Place's
    selector: int   # where it leads; 0 if it is a Place's
    eip: int


@dataclasses.dataclass
class Wanted:
    """Which of them."""
    first: int = 1000               # so many at most
    around: float | None = None     # half of them before this time of the guest's, in seconds, half behind it
    every: int = 1                  # of the ways in, each with what follows it up to the next
    vector: int | None = None       # by this one alone, and what follows
    start: int | None = None        # from the moment on at which this linear address is executed
    seconds: float = 30             # of ours, at most
    memory: int = MEMORY            # of the machine, in MiB


class Found(NamedTuple):
    lines: list[Line]
    quiet: int      # if no more came: the interrupts of which the PICs wait to be told of the end, a bit for each; else 0
    end: int | None = None      # in front of the instruction at which the machine ends, if that comes before there are enough


class NoneFound(Exception):
    """Why there is nothing to record."""


def lines_in(text: str, inside: bool = False) -> tuple[list[Line], bool]:
    """Those of protected mode; and an iret right behind one of these, whose offset has four digits: to virtual-8086 mode.
    inside: whether what was before the text ended in protected mode; the same of the text comes second."""
    made = []
    for tick, kind, selector, eip in LISTED.findall(text):
        wide = len(eip) == 8
        if wide or inside and kind == "iret":
            made.append(Line(int(tick), kind, int(selector, 16), int(eip, 16)))
        inside = wide
    return made, inside


def groups(lines: list[Line]) -> list[list[Line]]:
    """Each begins with a way in."""
    made: list[list[Line]] = []
    for line in lines:
        if line.kind not in WAYS_OUT or not made:
            made.append([])
        made[-1].append(line)
    return made


def chosen(lines: list[Line], wanted: Wanted, targets: set[tuple[int, int]] | None) -> list[Line]:
    """targets: where the wanted vector's gate leads, if one is wanted."""
    those = [group for group in groups(lines) if targets is None or (group[0].selector & ~3, group[0].eip) in targets]
    found = [line for group in those[::wanted.every] for line in group]
    if wanted.around is not None:
        middle = len([line for line in found if line.tick <= wanted.around * PER_SECOND])
        begin = max(0, middle - wanted.first // 2)
        return found[begin:begin + wanted.first]
    return found[:wanted.first]


def in_service(machine: AnyBochs) -> int:
    """The interrupts whose end the PICs have not been told: a bit for each."""
    bits = [int(found, 16) for found in re.findall(r"^(?:master|slave) ISR = (\w+)", machine.cmd('info device "pic"'), re.M)]
    return sum(found << 8 * place for place, found in enumerate(bits))


def found(image: Image, wanted: Wanted, elf: pathlib.Path | None = None, base: int = 0) -> Found:
    """elf, base: as Names has them. Raises NoneFound, image.Unusable."""
    known = places.in_elf(elf, base)
    first = Run(image, wanted, known)
    seen = {line.kind for line in first.lines}
    if any(place.kind not in seen for place in first.entries):
        first = Run(image, wanted, [*first.entries, *known])
    made = chosen(first.lines, wanted, first.targets)
    if not made:
        raise NoneFound(_why(first.lines, wanted, first.alive))
    return Found(made, first.quiet, first.end if len(made) < wanted.first else None)


class Run:
    """One run, until there are enough lines."""

    def __init__(self, image: Image, wanted: Wanted, watched: list[places.Place]) -> None:
        self.lines: list[Line] = []
        self.targets: set[tuple[int, int]] | None = None    # see chosen()
        self.entries: list[places.Place] = []               # as its tables have them in the end
        self.quiet = 0
        self.end: int | None = None     # in front of the instruction at which the machine ends
        self.alive, self.inside = True, False
        with AnyBochs(image, wanted.memory) as self.machine:
            if wanted.start is not None:
                _run_to(self.machine, wanted)
            if "iret" not in self.machine.cmd("show int"):
                self.machine.cmd("show iret")
            self.watch = places.Watch(self.machine, watched)
            still = self._until_enough(wanted)
            if self.alive and self._stop():
                self.quiet = in_service(self.machine) if still else 0
                self.entries = [*places.in_tables(self.machine)]

    def _until_enough(self, wanted: Wanted) -> bool:
        """Whether no more came, though there were some."""
        self._go_on()
        begun = moved = looked = time.monotonic()
        while True:
            if self.watch.by_number:
                select.select([self.machine._pipe], [], [], LOOK_SECONDS)
            else:
                time.sleep(LOOK_SECONDS)
            self.alive, now, before = self.machine.alive(), time.monotonic(), len(self.lines)
            if self._take():
                self._go_on()
            moved = now if len(self.lines) > before else moved
            if now - looked < LOOK_SECONDS and self.alive:
                continue
            looked = now
            if self.lines and wanted.vector is not None and self.targets is None and self._stop():
                self.targets = _targets(self.machine, wanted.vector)
                self._go_on()
            still = self.alive and bool(self.lines) and now - moved > QUIET_SECONDS
            if still or not self.alive or _enough(self.lines, wanted, self.targets) or now - begun > wanted.seconds:
                return still

    def _go_on(self) -> None:
        self.machine.text = ""
        self.machine.send("c")

    def _take(self) -> bool:
        """Takes the lines from what was printed meanwhile; whether the machine has stopped."""
        text = self.machine._output()
        stopped = bool(PROMPT.search(text))
        end = len(text) if stopped or not self.alive else text.rfind("\n", 0, text.find(STOP) if STOP in text else len(text)) + 1
        listed, self.inside = lines_in(text[:end], self.inside)
        made = {line.tick: line for line in listed}
        if stopped:
            self.machine.text = ""
            made |= {stop.tick: Line(stop.tick, stop.place.kind, 0, 0) for stop in self.watch.stops(text)}
        self.machine.text = text[end:]
        if dies := DIES.findall(text[:end]):
            self.end = int(dies[-1])
        last = self.lines[-1].tick if self.lines else -1
        self.lines += [made[tick] for tick in sorted(made) if tick > last]
        return stopped

    def _stop(self) -> bool:
        """False if it has ended meanwhile."""
        try:
            if not self._take():
                self.machine.stop()
                self._take()
        except machines.Missing:
            self.alive = False
            self._take()
        return self.alive


def _enough(lines: list[Line], wanted: Wanted, targets: set[tuple[int, int]] | None) -> bool:
    made = chosen(lines, wanted, targets)
    if wanted.around is None:
        return len(made) >= wanted.first
    behind = [line for line in made if line.tick > wanted.around * PER_SECOND]
    return len(made) >= wanted.first and len(behind) >= wanted.first // 2


def _why(lines: list[Line], wanted: Wanted, alive: bool) -> str:
    if lines:
        return f"of {len(lines)} crossings none is of those that you want"
    if not alive:
        return "the machine ends before its first crossing in protected mode; why it does is told by: scripts/ringside why"
    return f"there is no crossing in protected mode in {wanted.seconds:g} s; --seconds gives it longer"


def _run_to(machine: AnyBochs, wanted: Wanted) -> None:
    machine.cmd(f"lb {wanted.start:#x}")
    try:
        said = machine.cmd("c", wanted.seconds)
    except machines.Missing:
        raise NoneFound(f"{wanted.start:#x} is not executed within {wanted.seconds:g} s") from None
    if "Breakpoint" not in said:
        raise NoneFound(f"the machine stops before {wanted.start:#x} is executed")
    machine.cmd("d 1")


def _targets(machine: AnyBochs, vector: int) -> set[tuple[int, int]]:
    """Where a gate leads, as lines may tell it: its selector and offset, and behind the handler's first instruction, since
    Bochs makes the hardware's interrupts together with that."""
    segments = machine.sreg()
    idtr = segments["idtr"]
    if 8 * vector + 7 > idtr.limit:
        raise NoneFound(f"the IDT has {(idtr.limit + 1) // 8} gates, none of vector {vector:#04x}")
    gate = int.from_bytes(machine.read(idtr.base + 8 * vector, 8), "little")
    selector, offset = gate >> 16 & 0xFFFC, offset_of(gate)
    row = int.from_bytes(machine.read(segments["ldtr" if selector & places.OF_THE_LDT else "gdtr"].base + (selector & ~7), 8),
                         "little")
    code = machine.read(places.base_of(row) + offset & 0xFFFFFFFF, places.LONGEST).hex()
    code, text = places.disassembled(code, bool(row >> 54 & 1), offset)
    jumps = re.match(r"jmp (?:0x)?([0-9a-f]+)$", text)
    return {(selector, offset), (selector, int(jumps[1], 16) if jumps else offset + len(code) // 2)}

"""Which crossings a kernel makes, and when: one run of Bochs at full speed that lists them.

    found(image, Wanted(first=100)).lines       Lines, in order

Bochs' debugger prints a line for each interrupt, exception and iret, with the tick behind it. It has
none for sysenter, sysexit, far calls, far returns and task switches by a jmp.
"""

import dataclasses
import re
import time
from typing import NamedTuple

from ringside.emulators import machines
from ringside.emulators.anybochs import PER_SECOND, AnyBochs
from ringside.emulators.image import Image
from ringside.recorder.trace import offset_of

# Real mode's have offsets of four digits. A Bochs that writes all sixteen is understood.
LISTED = re.compile(r"^(\d{11,}): ([a-z][a-z ()]*?) ([0-9a-f]{4}):(?:0{8})?([0-9a-f]{8}) ", re.M)
LOOK_SECONDS = 0.05
QUIET_SECONDS = 10      # without a line, once there were some: no more will come
WAY_OUT = "iret"


class Line(NamedTuple):
    tick: int       # behind the crossing
    kind: str       # softint; iret; or what else leads into a handler
    selector: int   # where it leads
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


class Found(NamedTuple):
    lines: list[Line]
    quiet: int      # if no more came: the interrupts of which the PICs wait to be told of the end, a bit for each; else 0


class NoneFound(Exception):
    """Why there is nothing to record."""


def lines_in(text: str) -> list[Line]:
    return [Line(int(tick), kind, int(selector, 16), int(eip, 16)) for tick, kind, selector, eip in LISTED.findall(text)]


def groups(lines: list[Line]) -> list[list[Line]]:
    """Each begins with a way in."""
    made: list[list[Line]] = []
    for line in lines:
        if line.kind != WAY_OUT or not made:
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


def found(image: Image, wanted: Wanted) -> Found:
    """Raises NoneFound."""
    with AnyBochs(image) as machine:
        if wanted.start is not None:
            _run_to(machine, wanted)
        if "iret" not in machine.cmd("show int"):
            machine.cmd("show iret")
        machine.text = ""
        machine.send("c")
        targets: set[tuple[int, int]] | None = None
        begun = moved = time.monotonic()
        lines: list[Line] = []
        while True:
            time.sleep(LOOK_SECONDS)
            alive, now = machine.alive(), time.monotonic()
            before, lines = len(lines), lines_in(machine._output())
            if len(lines) > before:
                moved = now
            if lines and wanted.vector is not None and targets is None:
                machine.stop()
                targets = {_target(machine, wanted.vector)}
                machine.send("c")
            still = alive and lines and now - moved > QUIET_SECONDS
            if still or _enough(lines, wanted, targets) or not alive or now - begun > wanted.seconds:
                break
        quiet = 0
        if still:
            machine.stop()
            quiet = in_service(machine)
    made = chosen(lines, wanted, targets)
    if not made:
        raise NoneFound(_why(lines, wanted, alive))
    return Found(made, quiet)


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


def _target(machine: AnyBochs, vector: int) -> tuple[int, int]:
    """Where a gate leads: its selector and offset."""
    idtr = machine.sreg()["idtr"]
    if 8 * vector + 7 > idtr.limit:
        raise NoneFound(f"the IDT has {(idtr.limit + 1) // 8} gates, none of vector {vector:#04x}")
    path = machine.dir / "gate"
    machine.cmd(f'writemem "{path}" {idtr.base + 8 * vector:#x} 8')
    gate = int.from_bytes(path.read_bytes(), "little")
    return gate >> 16 & 0xFFFC, offset_of(gate)

"""The two emulators as the probes use them: asked few times, and for much at once.

    with EMULATORS[name](image, model) as machine:
        machine.look("way in")      registers, and what such looks have read before, in one question

What never comes back is given up by the machine's own time, not by the host's: the host may be busy.
"""

from collections.abc import Sequence
import os
import pathlib
import re
import signal
from typing import Any

from ringside.emulators import debuggers, machines
from ringside.emulators.registers import Registers, of_qemu

LIMIT = 20                  # seconds of an emulator's own until a switch that does not end counts as one that never does
PATIENCE = 600              # seconds on the host's clock, whatever else it does
PAGE = 0x1000
IF = 0x200                  # of eflags
HLT = b"\xf4"
LOOK = 2                    # seconds until Bochs is asked how far it is
TICKS = 1_000_000           # of Bochs in a second of its machine (ips)
MACHINE_LIMIT = 12 * TICKS
WHOLE, WHOLE_CPU = 120 * TICKS, 20      # of all switches together: of Bochs' machine, and seconds of QEMU's own
MOST_CPU = 5                # seconds of QEMU's own until a switch that does not end counts as one that never does
USER_TIME, TICKS_IN_SECOND = 11, os.sysconf("SC_CLK_TCK")   # of /proc/PID/stat, behind the name
MOST = 1024                 # bytes that QEMU's stub takes at once

_NEXT = re.compile(r"Next at t=(\d+)")
# The last line that Bochs prints behind a step: the next instruction, with its bytes.
_NEXT_BYTES = re.compile(r"^\(0\) .* ; ([0-9a-f]+) *$", re.M)
_RUNS = re.compile(r"c$|s( \d+)?$")         # commands that let the guest run
_OLD = 4        # looks of one kind: what none of them has read is no longer read ahead
Span = tuple[int, int]


class TooLong(machines.Missing):
    """Each switch comes to an end, and all of them to none."""


class Looks(debuggers.Handles):
    """Asks an emulator few times and for much at once. What stands still is read once; with the registers comes what was
    read behind them in the last looks of the same kind.
    """

    symbols: dict[str, int] = {}

    def __init__(self, image: machines.Path) -> None:
        self._seen: Registers | None = None
        self._memory: dict[Span, bytes] = {}
        self._kind = ""
        self._spans: dict[str, dict[Span, int]] = {}    # for each kind of look: what was read, and how many looks ago
        super().__init__(image)     # type: ignore[call-arg]    # of an emulator, which stands behind this

    def look(self, kind: str) -> Registers:
        """The registers, where the machine stands. kind: names what is read next, as it was the last time."""
        self._kind = kind
        spans = self._spans.setdefault(kind, {})
        for span in list(spans):
            spans[span] += 1
            if spans[span] > _OLD:
                del spans[span]
        self._ahead([span for span in spans if span not in self._memory])
        assert self._seen is not None
        return self._seen

    def _ahead(self, spans: list[Span]) -> None:
        """Fills _memory, where there is any, and _seen where that is empty."""
        raise NotImplementedError

    def registers(self) -> Registers:
        if self._seen is None:
            self._ahead([])
        assert self._seen is not None
        return self._seen

    def read(self, address: int, size: int) -> bytes:
        span = address, size
        self._spans.setdefault(self._kind, {})[span] = 0
        if span not in self._memory:
            self._ahead([span])
        if span not in self._memory:
            raise machines.Missing(f"{address:x} cannot be read: no page is there")
        return self._memory[span]

    def opcode(self) -> bytes:
        """Of the next instruction: its first two bytes."""
        registers = self.registers()
        return self.read(registers["cs"].base + registers["eip"], 2)

    def _cpu_seconds(self) -> float:
        """Of the emulator's, so far."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:     # it has ended
            return 0
        return (int(fields[USER_TIME]) + int(fields[USER_TIME + 1])) / TICKS_IN_SECOND

    def _changes(self) -> None:
        """The guest is to run, or to be written to."""
        self._seen = None
        self._memory.clear()


class AskedBochs(Looks, debuggers.DebuggedBochs):  # type: ignore[misc]
    """What wants no answer waits, and is sent with the next that does."""

    def __init__(self, image: machines.Path, model: str = "") -> None:
        self._waiting: list[str] = []
        self._said = ""
        self._time = 0
        self.model = model
        self._space: int | None = None                      # cr3, where there are pages
        self._frames: dict[tuple[int, int], int] = {}       # of what has been written to: space and page
        super().__init__(image)

    def cmd(self, line: str, timeout: float = LIMIT) -> str:
        return self.cmds([line], timeout)

    def cmds(self, lines: Sequence[str], timeout: float = LIMIT) -> str:
        """What never comes back to the prompt is not waited for on the host's clock: a CPU that halts with IF = 0, or
        MACHINE_LIMIT of the machine's own time. Of lines the last alone may take long.
        """
        lines = [*self._waiting, *lines]
        self._waiting.clear()
        runs = any(map(_RUNS.match, lines))
        if runs:
            self._changes()
        start, waited, used = self.time(), 0, self._cpu_seconds()
        self.text = ""      # to add to it would take ever longer
        begun = 0
        self.send_all(lines)
        while True:
            try:
                prompt = self._until_prompt(begun, lines[-1], LOOK)
                if runs and self.time() > WHOLE:
                    raise TooLong(f"{WHOLE // TICKS} seconds have passed in the machine, of all switches together")
                return self.text[begun:prompt.start()]
            except TooLong:
                raise
            except machines.Missing:
                waited += LOOK
                # The host's clock alone says more of what else the host has to do.
                if not self.alive() or self._cpu_seconds() - used > timeout or waited >= PATIENCE:
                    raise
            if not runs:
                continue
            self.process.send_signal(signal.SIGINT)
            said = self.text[begun:self._until_prompt(begun, "Ctrl-C", LIMIT).start()]
            if " Breakpoint " in said or not (running := _RUNS.match(lines[-1])):
                return said
            self._look_where_it_is(start)
            begun = len(self._output())
            left = max(1, int(running[1]) - (self.time() - start)) if running[1] else 0
            lines = [f"s {left}" if left else lines[-1]]
            self.send_all(lines)

    def _look_where_it_is(self, start: int) -> None:
        """Raises Missing if it need not be waited for. start: the machine's time when it began."""
        registers = self.registers()
        here = registers["cs"].base + registers["eip"]
        halted = not registers["eflags"] & IF and self.read(here - 1, 1) == HLT
        self._changes()
        if halted:
            raise machines.Missing(f"it halts at {here - 1:x} with IF = 0")
        if self.time() - start > MACHINE_LIMIT:
            raise machines.Missing(f"{MACHINE_LIMIT // TICKS} seconds have passed in the machine")

    def time(self) -> int:
        """The machine's own, in ticks, as it was told last."""
        if found := _NEXT.match(self.text, max(0, self.text.rfind("Next at t="))):
            self._time = int(found[1])
        return self._time

    def _ahead(self, spans: list[Span]) -> None:
        asked = ["r", "sreg", "creg"] if self._seen is None else []
        files = [self.dir / f"read{number}" for number, _ in enumerate(spans)]
        asked += [f'writemem "{file}" {address:#x} {size:#x}' for file, (address, size) in zip(files, spans)]
        if not asked:
            return
        for file in files:
            file.unlink(missing_ok=True)
        self._said = self.cmds(asked)
        if self._seen is None:
            self._seen = self._registers_in(self._said)
            self._space = self._seen["cr3"] if self._seen["cr0"] >> 31 else None
        for file, span in zip(files, spans):
            if file.exists() and len(data := file.read_bytes()) == span[1]:
                self._memory[span] = data

    def opcode(self) -> bytes:
        self.registers()
        found = _NEXT_BYTES.findall(self._said)
        return bytes.fromhex(found[-1]).ljust(2, b"\0") if found else super().opcode()

    def write(self, address: int, data: bytes) -> None:
        self._later(self._to_write(address, data))

    def _to_write(self, address: int, data: bytes) -> list[str]:
        if self._space is None:
            return super()._to_write(address, data)
        lines: list[str] = []
        while data:
            page, place = address & ~(PAGE - 1), address & PAGE - 1
            piece, data = data[:PAGE - place], data[PAGE - place:]
            if (key := (self._space, page)) not in self._frames:
                self._frames[key] = self.physical(page)
            lines += self._to_write_there(self._frames[key] + place, piece)
            address += len(piece)
        return lines

    def set(self, **values: int) -> None:
        self._later([f"set {name} = {value:#x}" for name, value in values.items()])

    def step(self, count: int = 1) -> None:
        """So few that they take no time."""
        self._later([f"s {count}"])

    def _later(self, lines: Sequence[str]) -> None:
        self._changes()
        for line in lines:
            self._waiting.append(line)
            if len(self._waiting) >= debuggers.AT_ONCE:
                self.cmds([])

    def run_steps(self, count: int, timeout: float) -> None:
        self._set_breakpoints(set())
        self.cmd(f"s {count}", timeout)


class AskedQemu(Looks, debuggers.DebuggedQemu):
    """The same, of the stub's packets. Its CPU is always the same."""

    def __init__(self, image: machines.Path, model: str = "") -> None:
        self._waiting: list[str] = []
        self._set_to: int | None = None     # linear: where it has been set to go on
        super().__init__(image)

    def _changes(self) -> None:
        self._set_to = None
        super()._changes()

    def _ask(self, packet: str) -> str:
        self._flush()
        return super()._ask(packet)

    def _here(self) -> int:
        registers = self.registers()
        return int(registers["cs"].base + registers["eip"])

    def _ahead(self, spans: list[Span]) -> None:
        packets = [f"m{address & debuggers.WRAP:x},{size:x}" for address, size in spans if size <= MOST]
        waiting, self._waiting = self._waiting, []
        if waiting or packets:
            answers = iter(self._stub.ask_all([*waiting, *packets], may_fail=True)[len(waiting):])
            for span in spans:
                if span[1] <= MOST and not (answer := next(answers)).startswith("E"):
                    self._memory[span] = bytes.fromhex(answer)
        for span in spans:
            if span[1] > MOST:
                self._memory[span] = debuggers.DebuggedQemu.read(self, *span)
        if self._seen is None:
            self._seen = of_qemu(self._stub.monitor("info registers"))

    def write(self, address: int, data: bytes) -> None:
        here = self._set_to
        self._changes()
        self._set_to = here
        for start in range(0, len(data), MOST):
            piece = data[start:start + MOST]
            self._waiting.append(f"M{address + start & debuggers.WRAP:x},{len(piece):x}:{piece.hex()}")

    def set(self, **values: int) -> None:
        code = self.registers()["cs"] if "eip" in values else None
        self._changes()
        self._set_to = code.base + values["eip"] if code else None
        self._waiting += [f"P{debuggers.ORDER.index(name):x}={value.to_bytes(4, 'little').hex()}"
                          for name, value in values.items()]

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self._ask("s")
            self._changes()

    def _run_to(self, places: debuggers.Places, timeout: float) -> int:
        here = self._set_to
        self._flush()
        self._stub.breakpoints(places)
        if (self._here() if here is None else here) in places:     # the stub would stop there once more
            self.step()
        self._on(timeout)
        return self._here()

    def _on(self, timeout: float) -> None:
        """To the next breakpoint. What never comes there is not waited for on the host's clock alone: a CPU that halts with
        IF = 0, or MOST_CPU of QEMU's own.
        """
        begun, waited = self._cpu_seconds(), 0
        self._stub.send("c")
        while not self._stub.stops(LOOK):
            waited += LOOK
            self._stub.interrupt()
            self._changes()
            registers = self.registers()
            here = self._here()
            if here in self._stub.places():
                return
            if registers["hlt"] and not registers["eflags"] & IF:
                raise machines.Missing(f"it halts at {here - 1:x} with IF = 0")
            if self._cpu_seconds() - begun > min(timeout, MOST_CPU) or waited >= PATIENCE:
                raise machines.Missing(f"{MOST_CPU} seconds of a processor's time have passed in the machine")
            self._stub.send("c")
        self._changes()
        if self._cpu_seconds() > WHOLE_CPU:
            raise TooLong(f"{WHOLE_CPU} seconds of a processor's time have passed in the machine, of all switches together")

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._stub.ask_all(waiting)

    def go(self) -> None:
        self._flush()
        self._changes()
        super().go()


EMULATORS: dict[str, Any] = {"bochs": AskedBochs, "qemu": AskedQemu}

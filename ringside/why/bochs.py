"""Bochs, for what QEMU does not check: one run at full speed that lists what the CPU raises, others that stop where it is asked.

with Bench(image, options) as bochs:        an image of any kind; a multiboot ELF is put on a CD by GRUB's tools
    bochs.run()                             a Listing of all events, each with the tick at which it came
    with bochs.session() as session:        the debugger's prompt
        session.to(tick)                    in front of what happens then: True, or False if the machine ends before
        session.state(), session.physical(address, size), session.step()

A tick is an instruction, and the machine hears nothing of the host: each run is the same.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from ringside.emulators import anybochs, versions
from ringside.emulators.anybochs import NEVER, drive
from ringside.emulators.image import Image, Unusable
from ringside.recorder.pages import PAGE
from ringside.why import log
from ringside.why.log import NONE, Event, Segment, State
from ringside.why.settings import Options

# The CPU speaks of each exception, interrupt and wrmsr.
CONFIG = anybochs.CONFIG.replace("debug: action=ignore", "debug: action=ignore, cpu0=report")
MODELS = {"486": "pentium", "pentium": "pentium", "pentium2": "p2_klamath", "pentium3": "p3_katmai"}
NEWEST = "corei7_sandy_bridge_2600k"
START_SECONDS, LOOK_SECONDS, QUIET_SECONDS, STOP_SECONDS = 10, 0.05, 1.5, 60
BOOT_SECONDS = 10           # BIOS and GRUB, on a busy machine
LOG_BYTES = 200 << 20
LOOP = 500                  # exceptions, of two kinds at most: they come for ever
LINE = re.compile(r"^(\d{11})([dep])\[CPU0 *\] (.*)$", re.M)
INTERRUPT = re.compile(r"interrupt\(\): vector = (\w\w), TYPE = (\d)")
EXCEPTION = re.compile(r"exception\(0x(\w\w)\): error_code=(\w{4})")
FAULTING = re.compile(r"page fault for address (\w+)")
THIRD = re.compile(r"3rd \((\d+)\) exception")
RETURN = re.compile(r"^(\d{11}).*return to outer privilege", re.M | re.I)
PROTECTED = re.compile(r"^(\d{11}).*\] protected mode activated", re.M)
OF_8086 = re.compile(r"^(\d{11}).*v8086 mode activated", re.M)
WRITTEN_MSR = re.compile(r"WRMSR: write [0-9a-f]+:([0-9a-f]{8}) to MSR ([0-9a-f]+)")
SOFTWARE, HARDWARE_EXCEPTION = ("4", "5", "6"), "3"
# Of an instruction that reads and writes, the write has no linear address.
ACCESS = re.compile(r"\[CPU0 (RD|WR|RW)\]: (?:LIN 0x(\w+) )?PHY 0x(\w+) \(len=(\d+)[^)]*\): ([0-9a-fA-Fx ]+)")
RAISED = re.compile(r"^CPU 0: Exception 0x(\w\w)", re.M)
DELIVERED = re.compile(r"^CPU 0: Interrupt 0x(\w\w)", re.M)
DOUBLE_FAULT, BREAKPOINTS = 8, (3, 4)
PAGE_WALK = -1
CPL, V86 = 3, 1 << 17


@dataclasses.dataclass(frozen=True)
class Seen(Event):
    """An event of Bochs: its tick; the reason that Bochs itself gives; CR2 of a page fault."""
    tick: int = 0
    reason: str = ""
    cr2: int | None = None
    protected: bool = True
    at: State | None = None

    @property
    def state(self) -> State:
        """As it was in front of the event. Only those have one that were stopped at."""
        assert self.at is not None
        return self.at


@dataclasses.dataclass
class Listing:
    """What a run at full speed has shown."""
    events: list[Seen]
    third: int | None       # the exception that made a triple fault of it
    ended: str              # as Run.ended; "loop" besides
    returns: list[int]      # the ticks of returns to an outer ring
    protected: list[int] = dataclasses.field(default_factory=list)     # of those that set PE, or clear VM
    into_8086: list[int] = dataclasses.field(default_factory=list)     # of those that set VM
    msrs: dict[int, int] = dataclasses.field(default_factory=dict)     # what wrmsr has put into each last: its lower half


@dataclasses.dataclass(frozen=True)
class Access:
    """To memory, as the CPU makes it."""
    write: bool
    linear: int         # PAGE_WALK: by the CPU itself, in a table of pages
    physical: int
    size: int
    value: int


def available() -> bool:
    """Is there a Bochs?"""
    return shutil.which("bochs") is not None


def events(text: str) -> tuple[list[Seen], int | None]:
    """Bochs' log as events, and the third exception of a triple fault.

    Bochs names each exception that comes on the way to a handler, and then #DF; as in QEMU's log,
    they are one event here, #DF, whose `old` says on whose way it came.
    """
    found: list[Seen] = []
    third: int | None = None
    before, cr2, protected = "", None, False
    for match in LINE.finditer(text):
        tick, said = int(match[1]), match[3]
        if number := INTERRUPT.search(said):
            if number[2] != HARDWARE_EXCEPTION:
                found.append(Seen(len(found), int(number[1], 16), 0, number[2] in SOFTWARE, False, NONE, "", tick,
                                  protected=protected))
        elif address := FAULTING.search(said):
            cr2 = int(address[1], 16) & 0xFFFFFFFF
        elif raised := EXCEPTION.search(said):
            vector, error = int(raised[1], 16), int(raised[2], 16)
            old = NONE
            if found and found[-1].tick == tick and found[-1].exception and vector == DOUBLE_FAULT:
                nested = found.pop()        # the exception that made #DF of the one before
                old = found[-1].vector if found and found[-1].tick == tick else nested.vector
            found.append(Seen(len(found), vector, error, False, True, old, "", tick, before, cr2 if vector == 14 else None,
                              protected))
        elif said.endswith("mode activated"):
            protected = said.startswith("protected")
        elif last := THIRD.search(said):
            third = int(last[1])
            if len(found) > 1 and found[-2].vector == DOUBLE_FAULT:
                found.pop()                 # what came on the way to #DF's handler
        if not said.startswith(("exception", "interrupt(): vector", "page walk")):
            before = said
    return found, third


class Bench:
    """A folder with an image and a configuration, from which Bochs is started as often as is needed."""

    def __init__(self, image: Image, options: Options) -> None:
        self.image, self.options = image, options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="why-"))

    def __enter__(self) -> "Bench":
        """Raises Unusable if the image cannot be given to Bochs."""
        try:
            if not available():
                raise Unusable("there is no bochs: install it (sh scripts/setup)")
            model = MODELS.get(self.options.cpu, NEWEST)
            (self.folder / "rc").write_text(CONFIG.format(model=model, memory=self.options.memory,
                                                          per_second=anybochs.PER_SECOND,
                                                          drive=drive(self.image, self.folder)))
            (self.folder / "go").write_text("c\n")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, script: str | None, out: int) -> "subprocess.Popen[bytes]":
        """A Bochs; script: a file of debugger commands, or None for a prompt."""
        for name in ("log", "serial"):
            (self.folder / name).unlink(missing_ok=True)
        # TERM must be one that ncurses knows, though it never gets to a terminal.
        command = ["bochs", "-q", *versions.bochs_debugger(), "-f", "rc", *(["-rc", script] if script else [])]
        return subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL if script else subprocess.PIPE, stdout=out,
                                stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb"}, start_new_session=True)

    def run(self) -> Listing:
        """At full speed until its death, or until it is clear that none comes."""
        with (self.folder / "out").open("wb") as out:
            process = self.start("go", out.fileno())
        try:
            ended = self.until_clear(process)
        finally:
            kill(process)
        text = self.read("log")
        found, third = events(text)
        if not text:
            raise Unusable(f"Bochs does not start: {self.read('out')[-300:].strip()}")
        returns = [int(tick) for tick in RETURN.findall(text)]
        msrs = {int(number, 16): int(value, 16) for value, number in WRITTEN_MSR.findall(text)}
        protected, into_8086 = ([int(tick) for tick in which.findall(text)] for which in (PROTECTED, OF_8086))
        return Listing(found, third, "triple fault" if third is not None else ended, returns, protected, into_8086, msrs)

    def until_clear(self, process: "subprocess.Popen[bytes]") -> str:
        """How the run ended. What the log has grown by is read once."""
        begun = moved = time.monotonic()
        path, place, crossings, exception = self.folder / "log", 0, 0, False
        last: list[tuple[str, str]] = []
        while True:
            time.sleep(LOOK_SECONDS)
            over = process.poll() is not None
            now, size = time.monotonic(), path.stat().st_size if path.exists() else 0
            if size > place:
                with path.open("rb") as file:
                    file.seek(place)
                    grown = file.read(size - place).decode(errors="replace")
                place, moved = size, now
                crossings += grown.count("PRIVILEGE\n")
                last = [*last, *EXCEPTION.findall(grown)][-LOOP:]
                exception = exception or bool(last)
            if over:
                return "Bochs ended"
            if self.options.until and self.options.until in self.read("serial") + self.read("out"):
                return "until"
            if crossings >= 2 * self.options.crossings:
                return "enough"
            if len(last) == LOOP and len(set(last)) <= 2:
                return "loop"
            if now - begun > self.options.seconds + BOOT_SECONDS or size > LOG_BYTES:
                return "time"
            if (exception or now - begun > BOOT_SECONDS) and now - moved > QUIET_SECONDS:
                return "quiet"

    def read(self, name: str) -> str:
        """A file of the folder; "" if there is none."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def session(self) -> "Session":
        """A machine that stands at its first instruction."""
        return Session(self)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Bochs does not heed SIGTERM."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Session:
    """The prompt of Bochs' debugger."""

    PROMPT = re.compile(rb"<bochs:\d+> $")

    def __init__(self, bochs: Bench) -> None:
        self.process = bochs.start(None, subprocess.PIPE)
        self.pages: dict[int, bytes] = {}
        self.now = 0

    def __enter__(self) -> "Session":
        """Waits for the first prompt. One time breakpoint more than is ever met: see NEVER."""
        self.answer(START_SECONDS)
        self.command(f"sba {NEVER}")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends Bochs."""
        kill(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def answer(self, seconds: float) -> str:
        """What is printed up to the next prompt. Raises EOFError if Bochs ends, TimeoutError."""
        assert self.process.stdout
        found, limit = b"", time.monotonic() + seconds
        os.set_blocking(self.process.stdout.fileno(), False)
        while not self.PROMPT.search(found):
            part = self.process.stdout.read()
            if part:
                found += part
            elif part == b"":
                raise EOFError(found.decode(errors="replace"))
            elif time.monotonic() > limit:
                raise TimeoutError(f"Bochs did not stop within {seconds} s")
            else:
                time.sleep(0.0005)
        return found.decode(errors="replace")

    def command(self, line: str, seconds: float = STOP_SECONDS) -> str:
        """A line for the prompt, and its answer."""
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(seconds)

    def go(self) -> str:
        """On to the next stop; what was printed. `now` is the tick there."""
        self.pages.clear()
        said = self.command("c")
        if found := re.findall(r"^Next at t=(\d+)", said, re.M):
            self.now = int(found[-1])
        return said

    def to(self, tick: int) -> bool:
        """Runs until that tick; False if the machine ends before."""
        try:
            if tick > self.now:
                self.command(f"sba {tick}")
                self.go()
        except EOFError:
            return False
        return self.now == tick

    def state(self) -> State:
        """The CPU as it stands."""
        general = self.command("r")
        numbers = {"e" + name: int(low, 16) for name, low in re.findall(r"\br([a-z]{2}): *[0-9a-f]{8}_([0-9a-f]{8})", general)}
        numbers["efl"] = int(re.findall(r"eflags:? 0x([0-9a-f]+)", general)[0], 16)
        numbers |= {name.lower(): int(value, 16) & 0xFFFFFFFF
                    for name, value in re.findall(r"^(CR\d|EFER)=.*?0x([0-9a-f]+)", self.command("creg"), re.M)}
        segments = {name: Segment(0, 0, 0, 0) for name in log.SEGMENTS.values()}
        said = self.command("sreg")
        for name, *fields in re.findall(r"^(\w+):0x(\w+), dh=0x(\w+), dl=0x(\w+)", said, re.M):
            selector, high, low = (int(field, 16) for field in fields)
            limit = high & 0xF0000 | low & 0xFFFF
            segments[name] = Segment(selector, high & 0xFF000000 | (high & 0xFF) << 16 | low >> 16,
                                     limit << 12 | 0xFFF if high & 0x800000 else limit, high)
        for name, base, table in re.findall(r"^(gdt|idt)r:base=0x(\w+), limit=0x(\w+)", said, re.M):
            numbers[f"{name}.base"], numbers[f"{name}.limit"] = int(base, 16) & 0xFFFFFFFF, int(table, 16)
        protected = numbers.get("cr0", 0) & 1 and not numbers["efl"] & V86
        numbers["cpl"] = segments["cs"].selector & CPL if protected else 0
        return State(numbers, segments)

    def physical(self, address: int, size: int) -> bytes:
        """Memory of the machine, by pages that are fetched once for each stop. What is no memory reads as 0xff."""
        found = b""
        while len(found) < size:
            number, place = divmod(address + len(found), PAGE)
            if number not in self.pages:
                said = self.command(f"xp /{PAGE // 4}wx {number * PAGE:#x}")
                words = [int(word, 16) for word in re.findall(r"\t(0x[0-9a-f]{8})(?![0-9a-f])", said)]
                self.pages[number] = struct.pack(f"<{len(words)}I", *words) if len(words) == PAGE // 4 else b"\xff" * PAGE
            found += self.pages[number][place:place + size - len(found)]
        return found

    def step(self) -> tuple[list[Access], str]:
        """One instruction, or what comes instead: its accesses in order up to an exception, and all that was printed."""
        self.command("trace-mem on")
        self.command("trace on")
        try:
            said = self.command("s")
        except EOFError as ended:
            said = str(ended)
        return accesses(said.partition("CPU 0: Exception")[0]), said


def accesses(text: str) -> list[Access]:
    """What a trace of Bochs' shows."""
    found, linears = [], dict[int, int]()
    for way, linear, physical, size, value in ACCESS.findall(text):
        at = int(physical, 16)
        linears[at] = int(linear, 16) & 0xFFFFFFFF if linear else linears.get(at, PAGE_WALK)
        number = int("".join(part.removeprefix("0x") for part in value.split()), 16)    # the upper four bytes stand first
        found.append(Access(way == "WR", linears[at], at, int(size), number))
    return found

"""QEMU's log (-d int,cpu_reset), taken to pieces.

read(text)      a Log: what the CPU raised, in order, each with the CPU's state at that moment
State           registers, segments with their hidden parts, bases of the tables
"""

import dataclasses
import functools
import re

NAMES = {0: "#DE", 1: "#DB", 2: "NMI", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 9: "#9", 10: "#TS",
         11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC", 18: "#MC", 19: "#XM"}
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17)
SEGMENTS = {"ES": "es", "CS": "cs", "SS": "ss", "DS": "ds", "FS": "fs", "GS": "gs", "LDT": "ldtr", "TR": "tr"}
ENTRY = re.compile(r"^(?:check_exception old: 0x(\w+) new 0x\w+\n)? *(\d+): v=(\w\w) e=(\w{4}) i=(\d) cpl=(\d) .*\n", re.M)
TRIPLE = re.compile(r"^check_exception old: 0x8 new 0x(\w+)\nTriple fault", re.M)
FATAL = re.compile(r"^qemu: fatal: (.+)\n", re.M)
NONE = 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment register with its hidden part; flags are the descriptor's upper four bytes."""
    selector: int
    base: int
    limit: int
    flags: int

    @property
    def type(self) -> int:
        """With S: 0x10 and above is code or data."""
        return self.flags >> 8 & 0x1F

    @property
    def dpl(self) -> int:
        """As in the descriptor."""
        return self.flags >> 13 & 3

    @property
    def big(self) -> bool:
        """D/B: a segment of 32 bits."""
        return bool(self.flags >> 22 & 1)


@dataclasses.dataclass(frozen=True)
class State:
    """What QEMU prints of a CPU, as numbers: eax to eip, efl, cr0 to cr4, cpl, hlt, a20, gdt.base, idt.limit, ..."""
    numbers: dict[str, int]
    segments: dict[str, Segment]

    def __getitem__(self, name: str) -> int:
        """0 for what the log does not have."""
        return self.numbers.get(name, 0)

    @property
    def cpl(self) -> int:
        """In virtual-8086 mode, 3."""
        return 3 if self["efl"] >> 17 & 1 else self["cpl"]

    @property
    def protected(self) -> bool:
        """CR0.PE."""
        return bool(self["cr0"] & 1)

    @property
    def v86(self) -> bool:
        """eflags.VM."""
        return bool(self["efl"] >> 17 & 1)

    def place(self) -> tuple[int, int, int]:
        """Where it stands: an exception on the way to a handler has the same place as what led to it."""
        return self["eip"], self["esp"], self.segments["cs"].selector

    def moment(self) -> tuple[int, ...]:
        """The place, and the general registers: a loop comes to the same place with others."""
        return *self.place(), *(self[name] for name in ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"))


@dataclasses.dataclass(frozen=True)
class Event:
    """An interrupt or exception, with the state before the CPU looks for its handler."""
    number: int
    vector: int
    error: int
    software: bool
    exception: bool
    old: int            # the exception on whose way it came; NONE
    text: str

    @functools.cached_property
    def state(self) -> State:
        """The registers, read when they are asked for."""
        return state(self.text)

    def __str__(self) -> str:
        """#GP(0010), int 0x80, or interrupt 0x20."""
        if self.exception:
            return name(self.vector, self.error)
        return f"int {self.vector:#04x}" if self.software else f"interrupt {self.vector:#04x}"


@dataclasses.dataclass(frozen=True)
class Log:
    """All that a log says."""
    events: list[Event]
    third: int | None       # the exception that made a triple fault of it
    fatal: str              # QEMU gave up itself: why
    last: State | None      # the CPU when QEMU did so
    long_mode: bool


def name(vector: int, error: int | None = None) -> str:
    """#GP(0010)."""
    return NAMES.get(vector, f"#{vector}") + (f"({error:04x})" if vector in WITH_ERROR_CODE and error is not None else "")


def state(text: str) -> State:
    """The registers that QEMU prints below an entry."""
    numbers = {key.lower(): int(value, 16) for key, value in
               re.findall(r"\b(E[A-D]X|E[SD]I|E[BS]P|EIP|EFL|CPL|A20|HLT|CR[0-4]|EFER|DR6)=(\w+)", text)}
    segments = {key: Segment(0, 0, 0, 0) for key in SEGMENTS.values()}  # a log may be cut off
    for key, *fields in re.findall(r"^(ES|CS|SS|DS|FS|GS|LDT|TR) *=(\w{4}) (\w{8}) (\w{8}) (\w{8})", text, re.M):
        segments[SEGMENTS[key]] = Segment(*(int(field, 16) for field in fields))
    for key, base, limit in re.findall(r"^(GDT|IDT)= +(\w{8}) (\w{8})", text, re.M):
        numbers[f"{key.lower()}.base"], numbers[f"{key.lower()}.limit"] = int(base, 16), int(limit, 16)
    return State(numbers, segments)


def read(text: str) -> Log:
    """A log, from the last start of the CPU on that is followed by anything in protected mode."""
    text = text.replace("\r", "")
    found = list(ENTRY.finditer(text))
    events = []
    for match, behind in zip(found, [*found[1:], None]):
        end = behind.start() if behind else len(text)
        old = int(match[1], 16) if match[1] else NONE
        events.append(Event(int(match[2]), int(match[3], 16), int(match[4], 16), match[5] == "1",
                            match[1] is not None, old, text[match.end():min(end, match.end() + 1600)]))
    triple, fatal = TRIPLE.search(text, found[-1].end() if found else 0), FATAL.search(text)
    return Log(events, int(triple[1], 16) if triple else None, fatal[1] if fatal else "",
               state(text[fatal.end():fatal.end() + 1600]) if fatal else None, "RAX=" in text[-100000:])

"""Reads what Bochs prints of steps, if its debugger is told to trace them.

    script(20, True)            commands for twenty steps; True: with each instruction's own line
    moments(text, registers)    a Moment for each step in what they print, given the registers before
    quick_moments(text, registers)  the same of "s 20" behind watched(), which is a quarter of the words: where
                                nothing interrupts

A hardware interrupt and the instruction at which its handler begins are one step for Bochs: its
debugger does not stop between them. But the line that it prints in front of each instruction, with
the registers, comes between the two, so they are told apart here: two Moments.

The quick way asks for segment and control registers once, behind the last step, or not at all, since none
before it has changed them: a watchpoint on the IDT stops the machine behind the first step in which a gate is
read, and an instruction that loads such a register (Code.ahead knows them) is always the last. Of a hardware
interrupt or a trap between two steps nothing is printed but its accesses: then it is NotTold, and the
recording has to be made again, the other way.
"""

from collections.abc import Iterator
import functools
import re
from typing import NamedTuple

from ringside.emulators.registers import Registers, Segment, Table, cpl_of, segments_of_bochs
from ringside.recorder.recording import Access

HARDWARE = range(0x20, 0x100)   # vectors that are no exception's
STOPPED = "Next at t="          # behind each step
ASK = "sreg\ncreg\n"
STEP = "s\n" + ASK
ON = "trace on\ntrace-reg on\ntrace-mem on\n"
OFF = "trace off\ntrace-reg off\ntrace-mem off\nunwatch\n"
EXCEPTION = "\nCPU 0: Exception "
CAUGHT = "Caught read watch point"
REGISTERS, ACCESSED = "CPU0:\n", "[CPU0 "
TICK, STOP = re.compile(r"^\(0\)\.\[(\d+)\]", re.M), re.compile(r"^Next at t=(\d+)", re.M)
SEGMENTS, CONTROLS, END = "\nes:", "\nCR0=", "\nEFER="   # where what sreg prints begins, what creg prints, and its end

# Behind an entry of a page table stands what it is.
ACCESS = re.compile(r"^\[CPU0 (RD|WR|RW)\]: (?:LIN 0x(\w+) )?PHY 0x(\w+) \(len=(\d+).*?\): ([0-9A-Fa-fx ]+)(?:\t; (P\w+))?$",
                    re.M)
PRINTED = ("ax", "bx", "cx", "dx", "sp", "bp", "si", "di")     # in this order
NUMBERS = re.compile(r"\s+".join(f"r{name}: *[0-9a-f]+_([0-9a-f]+)" for name in PRINTED)
                     + r"\s.*?rip: *[0-9a-f]+_([0-9a-f]+)\s+eflags:? 0x([0-9a-f]+)", re.S)
TOLD = re.compile(r"^CPU 0: Interrupt 0x(\w\w) occurred", re.M)    # in front of the line of the instruction behind it
FIRST = re.compile(r"^CPU 0: (Interrupt|Exception) 0x(\w\w)", re.M)
RAISED = re.compile(r"^CPU 0: Exception 0x\w\w - \((#\w+)\).*error_code=0x(\w+)", re.M)
CONTROL = re.compile(r"^(CR\d)=.*?0x([0-9a-f]+)", re.M)
NUMBER_NAMES = (*("e" + name for name in PRINTED), "eip", "eflags")


class Write(NamedTuple):
    physical: int
    data: bytes


class NotTold(Exception):
    """The quick way does not tell all of these steps. What Bochs printed."""


class Moment(NamedTuple):
    """What a step was, and where it has led."""
    accesses: list[Access]
    walks: list[Access]         # of page tables: physical addresses
    writes: list[Write]
    registers: Registers
    interrupt: int | None       # the vector, if the step was hardware's way in


def script(steps: int, lines: bool, paging: bool = False) -> str:
    """paging: what comes next may lie in a page that is not there. Then the debugger prints no registers by itself."""
    switches = ("trace", "trace-reg", "trace-mem") if lines else ("trace-reg", "trace-mem")
    step = STEP.replace("s\n", "s\nr\n", 1) if paging else STEP
    return "".join([*(f"{name} on\n" for name in switches), step * steps, *(f"{name} off\n" for name in switches)])


def watched(before: Registers) -> str:
    """Commands by which the quick way begins, in protected mode. Linear addresses are physical ones: paging is off."""
    idtr = before["idtr"]
    return f"watch r {idtr.base:#x} {min(idtr.limit, 0xFFFF) + 1:#x}\n{ON}"


def wants_segments(text: str) -> bool:
    """Has what stopped the machine read a gate? Then text has to be followed by what ASK gives."""
    return CAUGHT in text


def quick_moments(text: str, before: Registers) -> Iterator[Moment]:
    """What is not complete, because Bochs ended meanwhile, is left out. Raises NotTold."""
    pieces = text.split(REGISTERS)      # the registers in front of a step, its line and its accesses
    if len(pieces) > 2:                 # else the step has no line: an exception in front of it
        _demand(ACCESSED not in pieces[0], text)
        del pieces[0]
    gates = range(before["idtr"].base, before["idtr"].base + before["idtr"].limit)
    for piece, behind in zip(pieces, pieces[1:]):
        numbers = NUMBERS.match(behind)
        if numbers is None or STOPPED not in piece and EXCEPTION in piece:
            return      # no gate was read: the machine shuts down
        accesses, walks, writes = _accesses(piece) if ACCESSED in piece else ([], [], [])
        after: Registers = {**before, **_numbers(numbers)}
        if STOPPED not in piece:
            _demand(all(kind == "write" or linear not in gates for kind, linear, _, _ in accesses), text)
        else:
            _demand_the_last(piece, text)
            end = behind.find(END)
            if end >= 0:
                segments = behind.find(SEGMENTS)
                controls = behind.find(CONTROLS, segments)
                after |= _segments(behind[segments:controls])
                after |= _controls(behind[controls:end])
                after["cpl"] = cpl_of(after)
            elif wants_segments(piece):
                return
        yield Moment(accesses, walks, writes, after, None)


def _demand(true: bool, text: str) -> None:
    if not true:
        raise NotTold(text)


def _demand_the_last(piece: str, text: str) -> None:
    """Behind the last step that has a line there must be no other."""
    line, stop = TICK.search(piece), STOP.search(piece)
    if line and stop:
        _demand(int(stop[1]) == int(line[1]) + 1, text)


def offset_of(gate: int) -> int:
    return gate & 0xFFFF | gate >> 48 << 16


def moments(text: str, before: Registers, any_ring: bool = False) -> Iterator[Moment]:
    """What is not complete, because Bochs ended meanwhile, is left out. any_ring: an interrupt of any
    ring or mode is told apart, by any gate."""
    earlier, *pieces = text.split(STOPPED)
    for piece in pieces:
        segments = piece.find(SEGMENTS)
        controls = piece.find(CONTROLS, segments)
        numbers = NUMBERS.search(piece)
        if numbers is None or controls < 0:
            return
        after: Registers = {**_numbers(numbers), **_segments(piece[segments:controls])}
        after |= _controls(piece[controls:piece.find(END, controls)])
        after["cpl"] = cpl_of(after)
        yield from _split(earlier, before, after, any_ring)
        earlier, before = piece[controls:], after


class Cut(NamedTuple):
    """A step in which the machine has ended."""
    accesses: list[Access]
    walks: list[Access]
    interrupt: int | None       # as a Moment's
    exceptions: list[str]       # what came on the way to the end: "#TS(0020)"


def cut_short(text: str) -> Cut:
    """text: all that was printed. An interrupt of the hardware's is told before there is a line of an instruction."""
    first = FIRST.search(text, 0, max(text.find("\nCPU0:"), 0))
    accesses, walks, _ = _accesses(text)
    return Cut(accesses, walks, int(first[2], 16) if first and first[1] == "Interrupt" else None,
               [f"{name}({error})" for name, error in RAISED.findall(text)])


def _numbers(found: re.Match[str]) -> Registers:
    return dict(zip(NUMBER_NAMES, [int(number, 16) for number in found.groups()]))


@functools.lru_cache(4096)
def _segments(text: str) -> dict[str, Segment | Table]:
    return segments_of_bochs(text)


@functools.lru_cache(64)
def _controls(text: str) -> dict[str, int]:
    return {name.lower(): int(value, 16) for name, value in CONTROL.findall(text)}


def _split(text: str, before: Registers, after: Registers, any_ring: bool) -> Iterator[Moment]:
    """text: what came before the stop. If hardware has interrupted there first, that is a Moment."""
    accesses, walks, writes = _accesses(text)
    own = text.find("\nCPU0:") if accesses else -1      # the line of the instruction
    first, walked, pushed = _accesses(text[:own]) if own >= 0 else ([], [], [])
    vector = _interrupt(before, first)
    if any_ring and (told := TOLD.search(text, 0, max(own, 0))):
        vector = int(told[1], 16)
    if vector is not None:
        numbers = NUMBERS.search(text, own)
        assert numbers
        between = {**after, **_numbers(numbers)}
        # What is walked behind its last access is for the instruction that is fetched then.
        ended = max((found.end() for found in ACCESS.finditer(text, 0, own) if not found[6]), default=own)
        walked = _accesses(text[:ended])[1]
        yield Moment(first, walked, pushed, between, vector)
        accesses, walks, writes = accesses[len(first):], walks[len(walked):], writes[len(pushed):]
    yield Moment(accesses, walks, writes, after, None)


def _accesses(text: str) -> tuple[list[Access], list[Access], list[Write]]:
    accesses: list[Access] = []
    walks: list[Access] = []
    writes: list[Write] = []
    last = 0
    for kind, line, physical, size, numbers, entry in ACCESS.findall(text):
        value = int("".join(number.removeprefix("0x") for number in numbers.split()), 16)
        if entry:
            walks.append(["write" if kind == "WR" else "read", int(physical, 16), int(size), value])
        else:
            # A write back to what was just read is told by its physical address.
            last = int(line, 16) if line else last
            accesses.append(["write" if kind == "WR" else "read", last, int(size), value])
        if kind == "WR":
            writes.append(Write(int(physical, 16), value.to_bytes(int(size), "little")))
    return accesses, walks, writes


def _interrupt(before: Registers, accesses: list[Access]) -> int | None:
    """The vector, if ring 3 was interrupted: its gate was read, and the eip that was pushed, as the fifth
    word, has not moved."""
    if before["cpl"] < 3 or not accesses:
        return None
    gates = range(before["idtr"].base, before["idtr"].base + before["idtr"].limit, 8)
    read = [gates.index(linear) for kind, linear, size, _ in accesses
            if kind == "read" and size == 8 and linear in gates]
    pushed = [value for kind, _, _, value in accesses if kind == "write"]
    found = read and read[-1] in HARDWARE and pushed[4:5] == [before["eip"]]
    return read[-1] if found else None

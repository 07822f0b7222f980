"""What QEMU lets pass and a PC refuses: limits of segments, selectors that are stale, accesses through a null segment.

look(log, machine, first, end)  (event, Refusal, how it is known), or None
"""

import collections.abc
import itertools
import re

from ringside.why import source, ways_in, words
from ringside.why.log import Event, Log, State
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal, Refused, described, refuse

# QEMU checks no limit when it pushes, and reads through any segment.
LAX = {"stack-limit", "esp0-limit", "esp1-limit", "esp2-limit", "segment-limit"}
SOME = 96       # events that are looked at, at either end of a log
NULLED = "a return to an outer ring makes null a ds whose DPL is below that ring, so a ds with too low a DPL was left in it"
LAST_8086 = 0xFFFF
AHEAD = 64      # bytes of code in front of eip
BRANCH = re.compile(r"^(?:j|call|ret|iret|l?ret|loop|int|hlt|ljmp|lcall|sys|mov +.*,%ds|pop +%ds|lds)")
OPERAND = re.compile(r"(?:^|[ ,*])(?:0x[0-9a-f]+)?\((%e\w\w)?(?:,%e\w\w,\d)?\)|[ ,]0x[0-9a-f]+(?=,|$)|[ ,]%ds:")


def look(log: Log, machine: collections.abc.Callable[[State], Machine], first: int, end: State | None) -> tuple[int, Refusal,
                                                                                                                str] | None:
    """Memory is that of the end: an event counts only if its GDT and its page tables are those in use then."""
    events = log.events if first < 0 else log.events[:first]
    numbers = ends(events)
    if not numbers:
        return None
    last = log.events[first].state if first >= 0 else end or events[-1].state
    for number in numbers:
        event = events[number]
        here = machine(event.state)
        if any(event.state[name] != last[name] for name in ("gdt.base", "gdt.limit", "idt.base", "cr3")):
            continue
        asked = number == first - 1 and event.state.place() == log.events[first].state.place()  # the exception is its end
        for walk in (limits,) if asked else (limits, stale, null, of_8086):
            try:
                walk(here, event)
            except Refused as refused:
                if refused.refusal.key in LAX or walk is not limits:
                    return number, refused.refusal, "QEMU does not check this; Intel's manual does, and a PC refuses it"
            except (Unknown, Unmapped):
                continue
    return None


def ends(events: list[Event]) -> list[int]:
    """The first and the last events in protected mode. To read the state of each event would take seconds."""
    protected = (number for number in range(len(events)) if events[number].state.protected)
    first = list(itertools.islice(protected, SOME))
    last = list(itertools.islice((number for number in reversed(range(len(events))) if events[number].state.protected), SOME))
    return list(dict.fromkeys(first + last[::-1]))


def limits(machine: Machine, event: Event) -> None:
    """The walk of an interrupt that QEMU has let through: the caller keeps the checks of limits."""
    if not event.exception and not event.state.v86:
        ways_in.interrupt(machine, event.vector, event.software)


def stale(machine: Machine, event: Event) -> None:
    """cs and ss of ring 0 are what the GDT says: else the next iret or task switch that loads them is refused."""
    if machine.state.cpl:
        return
    for name in ("cs", "ss"):
        segment = machine.state.segments[name]
        found = machine.descriptor(segment.selector) if segment.selector & ~3 else None
        if segment.selector & ~3 == 0 or segment.base == segment.selector << 4:
            continue  # null; or of real mode, between the switch and the far jmp
        good = found is not None and (found.is_code if name == "cs" else found.is_stack and found.dpl == 0)
        if not good:
            what = words.kind(found) if found else "beyond the limit"
            raise refuse(f"{name}-not-reloaded", f"{name} = {segment.selector:04x} was not loaded again after lgdt: it is the "
                         "loader's selector, and in this GDT "
                         f"{words.entry(segment.selector)} is {what}; it works until it is loaded again, by an iret or a task "
                         "switch",
                         10 if name == "ss" else 13, segment.selector & ~3, "vol. 3A, 9.9.1",
                         [described(segment.selector, found)] if found else [],
                         "a far jmp after lgdt loads cs" if name == "cs" else "load ss after lgdt")


def null(machine: Machine, event: Event) -> None:
    """ds is null, and the code that runs next, here or in the handler, reads through it."""
    state = machine.state
    cs, ds = state.segments["cs"], state.segments["ds"]
    if event.exception and not state.v86:
        return
    if not event.exception:
        try:
            selector, offset = ways_in.interrupt(machine, event.vector, event.software)
        except Refused:
            return  # QEMU, too, has seen that
        found = machine.descriptor(selector)
        if found and found.is_code and found.big and (state.v86 or not ds.selector & ~3):
            why = f"it was null in ring {state.cpl} already: {NULLED}"
            if state.v86:
                why = "the CPU makes it null on the way out of virtual-8086 mode"
            through_ds(machine, found.base, offset, 0, f"the handler of {event} has not loaded ds; {why}")
    if not ds.selector & ~3 and cs.big and not state.v86:
        says = f"ds = {ds.selector:04x} is null in ring {state.cpl}" + (f": {NULLED}" if state.cpl else "")
        through_ds(machine, cs.base, state["eip"], 1 if event.software else 0, says)


def of_8086(machine: Machine, event: Event) -> None:
    """In virtual-8086 mode no segment has more than 64 KiB, and eip is no linear address."""
    state = machine.state
    if state.v86 and state["eip"] > LAST_8086:
        raise beyond_64_kib(state)


def beyond_64_kib(state: State) -> Refused:
    """eip as no 8086 can have it."""
    cs = state.segments["cs"].selector
    return refuse("v86-eip", f"eip = {state['eip']:08x} in virtual-8086 mode is beyond 64 KiB, the limit of cs = {cs:04x}: the "
                  "frame that led there had a linear address, or one of the kernel's, as eip", 13, 0, "vol. 3A, 20.2",
                  [f"cs = {cs:04x}, base {state.segments['cs'].base:08x}, limit {LAST_8086:x}"],
                  "eip is the offset in the segment cs: the linear address minus 16 times cs")


def through_ds(machine: Machine, base: int, eip: int, skip: int, says: str) -> None:
    """Refuses the first access through ds, if no branch and no load of ds comes before it."""
    code = machine.bytes(base + eip, AHEAD)
    for where, text in source.listing(code, eip, True)[skip:-2]:
        if BRANCH.match(text):
            return
        if uses_ds(text):
            raise refuse("ds-null", f"{says}; at {where:08x}, {text} goes through a null ds", 13, 0, "vol. 3A, 5.4.1", [],
                         "save ds and es at the way in, load the kernel's, and restore them before iret")


def uses_ds(text: str) -> bool:
    """Does an instruction, in objdump's words, access memory through ds?"""
    if text.startswith(("lea", "nop", "(bad)", "push 0x",
                        "j")) or "%es:" in text and "%ds:" not in text or re.search(r"%[csfg]s:", text):
        return False
    match = OPERAND.search(text)
    return bool(match and match[1] not in ("%esp", "%ebp"))

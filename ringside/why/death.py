"""Which exception was the first that the kernel did not come back from.

find(log, ended)            a Death
leaving(death, log, ...)    the same, or the iret at whose refusal the handler had done its work
"""

import collections.abc
import dataclasses

from ringside.why import instructions
from ringside.why.log import NONE, Event, Log, State
from ringside.why.machine import Machine, Unknown, Unmapped

LOOP = 50       # so many times the same exception at the same place: for ever
MOVING = ("enough", "until", "time")    # how a run ends that has not come to an end
UNLOGGED = "unlogged"                   # it goes on by ways that are not in the log
LATEST = 4                              # so many events may not have been answered then


@dataclasses.dataclass(frozen=True)
class Death:
    """The first exception without a return, and how it ends."""
    kind: str           # "triple fault", "loop", "exception", "emulator", "" (nothing of the kind)
    first: int          # the event, by its place in the list; -1
    count: int = 0      # how often a loop was seen


def same(one: Event, other: Event) -> bool:
    """The same exception at the same place."""
    return (one.vector, one.error, one.state.place()) == (other.vector, other.error, other.state.place())


def came_back(events: list[Event], number: int) -> bool:
    """Does anything later show that the handler returned, or that the kernel went on without it?"""
    event = events[number]
    ring, esp = event.state.cpl, event.state["esp"]
    for later in events[number + 1:]:
        if later.exception and later.old != NONE:
            continue
        if later.exception and later.state.place() == event.state.place() and later.vector != event.vector:
            continue
        if later.state.cpl == 3:
            return True
        same_stack = later.state.segments["ss"] == event.state.segments["ss"]
        if ring == 0 and later.state["esp"] >= esp and not later.exception and same_stack:
            return True
    return False


def loop(events: list[Event]) -> tuple[int, int]:
    """(first, count) of the exception that is all that happens at the end; (-1, 0)."""
    exceptions = [number for number, event in enumerate(events) if event.exception]
    if len(exceptions) < LOOP:
        return -1, 0
    last, count = events[exceptions[-1]], 0
    for number in reversed(exceptions):
        if not same(events[number], last):
            break
        count += 1
    # A kernel that lives on page faults may take the same one again and again, but goes on between.
    between = events[exceptions[-LOOP]:]
    still = all(event.state.place() == last.state.place() or event.state.cpl < last.state.cpl for event in between)
    return (exceptions[-count], count) if count >= LOOP and still else (-1, 0)


def find(log: Log, ended: str = "") -> Death:
    """In the order of how sure it is: triple fault, QEMU gave up, a loop, an exception without return."""
    events = log.events
    protected = [number for number, event in enumerate(events) if event.exception and event.state.protected]
    for number in protected:
        if events[number].old != NONE and log.third is None:
            continue
        if ended in MOVING and number >= len(events) - LATEST and log.third is None or ended == UNLOGGED:
            continue
        if not came_back(events, number):
            if log.third is not None:
                return Death("triple fault", number)
            break
    else:
        number = -1
    if log.third is not None:
        alone = [number for number, event in enumerate(events) if event.exception and event.old == NONE]
        return Death("triple fault", alone[-1] if alone else len(events) - 1)
    if log.fatal:
        return Death("emulator", len(events) - 1)
    first, count = loop(events)
    if count:
        return Death("loop", first, count)
    return Death("exception", number) if number >= 0 else Death("", -1)


def leaving(found: Death, log: Log, machine: collections.abc.Callable[[State], Machine]) -> Death:
    """A handler that has run as far as its iret has done its work: if that is refused, this is the first."""
    behind = found.first + 1
    if found.kind not in ("triple fault", "exception") or behind >= len(log.events):
        return found
    first, second = log.events[found.first], log.events[behind]
    if not second.exception or second.old != NONE or second.state.cpl or first.state.place() == second.state.place():
        return found
    try:
        name = instructions.Code(machine(second.state)).name
    except (Unknown, Unmapped):
        return found
    return Death(found.kind, behind) if name == "iret" else found

"""A CPU that executes what is no code of the kernel's: which instruction was the last of the kernel's, and where did it lead?

reason(bochs, listing, tick, ring, symbols)     a Refusal, None if it cannot be told
strays(state, symbols, ring)                    does it?
"""

import collections.abc
import dataclasses

from ringside.recorder.pages import PAGE
from ringside.why import instructions, source, wild, words
from ringside.why.bochs import Bench, Listing
from ringside.why.log import State
from ringside.why.machine import Machine, Unmapped
from ringside.why.refusal import Refusal
from ringside.why.source import Symbols

POINTS = 48             # places at which one run is looked at
PASSES = 8
SOME = 16               # bytes: all the same, they are no code
WHOLE = 0xFFFFFFFF
HIGHEST = 0xFFFF0000    # a stack that began at 0 goes down from the end of memory
SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP = 0x174, 0x175, 0x176


@dataclasses.dataclass(frozen=True)
class Step:
    """The instruction that led away from the kernel's code, and the CPU in front of it and behind."""
    text: str
    before: State
    after: State
    landing: bytes      # what is executed then


def strays(state: State, symbols: Symbols, ring: int) -> bool:
    """Does this ring execute what is no section of code of the ELF?"""
    at = state.segments["cs"].base + state["eip"] & WHOLE
    return state.protected and not state.v86 and state.cpl == ring and not wild.inside(symbols, at)


def between(first: int, last: int) -> list[int]:
    """Ticks behind the first, up to the last, as many as one run is looked at."""
    return sorted({first + (last - first) * number // POINTS for number in range(1, POINTS + 1)} - {first})


def narrow(bochs: Bench, good: int, bad: int, is_bad: collections.abc.Callable[[State], bool]) -> tuple[int, int]:
    """The last tick that is good, and behind it the first that is bad, as near as runs of Bochs bring them."""
    for _ in range(PASSES):
        if bad - good <= 1:
            break
        first = None
        with bochs.session() as session:
            for tick in between(good, bad - 1):
                if not session.to(tick):
                    continue        # it was halted then
                if not is_bad(session.state()):
                    good, first = tick, None
                elif first is None:
                    first = tick
        bad = first or bad
    return good, bad


def find(bochs: Bench, listing: Listing, tick: int, ring: int, symbols: Symbols) -> Step | None:
    """tick: at which it strays. The first event at which it did so comes first, since its handler may be good code."""
    if not symbols.code:
        return None

    def is_bad(state: State) -> bool:
        return strays(state, symbols, ring)

    good, bad = 0, tick
    ticks = sorted({event.tick for event in listing.events if event.protected and event.tick < tick})
    while len(ticks) > 1:
        some = ticks[::max(1, len(ticks) // POINTS)]
        with bochs.session() as session:
            for here in some:
                if not session.to(here):
                    continue
                if is_bad(session.state()):
                    bad = here
                    break
                good = here
        if len(some) == len(ticks):
            break
        ticks = [here for here in ticks if good < here < bad]
    if not good:
        good = max([start for start in listing.protected if start < bad], default=0)
    good, bad = narrow(bochs, good, bad, is_bad)
    if bad - good > 1:
        return None
    with bochs.session() as session:
        session.to(good)
        before = session.state()
        if is_bad(before):
            return None
        session.step()
        after = session.state()
        machine = Machine(before, session.physical, bochs.options.memory << 20)
        try:
            code = instructions.Code(machine)
        except Unmapped:
            return None
        landing = session.physical(machine.walk(after.segments["cs"].base + after["eip"] & WHOLE).physical or 0, SOME)
        return Step(source.disassemble(code.bytes, before["eip"], code.wide), before, after, landing) if is_bad(after) else None


def reason(bochs: Bench, listing: Listing, tick: int, ring: int, symbols: Symbols) -> Refusal | None:
    """tick: at which this ring strays. Other code than the ELF's may well be meant, above all in ring 3: it counts where the
    registers of sysenter and sysexit give the mistake away, or where ring 0 comes to what is no code at all."""
    step = None if ring and not listing.msrs.get(SYSENTER_CS) else find(bochs, listing, tick, ring, symbols)
    if step is None:
        return None
    found = explain(step, listing, symbols)
    nothing = len(set(step.landing)) == 1 or step.after["eip"] < PAGE
    return found if found.key != "astray" or ring == 0 and nothing else None


def explain(step: Step, listing: Listing, symbols: Symbols) -> Refusal:
    """What it is that has led away; of sysenter and sysexit, which of their registers."""
    before, after = step.before, step.after
    here, there = (f"{one.segments['cs'].selector:04x}:{one['eip']:08x}" for one in (before, after))
    at = symbols.line(before.segments["cs"].base + before["eip"] & WHOLE)
    led = f"{step.text} at {here}{', ' + at if at else ''}, ring {before.cpl}, led to {there}, ring {after.cpl}, no code"
    found = Refusal("astray", led, words.NOTHING, 0, "vol. 3A, 5.8",
                    [f"in front of it: esp {before['esp']:08x}; behind it: esp {after['esp']:08x}"])
    never = {number for number in (SYSENTER_ESP, SYSENTER_EIP) if not listing.msrs.get(number)}
    if step.text.startswith("sysenter") and SYSENTER_EIP in never and not after["eip"]:
        found.key, found.place = "sysenter-eip", "vol. 2B, SYSENTER"
        found.says = f"IA32_SYSENTER_EIP (MSR 0x176) was never set: {led}"
        found.fix = "write the address of the entry point into MSR 0x176 with wrmsr"
    elif step.text.startswith("sysexit") and wild.inside(symbols, after["esp"]):
        found.key, found.place = "sysexit-registers", "vol. 2B, SYSEXIT"
        found.says = (f"edx and ecx are swapped: sysexit takes eip from edx = {after['eip']:08x}, which is no code, and "
                      f"esp from ecx = {after['esp']:08x}, which is code ({symbols.line(after['esp'])}); {led}")
        found.fix = "in front of sysexit edx is ring 3's eip, and ecx its esp"
    elif after.cpl == 0 and before["esp"] >= HIGHEST and listing.msrs.get(SYSENTER_CS) and SYSENTER_ESP in never:
        found.key, found.place = "sysenter-esp", "vol. 2B, SYSENTER"
        found.says = ("IA32_SYSENTER_ESP (MSR 0x175) was never set, so that sysenter makes esp 00000000 and what is "
                      f"pushed goes to the end of the address space: esp = {before['esp']:08x} here; {led}")
        found.fix = "write the end of a kernel stack into MSR 0x175 with wrmsr"
    return found

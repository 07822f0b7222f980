"""The witness: Bochs runs the kernel again, up to its first refused crossing, and sees every access.

needed(log, told)           does QEMU's story ask for one?
call(image, options, ...)   what it has seen: a Testimony
join(told, testimony)       one story from both
"""

import dataclasses
import re

from ringside.emulators.image import Image
from ringside.why import deciding, death, instructions, source, story, who, words
from ringside.why.bochs import BOOT_SECONDS, PAGE_WALK, Access, Bench, Listing, Seen, Session
from ringside.why.log import Event, Log, State
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal
from ringside.why.settings import Options
from ringside.why.source import Symbols

SEEN = 64           # events whose states are read, up to the last
LOOKED_AT = 512     # events of QEMU's that are looked at for segments that it does not check
RETURNS = 12        # returns to an outer ring that are looked at for a register made null
WHOLE = 0xFFFFFFFF
ACCESSES = 10       # that are shown
# What QEMU does not check, by the key of the refusal.
UNCHECKED = {"limit": "QEMU does not check segment limits", "null": "QEMU reads and writes through a null segment",
             "ds-dpl": "QEMU reads and writes through a null segment",
             "v86-eip": "QEMU does not check the 64 KiB of virtual-8086 mode"}


@dataclasses.dataclass
class Testimony:
    """What Bochs has shown."""
    told: story.Story
    listing: Listing
    first: Seen | None = None
    reason: str = ""                                        # in Bochs' own words
    accesses: list[str] = dataclasses.field(default_factory=list)
    who: str = ""
    ticks: list[int] = dataclasses.field(default_factory=list)     # of the first refused crossing, and of what follows it


def needed(log: Log, told: story.Story) -> bool:
    """QEMU cannot tell; or it has let something pass; or this kernel has segments that QEMU does not check."""
    if told.unmodelled:
        return False
    if told.hidden or told.status == 2 and (told.cause or told.chain):
        return True
    return told.cause is None and any(unchecked(event.state) for event in log.events[-LOOKED_AT:])


def unchecked(state: State) -> bool:
    """A segment with a limit, or a null ds, in protected mode; the 64 KiB of virtual-8086 mode."""
    if not state.protected:
        return False
    if state.v86:
        return True
    here = state.segments
    return any(here[name].limit != WHOLE for name in ("cs", "ss") if here[name].selector & ~3) or here["ds"].selector & ~3 == 0


def call(image: Image, options: Options, symbols: Symbols, asked: bool) -> Testimony:
    """Runs Bochs three times: to list, to look, to stand at the first refused crossing; with `asked`, for who wrote, more."""
    with Bench(image, options) as bochs:
        listing = bochs.run()
        chosen = choose(listing)
        if not any(event.exception for event in chosen):
            ended = {"loop": "enough", "Bochs ended": "quiet"}.get(listing.ended, listing.ended)
            counted = Log([event for event in listing.events if event.protected], listing.third, "", None, False)
            scene = story.Scene(counted, None, options.memory << 20, symbols, ended, seconds=options.seconds + BOOT_SECONDS)
            return Testimony(story.tell_of_bochs(scene), listing)
        with bochs.session() as session:
            states = look(session, ticks(chosen, listing))
        events = [dataclasses.replace(event, at=with_cr2(states[event.tick], event)) for event in chosen if event.tick in states]
        log = Log([*events], listing.third, "", None, False)
        with bochs.session() as session:
            return testify(bochs, session, log, listing, symbols, states, asked)


def choose(listing: Listing) -> list[Seen]:
    """The last events; or those around the last exception, if others came after it."""
    exceptions = [number for number, event in enumerate(listing.events) if event.exception]
    last = min(len(listing.events), exceptions[-1] + SEEN // 4) if exceptions else len(listing.events)
    return listing.events[max(0, last - SEEN):last]


def ticks(events: list[Seen], listing: Listing) -> list[int]:
    """Where to stop: at each event, and in front of and behind each of the last returns to an outer ring."""
    end = events[-1].tick
    returns = [tick for tick in listing.returns if tick < end][-RETURNS:]
    return sorted({event.tick for event in events} | {tick + more for tick in returns for more in (0, 1)})


def look(session: Session, wanted: list[int]) -> dict[int, State]:
    """The state at each tick that is reached."""
    found = {}
    for tick in wanted:
        if not session.to(tick) and session.now != tick:
            continue
        found[tick] = session.state()
    return found


def with_cr2(state: State, event: Seen) -> State:
    """QEMU's log has CR2 as the page fault sets it; the state in front of it has not yet."""
    return state if event.cr2 is None else State({**state.numbers, "cr2": event.cr2}, state.segments)


def testify(bochs: Bench, session: Session, log: Log, listing: Listing, symbols: Symbols, states: dict[int, State],
            asked: bool) -> Testimony:
    """The session goes to the first refused crossing, and the story is told of memory as it is at that moment."""
    memory = bochs.options.memory << 20
    ended = "enough" if listing.ended == "loop" else listing.ended
    found = death.find(log, ended)
    scene = story.Scene(log, session.physical, memory, symbols, ended)
    if found.first < 0:
        return Testimony(story.tell_of_bochs(scene), listing)
    session.to(tick_of(log.events[found.first]))
    behind = death.leaving(found, log, scene.machine)
    session.to(tick_of(log.events[behind.first]))
    first = log.events[behind.first]
    assert isinstance(first, Seen)
    told = story.tell_of_bochs(scene)
    made = Testimony(told, listing, first, first.reason)
    machine = Machine(first.state, session.physical, memory)
    word = None
    if told.cause:
        made_null(told, machine, listing, states, symbols, session, memory)
        word = deciding.word(machine, told.cause)
    tick = first.tick
    made.ticks = sorted({tick_of(event) for event in log.events[behind.first:]})
    made.accesses = [spoken(machine, access) for access in session.step()[0]]
    if asked and told.cause:
        made.who = who.last(bochs, word, tick, symbols)
    return made


def spoken(machine: Machine, access: Access) -> str:
    """An access, with the name of what it goes to."""
    state, at = machine.state, access.linear
    tr, value = state.segments["tr"], f"{access.value:0{2 * access.size}x}"
    verb = "writes" if access.write else "reads"
    if at == PAGE_WALK:
        return f"{verb} the page table at {access.physical:08x} = {value}"
    if at - state["idt.base"] in range(state["idt.limit"] + 1):
        return f"{verb} gate {(at - state['idt.base']) // 8:#04x}"
    if at - state["gdt.base"] in range(state["gdt.limit"] + 1):
        return f"{verb} GDT entry {(at - state['gdt.base']) // 8}"
    if tr.selector & ~3 and at - tr.base in range(tr.limit + 1):
        word, rest = divmod(at - tr.base, 4 if tr.type & 8 else 2)
        field = f"+{at - tr.base:#x}"
        if word in range(1, 7) and not rest:
            field = f"{'ss' if word % 2 == 0 else 'esp' if tr.type & 8 else 'sp'}{(word - 1) // 2}"
        return f"{verb} TSS.{field} = {value}"
    stack = at - state.segments["ss"].base - state["esp"]
    return f"{verb} {f'esp{stack:+d}' if abs(stack) < 0x80 else f'{at:08x}'} = {value}"


def tick_of(event: Event) -> int:
    """Of an event of Bochs'."""
    assert isinstance(event, Seen)
    return event.tick


def made_null(told: story.Story, machine: Machine, listing: Listing, states: dict[int, State], symbols: Symbols, session: Session,
              memory: int) -> None:
    """A data segment register that is null: the return to an outer ring that made it so, if one did."""
    cause = told.cause
    if not cause or cause.key != "segment-null":
        return
    register = re.search(r"through (\w\w), which is null", cause.says)
    if not register:
        return
    for tick in reversed(listing.returns):
        before, after = states.get(tick), states.get(tick + 1)
        if not before or not after:
            continue
        held, left = before.segments[register[1]], after.segments[register[1]]
        if held.selector & ~3 == 0 or left.selector & ~3:
            continue
        code = instructions.Code(Machine(before, session.physical, memory))
        text = source.disassemble(code.bytes, before["eip"], code.wide)
        at = symbols.line(before.segments["cs"].base + before["eip"] & WHOLE)
        cause.key = f"{register[1]}-dpl"
        cause.says = (f"{register[1]} = 0000 is null in ring {machine.state.cpl}: {text} at {before.segments['cs'].selector:04x}:"
                      f"{before['eip']:08x}{', ' + at if at else ''}, from ring {before.cpl} to ring {after.cpl}, made it null, "
                      f"since it held {held.selector:04x}, whose DPL {held.dpl} is below that ring; so {cause.says}")
        cause.fix = f"load {register[1]} with a segment of the outer ring, or restore the caller's, before the return"
        told.cause_line = cause.says
        return


def join(told: story.Story, seen: Testimony) -> story.Story:
    """What QEMU and Bochs agree on is QEMU's story, confirmed; else Bochs is believed, which checks what a PC checks."""
    other, cause = seen.told, seen.told.cause
    lines = evidence(seen)
    if cause is None:
        told.witness = [f"Bochs: {other.happened}" + ("; its first exception without a return: " + other.chain[0] if other.chain
                                                      else ""), *lines]
        if told.status == 0 and other.status == 2:
            told.status = 2
        if told.hidden and other.status == 0:
            told.notes.append("Bochs has not come as far, or not to the same place: it refuses nothing")
        return told
    if told.cause and same(told.cause, cause) and not told.hidden:
        told.witness = [f"Bochs refuses the same: {words.named(cause.vector, cause.error)}", *lines]
        told.who = seen.who
        return told
    passed = unchecked_by_qemu(cause)
    if told.status == 0 or passed or told.hidden:
        other.notes.append(f"{passed or 'QEMU lets this pass'}; on a PC this is {words.named(cause.vector, cause.error)}. In "
                           f"QEMU: {told.happened}")
    elif told.cause:
        other.notes.append(f"in QEMU it is otherwise: {told.cause_line}")
    else:
        other.notes.append(f"in QEMU: {told.happened}")
    other.witness, other.who = [f"Bochs refuses it: {words.named(cause.vector, cause.error)}", *lines], seen.who
    return other


def same(one: Refusal, other: Refusal) -> bool:
    """The same check."""
    return one.key == other.key


def unchecked_by_qemu(cause: Refusal) -> str:
    """What QEMU does not check of this; "" if it does."""
    if cause.vector not in (12, 13) or cause.key in ("idt-limit", "tss-limit") or "unmapped" in cause.key:
        return ""
    return next((says for words, says in UNCHECKED.items() if cause.key.endswith(words) and "gdt" not in cause.says.lower()), "")


def evidence(seen: Testimony) -> list[str]:
    """Bochs' reason, and what the CPU has read and written at that crossing."""
    lines = [f"in its own words: {seen.reason}"] if seen.reason else []
    if seen.accesses:
        more = f", and {len(seen.accesses) - ACCESSES} more" if len(seen.accesses) > ACCESSES else ""
        lines.append("up to there it " + ", ".join(seen.accesses[:ACCESSES]) + more)
    return lines

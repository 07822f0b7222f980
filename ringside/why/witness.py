"""The witness: Bochs runs the kernel again, up to its first refused crossing, and sees every access.

needed(log, told)           does QEMU's story ask for one?
call(image, options, ...)   what it has seen: a Testimony
join(told, testimony)       one story from both
"""

import dataclasses
import re

from ringside.emulators.image import Image
from ringside.why import astray, deciding, death, instructions, monitor, overwritten, source, story, unloaded, ways_out, who, wild
from ringside.why import words
from ringside.why.bochs import BOOT_SECONDS, PAGE_WALK, Access, Bench, Listing, Seen, Session
from ringside.why.log import Event, Log, State
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal, Refused
from ringside.why.settings import Options
from ringside.why.source import Symbols

SEEN = 64           # events whose states are read, up to the last
LOOKED_AT = 512     # events of QEMU's that are looked at for segments that it does not check
RETURNS = 12        # returns to an outer ring that are looked at for a register made null
WHOLE, OUTER = 0xFFFFFFFF, 3
ACCESSES = 10       # that are shown
# What QEMU does not check, by the key of the refusal.
UNCHECKED = {"limit": "QEMU does not check segment limits", "null": "QEMU reads and writes through a null segment",
             "ds-dpl": "QEMU reads and writes through a null segment",
             "v86-eip": "the emulators do not check the frame of a return to an 8086 task"}


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
    lets_pass: bool = False     # Bochs does not refuse it, either


def needed(log: Log, told: story.Story) -> bool:
    """QEMU cannot tell; or it has let something pass; or this kernel has segments that QEMU does not check."""
    if told.unmodelled:
        return False
    if told.astray or told.cause and told.cause.key in (*overwritten.KEYS, monitor.KEY):
        return True
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
        if listing.into_8086 and (seen := first_8086(bochs, listing, symbols)):
            return seen
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


def first_8086(bochs: Bench, listing: Listing, symbols: Symbols) -> Testimony | None:
    """The iret by which the first 8086 task began, if a PC refuses its frame: neither emulator does."""
    tick = listing.into_8086[0]
    with bochs.session() as session:
        session.to(tick)
        machine = Machine(session.state(), session.physical, bochs.options.memory << 20)
        told = story.Story(f"runs in an emulator ({len(listing.events):,} crossings seen), but a PC refuses a return to an 8086 "
                           "task", status=1)
        try:
            if instructions.Code(machine).name != "iret":
                return None
            ways_out.back(machine, 4, True)
        except Refused as refused:
            told.cause, told.cause_line = refused.refusal, refused.refusal.says
            scene = story.Scene(Log([], None, "", None, False), session.physical, machine.memory, symbols)
            story.place(scene, told, machine.state)
            return Testimony(told, listing, accesses=[spoken(machine, access) for access in session.step()[0]], ticks=[tick],
                             lets_pass=True)
        except (Unknown, Unmapped):
            pass
    return None


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
    scene = story.Scene(log, session.physical, memory, symbols, ended, count=sum(event.protected for event in listing.events))
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
    if told.cause and told.cause.key in overwritten.KEYS and word:
        made.who = overwritten.by(bochs, listing, machine, word, tick, told.cause, symbols)
        told.cause_line = told.cause.says
    strayed(bochs, made, machine, log.events[:behind.first], symbols)
    made.ticks = sorted({tick_of(event) for event in log.events[behind.first:]})
    made.accesses = [spoken(machine, access) for access in session.step()[0]]
    if told.cause and told.cause.key == monitor.KEY:
        monitor.looked(session, first.state, told.cause)
        told.cause_line = told.cause.says
    if asked and told.cause and not made.who:
        made.who = who.last(bochs, word, tick, symbols)
    return made


def strayed(bochs: Bench, made: Testimony, machine: Machine, before: list[Event], symbols: Symbols) -> None:
    """What was refused is no code of the kernel's, or is no more what it was: the cause is what led there, or wrote there."""
    first = made.first
    assert first is not None
    state, at = first.state, first.state.segments["cs"].base + first.state["eip"] & WHOLE
    if not symbols.code:
        return
    outer = next((tick_of(event) for event in before if astray.strays(event.state, symbols, OUTER)), None)
    tried = [(outer, OUTER)] if outer is not None else []
    for tick, ring in [*tried, *([(first.tick, state.cpl)] if astray.strays(state, symbols, state.cpl) else [])]:
        if found := astray.reason(bochs, made.listing, tick, ring, symbols):
            put_first(made, found)
            return
    place = deciding.at(machine, "the code", at, 1)
    if not wild.inside(symbols, at) or place is None or machine.read(at, 1) == unloaded.byte_at(symbols, at):
        return
    _, writer = who.find(bochs, place, first.tick)
    if writer is None:
        return
    says = (f"the kernel's code at {at:08x} has been overwritten ({symbols.line(at)}): {writer.at(symbols)}, wrote there what is "
            "executed now")
    found = Refusal("code-overwritten", says, 0, 0, "vol. 3A, 5.8", [])
    if astray.strays(writer.state, symbols, writer.state.cpl) and (
            led := astray.reason(bochs, made.listing, writer.tick, writer.state.cpl, symbols)):
        found = led
        found.says += f"; so {says}"
    put_first(made, found)


def put_first(made: Testimony, found: Refusal) -> None:
    """In front of what was refused because of it."""
    first, cause = made.first, made.told.cause
    assert first is not None
    found.vector, found.error = (cause.vector, cause.error) if cause else (first.vector, first.error)
    found.says += f"; so {cause.says}" if cause else ""
    made.told.cause, made.told.cause_line, made.told.status = found, found.says, 1


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
    elif told.cause and told.cause_line not in other.cause_line:
        other.notes.append(f"in QEMU it is otherwise: {told.cause_line}")
    elif not told.cause:
        other.notes.append(f"in QEMU: {told.happened}")
    refuses = "Bochs lets it pass as well" if seen.lets_pass else f"Bochs refuses it: {words.named(cause.vector, cause.error)}"
    other.witness, other.who = [refuses, *lines], seen.who
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

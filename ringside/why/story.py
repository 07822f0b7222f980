"""The story of a death: what happened, the first cause, the chain to the end, and what is not known.

tell(log, physical, memory, symbols, ended)     a Story
"""

import dataclasses
import re

from ringside.recorder.pages import PAE
from ringside.why import clues, death, hidden, instructions, late, loglore, reasons, source, tables, tasks, ways_in, wild, words
from ringside.why.context import Context
from ringside.why.log import Event, Log, State, name
from ringside.why.machine import Machine, Physical, Unknown, Unmapped
from ringside.why.refusal import Refusal, Refused
from ringside.why.source import Symbols


IF = 1 << 9
BEFORE_IT = 256     # bytes of code in front of eip
# mov $0xc0000080, %ecx; then bit 8 is set, in one of three ways; then wrmsr.
SETS_LME = re.compile(rb"\xb9\x80\x00\x00\xc0.{0,32}(?:\x0d\x00.\x00\x00|\x0f\xba\xe8\x08|\x80\xcc.).{0,16}\x0f\x30", re.S)


@dataclasses.dataclass
class Story:
    """What is told, in the order in which it is asked."""
    happened: str = ""
    status: int = 2
    cause: Refusal | None = None
    cause_line: str = ""
    where: str = ""             # cs:eip, ring, symbol
    instruction: str = ""
    chain: list[str] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    unmodelled: bool = False    # 64-bit mode
    hidden: bool = False        # QEMU has let the cause pass
    astray: bool = False        # the CPU executes what is no code of the kernel's, and nothing says why
    witness: list[str] = dataclasses.field(default_factory=list)
    who: str = ""               # who wrote the deciding word last


@dataclasses.dataclass
class Scene:
    """All that there is to see."""
    log: Log
    physical: Physical | None
    memory: int
    symbols: Symbols
    ended: str = ""
    last: State | None = None   # the CPU at the end of a run
    seconds: float = 0          # how long it was let run
    count: int = 0              # of crossings, if the log does not have all
    strict: bool = False        # the log is of Bochs, which checks all, so that nothing is hidden

    def machine(self, state: State) -> Machine:
        """The machine with another state of its CPU."""
        return Machine(state, self.physical, self.memory)


def tell(scene: Scene) -> Story:
    """Finds the death, then its cause: first what a PC refuses and QEMU does not, then what QEMU refused."""
    story, log = Story(), scene.log
    found = death.leaving(death.find(log, scene.ended), log, scene.machine)
    story.happened = happened(scene, found)
    if not scene.strict and found.kind in ("", "triple fault", "exception") and (seen := hidden.look(log, scene.machine,
                                                                                                     found.first, scene.last)):
        number, unseen, how = seen
        before = log.events[number - 1] if number else None
        place(scene, story, log.events[number].state)
        context = Context(scene.machine(log.events[number].state), log.events[number], before, scene.symbols, log.events[:number])
        story.cause, story.status = clues.refine(context, unseen), 1
        story.cause_line = unseen.says
        story.notes.append(how)
        story.hidden = True
        story.chain = [f"{name(unseen.vector, unseen.error)} on a PC; QEMU goes on",
                       *(chain(scene, found, unseen.says) if found.first >= 0 else [])]
        if found.first < 0:
            story.happened = f"runs in QEMU ({len(log.events):,} crossings seen), but a PC refuses one"
        return story
    if found.first < 0:
        quiet(scene, story, found)
        return story
    event = log.events[found.first]
    state = log.last or event.state if found.kind == "emulator" else event.state
    place(scene, story, state)
    if wants_64_bits(scene, state):
        story.happened = f"goes to 64-bit mode, which is not modelled: why looks at 32-bit kernels only ({story.happened})"
        story.unmodelled = True
        story.unknown.append("the cause: in 64-bit mode, and on the way to it, no check is made; the exceptions are listed as "
                             "they came")
    else:
        refusal, notes = first_cause(scene, found, state)
        (story.notes if refusal else story.unknown).extend(notes)
        if refusal:
            story.cause, story.status = refusal, 1 if refusal.certain else 2
            story.cause_line = refusal.says
            if refusal.key == "idt-overwritten":
                lost = "triple fault, with an IDT that has been overwritten meanwhile"
                story.happened = story.happened.replace("triple fault", lost, 1)
    story.chain = chain(scene, found, story.cause_line)
    return story


def tell_of_bochs(scene: Scene) -> Story:
    """The story of a log that Bochs has written."""
    return tell(dataclasses.replace(scene, strict=True))


def wants_64_bits(scene: Scene, state: State) -> bool:
    """EFER.LMA; or EFER.LME is set by the code in front, which a CPU of 32 bits does not have."""
    if state["efer"] >> 10 & 1 or scene.log.long_mode:
        return True
    if not state["cr4"] & PAE:
        return False
    try:
        code = scene.machine(dataclasses.replace(state, numbers={**state.numbers, "cr0": 0})).bytes(
            max(0, state.segments["cs"].base + state["eip"] - BEFORE_IT), BEFORE_IT)
    except (Unknown, Unmapped):
        return False
    return bool(SETS_LME.search(code))


def happened(scene: Scene, found: death.Death) -> str:
    """The first sentence."""
    log = scene.log
    count = scene.count or len(log.events)
    if found.kind == "triple fault":
        return f"triple fault{when(scene, found)}: the CPU shuts down, and a PC resets"
    if found.kind == "emulator":
        return f"QEMU itself gave up: {log.fatal}"
    if found.kind == "loop":
        event = log.events[found.first]
        said = words.named(event.vector, event.error)
        return f"loops in exceptions: {said} at the same instruction {found.count} times and more"
    if found.kind == "exception":
        event = log.events[found.first]
        said = words.named(event.vector, event.error) + when(scene, found)
        return f"an exception in ring {event.state.cpl}, {said}, from which the kernel never came back"
    if scene.ended == "halted":
        return f"halted with interrupts off; {count:,} crossings seen, none refused"
    if scene.ended == death.UNLOGGED:
        return (f"runs, and changes rings by ways that QEMU does not log (call gates, sysenter, jumps to tasks); {count:,} "
                "crossings seen, none refused")
    if scene.ended == "still":
        return f"stands still: no interrupt or exception comes any more, without a refusal; {count:,} crossings seen"
    if scene.ended == "time" and scene.seconds:
        return f"still runs after {scene.seconds:g} s, when it was stopped; {count:,} crossings seen, none refused"
    return f"runs; {count:,} crossings seen, none refused"


def when(scene: Scene, found: death.Death) -> str:
    """How far the kernel had come, if not far."""
    if found.first < 0:
        return ""
    state = scene.log.events[found.first].state
    cs = state.segments["cs"]
    of_real_mode = not cs.selector & ~3 or not state.v86 and cs.base == cs.selector << 4
    if state.protected and of_real_mode:
        return " before protected mode was complete (CR0.PE is set, and cs is still that of real mode)"
    if tables.of_firmware(state):
        return " before there was an IDT (lidt was never executed)"
    return ""


def quiet(scene: Scene, story: Story, found: death.Death) -> None:
    """No death: exceptions that were handled are told, not judged."""
    if found.kind == "triple fault":
        real_mode(scene, story)
        return
    story.status = 0
    if scene.ended == "still" and scene.last:
        place(scene, story, scene.last)
        if re.fullmatch(rf"jmp 0x{scene.last['eip']:x}", story.instruction):
            masked = "on" if scene.last["efl"] & IF else "off"
            story.happened = (f"waits for ever in a jmp to itself, with interrupts {masked}; "
                              f"{len(scene.log.events):,} crossings seen, none refused")
            return
        if mistake := late.executes(scene.log, scene.machine(scene.last), scene.symbols):
            story.cause, story.cause_line, story.status = mistake, mistake.says, 1
            return
        story.status = 2
        lost = wild.why(scene.log, scene.machine(scene.last), scene.symbols)
        story.astray = bool(lost)
        story.unknown.append(lost or "why: the CPU executes on, and has "
                             "refused nothing")
    # Bochs' events have states only where it was stopped.
    looked_at = hidden.ends(scene.log.events) if scene.symbols.code and not scene.strict else []
    some = [scene.log.events[number] for number in looked_at]
    if found_swapped := late.swapped(some, scene.symbols):
        event, mistake = found_swapped
        place(scene, story, event.state)
        story.cause, story.cause_line, story.status = mistake, mistake.says, 1
        return
    handled: dict[str, int] = {}
    for event in scene.log.events:
        if event.exception and event.state.protected:
            handled[str(event)] = handled.get(str(event), 0) + 1
    if handled:
        story.happened += "; it goes on after exceptions"
        story.notes.append("exceptions that the kernel came back from, not judged: " + ", ".join(
            f"{what} {count} times" for what, count in list(handled.items())[:5]))


def real_mode(scene: Scene, story: Story) -> None:
    """A triple fault of which QEMU logs no exception: it logs none of real mode. The machine stands where it was."""
    story.unknown.append("the log shows no exception before it, as in real mode")
    if not scene.last or scene.last.protected:
        return
    place(scene, story, scene.last)
    story.happened = "triple fault in real mode: the CPU shuts down, and a PC resets"
    machine = scene.machine(scene.last)
    try:
        vector = instructions.Code(machine).interrupt()
        ways_in.interrupt(machine, 13 if vector is None else vector, vector is not None)
    except Refused as refused:
        story.cause, story.cause_line, story.status = refused.refusal, refused.refusal.says, 1
    except (Unknown, Unmapped):
        pass


def place(scene: Scene, story: Story, state: State) -> None:
    """Where it stood: address, symbol, line, instruction."""
    cs = state.segments["cs"]
    linear = cs.base + state["eip"] & 0xFFFFFFFF
    at = scene.symbols.line(linear)
    if not at and wild.inside(scene.symbols, state["eip"]):     # a base that stands for paging, before it is on
        at = scene.symbols.line(state["eip"])
    story.where = f"{cs.selector:04x}:{state['eip']:08x}, ring {state.cpl}" + (f", {at}" if at else "")
    try:
        code = instructions.Code(scene.machine(state))
        story.instruction = source.disassemble(code.bytes, state["eip"], code.wide)
    except Unmapped:
        story.instruction = "(eip is not mapped)"
    except Unknown:
        pass


def first_cause(scene: Scene, found: death.Death, state: State) -> tuple[Refusal | None, list[str]]:
    """The check that failed, and what is to be said about it; None if it is not found."""
    events, number = scene.log.events, found.first
    event = events[number]
    before = events[number - 1] if number else None
    machine = scene.machine(state)
    delivering = before is not None and not before.exception and before.state.place() == state.place()
    others: list[Refusal] = []
    notes: list[str] = []

    def attempt(walk: "clues.Walk") -> Refusal | None:
        """The refusal that the walk ends in, if it is the exception that was seen."""
        try:
            walk()
        except Refused as refused:
            if found.kind == "emulator" or clues.agrees(refused.refusal, event, scene.strict):
                return refused.refusal
            if refused.refusal.vector == event.vector and refused.refusal.error & 4 and not state.segments["ldtr"].selector & ~3:
                notes.append(f"QEMU has {event}: it reads an LDT though there is none")
                return refused.refusal
            others.append(refused.refusal)
        except Unmapped as hole:
            notes.append(f"not readable: {hole}")
        except Unknown as why:
            if scene.physical:
                notes.append(f"not known without {why}")
        return None

    refusal = None
    if found.kind == "emulator" and "tss" in scene.log.fatal:
        refusal = attempt(lambda: ways_in.new_stack(machine, 0, 20, 0))
    elif found.kind == "emulator":
        refusal = attempt(lambda: ways_in.interrupt(machine, event.vector, event.software, event.exception))
    elif before and delivering:
        vector, software = before.vector, before.software
        refusal = attempt(lambda: ways_in.interrupt(machine, vector, software))
    if not refusal and event.exception:
        refusal = reasons.by_kind(machine, event, delivering)
        refusal = refusal or attempt(lambda: instructions.check(machine, instructions.Code(machine)))
        refusal = refusal or attempt(lambda: tasks.here(machine)) or attempt(lambda: clues.fetch(machine))
        refusal = refusal or (attempt(lambda: clues.stack(machine)) if scene.strict else None)
        if not refusal and scene.physical is None:
            refusal = loglore.narrow(machine, event, before)
            if refusal:
                return refusal, []
    others = [other for other in others if other.key in hidden.LAX and not scene.strict]
    if not refusal and others:
        refusal = others[-1]
        notes.append(f"QEMU raised {event} where Intel's manual has {name(refusal.vector, refusal.error)}: it does not check "
                     "all, or not in that order")
    if refusal and refusal.key == "v86-monitor" and found.kind == "loop":
        refusal.key = "fault-not-skipped"
        refusal.says = refusal.says.replace(instructions.NOT_BACK, f"which comes back to the same instruction, at "
                                            f"{state.segments['cs'].selector:04x}:{state['eip']:04x}, and not behind it: it does "
                                            "not move eip in the frame")
    if refusal:
        clues.refine(Context(machine, event, before, scene.symbols, events[:number]), refusal)
        return refusal, list(dict.fromkeys(notes))[:1]
    notes.append(f"{event} means: {words.error(event.vector, event.error)}; which check failed is not found")
    return None, list(dict.fromkeys(notes))


def chain(scene: Scene, found: death.Death, cause: str) -> list[str]:
    """Each link to the end, with its reason; what has been said as the cause is not said again."""
    log, links = scene.log, []
    events = log.events[found.first:]
    if found.kind == "loop":
        return [f"{events[0]}, again and again: the handler returns, and what it should have mended is as it was"]
    shown = [event for event in events if event.exception or event is events[0]][:6]
    for event, behind in zip(shown, [*shown[1:], None]):
        nested = behind is not None and behind.old != 0xFFFFFFFF
        last = behind is None and log.third is not None
        said = f"{event}: {words.error(event.vector, event.error)}" if event.vector in (10, 11, 12, 13,
                                                                                        14) and event.exception else str(event)
        if nested or last:
            said += f"; its handler is not reached{obstacle(scene, event, cause)}"
        elif behind is not None:
            said += "; its handler runs, and then"
        links.append(said)
    if log.third is not None:
        links.append(f"{name(log.third)} on the way to the handler of #DF: triple fault")
    return links


def obstacle(scene: Scene, event: Event, cause: str) -> str:
    """Why the CPU does not get to an exception's handler."""
    try:
        ways_in.interrupt(scene.machine(event.state), event.vector, False, exception=True)
    except Refused as refused:
        if refused.refusal.says in cause:
            return ", for the same reason"
        return f": {words.named(refused.refusal.vector, refused.refusal.error)}: {refused.refusal.says}"
    except Unmapped as hole:
        return f": {hole}"
    except Unknown:
        return ""
    return " (the tables would allow it by now)"

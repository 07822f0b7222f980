"""A frame, or a gate, that something has overwritten: a stack that has grown too far, or a variable where the CPU pushes.

KEYS                                    of the refusals that it is asked for
by(bochs, listing, machine, word, ...)  puts the writer in front of the refusal, where it gives the mistake away
"""

import re

from ringside.why import who
from ringside.why.bochs import Bench, Listing
from ringside.why.deciding import Word
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal
from ringside.why.source import Symbols

KEYS = ("frame-overwritten", "idt-overwritten")
# Instructions that write to their stack, besides the CPU itself on its way into a handler.
PUSHES = re.compile(r"^(push|call|enter|lcall|the CPU, on the way)")
WORD, ESP0 = 4, 4
FRAME = 20              # bytes that the CPU pushes for ring 3
STACK = 0x10000         # few are larger
WHOLE = 0xFFFFFFFF


def by(bochs: Bench, listing: Listing, machine: Machine, word: Word, tick: int, refusal: Refusal, symbols: Symbols) -> str:
    """Runs Bochs again with a watchpoint. machine: at the refusal, which comes at tick. Who wrote it, if that is known."""
    _, writer = who.find(bochs, word, tick)
    if writer is None:
        return ""
    if PUSHES.match(writer.instruction):
        grown(bochs, writer, refusal, symbols)
    elif refusal.key == "frame-overwritten" and not writer.state.cpl:
        variable(bochs, listing, machine, writer, refusal, symbols)
    return f"{word.name} was written last by {writer.at(symbols)}, {tick - writer.tick:,} instructions before: {writer.value}"


def grown(bochs: Bench, writer: who.Writer, refusal: Refusal, symbols: Symbols) -> None:
    """A stack has reached what lies below it."""
    state = writer.state
    place = f"esp = {state['esp']:08x}"
    where = f"a stack of ring {state.cpl} has grown down into {'the IDT' if 'idt' in refusal.key else 'the frame of another'}"
    _, before = who.find(bochs, Word("the word above", writer.physical + WORD, WORD), writer.tick)
    if before and before.instruction == writer.instruction and before.state["eip"] == state["eip"] \
            and 0 < before.state["esp"] - state["esp"] <= WORD:
        left = before.state["esp"] - state["esp"]
        refusal.key = "stack-leak"
        where += (f", because each turn leaves {left} bytes on it: {writer.at(symbols)}, with {place}, has written there, "
                  f"and the time before it had esp = {before.state['esp']:08x}")
        refusal.fix = "take off the stack what was pushed, on each way"
    else:
        refusal.key = "kernel-stack-overflow"
        begins = top(bochs, writer)
        room = f"; it begins at esp0 = {begins:08x}, and is {begins - state['esp']} bytes deep" if begins else ""
        where += f": {writer.at(symbols)}, with {place}, has written there{room}"
        refusal.fix = "make the kernel stacks larger"
    refusal.says = f"{where}; so {refusal.says}"


def top(bochs: Bench, writer: who.Writer) -> int | None:
    """TSS.esp0 at that time, if this stack may have begun there."""
    tr = writer.state.segments["tr"]
    with bochs.session() as session:
        session.to(writer.tick)
        try:
            found = Machine(writer.state, session.physical, bochs.options.memory << 20).read(tr.base + ESP0)
        except (Unknown, Unmapped):
            return None
    return found if 0 < found - writer.state["esp"] < STACK else None


def variable(bochs: Bench, listing: Listing, machine: Machine, writer: who.Writer, refusal: Refusal, symbols: Symbols) -> None:
    """A store of the kernel's own goes to where the CPU pushes: is esp0 the wrong end of a stack?"""
    end = machine.state.segments["ss"].base + machine.state["esp"] + FRAME & WHOLE
    first = first_frame(bochs, listing)
    other = f": the CPU pushes below {end:08x}, and {writer.at(symbols)} has a variable there"
    refusal.key = "esp0-variable"
    if first and first[1] == end and 0 < first[0] - end < STACK:
        refusal.key = "esp0-wrong-end"
        refusal.says = (f"esp0 = {end:08x} is the start of a stack, not its end{other}; when ring 3 was entered first, "
                        f"ring 0's stack ended at {first[0]:08x}, {first[0] - end:#x} bytes higher; so {refusal.says}")
        refusal.fix = "a stack grows down: esp0 is the address behind its last byte"
    else:
        refusal.says = f"esp0 = {end:08x} is no end of a stack{other}; so {refusal.says}"
        refusal.fix = "set esp0 to the end of a stack that nothing else uses"


def first_frame(bochs: Bench, listing: Listing) -> tuple[int, int] | None:
    """Where the frame ended by which ring 3 was first entered, and esp0 then; linear."""
    if not listing.returns:
        return None
    with bochs.session() as session:
        session.to(listing.returns[0])
        state = session.state()
        machine = Machine(state, session.physical, bochs.options.memory << 20)
        try:
            return (state.segments["ss"].base + state["esp"] + FRAME & WHOLE,
                    state.segments["ss"].base + machine.read(state.segments["tr"].base + ESP0) & WHOLE)
        except (Unknown, Unmapped):
            return None

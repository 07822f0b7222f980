"""Who has written a word last: Bochs once more, with a watchpoint.

last(bochs, word, tick, symbols)    a sentence; what was written before a tick, by which instruction, how long before
"""

import dataclasses

from ringside.why import instructions, source
from ringside.why.bochs import DELIVERED, Bench, Session, accesses
from ringside.why.deciding import Word
from ringside.why.log import State
from ringside.why.machine import Machine, Unmapped
from ringside.why.source import Symbols

WINDOWS = (10_000, 1_000_000)   # ticks before the crossing; then all
HIT = "Caught write watch point"
MOST = 20_000                   # hits in one window
REGISTER = "no word of memory decides this alone, so there is none to ask for"


@dataclasses.dataclass(frozen=True)
class Writer:
    """An instruction that has written, and the state in front of it."""
    tick: int
    state: State
    instruction: str
    value: str
    physical: int       # where it has written

    def at(self, symbols: Symbols) -> str:
        """The instruction, where it stands, and its ring."""
        cs = self.state.segments["cs"]
        line = symbols.line(cs.base + self.state["eip"] & 0xFFFFFFFF)
        where = f"{cs.selector:04x}:{self.state['eip']:08x}" + (f", {line}" if line else "")
        return f"{self.instruction} at {where}, ring {self.state.cpl}"


def hits(session: Session, word: Word, tick: int) -> list[int]:
    """The ticks behind which the word was written."""
    session.command(f"watch w {word.physical:#x} {word.size}")
    session.command(f"sba {tick}")
    found: list[int] = []
    try:
        while session.now < tick and len(found) < MOST:
            if HIT not in session.go():
                break
            found.append(session.now)
    except EOFError:
        pass
    return found


def writer(bochs: Bench, word: Word, behind: int, memory: int) -> Writer | None:
    """Steps over what was written. An instruction has been counted by then, an interrupt has not."""
    with bochs.session() as session:
        session.to(behind - 1)
        for tick in (behind - 1, behind):
            state = session.state()
            text = instruction(session, state, memory)
            _, said = session.step()
            for access in accesses(said):
                if access.write and access.physical < word.physical + word.size and word.physical < access.physical + access.size:
                    delivered = DELIVERED.search(said)
                    if delivered:
                        text = f"the CPU, on the way into vector {int(delivered[1], 16):#04x} ({text})"
                    return Writer(tick, state, text, f"{access.value:0{2 * access.size}x}", access.physical)
    return None


def instruction(session: Session, state: State, memory: int) -> str:
    """What stands at cs:eip."""
    try:
        code = instructions.Code(Machine(state, session.physical, memory))
    except Unmapped:
        return "(not mapped)"
    return source.disassemble(code.bytes, state["eip"], code.wide)


def find(bochs: Bench, word: Word, tick: int) -> tuple[list[int], Writer | None]:
    """Looks in ever larger parts of the run before the tick, until a write is found: the ticks behind each, and the last."""
    found: list[int] = []
    for window in (*WINDOWS, tick):
        with bochs.session() as session:
            if window < tick:
                session.to(tick - window)
            found = hits(session, word, tick)
        if found or window >= tick:
            break
    return found, writer(bochs, word, found[-1], bochs.options.memory << 20) if found else None


def last(bochs: Bench, word: Word | None, tick: int, symbols: Symbols) -> str:
    """The sentence."""
    if word is None:
        return REGISTER
    found, made = find(bochs, word, tick)
    if not found:
        return f"nothing has written {word.name} since the machine was started"
    if not made:
        return f"{word.name} was written last {tick - found[-1]:,} instructions before, by a device"
    linear = made.state.segments["cs"].base + made.state["eip"] & 0xFFFFFFFF
    ago = f"{tick - made.tick:,} instructions before"
    if symbols.code and not any(linear in code for code in symbols.code) and made.state.cpl == 0:
        return (f"{word.name} is as it was loaded: what has written it last, {ago}, is no code of the ELF "
                f"({made.state.segments['cs'].selector:04x}:"
                f"{made.state['eip']:08x}), such as the boot loader; so its value stands in the source")
    return f"{word.name} was written last by {made.at(symbols)}, {ago}: {made.value}"

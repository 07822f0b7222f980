"""What a kernel owes its procs, looked for in a recording: laws, where the CPU's own rules are the judge's.

    findings = broken(made)                 made: a recording; [] if none is broken
    broken(made, strict=True)               of a kernel that promises what P_PROC does

Who comes back from ring 0 is known by where it goes on: the same code, stack and address space, at the
instruction that the CPU has pushed. Each law is decided only where a recording decides it; otherwise it
is silent. LAWS says of each what it is and for which kernels it counts.
"""

import bisect
from collections.abc import Iterator
import dataclasses
import functools
import operator
from typing import Any, NamedTuple

from ringside.emulators.registers import GENERAL, SEGMENTS
from ringside.laws import paged
from ringside.recorder import pages, recording
from ringside.recorder.recording import Recording, State, Step, Walked

LAWS = {
    "R1": "Who comes back has every register, flag and segment that it left with. Of any kernel after an interrupt, or a "
          "fault whose instruction is tried again; after int n without eax, ecx, edx and the arithmetic flags, unless strict.",
    "F1": "No way in overwrites the saved words of another that waits. Where ring 0 returns from the very words that the "
          "CPU has pushed.",
    "F2": "Nothing else writes a waiting proc's saved words. Strict.",
    "S1": "A first start knows nothing: no register holds an address of ring 0's. Where its place is known.",
    "I1": "IF is 0 behind every way in by the IDT, and behind the first instruction of a call gate's, up to the "
          "way out. Strict: other kernels may have trap gates.",
    "K1": "Ring 0's stack comes back to where it was: the next way in lands where the words of the one who runs have ended, "
          "where ring 0 mostly returns from what was pushed; who is interrupted in ring 0 again has the same esp.",
    "P1": "Nothing of ring 0's is within reach of ring 3: no supervisor page has U, no segment holds a table. Where there "
          "are pages, or segments that are not flat.",
    "P2": "IOPL is below 3 in ring 3, else it may do what it likes with ports and IF.",
    "P3": "IF is 1 in ring 3.",
    "P4": "The FPU is shut. Strict.",
    "P5": "Two procs have stacks of their own. Where segments are not flat, and each has its code; strict, of spaces.",
    "P7": "Ring 3 may not write the code that it runs. Strict, where there are pages.",
    "P8": "Ring 3 reaches a page only as the tables have it: the CPU is told of an entry that has changed, by invlpg or CR3. Of "
          "an image with pages; in the first instructions behind ways out.",
    "T1": "Turns alternate. Strict.",
    "T2": "Of two who take turns, each has fs and gs of its own: where a kernel gives them TLS. Strict, where these are not "
          "flat.",
    "P6": "No port is open by accident: the I/O map does not begin within the TSS's own words.",
    "D0": "DF is 0 when ring 0 calls or returns. Where those steps are recorded.",
    "N1": "NT is 0 at an iret that switches no task.",
    "G1": "No door is open but those that ring 3 is meant to use. Of a program that is tried with procs of ours.",
    "G2": "The limits of GDT and IDT are those of whole entries. Strict.",
    "D1": "#DF finds a stack that is good. Of a program that is tried with procs of ours.",
    "H1": "Who leaves ring 3 comes back. Of a program that is tried with procs of ours.",
    "L1": "Who makes a mistake ends, the others play on, and who starts again finds all as at its first start. Of a program "
          "that is tried with procs of ours.",
    "E1": "The PIC is told of an interrupt's end before ring 3 goes on. Where the PIC was looked at.",
    "V1": "Hardware's vectors are none of the CPU's exceptions: they are 0x20 and above.",
}

CF, PF, AF, ZF, SF, TF, IF, DF, OF = (1 << bit for bit in (0, 2, 4, 6, 7, 8, 9, 10, 11))
IOPL, NT, RF, VM = 3 << 12, 1 << 14, 1 << 16, 1 << 17
ARITHMETIC = CF | PF | AF | ZF | SF | OF
RESULTS = ("eax", "ecx", "edx")     # int n may give something back
EM_TS = 0xC                         # cr0
PUSHED_WORDS = ("ss", "esp", "eflags", "cs", "eip")     # as the CPU pushes them, downwards
PUSHED = 4 * len(PUSHED_WORDS)
CALLED_WORDS = 4            # a call gate's, which pushes no eflags; and the parameters
MAY_HAVE_IF = ("cli", "lret", "sysexit", "iret", "hlt", "xchg %bx,%bx", "interrupt")    # of ring 0's instructions
STOP = "xchg %bx,%bx"       # where Bochs may stop; it does nothing
NOWHERE = -1                # of words that are not pushed
FLAT = 1 << 31                      # a segment as large as this hides nothing
EXCEPTIONS = 0x20                   # vectors
PAGE = 0x1000
DRIFTS = 4                          # interrupts of the same place, each with less stack
NEAR_STACK, LARGE_STACK = 0x400, 0x10000
TSS_BYTES = 0x68
FEW = 4


class Finding(NamedTuple):
    """A law that is broken, in a sentence with both values; and at which step of the recording."""
    law: str
    said: str
    step: int
    where: str

    def __str__(self) -> str:
        where = self.where if self.where.startswith("switch") else f"step {self.step}, {self.where}"
        return f"{self.law}: {self.said}\n    {where}"


@dataclasses.dataclass
class Left:
    """Who has left ring 3 and waits: as it was, what the CPU pushed for it and where, and where it came from."""
    step: int
    state: State
    asked: bool                 # by int n; else it was interrupted
    again: bool                 # the instruction is to be executed once more, or next: it cannot know
    words: dict[str, int]       # PUSHED_WORDS
    top: int                    # linear: the end of these
    came: int | None            # linear: the end of the words from which ring 0 had returned to it

    def key(self) -> tuple[int, ...]:
        return place_of(self.state, self.words["eip"])


def place_of(state: State, eip: int) -> tuple[int, ...]:
    """What does not change while a proc waits."""
    return (state.get("cr3", 0) if state["cr0"] >> 31 else 0, state["cs"]["selector"], state["cs"]["base"], eip,
            state["ss"]["base"], state["esp"], state["eflags"] & VM)


class Landing(NamedTuple):
    """A way in from ring 3, and how ring 0 had got there."""
    step: int
    where: str
    came: int       # linear: the end of the words from which it had returned
    top: int        # and of those that are pushed now


class Watch:
    """Goes through a recording, step by step."""

    def __init__(self, made: Recording, strict: bool) -> None:
        self.made, self.strict = made, strict
        self.landings: list[Landing] = []
        self.waiting: list[Left] = []
        self.started: set[tuple[int, ...]] = set()      # stacks that have been seen in ring 3
        self.stacks: dict[tuple[int, int], tuple[int, int, int, int]] = {}      # cs.base, ss.base: of those in ring 3
        self.came: int | None = None            # the end of the words that the last way out to ring 3 has popped
        self.came_from = 0                      # by which ring, since each has a stack of its own
        self.drift: dict[tuple[int, int], list[int]] = {}
        self.turns: list[tuple[int, ...]] = []
        self.said: set[tuple[str, str]] = set()
        self.closing = False        # a call gate has let IF through, and the next instruction is to clear it
        self.pages: dict[int, int] = {}         # the frame in which a space has its stack
        self.now: Walked | None = None
        self.symbols = sorted((place, name) for name, place in made["symbols"].items())

    def findings(self) -> Iterator[Finding]:
        for walked in recording.walk(self.made):
            self.now = walked
            yield from self._once(self._step(*walked))
        if self.now:
            yield from self._once(self._of_the_head())
            yield from self._lost()

    def _of_the_head(self) -> Iterator[tuple[str, str, str]]:
        """What was seen at the end, of another kernel."""
        told = self.made.get("crossings", {})
        if told.get("iomap") is not None and told["iomap"] < TSS_BYTES:
            yield "P6", "map", (f"the I/O map begins at {told['iomap']:#x} of the TSS, whose own words end at {TSS_BYTES:#x}: "
                                "each 0 in them opens a port")
        seen = told.get("in_service", [])
        if told.get("quiet"):
            yield "E1", "eoi", (f"the PIC waits to be told of the end of IRQ {told['quiet'].bit_length() - 1}, and no other "
                                "crossing comes: its handler has not told it")
            return
        always = functools.reduce(operator.and_, seen, 0xFFFF) if len(seen) > FEW else 0
        if always:
            yield "E1", "eoi", (f"the PIC waits to be told of the end of IRQ {always.bit_length() - 1}, at each of the last "
                                f"{len(seen)} arrivals in ring 3: no other of it comes")

    def _lost(self) -> Iterator[Finding]:
        """K1. If most land where they should, the others are lost."""
        wrong = [landing for landing in self.landings if landing.came != landing.top]
        if wrong and len(self.landings) > FEW and 2 * len(wrong) <= len(self.landings) and ("F1", "frame") not in self.said:
            one = wrong[0]
            yield Finding("K1", f"ring 0 returned from words that end at {one.came:08x}, and the next way in pushes below "
                          f"{one.top:08x}; {len(self.landings) - len(wrong)} others land where the words ended",
                          one.step, one.where)

    def _once(self, found: Iterator[tuple[str, str, str]]) -> Iterator[Finding]:
        """A law is told once for each thing that breaks it. found: law, thing, sentence."""
        assert self.now
        number, _, step, _ = self.now
        for law, thing, said in found:
            if (law, thing) not in self.said:
                self.said.add((law, thing))
                yield Finding(law, said, number, f"{step['text']} at {step['symbol']} ({step['source']})")

    def _step(self, number: int, before: State, step: Step, after: State) -> Iterator[tuple[str, str, str]]:
        rings = ring(before), ring(after)
        if "gap" in step or "folded" in step:
            if rings[0] != rings[1]:    # a crossing that was not recorded: who waits is not known any more
                self.waiting, self.came = [], None
        elif rings[0] == 3 and rings[1] < 3:
            yield from self._in(number, before, step, after)
        elif rings[0] < 3 and rings[1] == 3:
            yield from self._out(number, before, step, after)
        elif rings == (0, 0):
            yield from self._within(before, step, after)
        if before["cr0"] & 1 and "interrupt" in step and step["interrupt"] < EXCEPTIONS:
            yield "V1", "vector", f"hardware has interrupted by vector {step['interrupt']:#04x}; those below 0x20 are exceptions'"
        if ring(after) == 3 and not after["eflags"] & VM:
            yield from self._in_ring_3(after)

    # ---- into ring 0

    def _in(self, number: int, before: State, step: Step, after: State) -> Iterator[tuple[str, str, str]]:
        called = step["text"].startswith("lcall")
        self.closing = called and bool(after["eflags"] & IF)
        if step["text"] == "sysenter":
            self._by_sysenter(number, before)
            return
        pushed = words_called(before, step) if called else words_pushed(before, step)
        if pushed is None:      # QEMU does not tell; or it was a switch of tasks
            self.waiting, self.came = [], None
            return
        top, words = pushed
        left_as = before
        if called:              # lret takes the parameters off ring 3's stack as well
            left_as = {**before, "esp": words["esp"] + top - words["end"] - 4 * CALLED_WORDS}
        if ring(after) != self.came_from:
            self.came = None
        again = "interrupt" in step or words["eip"] == before["eip"]
        if self.strict and after["eflags"] & IF and not called:
            yield "I1", "if", "the first instruction of ring 0 has IF = 1; it must be 0, since an interrupt may come in there"
        if self.came is not None:
            self.landings.append(Landing(number, f"{step['text']} at {step['symbol']} ({step['source']})", self.came, top))
        left = Left(number, left_as, called or step["text"].startswith("int "), again, words, top, self.came)
        for other in self.waiting:
            # Both would be returned to from the words that were pushed for them, and each from its own.
            if other.came == other.top and left.came not in (None, top) and abs(other.top - top) < PUSHED \
                    and other.key() != left.key():
                word = next((name for name in PUSHED_WORDS[::-1] if other.words.get(name) != words.get(name)), None)
                if word:
                    yield ("F1", "frame", f"the way in of the one at {at(before)} overwrites what was pushed at "
                           f"{top - PUSHED:08x} for the one at {at(other.state)}, who waits since step {other.step}: {word} was "
                           f"{other.words[word]:08x}, and is {words[word]:08x}")
            for name in ("fs", "gs") if self.strict and other.key() != left.key() else ():
                yield from threads(name, left.state, other)
        self.waiting.append(left)

    def _by_sysenter(self, number: int, before: State) -> None:
        """It pushes nothing. By custom edx and ecx have what sysexit makes eip and esp of."""
        words = {"eip": before["edx"]}
        self.waiting.append(Left(number, {**before, "esp": before["ecx"]}, True, False, words, NOWHERE, None))
        self.came = None

    # ---- back to ring 3

    def _out(self, number: int, before: State, step: Step, after: State) -> Iterator[tuple[str, str, str]]:
        popped = popped_up_to(before, step)
        here = place_of(after, after["eip"])
        those = [left for left in self.waiting if left.key() == here]
        if those:
            left = max(those, key=lambda one: [one.state[name] == after[name] for name in GENERAL].count(True))
            self.waiting.remove(left)
            yield from self._compare(left, after)
        else:
            yield from self._unknown(before, after, popped)
        self.came, self.came_from = popped, ring(before)
        self.started.add(here[4:6])
        if self.strict:
            yield from self._turn(here)

    def _unknown(self, before: State, after: State, popped: int | None) -> Iterator[tuple[str, str, str]]:
        """A first start; or one whose words are not what they were."""
        spoilt = [left for left in self.waiting if left.came == left.top == popped]
        if self.strict and len(spoilt) == 1 and not any((law == "F1") for law, _ in self.said):
            left = spoilt[0]
            name = "eip" if after["eip"] != left.words["eip"] else "esp"
            if after[name] != left.words[name]:
                yield ("F2", name, f"{name} was pushed as {left.words[name]:08x} in step {left.step}, and is {after[name]:08x} "
                       "when it comes back; something has written there while it waited")
        if place_of(after, 0)[4:6] in self.started or after["eflags"] & VM:
            return
        # What ring 3 had itself when it left, it may have again: a new program in the old one's place.
        known = {left.state[name] for left in self.waiting for name in GENERAL}
        for name in GENERAL:
            what = "" if after[name] in known else (self._of_ring_0(after[name], before)
                                                    or self._beside_the_stack(after[name], before, after))
            if name != "esp" and what:
                yield "S1", name, f"it starts at {at(after)} with {name} = {after[name]:08x}; {what}"

    @staticmethod
    def _of_ring_0(value: int, state: State) -> str:
        """What lies there, if it is ring 0's. state: of ring 0, in front of the iret."""
        if value < PAGE:
            return ""
        if (entry := paged.leaf(state, value)) is not None and not paged.for_users(state, value):
            return f"a page of ring 0 is there, {entry:08x} in its table"
        bases = {0, state["ds"]["base"]} if state["ds"]["selector"] & ~3 else {0}
        for base in bases:
            linear = base + value
            for name, what in (("gdtr", "the GDT"), ("idtr", "the IDT"), ("tr", "the TSS")):
                if 0 <= linear - state[name]["base"] <= state[name]["limit"]:
                    return f"{what} lies there"
            stack = state["ss"]["base"] + state["esp"]
            if state["ss"]["base"] == base and abs(linear - stack) < NEAR_STACK:
                return f"the stack of ring 0 lies there, whose esp is {state['esp']:08x}"
        return ""

    def _beside_the_stack(self, value: int, before: State, after: State) -> str:
        """A value in the very object of the kernel's that has ring 0's stack, and none of ring 3's. Only with symbols: none
        may lie between the two."""
        stack, its = (one["ss"]["base"] + one["esp"] for one in (before, after))
        name, linear = self._object(stack), before["ds"]["base"] + value
        if value < PAGE or not name or self._object(linear) != name or self._object(its - 1) == name:
            return ""
        if abs(stack - linear) > LARGE_STACK or name == self.symbols[-1][1] and linear > stack:
            return ""       # the last symbol's object may have ended there
        return f"{name} is there, which has the stack of ring 0, whose esp is {before['esp']:08x}"

    def _object(self, linear: int) -> str:
        """The symbol whose object has this address: the nearest below it."""
        place = bisect.bisect(self.symbols, (linear - self.made.get("base", 0), "\x7f"))
        return str(self.symbols[place - 1][1]) if place else ""

    def _compare(self, left: Left, after: State) -> Iterator[tuple[str, str, str]]:
        """R1. Behind int n a kernel may give results back."""
        old, strict = left.state, self.strict or not left.asked
        if not strict and not left.asked and not left.again:
            return
        since = f"in step {left.step} it left with"
        for name in GENERAL:
            if old[name] != after[name] and (strict or name not in RESULTS):
                yield "R1", name, f"{name} = {after[name]:08x} when {at(after)} comes back; {since} {old[name]:08x}"
        differ = (old["eflags"] ^ after["eflags"]) & ~(RF | TF) & ~(0 if strict else ARITHMETIC)
        if differ:
            yield "R1", "eflags", (f"eflags = {after['eflags']:08x} when {at(after)} comes back; {since} {old['eflags']:08x}")
        for name in SEGMENTS:
            was, now = old[name], after[name]
            if was["selector"] != now["selector"]:
                yield "R1", name, f"{name} = {now['selector']:04x} when {at(after)} comes back; {since} {was['selector']:04x}"
            elif was["selector"] & ~3 and (strict or name not in ("fs", "gs")) \
                    and (was["base"], was["limit"]) != (now["base"], now["limit"]):
                yield "R1", name, (f"{name} = {now['selector']:04x} as before when {at(after)} comes back, but it holds "
                                   f"{now['base']:x}, limit {now['limit']:x}; {since} {was['base']:x}, limit {was['limit']:x}")

    def _turn(self, here: tuple[int, ...]) -> Iterator[tuple[str, str, str]]:
        """T1, once two have played."""
        who = here[2], here[4], here[0]
        if self.turns and self.turns[-1] == who and len(set(self.turns)) > 1:
            yield "T1", "turn", f"the proc whose code is at {who[0]:x} comes twice in a row; they must alternate"
        self.turns.append(who)

    # ---- in ring 0, and in ring 3

    def _within(self, before: State, step: Step, after: State) -> Iterator[tuple[str, str, str]]:
        if self.closing and step["text"] != STOP:
            self.closing = False
            if self.strict and after["eflags"] & IF:
                yield "I1", "gate", f"behind {step['text']}, the first of a call gate's code, IF = 1; it must be 0"
        if before["cr0"] & 1:
            if self.strict and self.started and before["eflags"] & IF and not step["text"].startswith(MAY_HAVE_IF):
                yield "I1", "within", f"{step['text']} in ring 0 has IF = 1; an interrupt may come in there, IF must be 0"
            if before["eflags"] & DF and step["text"].startswith(("call", "ret")):
                yield "D0", "df", f"{step['text']} in ring 0 has DF = 1; it must be 0, C counts on it"
            if before["eflags"] & NT and step["text"].startswith("iret") and before["tr"] == after["tr"]:
                yield "N1", "nt", "iret has NT = 1, and switches no task; NT must be 0"
        if "interrupt" in step:
            place = before["cs"]["base"] + before["eip"], before["ss"]["base"]
            seen = self.drift.setdefault(place, [])
            if not seen or before["esp"] < seen[-1]:
                seen.append(before["esp"])
            else:
                self.drift[place] = [before["esp"]]
            if len(seen) > DRIFTS:
                yield ("K1", f"{place}", f"ring 0 is interrupted at {at(before)} with esp = {seen[-1]:08x}, and was with "
                       f"{seen[0]:08x}: each time it has less stack")

    def _in_ring_3(self, state: State) -> Iterator[tuple[str, str, str]]:
        if state["eflags"] & IOPL == IOPL:
            yield "P2", "iopl", f"IOPL = 3 in ring 3 at {at(state)}; it must be less"
        if not state["eflags"] & IF:
            yield "P3", "if", f"IF = 0 in ring 3 at {at(state)}; no interrupt can end its turn"
        for name in ("gdtr", "idtr") if self.strict else ():
            if state[name]["limit"] & 7 != 7:
                yield "G2", name, f"{name}'s limit is {state[name]['limit']:#x}; it must be a multiple of 8 less one"
        if self.strict and not state["cr0"] & EM_TS:
            yield "P4", "fpu", "cr0 has EM = 0 and TS = 0 in ring 3; the FPU carries state from one proc to the other"
        for what, linear in kernels_own(state):
            if paged.for_users(state, linear):
                yield "P1", what, (f"{what} is within reach of ring 3: its page at {linear:08x} has U, "
                                   f"{paged.leaf(state, linear):08x} in its table")
        if not state["cr0"] >> 31:
            yield from self._segments(state)
        elif self.strict:
            yield from self._spaces(state)

    def _spaces(self, state: State) -> Iterator[tuple[str, str, str]]:
        """P5 and P7, by pages."""
        code, stack = state["cs"]["base"] + state["eip"], state["ss"]["base"] + state["esp"] - 4
        entry, there = paged.leaf(state, code), paged.leaf(state, stack)
        if entry is not None and paged.for_users(state, code) and entry & pages.WRITABLE:
            yield "P7", "code", f"ring 3 runs at {code:08x}, and may write there: its page has W, {entry:08x} in its table"
        if there is None or not there & pages.WRITABLE:     # what is read only may be shared, until it is written
            return
        frame = there & ~(PAGE - 1)
        for space, other in self.pages.items():
            if space != state["cr3"] and other == frame:
                yield ("P5", "stack", f"the stack at {stack:08x} of the space at {state['cr3']:x} is the frame at {frame:x}, and "
                       f"so is that of the space at {space:x}")
        self.pages[state["cr3"]] = frame

    def _segments(self, state: State) -> Iterator[tuple[str, str, str]]:
        """P1 and P5, by segments."""
        spans = list(paged.loadable(state))
        if any(end - start >= FLAT for _, start, end in spans):
            return
        for what, linear in kernels_own(state):
            for selector, start, end in spans:
                if start <= linear < end:
                    yield "P1", what, (f"{what} at {linear:x} is within reach of ring 3: selector {selector:04x} holds "
                                       f"{start:x} to {end - 1:x}")
        code, stack = state["cs"], state["ss"]
        mine = code["base"], stack["base"], stack["limit"], code["selector"]
        for other in self.stacks.values():
            if other[0] != mine[0] and other[1] <= mine[1] + mine[2] and mine[1] <= other[1] + other[2]:
                yield ("P5", "stack", f"the proc with code at {mine[0]:x} has its stack in {mine[1]:x} to {mine[1] + mine[2]:x}; "
                       f"the one with code at {other[0]:x} in {other[1]:x} to {other[1] + other[2]:x}")
        self.stacks[mine[0], mine[1]] = mine


def ring(state: State) -> int:
    return int(state["cpl"])


def at(state: State) -> str:
    return f"{state['cs']['selector']:04x}:{state['eip']:08x}"


def words_pushed(before: State, step: Step) -> tuple[int, dict[str, int]] | None:
    """By the CPU on its way from ring 3: the end of them, linear; and their values."""
    written = [access for access in step["accesses"] or () if access[0] == "write" and access[2] == 4]
    for place, (_, linear, _, value) in enumerate(written[:-4]):
        if value & 0xFFFF == before["ss"]["selector"] and written[place + 1][3] == before["esp"] \
                and not (written[place + 2][3] ^ before["eflags"]) & ~RF:
            return linear + 4, dict(zip(PUSHED_WORDS, [access[3] for access in written[place:place + 5]]))
    return None


def words_called(before: State, step: Step) -> tuple[int, dict[str, int]] | None:
    """By a call gate: the end of what the CPU pushes, linear; its values without eflags; "end" is where eip lies."""
    written = [access for access in step["accesses"] or () if access[0] == "write" and access[2] == 4]
    for place, (_, linear, _, value) in enumerate(written[:-3]):
        if value & 0xFFFF == before["ss"]["selector"] and written[place + 1][3] == before["esp"]:
            eip = written[-1]
            return linear + 4, {"ss": value, "esp": before["esp"], "cs": written[-2][3], "eip": eip[3], "end": eip[1]}
    return None


def popped_up_to(before: State, step: Step) -> int | None:
    """The end of what a way to ring 3 takes from ring 0's stack, linear; None if it takes nothing."""
    here = int(before["ss"]["base"] + before["esp"])
    if step["text"].startswith("iret"):
        return here + PUSHED
    if step["text"].startswith("lret"):
        parameters = step["text"].partition("$")[2]
        return here + 4 * CALLED_WORDS + (int(parameters, 0) if parameters else 0)
    return None


def threads(name: str, state: State, other: Left) -> Iterator[tuple[str, str, str]]:
    """T2. What another that waits has under the same selector must lie elsewhere."""
    mine, its = state[name], other.state[name]
    if mine["selector"] & ~3 and mine["limit"] < FLAT - 1 and (mine["selector"], mine["base"]) == (its["selector"], its["base"]) \
            and mine["base"] != state["ss"]["base"]:
        yield ("T2", name, f"{name} = {mine['selector']:04x} holds {mine['base']:x} for the one at {at(state)}, and for the one "
               f"at {at(other.state)}, who waits since step {other.step}; each must have its own")


def kernels_own(state: State) -> Iterator[tuple[str, int]]:
    """What is ring 0's in any kernel: what it is, and a linear address of it."""
    for name, what in (("gdtr", "the GDT"), ("idtr", "the IDT"), ("tr", "the TSS")):
        if state[name]["limit"] and (name != "tr" or state[name]["selector"] & ~3):
            yield what, state[name]["base"]
    if state["tr"]["selector"] & ~3:
        if (stack := paged.descriptor(state, state["tss"]["ss0"])) is not None:
            yield "the stack of the next way in", paged.base_of(stack) + state["tss"]["esp0"] - 4 & 0xFFFFFFFF


def broken(made: Recording, strict: bool = False) -> list[Finding]:
    return list(Watch(made, strict).findings())


def crossings(made: Recording) -> int:
    """How many steps lead from one ring into another."""
    return sum(before["cpl"] != after["cpl"] for _, before, step, after in recording.walk(made) if "gap" not in step)


def as_json(finding: Finding) -> dict[str, Any]:
    return finding._asdict()

"""Claims: sentences of a page that say what a value is, held by the recording behind its boxes.

In a page the claim stands between a mark and its end, in the middle of a sentence:

    ...<!-- holds: ckpt_int.after.IF == 0 -->IF is clear now<!-- end -->.

What follows "holds:" is an expression of Python that must be true. It knows

    ckpt_frames, ckpt_tss, ckpt_iret, ckpt_int, ckpt_switched
                        the instruction at that stop of the tour; way_in is the int that led
                        to ckpt_int, first_iret and second_iret the two ways out
    STOP.before, STOP.after
                        the CPU before and after it
    STOP.text           the instruction: "iret"
    STOP.reads, STOP.writes
                        its memory accesses, each with .at (an offset in the program), .bytes, .value
    CPU.eax ... CPU.eflags, CPU.cpl
                        a register's value
    CPU.CF ... CPU.VM   a flag: 0 or 1; CPU.IOPL
    CPU.cs ... CPU.ldtr with .selector .rpl .base .limit .dpl .busy, and .ldt: whether the selector has TI set
    CPU.esp0, CPU.ss0   what the TSS says
    CPU.gdt[N], CPU.idt[N], CPU.ldt[N]
                        a descriptor or gate, with .base .limit .dpl .present .selector .offset .busy
    CPU.A, CPU.B        a proc's frame, with .gs ... .ss, and its flags as a CPU's: CPU.A.IF
    at("NAME")          an offset in the program, or a selector; "A.end" is the end of A's frame

Numbers in the words of a claim, spelled or in digits, must stand in its expression as well, so
that words and expression cannot drift apart: "five words" wants a 5.
"""

import dataclasses
import re

FLAGS = {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "TF": 8, "IF": 9, "DF": 10, "OF": 11, "NT": 14, "RF": 16,
         "VM": 17, "AC": 18}
IOPL_SHIFT = 12
TI, RPL, BUSY = 4, 3, 2
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr")
SPELLED = {word: number for number, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty".split())}
NOT_COUNTED = {"one"}  # in prose it is a pronoun as often as a number

HOLDS = re.compile(r"<!-- holds: (.*?) -->(.*?)<!-- end -->", re.S)


class Untrue(Exception):
    """A claim that does not hold, or cannot be understood, with its place."""


@dataclasses.dataclass(frozen=True)
class Claim:
    page: str
    line: int
    expression: str
    words: str


@dataclasses.dataclass(frozen=True)
class Selector:
    selector: int

    @property
    def rpl(self):
        return self.selector & RPL

    @property
    def ldt(self):
        return bool(self.selector & TI)


@dataclasses.dataclass(frozen=True)
class Segment(Selector):
    base: int
    limit: int
    dpl: int
    type: int

    @property
    def busy(self):
        return bool(self.type & BUSY)


class Entry:
    """A row of the GDT, of an LDT or of the IDT (Intel, volume 3, sections 3.4.5 and 6.11)."""

    def __init__(self, raw):
        number = int(raw, 16)
        self.base = number >> 16 & 0xffffff | number >> 56 << 24
        self.limit = number & 0xffff | number >> 32 & 0xf0000
        self.dpl = number >> 45 & 3
        self.present = bool(number >> 47 & 1)
        self.type = number >> 40 & 0x1f
        self.busy = bool(self.type & BUSY)
        self.selector = number >> 16 & 0xffff
        self.offset = number >> 48 << 16 | number & 0xffff


class Flags:
    """What has eflags has its bits by name."""

    def __getattr__(self, name):
        if name in FLAGS:
            return self.eflags >> FLAGS[name] & 1
        if name == "IOPL":
            return self.eflags >> IOPL_SHIFT & 3
        raise AttributeError(name)


class Frame(Flags):
    def __init__(self, names, words):
        vars(self).update(zip(names, words))


class Cpu(Flags):
    def __init__(self, state, frames):
        numbers = {name: value for name, value in state.items() if isinstance(value, int)}
        vars(self).update(numbers, **state["tss"])
        for name in SEGMENTS:
            told = state[name]
            setattr(self, name, Segment(told["selector"], told["base"], told["limit"], told["dpl"], told["type"]))
        for name in ("gdt", "idt", "ldt"):
            setattr(self, name, [Entry(raw) for raw in state[name]])
        for letter, words in state["frames"].items():
            setattr(self, letter, Frame(frames[letter]["words"], words))


@dataclasses.dataclass(frozen=True)
class Access:
    at: int
    bytes: int
    value: int


class Stop:
    def __init__(self, run, before, step, after):
        self.before, self.after = Cpu(before, run.frames), Cpu(after, run.frames)
        self.text = step["text"]
        accesses = step["accesses"] or ()
        self.reads, self.writes = ([Access(linear - run.base, size, value)
                                    for kind, linear, size, value in accesses if kind == wanted]
                                   for wanted in ("read", "write"))


def names_of(run):
    """What an expression may name, made of a recording (ringside/pages/tour.py: Run)."""
    names = {label: Stop(run, *run.at(label)) for label in run.found}
    names["way_in"] = Stop(run, *run.way_in())
    ways_out = [Stop(run, *step[1:]) for step in run.steps if step[1]["cpl"] < step[3]["cpl"]]
    names |= dict(zip(("first_iret", "second_iret"), ways_out))

    def at(name):
        letter, _, what = name.partition(".")
        if what in ("start", "end"):
            return run.frame(letter) if what == "start" else run.end(letter)
        return run.symbols[name]
    return {**names, "at": at, "len": len, "all": all, "any": any, "set": set, "sum": sum, "sorted": sorted}


def claims_of(page, text):
    for match in HOLDS.finditer(text):
        yield Claim(str(page), text.count("\n", 0, match.start()) + 1, " ".join(match[1].split()), match[2])
    if lost := re.search(r"<!-- holds:[^\n]*", HOLDS.sub("", text)):
        raise Untrue(f"{page}: a claim without its end: {lost[0]}")


def numbers_in_words(words):
    """Each number that the words say, as text and value."""
    for word in re.findall(r"[\w.]+", words.replace("`", " ")):
        low = word.lower().strip(".")
        if low in SPELLED and low not in NOT_COUNTED:
            yield word, {SPELLED[low]}
        elif re.fullmatch(r"0x[0-9a-f]+", low):
            yield word, {int(low, 16)}
        elif re.fullmatch(r"[0-9]+", low):
            yield word, {int(low), int(low, 16)}


def check(claim, names):
    """Raises Untrue unless the claim holds."""
    where = f"{claim.page}:{claim.line}: \"{' '.join(claim.words.split())}\""
    there = {int(number, 0) for number in re.findall(r"\b(?:0x[0-9a-fA-F]+|[0-9]+)\b", claim.expression)}
    for word, values in numbers_in_words(claim.words):
        if not values & there:
            raise Untrue(f"{where} says {word}, but its expression does not: {claim.expression}")
    try:
        # The pages are the project's own: an expression may be trusted, and gets no builtins all the same.
        held = eval(claim.expression, {"__builtins__": {}}, names)
    except (SyntaxError, NameError, AttributeError, LookupError, TypeError) as error:
        raise Untrue(f"{where}: cannot evaluate {claim.expression}: {error}") from None
    if held is not True:
        raise Untrue(f"{where} does not hold: {claim.expression} is {held}")

"""Claims: sentences of a page that say what a value is, held by the recording behind its boxes.

In a page the claim stands between a mark and its end, in the middle of a sentence:

    ...<!-- holds: ckpt_int.after.IF == 0 -->IF is clear now<!-- end -->.

A page in programs/NAME/ is about a recording of that program, every other page about one of
P_PROC's; "holds hwjump:" is about one of HWJUMP's. What follows is an expression of Python that
must be true. It knows

    ckpt_frames, ckpt_tss, ckpt_iret, ckpt_int, ckpt_switched
                        the instruction at that stop of the tour, or at another program's; way_in
                        is the first way into ring 0, first_iret and second_iret are the ways out
                        before and after it
    steps               every instruction of the recording, in its order
    way                 those from way_in to second_iret, both among them
    between(STOP, STOP) those from one to the other, both among them
    first("lldt", way)  the first of them that begins with this word; of all steps without "way"
    STOP.before, STOP.after
                        the CPU before and after it
    STOP.text           the instruction: "iret"
    STOP.place          where it stands: an offset in the program
    STOP.reads, STOP.writes
                        its memory accesses, each with .at (an offset in the program), .bytes, .value
    same(STOP, "ds es") whether it leaves these registers as they were, with all that
                        the CPU keeps of a segment
    CPU.eax ... CPU.eflags, CPU.cpl
                        a register's value
    CPU.CF ... CPU.VM   a flag: 0 or 1; CPU.IOPL
    CPU.general         the seven general registers that are not esp
    CPU.cs ... CPU.ldtr with .selector .rpl .base .limit .dpl .kind .busy .accessed .writable, and
                        .ldt: whether the selector has TI set, .index: of which entry
    CPU.esp0, CPU.ss0   what the TSS says
    CPU.gdt[N], CPU.idt[N], CPU.ldt[N]
                        a descriptor or gate, with .base .limit .dpl .present .selector .offset .kind
                        .busy .accessed .writable
    .kind               "code", "data", "ldt", "tss", "interrupt gate", "task gate", "nothing"
    CPU.A, CPU.B        a proc's frame, with .gs ... .ss, and its flags as a CPU's: CPU.A.IF;
                        .words has them all, from gs upwards. HWTASK's and HWJUMP's are TSSs:
                        CPU.A.backlink; CPU.ring_0 is the one of ring 0's task
    at("NAME")          an offset in the program, or a selector; "A.start" and "A.end" are
                        those of A's frame
    base                the program's linear address
    box                 the text of the block ("run:") above the claim, its spaces as one; "no
                        error" in box. box.stack has the words of its last print-stack, box.log("fault")
                        its lines of that kind, each a dictionary: box.log("fault")[0]["vector"]

Numbers in the words of a claim, spelled or in digits, must stand in its expression as well, so
that words and expression cannot drift apart: "five words" wants a 5.

A line must not begin with a mark: Markdown would take it for HTML and look at nothing behind it.
And some sentences must have one: "IF is set", "the DPL is 3", "the TSS is busy" (BARE, below).
"""

import dataclasses
import pathlib
import re

from ringside.recorder import record, recording

FLAGS = {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "TF": 8, "IF": 9, "DF": 10, "OF": 11, "NT": 14, "RF": 16,
         "VM": 17, "AC": 18}
IOPL_SHIFT = 12
TI, RPL = 4, 3
ACCESSED, BUSY, WRITABLE, CODE, SEGMENT = 1, 2, 2, 8, 0x10  # of a descriptor's type
KINDS = {0x2: "ldt", 0x5: "task gate", 0x9: "tss", 0xb: "tss", 0xe: "interrupt gate"}  # of system descriptors
GENERAL = ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr")
SPELLED = {word: number for number, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty".split())}
NOT_COUNTED = {"one"}  # in prose it is a pronoun as often as a number
CHINESE = {"零": 0, "一": 1, "兩": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
IDEOGRAPHS = re.compile(r"[\u3000-\u9fff\uff00-\uffef]+")
COUNTED = re.compile(r"(?<!第)([兩二三四五六七八九十])(?=\s*(?:個|次|位元|條|道|筆|格|word|bit|byte))")  # 一個 is "a" as often

HOLDS = re.compile(r"<!-- holds(?: (\w+))?: (.*?) -->(.*?)<!-- end -->", re.S)
# Where a recording of each program begins: late enough to be short, before the first way out.
BEGINNINGS = {"p_proc": "ckpt_frames", "kstack": "leave_ring0", "hwtask": "ckpt_tss", "hwjump": "ckpt_tss",
              "userctx": "run", "timer": "proc_a_code", "callgate": "ckpt_tss",
              "sysenter": "ckpt_spaces"}
BLOCK = re.compile(r"<!-- run: .*?-->(.*?)<!-- end -->", re.S)
MISTAKE = re.compile(r"<!-- mistake: \S+ -->\n\n```text\n.*?\n```\n", re.S)  # tests/test_why.py holds these
# Where Markdown takes a comment for the beginning of a block of HTML, and looks at nothing in it.
BLIND = re.compile(r"^[ >]*(?:[-*+] +|[0-9]+[.)] +)*(<!-- (?:holds\b[^\n]*|end -->))", re.M)
# What is said of a flag, a privilege level, esp0 or a TSS must not stand without a mark.
BARE = re.compile(r"\b(?:IF|DF|NT|TF|IOPL|DPL|CPL|RPL)`? (?:(?:is|was|are) (?:set|clear|[0-3])|[0-3])\b"
                  r"|\besp0`? (?:is|was) the end|\b(?:is|was) \*?(?:busy|available)\b|\b(?:is|are) unchanged"
                  r"|\b(?:IF|DF|NT|TF|IOPL|DPL|CPL|RPL)`? ?(?:是|為|等於) ?[0-3](?!x)")
NUMBER = re.compile(r"\b(?:0x[0-9a-fA-F]+|[0-9]+)\b")
WORD = re.compile(r"STACK \S+ \[0x([0-9a-f]{8})\]")
PAIR = re.compile(r"(\S+?)=(\"[^\"]*\"|\S+)")


class Untrue(Exception):
    """A claim that does not hold, or cannot be understood, with its place."""


@dataclasses.dataclass(frozen=True)
class Claim:
    page: str
    line: int
    expression: str
    words: str
    box: str = ""
    program: str = "p_proc"


class Box(str):
    """What stands in a block of a page."""

    @property
    def stack(self):
        shown = self.rpartition("print-stack")[2]
        return [int(word, 16) for word in WORD.findall(shown)]

    def log(self, kind):
        return [{key: value.strip('"') for key, value in PAIR.findall(line)}
                for line in self.splitlines() if line.startswith(f"{kind} ")]

    def __contains__(self, text):
        return text in re.sub(r"\s+", " ", self)


class Typed:
    """What has the type of a descriptor has its bits by name (Intel, volume 3, sections 3.4.5.1 and 3.5)."""

    @property
    def kind(self):
        if self.type & SEGMENT:
            return "code" if self.type & CODE else "data"
        return KINDS.get(self.type, "nothing")

    @property
    def busy(self):
        return self.kind == "tss" and bool(self.type & BUSY)

    @property
    def accessed(self):
        return self.kind in ("code", "data") and bool(self.type & ACCESSED)

    @property
    def writable(self):
        return self.kind == "data" and bool(self.type & WRITABLE)


@dataclasses.dataclass(frozen=True)
class Selector:
    selector: int

    @property
    def rpl(self):
        return self.selector & RPL

    @property
    def ldt(self):
        return bool(self.selector & TI)

    @property
    def index(self):
        return self.selector >> 3


@dataclasses.dataclass(frozen=True)
class Segment(Selector, Typed):
    base: int
    limit: int
    dpl: int
    type: int


class Entry(Typed):
    """A row of the GDT, of an LDT or of the IDT (Intel, volume 3, sections 3.4.5 and 6.11)."""

    def __init__(self, raw):
        number = int(raw, 16)
        self.base = number >> 16 & 0xffffff | number >> 56 << 24
        self.limit = number & 0xffff | number >> 32 & 0xf0000
        self.dpl = number >> 45 & 3
        self.present = bool(number >> 47 & 1)
        self.type = number >> 40 & 0x1f
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
        self.words = words
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
            setattr(self, letter.replace(" ", "_"), Frame(frames[letter]["words"], words))
        self.general = [state[name] for name in GENERAL]


@dataclasses.dataclass(frozen=True)
class Access:
    at: int
    bytes: int
    value: int


class Stop:
    def __init__(self, run, before, step, after):
        self.before, self.after = Cpu(before, run.frames), Cpu(after, run.frames)
        self.text = step["text"]
        self.place = run.place(before)
        accesses = step["accesses"] or ()
        self.reads, self.writes = ([Access(linear - run.base, size, value)
                                    for kind, linear, size, value in accesses if kind == wanted]
                                   for wanted in ("read", "write"))


class Run:
    """A recording of any program, from its first instruction to the other proc's."""

    def __init__(self, recorded):
        self.base, self.symbols, self.frames = recorded["base"], recorded["symbols"], recorded["frames"]
        self.steps = list(recording.walk(recorded))
        self.labels = {offset: name for name, offset in self.symbols.items() if name.startswith("ckpt_")}

    def place(self, state):
        return state["cs"]["base"] + state["eip"] - self.base


def recorded_names(program):
    """What an expression may name that is about this program."""
    return names_of(Run(record.record("bochs", program=program, start=BEGINNINGS[program], switches=1)))


def program_of(page):
    """Which program a page is about."""
    room = pathlib.Path(page).resolve().parent
    return room.name if room.parent.name == "programs" else "p_proc"


def names_of(run):
    """What an expression may name, made of a recording."""
    steps = [Stop(run, *step[1:]) for step in run.steps]
    names = {run.labels[step.place]: step for step in reversed(steps) if step.place in run.labels}
    inwards = next(number for number, step in enumerate(steps) if step.before.cpl > step.after.cpl)
    outwards = [number for number, step in enumerate(steps) if step.before.cpl < step.after.cpl]
    names["way_in"] = steps[inwards]
    names |= {"first_iret": steps[number] for number in outwards[:1] if number < inwards}
    names |= {"second_iret": next(steps[number] for number in outwards if number > inwards)}

    def between(start, end):
        return steps[steps.index(start):steps.index(end) + 1]

    def first(word, among=steps):
        return next(step for step in among if step.text.split()[0] == word)

    def same(stop, registers):
        return all(getattr(stop.before, name) == getattr(stop.after, name) for name in registers.split())

    def at(name):
        letter, _, what = name.partition(".")
        if what in ("start", "end"):
            frame = run.frames[letter]
            return frame["offset"] + (4 * len(frame["words"]) if what == "end" else 0)
        return run.symbols[name]
    return {**names, "steps": steps, "way": between(names["way_in"], names["second_iret"]), "between": between,
            "first": first, "same": same, "at": at, "base": run.base,
            "int": int, "len": len, "all": all, "any": any, "set": set, "sum": sum, "sorted": sorted, "range": range}


def claims_of(page, text):
    boxes = list(BLOCK.finditer(text))
    for match in HOLDS.finditer(text):
        program, expression, words = match.groups()
        if "<!--" in words:
            raise Untrue(f"{page}: a claim without its end: <!-- holds: {expression} -->")
        above = [box[1] for box in boxes if box.end() < match.start() and "\n" in box[1]]
        yield Claim(str(page), text.count("\n", 0, match.start()) + 1, " ".join(expression.split()), words,
                    above[-1] if above else "", program or program_of(page))
    if lost := re.search(r"<!-- holds\b[^\n]*", HOLDS.sub("", text)):
        raise Untrue(f"{page}: a claim without its end: {lost[0]}")
    prose = BLOCK.sub(lambda block: re.sub(r"[^\n]", "", block[0]), text)
    if blind := BLIND.search(prose):
        line = prose.count("\n", 0, blind.start(1)) + 1
        raise Untrue(f"{page}:{line}: a line must not begin with {blind[1]}: Markdown would not look into it")


def bare_claims(page, text):
    """What is said of sentences that say what a value is, and have no mark that holds it."""
    prose = text
    for marked in (BLOCK, MISTAKE, HOLDS, re.compile(r"^#.*", re.M), re.compile(r"(?<=\n\n)(?:    .*\n)+")):
        prose = marked.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), prose)
    return [f"{page}:{prose.count(chr(10), 0, found.start()) + 1}: \"{' '.join(found[0].split())}\" has no mark: "
            f"<!-- holds: EXPRESSION -->" for found in BARE.finditer(prose)]


def numbers_in_words(words):
    """Each number that the words say, as text and value."""
    for word in COUNTED.findall(words):
        yield word, {CHINESE[word]}
    for word in re.findall(r"[\w.]+", IDEOGRAPHS.sub(" ", words.replace("`", " "))):
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
    there = {int(number, 16 if number[:2] == "0x" else 10) for number in NUMBER.findall(claim.expression)}
    for word, values in numbers_in_words(claim.words):
        if not values & there:
            raise Untrue(f"{where} says {word}, but its expression does not: {claim.expression}")
    try:
        # The pages are the project's own: an expression may be trusted, and gets no builtins all the same.
        # All names are global ones: a generator inside the expression sees no others.
        held = eval(claim.expression, {**names, "box": Box(claim.box), "__builtins__": {}})
    except (SyntaxError, NameError, AttributeError, LookupError, TypeError, StopIteration) as error:
        raise Untrue(f"{where}: cannot evaluate {claim.expression}: {error}") from None
    if held is not True:
        raise Untrue(f"{where} does not hold: {claim.expression} is {held}")

"""Two recordings of the same run, one of each emulator: what is not the same in both.

    made = compare.Comparison(bochs, qemu)
    made.steps, made.fields     how many were compared
    made.differences            those that ALLOWED does not allow
    made.uses                   how often each entry of ALLOWED was needed
    made.dead()                 entries that never were: no excuse without a need

Compared is every field of ringside/recorder/recording.py that both have: all but the accesses, which
QEMU does not tell. As soon as the two take different ways, comparing ends.
"""

import collections
from collections.abc import Callable
import dataclasses
import functools
import re
from typing import Any, NamedTuple

from ringside.emulators import registers
from ringside.recorder import recording
from ringside.judge.facts import ACCESSED, AF, ALL, CF, OF, PE, PF, RF, SF, ZF
from ringside.judge.states import parts
from ringside.recorder.recording import Recording, State, Step, Walked
from ringside.emulators import versions

STEP_FIELDS = ("symbol", "bytes", "text", "source", "repeats", "folded", "interrupt")
COURSE = ("eip", "cs.selector", "cpl", *STEP_FIELDS)  # once these differ, all does


@dataclasses.dataclass(frozen=True)
class Allowed:
    """Bits of a field in which Bochs and QEMU may differ."""
    name: str
    fields: str             # regular expression
    bits: Callable[["Pair", str], int]  # (the pair, field) -> those bits, now
    reason: str
    only: str = ""          # where that row of ringside/emulators/versions.py holds; everywhere without one


@dataclasses.dataclass(frozen=True)
class Difference:
    number: int             # of the step behind which it was found; -1: before the first
    field: str
    bochs: object
    qemu: object

    def __str__(self) -> str:
        return f"{self.field}: Bochs {show(self.bochs)}, QEMU {show(self.qemu)}"


def show(value: Any) -> str:
    return f"{value:#x}" if type(value) is int else str(value)


# ---- what may differ ------------------------------------------------------------------

CD_NW = 3 << 29     # cr0: the caches
# In type and attributes:
SET = 1             # the accessed bit
EXECUTABLE = 8      # code, and not data
BUSY = 2            # of a TSS
ACCESSED_PAGE, DIRTY_PAGE = 0x20, 0x40      # of an entry of a page table
MEMORY = 0x10       # code or data, and not a system segment

DEPTH = 512         # bytes of stack: what folded calls, and interrupts of the BIOS, may use
TIME = {"eax": 0xFFFF, "eflags": CF | PF | AF | ZF | SF | OF}   # what is made of two digits


def is_null(pair: "Pair", field: str) -> bool:
    """A null selector, loaded in protected mode."""
    return all(state["cr0"] & PE and state[field.partition(".")[0]]["selector"] & ~3 == 0 for state in pair.now)


def of_real_mode(pair: "Pair", field: str) -> bool:
    """A segment register as real mode loads it."""
    return all(segment["base"] == segment["selector"] << 4
               for segment in (state[field.partition(".")[0]] for state in pair.now))


def accessed(pair: "Pair", field: str) -> int:
    """Of a code segment, or of any that a task switch has loaded, the bit is set in Bochs and
    clear in QEMU."""
    bochs, qemu = (pair.value(state, field) for state in pair.now)
    name, _, key = field.partition(".")
    in_table = name in ("gdt", "ldt")
    where, code = (ACCESSED, 0x18 << 40) if in_table else (SET, 0x18)
    row = field if in_table else row_of(pair.now[0][name]["selector"])
    return where if (bochs & code == code or row in pair.loaded_by_task) and bochs & ~qemu & where else 0


def row_of(selector: int) -> str:
    return f"{'ldt' if selector & 4 else 'gdt'}.{selector >> 3}"


ALLOWED = (
    Allowed("left by the BIOS", "|".join(registers.GENERAL), lambda pair, field: pair.left.get(field, 0),
            "two BIOSes leave different things in registers, and in the masks of the interrupt controllers, until the "
            "program first writes there; or when it has saved them and takes them back"),
    Allowed("saved from the BIOS", r"(stack|frames\.ring 0)\.\d+", lambda pair, field: ALL * pair.is_copy(field),
            "the program, or a task switch, saves a register in which there still is what the BIOS left"),
    Allowed("never written", r"stack\.\d+", lambda pair, field: pair.not_settled(field),
            "below and above the stack lies what no recorded instruction wrote, but the loader, a folded call, or an "
            "interrupt while many instructions were one step"),
    Allowed("GDTR before lgdt", r"gdtr\.(base|limit)", lambda pair, field: 0 if "lgdt" in pair.executed else ALL,
            "Bochs' BIOS leaves a GDT of its own behind, QEMU's does not"),
    Allowed("caches", "cr0", lambda pair, field: CD_NW,
            "Bochs' BIOS leaves the caches off, QEMU's switches them on; this has to do with no ring"),
    Allowed("caches, read", "e[a-d]x", lambda pair, field: pair.cr0_read.get(field, 0),
            "these bits of cr0 lie in the register that cr0 was read into"),
    Allowed("the time", "eax|eflags", lambda pair, field: pair.time.get(field, 0),
            "the two have clocks of their own: what is read from them, and what is made of that in ax and the flags, "
            "until they agree again"),
    Allowed("code in real mode", r"cs\.(type|attributes)", lambda pair, field: EXECUTABLE * of_real_mode(pair, field),
            "in real mode no descriptor says what cs is: Bochs has data there, QEMU code"),
    Allowed("accessed bit", r"[c-gs]s\.(type|attributes)|[gl]dt\.\d+", accessed,
            "QEMU does not set it when int, iret or a far jump loads cs, nor in a task switch"),
    Allowed("busy bit of TR", r"tr\.(type|attributes)", lambda pair, field: BUSY,
            "QEMU fills TR's hidden part before it sets the busy bit"),
    Allowed("null selector", r"[d-g]s\.(type|attributes)", lambda pair, field: MEMORY * is_null(pair, field),
            "what the hidden part of a register says is not laid down while its selector is null"),
    Allowed("no LDT", r"ldtr\.(base|limit|type|attributes)", lambda pair, field: ALL * is_null(pair, field),
            "what LDTR's hidden part says is not laid down while there is no LDT"),
    Allowed("accessed and dirty pages", r"pages\..*", lambda pair, field: ACCESSED_PAGE | DIRTY_PAGE,
            "QEMU looks for a page when it translates code, Bochs when the code runs; each sets these bits then"),
    Allowed("RF of an interrupt", r"eflags|(stack|frames\..*)\.\d+", lambda pair, field: RF if pair.interrupted else 0,
            "QEMU pushes RF set when the hardware interrupts, and so iret brings it back", "qemu-pushes-rf"),
)


def here() -> list[Allowed]:
    """What may differ with the versions at hand."""
    return [entry for entry in ALLOWED if not entry.only or versions.holds(entry.only)]


@functools.lru_cache(None)
def allowed(field: str) -> list[Allowed]:
    return [entry for entry in here() if re.fullmatch(entry.fields, field)]


# ---- both machines, and what of the past matters --------------------------------------

class Both(NamedTuple):
    """What the two machines have."""
    bochs: State
    qemu: State


class Pair:
    """Both machines as they run, and what of the past matters."""

    def __init__(self, bochs: State, qemu: State) -> None:
        self.now = Both(bochs, qemu)
        self.left: dict[str, int] = {name: bochs[name] ^ qemu[name] for name in registers.GENERAL}
        self.copies: set[tuple[int, ...]] = set()   # what the two had in a register, while it was left over
        self.cr0_read: dict[str, int] = {}  # general register -> bits that may differ
        self.time: dict[str, int] = {}      # eax and eflags -> bits that may differ
        self.settled: set[int] = set()      # linear addresses of bytes that can only differ by mistake
        self.executed: set[str] = set()     # mnemonics, of tables
        self.loaded_by_task: set[str] = set()   # rows of tables
        self.interrupted: bool = False  # by the hardware, once or more
        self.look_at_stack(None, 0)

    def value(self, state: State, field: str) -> int:
        return parts(field.partition(".")[0], state[field.partition(".")[0]])[field]

    def step(self, step: Step, bochs: State, qemu: State) -> None:
        """Both have taken a step; the accesses are those of Bochs."""
        old, self.now = self.now, Both(bochs, qemu)
        self.interrupted |= "interrupt" in step
        self.copies.update((old[0][name], old[1][name]) for name, bits in self.left.items() if bits)
        for bits in (self.left, self.cr0_read):
            for name in [name for name in bits if bits[name]]:
                bits[name] &= bochs[name] ^ qemu[name]      # until they agree
                for before, after in zip(old, self.now):    # or are written
                    bits[name] &= ~(before[name] ^ after[name])
        back = re.match(r"pop %(e\w\w)$", step["text"])
        switched = bochs["tr"]["selector"] != old[0]["tr"]["selector"] != 0     # not by ltr
        if switched:
            self.loaded_by_task.update(row_of(bochs[name]["selector"]) for name in registers.SEGMENTS)
        all_back = switched or step["text"] == "popa"
        for name in back.groups() if back else registers.GENERAL if all_back else ():
            if (bochs[name], qemu[name]) in self.copies:
                self.left[name] = bochs[name] ^ qemu[name]
        if step["text"] in ("in $0x21,%al", "in $0xa1,%al"):
            self.left["eax"] |= (bochs["eax"] ^ qemu["eax"]) & 0xFF
        if step["text"] == "int $0x10" and versions.holds("bochs-bios-edx"):
            self.left["edx"] |= bochs["edx"] ^ qemu["edx"]
        if read := re.match(r"mov %cr0,%(\w+)$", step["text"]):
            self.cr0_read[read[1]] = CD_NW
        self.time = {name: bits for name, bits in self.time.items() if bochs[name] != qemu[name]}
        if step["text"] == "in $0x71,%al":
            self.time["eax"] = self.time.get("eax", 0) | 0xFF
        elif "eax" in self.time:
            self.time.update(TIME)
        self.executed.update(re.findall("^l[gil]dt", step["text"]))
        for kind, linear, size, _ in step["accesses"] or ():
            if kind == "write":
                self.settled.update(range(linear, linear + size))
        used = 0  # from there on, the stack is the recorded instructions' alone
        if step["accesses"] is None:
            used = min(map(address_of_esp, old))
            self.settled.difference_update(range(used - DEPTH, used))
        self.look_at_stack(old, used)

    def look_at_stack(self, old: Both | None, used: int) -> None:
        """What agrees is settled; and what has changed."""
        words = [state["stack"] for state in self.now]
        first = words[0]["linear"]
        if words[0] == words[1]:
            self.settled.update(range(first, first + 4 * len(words[0]["words"])))
            return
        stacks = [bytes_of(word) for word in words]
        before = [bytes_of(state["stack"]) for state in old or ()]
        for linear, byte in stacks[0].items():
            changed = linear >= used and any(one.get(linear, other.get(linear)) != other.get(linear)
                                             for one, other in zip(before, stacks))
            if changed or byte == stacks[1].get(linear):
                self.settled.add(linear)

    def is_copy(self, field: str) -> bool:
        return tuple(self.value(state, field) for state in self.now) in self.copies

    def not_settled(self, field: str) -> int:
        """Bits of a word of the stack."""
        linear = self.now[0]["stack"]["linear"] + 4 * int(field.partition(".")[2])
        return sum(0xFF << 8 * i for i in range(4) if linear + i not in self.settled)


def bytes_of(stack: dict[str, Any]) -> dict[int, int]:
    """{linear address: byte}"""
    raw = b"".join(word.to_bytes(4, "little") for word in stack["words"])
    return dict(enumerate(raw, stack["linear"]))


def address_of_esp(state: State) -> int:
    return int(state["ss"]["base"] + (state["esp"] if state["ss"]["attributes"] & 0x4000 else state["esp"] & 0xFFFF))


# ---- the comparison -------------------------------------------------------------------

class Comparison:
    """What is the same in two recordings of a run, and what is not."""

    def __init__(self, bochs: Recording, qemu: Recording) -> None:
        self.steps = self.fields = 0
        self.differences: list[Difference] = []
        self.uses: collections.Counter[str] = collections.Counter()
        for name in ("program", "base", "symbols"):
            self.same(-1, name, bochs[name], qemu[name])
        self.pair = Pair(bochs["state"], qemu["state"])
        self.compare_states(-1)
        for one, other in zip(recording.walk(bochs), recording.walk(qemu)):
            if any(difference.field in COURSE for difference in self.differences):
                return
            self.compare_step(one, other)
        self.same(self.steps, "steps", len(bochs["steps"]), len(qemu["steps"]))

    def dead(self) -> list[Allowed]:
        return [entry for entry in here() if not self.uses[entry.name]]

    def compare_step(self, one: Walked, other: Walked) -> None:
        number, _, step, bochs = one
        _, _, other_step, qemu = other
        self.steps += 1
        for name in STEP_FIELDS:
            self.same(number, name, step.get(name), other_step.get(name))
        self.pair.step(step, bochs, qemu)
        self.compare_states(number)

    def compare_states(self, number: int) -> None:
        bochs, qemu = self.pair.now
        for key in bochs:
            if bochs[key] == qemu[key]:
                self.fields += count(key, bochs[key])
            else:
                ones, others = parts(key, bochs[key]), parts(key, qemu[key])
                # Which entries of page tables are recorded depends on the accesses, which QEMU does not tell.
                for field in ones.keys() & others.keys() if key == "pages" else {**ones, **others}:
                    self.same(number, field, ones.get(field), others.get(field))

    def same(self, number: int, field: str, one: Any, other: Any) -> None:
        self.fields += 1
        if one == other:
            return
        if type(one) is int and type(other) is int:
            left = one ^ other
            for entry in allowed(field):
                bits = left & entry.bits(self.pair, field)
                self.uses[entry.name] += bits != 0
                left &= ~bits
            if left == 0:
                return
        self.differences.append(Difference(number, field, one, other))


def count(key: str, value: Any) -> int:
    """Fields of an entry of a state."""
    if key == "stack":
        return 1 + len(value["words"])
    if key == "frames":
        return sum(map(len, value.values()))
    return len(value) if type(value) in (dict, list) else 1

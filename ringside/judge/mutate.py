"""A judge that cannot fail is worthless: changes recordings, and sees whether it notices.

    report = mutate.Report()
    mutate.recording(made, report)
    report.problems()       what went unnoticed, was never changed, or never found anything

One thing at a time is changed at a step that the judge found nothing at:

    after       each field of the state after it that the judge compared
    before      each field of the state before it that the model relied on, as if the
                recording had been like that all along: where the step leaves it alone,
                it is changed after the step as well
    bound       a limit or a DPL that was merely enough: now it is not
    access      each part of each memory access; one left out, one more, two swapped
    walk        the same of entries of page tables
    bytes       each bit of the instruction
    twice       memory that the recording holds twice, in one of the two places
    interrupt   of an interrupt: the vector; what is behind it; that it is one

A change is caught if there is a finding. BENIGN, below, has the changes that no judge can
find, since the CPU would do the same. Each rule must have found something in the end,
each field of a state must have been changed, and each entry of BENIGN needed.
"""

import collections
from collections.abc import Callable, Iterator
import dataclasses

from ringside.emulators import registers, versions
from ringside.judge import judge
from ringside.recorder import recording as recordings
from ringside.judge.cpu import Cpu
from ringside.judge.facts import IF, PE, RF, VM
from ringside.judge.states import flat, Layout, Values
from ringside.judge.decode import SEGMENTS
from ringside.recorder.pages import ACCESSED, DIRTY, LARGE, PAGE, PG, PRESENT, USER
from ringside.judge.rules import RULES, exempt, otherwise
from ringside.recorder.recording import Access, Recording, State

# Which bits of a field are changed, of those that count.
BITS = (0, 1, 2, 5, 7, 12, 15, 16, 22, 31, 40, 43, 44, 45, 47, 54, 55, 63)
FLAGS = (0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21)
CONTROL = (0, 1, 2, 3, 4, 5, 16, 18, 29, 30, 31)
KEPT_EVERY = 7  # words of memory that the step leaves alone: each, at one step of so many

# Instead of an interrupt; and in front of one.
INSTRUCTIONS = {"": "?", "90": "nop", "cd20": "int $0x20", "cf": "iret", "ebfe": "jmp 0"}
KEEP_AWAY = {"17": "pop %ss", "8ed0": "mov %eax,%ss", "fb": "sti"}

HALF, TOP_BIT, OTHER_VALUE, WRITTEN = "of half the size", "with another top bit", "with another value", "a write"


@dataclasses.dataclass
class Change:
    kind: str
    what: str
    field: str | None = None    # before
    bit: int = 0
    access: Access | None = None  # as it was


# ---- what no judge can find -----------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Benign:
    kinds: tuple[str, ...]
    holds: Callable[["Step", Change, judge.Verdict], bool]  # (the step, the change, the verdict then)
    reason: str


def refused_alike(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return bool(step.verdict.refused) and verdict.kind == step.verdict.kind


def read_before_refusal(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return bool(step.verdict.refused and change.access and change.access[0] == "read")


def pushed_before_refusal(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return bool(change.access and change.access[0] == "write" and change.access[1] in step.cpu.refused_words
                and exempt(step.layout.emulator, "stack-room", "written"))


def above_selector(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    access = change.access
    return access is not None and change.what.endswith((HALF, TOP_BIT)) and any(
        access[:3] == ["read", linear, room] and (size, room) == (2, 4)
        for linear, size, room, *_ in step.cpu.reads)


def mark_in_parts(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    """Half of it at first; or, before it is written, what was there."""
    access = change.access
    if not access:
        return False
    return change.what.endswith(HALF if access[0] == "write" else WRITTEN) and any(
        mark.linear <= access[1] < mark.linear + 8 for mark in step.cpu.marked)


def read_more_than_once(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    if not change.access or change.access[0] == "write":
        return False
    _, place, size, _ = change.access

    def overlaps(linear: int, length: int) -> bool:
        return bool(linear < place + size and place < linear + length)

    others = sum(kind == "read" and overlaps(linear, length) for kind, linear, length, _ in step.step["accesses"]) - 1
    return others > 0 or any(not read.must and overlaps(read.linear, read.size) for read in step.cpu.reads)


def offset_of_a_task(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    word = step.linear_of(change.field) if change.field else None
    place = change.access[1] if change.access else word[0] if word else None
    return step.cpu.in_new_task and any(
        read.linear == place and read.rule == "far-operand" for read in step.cpu.reads)


def saved_in_another_order(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return (change.access is not None and change.what.endswith("swapped")
            and any(word.linear == change.access[1] for word in step.cpu.saved))


def null_either_way(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    loaded = [name for name in SEGMENTS if f"{name}.selector" in step.cpu.expected]
    return change.field == "cr0" and change.bit == PE and [step.after[f"{name}.selector"] for name in loaded] == [0]


def real_either_way(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "cr0" and change.bit == PE and bool(step.before["eflags"] & VM)


def ldt_elsewhere(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "ldtr.base" and step.step["accesses"] is None


def operand_elsewhere(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return (change.field is not None and change.field.endswith((".base", *registers.GENERAL))
            and verdict.cpu is not None and verdict.cpu.believed
            and step.step["accesses"] is None)


def map_not_shown(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind in ("in", "out") and change.field == "eflags" and step.step["accesses"] is None


def other_ports(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind in ("in", "out") and change.access is not None and change.what.endswith((OTHER_VALUE, TOP_BIT))


def nothing_to_divide(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind == "div" and step.before["eax"] == step.before["edx"] == 0


def lost_alike(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return step.cpu.lost and verdict.cpu is not None and str(verdict.cpu.fault) == str(step.cpu.fault)


def trap_or_interrupt(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return (change.field in step.layout.idt and change.bit == 1 << 40 and not step.before["eflags"] & IF
            and step.step["accesses"] is None)


def from_the_tlb(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return change.what.startswith("read") and change.what.endswith("not there")


def paging_unseen(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "cr0" and change.bit == PG and "walks" not in step.step


def large_or_not(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return (change.field is not None and change.field.startswith("pages.") and change.bit == LARGE
            and step.step["accesses"] is None)


def gate_of_16_bits(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return (verdict.kind is not None and verdict.kind.startswith("ljmp") and change.bit == 1 << 43
            and step.step["accesses"] is None)


def rf_of_an_interrupt(step: "Step", change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "eflags" and change.bit == RF and verdict.kind.startswith("interrupt")


BENIGN = (
    Benign(("before",), trap_or_interrupt,
           "while IF is clear, a trap gate and an interrupt gate are the same (where no accesses show the gate)"),
    Benign(("before",), ldt_elsewhere,
           "where no accesses show its place, an LDT that lay elsewhere all along is the same; lldt finds it out"),
    Benign(("before",), operand_elsewhere,
           "where no accesses show its place, what was loaded may have lain elsewhere"),
    Benign(("bound",), map_not_shown,
           "where no accesses show the I/O map, a port may be open by it or by IOPL"),
    Benign(("before",), nothing_to_divide,
           "0 divided by anything is 0"),
    Benign(("before",), null_either_way,
           "a null selector loads alike in real mode and in protected mode, if the base was 0"),
    Benign(("before", "bound", "bytes"), refused_alike,
           "it is refused with the same exception: for another reason, or what has changed is not asked for"),
    Benign(("before", "after", "bytes"), lost_alike,
           "the registers of a task that QEMU has not got into belong to no task"),
    Benign(("access",), read_before_refusal,
           "how much an instruction reads before it is refused is not laid down"),
    Benign(("access",), pushed_before_refusal,
           "how much was pushed before there was no room any more is not laid down"),
    Benign(("access",), other_ports,
           "the two bytes that are read of the I/O map have bits for other ports, too"),
    Benign(("access",), above_selector,
           "no CPU looks at the upper half of the word that a selector is popped from"),
    Benign(("access",), mark_in_parts,
           "in how many pieces a descriptor is written to change its accessed or busy bit is not laid down"),
    Benign(("access",), read_more_than_once,
           "how often the same memory is read is not laid down, nor whether a busy bit is read to be cleared"),
    Benign(("access", "before"), offset_of_a_task,
           "the offset of a far pointer to a task is of no consequence"),
    Benign(("before",), paging_unseen,
           "where no walks are seen, and translations lead where they would without paging, it may be off"),
    Benign(("before",), large_or_not,
           "where no walks show the entry, a large page that allows the same is the same"),
    Benign(("before",), gate_of_16_bits,
           "where no accesses show the gate, a jmp by a 16-bit gate is the same"),
    Benign(("before",), real_either_way,
           "a segment loads alike in real mode and in virtual-8086 mode"),
    Benign(("walk",), from_the_tlb,
           "an entry that is not read may come from the TLB"),
    Benign(("access",), saved_in_another_order,
           "in which order a task is saved is not laid down"),
    *([Benign(("before",), rf_of_an_interrupt,
              "QEMU pushes RF set when the hardware interrupts, whatever it was")]
      if versions.holds("qemu-pushes-rf") else []),
)


# ---- the changes ----------------------------------------------------------------------

class Report:
    """What has become of the changes; one of so many is made."""

    def __init__(self, one_of: int = 1) -> None:
        self.one_of, self.thought_of = one_of, 0
        self.checked: collections.Counter[str] = collections.Counter()    # rule -> facts
        self.found: collections.Counter[str] = collections.Counter()      # rule -> changes that made it find something
        self.changed: collections.Counter[str] = collections.Counter()    # kind of change -> how many
        self.benign: collections.Counter[str] = collections.Counter()     # reason -> how many
        self.fields: set[str] = set()           # of states, seen
        self.changed_fields: set[str] = set()
        self.unnoticed: list[str] = []

    def total(self) -> int:
        return sum(self.changed.values())

    def caught(self) -> int:
        return self.total() - sum(self.benign.values()) - len(self.unnoticed)

    def is_due(self, kind: str) -> bool:
        self.thought_of += 1
        due = self.thought_of % self.one_of == 0
        self.changed[kind] += due
        return due

    def problems(self) -> Iterator[str]:
        yield from self.unnoticed
        for rule in RULES:
            if not self.found[rule]:
                yield f"rule {rule} never found anything ({self.checked[rule]} facts)"
        for field in sorted(self.fields - self.changed_fields):
            yield f"field {field} was never changed"
        for entry in BENIGN:
            if not self.benign[entry.reason]:
                yield f"nothing is benign because {entry.reason}"


def recording(made: Recording, report: Report, steps_of_a_kind: int = 1) -> None:
    """Changes the first steps of each kind."""
    layout = Layout(made)
    seen: collections.Counter[tuple[str, str | None]] = collections.Counter()
    walk = recordings.walk(made)
    previous: recordings.Step | None = None
    for number, verdict in judge.verdicts(made):
        _, before, step, after = next(walk)
        for fact in verdict.facts:
            report.checked[fact.rule] += 1
        kind = verdict.kind, verdict.refused
        if seen[kind] < steps_of_a_kind and not verdict.findings:
            seen[kind] += 1
            Step(layout, number, before, step, after, verdict, report, previous).change_all()
        previous = step


class Step:
    def __init__(self, layout: Layout, number: int, before: State, step: recordings.Step, after: State,
                 verdict: judge.Verdict, report: Report, previous: recordings.Step | None) -> None:
        self.layout, self.number, self.report, self.previous = layout, number, report, previous
        self.before, self.step, self.after = flat(before), step, flat(after)
        if verdict.cpu:
            self.before, self.after = verdict.cpu.before, verdict.cpu.after     # with what the judge knows besides
        self.verdict = verdict
        self.place = f"{layout.emulator}, step {number}, {step['symbol']}: {step['text']} ({verdict.kind})"
        report.fields.update(self.before)

    @property
    def cpu(self) -> Cpu:
        """What the model made of the step, which it was asked about."""
        assert self.verdict.cpu
        return self.verdict.cpu

    def change_all(self) -> None:
        if self.verdict.cpu is None:
            self.change_other()
            return
        if "ended" in self.step:
            self.attempt(Change("after", "goes on"), step={key: value for key, value in self.step.items() if key != "ended"})
            return
        self.change_after()
        self.change_before()
        self.change_bounds()
        if self.cpu.expected or self.verdict.refused:   # else it was not the judge's business after all
            self.change_accesses()
            self.change_walks()
        self.change_bytes()
        self.change_one_of_two()
        if "interrupt" in self.step:
            self.change_interrupt()

    def attempt(self, change: Change, before: Values | None = None, step: recordings.Step | None = None,
                after: Values | None = None, previous: recordings.Step | None = None) -> None:
        """Judges the step with a change."""
        if not self.report.is_due(change.kind):
            return
        verdict = judge.judge(self.layout, before or self.before, step or self.step, after or self.after,
                              previous or self.previous)
        self.note(change, verdict)

    def note(self, change: Change, verdict: judge.Verdict | None) -> None:
        findings = verdict.findings if verdict else []
        self.report.found.update({finding.rule for finding in findings})
        if findings:
            return
        for entry in BENIGN:
            if change.kind in entry.kinds and verdict and entry.holds(self, change, verdict):
                self.report.benign[entry.reason] += 1
                return
        self.report.unnoticed.append(f"{self.place}: not noticed: {change.kind}: {change.what}")

    # ---- the kinds of change

    def change_other(self) -> None:
        """An instruction that is none of the judge's business, and yet changes a ring."""
        if "folded" in self.step or "gap" in self.step:
            return
        for name in judge.PRIVATE:
            if self.report.is_due("after"):
                step = {**self.step, "changes": {**self.step["changes"], name: None}}
                self.note(Change("after", f"a new {name}"), judge.untouched(step))

    def change_after(self) -> None:
        kept = 0
        for field, mask in self.cpu.compared.items():
            if field.startswith(judge.MEMORY) and self.before.get(field) == self.after[field]:
                kept += 1
                if (kept + self.number) % KEPT_EVERY:
                    continue
                mask &= -mask
            self.report.changed_fields.add(field)
            for bit in bits_of(field, mask):
                self.attempt(Change("after", f"{field} ^ {bit:#x}"), after={**self.after, field: self.after[field] ^ bit})
        self.change_course()

    def change_course(self) -> None:
        """As if some other gate had been gone through."""
        for vector in (0, 6, 13):
            gate = self.before[f"idt.{vector}"]
            offset = gate & 0xFFFF | gate >> 48 << 16
            if self.verdict.crossing and offset != self.after["eip"]:
                after = {**self.after, "eip": offset, "cs.selector": gate >> 16 & 0xFFFF}
                self.attempt(Change("after", f"goes through gate {vector}"), after=after)

    def change_before(self) -> None:
        for field, mask in self.cpu.exact.items():
            for bit in bits_of(field, mask):
                self.attempt(Change("before", f"{field} ^ {bit:#x}", field, bit),
                             *self.all_along(field, self.before[field] ^ bit))

    def change_bounds(self) -> None:
        for rule, field, mask, wrong in self.cpu.bounds:
            if not otherwise(self.layout.emulator, rule):
                value = self.before[field] & ~mask | wrong
                self.attempt(Change("bound", f"{field} = {value:#x}, for {rule}", field), *self.all_along(field, value))

    def all_along(self, field: str, value: int) -> tuple[Values, recordings.Step, Values]:
        """States before and after; the step between them."""
        before, after = dict(self.before), dict(self.after)
        for name in self.names_of(field):
            before[name] = value
        for name in self.names_of(field, self.after):
            if self.after[name] == self.before[field]:
                after[name] = value
        return before, self.step, after

    def names_of(self, field: str, state: Values | None = None) -> list[str]:
        """The fields for the memory of a field, wherever it is recorded with as many bytes."""
        values = state or self.before
        if not (word := self.linear_of(field)):
            return [field]
        linear, unit = word
        return [fields[(linear - start) // size] for start, size, fields in self.layout.regions(values)
                if size == unit and start <= linear < start + size * len(fields) and (linear - start) % size == 0]

    def linear_of(self, field: str) -> tuple[int, int] | None:
        if field.startswith(judge.MEMORY):
            for start, unit, fields in self.layout.regions(self.before):
                if field in fields:
                    return start + unit * fields.index(field), unit
        return None

    def change_accesses(self) -> None:
        if self.step["accesses"] is None:
            return
        accesses = self.step["accesses"]
        for place, access in enumerate(accesses):
            kind, linear, size, value = access
            other = "read" if kind == "write" else "write"
            top = 1 << 8 * size - 1
            half = [[kind, linear, size // 2, value & (1 << 4 * size) - 1]] if size > 1 else []
            for what, instead in ((f"a {other}", [[other, linear, size, value]]),
                                  ("not there", []),
                                  ("elsewhere", [[kind, linear ^ 8, size, value]]),
                                  ("one byte on", [[kind, linear + 1, size, value]]),
                                  (HALF, half),
                                  (OTHER_VALUE, [[kind, linear, size, value ^ 1]]),
                                  (TOP_BIT, [[kind, linear, size, value ^ top]])):
                self.attempt_accesses(f"{kind} of {size} bytes at {linear:#x} {what}",
                                      accesses[:place] + instead + accesses[place + 1:], access)
            if kind == "write" and place and accesses[place - 1][0] == "write" and accesses[place - 1][2] == size:
                self.attempt_accesses(f"writes {place - 1} and {place} swapped",
                                      accesses[:place - 1] + [access, accesses[place - 1]] + accesses[place + 1:], access)
        for kind in ("read", "write"):
            self.attempt_accesses(f"one more {kind}", accesses + [[kind, 0x500, 4, 0]])

    def attempt_accesses(self, what: str, accesses: list[Access], was: Access | None = None) -> None:
        self.attempt(Change("access", what, access=was), step={**self.step, "accesses": accesses})

    def change_walks(self) -> None:
        walks = self.step.get("walks", [])
        for place, (kind, physical, size, value) in enumerate(walks):
            for what, instead in (("not there", []),
                                  ("elsewhere", [[kind, physical ^ 8, size, value]]),
                                  (HALF, [[kind, physical, size // 2, value]]),
                                  *(("with another bit", [[kind, physical, size, value ^ bit]])
                                    for bit in (PRESENT, USER, ACCESSED, DIRTY, PAGE))):
                self.attempt(Change("walk", f"{kind} of the entry at {physical:#x} {what}"),
                             step={**self.step, "walks": walks[:place] + instead + walks[place + 1:]})
        if walks:
            for kind in ("read", "write"):
                self.attempt(Change("walk", f"one more {kind}"), step={**self.step, "walks": walks + [[kind, 0x500, 4, 0]]})

    def change_bytes(self) -> None:
        code = bytearray.fromhex(self.step["bytes"])
        for place in range(len(code)):
            for bit in range(8):
                changed = bytes(byte ^ (place == i) << bit for i, byte in enumerate(code)).hex()
                self.attempt(Change("bytes", changed), step={**self.step, "bytes": changed})

    def change_one_of_two(self) -> None:
        for field in self.cpu.exact:
            names = self.names_of(field)
            if len(names) > 1:
                self.attempt(Change("twice", names[1]), before={**self.before, names[1]: self.before[names[1]] ^ 1})

    def change_interrupt(self) -> None:
        for bit in range(8):
            vector = self.step["interrupt"] ^ 1 << bit
            for text in (f"interrupt {vector:#04x}", self.step["text"]):
                self.attempt(Change("interrupt", f"{vector:#x}, {text}"),
                             step={**self.step, "interrupt": vector, "text": text})
        told = {key: value for key, value in self.step.items() if key != "interrupt"}
        for code, text in INSTRUCTIONS.items():
            self.attempt(Change("interrupt", f"told as {text}"), step={**told, "bytes": code, "text": text})
        self.attempt(Change("interrupt", "has bytes"), step={**self.step, "bytes": "90"})
        for code, text in KEEP_AWAY.items():
            self.attempt(Change("interrupt", f"behind {text}"), previous={"bytes": code, "changes": {"eflags": IF}})


def bits_of(field: str, mask: int) -> list[int]:
    places = {"eflags": FLAGS, "cr0": CONTROL}.get(field, BITS)
    return [1 << bit for bit in places if mask >> bit & 1 and bit < width(field)]


def width(field: str) -> int:
    """Bits of a field of a state."""
    name, _, key = field.rpartition(".")
    if name in ("gdt", "idt", "ldt"):
        return 64
    if name == "pages":
        return 32
    if name in registers.SELECTORS:
        return {"selector": 16, "type": 5, "dpl": 2, "attributes": 16}.get(key, 32)
    return {"cpl": 2, "limit": 16}.get(field if not name else key, 32) if name in ("", "gdtr", "idtr") else 32

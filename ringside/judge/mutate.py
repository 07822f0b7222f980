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

A change is caught if there is a finding. benign.py has the changes that no judge can
find, since the CPU would do the same. Each rule must have found something in the end,
each field of a state must have been changed, and each entry of BENIGN needed.
"""

import collections
from collections.abc import Iterator

from ringside.emulators import registers
from ringside.judge import benign
from ringside.judge import judge
from ringside.recorder import recording as recordings
from ringside.judge.benign import BENIGN, Change, HALF, OTHER_VALUE, TOP_BIT
from ringside.judge.facts import IF
from ringside.judge.states import flat, Layout, Values
from ringside.recorder.pages import ACCESSED, DIRTY, PAGE, PRESENT, USER
from ringside.judge.rules import RULES, otherwise
from ringside.recorder.recording import Access, Recording, State

# Which bits of a field are changed, of those that count.
BITS = (0, 1, 2, 5, 7, 12, 15, 16, 22, 31, 40, 43, 44, 45, 47, 54, 55, 63)
FLAGS = (0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21)
ENTRY = (0, 1, 2, 5, 6, 7, 12, 16, 21, 31)
CONTROL = (0, 1, 2, 3, 4, 5, 16, 18, 29, 30, 31)
KEPT_EVERY = 7  # words of memory that the step leaves alone: each, at one step of so many

# Instead of an interrupt; and in front of one.
INSTRUCTIONS = {"": "?", "90": "nop", "cd20": "int $0x20", "cf": "iret", "ebfe": "jmp 0"}
KEEP_AWAY = {"17": "pop %ss", "8ed0": "mov %eax,%ss", "fb": "sti"}


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


class Step(benign.Step):
    """Makes all changes of one step."""

    def __init__(self, layout: Layout, number: int, before: State, step: recordings.Step, after: State,
                 verdict: judge.Verdict, report: Report, previous: recordings.Step | None) -> None:
        around = flat(before), flat(after)
        if verdict.cpu:
            around = verdict.cpu.before, verdict.cpu.after      # with what the judge knows besides
        super().__init__(layout, around[0], step, around[1], verdict)
        self.number, self.report, self.previous = number, report, previous
        self.place = f"{layout.emulator}, step {number}, {step['symbol']}: {step['text']} ({verdict.kind})"
        report.fields.update(self.before)

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
                self.attempt(Change("after", f"{field} ^ {bit:#x}", field, bit),
                             after={**self.after, field: self.after[field] ^ bit})
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
    places = ENTRY if field.startswith("pages.") else {"eflags": FLAGS, "cr0": CONTROL}.get(field, BITS)
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

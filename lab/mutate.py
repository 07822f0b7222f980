"""A judge that cannot fail is worthless: changes recordings, and sees whether it notices.

    report = mutate.Report()
    mutate.recording(made, report)
    report.problems()       what went unnoticed, was never changed, or never found anything

One thing at a time is changed at a step that the judge found nothing at:

    after       each field of the state after it that the judge compared
    before      each field of the state before it that the model relied on, as if the
                recording had been like that all along: where the step leaves it alone,
                it is changed after it, too
    bound       a limit or a DPL that was merely enough: now it is not
    access      each part of each memory access; one left out, one more, two swapped
    bytes       each byte of the instruction
    twice       memory that the recording holds twice, in one of the two places

A change is noticed if there is a finding, or if the instruction is refused for another
reason than before. Each rule must have found something in the end, and each field of a
state must have been changed.
"""

import collections

import judge
import recording as recordings
from cpu import Layout, flat
from rules import RULES, otherwise

# Which bits of a field are changed, of those that count.
BITS = (0, 1, 2, 5, 7, 12, 15, 16, 22, 31, 40, 43, 44, 45, 47, 54, 55, 63)
FLAGS = (0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21)
KEPT_EVERY = 7  # words of memory that the step leaves alone: each, at one step of so many

# Not a CPU's: where the recorder has looked.
NOT_JUDGED = {"stack.linear"}


class Report:
    def __init__(self):
        self.checked = collections.Counter()    # rule -> facts
        self.found = collections.Counter()      # rule -> changes that made it find something
        self.changed = collections.Counter()    # kind of change -> how many
        self.refused = 0                        # noticed only by another reason for refusing
        self.fields = set()                     # of states, seen
        self.changed_fields = set()
        self.unnoticed = []

    def total(self):
        return sum(self.changed.values())

    def problems(self):
        yield from self.unnoticed
        for rule in RULES:
            if not self.found[rule]:
                yield f"rule {rule} never found anything ({self.checked[rule]} facts)"
        for field in sorted(self.fields - self.changed_fields - NOT_JUDGED):
            yield f"field {field} was never changed"


def recording(made, report, steps_of_a_kind=1):
    """Changes the first steps of each kind."""
    layout = Layout(made)
    seen = collections.Counter()
    walk = recordings.walk(made)
    for number, verdict in judge.verdicts(made):
        _, before, step, after = next(walk)
        for fact in verdict.facts:
            report.checked[fact.rule] += 1
        kind = verdict.kind, verdict.refused
        if seen[kind] < steps_of_a_kind and not verdict.findings:
            seen[kind] += 1
            Step(layout, number, before, step, after, verdict, report).change_all()


class Step:
    def __init__(self, layout, number, before, step, after, verdict, report):
        self.layout, self.number, self.report = layout, number, report
        self.before, self.step, self.after = flat(before), step, flat(after)
        self.verdict = verdict
        self.place = f"{layout.emulator}, step {number}, {step['symbol']}: {step['text']} ({verdict.kind})"
        report.fields.update(self.before)

    def change_all(self):
        if self.verdict.kind == "other":
            self.change_other()
            return
        self.change_after()
        self.change_before()
        self.change_bounds()
        if self.verdict.compared or self.verdict.refused:
            self.change_accesses()
        self.change_bytes()
        self.change_one_of_two()

    def attempt(self, kind, what, before=None, step=None, after=None):
        """Judges the step with a change."""
        self.report.changed[kind] += 1
        verdict = judge.judge(self.layout, before or self.before, step or self.step, after or self.after)
        findings = verdict.findings if verdict else []
        for rule in {finding.rule for finding in findings}:
            self.report.found[rule] += 1
        if findings:
            return
        if kind == "bytes" and verdict and [*map(str, verdict.facts)] == [*map(str, self.verdict.facts)]:
            self.report.changed[kind] -= 1  # other words for the same
            return
        # What was refused may have been refused for more than one reason.
        if self.verdict.refused and verdict and kind in ("before", "bound", "access", "bytes"):
            self.report.refused += 1
            return
        self.report.unnoticed.append(f"{self.place}: nobody noticed: {kind}: {what}")

    # ---- the kinds of change

    def change_other(self):
        """An instruction that is none of the judge's business, and yet changes a ring."""
        for name in judge.PRIVATE:
            self.report.changed["after"] += 1
            step = {**self.step, "changes": {**self.step["changes"], name: None}}
            findings = [fact.rule for fact in judge.untouched(step).facts if not fact.holds()]
            self.report.found.update(findings)
            if not findings:
                self.report.unnoticed.append(f"{self.place}: nobody noticed: a new {name}")

    def change_after(self):
        kept = 0
        for field, mask in self.verdict.compared.items():
            if field.startswith(judge.MEMORY) and self.before.get(field) == self.after[field]:
                kept += 1
                if (kept + self.number) % KEPT_EVERY:
                    continue
                mask &= -mask
            self.report.changed_fields.add(field)
            for bit in bits_of(field, mask, self.layout):
                self.attempt("after", f"{field} ^ {bit:#x}", after={**self.after, field: self.after[field] ^ bit})
        self.change_course()

    def change_course(self):
        """As if some other gate had been gone through."""
        for vector in (0, 6, 13):
            gate = self.before[f"idt.{vector}"]
            offset = gate & 0xFFFF | gate >> 48 << 16
            if self.verdict.crossing and offset != self.after["eip"]:
                after = {**self.after, "eip": offset, "cs.selector": gate >> 16 & 0xFFFF}
                self.attempt("after", f"goes through gate {vector}", after=after)

    def change_before(self):
        for field, mask in self.verdict.exact.items():
            if field != "bytes":
                for bit in bits_of(field, mask, self.layout):
                    self.attempt("before", f"{field} ^ {bit:#x}", *self.all_along(field, self.before[field] ^ bit))

    def change_bounds(self):
        for rule, field, mask, wrong in self.verdict.bounds:
            if not otherwise(self.layout.emulator, rule):
                value = self.before[field] & ~mask | wrong
                self.attempt("bound", f"{field} = {value:#x}, for {rule}", *self.all_along(field, value))

    def all_along(self, field, value):
        """States before and after; the step between them."""
        before, after = dict(self.before), dict(self.after)
        for name in self.names_of(field):
            before[name] = value
        for name in self.names_of(field, self.after):
            if self.after[name] == self.before[field]:
                after[name] = value
        return before, self.step, after

    def names_of(self, field, state=None):
        """The fields for the memory of a field, wherever it is recorded with as many bytes."""
        values = state or self.before
        linear, unit = self.linear_of(field)
        if linear is None:
            return [field]
        return [fields[(linear - start) // size] for start, size, fields in self.layout.regions(values)
                if size == unit and start <= linear < start + size * len(fields) and (linear - start) % size == 0]

    def linear_of(self, field):
        if field.startswith(judge.MEMORY):
            for start, unit, fields in self.layout.regions(self.before):
                if field in fields:
                    return start + unit * fields.index(field), unit
        return None, None

    def change_accesses(self):
        accesses = self.step["accesses"] or []
        for place, (kind, linear, size, value) in enumerate(accesses):
            other = "read" if kind == "write" else "write"
            top = 1 << 8 * size - 1
            half = [[kind, linear, size // 2, value & (1 << 4 * size) - 1]] if size > 1 else []
            for what, access in ((f"a {other}", [[other, linear, size, value]]),
                                 ("not there", []),
                                 ("elsewhere", [[kind, linear ^ 8, size, value]]),
                                 ("one byte on", [[kind, linear + 1, size, value]]),
                                 ("of half the size", half),
                                 ("with another value", [[kind, linear, size, value ^ 1]]),
                                 ("with another top bit", [[kind, linear, size, value ^ top]])):
                self.attempt_accesses(f"{kind} of {size} bytes at {linear:#x} {what}",
                                      accesses[:place] + access + accesses[place + 1:])
            if kind == "write" and accesses[place - 1][0] == "write" and place and accesses[place - 1][2] == size:
                self.attempt_accesses(f"writes {place - 1} and {place} swapped",
                                      accesses[:place - 1] + [accesses[place], accesses[place - 1]] + accesses[place + 1:])
        if self.step["accesses"] is not None:
            for kind in ("read", "write"):
                self.attempt_accesses(f"one more {kind}", accesses + [[kind, 0x500, 4, 0]])

    def attempt_accesses(self, what, accesses):
        self.attempt("access", what, step={**self.step, "accesses": accesses})

    def change_bytes(self):
        """A changed byte may make the same instruction in other words; then it is no change."""
        code = bytearray.fromhex(self.step["bytes"])
        for place in range(len(code)):
            for bit in range(8):
                changed = bytes(byte ^ (place == i) << bit for i, byte in enumerate(code)).hex()
                self.attempt("bytes", changed, step={**self.step, "bytes": changed})

    def change_one_of_two(self):
        for field in self.verdict.exact:
            names = self.names_of(field) if field != "bytes" else []
            if len(names) > 1:
                self.attempt("twice", names[1], before={**self.before, names[1]: self.before[names[1]] ^ 1})


def bits_of(field, mask, layout):
    places = FLAGS if field == "eflags" else BITS
    return [1 << bit for bit in places if mask >> bit & 1 and bit < width(field)]


def width(field):
    """Bits of a field of a state."""
    name, _, key = field.rpartition(".")
    if name in ("gdt", "idt", "ldt"):
        return 64
    if name in recordings.SELECTORS:
        return {"selector": 16, "type": 5, "dpl": 2, "attributes": 16}.get(key, 32)
    return {"cpl": 2, "limit": 16}.get(field if not name else key, 32) if name in ("", "gdtr", "idtr") else 32

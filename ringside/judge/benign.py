"""Changes of recordings that no judge can find, since the CPU would do the same: mutate.py makes them.

    BENIGN      the table: kinds of change, when such a change is benign, and the reason
    Step        the step that was changed
    Change      what was changed there

Each entry must be needed, or mutate.py complains.
"""

from collections.abc import Callable
import dataclasses

from ringside.emulators import registers, versions
from ringside.judge import judge
from ringside.judge.cpu import Cpu
from ringside.judge.decode import SEGMENTS
from ringside.judge.facts import IF, PE, RF, VM
from ringside.judge.rules import exempt
from ringside.judge.states import GATES, Layout, Values
from ringside.recorder import recording as recordings
from ringside.recorder.pages import LARGE, PAE, PG
from ringside.recorder.recording import Access

HALF, TOP_BIT, OTHER_VALUE, WRITTEN = "of half the size", "with another top bit", "with another value", "a write"


@dataclasses.dataclass
class Change:
    kind: str
    what: str
    field: str | None = None    # before
    bit: int = 0
    access: Access | None = None  # as it was


class Step:
    """A step that the judge found nothing at, its states being flat."""

    def __init__(self, layout: Layout, before: Values, step: recordings.Step, after: Values, verdict: judge.Verdict) -> None:
        self.layout, self.before, self.step, self.after, self.verdict = layout, before, step, after, verdict

    @property
    def cpu(self) -> Cpu:
        """What the model made of the step, which it was asked about."""
        assert self.verdict.cpu
        return self.verdict.cpu

    def linear_of(self, field: str) -> tuple[int, int] | None:
        if field.startswith(judge.MEMORY):
            for start, unit, fields in self.layout.regions(self.before):
                if field in fields:
                    return start + unit * fields.index(field), unit
        return None


@dataclasses.dataclass(frozen=True)
class Benign:
    kinds: tuple[str, ...]
    holds: Callable[[Step, Change, judge.Verdict], bool]  # (the step, the change, the verdict then)
    reason: str


def refused_alike(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return bool(step.verdict.refused) and verdict.kind == step.verdict.kind


def read_before_refusal(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return bool(step.verdict.refused and change.access and change.access[0] == "read")


def pushed_before_refusal(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return bool(change.access and change.access[0] == "write" and change.access[1] in step.cpu.refused_words
                and exempt(step.layout.emulator, "stack-room", "written"))


def above_selector(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    access = change.access
    return access is not None and change.what.endswith((HALF, TOP_BIT)) and any(
        access[:3] == ["read", linear, room] and (size, room) == (2, 4)
        for linear, size, room, *_ in step.cpu.reads)


def mark_in_parts(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    """Half of it at first; or, before it is written, what was there."""
    access = change.access
    if not access:
        return False
    return change.what.endswith(HALF if access[0] == "write" else WRITTEN) and any(
        mark.linear <= access[1] < mark.linear + 8 for mark in step.cpu.marked)


def marks_in_any_order(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    access = change.access
    return access is not None and change.what.endswith("swapped") and any(
        mark.linear <= access[1] < mark.linear + 8 for mark in step.cpu.marked)


def read_more_than_once(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    if not change.access or change.access[0] == "write":
        return False
    _, place, size, _ = change.access

    def overlaps(linear: int, length: int) -> bool:
        return bool(linear < place + size and place < linear + length)

    others = sum(kind == "read" and overlaps(linear, length) for kind, linear, length, _ in step.step["accesses"]) - 1
    return others > 0 or any(not read.must and overlaps(read.linear, read.size) for read in step.cpu.reads)


def offset_of_a_task(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    word = step.linear_of(change.field) if change.field else None
    place = change.access[1] if change.access else word[0] if word else None
    return step.cpu.in_new_task and any(
        read.linear == place and read.rule == "far-operand" for read in step.cpu.reads)


def saved_in_another_order(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.access is not None and change.what.endswith("swapped")
            and any(word.linear == change.access[1] for word in step.cpu.saved))


def null_either_way(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    loaded = [name for name in SEGMENTS if f"{name}.selector" in step.cpu.expected]
    return change.field == "cr0" and change.bit == PE and [step.after[f"{name}.selector"] for name in loaded] == [0]


def real_either_way(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "cr0" and change.bit == PE and bool(step.before["eflags"] & VM)


def ldt_elsewhere(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "ldtr.base" and step.step["accesses"] is None


def operand_elsewhere(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.field is not None and change.field.endswith((".base", *registers.GENERAL))
            and verdict.cpu is not None and verdict.cpu.believed
            and step.step["accesses"] is None)


def map_not_shown(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind in ("in", "out") and change.field == "eflags" and step.step["accesses"] is None


def other_ports(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind in ("in", "out") and change.access is not None and change.what.endswith((OTHER_VALUE, TOP_BIT))


def nothing_to_divide(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return verdict.kind == "div" and step.before["eax"] == step.before["edx"] == 0


def lost_alike(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return step.cpu.lost and verdict.cpu is not None and str(verdict.cpu.fault) == str(step.cpu.fault)


def trap_or_interrupt(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.field in GATES and change.bit == 1 << 40 and not step.before["eflags"] & IF
            and step.step["accesses"] is None)


def from_the_tlb(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return change.what.startswith("read") and change.what.endswith("not there")


def paging_unseen(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.field, change.bit) in (("cr0", PG), ("cr4", PAE)) and "walks" not in step.step


def pointers_alike(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.field, change.bit) == ("cr0", PG) and verdict.kind == "mov %cr0"


def large_or_not(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (change.field is not None and change.field.startswith("pages.") and change.bit == LARGE
            and step.step["accesses"] is None)


def gate_of_16_bits(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (verdict.kind is not None and verdict.kind.startswith("ljmp") and change.bit == 1 << 43
            and step.step["accesses"] is None)


def rf_of_an_interrupt(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return change.field == "eflags" and change.bit == RF and verdict.kind.startswith("interrupt")


def msrs_not_shown(step: Step, change: Change, verdict: judge.Verdict) -> bool:
    return (verdict.kind is not None and verdict.kind.startswith("sysenter") and change.field in ("esp", "eip")
            and f"sysenter.{change.field}" not in step.before)


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
           "where no walks are seen, and translations lead where they would without paging, or by tables of the other size, "
           "it may be so"),
    Benign(("before",), pointers_alike,
           "PAE's pointers are loaded alike where paging is switched on, and where it is on already"),
    Benign(("before",), large_or_not,
           "where no walks show the entry, a large page that allows the same is the same"),
    Benign(("before",), gate_of_16_bits,
           "where no accesses show the gate, a jmp by a 16-bit gate is the same"),
    Benign(("before",), real_either_way,
           "a segment loads alike in real mode and in virtual-8086 mode"),
    Benign(("after",), msrs_not_shown,
           "where no wrmsr shows where sysenter leads, it leads to where it has led"),
    Benign(("walk",), from_the_tlb,
           "an entry that is not read may come from the TLB"),
    Benign(("access",), marks_in_any_order,
           "which of two descriptors is marked first is not laid down"),
    Benign(("access",), saved_in_another_order,
           "in which order a task is saved is not laid down"),
    *([Benign(("before",), rf_of_an_interrupt,
              "QEMU pushes RF set when the hardware interrupts, whatever it was")]
      if versions.holds("qemu-pushes-rf") else []),
)

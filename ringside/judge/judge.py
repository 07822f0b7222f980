"""The judge: compares what Intel's manual says with what a recording shows.

    for number, verdict in judge.verdicts(made):       made: a recording
        verdict.kind                                   "int 0x30, ring 3 to 0"
        verdict.facts                                  all that was checked
        verdict.findings                               those that are not so

Judged is every step that crosses between rings, or may: interrupts, the hardware's too, and
exceptions, iret, far transfers, loads of segment registers and of the registers of tables,
and what not every ring may do. model.py, and for task switches tasks.py, say what must be
so, given the state before; rules.py has the list of all rules, with the place in the
manual, and of what emulators are known to do otherwise.
The judge shares nothing with the program that runs: all it goes by is the recording.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
import re
from typing import NamedTuple

from ringside.emulators import registers
from ringside.judge import breakpoints
from ringside.judge import interrupts
from ringside.judge import model
from ringside.recorder import recording
from ringside.recorder.recording import Recording, State, Step
from ringside.judge.cpu import Cpu
from ringside.judge.facts import ACCESSED, ALL, BIG, BUSY, Expected, Fact, Parts, PE, Shutdown, Stuck, TF, VM, Write
from ringside.judge.states import flat, gate_to, Layout, Region, Values
from ringside.judge.virtual8086 import JUDGED as IN_VIRTUAL
from ringside.judge.decode import Instruction, decode
from ringside.judge.fastcalls import MSRS
from ringside.judge.paging import complete, field_of, MARKS
from ringside.recorder.pages import PG
from ringside.judge.rules import RPL_OF_CONFORMING, TRAP_LATE, exempt

LONG = 0x2000       # of a code segment's attributes: 64-bit code, if paging is on
BAD = "(bad)"       # how objdump calls what is no instruction
CONFORMING = 0x1C   # of a segment's type: code, and conforming

# No instruction that is not judged may change these.
PRIVATE = frozenset((*registers.SELECTORS, "cpl", "cr0", "gdtr", "idtr"))

# Registers and numbers in the disassembler's text.
WORDS = re.compile(r"%(\w+)|(-?0x[0-9a-f]+)|,(\d)\)")


@dataclasses.dataclass
class Verdict:
    kind: str               # "int 0x30, ring 3 to 0", "#GP(018a), ring 3 to 0", "pop %gs"
    facts: list[Fact]
    cpu: Cpu | None = None  # what the model made of it, if it was asked

    @property
    def findings(self) -> list[Fact]:
        return [fact for fact in self.facts if not fact.holds()]

    @property
    def crossing(self) -> bool:
        """cs was loaded: another ring, or another way into the same."""
        return self.cpu is not None and self.cpu.route is not None

    @property
    def refused(self) -> str | None:
        """The rule by which the model expected an exception."""
        return self.cpu.refused if self.cpu else None


def verdicts(made: Recording) -> Iterator[tuple[int, Verdict]]:
    """Gives (number, Verdict) for each step of a recording."""
    layout = Layout(made)
    state: State | None = None
    values: Values = {}
    previous: Step | None = None
    msrs: Values = {}
    for number, before, step, after in recording.walk(made):
        verdict = None
        if before["cs"]["attributes"] & LONG and before["cr0"] & PG:
            raise recording.BadRecording(f"step {number}, {step['symbol']}, is in 64-bit mode: the judge knows 16- and 32-bit "
                                         "code only; record no further than up to there")
        if judged(step, before) or breakpoints.met(msrs, before["cs"]["base"] + before["eip"], previous):
            old = values if before is state else flat(before)
            state, values = after, flat(after)
            told = written_msr(step, before, after) | breakpoints.written(step, before, after)
            around = {**old, **told, **msrs}, {**values, **msrs, **told}
            msrs |= told
            verdict = judge(layout, *whole(around[0], step, around[1]), previous)
            if verdict and verdict.cpu:
                msrs |= verdict.cpu.debug
        previous = step
        yield number, verdict or untouched(step)


def written_msr(step: Step, before: State, after: State) -> Values:
    """What wrmsr has told of the registers of sysenter, which no state has."""
    name = MSRS.get(before["ecx"]) if step["text"] == "wrmsr" else None
    return {name: before["eax"]} if name and before["cpl"] == 0 and after["eip"] != before["eip"] else {}


def whole(before: Values, step: Step, after: Values) -> tuple[Values, Step, Values]:
    """The states around a step with all that is known of page tables."""
    if "cr3" in before or "cr3" in after or "walks" in step:
        before, after = dict(before), dict(after)
        complete(before, after, step.get("walks"))
    return before, step, after


def judged(step: Step, before: State) -> bool:
    """Whether judge() may have something to say: cheaply, for steps are many."""
    if "folded" in step or "repeats" in step or "gap" in step:
        return False
    code = decode(step["bytes"], bool(before["cs"]["attributes"] & BIG))
    return ("interrupt" in step or code.name in model.JUDGED or name_of(step) is not None
            or not PRIVATE.isdisjoint(step["changes"])
            or "ended" in step or not goes_on(code, step, before["eip"], step["changes"].get("eip", before["eip"])))


def untouched(step: Step) -> Verdict:
    """The verdict on a step that has nothing to do with rings: so it must have been."""
    if "folded" in step or "gap" in step:
        return Verdict("gap", [])       # many instructions, each of which may have had its reasons
    changed = " ".join(sorted(PRIVATE & step["changes"].keys()))
    return Verdict("other", [Fact("kept", "segments, CPL, cr0, registers of tables", "", changed)])


@functools.lru_cache(None)
def named(text: str) -> str | None:
    """What the disassembler's text stands for, of what is judged."""
    return next((name for name, pattern in model.NAMES.items() if pattern.match(text)), None)


def name_of(step: Step) -> str | None:
    return named(step["text"])


@functools.lru_cache(None)
def words_of(text: str) -> list[str]:
    return sorted(register or number or f"*{scale}" for register, number, scale in WORDS.findall(text))


def goes_on(code: Instruction, step: Step, eip: int, found: int) -> bool:
    """Whether eip is where no exception has led."""
    return code.name in ("branch", "jmp") or found == eip + len(step["bytes"]) // 2 & 0xFFFFFFFF


def judge(layout: Layout, before: Values, step: Step, after: Values, previous: Step | None = None) -> Verdict | None:
    """The verdict on a step, its states being flat; None if there is nothing to judge. The
    step before it, if there is one, says whether an interrupt may come now."""
    cpu = Cpu(layout, before, step["accesses"], after, step.get("walks"))
    wide = bool(cpu.get("cs.attributes", BIG))
    code = decode(step["bytes"], wide)
    if step["text"] == BAD:
        code = Instruction("undefined", length=1)
    name = code.name if code.name in model.JUDGED else None
    cpu.check("named", step["text"], name_of(step), name)
    interrupt = "interrupt" in step
    if interrupt:
        cpu.check("named", "bytes, text", ("", f"interrupt {step['interrupt']:#04x}"), (step["bytes"], step["text"]))
    if name:
        cpu.check("named", "bytes", len(step["bytes"]) // 2, code.length)
        if name != "fpu":
            cpu.check("named", "operands", words_of(step["text"]), code.words)
    crossed = (any(before[field] != after[field] for field in ("cpl", "cs.selector"))
               or name is None and entered(layout, before, step, after, code))
    virtual = bool(before["eflags"] & VM)
    if virtual and after["eflags"] & VM and name not in IN_VIRTUAL:
        cpu.check("v86-segments", "cs.base", before["cs.selector"] << 4, before["cs.base"])
        return None if all(fact.holds() for fact in cpu.facts) else Verdict("other", cpu.facts)
    met = breakpoints.met(before, before["cs.base"] + before["eip"], previous)
    if not crossed and not interrupt and not met and not (name and (before["cr0"] & PE or name in model.IN_REAL_MODE)):
        return None if cpu.facts[0].holds() else Verdict("other", cpu.facts)

    for state, when in ((before, "before"), (after, "after")):
        cpu.check("window", f"stack {when}", window(layout, state), state["stack.linear"])
    cpu.compared["stack.linear"] = ALL
    late = layout.emulator in TRAP_LATE
    next_eip = before["eip"] + code.length & (0xFFFFFFFF if wide else 0xFFFF)
    try:
        if interrupt:
            interrupts.hardware_interrupt(cpu, step["interrupt"], done(previous, wide))
        elif before["eflags"] & TF and late and gate_to(layout, before, after) == 1:
            interrupts.single_step(cpu, before["eip"])
        elif late and (found := breakpoints.behind(before, previous)):
            if gate_to(layout, before, after) != 1:
                cpu.check("breakpoint-data", "goes", "#DB", where(cpu, after))
            interrupts.data_breakpoint(cpu, before["eip"], found)
        elif previous and "tr" in previous["changes"] and late and gate_to(layout, before, after) == 1:
            interrupts.task_trap(cpu)
        else:
            model.execute(cpu, code, next_eip)
        if "ended" not in step:
            compare(cpu)
    except Shutdown as why:
        cpu.check("shutdown", str(why), "shutdown", "shutdown" if "ended" in step else where(cpu, after))
        cpu.kind = "shutdown"
    except Stuck as why:
        if "ended" in step:     # by what, the recording does not tell
            pass
        elif why.rule:
            cpu.check(why.rule, "", "no such thing", why.what)
        elif crossed or not goes_on(code, step, before["eip"], after["eip"]):
            cpu.check("course", "goes", "on, without an exception", where(cpu, after))
        cpu.exact.clear()
    kind = cpu.kind or step["text"]
    return Verdict(kind + (f", {cpu.route}" if cpu.route else ""), cpu.facts, cpu)


def done(step: Step | None, wide: bool) -> Instruction | None:
    """The instruction of a step, if it has done something in the segment in which it stood."""
    if step and "folded" not in step and "gap" not in step and "cs" not in step["changes"]:
        code = decode(step["bytes"], wide)
        return code if code.name != "sti" or "eflags" in step["changes"] else None
    return None


def entered(layout: Layout, before: Values, step: Step, after: Values, code: Instruction) -> bool:
    """Whether it seems that there was an exception, in the same ring."""
    if code.name in ("branch", "jmp"):
        return before["esp"] - after["esp"] in (12, 16) and gate_to(layout, before, after) is not None
    return not goes_on(code, step, before["eip"], after["eip"])


def where(cpu: Cpu, after: Values) -> str:
    text = f"{after['cs.selector']:04x}:{after['eip']:08x}"
    vector = gate_to(cpu.layout, cpu.before, after)
    return text + ("" if vector is None else f", where gate {vector:#04x} leads")


# ---- the model against the recording --------------------------------------------------

def compare(cpu: Cpu) -> None:
    """First whether it went that way at all; then all registers, memory and accesses."""
    before, after = cpu.before, cpu.after
    selector, eip = (cpu.now(field) for field in ("cs.selector", "eip"))
    if (selector, eip) != (after["cs.selector"], after["eip"]):
        if cpu.refused or gate_to(cpu.layout, before, after) is not None:
            expected = f"{cpu.fault or cpu.kind}, to {selector:04x}:{eip:08x}"
            cpu.check(cpu.refused or "course", "goes", expected, where(cpu, after))
            return
    if cpu.lost:
        compare_lost(cpu)
        return
    compare_registers(cpu)
    compare_memory(cpu, cpu.layout.fixed, cpu.layout.movable(cpu.after))
    if cpu.accesses is not None:
        compare_reads(cpu)
        compare_writes(cpu)
        compare_walks(cpu)
    for state, name in ((before, "before"), (after, "after")):
        conforming = state["cs.type"] & CONFORMING == CONFORMING
        if state["cr0"] & PE and state["eflags"] & VM:
            cpu.check("v86-cpl", f"CPL {name}", 3, state["cpl"])
        elif state["cr0"] & PE and not (conforming and cpu.layout.emulator in RPL_OF_CONFORMING):
            cpu.check("cpl", f"CPL {name}", state["cs.selector"] & 3, state["cpl"])


def compare_lost(cpu: Cpu) -> None:
    """What can be said of a task that TCG has not got into; see rules.py."""
    compare_registers(cpu, lambda field: field.startswith(("tr.", "cr0")))
    compare_memory(cpu, cpu.layout.fixed, movable=())
    assert cpu.fault
    error = next((value for _, value in cpu.memory_after.read(cpu.after["ss.base"] + cpu.after["esp"], 4)), None)
    cpu.check("push-error", "error code", cpu.fault.error, error)


def window(layout: Layout, state: Values) -> int:
    """Where the words of the stack begin that a state holds: half of them are below esp."""
    esp = state["esp"] if state["ss.attributes"] & BIG else state["esp"] & 0xFFFF
    return max(0, state["ss.base"] + (esp & ~3) - 2 * len(layout.stack_words)) & 0xFFFFFFFF


def compare_field(cpu: Cpu, field: str, expected: int, parts: Parts) -> None:
    """A number of the state after: each rule that says something of it, for its bits."""
    found, left = cpu.after[field], ALL & ~cpu.unspecified.get(field, 0) & ~cpu.marks_of(field)
    for mask, rule in parts:
        mask &= left
        left &= ~mask
        mask &= ~exempt(cpu.layout.emulator, rule, field)
        if mask:
            cpu.check(rule, field, expected & mask, found & mask)
            cpu.compared[field] = cpu.compared.get(field, 0) | mask


MEMORY = ("gdt.", "idt.", "ldt.", "tss.", "frames.", "stack.")


def every(field: str) -> bool:
    return True


def compare_registers(cpu: Cpu, which: Callable[[str], bool] = every) -> None:
    for field, old in cpu.before.items():
        if not field.startswith(MEMORY) and which(field):
            value, parts = cpu.expected.get(field) or Expected(old, [])
            whole = parts and field not in ("eflags", "cr0")
            compare_field(cpu, field, value, parts if whole else [*parts, (ALL, "kept")])


def compare_memory(cpu: Cpu, fixed: Sequence[Region], movable: Sequence[Region]) -> None:
    """What was pushed lies there, the marks in descriptors are set, all else is as it was."""
    writes = [*cpu.pushed, *cpu.saved, *(Write(linear, 8, value, [(ACCESSED | BUSY, rule), (ALL, "kept-memory")])
                                         for linear, value, rule in cpu.marked)]
    elsewhere = [write._replace(linear=physical) for write in writes
                 if (physical := cpu.translate(write.linear)) is not None and physical != write.linear]
    for start, unit, fields in fixed:
        if elsewhere and cpu.translate(start) == start:
            writes, elsewhere = writes + elsewhere, []
        touched = touched_words(start, unit, fields, writes)
        for place, overlapping in touched.items():
            compare_word(cpu, fields[place], start + unit * place, unit, cpu.before[fields[place]], overlapping)
        compare_kept(cpu, {field: cpu.before[field] for place, field in enumerate(fields) if place not in touched})
    for start, unit, fields in movable:
        touched = touched_words(start, unit, fields, writes)
        known = {}
        for place, field in enumerate(fields):
            linear = start + unit * place
            old = cpu.known(linear, unit)
            if place in touched:
                compare_word(cpu, field, linear, unit, old, touched[place])
            elif old is not None:
                known[field] = old
        compare_kept(cpu, known)


def touched_words(start: int, unit: int, fields: list[str], writes: list[Write]) -> dict[int, list[Write]]:
    """Which words of a region the CPU writes to: {place: the writes}."""
    touched: dict[int, list[Write]] = {}
    for write in writes:
        linear, size = write.linear, write.size
        for place in range(max(0, (linear - start) // unit), min(len(fields), (linear + size - 1 - start) // unit + 1)):
            touched.setdefault(place, []).append(write)
    return touched


def compare_word(cpu: Cpu, field: str, linear: int, unit: int, old: int | None, writes: list[Write]) -> None:
    raw: list[int | None] = [None] * unit if old is None else list(old.to_bytes(unit, "little"))
    for start, size, value, _ in writes:
        for i, byte in enumerate(value.to_bytes(size, "little")):
            if 0 <= start + i - linear < unit:
                raw[start + i - linear] = byte
    known = bytes(byte for byte in raw if byte is not None)
    if len(known) == unit:
        parts = writes[0].parts
        exactly = len(writes) == 1 and writes[0][:2] == (linear, unit)
        compare_field(cpu, field, int.from_bytes(known, "little"), parts if exactly else [(ALL, parts[-1][1])])


def compare_kept(cpu: Cpu, known: Values) -> None:
    """Words that nothing wrote to: one fact, unless some have changed."""
    changed = [field for field, old in known.items() if cpu.after[field] != old]
    for field in changed:
        cpu.check("kept-memory", field, known[field], cpu.after[field])
    if known and not changed:
        cpu.check("kept-memory", next(iter(known)).rpartition(".")[0], "as it was", "as it was")
    cpu.compared.update(dict.fromkeys(known, ALL))


def compare_reads(cpu: Cpu) -> None:
    """In whatever order: all that had to be read was, and nothing else."""
    assert cpu.accesses is not None and cpu.read_bytes is not None
    allowed: set[int] = set()
    for linear, size, room, value, rule, must in cpu.reads:
        told = cpu.told(linear, size)
        if must or told is not None:
            cpu.check(rule, f"{size} bytes read at {linear:#x}", value, told)
        allowed.update(range(linear, linear + room))
    seen: dict[int, int] = {}
    for kind, linear, size, value in cpu.accesses:
        for place, byte in enumerate(value.to_bytes(size, "little"), linear):
            if kind == "read" and seen.get(place, byte) != byte:
                cpu.check("agrees", f"read again at {place:#x}", seen[place], byte)
            seen[place] = byte
    others = sorted(cpu.read_bytes.keys() - allowed)
    cpu.check("nothing-else", "read", "", " ".join(map(hex, others)))


def compare_walks(cpu: Cpu) -> None:
    """Entries of page tables: read where they lie, and written to be marked, in whatever order."""
    now = {physical: entry.value for physical, entry in cpu.walked.items()}
    for kind, physical, size, value in cpu.walks or ():
        entry = cpu.walked.get(physical)
        if entry is None or size != entry.size:
            cpu.check("page-entry", f"{size} bytes of a page table", "", f"{kind} at {physical:#x}")
        elif kind == "read":
            cpu.check("page-entry", f"{entry.name} read at {physical:#x}", now[physical], value)
        else:
            marks = value & ~now[physical]
            cpu.check("page-accessed", f"{entry.name} written at {physical:#x}", now[physical] | marks & MARKS, value)
            now[physical] = value
    for physical, entry in cpu.walked.items():
        if wanted := cpu.expected.get(field_of(entry)):
            cpu.check("page-accessed", f"{entry.name} at {physical:#x}, in the end", wanted.value, now[physical])


class Word(NamedTuple):
    """What the recording shows to be written."""
    linear: int
    size: int
    value: int


def compare_writes(cpu: Cpu) -> None:
    """Words in the order in which they are pushed; marks in descriptors at any time."""
    assert cpu.accesses is not None
    found = [Word(*access[1:]) for access in cpu.accesses if access[0] == "write"]
    for linear, value, rule in cpu.marked:
        inside = [write for write in found if linear <= write.linear and write.linear + write.size <= linear + 8]
        found = [write for write in found if write not in inside]
        result = cpu.known(linear, 8)
        if result is None:
            cpu.check(rule, f"the descriptor at {linear:#x}", value, None)
            continue
        for start, size, new in inside:
            shift = 8 * (start - linear)
            result = result & ~((1 << 8 * size) - 1 << shift) | new << shift
        if not exempt(cpu.layout.emulator, rule, "written"):
            cpu.check(rule, f"written to the descriptor at {linear:#x}", value, result)
    for saved in cpu.saved:
        there = next((write for write in found if write[:2] == saved[:2]), None)
        found = [write for write in found if write is not there]
        compare_pushed(cpu, "word saved", saved, there)
    if exempt(cpu.layout.emulator, "stack-room", "written"):
        found = without_refused(cpu, found)
    for number, pushed in enumerate(cpu.pushed):
        there = found[number] if number < len(found) else None
        compare_pushed(cpu, f"word {number + 1} pushed", pushed, there)
    others = found[len(cpu.pushed):]
    cpu.check("nothing-else", "written", "", " ".join(hex(write.linear) for write in others))


def without_refused(cpu: Cpu, found: list[Word]) -> list[Word]:
    """Without the words that come before those of the exception. These may lie in the same place."""
    spare, kept = len(found) - len(cpu.pushed), list[Word]()
    for write in found:
        if spare > 0 and write.linear in cpu.refused_words:
            spare -= 1
        else:
            kept.append(write)
    return kept


def compare_pushed(cpu: Cpu, what: str, word: Write, found: Word | None) -> None:
    rule, left = word.parts[-1][1], ALL
    there = f"{found.size} bytes at {found.linear:#x}" if found else "nothing"
    cpu.check(rule, what, f"{word.size} bytes at {word.linear:#x}", there)
    for mask, rule in word.parts:
        bits = mask & left & ~exempt(cpu.layout.emulator, rule, what)
        left &= ~mask
        cpu.check(rule, what, word.value & bits, found.value & bits if found else None)

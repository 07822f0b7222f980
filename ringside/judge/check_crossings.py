"""Holds every crossing between rings against Intel's rules, and Bochs against QEMU.

usage: scripts/ringside judge [--mutate] [RECORDING ...]
       scripts/ringside judge --compare BOCHS QEMU

Without names it makes its own recordings, in Bochs and in QEMU: of P_PROC 200 switches from
the stub's first instruction on, 200 at full speed, and proc A doing whatever crosses a ring
or is refused (ringside/judge/crossings.S), with paging (paging.S) and with PAE's tables (pae.S), by
call gates and sysenter (gates.S), on stacks that wrap or expand down (stacks.S), in virtual-8086 mode (virtual8086.S),
and with breakpoints (debug.S, in Bochs alone);
of each other program 12 switches from the first instruction on, and 50 at full speed; and of HWTASK
every task switch that there is, or that is refused (ringside/judge/switches.S). Prints for each how
much was checked, and what is not so, with the state around it; and compares the two from the first
instruction on, field by field. Ends with 1 if anything is not so.

  --compare   compares two recordings of the same run
  --mutate    changes the recordings, one thing at a time, and demands that the judge
              notices each change; its own recordings are of 8 switches then, and of 1 in the
              other programs (10 minutes)
"""

import collections
from collections.abc import Iterable, Iterator
import sys
from typing import NamedTuple

from ringside.judge import cases
from ringside.judge import compare
from ringside.judge import judge
from ringside.emulators import machines
from ringside.judge import mutate
from ringside.judge.facts import Fact
from ringside.recorder import programs
from ringside.recorder import record
from ringside.recorder import recording
from ringside.recorder.recording import Recording, State, Step

AROUND = ("cpl", "eip", "esp", "eflags")
SHOWN = 20  # differences, of one comparison
EMULATORS = ("bochs", "qemu")
FROM_THE_STUB_ON = "from the stub on"
FIRST = "p_proc"


Uses = collections.Counter[str]     # of what the emulators may do differently, by name


class Switches(NamedTuple):
    """How many are recorded of a program."""
    from_the_stub: int
    at_full_speed: int


class Amount(NamedTuple):
    """Of P_PROC, and of each other program."""
    of_the_first: Switches
    of_others: Switches


ALL_SWITCHES = Amount(Switches(200, 200), Switches(12, 50))
FEW_SWITCHES = Amount(Switches(8, 8), Switches(1, 1))


class Made(NamedTuple):
    program: str
    what: str
    recording: Recording


def own_recordings(amount: Amount) -> Iterator[Made]:
    """Makes them, one by one."""
    grafted: dict[str, list[cases.Cases]] = collections.defaultdict(list)
    for name, words in cases.SETS.items():
        folder = machines.BUILD / "cases" / name
        folder.mkdir(parents=True, exist_ok=True)
        graft = cases.Cases(folder, *words)
        grafted[graft.program].append(graft)
    for program in programs.on_the_floppy():
        switches = amount.of_the_first if program == FIRST else amount.of_others
        for made in record.record_both(program, start=programs.named(program).start, switches=switches.from_the_stub):
            yield Made(program, FROM_THE_STUB_ON, made)
        start, after = programs.named(program).full_speed
        for emulator in EMULATORS:
            yield Made(program, "at full speed", record.record(emulator, program, start=start, after=after,
                                                               switches=switches.at_full_speed))
            for graft in (graft for graft in grafted[program] if emulator in cases.emulators(graft.name)):
                yield Made(program, f"all that may be tried, {graft.name}", graft.record(emulator))


def named(program: str, what: str, made: Recording) -> str:
    return f"{program} in {made['emulator']}, {what}"


def print_state(what: str, state: State) -> None:
    print(f"    {what}: " + " ".join(f"{key}={state[key]:x}" for key in AROUND)
          + f" cs={state['cs']['selector']:04x} ss={state['ss']['selector']:04x} esp0={state['tss']['esp0']:x}")


# ---- against the manual

def check(name: str, made: Recording) -> int:
    """Prints a line on a recording, and its findings; returns how many there are."""
    crossings = facts = 0
    findings: list[tuple[recording.Walked, judge.Verdict, Fact]] = []
    for walked, (_, verdict) in zip(recording.walk(made), judge.verdicts(made)):
        crossings += verdict.crossing
        facts += len(verdict.facts)
        findings += [(walked, verdict, fact) for fact in verdict.findings]
    print(f"{name:40} {len(made['steps']):6} steps {crossings:5} crossings {facts:7} facts "
          f"{len(findings):4} not so", flush=True)
    for (number, before, step, after), verdict, fact in findings:
        print(f"  step {number}, {step['symbol']}: {step['text']} ({verdict.kind})\n    {fact}")
        print_state("before", before)
        print_state("after", after)
    return len(findings)


def check_all(names: list[str]) -> int:
    if names:
        return sum(check(name, recording.load(name)) for name in names)
    bad = 0
    waiting: Recording | None = None
    uses: Uses = collections.Counter()
    for program, what, made in own_recordings(ALL_SWITCHES):
        bad += check(named(program, what, made), made)
        if what == FROM_THE_STUB_ON:
            if waiting:
                bad += check_pair(program, waiting, made, uses)
            waiting = None if waiting else made
    print_allowed(uses)
    dead = [entry.name for entry in compare.here() if not uses[entry.name]]
    for name in dead:
        print(f"  never needed, and so to be removed from ringside/judge/compare.py: {name}")
    return bad + len(dead)


# ---- against each other

def check_pair(program: str, bochs: Recording, qemu: Recording, uses: Uses) -> int:
    """Prints what two recordings of the same run have in common, and what not; returns how
    much is wrong. uses: of what is allowed to differ, is added to."""
    made = compare.Comparison(bochs, qemu)
    uses.update(made.uses)
    print(f"{program + ', Bochs against QEMU':40} {made.steps:6} steps {made.fields:9} fields "
          f"{len(made.differences):4} not the same", flush=True)
    states: dict[int, tuple[Step, list[tuple[str, State, State]]]] = {}     # the step; emulator, before, after
    shown = made.differences[:SHOWN]
    for recorded in (bochs, qemu):
        for number, before, step, after in recording.walk(recorded):
            if any(number == difference.number for difference in shown):
                states.setdefault(number, (step, []))[1].append((recorded["emulator"], before, after))
    for difference in shown:
        step, around = states.get(difference.number) or ({"symbol": "the beginning", "text": ""}, [])
        print(f"  step {difference.number}, {step['symbol']}: {step['text']}\n    {difference}")
        for emulator, before, after in around:
            print_state(f"{emulator}, before", before)
            print_state(f"{emulator}, after", after)
    if len(made.differences) > SHOWN:
        print(f"  and {len(made.differences) - SHOWN} more")
    return len(made.differences)


def print_allowed(uses: Uses) -> None:
    print("allowed to differ:")
    for entry in compare.here():
        print(f"  {uses[entry.name]:8} {entry.name}: {entry.reason}")


# ---- against the judge

def check_judge(recordings: Iterable[tuple[str, Recording]], complete: bool) -> int:
    """Prints what has become of all changes; returns how many went unnoticed."""
    report = mutate.Report()
    for name, made in recordings:
        before = report.total()
        mutate.recording(made, report)
        print(f"{name:40} {report.total() - before:7} changes", flush=True)
    print(f"{report.total()} changes: {report.caught()} caught, {sum(report.benign.values())} benign, "
          f"{len(report.unnoticed)} unnoticed")
    for reason, count in report.benign.most_common():
        print(f"  {count:6} benign: {reason}")
    problems = [*(report.problems() if complete else report.unnoticed)]
    for problem in problems:
        print(f"  {problem}")
    return len(problems)


def main(words: list[str]) -> int:
    options = {word for word in words if word.startswith("-")}
    names = [word for word in words if word not in options]
    if options & {"-h", "--help"}:
        print(__doc__)
        return 0
    try:
        if options == {"--compare"} and len(names) == 2:
            bochs, qemu = (recording.load(name) for name in names)
            uses: Uses = collections.Counter()
            bad = check_pair(bochs["program"], bochs, qemu, uses)
            print_allowed(uses)
        elif options == {"--mutate"}:
            made = ((name, recording.load(name)) for name in names)
            if not names:
                made = ((named(*one), one.recording) for one in own_recordings(FEW_SWITCHES))
            bad = check_judge(made, complete=not names)
        elif not options:
            bad = check_all(names)
        else:
            print(f"check-crossings: {' '.join(words)}: see scripts/ringside judge --help", file=sys.stderr)
            return 2
    except recording.BadRecording as error:
        print(f"check-crossings: {error}", file=sys.stderr)
        return 1
    return 1 if bad else 0

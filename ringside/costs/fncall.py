"""What a switch without rings costs, measured on build/fncall/fncall.

usage: scripts/ringside fncall

Instructions are counted one by one (ptrace(2), PTRACE_SINGLESTEP), from A's call to
B's first instruction, both call and ret among them; a system call is one. They are
exact. Time is measured in system calls: getppid(2) and the switches in alternating rounds, and
divided. Nanoseconds are this machine's, today's, and not promised.
"""

import collections
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile

from ringside.emulators import machines
from ringside.costs import tracee

PROGRAM = machines.BUILD / "fncall/fncall"
WAYS = {"arch_prctl": (), "wrfsbase": ("--wrfsbase",),
        "gs, by arch_prctl": ("--fs-is-not-mine",), "gs, by wrgsbase": ("--fs-is-not-mine", "--wrfsbase")}
BY_INSTRUCTION = [way for way in WAYS if "--wrfsbase" in WAYS[way]]
YARDSTICK = machines.ROOT / "ringside/costs/system_calls.c"
QUIET_SWITCH = 5  # the first one that no one looks at
ROUNDS, SWITCHES = 7, 200_000
OURS = ("proc_call", "fncall_trap", "fncall_trap_end", "leave", "run_fncall", "fs_by_arch_prctl", "fs_by_wrfsbase",
        "gs_by_arch_prctl", "gs_by_wrgsbase", "gs_left", "close", "guard")  # all else is C


def steps(program, *options, quiet=QUIET_SWITCH):
    """Whose instruction each one is, from A's call to B's first: the nearest name below.

    The next switch after QUIET_SWITCH is one from B to A.
    """
    with tracee.Tracee(program, *options, delivers={signal.SIGSEGV}) as run:
        by_place = sorted((run.base + place, name) for name, place in run.names.items())
        first_of_b = run.place("proc_call") + 5
        for _ in range(quiet):
            run.run_to("proc_call")
        here = run.place("proc_call")
        walked = []
        while here != first_of_b:
            walked.append([name for place, name in by_place if place <= here][-1])
            here = run.step()
    return walked


def count(program, *options):
    """(all, those in assembly)"""
    walked = steps(program, *options)
    return len(walked), sum(name in OURS for name in walked)


def nanoseconds(*command, options=()):
    """Of the CPU, for one switch or system call: from runs of different length, so that start and end do not count."""
    def run(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command[:-1], f"{command[-1]}{times}", *options], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (run(2 * SWITCHES) - run(SWITCHES)) * 1e9 / SWITCHES


def rounds_of(program, ways, rounds=ROUNDS):
    """{way: [(nanoseconds, as many system calls)]}, measured side by side."""
    found = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        yardstick = pathlib.Path(folder) / "system_calls"
        subprocess.run(["cc", "-O2", "-o", yardstick, YARDSTICK], check=True)
        for _ in range(rounds):
            for way, options in ways.items():
                call = nanoseconds(yardstick, "")
                switch = nanoseconds(program, "--switches=", options=options)
                found[way].append((switch, switch / call))
    return found


def in_system_calls(program, rounds=ROUNDS):
    """What one switch takes, by rounds, in the time of a system call."""
    return [calls for _, calls in rounds_of(program, {"": ()}, rounds)[""]]


def first_time(program):
    """What the first execution of an instruction by fs takes, in switches that no instruction of is rewritten any more."""
    ratios = []
    for _ in range(ROUNDS):
        said = subprocess.run([program, "--fs-is-not-mine", "--user=many", "--switches=4096"], check=True,
                              capture_output=True, text=True).stdout
        told = dict(re.findall(r"(\w+)=([\d.]+)", said.splitlines()[-1]))
        first, rewritten, turns = float(told["first"]), int(told["rewritten"]), int(told["n"])
        later = (float(told["clocks"]) * turns - first) / (turns - 1)
        ratios.append((first - later) / rewritten / later)
    return statistics.median(ratios)


def main(arguments):
    if arguments:
        print(__doc__, file=sys.stdout if {"-h", "--help"} & set(arguments) else sys.stderr)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    if not PROGRAM.exists():
        print("scripts/ringside fncall: no build/fncall/fncall: it is built by: make fncall", file=sys.stderr)
        return 1
    ways = dict(WAYS)
    if subprocess.run([PROGRAM, *WAYS["wrfsbase"]], capture_output=True).returncode:
        print("No wrfsbase here: left out.")
        for way in BY_INSTRUCTION:
            del ways[way]
    found = rounds_of(PROGRAM, ways)
    for way, options in ways.items():
        walked = steps(PROGRAM, *options)
        times, calls = zip(*found[way])
        print(f"{way}: {len(walked)} instructions from A's call to B's first, in the time of "
              f"{statistics.median(calls):.1f} system calls ({min(calls):.1f} to {max(calls):.1f}); "
              f"{statistics.median(times):.0f} ns ({min(times):.0f} to {max(times):.0f})")
        for name, instructions in collections.Counter(walked).items():
            print(f"  {instructions:3}  {name}")
    median = {way: statistics.median(calls for _, calls in of) for way, of in found.items()}
    if "wrfsbase" in ways:
        print(f"arch_prctl(2), of which a switch needs two: some "
              f"{(median['arch_prctl'] - median['wrfsbase']) / 2:.1f} system calls each")
    print(f"an instruction by fs, when it is executed first and rewritten: the time of {first_time(PROGRAM):.1f} switches by gs")
    return 0

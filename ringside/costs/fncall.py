"""What a switch without rings costs, measured on build/fncall/fncall.

usage: scripts/ringside fncall

Instructions are counted one by one (ptrace(2), PTRACE_SINGLESTEP), from A's call to
B's first instruction, both call and ret among them; a system call is one. They are
exact. Nanoseconds are this machine's, today's, and not promised.
"""

import collections
import statistics
import subprocess
import sys
import time

from ringside.emulators import machines
from ringside.costs import tracee

PROGRAM = machines.BUILD / "fncall/fncall"
WAYS = {"arch_prctl": (), "wrfsbase": ("--wrfsbase",)}
QUIET_SWITCH = 5  # the first one that no one looks at
ROUNDS, SWITCHES = 7, 1_000_000
OURS = ("proc_call", "fncall_trap", "set_fs_base", "run_fncall")  # all else is C


def steps(program, *options, quiet=QUIET_SWITCH):
    """Whose instruction each one is, from A's call to B's first: the nearest name below.

    The next switch after QUIET_SWITCH is one from B to A.
    """
    with tracee.Tracee(program, *options) as run:
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


def nanoseconds(program, *options):
    """One switch, from runs of different length, so that start and end do not count."""
    def run(switches):
        start = time.monotonic()
        subprocess.run([program, f"--switches={switches}", *options], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start
    return (run(2 * SWITCHES) - run(SWITCHES)) * 1e9 / SWITCHES


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
        del ways["wrfsbase"]
    times = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, options in ways.items():
            times[way].append(nanoseconds(PROGRAM, *options))
    for way, options in ways.items():
        walked = steps(PROGRAM, *options)
        print(f"fs base by {way}: {len(walked)} instructions from A's call to B's first, "
              f"{statistics.median(times[way]):.0f} ns ({min(times[way]):.0f} to {max(times[way]):.0f})")
        for name, instructions in collections.Counter(walked).items():
            print(f"  {instructions:3}  {name}")
    if len(ways) == 2:
        median = {way: statistics.median(of) for way, of in times.items()}
        print(f"arch_prctl(2), of which a switch needs two: some "
              f"{(median['arch_prctl'] - median['wrfsbase']) / 2:.0f} ns each")
    return 0

"""Attacks the programs from ring 3 in every way we know, and in some that we do not.

usage: scripts/ringside attack [--program NAME] [--random COUNT] [--seed SEED] [WORD ...]

Of each program on the floppy, or of one: proc A tries each attack of ringside/attacks/table.py, in
Bochs and in QEMU, on the floppy that ships; only those with one of the WORDs in their
names, if there are any. Then, in Bochs, it executes COUNT codes made up at random from SEED
(1): 10000 in P_PROC, 2000 in each other program. A line says what Intel's manual has to
come of an attack, and whether it did:

    yes     it came, with that vector, error code and eip, proc B went on, nothing else
            was touched, and the report on the screen said so
    as said QEMU does something else, and the line says why
    -       not run there, for a reason
    NO      what has happened instead stands below

The attacks are the same for all programs. Where a program means something else to come of
one, the line says why, too. PAGED and SYSENTER have attacks on pages in place of those on limits
(flat.py); SYSENTER's MSRs get wrong values from outside (msrs.py). Ends with 1 if there is a NO.
"""

import argparse
import collections
import pathlib
import re
import sys
import tempfile
import time

from ringside.recorder import programs
from ringside.attacks import differences
from ringside.attacks import families
from ringside.attacks import games
from ringside.attacks import msrs
from ringside.emulators import machines

EMULATORS = ("bochs", "qemu")
FIRST, AT_RANDOM, AT_RANDOM_IN_OTHERS = "p_proc", 10000, 2000


def verdict(emulator, attack, found):
    if found is None:
        return "-"
    if found:
        return "NO"
    return "as said" if emulator == "qemu" and attack.qemu else "yes"


def print_line(name, expected, verdicts, why=""):
    print(f"{name:48} {expected:26} {verdicts[0]:7} {verdicts[1]:7} {why}".rstrip(), flush=True)


def table(program, tried):
    """One line for each; returns how often there was which verdict: {(emulator, verdict): count}."""
    counts = collections.Counter()
    for results in zip(*(games.try_all(emulator, program, tried) for emulator in EMULATORS)):
        attack = results[0][0]
        verdicts = [verdict(emulator, attack, found) for emulator, (_, found) in zip(EMULATORS, results)]
        expected = "" if attack.left_out else str(attack.expected)
        print_line(attack.name, expected, verdicts, attack.why)
        for emulator, (_, found), word in zip(EMULATORS, results, verdicts):
            counts[emulator, word] += 1
            for what in found or ():
                print(f"    {emulator}: {what}")
    return counts


def try_families(program, words):
    """One line for each family."""
    counts = collections.Counter()
    for name in families.FAMILIES:
        members = [attack for attack in families.family(program, name) if chosen(words, name) or chosen(words, attack.name)]
        if not members:
            continue
        verdicts, wrong = [], []
        for emulator in EMULATORS:
            results = list(games.try_all(emulator, program, members))
            right = sum(found == [] for _, found in results)
            verdicts.append("yes" if right == len(members) else "NO")
            counts[emulator, "yes"] += right
            counts[emulator, "NO"] += len(members) - right
            wrong += [f"    {emulator}: {attack.name}: {what}" for attack, found in results for what in found]
        print_line(name, f"{len(members)} attacks", verdicts)
        print("".join(line + "\n" for line in wrong), end="")
    return counts


def bend_msrs(program):
    """One line for each value of an MSR of SYSENTER's."""
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        floppy = machines.floppy_that_starts(program.name, pathlib.Path(folder) / "floppy.img")
        for bent in msrs.MSRS:
            found = {emulator: msrs.wrong(emulator, bent, floppy) for emulator in EMULATORS}
            words = ["NO" if found[name] else "as said" if name == "qemu" and bent.why else "yes" for name in EMULATORS]
            expected = re.sub(r"^(\w+) .*name=(#\w+) .*", r"\1, \2", bent.intel or "plays on")
            print_line(f"MSR {bent.name}", expected, words, bent.why)
            for name, word in zip(EMULATORS, words):
                counts[name, word] += 1
                print("".join(f"    {name}: {what}\n" for what in found[name]), end="")
    return counts


def at_random(program, count, seed):
    """A line for each model of a CPU; returns how many codes did what none may do."""
    wrong = 0
    for part, model in enumerate(games.models(program) if count else ()):
        number = count // 2 if part else count - count // 2
        ends = collections.Counter()
        for code, end, found in games.at_random(program, f"{seed}.{part}", number, model):
            ends[end] += 1
            if found:
                wrong += 1
                print(f"NO: {code.data[:64].hex()}...")
                print("".join(f"    {what}\n" for what in found), end="", flush=True)
        told = ", ".join(f"{name} {times}" for name, times in ends.most_common())
        print(f"{number} codes at random, Bochs' {model}: {told}", flush=True)
    return wrong


def chosen(words, name):
    return not words or any(word in name for word in words)


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].splitlines()[0], add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--program")
    parser.add_argument("--random", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    names = [options.program] if options.program else [name for name in programs.on_the_floppy() if programs.named(name).attacked]
    results = [attacked(programs.named(name), options) for name in names]
    if results.count(None) == len(results):
        print(f"attack: nothing has {' or '.join(options.words)} in its name; all names: scripts/ringside attack --random 0",
              file=sys.stderr)
        return 2
    return 1 if any(results) else 0


def attacked(program, options):
    """All that is tried in a program; returns how much was not as it must be, None if there was nothing."""
    started = time.monotonic()
    number = options.random
    if number is None:
        number = 0 if options.words else AT_RANDOM if program.name == FIRST else AT_RANDOM_IN_OTHERS
    print_line(f"{program.name}: proc A tries", "expected", EMULATORS)
    tried = [attack for attack in differences.table(program) if chosen(options.words, attack.name)]
    counts = table(program, tried)
    counts += try_families(program, options.words)
    if "msrs" in program.symbols and chosen(options.words, "MSR"):
        counts += bend_msrs(program)
    if not counts and not number:
        return None
    wrong = at_random(program, number, options.seed)
    for emulator in EMULATORS:
        parts = ", ".join(f"{word} {counts[emulator, word]}" for word in ("yes", "as said", "-", "NO")
                          if counts[emulator, word])
        print(f"{program.name}, {emulator}: {parts or 'nothing'}")
    print(f"{program.name}, at random: {number}, of which {wrong} did what none may do; "
          f"{time.monotonic() - started:.0f} s")
    return wrong + sum(counts[emulator, "NO"] for emulator in EMULATORS)

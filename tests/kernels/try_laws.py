#!/usr/bin/python3
"""Which of the mistakes in tests/kernels does scripts/ringside laws find, of those that break no rule of the CPU?

usage, from the root: PYTHONPATH=. python3 tests/kernels/try_laws.py [--healthy] [NAME ...]

Each is built in build/kernels/mistakes/NAME, and its crossings are recorded in Bochs: two at a time. All
that break a law, unless some are named. --healthy looks at the seven kernels without a mistake
instead; nothing may be found in them.

A line for each: the laws that are broken, or none. Ends with 1 if a healthy kernel breaks one, or a
mistake does not break its own.
"""

import concurrent.futures
import sys

import runs
import try_mistakes as mistakes
from ringside.emulators import machines
from ringside.emulators.image import recognise
from ringside.laws import command, laws
from ringside.recorder import listing
from ringside.recorder.crossings import Names

CROSSINGS, HEALTHY_CROSSINGS = 300, 1000
SECONDS = 30
# Which law has to be broken, by each mistake that breaks no rule of the CPU; scripts/ringside why names two more.
FOUND = {
    "base-of-another-task": "P5", "df-left-to-c": "D0", "eoi-forgotten": "E1", "esp0-stale": "F1",
    "first-registers-of-the-kernel": "S1", "frame-in-pushas-order": "R1", "frame-not-followed": "K1", "if-clear": "P3",
    "io-map-base-zero": "P6", "iopl-3": "P2", "kernel-pages-for-users": "P1", "pic-not-remapped": "V1", "pics-swapped": "V1",
    "sysexit-without-sti": "P3", "tasks-share-a-frame": "F1", "timer-loses-edx": "R1", "tlb-not-flushed": "P8",
}


def found(folder, kernel, crossings):
    """The findings in a kernel that was built there."""
    elf = folder / f"{kernel}.elf"
    made, reached = command.of_image(recognise(folder / "disk.img" if kernel == "disk" else elf),
                                     listing.Wanted(first=crossings, seconds=SECONDS), Names(elf))
    return laws.broken(made) + reached


def look(name, healthy):
    try:
        if healthy:
            return found(runs.BUILT, name, HEALTHY_CROSSINGS)
        kernel, folder = mistakes.build(name)
        return found(folder, kernel, CROSSINGS)
    except (runs.Broken, mistakes.Wrong, listing.NoneFound, machines.Missing) as reason:
        return str(reason).partition("\n")[0]


def main(arguments):
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    healthy = "--healthy" in arguments
    some = [argument for argument in arguments if argument != "--healthy"]
    if healthy:
        runs.build()
    lawless = [name for name in mistakes.names() if mistakes.read(name)[0]["breaks"] == "law"]
    some = some or (runs.KERNELS if healthy else lawless)
    broken, unnamed = 0, []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, seen in zip(some, pool.map(lambda name: look(name, healthy), some)):
            told = seen if isinstance(seen, str) else "; ".join(f"{one.law} {one.said}" for one in seen) or "none"
            broken += bool(seen)
            named = set() if isinstance(seen, str) else {one.law for one in seen}
            unnamed += [name] if not healthy and name in FOUND and FOUND[name] not in named else []
            print(f"{name:32} {told}", flush=True)
    print(f"{broken} of {len(some)} break a law, or cannot be looked at")
    if unnamed:
        print("not found by its law: " + ", ".join(f"{name} ({FOUND[name]})" for name in unnamed))
    return 1 if healthy and broken or unnamed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

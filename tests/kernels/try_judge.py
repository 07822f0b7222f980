#!/usr/bin/python3
"""Are the crossings of the healthy kernels in tests/kernels as Intel's rules say?

usage, from the root: PYTHONPATH=. python3 tests/kernels/try_judge.py [NAME ...]

Records 1,000 crossings of each in Bochs, and judges them. A line for each: how many there are, how many
facts are not so, the seconds for listing and recording them, and which ways there were from ring to ring.
Ends with 1 if a fact is not so, or if fewer than 1,000 were recorded.
"""

import collections
import sys
import time

import runs
from ringside.emulators.image import recognise
from ringside.judge import judge
from ringside.recorder import listing
from ringside.recorder.crossings import Names, record_crossings

ENOUGH, LISTED = 1000, 1010     # listed are some more: of an interrupt that Bochs has made with what was before it, none is met


def look(name):
    """(crossings, findings, seconds, {kind: how many})"""
    elf = runs.BUILT / f"{name}.elf"
    begun = time.monotonic()
    made = record_crossings(recognise(runs.BUILT / "disk.img" if name == "disk" else elf), listing.Wanted(first=LISTED),
                            Names(elf))
    seconds = time.monotonic() - begun
    verdicts = [verdict for _, verdict in judge.verdicts(made)]
    ways = collections.Counter(verdict.kind for verdict in verdicts if verdict.crossing)
    return sum(ways.values()), [fact for verdict in verdicts for fact in verdict.findings], seconds, ways


def main(arguments):
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    runs.build()
    bad = 0
    for name in arguments or runs.KERNELS:
        crossings, findings, seconds, ways = look(name)
        bad += bool(findings) or crossings < ENOUGH
        print(f"{name:10} {crossings:6} crossings {len(findings):4} not so {seconds:6.1f} s  "
              + "; ".join(f"{count} {kind}" for kind, count in ways.most_common()), flush=True)
        for fact in findings[:3]:
            print(f"  {fact}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

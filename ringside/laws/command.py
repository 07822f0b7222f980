"""Does this kernel keep the laws that it owes its procs? Looks at a recording, or at an image in Bochs.

    scripts/ringside laws build/recording-bochs.json        a recording of either kind
    scripts/ringside laws kernel.elf                        an image: its crossings are recorded first
    scripts/ringside laws disk.img --elf kernel.elf --first 200
    scripts/ringside laws floppy.img --strict               of a kernel that promises what P_PROC does
    scripts/ringside laws --list                            the laws, and for which kernels each counts

The options that choose crossings are those of scripts/ringside record IMAGE; 300 are looked at unless
--first says otherwise. A recording of a program on the floppy is looked at strictly without --strict.

Exit status: 0 no law is broken, 1 some are, 2 it cannot be told, 3 wrong usage.
"""

import argparse
import json
import pathlib
import sys
from typing import NoReturn

from ringside.emulators import machines
from ringside.emulators.image import Unusable
from ringside.laws import laws
from ringside.recorder import listing
from ringside.recorder import other_kernels
from ringside.recorder import recording

BROKEN, CANNOT_TELL, USAGE = 1, 2, 3
CROSSINGS = 300


class Parser(argparse.ArgumentParser):
    """Wrong usage has status 3, as nothing else."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"laws: {message}; scripts/ringside laws --help says more\n")


def is_recording(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"{"


def print_list() -> None:
    for name, what in laws.LAWS.items():
        print(f"{name}  {what}")


def main(arguments: list[str]) -> int:
    parser = Parser(prog="scripts/ringside laws", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if arguments == ["--list"]:
        print_list()
        return 0
    other_kernels.add_options(parser)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(first=CROSSINGS)
    options = parser.parse_args(arguments)
    try:
        if not options.image.exists():
            raise Unusable(f"there is no {options.image}")
        made = recording.load(options.image) if options.image.is_file() and is_recording(options.image) \
            else other_kernels.make(parser, options)
    except (Unusable, OSError, recording.BadRecording) as reason:
        print(f"laws: {reason}", file=sys.stderr)
        return USAGE
    except (listing.NoneFound, machines.Missing) as reason:
        print(f"laws: {reason}", file=sys.stderr)
        return CANNOT_TELL
    strict = options.strict or "crossings" not in made
    found = laws.broken(made, strict)
    if options.json:
        print(json.dumps([laws.as_json(finding) for finding in found], indent=1))
        return BROKEN if found else 0
    for finding in found:
        print(finding)
    steps = [step for step in made["steps"] if "gap" not in step]
    crossings = laws.crossings(made)
    print(f"{len(found)} laws broken in {len(steps)} steps, {crossings} of them from one ring into another"
          + (", looked at strictly" if strict else ""))
    if not found and not crossings:
        print("laws: nothing enters or leaves ring 3 in it, so there is nothing to tell", file=sys.stderr)
        return CANNOT_TELL
    return BROKEN if found else 0

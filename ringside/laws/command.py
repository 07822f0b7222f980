"""Does this kernel keep the laws that it owes its procs? Looks at a recording, or at an image in Bochs.

    scripts/ringside laws build/recording-bochs.json        a recording of either kind
    scripts/ringside laws kernel.elf                        an image: its crossings are recorded first
    scripts/ringside laws disk.img --elf kernel.elf --first 200
    scripts/ringside laws floppy.img --strict               of a kernel that promises what P_PROC does
    scripts/ringside laws --program kstack                  a program on the floppy, strictly, and with procs of ours
    scripts/ringside laws --list                            the laws, and for which kernels each counts

--program records the program from its first instruction on, and then puts procs of ours in the place of
its own (probe.py), which fill all registers with random values, by --seed.

The options that choose crossings, --seconds and --memory are those of scripts/ringside record IMAGE; 300 are looked at unless
--first says otherwise. A recording of a program on the floppy is looked at strictly without --strict.

Exit status: 0 no law is broken, 1 some are, 2 it cannot be told, 3 wrong usage.
"""

import argparse
import json
import pathlib
import sys
import tempfile
from typing import NoReturn

from ringside.emulators import machines
from ringside.emulators.image import Image, Unusable
from ringside.laws import beginning
from ringside.laws import laws
from ringside.laws import lives
from ringside.laws import probe
from ringside.laws import stale
from ringside.recorder import listing
from ringside.recorder import other_kernels
from ringside.recorder import programs
from ringside.recorder import record
from ringside.recorder import recording
from ringside.recorder.crossings import Names, record_crossings

BROKEN, CANNOT_TELL, USAGE = 1, 2, 3
CROSSINGS = 300
SWITCHES = 6        # of a program that are recorded
# What programs grant ring 3 on purpose; those that are not named here have no door that the probe knows.
PROMISED = {"p_proc": probe.Promised(), "kstack": probe.Promised(("ecx", "edx"), (0x70, 0x71)), "userctx": probe.Promised(),
            "timer": probe.Promised(), "hwtask": probe.Promised(), "callgate": probe.Promised(),
            "paged": probe.Promised(vectors=(0x31,)), "sysenter": probe.Promised(("ecx", "edx"))}
WITH_PAGES = {"paged", "sysenter"}      # in which no proc of ours is ended and started again


class Parser(argparse.ArgumentParser):
    """Wrong usage has status 3, as nothing else."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"laws: {message}; scripts/ringside laws --help says more\n")


def is_recording(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"{"


def of_program(name: str, seed: int) -> list[laws.Finding]:
    """A program on the floppy. Raises machines.Missing if it does not come to its first step."""
    try:
        made = record.record("bochs", name, programs.named(name).start, switches=SWITCHES)
    except record.Ended as ended:
        made = ended.recorded
    found = laws.broken(made, strict=True)
    with tempfile.TemporaryDirectory(prefix="rp-", dir=machines.IN_MEMORY) as folder:
        image = machines.floppy_that_starts(name, f"{folder}/floppy.img")
        if name in PROMISED:
            try:
                model = machines.BOCHS_MODELS.get(name, "")
                entry = beginning.first_of_ring_3(image, model)
                tried = probe.Probe("bochs", image, entry, seed, PROMISED[name], model).run()
                known = {law for law, _, _ in tried}
                if name not in WITH_PAGES:
                    again = lives.Lives(name, image, entry, seed, PROMISED[name]).run()
                    tried += [one for one in again if one.law not in known]
            except beginning.NoRing3 as reason:
                tried = [probe.Finding("H1", str(reason), 0)]
            found += [laws.Finding(law, said, switch, f"switch {switch} between procs of ours") for law, said, switch in tried]
    return found


def of_image(image: Image, wanted: listing.Wanted, names: Names) -> tuple[recording.Recording, list[laws.Finding]]:
    """Its crossings, and what no recording of these shows: where ring 3 reaches a page as it was. Raises listing.NoneFound,
    Unusable, machines.Missing."""
    made = record_crossings(image, wanted, names)
    paging = any(after["cpl"] == 3 and after["cr0"] >> 31 for _, _, _, after in recording.walk(made))
    return made, stale.look(image, wanted, names) if paging else []


def print_list() -> None:
    for name, what in laws.LAWS.items():
        print(f"{name}  {what}")


def main(arguments: list[str]) -> int:
    parser = Parser(prog="scripts/ringside laws", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if arguments == ["--list"]:
        print_list()
        return 0
    other_kernels.add_options(parser, optional=True)
    parser.add_argument("--program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(first=CROSSINGS)
    options = parser.parse_args(arguments)
    if bool(options.image) == bool(options.program):
        parser.error("give a recording or an image, or a program with --program")
    if options.program:
        try:
            found = of_program(programs.named(options.program).name, options.seed)
        except machines.Missing as reason:
            print(f"laws: {str(reason).partition(chr(10))[0]}", file=sys.stderr)
            return CANNOT_TELL
        return told(found, options.json, f"in {options.program}, looked at strictly")
    try:
        if not options.image.exists():
            raise Unusable(f"there is no {options.image}")
        recorded = options.image.is_file() and is_recording(options.image)
        made, reached = (recording.load(options.image), []) if recorded else of_image(*other_kernels.asked(parser, options))
    except (Unusable, OSError, recording.BadRecording) as reason:
        print(f"laws: {reason}", file=sys.stderr)
        return USAGE
    except (listing.NoneFound, machines.Missing) as reason:
        print(f"laws: {reason}", file=sys.stderr)
        return CANNOT_TELL
    strict = options.strict or "crossings" not in made
    found = laws.broken(made, strict) + reached
    crossings = laws.crossings(made)
    if not found and not crossings:
        print("laws: nothing enters or leaves ring 3 in it, so there is nothing to tell", file=sys.stderr)
        return CANNOT_TELL
    steps = len([step for step in made["steps"] if "gap" not in step])
    return told(found, options.json, f"in {steps} steps, {crossings} of them from one ring into another"
                + (", looked at strictly" if strict else ""))


def told(found: list[laws.Finding], as_json: bool, where: str) -> int:
    """Prints the findings; the exit status."""
    if as_json:
        print(json.dumps([laws.as_json(finding) for finding in found], indent=1))
    else:
        for finding in found:
            print(finding)
        print(f"{len(found)} laws broken {where}")
    return BROKEN if found else 0

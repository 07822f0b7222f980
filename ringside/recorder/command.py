"""Records what the CPU does while the floppy plays.

usage: scripts/ringside record [--emulator bochs|qemu] [--program NAME] [--from SYMBOL] [--after N]
                  [--switches K | --steps K] [--key N] [--all] [--output FILE] [--image FILE]
       scripts/ringside record IMAGE [--elf FILE] [--base N] [--first N] [--around TIME] [--every K]
                  [--vector V] [--from SYMBOL|ADDRESS] [--seconds N] [--memory N] [--output FILE]

  --emulator  bochs (with the accesses inside each instruction) or qemu
  --program   a program on the floppy: p_proc unless given
  --from      symbol to begin at; unless given: start, the stub's first instruction, and of a program with
              pages ckpt_spaces, the first instruction that they have
  --after     begin there after N switches have been made, a power of two; with a --from that comes again
  --switches  end at the K-th switch, in the other proc (8 unless given)
  --steps     or end after K steps
  --key       1 to 6: proc A makes that mistake at its next turn, as if the key had been pressed
  --all       record also what is otherwise one step: calls that have to do with
              screen, log and pace alone
  --output    build/recording-EMULATOR.json unless given
  --image     a floppy that starts the program, with a change of your own; build/floppy.img's
              code must fit it

If the guest halts or ends the machine before the recording is complete, or Ctrl-C does, what there is
of it is kept, where it ended is said, and the exit code is 1.

Where a clock ends a proc's turn (TIMER), it does so after some tens of instructions instead of
its usual 10 ms, which would fill the recording. Its interrupt is a step of its own. In Bochs no
recording begins at the first instruction of its handler, because the debugger does not stop there.

The second way is for any other kernel: a floppy, a disk, a CD, or a multiboot ELF. In Bochs its crossings
are listed in one run, and recorded in another: interrupts, exceptions, iret, sysenter, sysexit, far
calls and far returns, each with all accesses; what comes between them is left out.

  IMAGE       it is only read
  --elf       the kernel's ELF, for symbols and source lines; a multiboot ELF is its own
  --base      what to add to the ELF's addresses, if it runs elsewhere
  --first     so many crossings (1000)
  --around    half of them before that second of the guest's time, half behind it
  --every     of the ways in each K-th alone, with the ways out behind it
  --vector    by that vector alone
  --from      from there on: a symbol of --elf, or a linear address
  --seconds   how long the first run may take (30)
  --memory    MiB (128)
  --output    build/recording-IMAGE.json unless given

ringside/recorder/recording.py says what a recording is, and ringside/recorder/programs.py what the
recorder must know of each program.
"""

import argparse
import pathlib
import sys
from typing import Any

from ringside.emulators import machines
from ringside.recorder import other_kernels, programs, record, recorded, recording


def main(arguments: list[str]) -> int:
    """scripts/ringside record ...: 0, 1 if the run ended early or nothing came of it, 2 for wrong usage."""
    if arguments and not arguments[0].startswith("-"):
        return other_kernels.main(arguments)
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--emulator", choices=recorded.EMULATORS, default="bochs")
    parser.add_argument("--program", default="p_proc")
    parser.add_argument("--from", dest="start", default="")
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--switches", type=int, default=8)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--key", type=int, choices=range(1, 7), default=0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--output")
    parser.add_argument("--image")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    output = pathlib.Path(options.output or machines.BUILD / f"recording-{options.emulator}.json")
    if options.after < 0 or options.after & options.after - 1:
        parser.error(f"--after {options.after}: the log tells of switches 1, 2, 4, 8, ... only")
    if not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {output.parent}")
    if options.image and not pathlib.Path(options.image).is_file():
        parser.error(f"--image {options.image}: there is no such file")
    program = programs.named(options.program)
    start = options.start or program.start
    if start == "start" != program.start:
        parser.error(f"--from start: {program.name} runs elsewhere until it has pages, and is recorded from {program.start} on")
    if options.after and start in ("start", program.start):
        parser.error(f"--after {options.after}: {start} comes once, before the first switch; give --from a symbol that comes "
                     f"again, such as {program.full_speed[0]}")
    image: dict[str, Any] = {"image": pathlib.Path(options.image).resolve()} if options.image else {}
    ended = None
    try:
        made = record.record(options.emulator, program.name, start, options.after,
                             options.switches, options.steps, options.all, key=options.key, **image)
    except record.Ended as early:
        made, ended = early.recorded, early
    except (machines.Missing, RuntimeError, OSError) as missing:
        print(f"record: {start} is not reached, or the run ends too early: {missing}", file=sys.stderr)
        return 1
    recording.check(made)
    recording.save(made, output)
    if ended:
        print(f"record: {ended}", file=sys.stderr)
    print(f"{len(made['steps'])} steps of {options.emulator} are in {output}")
    return 1 if ended else 0

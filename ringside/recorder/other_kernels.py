"""scripts/ringside record IMAGE: the command for kernels that are not on the floppy; --help is command.py's."""

import argparse
import pathlib
import sys
from typing import NoReturn

from ringside.emulators import machines
from ringside.emulators.anybochs import MEMORY
from ringside.emulators.image import Image, Unusable, check_elf, recognise
from ringside.recorder import listing
from ringside.recorder import recording
from ringside.recorder.crossings import Names, record_crossings


class Parser(argparse.ArgumentParser):
    """Wrong usage is told in a line that says where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"record: {message}; scripts/ringside record --help says more\n")


def number(text: str) -> int:
    return int(text, 0)


def add_options(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """What says which image, and which of its crossings. optional: the image is."""
    if optional:
        parser.add_argument("image", type=pathlib.Path, nargs="?")
    else:
        parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("--elf", type=pathlib.Path)
    parser.add_argument("--base", type=number, default=0)
    parser.add_argument("--first", type=number, default=1000)
    parser.add_argument("--around", type=float)
    parser.add_argument("--every", type=number, default=1)
    parser.add_argument("--vector", type=number)
    parser.add_argument("--from", dest="start")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--memory", type=int, default=MEMORY)


def make(parser: argparse.ArgumentParser, options: argparse.Namespace) -> recording.Recording:
    """Raises Unusable, listing.NoneFound, machines.Missing, OSError."""
    return record_crossings(*asked(parser, options))


def asked(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[Image, listing.Wanted, Names]:
    """Raises Unusable, OSError."""
    if options.first < 1 or options.every < 1 or options.seconds <= 0 or options.memory < 1:
        parser.error("--first, --every, --seconds and --memory are above 0")
    image = recognise(options.image)
    elf = options.elf or (options.image if image.kind == "multiboot ELF" else None)
    if elf:
        check_elf(elf)
    names = Names(elf, options.base)
    start = None
    if options.start is not None:
        start = names.symbols.get(options.start)
        try:
            start = int(options.start, 16) if start is None else start + options.base
        except ValueError:
            parser.error(f"--from {options.start}: no symbol of {elf or 'an ELF file, which --elf would give'}, and no address")
    wanted = listing.Wanted(options.first, options.around, options.every, options.vector, start, options.seconds, options.memory)
    return image, wanted, names


def main(arguments: list[str]) -> int:
    parser = Parser(add_help=False)
    add_options(parser)
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args(arguments)
    output = options.output or machines.BUILD / f"recording-{options.image.stem}.json"
    if not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {output.parent}")
    try:
        made = make(parser, options)
    except (Unusable, listing.NoneFound, machines.Missing, OSError) as reason:
        print(f"record: {reason}", file=sys.stderr)
        return 1
    recording.check(made)
    recording.save(made, output)
    crossings = len([step for step in made["steps"] if "gap" not in step])
    last = made["steps"][-1]
    if "ended" in last:
        where = f"{last['text']} at {last['symbol']} ({last['source']})"
        print(f"record: the kernel ended in its last step, {where}: {last['ended']}", file=sys.stderr)
    print(f"{crossings} steps, and the gaps between them, of {made['crossings']['listed']} crossings are in {output}")
    return 1 if "ended" in last else 0

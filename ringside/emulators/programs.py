"""The programs on the floppy: their names and addresses, and floppies that start one of them."""

import functools
import pathlib
import subprocess
import tempfile

from ringside.emulators.places import FLOPPY, IN_MEMORY, PROGRAM, ROOT, Path

BASE = 0x10000  # linear address of a program's offset 0 when the floppy booted it
LINEAR = 0xFFFFFFFF  # of linear addresses: they go on at 0 behind it


def linked(elf: Path) -> dict[str, int]:
    """Every name of a program, and its value."""
    if not pathlib.Path(elf).exists():
        raise SystemExit(f"ringside: no {elf}: it is built by: make")
    listing = subprocess.run(["nm", str(elf)], check=True, capture_output=True, text=True)
    entries = (line.split() for line in listing.stdout.splitlines())
    return {entry[2]: int(entry[0], 16) for entry in entries if len(entry) == 3}


def symbols(elf: Path = PROGRAM) -> dict[str, int]:
    """Every name of a program and its offset: from where the program begins, whatever linear address that has."""
    names = linked(elf)
    begin = names.get("program_segment", 0)
    return {name: (value - begin) & LINEAR for name, value in names.items()}


def linear_base(elf: Path = PROGRAM) -> int:
    """The linear address of a program's offset 0 while it plays: BASE, or what it is linked for if it has pages."""
    return linked(elf).get("program_segment", 0) or BASE


def sym(name: str, elf: Path = PROGRAM) -> int:
    """A name's offset in the program; add BASE for its linear address."""
    return symbols(elf)[name]


@functools.lru_cache(None)
def _that_starts(program: str, version: int) -> bytes:
    """The bytes of the floppy that starts another of its programs, as scripts/mkfloppy makes it."""
    with tempfile.TemporaryDirectory(prefix="rp-", dir=IN_MEMORY) as folder:
        path = pathlib.Path(folder, "floppy.img")
        subprocess.run(["sh", ROOT / "scripts/mkfloppy", "--program", program.upper(), FLOPPY, path], check=True)
        return path.read_bytes()


def that_starts(program: str) -> bytes:
    """The bytes of the floppy that starts another of its programs: "kstack"."""
    return _that_starts(program, FLOPPY.stat().st_mtime_ns)


def write_image(path: Path, data: bytes | bytearray) -> None:
    """A file whose zeroes at the end, most of a floppy, take no room."""
    with open(path, "wb") as file:
        file.write(data.rstrip(b"\0"))
        file.truncate(len(data))


def floppy_that_starts(program: str, path: Path) -> pathlib.Path:
    """A copy of the floppy, at path, that starts another of its programs."""
    write_image(path, that_starts(program))
    return pathlib.Path(path)

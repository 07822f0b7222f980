"""A program of the floppy with both procs replaced by steady.S, which watches its own
registers: whatever ring 0 does, and whenever, a proc that finds a change ends in ud2.

    names(0)                        offsets in proc A's code: lap, lap_end, shadow
    floppy("timer", path)           the floppy that starts this program with such procs
    laps(machine, "a")              how many proc A has made
"""

import functools
import pathlib
import subprocess
import tempfile
from typing import NamedTuple

from ringside.emulators import debuggers
from ringside.emulators import machines

SOURCE = pathlib.Path(__file__).resolve().parent / "steady.S"
LAPS = 8  # in a proc's data


class Assembled(NamedTuple):
    code: bytes
    names: dict[str, int]


@functools.cache
def _assembled(proc: int) -> Assembled:
    compiler, linker, *flags = (machines.BUILD / "how").read_text().split()
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/steady.{kind}" for kind in ("o", "elf", "bin")]
        plain = [flag for flag in flags if not flag.startswith("-I")]
        for command in ([compiler, *plain, f"-DPROC={proc}", "-c", str(SOURCE), "-o", files[0]],
                        [linker, "-m", "elf_i386", "-Ttext=0", "-o", files[1], files[0]],
                        ["objcopy", "-O", "binary", "-j", ".text", files[1], files[2]]):
            subprocess.run(command, check=True)
        return Assembled(pathlib.Path(files[2]).read_bytes(), machines.symbols(files[1]))


def names(proc: int) -> dict[str, int]:
    return _assembled(proc).names


def floppy(program: str, path: pathlib.Path) -> pathlib.Path:
    symbols = machines.symbols(machines.BUILD / f"{program}.elf")
    changes = {}
    for proc, letter in enumerate("ab"):
        code = _assembled(proc).code
        assert len(code) <= symbols[f"proc_{letter}_code_bytes"]
        changes[symbols[f"proc_{letter}_code"]] = code
    return debuggers.patched(path, changes, program)


def laps(machine: debuggers.Handles, letter: str) -> int:
    return machine.word(f"proc_{letter}_data", LAPS, 8)

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

from ringside.emulators import debuggers
from ringside.emulators import machines

SOURCE = pathlib.Path(__file__).resolve().parent / "steady.S"
LAPS = 8  # in a proc's data


@functools.cache
def _assembled(proc):
    """The code, and its names."""
    compiler, linker, *flags = (machines.BUILD / "how").read_text().split()
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/steady.{kind}" for kind in ("o", "elf", "bin")]
        for command in ([compiler, *(flag for flag in flags if not flag.startswith("-I")), f"-DPROC={proc}",
                         "-c", SOURCE, "-o", files[0]],
                        [linker, "-m", "elf_i386", "-Ttext=0", "-o", files[1], files[0]],
                        ["objcopy", "-O", "binary", "-j", ".text", files[1], files[2]]):
            subprocess.run(command, check=True)
        return pathlib.Path(files[2]).read_bytes(), machines.symbols(files[1])


def names(proc):
    return _assembled(proc)[1]


def floppy(program, path):
    symbols = machines.symbols(machines.BUILD / f"{program}.elf")
    changes = {}
    for proc, letter in enumerate("ab"):
        code = _assembled(proc)[0]
        assert len(code) <= symbols[f"proc_{letter}_code_bytes"]
        changes[symbols[f"proc_{letter}_code"]] = code
    return debuggers.patched(path, changes, program)


def laps(machine, letter):
    return machine.word(f"proc_{letter}_data", LAPS, 8)

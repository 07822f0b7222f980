"""In what the versions of the tools differ: a table, each row with its reason.

    version("qemu")             (7, 2, 22): as the tool itself says it
    holds("int-lock")           whether that row of DIFFERENCES holds for the tool at hand
    bochs_debugger()            the arguments that start Bochs' debugger

Nothing else asks for a version: programs and tests ask for a row. tests/test_versions.py looks
whether each row is so with the tools at hand where it holds, and not so where it does not. So
a row that is never needed is an error, and one that is missing somewhere else is found, too.

Where no version was tried between two that differ, a row holds from the newer one on.
"""

import dataclasses
import functools
import re
import subprocess


@dataclasses.dataclass(frozen=True)
class Difference:
    """Something that is not the same in all versions of a tool."""
    name: str
    tool: str
    since: tuple                # the first version that has it
    before: tuple | None        # the first that has it no more
    what: str                   # how such versions differ from the others
    reason: str


TOOLS = {
    "qemu": (["qemu-system-i386", "--version"], r"version ([\d.]+)"),
    "bochs": (["bochs", "--help"], r"Bochs x86 Emulator ([\d.]+)"),
    "gdb": (["gdb", "--version"], r"^GNU gdb .*?([\d.]+)$"),
    "binutils": (["objdump", "--version"], r"^GNU objdump .*?([\d.]+)$"),
    "python": (["/usr/bin/python3", "--version"], r"Python ([\d.]+)"),
}

DIFFERENCES = (
    Difference("bochs-debugger", "bochs", (3, 0), None,
               "its debugger starts only with the argument -debugger",
               "one program is both: with and without its debugger; older ones refuse that argument"),
)


@functools.lru_cache(None)
def version(tool):
    command, pattern = TOOLS[tool]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return tuple(int(number) for number in re.search(pattern, run.stdout, re.M)[1].strip(".").split("."))


def holds(name):
    row, = (row for row in DIFFERENCES if row.name == name)
    here = version(row.tool)
    return row.since <= here and (row.before is None or here < row.before)


def bochs_debugger():
    return ("-debugger",) if holds("bochs-debugger") else ()

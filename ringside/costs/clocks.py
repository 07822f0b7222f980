"""What an instruction count hides: clocks of Intel's manuals, and cycles measured in ring 3 of this host.

    table(measured())       in Markdown, for docs/costs.md and scripts/ringside bench clocks
    measured()              {kind: Cycles} by clocks.c, a program without a library; raises Lacking
    table()                 the manuals alone

The manuals' figures are for protected mode, without waits for memory.
"""

import pathlib
import platform
import re
import statistics
import subprocess
import tempfile
import typing

from ringside.emulators import machines

SOURCE = machines.ROOT / "ringside/costs/clocks.c"
NO_LIBRARY = ("-m32 -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-pic -no-pie -nostdlib -static "
              "-fno-stack-protector -fcf-protection=none").split()
UNKNOWN = "–"
HEAD = "instructions", "counted as", "386", "486", "host, cycles", "rounds"


class Lacking(Exception):
    """Why nothing can be measured here, in a few words."""


class Cycles(typing.NamedTuple):
    median: float
    least: float
    most: float


class Kind(typing.NamedTuple):
    """A row. `measured` is the name in clocks.c, or nothing where ring 3 cannot measure it."""
    text: str
    counted: int
    i386: str
    i486: str
    measured: str = ""


# What a switch is made of. Sources: docs/costs.md names both manuals. "TS" is the time of a task switch.
KINDS = (
    Kind("`int`, to more privilege", 1, "99", "71"),
    Kind("`iret`, to less privilege", 1, "82", "36"),
    Kind("`int` through a task gate", 1, "309", "37 + TS"),
    Kind("`iret` with NT set", 1, "275", "32 + TS"),
    Kind("`lldt`", 1, "24", "11"),
    Kind("`pop` of a segment register", 1, "21", UNKNOWN),
    Kind("`push` and `pop` of ds", 2, UNKNOWN, UNKNOWN, "push_pop_ds"),
    Kind("`push` and `pop` of es", 2, UNKNOWN, UNKNOWN, "push_pop_es"),
    Kind("`push` and `pop` of fs", 2, UNKNOWN, UNKNOWN, "push_pop_fs"),
    Kind("`push` and `pop` of gs", 2, UNKNOWN, UNKNOWN, "push_pop_gs"),
    Kind("`lds`", 1, "22", "12", "load_ds"),
    Kind("`les`", 1, "22", "12", "load_es"),
    Kind("`mov` from and to ss", 2, UNKNOWN, UNKNOWN, "mov_ss"),
    Kind("`mov`, `cmp`, `jne`: compares ds instead", 3, UNKNOWN, UNKNOWN, "compare"),
    Kind("`popa`", 1, "24", "9"),
    Kind("`pusha` and `popa`", 2, UNKNOWN, UNKNOWN, "pusha_popa"),
    Kind("`pushf` and `popf`", 2, UNKNOWN, UNKNOWN, "pushf_popf"),
    Kind("three `push`, `iret` to the same ring", 4, UNKNOWN, UNKNOWN, "iret_same_ring"),
    Kind("`call` and `ret`", 2, UNKNOWN, UNKNOWN, "call_ret"),
    Kind("`cld`", 1, UNKNOWN, UNKNOWN, "set_direction"),
    Kind("`xchg` with memory", 1, UNKNOWN, UNKNOWN, "swap"),
    Kind("`int $0x80`, Linux' getpid(2), and back", 2, UNKNOWN, UNKNOWN, "int_and_back"),
)


def constant(name: str) -> int:
    """A number that clocks.c has by name."""
    found = re.search(rf"^#define {name}\s+(\d+)", SOURCE.read_text(), re.M)
    assert found, name
    return int(found[1])


def measured() -> "dict[str, Cycles]":
    """Each kind's cycles for one execution, by rounds."""
    if (platform.system(), platform.machine()) not in (("Linux", "x86_64"), ("Linux", "i686")):
        raise Lacking("cycles are measured in Linux on a PC alone")
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        program = pathlib.Path(folder) / "clocks"
        try:
            subprocess.run(["cc", *NO_LIBRARY, "-o", program, SOURCE], check=True, capture_output=True, text=True)
            said = subprocess.run([program], check=True, capture_output=True, text=True, timeout=60).stdout
        except FileNotFoundError:
            raise Lacking("no cc to build clocks.c with") from None
        except subprocess.CalledProcessError as error:
            raise Lacking(f"clocks.c does not build: {error.stderr.strip()}" if error.cmd[0] == "cc" else
                          "this host does not run 32-bit programs") from None
        except OSError:
            raise Lacking("this host does not run 32-bit programs") from None
    rounds: "dict[str, list[float]]" = {}
    for name, cycles in re.findall(r"^round \d+ (\w+) (\d+)$", said, re.M):
        rounds.setdefault(name, []).append(int(cycles) / constant("EACH") / constant("TIMES"))
    return {name: Cycles(statistics.median(of), min(of), max(of)) for name, of in rounds.items()}


def rows(found: "dict[str, Cycles] | None" = None) -> "list[list[str]]":
    made = []
    for kind in KINDS:
        cells = [UNKNOWN, UNKNOWN]
        if found and kind.measured in found:
            cycles = found[kind.measured]
            cells = [f"{cycles.median:.1f}", f"{cycles.least:.1f} to {cycles.most:.1f}"]
        made.append([kind.text, str(kind.counted), kind.i386, kind.i486, *cells])
    return made

"""Floppies whose program does whatever crosses a ring or switches a task, one case after the other.

Everything that crossings.S has is done by P_PROC's proc A, with paging what paging.S and pae.S have, by call
gates and sysenter what gates.S has, on stacks that wrap or expand down what stacks.S has; and
what switches.S has, by HWTASK's ring 0:

    cases = Cases(directory)                or Cases(directory, *SWITCHES)
    cases.record("bochs")      a recording of all cases, one after the other
    cases.expected("bochs")    {case: what its crossing must be}
"""

from collections.abc import Iterable
import pathlib
from typing import Any

from ringside.emulators import versions
from ringside.emulators.graft import Graft
from ringside.emulators import machines
from ringside.emulators.registers import TSS_WORDS
from ringside.recorder import record
from ringside.recorder.programs import place as offset
from ringside.recorder.recording import Path, Recording

HERE = pathlib.Path(__file__).resolve().parent
Saved = dict[str, tuple[str, Iterable[str]]]    # name: a place of the program, and the words there
SWITCHES = "switches.S", "hwtask"
PAGING: tuple[Any, ...] = "paging.S", "p_proc", {"copies": (str(0xBF00), [*map(str, range(64))]), "ring 0": ("tss", TSS_WORDS),
                                                 "#DF": ("double_fault_tss", TSS_WORDS)}
PAE: tuple[Any, ...] = "pae.S", "p_proc", {}, "p3_katmai"      # the older ones have no PAE
GATES: tuple[Any, ...] = "gates.S", "p_proc", {"TSS": ("tss", TSS_WORDS)}, "p3_katmai"    # the older ones have no sysenter
VIRTUAL: tuple[Any, ...] = "virtual8086.S", "p_proc", {"stack": ("ring0_stack_end - 64", [*map(str, range(16))])}
DEBUG = "debug.S", "p_proc"
WRAPPED = {"beginning": (0, 2), "end": (0xFFE0, 8), "base": (0xBFF0, 6)}     # offset and words of what stacks.S pushes
STACKS: tuple[Any, ...] = "stacks.S", "p_proc", {name: (str(place), [*map(str, range(words))])
                                                 for name, (place, words) in WRAPPED.items()}
SETS: dict[str, tuple[Any, ...]] = {"crossings": (), "switches": SWITCHES, "paging": PAGING, "pae": PAE, "gates": GATES,
                                    "virtual8086": VIRTUAL, "debug": DEBUG, "stacks": STACKS}

NOT_IN_QEMU = {"debug": "while its debugger steps, QEMU heeds no breakpoint of the guest's at an instruction, nor GD"}

LAST = "shutdown"    # a case that ends the machine


def emulators(name: str) -> tuple[str, ...]:
    """In which the cases of a set are tried."""
    return ("bochs",) if name in NOT_IN_QEMU else ("bochs", "qemu")


class Cases(Graft):
    def __init__(self, directory: Path, source: str = "crossings.S", program: str = "p_proc", saved: Saved | None = None,
                 model: str = "") -> None:
        """saved: what else of memory is recorded; model: of Bochs' CPU, if it is another."""
        self.model = model
        self.saved = {name: {"offset": offset(machines.BUILD / f"{program}.elf", place), "words": list(words)}
                      for name, (place, words) in (saved or {}).items()}
        self.name = pathlib.Path(source).stem
        super().__init__(directory, HERE / source, program)
        self._read_table()

    def _read_table(self) -> None:
        """What each case must be, and where an emulator is known to see it differently."""
        self.table: dict[str, str] = {}
        self.otherwise: dict[tuple[str, str], str] = {}     # (case, emulator)
        name = ""
        for line in self._section(self.code, ".expected").decode().splitlines():
            fields = line.split("|")
            if len(fields) == 2:
                name, self.table[fields[0]] = fields
            else:
                emulator, what, _, only = fields
                if not only or versions.holds(only):
                    self.otherwise[name, emulator] = what

    def record(self, emulator: str) -> Recording:
        """From ckpt_tss, where the program's own start ends, to the end of the cases."""
        options: dict[str, Any] = {"options": machines.bochs_cpu(self.model)} if self.model and emulator == "bochs" else {}
        try:
            return self._record(emulator, **options)
        except record.Ended as early:
            if early.recorded["steps"][-1]["symbol"] != LAST:
                raise
            return early.recorded

    def _record(self, emulator: str, **options: Any) -> Recording:
        return record.record(emulator, self.program, start="ckpt_tss", steps=5000, until=("the_end",),
                             elf=self.elf, image=self.image, saved=self.saved, **options)

    def expected(self, emulator: str) -> dict[str, str]:
        """Case by case, the kind of verdict on it in an emulator; "" if there is none to speak of."""
        return {name: self.otherwise.get((name, emulator), what) for name, what in self.table.items()}

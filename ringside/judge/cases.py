"""Floppies whose program does whatever crosses a ring or switches a task, one case after the other.

Everything that crossings.S has is done by P_PROC's proc A; what switches.S has, by HWTASK's
ring 0:

    cases = Cases(directory)                or Cases(directory, *SWITCHES)
    cases.record("bochs")      a recording of all cases, one after the other
    cases.expected("bochs")    {case: what its crossing must be}
"""

import pathlib

from ringside.emulators import versions
from ringside.emulators.graft import Graft
from ringside.recorder import record
from ringside.recorder.recording import Path, Recording

HERE = pathlib.Path(__file__).resolve().parent
SWITCHES = "switches.S", "hwtask"


class Cases(Graft):
    def __init__(self, directory: Path, source: str = "crossings.S", program: str = "p_proc") -> None:
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
        return record.record(emulator, self.program, start="ckpt_tss", steps=5000, until=("the_end",),
                             elf=self.elf, image=self.image)

    def expected(self, emulator: str) -> dict[str, str]:
        """Case by case, the kind of verdict on it in an emulator; "" if there is none to speak of."""
        return {name: self.otherwise.get((name, emulator), what) for name, what in self.table.items()}

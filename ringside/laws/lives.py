"""What ring 0 owes a proc that ends and starts again, and those who play on meanwhile.

    findings = Lives(program, image, entry, seed, promised).run()

As probe.py, in QEMU, of a program on the floppy, whose key r starts again who has ended: a proc of ours makes a
mistake, with DF set; it must end, and no other; behind the key it must start as it did at first, with the same
registers and the same data.
"""

from typing import Any

from ringside.emulators import machines
from ringside.emulators.registers import Registers
from ringside.laws import looks, probe, reach

CLI = b"\xfa"           # which ring 3 may not execute
RESTART = "r"
ALONE = 4               # switches without the one that has ended
UNTIL_RESTART = 40      # switches, at most, behind the key
TOGETHER = 6            # switches behind a restart
LIVES = 3               # so often one ends: of two procs, one a second time
TRACE = b"\xa5\x5a\xa5\x5a"     # what a proc leaves in its data
TRACE_PLACE = 8         # behind what ring 0 may ask it
SMALL = 0x10000         # a stack segment larger than this is not a proc's own


class Lives(probe.Probe):
    """One run in QEMU. It knows where the program asks for a key, and where it halts."""

    def __init__(self, program: str, image: machines.Path, entry: int, seed: int,
                 promised: probe.Promised = probe.Promised()) -> None:
        super().__init__("qemu", image, entry, seed, promised)
        elf = machines.BUILD / f"{program}.elf"
        names = {"symbols": machines.symbols(elf), "base": machines.linear_base(elf)}
        self.knowing: Any = type("Knowing", (looks.EMULATORS["qemu"],), names)
        self.ended: list[probe._Proc] = []
        self.data: dict[int, bytes] = {}        # by the base of the stack's segment: what a first start finds below its stack

    def run(self) -> list[probe.Finding]:
        with self.knowing(self.image) as self.machine:
            try:
                self._start()
                if self.asking:
                    for _ in range(LIVES):
                        self._life()
                    for said in reach.doors(reach.Tables(self.machine.read, self.machine.registers())):
                        self.found("G1", said)
            except machines.Missing as missing:
                self.found("L1" if self.ended else "H1", self._end(str(missing)))
        return self.findings

    def _life(self) -> None:
        while self.switch < probe.SLOW and len(self.procs) < self.promised.procs:
            self._switch()
        mine = self.turns[-1]
        self._mistake(mine)
        for _ in range(ALONE):
            self._switch()
        self._press()
        for _ in range(UNTIL_RESTART):
            self._switch()
            if not self.ended:
                break
        else:
            self.found("L1", f"{UNTIL_RESTART} switches behind the key {RESTART}, who has ended has not started again")
            return
        self.turns = self.turns[-1:]
        for _ in range(TOGETHER):
            self._switch()
        self._turns()

    def _press(self) -> None:
        """The key, as the one who has just been filled leaves its turn."""
        mine = self.turns[-1]
        self.machine.press(RESTART)
        self._on(mine)

    def _mistake(self, mine: probe._Proc) -> None:
        """cli with DF = 1, by the one who has just been filled; then to the next who arrives."""
        machine, mistake = self.machine, probe.POPF + CLI
        place, stack = mine.site.loads - len(mistake), mine.left["esp"] - 4
        if mine.left["ss"].base in self.data:
            machine.write(mine.left["ss"].base + TRACE_PLACE, TRACE)
        instead = machine.read(place, len(mistake))
        machine.write(place, mistake)
        machine.write(mine.left["ss"].base + stack, (mine.left["eflags"] | probe.DF).to_bytes(4, "little"))
        machine.set(eip=place - mine.left["cs"].base, esp=stack)
        machine.step(2)
        machine.write(place, instead)
        if not self.by_task:
            self._direction()
        self.ended.append(mine)
        mine.saved = {}
        self._on(mine)

    def _save(self, proc: probe._Proc) -> None:
        if proc not in self.ended:
            super()._save(proc)

    def _arrived(self, site: probe._Site, registers: Registers) -> None:
        """Who has ended comes back by a first start alone."""
        known = next((proc for proc in self.procs if proc.is_it(site, registers)), None)
        if known in self.ended:
            if registers["cs"].base + registers["eip"] == site.waits:
                self.found("L1", f"the proc with esp = {registers['esp']:08x} has made a mistake, and plays on")
            self.ended.remove(known)
            self.procs.remove(known)
        super()._arrived(site, registers)

    def _first(self, registers: Registers) -> None:
        super()._first(registers)
        stack = registers["ss"]
        size = registers["esp"] - 4 * probe.LOADED_WORDS - 4 * self.parameters
        if stack.limit >= SMALL or size <= 0 or any(proc.left["ss"].base == stack.base for proc in self.procs):
            return
        found = self.machine.read(stack.base, size)
        was = self.data.setdefault(stack.base, found)
        if found != was:
            place = next(number for number in range(size) if was[number] != found[number])
            self.found("L1", f"the byte at {stack.base + place:x} = {found[place]:02x} when a proc starts again; at its first "
                             f"start it had {was[place]:02x} there")

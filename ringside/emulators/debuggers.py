"""Both emulators with the same handles: stop, look, change, go on.

DebuggedQemu    machines.Qemu, through the GDB stub's own protocol (a stop costs 1 ms)
DebuggedBochs   machines.Bochs

    machine.run_to("proc_a_int", "proc_b_int")   to the first of them; which it was;
                                                 Missing if the guest halts before
    machine.step()                               one instruction
    machine.registers()                          all, in the shape of registers.py
    machine.set(eax=1)                           general registers, eip; of QEMU any
    machine.read(address, size), write()         memory, linear addresses
    machine.word("tss", 4)                       a 32-bit number: a name, an offset
    machine.frame("a")                           proc A's frame, word by word
    machine.go(), machine.halt()                 on without breakpoints; stop anywhere
    machine.press("f")                           a key, as if the keyboard had it: stops
                                                 where the guest learns of it
    machine.ask("b", 2)                          proc B is to make its mistake 2

patched(path, {offset: bytes}) is the floppy with other bytes in the program; with a
program's name it is that program, and the floppy boots it.

A machine knows the names of P_PROC. For another program: class K(DebuggedQemu): symbols = ...;
knowing("timer") are both classes for one.
"""

from collections.abc import Iterable
import pathlib
import re
import struct
from typing import Any

from ringside.emulators import machines
from ringside.emulators.gdb_stub import Stub
from ringside.emulators.machines import BASE
from ringside.emulators.registers import Registers, code_address
from ringside.emulators import versions

Places = set[int]     # linear addresses

SYMBOLS = machines.symbols()

# In the order of the GDB protocol; QEMU lets all of them be written.
ORDER = "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split()
GENERAL = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")

# ring0/frame.h, from the lowest address up.
FRAME = "gs fs es ds edi esi ebp pusha_esp ebx edx ecx eax eip cs eflags esp ss".split()
FRAME_BYTES = 4 * len(FRAME)
PUSHED_BY_INT = 4 * 5

# enum key of ring0/machine.h; ASK_MISTAKE of ring3/ask.h.
KEYS = {key: number for number, key in enumerate(" +-fqr123456789k", 1)}
ASK_MISTAKE = 2

COM = machines.BUILD / "p_proc.com"
COM_START = 0x100
ROOT_DIRECTORY = 20 * 512
ENTRY_SUM = 20  # see boot.S
RF = 1 << 16  # of eflags
AT_ONCE = 100   # commands that Bochs is sent without waiting: a pipe holds them all
WRAP = machines.LINEAR  # QEMU wants to be told no address beyond


def linear(place: str | int) -> int:
    """A name's linear address; a number is one already."""
    return BASE + SYMBOLS[place] if isinstance(place, str) else place


def patched(path: pathlib.Path, changes: dict[int, bytes], program: str = "p_proc") -> pathlib.Path:
    """A copy of the floppy that starts a program, with other bytes at offsets of it."""
    floppy = bytearray(machines.that_starts(program))
    com = floppy.find((machines.BUILD / f"{program}.com").read_bytes())
    assert com >= 0, f"{program} does not lie on the floppy in one piece"
    for offset, data in changes.items():
        place = com + offset - COM_START
        floppy[place:place + len(data)] = data
    entry = floppy.index(f"{program.upper():8}COM".encode(), ROOT_DIRECTORY)
    floppy[entry + ENTRY_SUM:entry + ENTRY_SUM + 2] = bytes(2)  # not to be checked
    machines.write_image(path, floppy)
    return path


def frame(raw: bytes) -> dict[str, int]:
    """A frame's words by name; of a selector's word the lower half counts."""
    words = dict(zip(FRAME, struct.unpack(f"<{len(FRAME)}I", raw)))
    return {name: value & 0xffff if name in SEGMENTS else value for name, value in words.items()}


def count(values: dict[str, int]) -> int:
    """What a proc has counted: 64 bits in edi:esi."""
    return values["edi"] << 32 | values["esi"]


class Handles(machines.Machine):
    """What follows from read, write, set and step, whatever the emulator."""

    symbols = SYMBOLS
    base = BASE         # linear address of offset 0
    stray_flags = 0     # bits of eflags that an interrupt may set in a proc, which has not
    ENDS = ("halt", "look_while_halted")    # where no proc plays any more

    # What the emulators have each in its own way.

    def values(self) -> dict[str, int]:
        """The registers of ORDER as plain numbers."""
        raise NotImplementedError

    def set(self, **values: int) -> None:
        raise NotImplementedError

    def read(self, address: int, size: int) -> bytes:
        raise NotImplementedError

    def write(self, address: int, data: bytes) -> None:
        raise NotImplementedError

    def physical_memory(self, address: int, size: int) -> bytes:
        """Bytes of physical memory, whatever pages say."""
        raise NotImplementedError

    def step(self) -> None:
        raise NotImplementedError

    def go(self) -> None:
        raise NotImplementedError

    def halt(self) -> None:
        raise NotImplementedError

    def _run_to(self, places: Places, timeout: float) -> int:
        """To the first of some linear addresses; to which."""
        raise NotImplementedError

    def linear(self, place: str | int) -> int:
        """A name's linear address; a number is one already."""
        return (self.base + self.symbols[place]) & WRAP if isinstance(place, str) else place

    def run_to(self, *places: str | int, timeout: float = 20) -> str | int:
        addresses = {self.linear(place): place for place in places}
        ends = {self.linear(end) for end in self.ENDS if end in self.symbols}
        here = self._run_to({*addresses, *ends}, timeout)
        if here not in addresses:
            raise machines.Missing(f"the guest halted before {places}\n{self._evidence()}")
        return addresses[here]

    def word(self, place: str | int, offset: int = 0, size: int = 4) -> int:
        return int.from_bytes(self.read(self.linear(place) + offset, size), "little")

    def press(self, key: str) -> None:
        for name in ("key_pressed", None):  # a halted game hears keys, too
            if name:
                place = self.linear(name)
            else:  # its caller
                stack = self.registers()["ss"].base
                place = stack + self.word(stack + self.values()["esp"])
            if self._run_to({place, self.linear("halt")}, 20) != place:
                raise machines.Missing(f"the guest halted before it asked for a key\n{self._evidence()}")
        self.set(eax=KEYS[key])

    def ask(self, letter: str, number: int) -> None:
        self.write(linear(f"proc_{letter}_data"), (ASK_MISTAKE + number - 1).to_bytes(4, "little"))

    def frame(self, letter: str) -> dict[str, int]:
        return frame(self.read(self.linear("proc_" + letter), FRAME_BYTES))


class DebuggedQemu(Handles, machines.Qemu):
    """Stands still at the first instruction of the BIOS until run_to or go.

    A microsecond of the machine is one instruction, however long it takes, as in
    Bochs: the pace grows from one switch a second to full speed in no time.
    """

    CLOCK: tuple[str, ...] = ("-icount", "shift=10,sleep=off")
    stray_flags = RF if versions.holds("qemu-pushes-rf") else 0

    def __init__(self, image: machines.Path = machines.FLOPPY, extra: Iterable[str] = (), **options: Any) -> None:
        super().__init__(image, gdb=True, stopped=True, extra=(*self.CLOCK, *extra), **options)
        try:
            self._stub = Stub(self.dir / "gdb", self._evidence)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "_stub"):
            self._stub.close()
        super().close()

    def _ask(self, packet: str) -> str:
        return self._stub.ask(packet)

    def _here(self) -> int:
        return code_address(self._stub.monitor("info registers"))

    def values(self) -> dict[str, int]:
        """Registers as plain numbers: a fifth of the time of registers()."""
        return dict(zip(ORDER, struct.unpack("<16I", bytes.fromhex(self._ask("g")[:128]))))

    def set(self, **values: int) -> None:
        for name, value in values.items():
            self._ask(f"P{ORDER.index(name):x}={struct.pack('<I', value).hex()}")

    def read(self, address: int, size: int) -> bytes:
        pieces = [f"m{place & WRAP:x},{min(1024, address + size - place):x}"
                  for place in range(address, address + size, 1024)]
        return bytes.fromhex("".join(map(self._ask, pieces)))

    def write(self, address: int, data: bytes) -> None:
        for start in range(0, len(data), 1024):
            piece = data[start:start + 1024]
            self._ask(f"M{address + start & WRAP:x},{len(piece):x}:{piece.hex()}")

    def physical_memory(self, address: int, size: int) -> bytes:
        return self.memory(address, size)

    def step(self) -> None:
        self._ask("s")

    def _run_to(self, places: Places, timeout: float) -> int:
        self._stub.breakpoints(places)
        here = self._here()
        if here in places:  # the stub would stop there once more
            self.step()
            here = self._here()
        if here not in places:
            self._stub.on(timeout)
            here = self._here()
        return here

    def go(self) -> None:
        """Runs on, without breakpoints, until halt()."""
        self._stub.breakpoints(set())
        self._stub.send("c")

    def halt(self) -> None:
        self._stub.interrupt()


# run_to tells here where it has stopped, and in bochs.py what was printed.
class DebuggedBochs(Handles, machines.Bochs):  # type: ignore[misc]
    """Stands still at the first instruction of the BIOS until run_to or go."""

    model = ""      # of the CPU; else the usual one

    def __init__(self, image: machines.Path = machines.FLOPPY, magic: bool = False, options: Iterable[str] = ()) -> None:
        super().__init__(image, magic=magic, options=[*(machines.bochs_cpu(self.model) if self.model else ()), *options])
        self._breakpoints: dict[int, str] = {}      # their numbers by address

    def values(self) -> dict[str, int]:
        registers = self.regs()
        segments: Registers = {**self.sreg()}
        return {name: segments[name].selector if name in SEGMENTS else registers[name]
                for name in ORDER}

    def set(self, **values: int) -> None:
        assert "eflags" not in values, "Bochs' debugger cannot"
        self.cmds([f"set {name} = {value:#x}" for name, value in values.items()])

    def read(self, address: int, size: int) -> bytes:
        path = self.dir / "read"
        self.cmd(f'writemem "{path}" {address:#x} {size:#x}')
        return path.read_bytes()

    def write(self, address: int, data: bytes) -> None:
        lines = self._to_write(address, data)
        for first in range(0, len(lines), AT_ONCE):
            self.cmds(lines[first:first + AT_ONCE])

    def _to_write(self, address: int, data: bytes) -> list[str]:
        if self.base != BASE:
            address = self.physical(address)
        return self._to_write_there(address, data)

    @staticmethod
    def _to_write_there(address: int, data: bytes) -> list[str]:
        """address: physical."""
        whole = len(data) // 4 * 4
        pieces = [(offset, 4) for offset in range(0, whole, 4)] + [(offset, 1) for offset in range(whole, len(data))]
        return [f"setpmem {address + offset:#x} {size} {int.from_bytes(data[offset:offset + size], 'little'):#x}"
                for offset, size in pieces]

    def physical_memory(self, address: int, size: int) -> bytes:
        words = -(-size // 4)
        lines = re.findall(r">:(.*)", self.cmd(f"xp /{words}wx {address:#x}"))
        numbers = [int(word, 16) for line in lines for word in line.split()]
        return struct.pack(f"<{words}I", *numbers)[:size]

    def physical(self, address: int) -> int:
        """Where a linear address leads, in the space that is loaded; what is written there lies in one page."""
        found = re.search(r"maps to physical page 0x(\w+)", self.cmd(f"page {address:#x}"))
        if not found:
            raise machines.Missing(f"{address:#x} leads to no page")
        return int(found[1], 16) | address & 0xfff

    def step(self) -> None:
        self.cmd("s")

    def _breakpoint_commands(self, places: Places) -> list[str]:
        """They make these the breakpoints that there are; none, if they are already."""
        before = {*self._breakpoints}
        if places == before:
            return []
        return [*(f"d {self._breakpoints[address]}" for address in sorted(before - places)),
                *(f"lb {address:#x}" for address in sorted(places - before)), "blist"]

    def _take_breakpoints(self, said: str) -> None:
        self._breakpoints = {int(address, 16): number
                             for number, address in re.findall(r"^ *(\d+) lbreakpoint .*0x(\w+)", said, re.M)}

    def _set_breakpoints(self, places: Places) -> None:
        if commands := self._breakpoint_commands(places):
            self._take_breakpoints(self.cmds(commands))

    def _run_to(self, places: Places, timeout: float) -> int:
        self._set_breakpoints(places)
        return self._place_in(self.cmd("c", timeout))

    @staticmethod
    def _place_in(said: str) -> int:
        if " Breakpoint " not in said:
            raise machines.Missing(f"Bochs stopped before it should:\n{said[-2000:]}")
        return int(said.rpartition(" Breakpoint ")[2].split()[1], 16)

    def go(self) -> None:
        self._set_breakpoints(set())
        self.send("c")

    def halt(self) -> None:
        self.stop()


def knowing(program: str) -> tuple[type[Handles], ...]:
    """Both emulators, with the names of another program on the floppy (machines.floppy_that_starts)."""
    elf = machines.BUILD / f"{program}.elf"
    names = {"symbols": machines.symbols(elf), "base": machines.linear_base(elf), "model": machines.BOCHS_MODELS.get(program, "")}
    return tuple(type(emulator.__name__, (emulator,), names) for emulator in BOTH)


BOTH = (DebuggedQemu, DebuggedBochs)
NAMES = ("qemu", "bochs")

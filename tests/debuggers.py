"""Both emulators with the same handles: stop, look, change, go on.

Qemu    machines.Qemu, through the GDB stub's own protocol (a stop costs 1 ms)
Bochs   machines.Bochs

    machine.run_to("proc_a_int", "proc_b_int")   to the first of them; which it was
    machine.step()                               one instruction
    machine.registers()                          all, in the shape of machines.py
    machine.set(eax=1)                           general registers, eip
    machine.read(address, size), write()         memory, linear addresses
    machine.word("tss", 4)                       a 32-bit number: a name, an offset
    machine.execute(b"\\x8e\\xd8")                 instructions in the place of the next one
"""

import socket
import struct

import machines
from machines import BASE

SYMBOLS = machines.symbols()

# In the order of the GDB protocol; QEMU lets all of them be written.
ORDER = "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split()
GENERAL = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")


def linear(place):
    """A name's linear address; a number is one already."""
    return BASE + SYMBOLS[place] if isinstance(place, str) else place


class _Handles:
    """What follows from read, write, set and step, whatever the emulator."""

    def word(self, place, offset=0, size=4):
        return int.from_bytes(self.read(linear(place) + offset, size), "little")

    def words(self, place, count):
        return struct.unpack(f"<{count}I", self.read(linear(place), 4 * count))

    def execute(self, code, steps=1):
        """Has the processor execute code of ours at its present place, and puts all back."""
        registers = self.registers()
        eip = registers["eip"]
        place = registers["cs"].base + eip
        before = self.read(place, len(code))
        self.write(place, code)
        for _ in range(steps):
            self.step()
        self.write(place, before)
        self.set(eip=eip)


class Qemu(_Handles, machines.Qemu):
    """Stands still at the first instruction of the BIOS until run_to or go."""

    def __init__(self, *args, **options):
        super().__init__(*args, gdb=True, stopped=True, **options)
        self._breakpoints = {}
        self._buffer = b""
        try:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(str(self.dir / "gdb"))
            self._socket.settimeout(60)
        except BaseException:
            self.close()
            raise

    def close(self):
        if hasattr(self, "_socket"):
            self._socket.close()
        super().close()

    def _send(self, packet):
        self._socket.sendall(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 255))

    def _answer(self):
        while b"#" not in self._buffer or len(self._buffer) < self._buffer.index(b"#") + 3:
            try:
                data = self._socket.recv(65536)
            except socket.timeout:
                raise machines.Missing("no stop within 60 s\n" + self._evidence()) from None
            if not data:
                raise machines.Missing("QEMU hung up\n" + self._evidence())
            self._buffer += data
        packet, self._buffer = self._buffer.split(b"#", 1)
        self._buffer = self._buffer[2:]
        self._socket.sendall(b"+")
        return packet.split(b"$", 1)[1].decode()

    def _ask(self, packet):
        self._send(packet)
        answer = self._answer()
        if answer.startswith("E"):
            raise RuntimeError(f"QEMU's GDB stub: {packet}: {answer}")
        return answer

    def _place(self):
        values = self.values()
        return (BASE if values["cs"] & 0xfff8 == 8 else self.registers()["cs"].base) + values["eip"]

    def values(self):
        """Registers as plain numbers: a fifth of the time of registers()."""
        return dict(zip(ORDER, struct.unpack("<16I", bytes.fromhex(self._ask("g")[:128]))))

    def set(self, **values):
        for name, value in values.items():
            self._ask(f"P{ORDER.index(name):x}={struct.pack('<I', value).hex()}")

    def read(self, address, size):
        return bytes.fromhex(self._ask(f"m{address:x},{size:x}"))

    def write(self, address, data):
        self._ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def step(self):
        self._ask("s")

    def _set_breakpoints(self, places):
        for address in self._breakpoints.keys() - places.keys():
            self._ask(f"z0,{address:x},1")
        for address in places.keys() - self._breakpoints.keys():
            self._ask(f"Z0,{address:x},1")
        self._breakpoints = places

    def run_to(self, *places, timeout=60):
        self._set_breakpoints({linear(place): place for place in places})
        here = self._place()
        if here in self._breakpoints:  # the stub would stop there once more
            self.step()
            here = self._place()
        if here not in self._breakpoints:
            self._socket.settimeout(timeout)
            self._ask("c")
            here = self._place()
        return self._breakpoints[here]

    def go(self):
        """Runs on, without breakpoints, until halt()."""
        self._set_breakpoints({})
        self._send("c")

    def halt(self):
        self._socket.sendall(b"\3")
        self._answer()


class Bochs(_Handles, machines.Bochs):
    """Stands still at the first instruction of the BIOS until run_to or go."""

    def __init__(self, *args, magic=False, **options):
        super().__init__(*args, magic=magic, **options)
        self._breakpoints = {}
        self._numbers = []

    def values(self):
        registers = self.regs()
        segments = self.sreg()
        return {name: segments[name].selector if name in SEGMENTS else registers[name]
                for name in ORDER}

    def set(self, **values):
        for name, value in values.items():
            self.cmd(f"set {name} = {value:#x}")

    def read(self, address, size):
        path = self.dir / "read"
        self.cmd(f'writemem "{path}" {address:#x} {size:#x}')
        return path.read_bytes()

    def write(self, address, data):
        for offset, byte in enumerate(data):
            self.cmd(f"setpmem {address + offset:#x} 1 {byte:#x}")

    def step(self):
        self.cmd("s")

    def _set_breakpoints(self, places):
        if places == self._breakpoints:
            return
        for number in self._numbers:
            self.cmd(f"d {number}")
        for address in places:
            self.cmd(f"lb {address:#x}")
        listed = [line.split() for line in self.cmd("blist").splitlines() if "lbreakpoint" in line]
        self._numbers = [fields[0] for fields in listed]
        self._breakpoints = places

    def run_to(self, *places, timeout=60):
        self._set_breakpoints({linear(place): place for place in places})
        out = self.cmd("c", timeout)
        if " Breakpoint " not in out:
            raise machines.Missing(f"Bochs stopped before {places}:\n{out[-2000:]}")
        here = int(out.rpartition(" Breakpoint ")[2].split()[1], 16)
        return self._breakpoints[here]

    def go(self):
        self._set_breakpoints({})
        self.send("c")

    def halt(self):
        self.stop()


BOTH = (Qemu, Bochs)
NAMES = ("qemu", "bochs")

"""What ring 3 may reach, as the tables of the CPU say it: segments, doors, ports, a way out of #DF.

    tables = Tables(read, registers)        read(linear, size); registers of registers.py, while ring 3 runs
    tables.loadable()                       the segments that ring 3 may load now
    kernel_in_reach(tables), doors(tables), ports_open(tables), double_fault(tables)

Nothing of the kernel is asked, neither a symbol nor a source.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ringside.emulators import machines
from ringside.emulators.registers import Registers

Read = Callable[[int, int], bytes]

# Types of system descriptors (SDM vol. 3A, 3.5, table 3-2).
LDT, TASK_GATE, CALL_GATES = 2, 5, (4, 12)
TSS_32 = (9, 11)
TI = 4
TSS_BYTES = 104
IOMAP_PLACE, ESP0_PLACE, SS0_PLACE = 0x66, 4, 8
BREAKPOINT, OVERFLOW, DOUBLE_FAULT = 3, 4, 8
PORTS = 0x10000
LARGEST_TABLE = 0x10000     # bytes: a selector has 13 bits for its row
VECTORS, MOST_LDTS, MOST_SEGMENTS = 256, 32, 512
WHOLE = 1 << 32
CODE_BYTES = 0x4000     # a segment larger than this is not a proc's own
INT = 0xcd              # the opcode of int n


class TooMany(machines.Missing):
    """A kernel with more of something than a grader has time for."""


class Descriptor(NamedTuple):
    """An entry of the GDT or of an LDT, taken to pieces."""
    selector: int       # without RPL
    low: int
    high: int

    @property
    def present(self) -> bool:
        return bool(self.high >> 15 & 1)

    @property
    def memory(self) -> bool:
        """A code or data segment."""
        return bool(self.high >> 12 & 1)

    @property
    def type(self) -> int:
        return self.high >> 8 & 15

    @property
    def dpl(self) -> int:
        return self.high >> 13 & 3

    @property
    def code(self) -> bool:
        return self.memory and bool(self.type & 8)

    @property
    def conforming(self) -> bool:
        return self.code and bool(self.type & 4)

    @property
    def base(self) -> int:
        return self.high & 0xff000000 | (self.high & 0xff) << 16 | self.low >> 16

    @property
    def limit(self) -> int:
        limit = self.high & 0xf0000 | self.low & 0xffff
        return limit << 12 | 0xfff if self.high >> 23 & 1 else limit

    @property
    def span(self) -> tuple[int, int]:
        """The first linear address that it holds, and the one behind the last."""
        if self.memory and not self.code and self.type & 4:     # expand-down: what is above the limit
            return self.base + self.limit + 1, self.base + (WHOLE if self.high >> 22 & 1 else 0x10000)
        return self.base, self.base + self.limit + 1

    @property
    def offset(self) -> int:
        """Of a gate: where it leads."""
        return self.high & 0xffff0000 | self.low & 0xffff

    @property
    def parameters(self) -> int:
        """Of a call gate: the words that it copies."""
        return self.high & 31

    @property
    def target(self) -> int:
        """Of a gate: the selector that it leads to."""
        return self.low >> 16


class Tables:
    """GDT, LDT, IDT and TSS of a machine that stands in ring 3."""

    def __init__(self, read: Read, registers: Registers) -> None:
        self.read, self.registers = read, registers
        self.gdt = self.table(registers["gdtr"].base, registers["gdtr"].limit, 0)
        ldtr = registers["ldtr"]
        self.ldt = self.table(ldtr.base, ldtr.limit, TI) if ldtr.selector & ~3 else []
        self.idt = self.table(registers["idtr"].base, min(registers["idtr"].limit, 8 * VECTORS - 1), 0)
        self.tss = read(registers["tr"].base, TSS_BYTES)

    def key(self) -> int:
        """Tells what may be reached now from other times."""
        places = [self.registers[name][:3] for name in ("gdtr", "idtr", "tr", "ldtr")]
        return hash((tuple(map(tuple, places)),
                     *self.gdt, *self.ldt, *self.idt, self.esp0(), *(row for table in self.ldts() for row in table)))

    def table(self, base: int, limit: int, ti: int) -> list[Descriptor]:
        """As far as a selector leads: no kernel has a grader read gigabytes."""
        limit = min(limit, LARGEST_TABLE - 1)
        raw = self.read(base, (limit + 1) // 8 * 8) if limit else b""
        words = [int.from_bytes(raw[at:at + 4], "little") for at in range(0, len(raw), 4)]
        return [Descriptor(number * 8 + ti, *words[2 * number:2 * number + 2]) for number in range(len(words) // 2)]

    def ldts(self) -> list[list[Descriptor]]:
        """All LDTs that the GDT names, whether in use or not."""
        rows = [entry for entry in self.gdt[1:] if entry.present and not entry.memory and entry.type == LDT]
        if len(rows) > MOST_LDTS:
            raise TooMany(f"the GDT names {len(rows)} LDTs; {MOST_LDTS} are looked at")
        return [self.table(entry.base, entry.limit, TI) for entry in rows]

    def loadable(self) -> list[Descriptor]:
        """SDM vol. 3A, 5.5 and 5.8: DPL 3, or conforming code; entry 0 of the GDT is none."""
        found = [entry for entry in (*self.gdt[1:], *self.ldt)
                 if entry.present and entry.memory and (entry.dpl == 3 or entry.conforming)]
        if len(found) > MOST_SEGMENTS:
            raise TooMany(f"ring 3 may load {len(found)} segments; {MOST_SEGMENTS} are looked at")
        return found

    def tss_word(self, place: int) -> int:
        return int.from_bytes(self.tss[place:place + 4], "little")

    def of(self, selector: int) -> Descriptor | None:
        table = self.ldt if selector & TI else self.gdt
        return table[selector >> 3] if 0 < selector & ~3 and selector >> 3 < len(table) else None

    def esp0(self) -> int:
        """Linear: where the next way in begins to push."""
        stack = self.of(self.tss_word(SS0_PLACE) & 0xffff)
        return (stack.base if stack else 0) + self.tss_word(ESP0_PLACE) & WHOLE - 1

    def kernel(self) -> Iterator[tuple[str, int, int]]:
        """Places that belong to ring 0, whatever the kernel: name, first address, the one behind the last."""
        registers = self.registers
        for name in ("gdtr", "idtr", "tr", "ldtr"):
            part = registers[name]
            if part.limit:
                what = {"gdtr": "the GDT", "idtr": "the IDT", "tr": "the TSS", "ldtr": "the LDT"}[name]
                yield what, part.base, part.base + part.limit + 1
        yield "the stack of the next way in", self.esp0() - 20, self.esp0()
        for number, gate in enumerate(self.idt):
            code = self.of(gate.target)
            if gate.present and gate.type != TASK_GATE and code and code.dpl < 3:
                yield f"the handler of vector {number:#04x}", code.base + gate.offset, code.base + gate.offset + 1


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def kernel_in_reach(tables: Tables) -> Iterator[str]:
    """P1: no byte of ring 0 lies in a segment that ring 3 may load."""
    for entry in tables.loadable():
        for what, start, end in tables.kernel():
            if overlap(entry.span, (start, end)):
                yield (f"selector {entry.selector + 3:04x} is for ring 3 and holds {entry.span[0]:x} to "
                       f"{entry.span[1] - 1:x}; {what} lies there, at {start:x}")
                break


def asked_for(tables: Tables) -> list[int]:
    """The vectors that ring 3 may ask for, beside int3 and into (SDM vol. 3A, 6.12.1.1: the gate's DPL)."""
    return [number for number, gate in enumerate(tables.idt) if gate.present and not gate.memory
            and gate.dpl == 3 and number not in (BREAKPOINT, OVERFLOW)]


def door(tables: Tables, granted: tuple[int, ...] = ()) -> int | None:
    """The vector by which ring 3 asks, None if there is none: of several the last that its code names. granted: doors
    for other things.
    """
    vectors = [vector for vector in asked_for(tables) if vector not in granted]
    code = b"".join(tables.read(start, end - start) for start, end in {
        entry.span for entry in tables.loadable() if entry.code} if end - start <= CODE_BYTES)
    named = [vector for vector in vectors if bytes([INT, vector]) in code]
    return max(named or vectors, default=None)


def call_gate(tables: Tables) -> Descriptor | None:
    """The call gate by which ring 3 asks, where it has no vector for that."""
    gates = [entry for entry in (*tables.gdt[1:], *tables.ldt)
             if entry.present and not entry.memory and entry.dpl == 3 and entry.type in CALL_GATES]
    return gates[0] if gates and door(tables) is None else None


def doors(tables: Tables, granted: tuple[int, ...] = ()) -> Iterator[str]:
    """G1: ring 3 may ask for int3, into, and one vector or call gate more, and what is granted; no task or LDT is for it."""
    mine, gate = door(tables, granted), call_gate(tables)
    if others := [number for number in asked_for(tables) if number not in (mine, *granted)]:
        yield "ring 3 may also ask for vector " + ", ".join(f"{number:#04x}" for number in others)
    for entry in (*tables.gdt[1:], *tables.ldt):
        if entry.present and not entry.memory and entry.dpl == 3 and entry != gate:
            yield f"selector {entry.selector + 3:04x} is a system descriptor of type {entry.type:x} with DPL 3"


def ports_open(tables: Tables, promised: tuple[int, ...] = ()) -> Iterator[str]:
    """P6: ring 3 reaches no port but those promised (SDM vol. 1, 19.5.2: a bit of 0 within the TSS's limit opens one)."""
    start, limit = tables.tss_word(IOMAP_PLACE) & 0xffff, tables.registers["tr"].limit
    # The CPU reads two bytes at a time, so that the last byte within the limit opens nothing.
    count = max(0, min(limit - start, PORTS // 8))
    bitmap = tables.read(tables.registers["tr"].base + start, count) if count else b""
    open_ = [8 * place + bit for place, byte in enumerate(bitmap) if byte != 0xff for bit in range(8) if not byte >> bit & 1]
    open_ = [port for port in open_ if port not in promised]
    if open_:
        yield f"{len(open_)} ports are open to ring 3, the first of them {open_[0]:#06x}"


def double_fault(tables: Tables) -> Iterator[str]:
    """D1: #DF finds a stack that is good whatever has happened: a task of its own."""
    gate = tables.idt[DOUBLE_FAULT] if len(tables.idt) > DOUBLE_FAULT else None
    if not gate or not gate.present:
        yield "vector 8, #DF, has no gate"
        return
    if gate.type != TASK_GATE:
        yield "vector 8, #DF, has no task gate: it pushes on the stack that may be what is broken"
        return
    task = tables.of(gate.target)
    if not task or not task.present or task.memory or task.type != TSS_32[0]:
        yield f"vector 8, #DF, leads to selector {gate.target:04x}, which is no task that is free"

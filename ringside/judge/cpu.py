"""A CPU before an instruction, and rule by rule what must be true after it.

    Cpu              what model.py executes instructions on
    Descriptor       eight bytes of a table

While the model executes, the Cpu keeps account of what it relied on in the state before
(so that mutate.py can change just that) and of what must be so in the state after.
"""

from collections.abc import Sequence

from ringside.judge import decode
from ringside.judge.facts import (ACCESSED, ALL, BIG, Bound, EXCEPTIONS, Expected, Fact, Fault, GP, HIDDEN, IOPL, Mark,
                                  Part, Parts, PE, Read, SS, Stuck, Write)
from ringside.judge.states import bytes_read, Layout, Memory, Values
from ringside.judge.rules import otherwise
from ringside.recorder.recording import Access


class Descriptor:
    """Eight bytes of the GDT (vol. 3A, 3.4.5, figure 3-8) or of the IDT (6.11, figure 6-2).

    The model relies on those bits that it asks for, and on no others.
    """

    def __init__(self, cpu: "Cpu", linear: int, raw: int) -> None:
        self.cpu, self.linear, self.raw = cpu, linear, raw

    def bits(self, first: int, count: int) -> int:
        mask = (1 << count) - 1 << first
        self.cpu.rely_on_memory(self.linear, 8, mask)
        return (self.raw & mask) >> first

    def whole(self) -> int:
        """All but the accessed bit: once a segment is loaded, it is set. That it was not
        shows in the accesses."""
        self.cpu.rely_on_memory(self.linear, 8, ALL if self.cpu.accesses is not None else ALL & ~ACCESSED)
        return self.raw

    def present(self) -> bool:
        return self.bits(47, 1) == 1

    def dpl(self) -> int:
        return self.bits(45, 2)

    def dpl_at_least(self, ring: int) -> bool:
        dpl = self.raw >> 45 & 3
        self.cpu.bound_memory(self.linear, 45, 2, ring - 1 if dpl >= ring else ring)
        return dpl >= ring

    def dpl_at_most(self, ring: int) -> bool:
        dpl = self.raw >> 45 & 3
        self.cpu.bound_memory(self.linear, 45, 2, ring + 1 if dpl <= ring else ring)
        return dpl <= ring

    # Code and data: bit 44 (S) is set.
    def is_system(self) -> bool:
        return self.bits(44, 1) == 0

    def is_code(self) -> bool:
        return self.bits(43, 2) == 3

    def is_data(self) -> bool:
        return self.bits(43, 2) == 2

    def is_conforming(self) -> bool:
        return self.is_code() and self.bits(42, 1) == 1

    def is_writable_data(self) -> bool:
        return self.is_data() and self.bits(41, 1) == 1

    def is_readable(self) -> bool:
        return self.is_data() or self.is_code() and self.bits(41, 1) == 1

    def limit(self) -> int:
        raw = self.whole()
        limit = raw & 0xFFFF | raw >> 32 & 0xF0000
        return limit << 12 | 0xFFF if raw >> 55 & 1 else limit

    def base(self) -> int:
        raw = self.whole()
        return raw >> 16 & 0xFFFFFF | raw >> 32 & 0xFF000000

    def stack_mask(self) -> int:
        return 0xFFFFFFFF if self.bits(54, 1) else 0xFFFF

    def hidden(self, mark: int) -> Values:
        """What a register keeps of it; mark: accessed, or busy."""
        attributes = (self.raw | mark) >> 40 & 0xF0FF
        return dict(zip(HIDDEN, (self.base(), self.limit(), attributes & 0x1F, attributes >> 5 & 3, attributes)))

    # System segments and gates: bit 44 is clear.
    def system_type(self) -> int:
        return self.bits(40, 5)

    def gate_selector(self) -> int:
        """Its RPL is of no consequence."""
        self.bits(18, 14)
        return self.raw >> 16 & 0xFFFF

    def gate_offset(self, size: int) -> int:
        return self.bits(0, 16) | (self.bits(48, 16) << 16 if size == 4 else 0)

    def __str__(self) -> str:
        return f"type {self.raw >> 40 & 0x1F:02x}, DPL {self.raw >> 45 & 3}"


class Cpu:
    def __init__(self, layout: Layout, before: Values, accesses: list[Access] | None, after: Values) -> None:
        self.layout, self.before, self.after = layout, before, after
        self.memory, self.memory_after = Memory(layout, before), Memory(layout, after)
        self.accesses = accesses
        self.read_bytes = None if accesses is None else bytes_read(accesses)
        self.facts: list[Fact] = []
        self.exact: dict[str, int] = {}     # field before -> bits that the model relied on
        self.bounds: list[Bound] = []
        self.compared: dict[str, int] = {}  # field after -> bits that were compared
        self.reads: list[Read] = []
        self.refused: str | None = None     # rule by which the instruction was refused
        self.fault: Fault | None = None     # and the exception
        self.refused_words = range(0)       # where, then, an emulator may have begun to push
        self.believed = False       # memory that is not recorded was taken to say what happened
        self.in_new_task = False    # a task switch has got so far that there is no way back
        self.lost = False           # and has ended in an exception that finds it half done
        self.kind: str | None = None        # what has happened: "int 0x30"
        self.route: str | None = None       # from where to where: "ring 3 to 0"
        self.forget()

    def forget(self) -> None:
        """A fault: the instruction leaves nothing behind."""
        self.excuse_reads()
        self.expected: dict[str, Expected] = {}     # of the state after, by field
        self.unspecified: dict[str, int] = {}       # field after -> bits of which nothing is said
        self.pushed: list[Write] = []
        self.saved: list[Write] = []                # in any order
        self.marked: list[Mark] = []

    def excuse_reads(self) -> None:
        """How far it got is not laid down, so that what had to be read before may have been read."""
        self.reads = [read._replace(must=False) for read in self.reads]

    # ---- what the state before says

    def rely(self, field: str, mask: int = ALL) -> None:
        self.exact[field] = self.exact.get(field, 0) | mask

    def rely_on_memory(self, linear: int, size: int, mask: int = ALL) -> None:
        for fields, unit, skip in self.memory.words(linear, size):
            bits = (mask & (1 << 8 * size) - 1) << 8 * skip
            for field in fields:
                self.rely(field, bits & (1 << 8 * unit) - 1)
                bits >>= 8 * unit
        if self.known(linear, size) is None:
            for fields, unit, skip in self.memory_after.words(linear, size):
                for place, field in enumerate(fields):
                    bits = mask << 8 * skip >> 8 * unit * place & (1 << 8 * unit) - 1
                    self.compared[field] = self.compared.get(field, 0) | bits

    def bound(self, field: str, mask: int, wrong: int) -> None:
        if 0 <= wrong <= mask and field not in self.expected:
            self.bounds.append(Bound("", field, mask, wrong))

    def bound_memory(self, linear: int, first: int, count: int, wrong: int) -> None:
        for fields, unit, skip in self.memory.words(linear, 8):
            if unit == 8 and not skip and 0 <= wrong < 1 << count:
                self.bound(fields[0], (1 << count) - 1 << first, wrong << first)

    def get(self, field: str, mask: int = ALL) -> int:
        """A number as the instruction finds it, or has made it already."""
        if field in self.expected:
            return self.expected[field].value & mask
        self.rely(field, mask)
        return self.before[field] & mask

    def now(self, field: str) -> int:
        """The same, for the caller to say what of it counts."""
        return self.expected[field].value if field in self.expected else self.before[field]

    @property
    def cpl(self) -> int:
        return self.get("cpl")

    def protected(self) -> bool:
        return self.get("cr0", PE) == PE

    def iopl_allows(self) -> bool:
        cpl, iopl = self.cpl, self.before["eflags"] >> 12 & 3
        if cpl:
            self.bound("eflags", IOPL, (cpl - 1 if cpl <= iopl else cpl) << 12)
        return cpl <= iopl

    def told(self, linear: int, size: int) -> int | None:
        """Bytes, as the accesses tell them."""
        if self.read_bytes is None:
            return None
        places = range(linear, linear + size)
        if not all(place in self.read_bytes for place in places):
            return None
        return int.from_bytes(bytes(self.read_bytes[place] for place in places), "little")

    def read(self, linear: int, size: int, rule: str, room: int | None = None, rely: int = ALL,
             assumed: int | None = None) -> int:
        """Memory. So many bytes there may be read as `room` says. Where neither the state before
        nor the accesses tell, the state after does, for the CPU has left it as it was; or else
        `assumed` is taken."""
        known = list(self.memory.read(linear, size))
        for field, other in known[1:]:
            self.check("agrees", f"{known[0][0]} and {field}", known[0][1], other)
        value = self.known(linear, size)
        if value is None:
            value = next((value for _, value in self.memory_after.read(linear, size)), assumed)
        if value is None:
            raise Stuck("known", f"{size} bytes at {linear:#x}, for {rule}")
        self.reads.append(Read(linear, size, room or size, value, rule, must=True))
        self.rely_on_memory(linear, size, rely)
        return value

    def known(self, linear: int, size: int) -> int | None:
        """The same, as the state before tells them, or else the accesses."""
        return next((value for _, value in self.memory.read(linear, size)), self.told(linear, size))

    def may_read(self, linear: int, size: int, rule: str) -> None:
        for _, value in self.memory.read(linear, size):
            self.reads.append(Read(linear, size, size, value, rule, must=False))

    # ---- what must be so

    def check(self, rule: str, field: str, expected: object, found: object) -> None:
        self.facts.append(Fact(rule, field, expected, found))

    def need(self, rule: str, holds: bool, fault: Fault, why: str = "") -> None:
        """A demand: it is met, or there is that exception."""
        self.bounds = [bound if bound.rule else bound._replace(rule=rule) for bound in self.bounds]
        if holds:
            self.facts.append(Fact(rule, why))
            return
        known = otherwise(self.layout.emulator, rule)
        if known is None:
            self.facts.append(Fact(rule, f"not so: {fault}"))
            self.refused = rule
            raise fault
        if known.does == "something else":
            raise Stuck()
        if isinstance(known.does, int):
            self.facts.append(Fact(rule, f"not so, and {self.layout.emulator} has {EXCEPTIONS[known.does]} for that"))
            self.refused = rule
            raise Fault(known.does, fault.error)

    def need_within(self, rule: str, last: int, field: str, fault: Fault) -> None:
        """`last` is within the limit in a field."""
        limit = self.now(field)
        self.bound(field, 0xFFFFFFFF, last - 1 if last <= limit else last)
        self.need(rule, last <= limit, fault, f"{last:#x} <= {field} {limit:#x}")

    def set(self, field: str, value: int, rule: str, mask: int = ALL) -> None:
        old, parts = self.expected.get(field) or Expected(self.before[field], [])
        self.expected[field] = Expected(old & ~mask | value & mask, [(mask, rule), *parts])

    def set_flags(self, value: int, mask: int, rule: str) -> None:
        self.set("eflags", value, rule, mask)

    def keep_flags(self, mask: int, rule: str) -> None:
        self.set("eflags", self.get("eflags", mask), rule, mask)

    def set_segment(self, name: str, selector: int, descriptor: Descriptor, rule: str, mark: int, marked: str = "") -> None:
        """A register with its hidden part. The descriptor's bit `mark` is set, if it is not:
        by the rule `marked`."""
        self.set(f"{name}.selector", selector, rule)
        for key, value in descriptor.hidden(mark).items():
            self.set(f"{name}.{key}", value, rule)
            self.unspecified.pop(f"{name}.{key}", None)
        if mark & ~descriptor.raw and all(descriptor.linear != other.linear for other in self.marked):
            self.marked.append(Mark(descriptor.linear, descriptor.raw | mark, marked))

    def set_null(self, name: str, selector: int, rule: str) -> None:
        """Of a register that is null, the hidden part is not laid down."""
        self.set(f"{name}.selector", selector, rule)
        self.unspecified.update((f"{name}.{key}", ALL) for key in HIDDEN)

    def save(self, linear: int, size: int, value: int, *parts: Part) -> None:
        """Memory that is written to, but not in a certain order. Rules by bits."""
        self.saved.append(Write(linear & 0xFFFFFFFF, size, value & (1 << 8 * size) - 1, parts))

    # ---- the stack in use

    def stack_mask(self) -> int:
        return 0xFFFFFFFF if self.get("ss.attributes", BIG) else 0xFFFF

    def stack_has(self, rule: str, size: int) -> None:
        """So many bytes can be popped."""
        last = (self.get("esp") & self.stack_mask()) + size - 1
        self.need_within(rule, last, "ss.limit", Fault(SS, 0))

    def stack_takes(self, rule: str, size: int, fault: Fault) -> None:
        """So many bytes can be pushed."""
        lowest = self.get("esp") - size & self.stack_mask()
        self.need_within(rule, lowest + size - 1, "ss.limit", fault)

    def above(self, distance: int) -> int:
        """The linear address so many bytes above esp."""
        return self.get("ss.base") + (self.get("esp") + distance & self.stack_mask())

    def peek(self, distance: int, size: int, rule: str, room: int | None = None, rely: int = ALL) -> int:
        return self.read(self.above(distance), size, rule, room, rely)

    def push(self, base: int, esp: int, mask: int, words: Sequence[tuple[int, Parts]], size: int) -> int:
        """Words (value, rules by bits), each below the one before; gives the new esp."""
        for value, parts in words:
            lower = esp - size & mask
            esp = esp & ~mask | lower
            self.pushed.append(Write(base + lower & 0xFFFFFFFF, size, value & (1 << 8 * size) - 1, parts))
        return esp

    def release(self, size: int, rule: str) -> None:
        """esp when so many bytes were popped."""
        mask, esp = self.stack_mask(), self.get("esp")
        self.set("esp", esp & ~mask | esp + size & mask, rule)

    # ---- operands in memory

    def need_operand(self, memory: decode.Memory, size: int, write: bool) -> None:
        """Vol. 3A, 5.3 to 5.5: null, type and limit of the segment."""
        name = memory.segment
        if self.before["cr0"] & PE:
            null = name not in ("cs", "ss") and self.before[f"{name}.selector"] & ~3 == 0
            self.need("operand-not-null", not null, Fault(GP, 0), name)
            kind = self.before[f"{name}.type"]
            if write:
                self.need("operand-writable", kind & 0x1A == 0x12, Fault(GP, 0), f"{name}: type {kind:02x}")
            else:
                self.need("operand-readable", kind & 0x1A != 0x18, Fault(GP, 0), f"{name}: type {kind:02x}")
        last = memory.offset(self.before.__getitem__) + size - 1
        self.need_within("operand-limit", last, f"{name}.limit", Fault(SS if name == "ss" else GP, 0))

    def operand(self, memory: decode.Memory, rule: str, *parts: tuple[int, str | None]) -> int:
        """An operand in memory. Its parts, (bytes, field after): where they went, if they did; ""
        if they are of no consequence. If neither memory nor accesses are recorded, they are
        believed to be what is found there."""
        size = sum(part for part, _ in parts)
        self.need_operand(memory, size, write=False)
        linear = self.before[f"{memory.segment}.base"] + memory.offset(self.before.__getitem__)
        if self.accesses is not None or any(self.memory.words(linear, size)):
            self.rely(f"{memory.segment}.base")
            for name, _ in memory.registers:
                self.rely(name, (1 << memory.address_bits) - 1)
            return self.read(linear, size, rule)
        if parts[0][1] is None:
            raise Stuck()
        self.believed = True
        value = shift = 0
        for part, field in parts:
            value |= (self.after[field] & (1 << 8 * part) - 1 if field else 0) << shift
            shift += 8 * part
        self.unspecified.update((field, ALL) for _, field in parts if field)
        return value

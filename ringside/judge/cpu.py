"""A CPU before an instruction, and rule by rule what must be true after it.

    Cpu              what model.py executes instructions on
    Descriptor       eight bytes of a table

While the model executes, the Cpu keeps account of what it relied on in the state before
(so that mutate.py can change just that) and of what must be so in the state after.
"""

from collections.abc import Sequence

from ringside.judge import decode
from ringside.judge.account import NO_LIMIT
from ringside.judge.facts import (ACCESSED, ALL, BIG, EXPANDS_DOWN, Fault, GP, HIDDEN, Mark, Part, Parts, PE, Read, SS, Stuck,
                                  Write)
from ringside.judge.paging import Paging
from ringside.judge.rules import IN_A_ROW, STACK_AS_RING_0, otherwise
from ringside.judge.states import bytes_read, Layout, Memory, Values
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

    def holds(self, first: int, last: int) -> bool:
        """Whether a data segment has these offsets."""
        return last <= self.limit() if not self.expands_down() else self.limit() < first and last <= self.stack_mask()

    def expands_down(self) -> bool:
        return expands_down(self.whole() >> 40)

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


def expands_down(kind: int) -> bool:
    """Vol. 3A, 3.4.5.1: the type of data whose limit is the last offset that it does not have."""
    return kind & 0x1C == 0x10 | EXPANDS_DOWN


def ends_of(start: int, size: int, word: int, mask: int) -> tuple[int, int]:
    """The lowest and the highest offset of so many bytes of a stack, in words."""
    words = [start + place & mask for place in range(0, size, word)]
    return min(words), max(words) + word - 1


class Cpu(Paging):
    """walks: the entries of page tables that were read and written, if the recording has them."""

    def __init__(self, layout: Layout, before: Values, accesses: list[Access] | None, after: Values,
                 walks: list[Access] | None = None) -> None:
        super().__init__(layout, before, after, None if accesses is None else walks or [])
        self.memory, self.memory_after = Memory(layout, before, self.translate), Memory(layout, after)
        self.accesses = accesses
        self.read_bytes = None if accesses is None else bytes_read(accesses)

    # ---- memory

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

    def bound_memory(self, linear: int, first: int, count: int, wrong: int) -> None:
        for fields, unit, skip in self.memory.words(linear, 8):
            if unit == 8 and not skip and 0 <= wrong < 1 << count:
                self.bound(fields[0], (1 << count) - 1 << first, wrong << first)

    def told(self, linear: int, size: int) -> int | None:
        """Bytes, as the accesses tell them."""
        if self.read_bytes is None:
            return None
        places = range(linear, linear + size)
        if not all(place in self.read_bytes for place in places):
            return None
        return int.from_bytes(bytes(self.read_bytes[place] for place in places), "little")

    def read(self, linear: int, size: int, rule: str, room: int | None = None, rely: int = ALL,
             assumed: int | None = None, user: bool | None = False, span: int = 1) -> int:
        """Memory, read by the CPU itself, or by the ring (user=None). So many bytes there may be read as
        `room` says. Where neither the state before nor the accesses tell, the state after does, for the
        CPU has left it as it was; or else `assumed` is taken."""
        linear &= 0xFFFFFFFF
        self.page(linear, size, user=user, span=span)
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

    def set_segment(self, name: str, selector: int, descriptor: Descriptor, rule: str, mark: int, marked: str = "") -> None:
        """A register with its hidden part. The descriptor's bit `mark` is set, if it is not:
        by the rule `marked`."""
        self.set(f"{name}.selector", selector, rule)
        for key, value in descriptor.hidden(mark).items():
            self.set(f"{name}.{key}", value, rule)
            self.unspecified.pop(f"{name}.{key}", None)
        if mark & ~descriptor.raw and all(descriptor.linear != other.linear for other in self.marked):
            self.page(descriptor.linear + 4, 4, write=True, user=False, span=4)
            self.marked.append(Mark(descriptor.linear, descriptor.raw | mark, marked))

    def set_null(self, name: str, selector: int, rule: str) -> None:
        """Of a register that is null, the hidden part is not laid down."""
        self.set(f"{name}.selector", selector, rule)
        self.unspecified.update((f"{name}.{key}", ALL) for key in HIDDEN)

    def save(self, linear: int, size: int, value: int, *parts: Part) -> None:
        """Memory that is written to, but not in a certain order. Rules by bits."""
        self.page(linear, size, write=True, user=False)
        self.saved.append(Write(linear & 0xFFFFFFFF, size, value & (1 << 8 * size) - 1, parts))

    # ---- the offsets of a segment

    def need_offsets(self, rule: str, name: str, first: int, last: int, fault: Fault) -> None:
        """A segment has these offsets: by the rule, or, if it expands down, by that one's own."""
        down = expands_down(self.now(f"{name}.type"))
        if not otherwise(self.layout.emulator, "expand-down"):
            self.get(f"{name}.type", 0x1C if down else EXPANDS_DOWN)
        if not down:
            self.need_within(rule, last, f"{name}.limit", fault)
            return
        limit, top = self.now(f"{name}.limit"), NO_LIMIT if self.get(f"{name}.attributes", BIG) else 0xFFFF
        if last <= top:
            self.bound(f"{name}.limit", NO_LIMIT, first if first > limit else first - 1)
        self.need("expand-down", limit < first and last <= top, fault, f"{limit:#x} < {first:#x}, {last:#x} <= {top:#x}")

    # ---- the stack in use

    def crossing_as(self) -> bool | None:
        """Who accesses the stack when a crossing pops and pushes, for page()."""
        return False if self.layout.emulator in STACK_AS_RING_0 else None

    def stack_mask(self) -> int:
        return 0xFFFFFFFF if self.get("ss.attributes", BIG) else 0xFFFF

    def ends_on_stack(self, rule: str, distance: int, size: int, word: int) -> tuple[int, int]:
        """The lowest and the highest offset of so many bytes, from so many above esp on."""
        mask = self.stack_mask()
        in_a_row = rule in IN_A_ROW.get(self.layout.emulator, ())
        return ends_of((self.get("esp") & mask) + distance, size, word, 0xFFFFFFFF if in_a_row else mask)

    def stack_has(self, rule: str, size: int, word: int) -> None:
        """So many bytes can be popped, word by word: behind the stack's last address comes 0."""
        self.need_offsets(rule, "ss", *self.ends_on_stack(rule, 0, size, word), Fault(SS, 0))

    def stack_takes(self, rule: str, size: int, word: int, fault: Fault) -> None:
        """So many bytes can be pushed, likewise."""
        first, last = self.ends_on_stack(rule, -size, size, word)
        try:
            self.need_offsets(rule, "ss", first, last, fault)
        except Fault:
            base, lowest = self.now("ss.base"), self.now("ss.limit") + 1 if expands_down(self.now("ss.type")) else 0
            self.refused_words = range(base + lowest, base + (self.now("esp") & self.stack_mask()))
            raise

    def new_stack_takes(self, stack: Descriptor, esp: int, size: int, word: int, fault: Fault) -> None:
        """The same of the stack of an inner ring."""
        first, last = ends_of(esp - size, size, word, stack.stack_mask())
        fits = stack.holds(first, last)
        if not fits:
            lowest = stack.limit() + 1 if stack.expands_down() else 0
            self.refused_words = range(stack.base() + lowest, stack.base() + esp)
        self.need("expand-down" if stack.expands_down() else "stack-room", fits, fault, f"{size} bytes below {esp:#x}")

    def above(self, distance: int) -> int:
        """The linear address so many bytes above esp."""
        return self.get("ss.base") + (self.get("esp") + distance & self.stack_mask()) & 0xFFFFFFFF

    def peek(self, distance: int, size: int, rule: str, room: int | None = None, rely: int = ALL,
             span: int = 1, user: bool | None = None) -> int:
        return self.read(self.above(distance), size, rule, room, rely, user=user, span=span)

    def push(self, base: int, esp: int, mask: int, words: Sequence[tuple[int, Parts]], size: int,
             user: bool | None = None) -> int:
        """Words (value, rules by bits), each below the one before; gives the new esp."""
        top = esp
        for value, parts in words:
            lower = esp - size & mask
            linear = base + lower & 0xFFFFFFFF
            try:
                self.page(linear, size, write=True, user=user)
            except Fault:
                self.refused_words = range(linear + size, base + (top & mask))
                raise
            esp = esp & ~mask | lower
            self.pushed.append(Write(linear, size, value & (1 << 8 * size) - 1, parts))
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
        self.need_offsets("operand-limit", name, last - size + 1, last, Fault(SS if name == "ss" else GP, 0))

    def linear_of(self, memory: decode.Memory) -> int:
        return self.before[f"{memory.segment}.base"] + memory.offset(self.before.__getitem__) & 0xFFFFFFFF

    def operand(self, memory: decode.Memory, rule: str, *parts: tuple[int, str | None]) -> int:
        """An operand in memory. Its parts, (bytes, field after): where they went, if they did; ""
        if they are of no consequence. If neither memory nor accesses are recorded, they are
        believed to be what is found there."""
        size = sum(part for part, _ in parts)
        self.need_operand(memory, size, write=False)
        linear = self.linear_of(memory)
        if self.accesses is not None or any(self.memory.words(linear, size)):
            self.rely(f"{memory.segment}.base")
            for name, _ in memory.registers:
                self.rely(name, (1 << memory.address_bits) - 1)
            return self.read(linear, size, rule, user=None, span=size)
        self.page(linear, size, span=size)
        if parts[0][1] is None:
            raise Stuck()
        self.believed = True
        value = shift = 0
        for part, field in parts:
            value |= (self.after[field] & (1 << 8 * part) - 1 if field else 0) << shift
            shift += 8 * part
        self.unspecified.update((field, ALL) for _, field in parts if field)
        return value

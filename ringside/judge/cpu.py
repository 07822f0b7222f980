"""A CPU before an instruction, and rule by rule what must be true after it.

    flat(state)      a recorded state as {"eax": ..., "cs.base": ..., "gdt.1": ..., "stack.0": ...}
    Cpu              what model.py executes instructions on
    Descriptor       eight bytes of a table
    Fault            the exception that there is instead

While the model executes, the Cpu keeps account of what it relied on in the state before
(so that mutate.py can change just that) and of what must be so in the state after.
"""

import dataclasses
import itertools

from ringside.judge.rules import RULES, otherwise

ALL = (1 << 64) - 1
CF, PF, AF, ZF, SF, TF, IF, DF, OF = (1 << bit for bit in (0, 2, 4, 6, 7, 8, 9, 10, 11))
IOPL, NT, RF, VM, AC, VIF, VIP, ID = 3 << 12, 1 << 14, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21
FREE = CF | PF | AF | ZF | SF | TF | DF | OF | NT | AC | ID  # flags that any ring may change
PE, MP, EM, TS, ET = (1 << bit for bit in range(5))  # cr0
BIG = 0x4000  # attributes: D/B, a 32-bit segment
ACCESSED, BUSY = 1 << 40, 1 << 41  # in a descriptor
HIDDEN = ("base", "limit", "type", "dpl", "attributes")

EXCEPTIONS = {0: "#DE", 1: "#DB", 3: "#BP", 4: "#OF", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
              11: "#NP", 12: "#SS", 13: "#GP"}
DE, DB, BP, OVERFLOW, UD, NM, DOUBLE_FAULT, INVALID_TSS, NP, SS, GP = EXCEPTIONS
CONTRIBUTORY = DE, INVALID_TSS, NP, SS, GP


class Fault(Exception):
    """The instruction does not happen; this exception does."""

    def __init__(self, vector, error=None):
        super().__init__(vector, error)
        self.vector, self.error = vector, error

    def __str__(self):
        return EXCEPTIONS[self.vector] + ("" if self.error is None else f"({self.error:04x})")


class Stuck(Exception):
    """The model cannot go on. Rule and what is missing; or None, where it need not."""


@dataclasses.dataclass(slots=True)
class Fact:
    rule: str
    field: str = ""         # of the state after; or what was read or written; or why it holds
    expected: object = True
    found: object = True

    def holds(self):
        return self.expected == self.found

    def __str__(self):
        place, sentence = RULES[self.rule]
        return f"{self.rule}: {self.values()}\n    {sentence}\n    ({place})"

    def values(self):
        if not self.holds():
            return f"{self.field}: expected {show(self.expected)}, found {show(self.found)}"
        return self.field + ("" if self.found is True else f": {show(self.found)}")


def show(value):
    return f"{value:#x}" if type(value) is int else str(value)


# ---- states and memory ----------------------------------------------------------------

def flat(state):
    """A recorded state with a name for each number."""
    return {name: value for key in state for name, value in parts(key, state[key]).items()}


def parts(key, value):
    """An entry of a recorded state, likewise."""
    if type(value) is int:
        return {key: value}
    if type(value) is list:
        return {f"{key}.{i}": int(row, 16) for i, row in enumerate(value)}
    if key == "frames":
        return {f"frames.{letter}.{i}": word for letter, words in value.items() for i, word in enumerate(words)}
    if key == "stack":
        return {"stack.linear": value["linear"], **{f"stack.{i}": word for i, word in enumerate(value["words"])}}
    return {f"{key}.{name}": number for name, number in value.items()}


class Layout:
    """Where the memory lies that a recording holds: regions of words, each with a name.

    A region is (linear address, bytes of a word, names of its words).
    """

    def __init__(self, made):
        def place(symbol):
            return made["base"] + made["symbols"][symbol]

        state = made["state"]
        self.emulator = made["emulator"]
        self.idt = [f"idt.{i}" for i in range(len(state["idt"]))]
        self.fixed = (
            (place("gdt"), 8, [f"gdt.{i}" for i in range(len(state["gdt"]))]),
            (place("idt"), 8, self.idt),
            (place("tss") + 4, 4, ["tss.esp0", "tss.ss0"]),
            *((made["base"] + frame["offset"], 4, [f"frames.{letter}.{i}" for i in range(len(frame["words"]))])
              for letter, frame in made["frames"].items()),
        )
        self.stack_words = [f"stack.{i}" for i in range(len(state["stack"]["words"]))]

    def movable(self, values):
        """The LDT that is in use, and the words around ss:esp."""
        rows = itertools.takewhile(values.__contains__, map("ldt.{}".format, itertools.count()))
        return ((values["ldtr.base"], 8, [*itertools.islice(rows, (values["ldtr.limit"] + 1) // 8)]),
                (values["stack.linear"], 4, self.stack_words))

    def regions(self, values):
        return *self.fixed, *self.movable(values)


class Memory:
    """What a state tells of memory."""

    def __init__(self, layout, values):
        self.values, self.regions = values, layout.regions(values)

    def words(self, linear, size):
        """Each region that has these bytes: (its words, bytes of a word, bytes to skip)."""
        for start, unit, fields in self.regions:
            if start <= linear and linear + size <= start + unit * len(fields):
                first, skip = divmod(linear - start, unit)
                yield fields[first:(linear + size - 1 - start) // unit + 1], unit, skip

    def read(self, linear, size):
        """Each region's (word, value of the bytes)."""
        for fields, unit, skip in self.words(linear, size):
            raw = b"".join(self.values[field].to_bytes(unit, "little") for field in fields)
            yield fields[0], int.from_bytes(raw[skip:skip + size], "little")


def bytes_read(accesses):
    found = {}
    for kind, linear, size, value in accesses:
        if kind == "read":
            for i in range(size):
                found.setdefault(linear + i, value >> 8 * i & 0xFF)
    return found


class Descriptor:
    """Eight bytes of the GDT (vol. 3A, 3.4.5, figure 3-8) or of the IDT (6.11, figure 6-2).

    The model relies on those bits that it asks for, and on no others.
    """

    def __init__(self, cpu, linear, raw):
        self.cpu, self.linear, self.raw = cpu, linear, raw

    def bits(self, first, count):
        mask = (1 << count) - 1 << first
        self.cpu.rely_on_memory(self.linear, 8, mask)
        return (self.raw & mask) >> first

    def whole(self):
        """All but the accessed bit: once a segment is loaded, it is set. That it was not
        shows in the accesses."""
        self.cpu.rely_on_memory(self.linear, 8, ALL if self.cpu.accesses is not None else ALL & ~ACCESSED)
        return self.raw

    def present(self):
        return self.bits(47, 1) == 1

    def dpl(self):
        return self.bits(45, 2)

    def dpl_at_least(self, ring):
        dpl = self.raw >> 45 & 3
        self.cpu.bound_memory(self.linear, 45, 2, ring - 1 if dpl >= ring else ring)
        return dpl >= ring

    def dpl_at_most(self, ring):
        dpl = self.raw >> 45 & 3
        self.cpu.bound_memory(self.linear, 45, 2, ring + 1 if dpl <= ring else ring)
        return dpl <= ring

    # Code and data: bit 44 (S) is set.
    def is_system(self):
        return self.bits(44, 1) == 0

    def is_code(self):
        return self.bits(43, 2) == 3

    def is_data(self):
        return self.bits(43, 2) == 2

    def is_conforming(self):
        return self.is_code() and self.bits(42, 1) == 1

    def is_writable_data(self):
        return self.is_data() and self.bits(41, 1) == 1

    def is_readable(self):
        return self.is_data() or self.is_code() and self.bits(41, 1) == 1

    def limit(self):
        raw = self.whole()
        limit = raw & 0xFFFF | raw >> 32 & 0xF0000
        return limit << 12 | 0xFFF if raw >> 55 & 1 else limit

    def base(self):
        raw = self.whole()
        return raw >> 16 & 0xFFFFFF | raw >> 32 & 0xFF000000

    def stack_mask(self):
        return 0xFFFFFFFF if self.bits(54, 1) else 0xFFFF

    def hidden(self, mark):
        """What a register keeps of it; mark: accessed, or busy."""
        attributes = (self.raw | mark) >> 40 & 0xF0FF
        return dict(zip(HIDDEN, (self.base(), self.limit(), attributes & 0x1F, attributes >> 5 & 3, attributes)))

    # System segments and gates: bit 44 is clear.
    def system_type(self):
        return self.bits(40, 5)

    def gate_selector(self):
        """Its RPL is of no consequence."""
        self.bits(18, 14)
        return self.raw >> 16 & 0xFFFF

    def gate_offset(self, size):
        return self.bits(0, 16) | (self.bits(48, 16) << 16 if size == 4 else 0)

    def __str__(self):
        return f"type {self.raw >> 40 & 0x1F:02x}, DPL {self.raw >> 45 & 3}"


# ---- the CPU --------------------------------------------------------------------------

class Cpu:
    def __init__(self, layout, before, accesses, after):
        self.layout, self.before, self.after = layout, before, after
        self.memory, self.memory_after = Memory(layout, before), Memory(layout, after)
        self.accesses = accesses
        self.read_bytes = None if accesses is None else bytes_read(accesses)
        self.facts = []
        self.exact = {}             # field before -> bits that the model relied on
        self.bounds = []            # (rule, field before, bits, a value that would change its mind)
        self.compared = {}          # field after -> bits that were compared
        self.reads = []             # (linear, bytes, bytes it may be, value, rule, must it be)
        self.refused = None         # rule by which the instruction was refused
        self.fault = None           # and the exception
        self.refused_words = ()     # where, then, an emulator may have begun to push
        self.believed = False       # memory that is not recorded was taken to say what happened
        self.in_new_task = False    # a task switch has got so far that there is no way back
        self.lost = False           # and has ended in an exception that finds it half done
        self.kind = self.route = None
        self.forget()

    def forget(self):
        """A fault: the instruction leaves nothing behind."""
        self.excuse_reads()
        self.expected = {}          # field after -> (value, [(bits, rule), ...])
        self.unspecified = {}       # field after -> bits of which nothing is said
        self.pushed = []            # (linear, bytes, value, [(bits, rule), ...])
        self.saved = []             # likewise, in any order
        self.marked = []            # (linear, descriptor, rule)

    def excuse_reads(self):
        """How far it got is not laid down, so that what had to be read before may have been read."""
        self.reads = [(*read[:-1], False) for read in self.reads]

    # ---- what the state before says

    def rely(self, field, mask=ALL):
        self.exact[field] = self.exact.get(field, 0) | mask

    def rely_on_memory(self, linear, size, mask=ALL):
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

    def bound(self, field, mask, wrong):
        if 0 <= wrong <= mask and field not in self.expected:
            self.bounds.append((None, field, mask, wrong))

    def bound_memory(self, linear, first, count, wrong):
        for fields, unit, skip in self.memory.words(linear, 8):
            if unit == 8 and not skip and 0 <= wrong < 1 << count:
                self.bound(fields[0], (1 << count) - 1 << first, wrong << first)

    def get(self, field, mask=ALL):
        """A number as the instruction finds it, or has made it already."""
        if field in self.expected:
            return self.expected[field][0] & mask
        self.rely(field, mask)
        return self.before[field] & mask

    def now(self, field):
        """The same, for the caller to say what of it counts."""
        return self.expected[field][0] if field in self.expected else self.before[field]

    @property
    def cpl(self):
        return self.get("cpl")

    def protected(self):
        return self.get("cr0", PE) == PE

    def iopl_allows(self):
        cpl, iopl = self.cpl, self.before["eflags"] >> 12 & 3
        if cpl:
            self.bound("eflags", IOPL, (cpl - 1 if cpl <= iopl else cpl) << 12)
        return cpl <= iopl

    def told(self, linear, size):
        """Bytes, as the accesses tell them."""
        if self.read_bytes is None:
            return None
        found = [self.read_bytes.get(linear + i) for i in range(size)]
        return None if None in found else int.from_bytes(found, "little")

    def read(self, linear, size, rule, room=None, rely=ALL, assumed=None):
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
        self.reads.append((linear, size, room or size, value, rule, True))
        self.rely_on_memory(linear, size, rely)
        return value

    def known(self, linear, size):
        """The same, as the state before tells them, or else the accesses."""
        return next((value for _, value in self.memory.read(linear, size)), self.told(linear, size))

    def may_read(self, linear, size, rule):
        for _, value in self.memory.read(linear, size):
            self.reads.append((linear, size, size, value, rule, False))

    # ---- what must be so

    def check(self, rule, field, expected, found):
        self.facts.append(Fact(rule, field, expected, found))

    def need(self, rule, holds, fault, why=""):
        """A demand: it is met, or there is that exception."""
        self.bounds = [(bound[0] or rule, *bound[1:]) for bound in self.bounds]
        if holds:
            self.facts.append(Fact(rule, why))
            return
        known = otherwise(self.layout.emulator, rule)
        if known is None:
            self.facts.append(Fact(rule, f"not so: {fault}"))
            self.refused = rule
            raise fault
        if known.does == "something else":
            raise Stuck(None, None)
        if known.does != "nothing":
            self.facts.append(Fact(rule, f"not so, and {self.layout.emulator} has {EXCEPTIONS[known.does]} for that"))
            self.refused = rule
            raise Fault(known.does, fault.error)

    def need_within(self, rule, last, field, fault):
        """`last` is within the limit in a field."""
        limit = self.now(field)
        self.bound(field, 0xFFFFFFFF, last - 1 if last <= limit else last)
        self.need(rule, last <= limit, fault, f"{last:#x} <= {field} {limit:#x}")

    def set(self, field, value, rule, mask=ALL):
        old, parts = self.expected.get(field, (self.before[field], []))
        self.expected[field] = old & ~mask | value & mask, [(mask, rule), *parts]

    def set_flags(self, value, mask, rule):
        self.set("eflags", value, rule, mask)

    def keep_flags(self, mask, rule):
        self.set("eflags", self.get("eflags", mask), rule, mask)

    def set_segment(self, name, selector, descriptor, rule, mark, marked=None):
        """A register with its hidden part. The descriptor's bit `mark` is set, if it is not:
        by the rule `marked`."""
        self.set(f"{name}.selector", selector, rule)
        for key, value in descriptor.hidden(mark).items():
            self.set(f"{name}.{key}", value, rule)
            self.unspecified.pop(f"{name}.{key}", None)
        if mark & ~descriptor.raw and all(descriptor.linear != marked[0] for marked in self.marked):
            self.marked.append((descriptor.linear, descriptor.raw | mark, marked))

    def set_null(self, name, selector, rule):
        """Of a register that is null, the hidden part is not laid down."""
        self.set(f"{name}.selector", selector, rule)
        self.unspecified.update((f"{name}.{key}", ALL) for key in HIDDEN)

    def save(self, linear, size, value, *parts):
        """Memory that is written to, but not in a certain order. Rules by bits."""
        self.saved.append((linear & 0xFFFFFFFF, size, value & (1 << 8 * size) - 1, parts))

    # ---- the stack in use

    def stack_mask(self):
        return 0xFFFFFFFF if self.get("ss.attributes", BIG) else 0xFFFF

    def stack_has(self, rule, size):
        """So many bytes can be popped."""
        last = (self.get("esp") & self.stack_mask()) + size - 1
        self.need_within(rule, last, "ss.limit", Fault(SS, 0))

    def stack_takes(self, rule, size, fault):
        """So many bytes can be pushed."""
        lowest = self.get("esp") - size & self.stack_mask()
        self.need_within(rule, lowest + size - 1, "ss.limit", fault)

    def above(self, distance):
        """The linear address so many bytes above esp."""
        return self.get("ss.base") + (self.get("esp") + distance & self.stack_mask())

    def peek(self, distance, size, rule, room=None, rely=ALL):
        return self.read(self.above(distance), size, rule, room, rely)

    def push(self, base, esp, mask, words, size):
        """Words (value, rules by bits), each below the one before; gives the new esp."""
        for value, parts in words:
            lower = esp - size & mask
            esp = esp & ~mask | lower
            self.pushed.append((base + lower & 0xFFFFFFFF, size, value & (1 << 8 * size) - 1, parts))
        return esp

    def release(self, size, rule):
        """esp when so many bytes were popped."""
        mask, esp = self.stack_mask(), self.get("esp")
        self.set("esp", esp & ~mask | esp + size & mask, rule)

    # ---- operands in memory

    def need_operand(self, memory, size, write):
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
        last = memory.offset(self.before.get) + size - 1
        self.need_within("operand-limit", last, f"{name}.limit", Fault(SS if name == "ss" else GP, 0))

    def operand(self, memory, rule, *parts):
        """An operand in memory. Its parts, (bytes, field after): where they went, if they did; ""
        if they are of no consequence. If neither memory nor accesses are recorded, they are
        believed to be what is found there."""
        size = sum(part for part, _ in parts)
        self.need_operand(memory, size, write=False)
        linear = self.before[f"{memory.segment}.base"] + memory.offset(self.before.get)
        if self.accesses is not None or any(self.memory.words(linear, size)):
            self.rely(f"{memory.segment}.base")
            for name, _ in memory.registers:
                self.rely(name, (1 << memory.address_bits) - 1)
            return self.read(linear, size, rule)
        if parts[0][1] is None:
            raise Stuck(None, None)
        self.believed = True
        value = shift = 0
        for part, field in parts:
            value |= (self.after[field] & (1 << 8 * part) - 1 if field else 0) << shift
            shift += 8 * part
        self.unspecified.update((field, ALL) for _, field in parts if field)
        return value

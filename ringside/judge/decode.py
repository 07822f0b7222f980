"""Machine code, as far as the judge has to understand it.

    decode("cd30", wide=True).name      "int"
    decode("cd30", wide=True).words     ["0x30"], what an assembler's text must name

Only the instructions that cross between rings, load what a crossing needs, or may be
refused; for all others the name is None. After Intel's manual (Software Developer's
Manual, SDM for short), volume 2: section 2.1, instruction format, and appendix A, opcode
map.
"""

import dataclasses
import functools

GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
BYTES = ("al", "cl", "dl", "bl", "ah", "ch", "dh", "bh")
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")  # numbered as in ModR/M
OVERRIDES = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0x64: "fs", 0x65: "gs"}
OPERAND_SIZE, ADDRESS_SIZE, IGNORED = 0x66, 0x67, (0xF0, 0xF2, 0xF3)

# 16-bit addressing, SDM vol. 2A, table 2-1: what rm adds up.
PAIRS = (("ebx", "esi"), ("ebx", "edi"), ("ebp", "esi"), ("ebp", "edi"),
         ("esi",), ("edi",), ("ebp",), ("ebx",))

# One byte that says all. What follows the opcode: m ModR/M; u b w z a byte, a signed one,
# two bytes, an operand; p a far pointer; o an address.
ONE_BYTE = {
    0x07: ("pop segment", "", "es"), 0x17: ("pop segment", "", "ss"), 0x1F: ("pop segment", "", "ds"),
    0x68: ("push", "z", None), 0x6A: ("push", "b", None),
    0x88: ("write", "m", 1), 0x89: ("write", "m", None), 0x8A: ("read", "m", 1), 0x8B: ("read", "m", None),
    0x8E: ("load segment", "m", None), 0x90: ("nop", "", None), 0x9A: ("call far", "p", None),
    0x9B: ("wait", "", None), 0x9D: ("popf", "", None),
    0xA0: ("read", "o", 1), 0xA1: ("read", "o", None), 0xA2: ("write", "o", 1), 0xA3: ("write", "o", None),
    0xC4: ("load far pointer", "m", "es"), 0xC5: ("load far pointer", "m", "ds"),
    0xC6: ("write", "mb", 1), 0xC7: ("write", "mz", None),
    0xCA: ("ret far", "w", None), 0xCB: ("ret far", "", None),
    0xCC: ("int3", "", None), 0xCD: ("int", "u", None), 0xCE: ("into", "", None), 0xCF: ("iret", "", None),
    0xE4: ("in", "u", 1), 0xE5: ("in", "u", None), 0xE6: ("out", "u", 1), 0xE7: ("out", "u", None),
    0xE9: ("jmp", "z", None), 0xEA: ("jmp far", "p", None), 0xEB: ("jmp", "b", None),
    0xEC: ("in", "", 1), 0xED: ("in", "", None), 0xEE: ("out", "", 1), 0xEF: ("out", "", None),
    0xF4: ("privileged", "", None), 0xFA: ("cli", "", None), 0xFB: ("sti", "", None),
    **{0x50 + number: ("push", "", name) for number, name in enumerate(GENERAL)},
    0xC2: ("branch", "w", None), 0xC3: ("branch", "", None), 0xE8: ("branch", "z", None),
    **{opcode: ("branch", "b", None) for opcode in (*range(0x70, 0x80), 0xE0, 0xE1, 0xE2, 0xE3)},
    **{0xD8 + number: ("fpu", "m", None) for number in range(8)},
}
# Behind 0x0f.
TWO_BYTES = {
    0x06: ("clts", "", None), 0x0B: ("ud2", "", None),
    0x20: ("privileged", "m", "cr"), 0x21: ("privileged", "m", "dr"), 0x23: ("privileged", "m", "dr"),
    0x22: ("write control", "m", "cr"), 0x30: ("privileged", "", None), 0x32: ("privileged", "", None),
    0xA1: ("pop segment", "", "fs"), 0xA9: ("pop segment", "", "gs"),
    0xB2: ("load far pointer", "m", "ss"), 0xB4: ("load far pointer", "m", "fs"),
    0xB5: ("load far pointer", "m", "gs"),
    **{opcode: ("branch", "z", None) for opcode in range(0x80, 0x90)},
}
# The reg field of ModR/M is part of these opcodes.
GROUPS = {
    0xF7: {6: ("div", None)},
    0xFF: {2: ("branch", None), 3: ("call far", None), 4: ("branch", None), 5: ("jmp far", None)},
    0x0F00: {2: ("lldt", 2), 3: ("ltr", 2)},
    0x0F01: {2: ("lgdt", None), 3: ("lidt", None), 6: ("privileged", 2)},
}
NEEDS_MEMORY = ("lgdt", "lidt", "load far pointer", "call far", "jmp far")


@dataclasses.dataclass
class Memory:
    """An operand in memory: the offset is the sum of registers and displacement."""
    segment: str
    registers: tuple
    displacement: int
    address_bits: int

    def offset(self, register):
        total = sum(register(name) * scale for name, scale in self.registers) + self.displacement
        return total & (1 << self.address_bits) - 1


@dataclasses.dataclass
class Instruction:
    name: str | None
    length: int = 0
    size: int = 4                     # of an operand, in bytes
    register: str | None = None       # general, or segment, that the opcode or reg names
    source: str | None = None         # general register in rm
    memory: Memory | None = None      # or memory in rm
    immediate: int = 0
    has_immediate: bool = False
    selector: int = 0                 # of a far pointer in the instruction
    words: list = ()                  # registers and numbers that its text must name


@functools.lru_cache(None)
def decode(code, wide):
    """The instruction whose bytes these are, in hexadecimal; wide in a 32-bit code segment."""
    return _Decoder(bytes.fromhex(code), wide).instruction()


def part_of(register, size):
    """A general register's name when so many bytes of it are meant; its first byte is eax's alone."""
    return {1: "al", 2: register[1:], 4: register}[size]


class _Decoder:
    def __init__(self, code, wide):
        self.code = code
        self.place = 0
        self.operand = self.address = 4 if wide else 2
        self.override = None
        self.words = []

    def take(self, size):
        value = int.from_bytes(self.code[self.place:self.place + size], "little")
        self.place += size
        return value

    def take_signed(self, size):
        value = self.take(size)
        return value - (1 << 8 * size) if value >> 8 * size - 1 else value

    def opcode(self):
        """Prefixes first, as many as there are."""
        while True:
            byte = self.take(1)
            if byte in OVERRIDES:
                self.override = OVERRIDES[byte]
            elif byte == OPERAND_SIZE:
                self.operand ^= 4 ^ 2
            elif byte == ADDRESS_SIZE:
                self.address ^= 4 ^ 2
            elif byte not in IGNORED:
                return 0x0F00 | self.take(1) if byte == 0x0F else byte

    def instruction(self):
        opcode = self.opcode()
        if opcode in GROUPS:
            reg = int.from_bytes(self.code[self.place:self.place + 1], "little") >> 3 & 7
            name, size = GROUPS[opcode].get(reg, (None, None))
            follows, what = "m", size
        elif opcode >> 8:
            name, follows, what = TWO_BYTES.get(opcode & 0xFF, (None, "", None))
        else:
            name, follows, what = ONE_BYTE.get(opcode, (None, "", None))
        if name == "div" and self.operand == 2:
            name = None
        made = Instruction(name, size=what if isinstance(what, int) else self.operand,
                           register=what if isinstance(what, str) else None)
        for letter in follows:
            self.add(made, letter)
        if name in ("in", "out"):
            self.words += [part_of("eax", made.size), *(() if made.has_immediate else ("dx",))]
        elif name == "pop segment":
            self.words.append(what)
        made.length, made.words = self.place, sorted(self.words)
        return made

    def add(self, made, letter):
        if letter == "m":
            self.modrm(made)
        elif letter == "o":
            made.memory = self.addressed(None, (), self.take(self.address), 8 * self.address)
        elif letter == "p":
            made.immediate, made.selector = self.take(self.operand), self.take(2)
            self.words += [hex(made.immediate), hex(made.selector)]
        else:
            signed = letter in "bz"
            size = {"u": 1, "b": 1, "w": 2, "z": self.operand}[letter]
            made.immediate = self.take_signed(size) if signed else self.take(size)
            made.has_immediate = True
            self.words.append(hex(made.immediate))

    def modrm(self, made):
        byte = self.take(1)
        mode, reg, rm = byte >> 6, byte >> 3 & 7, byte & 7
        if made.name == "load segment":
            made.register = SEGMENTS[reg] if reg < len(SEGMENTS) else None
            self.words.append(str(made.register))
        elif made.register in ("cr", "dr"):
            made.register, made.size = f"{made.register}{reg}", 4
            self.words.append(made.register)
        elif made.name == "load far pointer":
            made.immediate = reg  # the general register that takes the offset
            self.words.append(part_of(GENERAL[reg], made.size))
        if mode == 3:
            made.source = GENERAL[rm]
            self.words.append(BYTES[rm] if made.size == 1 else part_of(made.source, made.size))
            if made.name in NEEDS_MEMORY:
                made.name = None
        elif self.address == 2:
            made.memory = self.memory16(mode, rm)
        else:
            made.memory = self.memory32(mode, rm)

    def memory16(self, mode, rm):
        if mode == 0 and rm == 6:
            return self.addressed(None, (), self.take(2), 16)
        base, *index = PAIRS[rm]
        return self.addressed(base, tuple((name, 1) for name in index), self.take_signed(mode) if mode else None, 16)

    def memory32(self, mode, rm):
        """SDM vol. 2A, tables 2-2 and 2-3."""
        index, base = (), rm
        if rm == 4:
            sib = self.take(1)
            base = sib & 7
            if sib >> 3 & 7 != 4:
                index = ((GENERAL[sib >> 3 & 7], 1 << (sib >> 6)),)
                self.words.append(f"*{1 << (sib >> 6)}")
            elif sib >> 6:
                self.words.append("eiz")  # objdump's word for: no index, but a scale
        if mode == 0 and base == 5:
            return self.addressed(None, index, self.take(4), 32)
        return self.addressed(GENERAL[base], index, self.take_signed({1: 1, 2: 4}[mode]) if mode else None, 32)

    def addressed(self, base, index, displacement, bits):
        """What is addressed through ebp or esp lies in ss, unless a prefix says else."""
        segment = self.override or ("ss" if base in ("ebp", "esp") else "ds")
        registers = ((base, 1), *index) if base else index
        self.words += [part_of(name, bits // 8) for name, _ in registers]
        if self.override:
            self.words.append(self.override)
        if displacement is not None:
            self.words.append(hex(displacement))
        return Memory(segment, registers, (displacement or 0) & (1 << bits) - 1, bits)

"""Machine code, as far as the judge has to understand it.

    decode("cd30", wide=True).name      "int"
    decode("cd30", wide=True).words     ["0x30"], what an assembler's text must name

Only the instructions that cross between rings, load what a crossing needs, or may be
refused; for all others the name is None. After Intel's manual (Software Developer's
Manual, SDM for short), volume 2: section 2.1, instruction format, and appendix A, opcode
map.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import NamedTuple

GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
BYTES = ("al", "cl", "dl", "bl", "ah", "ch", "dh", "bh")
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")  # numbered as in ModR/M
LOCK = 0xF0
# What may have lock in front of it, if it writes to memory: opcodes, and of groups the regs.
LOCKABLE = {*(8 * number + low for number in range(7) for low in (0, 1)), 0x86, 0x87, 0x0FB0, 0x0FB1, 0x0FC0, 0x0FC1, 0x0FAB,
            0x0FB3, 0x0FBB}
LOCKABLE_REGS = {0x80: range(7), 0x81: range(7), 0x82: range(7), 0x83: range(7), 0xFE: range(2), 0xFF: range(2), 0xF6: (2, 3),
                 0xF7: (2, 3), 0x0FBA: (5, 6, 7), 0x0FC7: (1,)}
OVERRIDES = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0x64: "fs", 0x65: "gs"}
OPERAND_SIZE, ADDRESS_SIZE, IGNORED = 0x66, 0x67, (0xF2, 0xF3)

# 16-bit addressing, SDM vol. 2A, table 2-1: what rm adds up.
PAIRS = (("ebx", "esi"), ("ebx", "edi"), ("ebp", "esi"), ("ebp", "edi"),
         ("esi",), ("edi",), ("ebp",), ("ebx",))


class Op(NamedTuple):
    """An opcode. What follows it: m ModR/M; u b w z a byte, a signed one, two bytes, an operand;
    p a far pointer; o an address."""
    name: str | None
    follows: str = ""
    size: int | None = None         # of its operand, where no prefix changes it
    register: str | None = None     # that it names


UNKNOWN = Op(None)

# One byte that says all.
ONE_BYTE: dict[int, Op] = {
    0x07: Op("pop segment", register="es"), 0x17: Op("pop segment", register="ss"), 0x1F: Op("pop segment", register="ds"),
    0x68: Op("push", "z"), 0x6A: Op("push", "b"),
    0x88: Op("write", "m", 1), 0x89: Op("write", "m"), 0x8A: Op("read", "m", 1), 0x8B: Op("read", "m"),
    0x8E: Op("load segment", "m"), 0x90: Op("nop"), 0x9A: Op("call far", "p"),
    0x9B: Op("wait"), 0x9D: Op("popf"),
    0xA0: Op("read", "o", 1), 0xA1: Op("read", "o"), 0xA2: Op("write", "o", 1), 0xA3: Op("write", "o"),
    0xC4: Op("load far pointer", "m", register="es"), 0xC5: Op("load far pointer", "m", register="ds"),
    0xC6: Op("write", "mb", 1), 0xC7: Op("write", "mz"),
    0xCA: Op("ret far", "w"), 0xCB: Op("ret far"),
    0xCC: Op("int3"), 0xCD: Op("int", "u"), 0xCE: Op("into"), 0xCF: Op("iret"),
    0xE4: Op("in", "u", 1), 0xE5: Op("in", "u"), 0xE6: Op("out", "u", 1), 0xE7: Op("out", "u"),
    0xE9: Op("jmp", "z"), 0xEA: Op("jmp far", "p"), 0xEB: Op("jmp", "b"),
    0xEC: Op("in", "", 1), 0xED: Op("in"), 0xEE: Op("out", "", 1), 0xEF: Op("out"),
    0xF4: Op("privileged"), 0xFA: Op("cli"), 0xFB: Op("sti"),
    **{0x50 + number: Op("push", register=name) for number, name in enumerate(GENERAL)},
    0xC2: Op("branch", "w"), 0xC3: Op("branch"), 0xE8: Op("branch", "z"),
    **{opcode: Op("branch", "b") for opcode in (*range(0x70, 0x80), 0xE0, 0xE1, 0xE2, 0xE3)},
    **{0xD8 + number: Op("fpu", "m") for number in range(8)},
}
# Behind 0x0f.
TWO_BYTES: dict[int, Op] = {
    0x06: Op("clts"), 0x0B: Op("ud2"), 0xB9: Op("undefined"), 0xFF: Op("undefined"),
    0x20: Op("privileged", "m", register="cr"), 0x21: Op("read debug", "m", register="dr"),
    0x23: Op("write debug", "m", register="dr"),
    0x22: Op("write control", "m", register="cr"), 0x30: Op("wrmsr"), 0x32: Op("privileged"),
    0x34: Op("sysenter"), 0x35: Op("sysexit"),
    0xA1: Op("pop segment", register="fs"), 0xA9: Op("pop segment", register="gs"),
    0xB2: Op("load far pointer", "m", register="ss"), 0xB4: Op("load far pointer", "m", register="fs"),
    0xB5: Op("load far pointer", "m", register="gs"),
    **{opcode: Op("branch", "z") for opcode in range(0x80, 0x90)},
}
# The reg field of ModR/M is part of these opcodes.
GROUPS: dict[int, dict[int, Op]] = {
    0xF7: {6: Op("div", "m")},
    0xFF: {2: Op("branch", "m"), 3: Op("call far", "m"), 4: Op("branch", "m"), 5: Op("jmp far", "m")},
    0x0F00: {2: Op("lldt", "m", 2), 3: Op("ltr", "m", 2)},
    0x0F01: {2: Op("lgdt", "m"), 3: Op("lidt", "m"), 6: Op("privileged", "m", 2)},
}
NEEDS_MEMORY = ("lgdt", "lidt", "load far pointer", "call far", "jmp far")


Scaled = tuple[tuple[str, int], ...]     # registers, and what each is multiplied by


@dataclasses.dataclass
class Memory:
    """An operand in memory: the offset is the sum of registers and displacement."""
    segment: str
    registers: Scaled
    displacement: int
    address_bits: int

    def offset(self, register: Callable[[str], int]) -> int:
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
    words: list[str] = dataclasses.field(default_factory=list)    # registers and numbers that its text must name


@functools.lru_cache(None)
def decode(code: str, wide: bool) -> Instruction:
    """The instruction whose bytes these are, in hexadecimal; wide in a 32-bit code segment."""
    return _Decoder(bytes.fromhex(code), wide).instruction()


def part_of(register: str, size: int) -> str:
    """A general register's name when so many bytes of it are meant; its first byte is eax's alone."""
    return {1: "al", 2: register[1:], 4: register}[size]


class _Decoder:
    def __init__(self, code: bytes, wide: bool) -> None:
        self.code = code
        self.place = 0
        self.operand = self.address = 4 if wide else 2
        self.override: str | None = None
        self.locked = False
        self.after_opcode = 0
        self.words: list[str] = []

    def take(self, size: int) -> int:
        value = int.from_bytes(self.code[self.place:self.place + size], "little")
        self.place += size
        return value

    def take_signed(self, size: int) -> int:
        value = self.take(size)
        return value - (1 << 8 * size) if value >> 8 * size - 1 else value

    def opcode(self) -> int:
        """Prefixes first, as many as there are."""
        while True:
            byte = self.take(1)
            if byte in OVERRIDES:
                self.override = OVERRIDES[byte]
            elif byte == OPERAND_SIZE:
                self.operand ^= 4 ^ 2
            elif byte == ADDRESS_SIZE:
                self.address ^= 4 ^ 2
            elif byte == LOCK:
                self.locked = True
            elif byte not in IGNORED:
                return 0x0F00 | self.take(1) if byte == 0x0F else byte

    def instruction(self) -> Instruction:
        opcode = self.opcode()
        self.after_opcode = self.place
        if opcode in GROUPS:
            reg = int.from_bytes(self.code[self.place:self.place + 1], "little") >> 3 & 7
            op = GROUPS[opcode].get(reg, Op(None, "m"))
        elif opcode >> 8:
            op = TWO_BYTES.get(opcode & 0xFF, UNKNOWN)
        else:
            op = ONE_BYTE.get(opcode, UNKNOWN)
        name = None if op.name == "div" and self.operand == 2 else op.name
        made = Instruction(name, size=op.size or self.operand, register=op.register)
        for letter in op.follows:
            self.add(made, letter)
        if name in ("in", "out"):
            self.words += [part_of("eax", made.size), *(() if made.has_immediate else ("dx",))]
        elif name == "pop segment":
            self.words.append(str(op.register))
        if self.locked and self.may_not_lock(opcode, made):
            made.name = "undefined"
        made.length, made.words = self.place, sorted(self.words)
        return made

    def may_not_lock(self, opcode: int, made: Instruction) -> bool:
        """Vol. 2A, LOCK. Where the operand is not decoded, its ModR/M says whether it is memory."""
        follows = self.code[self.after_opcode:self.after_opcode + 1] or b"\0"
        if opcode in LOCKABLE:
            return follows[0] >= 0xC0
        if opcode in LOCKABLE_REGS:
            return follows[0] >= 0xC0 or follows[0] >> 3 & 7 not in LOCKABLE_REGS[opcode]
        return True

    def add(self, made: Instruction, letter: str) -> None:
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

    def modrm(self, made: Instruction) -> None:
        byte = self.take(1)
        mode, reg, rm = byte >> 6, byte >> 3 & 7, byte & 7
        if made.name == "load segment":
            made.register = SEGMENTS[reg] if reg < len(SEGMENTS) else None
            self.words.append(str(made.register))
        elif made.register in ("cr", "dr"):
            made.register, made.size = f"{made.register}{reg}", 4
            self.words.append(made.register.replace("dr", "db"))    # as objdump calls them
        elif made.name == "load far pointer":
            made.immediate = reg  # the general register that takes the offset
            self.words.append(part_of(GENERAL[reg], made.size))
        if mode == 3:
            made.source = GENERAL[rm]
            self.words.append(BYTES[rm] if made.size == 1 else part_of(made.source, made.size))
            if made.name in NEEDS_MEMORY:
                made.name = None if made.name in ("lgdt", "lidt") else "undefined"  # behind 0x0f 0x01 there is more
        elif self.address == 2:
            made.memory = self.memory16(mode, rm)
        else:
            made.memory = self.memory32(mode, rm)

    def memory16(self, mode: int, rm: int) -> Memory:
        if mode == 0 and rm == 6:
            return self.addressed(None, (), self.take(2), 16)
        base, *index = PAIRS[rm]
        return self.addressed(base, tuple((name, 1) for name in index), self.take_signed(mode) if mode else None, 16)

    def memory32(self, mode: int, rm: int) -> Memory:
        """SDM vol. 2A, tables 2-2 and 2-3."""
        index: Scaled = ()
        base = rm
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

    def addressed(self, base: str | None, index: Scaled, displacement: int | None, bits: int) -> Memory:
        """What is addressed through ebp or esp lies in ss, unless a prefix says else."""
        segment = self.override or ("ss" if base in ("ebp", "esp") else "ds")
        registers = ((base, 1), *index) if base else index
        self.words += [part_of(name, bits // 8) for name, _ in registers]
        if self.override:
            self.words.append(self.override)
        if displacement is not None:
            self.words.append(hex(displacement))
        return Memory(segment, registers, (displacement or 0) & (1 << bits) - 1, bits)

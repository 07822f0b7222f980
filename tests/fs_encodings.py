"""Encodings of accesses by fs, each with a model of what it does: for tests/test_fncall_fs.py.

A Row is an instruction of AT&T's syntax, in which @ stands for the operand, and a model: a function
of a State that says what has changed afterwards. Registers by name; "mem": the bytes of the operand; "other": those
at rdi, which is no operand of fs; "xmm1", "ymm1": a number; "rip": where it goes on, counted from the instruction;
"float": x87's or SSE's state, which is not modelled. All that a model does not name must stay as it was, but for the flags.
"""

import dataclasses
import re
import subprocess
import typing

REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
NARROW = {"eax": "rax", "ecx": "rcx", "edx": "rdx", "ebx": "rbx", "esi": "rsi", "edi": "rdi", "ebp": "rbp",
          **{f"r{n}d": f"r{n}" for n in range(8, 16)}}
MASK = (1 << 64) - 1
OPERAND = 64        # bytes of memory that a model sees from the operand's address on
SLOT = 32           # bytes for a row in the assembled file
OPERAND_TEXT = re.compile(r"%fs:(-?\w+)?(?:\((%\w+)?(?:,(%\w+)(?:,(\d))?)?\))?")
CARRY = 1


@dataclasses.dataclass
class State:
    r: "dict[str, int]"
    ea: int                 # the operand's address, from the base of fs
    memory: bytes           # from there on
    other: bytes            # at rdi
    xmm: "list[int]"
    ymm: "list[int]"
    flags: int
    code: int               # where the instruction stands
    mxcsr: int = 0x1f80

    def v(self, size, at=0):
        return int.from_bytes(self.memory[at:at + size], "little")

    def s(self, size):
        return int.from_bytes(self.memory[:size], "little", signed=True)


def to_reg(name, size, value):
    """The register afterwards, as a write of that size leaves it."""
    def model(m):
        new = value(m)
        kept = m.r[name] & MASK >> 8 * size << 8 * size if size < 4 else 0
        return {name: new & (1 << 8 * size) - 1 | kept}
    return model


def to_mem(size, value):
    return lambda m: {"mem": (value(m) & (1 << 8 * size) - 1).to_bytes(size, "little")}


def load(name, size):
    return to_reg(name, size, lambda m: m.v(size))


def extend(name, size, wide, signed):
    return to_reg(name, wide, lambda m: m.s(size) if signed else m.v(size))


def both(*models):
    return lambda m: {key: value for model in models for key, value in model(m).items()}


def rotated_right(value, count, bits):
    count %= bits
    return value >> count | value << bits - count


def lanes(one, other, bits, operation):
    """Two vectors, lane by lane."""
    mask = (1 << bits) - 1
    return sum((operation(one >> at & mask, other >> at & mask) & mask) << at for at in range(0, 256, bits))


def shuffled(value, control, bits):
    """pshufd, vpermq: lane by lane from where two bits of the control say."""
    return sum((value >> bits * (control >> 2 * lane & 3) & (1 << bits) - 1) << bits * lane for lane in range(4))


def exchanged(m):
    return {"mem": (m.r["rdx"]).to_bytes(8, "little"), "rdx": m.v(8)}


def compared(size):
    """cmpxchg rdx, by a rax that is random: not equal."""
    return lambda m: to_reg("rax", size, lambda _: m.v(size))(m)


def multiplied(m):
    product = m.r["rax"] * m.v(8)
    return {"rax": product & MASK, "rdx": product >> 64}


def divided(m):
    return {"rax": m.r["rax"] // m.v(8), "rdx": m.r["rax"] % m.v(8)}


def moved(size, count=1):
    """movs: count operands of that size, upwards."""
    return lambda m: {"other": m.memory[:size * count], "rsi": m.r["rsi"] + size * count & MASK,
                      "rdi": m.r["rdi"] + size * count, **({"rcx": 0} if count > 1 else {})}


def masked_bytes(m):
    """maskmovdqu: those bytes of xmm2 whose byte of xmm1 has its highest bit."""
    data, mask = m.xmm[2].to_bytes(16, "little"), m.xmm[1].to_bytes(16, "little")
    return {"mem": bytes(new if keep & 0x80 else old for new, keep, old in zip(data, mask, m.memory))}


def shuffle_bytes(m):
    """pshufb: xmm1 by the operand."""
    data, control = m.xmm[1].to_bytes(16, "little"), m.memory[:16]
    return {"xmm1": int.from_bytes(bytes(0 if one & 0x80 else data[one & 15] for one in control), "little")}


def pushed(m):
    return {"rsp": m.r["rsp"] - 8}


class Row(typing.NamedTuple):
    text: str
    model: "typing.Callable[[State], dict]"
    operand: str = "%fs:(%rbx)"
    setup: "dict[str, int]" = {}     # registers; "mem": 8 bytes of memory
    needs: str = ""                  # a flag of /proc/cpuinfo

    @property
    def asm(self):
        return self.text.replace("@", self.operand)

    @property
    def address(self):
        """(displacement, base, index, scale, narrow) of the operand."""
        found = OPERAND_TEXT.search(self.asm) or OPERAND_TEXT.search(self.operand)
        displacement, base, index, scale = found.groups()
        names = [name and name[1:] for name in (base, index)]
        narrow = "addr32" in self.asm or any(name in NARROW for name in names)
        return (int(displacement or "0", 0), *(NARROW.get(name, name) for name in names), int(scale or 1), narrow)


FORMS = [Row(text, load("rdx", 8)) for text in (
    "mov %fs:0x80, %rdx", "mov %fs:(%rax), %rdx", "mov %fs:(%rsi), %rdx", "mov %fs:(%rbp), %rdx", "mov %fs:(%rsp), %rdx",
    "mov %fs:(%r12), %rdx", "mov %fs:(%r13), %rdx", "mov %fs:0x10(%rcx), %rdx", "mov %fs:-0x10(%r9), %rdx",
    "mov %fs:0x12345678(%rdi), %rdx", "mov %fs:-0x1234(%r15), %rdx", "mov %fs:0x20(%rsp), %rdx", "mov %fs:0x1000(%r12), %rdx",
    "mov %fs:(%rax,%rcx,1), %rdx", "mov %fs:(%rbx,%r9,2), %rdx", "mov %fs:(%r8,%rsi,4), %rdx", "mov %fs:(%r13,%r15,8), %rdx",
    "mov %fs:8(%rbp,%rdi,8), %rdx", "mov %fs:0x11223344(%r14,%r12,2), %rdx", "mov %fs:0x40(,%rcx,8), %rdx",
    "mov %fs:0x40(,%r12,4), %rdx", "mov %fs:(%ebx), %rdx", "mov %fs:8(%r9d,%ecx,2), %rdx", "mov %fs:-4(%r10d), %rdx")] + [
    Row("movabs %fs:0x80, %rax", load("rax", 8)), Row("movabs %fs:0x80, %eax", load("rax", 4)),
    Row("movabs %fs:0x80, %al", load("rax", 1)),
    Row("movabs %rax, %fs:0x80", to_mem(8, lambda m: m.r["rax"])),
    Row("movabs %ax, %fs:0x80", to_mem(2, lambda m: m.r["rax"])),
    Row(".byte 0x67, 0x64, 0xa1; .long 0x80", load("rax", 4), "%fs:0x80"),
    Row("mov %rdx, %fs:-0x18(%r11,%rax,4)", to_mem(8, lambda m: m.r["rdx"])),
]

PREFIXES = [
    Row(".byte 0x66, 0x64, 0x8b, 0x13", load("rdx", 2)), Row(".byte 0x64, 0x66, 0x8b, 0x13", load("rdx", 2)),
    Row(".byte 0x48, 0x64, 0x8b, 0x13", load("rdx", 4)), Row(".byte 0x4f, 0x64, 0x8b, 0x13", load("rdx", 4)),
    Row(".byte 0x65, 0x64, 0x8b, 0x13", load("rdx", 4)),
    Row(".byte 0x64, 0x64, 0x8b, 0x13", load("rdx", 4)), Row(".byte 0x2e, 0x64, 0x8b, 0x13", load("rdx", 4)),
    Row(".byte 0x64, 0x3e, 0x8b, 0x13", load("rdx", 4)), Row(".byte 0x64, 0x36, 0x4c, 0x8b, 0x2b", load("r13", 8)),
    Row(".byte 0x64, 0x67, 0x8b, 0x13", load("rdx", 4), "%fs:(%ebx)"),
    Row(".byte 0x67, 0x64, 0x8b, 0x13", load("rdx", 4), "%fs:(%ebx)"),
    Row(".byte 0xf0, 0x64, 0x48, 0xff, 0x03", to_mem(8, lambda m: m.v(8) + 1)),
    Row(".byte 0x64, 0xf0, 0x48, 0xff, 0x03", to_mem(8, lambda m: m.v(8) + 1)),
    Row(".byte 0xf2, 0x64, 0xf0, 0x48, 0xff, 0x03", to_mem(8, lambda m: m.v(8) + 1)),
    Row(".fill 12, 1, 0x2e; .byte 0x64, 0x8b, 0x13", load("rdx", 4)),
    Row(".byte 0x64, 0xf3, 0xa4", moved(1, 24), "%fs:(%rsi)", {"rcx": 24}),
    Row(".byte 0xf3, 0x64, 0xa4", moved(1, 24), "%fs:(%rsi)", {"rcx": 24}),
]

GENERAL = [
    Row("add %rdx, @", to_mem(8, lambda m: m.v(8) + m.r["rdx"])),
    Row("or %edx, @", to_mem(4, lambda m: m.v(4) | m.r["rdx"])),
    Row("adc %dx, @", to_mem(2, lambda m: m.v(2) + m.r["rdx"] + (m.flags & CARRY))),
    Row("sbb %dl, @", to_mem(1, lambda m: m.v(1) - m.r["rdx"] - (m.flags & CARRY))),
    Row("and @, %rdx", to_reg("rdx", 8, lambda m: m.v(8) & m.r["rdx"])),
    Row("sub @, %edx", to_reg("rdx", 4, lambda m: m.r["rdx"] - m.v(4))),
    Row("xor @, %dh", lambda m: {"rdx": m.r["rdx"] ^ m.v(1) << 8}),
    Row("cmp @, %rdx", lambda m: {}), Row("test %rdx, @", lambda m: {}),
    Row("addq $0x12, @", to_mem(8, lambda m: m.v(8) + 0x12)),
    Row("subl $0x12345678, @", to_mem(4, lambda m: m.v(4) - 0x12345678)),
    Row("movb $0x5a, @", to_mem(1, lambda m: 0x5a)), Row("movw $0x1234, @", to_mem(2, lambda m: 0x1234)),
    Row("movl $0x12345678, @", to_mem(4, lambda m: 0x12345678)), Row("movq $-2, @", to_mem(8, lambda m: -2)),
    Row("decb @", to_mem(1, lambda m: m.v(1) - 1)), Row("negl @", to_mem(4, lambda m: -m.v(4))),
    Row("notw @", to_mem(2, lambda m: ~m.v(2))),
    Row("testl $0x1234567, @", lambda m: {}), Row("testb $1, @", lambda m: {}),
    Row("xchg %rdx, @", exchanged),
    Row("cmpxchg %rdx, @", compared(8)),
    Row("cmpxchg %rdx, @", to_mem(8, lambda m: m.r["rdx"]), setup={"rax": 77, "mem": 77}),
    Row("lock cmpxchg %edx, @", compared(4)),
    Row("lock xadd %rdx, @", lambda m: {"mem": (m.v(8) + m.r["rdx"] & MASK).to_bytes(8, "little"), "rdx": m.v(8)}),
    Row("lock cmpxchg8b @", lambda m: {"rax": m.v(4), "rdx": m.v(4, 4)}),
    Row("lock cmpxchg16b @", lambda m: {"rax": m.v(8), "rdx": m.v(8, 8)}, needs="cx16"),
    Row("lock btsq $5, @", to_mem(8, lambda m: m.v(8) | 1 << 5)),
    Row("btcq %rdx, @", to_mem(8, lambda m: m.v(8) ^ 1 << 13), setup={"rdx": 13}),
    Row("mulq @", multiplied), Row("divq @", divided, setup={"rdx": 0, "mem": 12345}),
    Row("imul @, %rdx", to_reg("rdx", 8, lambda m: m.v(8) * m.r["rdx"])),
    Row("imul $100, @, %rdx", to_reg("rdx", 8, lambda m: m.v(8) * 100)),
    Row("imul $0x1234567, @, %edx", to_reg("rdx", 4, lambda m: m.v(4) * 0x1234567)),
    Row("shlq $3, @", to_mem(8, lambda m: m.v(8) << 3)),
    Row("rorl %cl, @", to_mem(4, lambda m: rotated_right(m.v(4), m.r["rcx"] & 31, 32))),
    Row("sarb @", to_mem(1, lambda m: m.s(1) >> 1)),
    Row("shld $5, %rdx, @", to_mem(8, lambda m: m.v(8) << 5 | m.r["rdx"] >> 59)),
    Row("setc @", to_mem(1, lambda m: m.flags & CARRY)),
    Row("cmovc @, %rdx", to_reg("rdx", 8, lambda m: m.v(8) if m.flags & CARRY else m.r["rdx"])),
    Row("movzbl @, %edx", extend("rdx", 1, 4, False)), Row("movzwq @, %rdx", extend("rdx", 2, 8, False)),
    Row("movsbq @, %rdx", extend("rdx", 1, 8, True)), Row("movswl @, %edx", extend("rdx", 2, 4, True)),
    Row("movslq @, %rdx", extend("rdx", 4, 8, True)),
    Row("bsfq @, %rdx", to_reg("rdx", 8, lambda m: (m.v(8) & -m.v(8)).bit_length() - 1)),
    Row("popcntq @, %rdx", to_reg("rdx", 8, lambda m: bin(m.v(8)).count("1")), needs="popcnt"),
    Row("movbeq @, %rdx", to_reg("rdx", 8, lambda m: int.from_bytes(m.memory[:8], "big")), needs="movbe"),
    Row("andn @, %rsi, %rdx", to_reg("rdx", 8, lambda m: ~m.r["rsi"] & m.v(8)), needs="bmi1"),
    Row("movnti %rdx, @", to_mem(8, lambda m: m.r["rdx"])),
    Row("pushq @", pushed), Row("popq @", lambda m: {"rsp": m.r["rsp"] + 8, "mem": m.r["top"].to_bytes(8, "little")}),
    Row("jmp *@", lambda m: {"rip": SLOT}, setup={"mem": -1}),
    Row("call *@", lambda m: {"rip": SLOT, "rsp": m.r["rsp"] - 8}, setup={"mem": -1}),
    Row("movsq %fs:(%rsi), %es:(%rdi)", moved(8)), Row("movsw %fs:(%rsi), %es:(%rdi)", moved(2)),
    Row("lodsl %fs:(%rsi), %eax", lambda m: {"rax": m.v(4), "rsi": m.r["rsi"] + 4 & MASK}),
    Row("cmpsb %es:(%rdi), %fs:(%rsi)", lambda m: {"rsi": m.r["rsi"] + 1 & MASK, "rdi": m.r["rdi"] + 1}),
    Row("xlat %fs:(%rbx)", to_reg("rax", 1, lambda m: m.v(1, 7)), "%fs:(%rbx)", {"rax": 7}),
]

VECTORS = [
    Row("movaps @, %xmm1", lambda m: {"xmm1": m.v(16)}), Row("movdqu @, %xmm1", lambda m: {"xmm1": m.v(16)}),
    Row("movups %xmm1, @", to_mem(16, lambda m: m.xmm[1])), Row("movntdq %xmm9, @", to_mem(16, lambda m: m.xmm[9])),
    Row("paddd @, %xmm1", lambda m: {"xmm1": lanes(m.xmm[1], m.v(16), 32, int.__add__)}),
    Row("pxor @, %xmm12", lambda m: {"xmm12": m.xmm[12] ^ m.v(16)}),
    Row("pshufd $0x1b, @, %xmm1", lambda m: {"xmm1": shuffled(m.v(16), 0x1b, 32)}),
    Row("movq @, %xmm1", lambda m: {"xmm1": m.v(8)}), Row("movd @, %xmm1", lambda m: {"xmm1": m.v(4)}),
    Row("movhps @, %xmm1", lambda m: {"xmm1": m.v(8) << 64 | m.xmm[1] & MASK}),
    Row("pinsrw $3, @, %xmm1", lambda m: {"xmm1": m.xmm[1] & ~(0xffff << 48) | m.v(2) << 48}),
    Row("pshufb @, %xmm1", shuffle_bytes, needs="ssse3"),
    Row("palignr $4, @, %xmm1", lambda m: {"xmm1": (m.xmm[1] << 128 | m.v(16)) >> 32 & (1 << 128) - 1}, needs="ssse3"),
    Row("pextrq $1, %xmm1, @", to_mem(8, lambda m: m.xmm[1] >> 64), needs="sse4_1"),
    Row(".byte 0x64, 0x66, 0x0f, 0xf7, 0xd1", masked_bytes, "%fs:(%rdi)"),
    Row("cvtsi2sdq @, %xmm1", lambda m: {"float": True}), Row("addps @, %xmm1", lambda m: {"float": True}),
    Row("ldmxcsr @", lambda m: {"float": True}, setup={"mem": 0x9fc0}),
    Row("stmxcsr @", to_mem(4, lambda m: m.mxcsr)),
    Row("fildq @", lambda m: {"float": True}), Row("fldl @", lambda m: {"float": True}),
    Row("fldcw @", lambda m: {"float": True}, setup={"mem": 0x27f}), Row("fnstcw @", to_mem(2, lambda m: 0x37f)),
    Row("vmovups @, %ymm1", lambda m: {"ymm1": m.v(32)}, needs="avx"),
    Row("vmovups %ymm11, @", to_mem(32, lambda m: m.ymm[11]), needs="avx"),
    Row("vmovups %fs:8(%r12,%rax,2), %xmm9", lambda m: {"ymm9": m.v(16)}, needs="avx"),
    Row("vpaddq @, %ymm2, %ymm1", lambda m: {"ymm1": lanes(m.ymm[2], m.v(32), 64, int.__add__)}, needs="avx2"),
    Row("vpermq $0x1b, @, %ymm1", lambda m: {"ymm1": shuffled(m.v(32), 0x1b, 64)}, needs="avx2"),
    Row("vmovdqu64 %fs:0x40(%rbx), %xmm3", lambda m: {"ymm3": m.v(16)}, needs="avx512vl"),
    Row("{evex} vmovdqu64 %fs:0x40(%r13), %xmm3", lambda m: {"ymm3": m.v(16)}, needs="avx512vl"),
]

ROWS = [*FORMS, *PREFIXES, *GENERAL, *VECTORS]

# An fs prefix without a meaning: these never fault by it, and must stay as they are.
WITHOUT_MEANING = [
    Row("lea %fs:8(%rbx), %rdx", lambda m: {"rdx": m.r["rbx"] + 8 & MASK}),
    Row(".byte 0x64, 0xaa", lambda m: {"other": bytes([m.r["rax"] & 0xff]), "rdi": m.r["rdi"] + 1}),
    Row(".byte 0x64, 0x90", lambda m: {}),
    Row(".byte 0x64, 0x48, 0x89, 0xca", lambda m: {"rdx": m.r["rcx"]}),
    Row(".byte 0x64, 0x65, 0x48, 0x8b, 0x13", load("rdx", 8)),
]


def assembled(rows, folder):
    """The machine code of each row."""
    source = "".join(f".balign {SLOT}, 0xcc\n{row.asm}\n.byte 0xf1\n" for row in rows)
    (folder / "rows.s").write_text(source + f".balign {SLOT}, 0xcc\n")
    subprocess.run(["as", "-o", folder / "rows.o", folder / "rows.s"], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "rows.o", folder / "rows.bin"], check=True)
    code = (folder / "rows.bin").read_bytes()
    # 0xf1 ends each one, and 0xcc fills the rest of its slot.
    return [code[at:at + SLOT].rstrip(b"\xcc")[:-1] for at in range(0, SLOT * len(rows), SLOT)]

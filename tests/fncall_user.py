"""A user of FNCALL's that a debugger plays: one instruction at a time, with all of the CPU's state at random."""

import collections
import itertools
import pathlib
import random
import re
import signal
import struct

from fs_encodings import MASK, OPERAND, REGISTERS, ROWS, SLOT, State
from ringside.costs.tracee import INT3, Tracee
from test_fncall import context_at, flags

FNCALL = "--fs-is-not-mine"
FS, GS = 0x64, 0x65
PREFIXES = {FS, GS, 0x2e, 0x36, 0x3e, 0x26, 0x66, 0x67, 0xf0, 0xf2, 0xf3}
CF, TRAP_REFUSED = 1, 0x101
TLS_BYTES, STACK_BYTES = 64, 512    # of struct player: its TLS and what is behind it
STACK = TLS_BYTES                   # from the TLS on
OTHER = STACK + 0x100               # what rdi points at
TOP = STACK + STACK_BYTES - 64
RETURN_ADDRESS = 24 + 7 * 8         # SAVED_RFLAGS, the flags and six registers
CODE_OFFSET = 96                    # in proc_many's 256 instructions
PLACES = [STACK, STACK + 0x40, STACK + 0x80]
SYS_MMAP, SYS_MUNMAP, SYS_SIGACTION, SYS_KILL = 9, 11, 13, 62
PAGE = 4096
XMM_AT, YMM_AT, ST_AT, MXCSR_AT = 160, 576, 32, 24   # in xsave's standard layout
COMPONENTS_AT, X87, SSE, AVX = 512, 1, 2, 4
CPU_INFO = pathlib.Path("/proc/cpuinfo")
CPU_FLAGS = set("".join(re.findall(r"^flags\s*:(.*)", CPU_INFO.read_text() if CPU_INFO.exists() else "", re.M)[:1]).split())
HERE = [row for row in ROWS if not row.needs or row.needs in CPU_FLAGS]

Counts = collections.namedtuple("Counts", "faults rewritten late")


class User(Tracee):
    """The program, stopped where its first user begins, which the debugger plays."""

    def __init__(self, program, *arguments):
        super().__init__(program, "--user=many", *arguments, delivers={signal.SIGSEGV, signal.SIGILL, signal.SIGFPE})
        self.run_to("proc_many")
        self.tls = self.registers()["gs_base" if FNCALL in arguments else "fs_base"]
        self.code = self.place("proc_many") + CODE_OFFSET
        self.really = self.registers()
        self.extended_really = self.extended()
        stack, = self.words(self.tls + 8, 1)            # TLS_STACK: run_fncall's
        self.c, = self.words(stack + RETURN_ADDRESS, 1)

    def counts(self):
        return Counts(*self.words("rewritten", 3))

    def code_in_file(self):
        """Where proc_many stands in the program's file: as far as in memory, since its parts are laid out so."""
        return self.place("proc_many") - self.base

    def declare(self, start, end, fixed=0):
        """As declare_code, one more."""
        number = struct.unpack("<I", self.read("declared", 4))[0]
        self.write(self.place("codes") + 24 * number, struct.pack("<QQQ", start, end, fixed))
        self.write("declared", struct.pack("<I", number + 1))

    def play(self, code, registers, at=None, end=None):
        """Runs these bytes to the byte behind them."""
        at = at or self.code
        self.write(at, code + INT3 * (SLOT - len(code)) + INT3)
        self.set(**{**self.really, **registers, "rip": at, "orig_rax": MASK})
        self.run_to(end or at + len(code))

    def until_it_traps(self, code, registers):
        """Runs bytes that end in a trap; the context that C gets."""
        self.write(self.code, code)
        self.set(**{**self.really, **registers, "rip": self.code, "orig_rax": MASK})
        self.run_to(self.c)
        return context_at(self, self.place("game"))


# ---- one instruction: what it finds, what it leaves, and what its model says

def drawn(row, source):
    """What an instruction finds: registers at random, but for those that lead to its operand."""
    displacement, base, index, scale, narrow = row.address
    kept = {**{name: source.getrandbits(64) for name in REGISTERS}, "rcx": source.getrandbits(64), "rsp": TOP, **row.setup}
    kept.pop("mem", None)
    place = displacement if not base and not index else source.choice(PLACES)
    if index and not base:
        kept[index] = (place - displacement) // scale % (1 << 64)
    elif index:
        kept[base] = place - displacement - kept[index] * scale & MASK
    elif base:
        kept[base] = place - displacement & MASK
    if narrow and base:     # the address has 32 bits, whatever the registers' upper halves are
        kept[base] = kept[base] & 0xffffffff | source.getrandbits(31) + 1 << 32
    return kept, place


def laid_out(user, row, source_seed):
    """Puts all that into the program; the State for the model."""
    source = random.Random(source_seed)
    registers, place = drawn(row, source)
    memory, other = source.randbytes(OPERAND), source.randbytes(OPERAND)
    if "mem" in row.setup:
        number = user.code + SLOT if row.setup["mem"] == -1 else row.setup["mem"]
        memory = number.to_bytes(8, "little") + memory[8:]
    top = source.getrandbits(64)
    extended = bytearray(user.extended_really)
    extended[COMPONENTS_AT] |= X87 | SSE | (AVX if "avx" in CPU_FLAGS else 0)
    extended[XMM_AT:XMM_AT + 256] = source.randbytes(256)
    if "avx" in CPU_FLAGS:
        extended[YMM_AT:YMM_AT + 256] = source.randbytes(256)
    if "addps" in row.text:             # numbers, lest an exception pend
        extended[XMM_AT:XMM_AT + 256] = struct.pack("<64f", *(source.uniform(-9, 9) for _ in range(64)))
    if "vaddps" in row.text or "addps" in row.text or "fldl" in row.text:
        memory = struct.pack("<16f", *(source.uniform(-9, 9) for _ in range(16)))
    for at in range(8):                 # x87: eight numbers of 80 bits, none of them special
        extended[ST_AT + 16 * at:ST_AT + 16 * at + 10] = source.randbytes(7) + b"\x80" + b"\x3f\x3f"
    user.write(user.tls + STACK, bytes(STACK_BYTES))
    user.write(user.tls + OTHER, other)
    user.write(user.tls + place, memory)
    user.write(user.tls + TOP, top.to_bytes(8, "little"))
    user.set_extended(extended)
    xmm = [int.from_bytes(extended[XMM_AT + 16 * n:XMM_AT + 16 * n + 16], "little") for n in range(16)]
    ymm = [xmm[n] | int.from_bytes(extended[YMM_AT + 16 * n:YMM_AT + 16 * n + 16], "little") << 128 for n in range(16)]
    registers["rsp"] = registers["rsp"] if "%rsp" in row.asm and row.operand != "%fs:(%rbx)" or "(%rsp)" in row.asm \
        else user.tls + TOP
    if "rdi" not in (row.address[1], row.address[2]):
        registers["rdi"] = user.tls + OTHER
    loaded = flags(source) & ~0x40400   # neither DF nor AC
    state = State({**registers, "top": top}, place, memory, other, xmm, ymm, loaded, user.code)
    return state, {**registers, "eflags": loaded | 0x202}, bytes(extended)


def seen(user, state):
    """All that there is afterwards."""
    registers, extended = user.registers(), user.extended()
    return {"registers": {name: registers[name] for name in REGISTERS}, "eflags": registers["eflags"],
            "mem": user.read(user.tls + state.ea, OPERAND), "other": user.read(user.tls + OTHER, OPERAND), "extended": extended,
            "rip": registers["rip"] - user.code}


def foretold(row, state, code, extended):
    """What the model says that there is."""
    changes = row.model(state)
    wanted = {"registers": {name: changes.get(name, state.r[name]) & MASK for name in REGISTERS},
              "mem": changes.get("mem", b"") + state.memory[len(changes.get("mem", b"")):],
              "other": changes.get("other", b"") + state.other[len(changes.get("other", b"")):],
              "rip": changes.get("rip", len(code))}
    vectors = list(state.ymm)
    for name, value in changes.items():
        if name.startswith("xmm"):
            vectors[int(name[3:])] = vectors[int(name[3:])] >> 128 << 128 | value
        elif name.startswith("ymm"):
            vectors[int(name[3:])] = value
    low = b"".join((one & (1 << 128) - 1).to_bytes(16, "little") for one in vectors)
    high = b"".join((one >> 128).to_bytes(16, "little") for one in vectors)
    return wanted, None if "float" in changes else (low, high)


def vectors_of(extended):
    return extended[XMM_AT:XMM_AT + 256], extended[YMM_AT:YMM_AT + 256] if "avx" in CPU_FLAGS else None


def only_numbers(extended):
    """Without the addresses of x87's last instruction, which a CPU may keep or not."""
    return extended[:8] + extended[24:28] + extended[ST_AT:ST_AT + 128] + b"".join(part or b"" for part in vectors_of(extended))


def run_row(user, row, code, seed, write=True):
    state, registers, extended = laid_out(user, row, seed)
    if not write:
        code = user.read(user.code, len(code))
    end = user.code + row.model(state).get("rip", len(code))
    user.play(code, registers, end=end)
    return state, seen(user, state), extended


def agree(row, state, after, code, extended):
    wanted, vectors = foretold(row, state, code, extended)
    assert {key: after[key] for key in wanted} == wanted
    if vectors:
        low, high = vectors_of(after["extended"])
        assert low == vectors[0] and (high is None or high == vectors[1])


def override_of(code):
    """Where the prefix stands: the last fs or gs among the prefixes."""
    prefixes = itertools.takewhile(lambda pair: pair[1] in PREFIXES or 0x40 <= pair[1] < 0x50, enumerate(code))
    return [at for at, byte in prefixes if byte in (FS, GS)][-1]

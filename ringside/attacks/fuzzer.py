"""Code made up at random, of instructions that no table has thought of.

    random_codes(program, seed, count)
"""

import random

from ringside.attacks.assembler import Code, assembled, layout, padded
from ringside.attacks.attack import Attack, ON


INT_30 = b"\xcd\x30"
SYSENTER = bytes.fromhex("89e1 e800000000 5a 83c206 0f34")   # mov %esp, %ecx; edx: behind it, by call and pop; sysenter


class Values(random.Random):
    """Random numbers, and a program that they are for."""

    def __init__(self, seed, program):
        super().__init__(seed)
        words = {**program.selectors(), **layout(program)}
        code, data = words["A_CODE"], words["A_DATA"]
        screen = words.get("A_SCREEN", data)
        self.code_bytes = words["CODE_BYTES"]
        self.selectors = words["BEYOND_GDT"] + 16
        self.own = (0, 3, code - 3, code, data - 3, data, data, data, screen - 3, screen, screen,
                    *(words[name] for name in program.writable[2:]))
        self.stacks = data, data, screen
        self.ticks = program.ticks
        self.data = words["SCRATCH"] if program.pages else 0    # what is near begins there
        self.door = INT_30
        if program.gates:
            self.door = b"\x6a\x01\x9a" + _word(0) + words[program.gates[0]].to_bytes(2, "little")    # push, lcall
        elif "sysenter" in program.yields:
            self.door = SYSENTER


def random_code(values, size):
    """Bytes at random; or instructions that attackers like, with operands at random."""
    code = b""
    if values.random() < 0.4:
        code = values.randbytes(size)
    while len(code) < size:
        pieces = WILD if values.random() < 0.25 else MILD
        code += values.choice(pieces)(values)
    return code[:size]


def _word(number):
    return (number & 0xffffffff).to_bytes(4, "little")


def _own(values):
    return values.choice(values.own)


def _any(values):
    return values.choice((values.randrange(values.selectors), values.randrange(values.selectors), values.randrange(0x10000)))


def _near(values):
    return values.data + values.randrange(0x80)


def _far(values):
    return values.choice((values.randrange(values.code_bytes), values.randrange(0x300), values.getrandbits(32)))


def _flags(values):
    return values.getrandbits(22) & (~0 if values.random() < 0.1 else ~0x100)  # TF would end most codes


def _one_of(*hexadecimal):
    return lambda values: bytes.fromhex(values.choice(hexadecimal))


def _mov_to_segment(selector, registers):
    return lambda values: b"\xb8" + _word(selector(values)) + bytes([0x8e, 0xc0 | values.choice(registers) << 3])


def _away(values):
    """Its door; or WAIT for a while, so that a tick comes there, or within what follows."""
    return b"\xb9" + _word(values.randrange(0x3000)) + b"\xe2\xfe" if values.ticks else values.door


# Instructions that mostly go well, and leave things in a state that ring 0 must bear.
MILD = (
    _away,
    _one_of("cc", "ce", "fd", "fc", "9c", "50", "53", "60", "40", "f7d8", "31c0", "f9"),
    lambda values: b"\x68" + _word(_flags(values)) + b"\x9d",                       # push, popf
    _mov_to_segment(_own, (0, 3, 4, 5)),                                            # es, ds, fs, gs
    _mov_to_segment(lambda values: values.choice(values.stacks), (2,)),        # ss
    lambda values: b"\xbc" + _word(values.choice((_near, _near, _far))(values)),    # mov to esp
    lambda values: bytes([0xb8 | values.choice((0, 1, 2, 3, 5, 6, 7))]) + _word(_near(values)),
    lambda values: b"\xa3" + _word(_near(values)),
    lambda values: b"\xa1" + _word(_near(values)),
    lambda values: b"\x65\xa3" + _word(_near(values)),
    lambda values: values.choice((b"\xeb", b"\x74", b"\x75")) + bytes([values.randrange(12)]),
    _one_of("0f01050a000000", "0f010d0a000000", "0f00c8", "0f00c0", "0f01e0", "0f31"),    # sgdt ... rdtsc
)

# Instructions that mostly do not.
WILD = (
    lambda values: values.randbytes(values.randrange(1, 6)),
    lambda values: b"\xcd" + values.randbytes(1),
    _one_of("f1", "9d", "61", "c9", "58", "07", "17", "1f", "c3", "cb", "cf"),
    _mov_to_segment(_any, range(6)),
    lambda values: b"\x68" + _word(_any(values)) + bytes.fromhex(values.choice(("07", "17", "1f", "0fa1", "0fa9"))),
    lambda values: values.choice((b"\xea", b"\x9a")) + _word(_far(values)) + _own(values).to_bytes(2, "little"),
    lambda values: values.choice((b"\xea", b"\x9a")) + _word(_far(values)) + _any(values).to_bytes(2, "little"),
    lambda values: b"\x68" + _word(_own(values)) + b"\x68" + _word(_near(values)) + b"\xcb",     # lret
    lambda values: b"\x68" + _word(_any(values)) + b"\x68" + _word(_far(values)) + b"\xcb",
    lambda values: (b"\x68" + _word(_flags(values)) + b"\x68" + _word(_own(values)) + b"\x68"
                    + _word(_near(values)) + b"\xcf"),                                          # iret
    lambda values: bytes([values.choice((0xf0, 0x66, 0x67, 0x2e, 0x65, 0xf2, 0xf3))]) * values.randrange(1, 16),
    _one_of("f3a4", "a5", "f3aa", "ab", "f3ac", "6c", "6e", "f3a6"),
    lambda values: values.choice((b"\xeb", b"\x74", b"\xe2")) + values.randbytes(1),
    lambda values: b"\x0f" + values.randbytes(3),
    lambda values: b"\xa3" + _word(_far(values)),
    lambda values: b"\xa1" + _word(_far(values)),
)


def random_codes(program, seed, count):
    values = Values(seed, program)
    front, = assembled(program, [Attack("", "nop", ON)])
    front = front.data[:front.begin]
    return [Code(padded(program, front + random_code(values, values.code_bytes - len(front))), 0, 0, 0)
            for _ in range(count)]

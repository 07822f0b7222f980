"""What an attack is, and what is expected of it.

An attack is assembly for proc A, which starts there as a proc of P_PROC starts: with only its
own segments in the segment registers, an empty stack, and zero everywhere else. The rest of its
code segment is ud2. So an attack that the CPU allows, or that has no effect, "goes on" to #UD
right behind its last instruction. What it can find out by itself it finds out before that, and
it executes hlt to say that something was wrong.

In a bent attack A only yields, and a debugger changes words of its frame, or of the tables,
while B runs.

Expected is what Intel's manual says, and what Bochs does; where QEMU does something else, the
attack says what, and why. (Where code ends: 8. Where the exception is: 9, by default at the
last instruction. Where the code begins: 7, an offset; its address is CODE_AT more.) Numbers that are not the same in every
program are written as its names for them: "A_DATA", "CODE_BYTES + 8".
"""

import dataclasses
from typing import NamedTuple

from ringside.emulators import versions
from ringside.recorder import programs


class Named(NamedTuple):
    """An exception or interrupt, in the log and on the screen."""
    name: str
    title: str


EXCEPTIONS = {
    0: Named("#DE", "divide error"),
    1: Named("#DB", "debug exception"),
    3: Named("#BP", "breakpoint"),
    4: Named("#OF", "overflow"),
    5: Named("#BR", "bound range exceeded"),
    6: Named("#UD", "invalid opcode"),
    7: Named("#NM", "device not available"),
    10: Named("#TS", "invalid TSS"),
    11: Named("#NP", "segment not present"),
    12: Named("#SS", "stack fault"),
    13: Named("#GP", "general protection"),
    14: Named("#PF", "page fault"),
    0x20: Named("IRQ0", "the alarm"),
}
TS, NP, SS, GP_VECTOR, PF = 10, 11, 12, 13, 14
HERE, END, BEGIN = "here", "end", "begin"


@dataclasses.dataclass(frozen=True)
class Expected:
    """How A ends. at: its eip: a number, HERE, END, BEGIN, None for anywhere."""
    vector: int | None      # None: it does not, but plays on
    error: object = 0       # None: whichever
    at: object = HERE
    restoring: bool = False
    traps: tuple = ()       # vectors that it gets past before
    stray: str = ""         # what ring 0 has counted besides: "nmi", "spurious"
    cr2: object = None      # of a page fault
    told: str = ""          # the first words of lines that ring 0 writes besides: "page", "say", "refused"

    def __str__(self):
        name = EXCEPTIONS[self.vector].name if self.vector is not None else "plays on"
        error = "any" if self.error is None else f"{self.error:04x}"
        text = f"{name}({error})" if self.vector in (TS, NP, SS, GP_VECTOR, PF) else name
        text += f" {self.cr2:08x}" if self.cr2 is not None else ""
        if (self.vector, self.at) == (6, END):
            text = "goes on"
        return ("".join(f"trap {vector:02x}, " for vector in self.traps) + (self.stray and self.stray + ", ")
                + (self.told and self.told + ", ") + text + (", restore" if self.restoring else ""))


class Bytes(NamedTuple):
    """Some of the bytes at a name, or in the descriptor of a segment, of the program."""
    name: str
    offset: int
    size: int


# Those bytes, or a word of A's frame by its name; and the value they get, a number or names of the program.
Changes = dict[Bytes | str, int | str]


@dataclasses.dataclass(frozen=True)
class Attack:
    name: str
    code: str
    expected: Expected
    qemu: Expected | None = None    # what QEMU does instead
    why: str = ""
    made: Changes = dataclasses.field(default_factory=dict)     # what is changed before
    bent: Changes = dataclasses.field(default_factory=dict)     # while B runs
    harmful: bool = False           # not to be run in QEMU, where it would break the guest: `why` says how
    left_out: str = ""              # not to be run at all: the reason

    def on(self, emulator):
        """What is expected of it in an emulator."""
        return self.qemu if emulator == "qemu" and self.qemu else self.expected


def if_it_holds(row, qemu):
    """What QEMU does instead, and why, in the versions for which that row of versions.py holds."""
    return (qemu, versions.row(row).reason) if versions.holds(row) else ()


def gp(error=0, **more):
    return Expected(GP_VECTOR, error, **more)


PRESENT, WRITE, USER = 1, 2, 4      # in a page fault's error code


def pf(error, cr2, at=HERE, **more):
    return Expected(PF, error, at, cr2=cr2, **more)


def refused(vector, error, at=HERE):
    """What the CPU does not give back to A."""
    return Expected(vector, error, at, restoring=True)


def means(program, vector, error):
    """An error code in words (Intel, volume 3, sections 6.13 and 4.7)."""
    if vector == PF:
        return ", ".join(["write" if error & WRITE else "read", "ring 3" if error & USER else "ring 0",
                          "present" if error & PRESENT else "absent"])
    if vector not in (TS, NP, SS, GP_VECTOR):
        return ""
    selector = error & 0xfffc
    if error & 2:
        text = f"IDT 0x{selector >> 3:02x}"
    elif selector:
        selectors = program.selectors()
        names = {selectors[name] & ~3: name for name in (*programs.RING0_SEGMENTS, *program.segments)}
        name = names.get(selector)
        digits = 2 if selector < 0x100 else 4
        text = f"{'LDT' if selector & 4 else 'GDT'} 0x{selector:0{digits}x}" + (f" ({name})" if name else "")
    else:
        text = "no selector"
    return text + (" EXT" if error & 1 else "")


ON = Expected(6, 0, END)
GP, UD, DE, NM, DB, BR = gp(), Expected(6), Expected(0), Expected(7), Expected(1), Expected(5)
STACK = Expected(SS)
ALARM = Expected(0x20, at=None)

BEYOND = Expected(6, 0, "CODE_BYTES + 8")

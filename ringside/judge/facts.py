"""What the model demands and finds: exceptions, facts, and numbers by which rules can be told.

    Fault       the exception that there is instead of an instruction
    Stuck       the model cannot go on
    Shutdown    nor can the CPU
    Fact        a rule, and whether it holds
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

from ringside.judge.rules import RULES

ALL = (1 << 64) - 1
CF, PF, AF, ZF, SF, TF, IF, DF, OF = (1 << bit for bit in (0, 2, 4, 6, 7, 8, 9, 10, 11))
IOPL, NT, RF, VM, AC, VIF, VIP, ID = 3 << 12, 1 << 14, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21
FREE = CF | PF | AF | ZF | SF | TF | DF | OF | NT | AC | ID  # flags that any ring may change
PE, MP, EM, TS, ET = (1 << bit for bit in range(5))  # cr0
AM = 1 << 18  # cr0
BIG = 0x4000  # attributes: D/B, a 32-bit segment
EXPANDS_DOWN = 0x04     # in the type of data
ACCESSED, BUSY = 1 << 40, 1 << 41  # in a descriptor
HIDDEN = ("base", "limit", "type", "dpl", "attributes")

EXCEPTIONS = {0: "#DE", 1: "#DB", 3: "#BP", 4: "#OF", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
              11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 17: "#AC"}
DE, DB, BP, OVERFLOW, UD, NM, DOUBLE_FAULT, INVALID_TSS, NP, SS, GP, PAGE_FAULT, ALIGNMENT = EXCEPTIONS
CONTRIBUTORY = DE, INVALID_TSS, NP, SS, GP


Part = tuple[int, str]      # bits of a number, and the rule that says what they are
Parts = Sequence[Part]      # the first that has a bit counts


class Fault(Exception):
    """The instruction does not happen; this exception does."""

    def __init__(self, vector: int, error: int | None = None, address: int | None = None, span: int = 1) -> None:
        """address: for cr2; span: of so many bytes there, it is not laid down which is accessed first."""
        super().__init__(vector, error)
        self.vector, self.error, self.address, self.span = vector, error, address, span
        self.believed = 0   # bits of the error code that were taken from what has happened

    def __str__(self) -> str:
        return EXCEPTIONS[self.vector] + ("" if self.error is None else f"({self.error:04x})")


class Stuck(Exception):
    """The model cannot go on: by which rule, and what is missing. Without a rule it need not."""

    def __init__(self, rule: str = "", what: str = "") -> None:
        super().__init__(rule, what)
        self.rule, self.what = rule, what


class Shutdown(Exception):
    """A third exception: the CPU stops, and a PC resets it."""


@dataclasses.dataclass(slots=True)
class Fact:
    rule: str
    field: str = ""         # of the state after; or what was read or written; or why it holds
    expected: object = True
    found: object = True

    def holds(self) -> bool:
        return self.expected == self.found

    def __str__(self) -> str:
        place, sentence = RULES[self.rule]
        return f"{self.rule}: {self.values()}\n    {sentence}\n    ({place})"

    def values(self) -> str:
        if not self.holds():
            return f"{self.field}: expected {show(self.expected)}, found {show(self.found)}"
        return self.field + ("" if self.found is True else f": {show(self.found)}")


def show(value: Any) -> str:
    return f"{value:#x}" if type(value) is int else str(value)


# ---- demands --------------------------------------------------------------------------

class Bound(NamedTuple):
    """A number that is just good enough."""
    rule: str               # "": of the next demand
    field: str              # of the state before
    mask: int
    wrong: int              # in these bits, it would change the model's mind


class Read(NamedTuple):
    """Memory that the CPU reads."""
    linear: int
    size: int
    room: int               # so many bytes may be read there
    value: int
    rule: str
    must: bool              # else it may


class Write(NamedTuple):
    """A word that the CPU pushes or saves."""
    linear: int
    size: int
    value: int
    parts: Parts


class Mark(NamedTuple):
    """A descriptor whose accessed or busy bit changes."""
    linear: int
    value: int
    rule: str


class Expected(NamedTuple):
    """A number of the state after."""
    value: int
    parts: list[Part]

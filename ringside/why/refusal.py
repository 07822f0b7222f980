"""A check of the CPU that failed, and how to say so."""

import dataclasses

from ringside.why import words
from ringside.why.log import name
from ringside.why.machine import Descriptor, Machine, Unmapped


@dataclasses.dataclass
class Refusal:
    """What is wrong, with its numbers; the exception for it; and the bytes that decide."""
    key: str
    says: str
    vector: int
    error: int
    place: str = ""
    bytes: list[str] = dataclasses.field(default_factory=list)
    fix: str = ""
    certain: bool = True    # else the word is known, but not which of its checks failed

    def __str__(self) -> str:
        """With the exception in front."""
        return f"{name(self.vector, self.error)}: {self.says}"


class Refused(Exception):
    """The walk of the pseudo-code ends here."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def refuse(key: str, says: str, vector: int, error: int, place: str, evidence: list[str], fix: str = "") -> Refused:
    """A Refused, to be raised."""
    return Refused(Refusal(key, says, vector, error, place, evidence, fix))


def described(selector: int, descriptor: Descriptor) -> str:
    """A line of evidence: a descriptor with its place."""
    return f"{words.entry(selector)} at {descriptor.at:08x} = {words.spell(descriptor)}"


def descriptor_of(machine: Machine, selector: int, who: str, key: str, vector: int, place: str, external: int = 0) -> Descriptor:
    """The descriptor of a selector that must lie within its table. who: "TSS.ss0 = 0010"."""
    table, base, limit = machine.table(selector)
    error = selector & ~3 | external
    try:
        found = machine.descriptor(selector)
    except Unmapped as hole:
        raise refuse(f"{table.lower()}-unmapped", f"{who}: its descriptor cannot be read: {table}R.base = {base:08x} is not "
                     "mapped",
                     14, 0, "vol. 3A, 2.4.1", [f"{table}R: base {base:08x}, limit {limit:04x}", str(hole)],
                     f"load {table}R with the linear address by which the table is mapped in every address space") from None
    if found is None:
        says = (f"{who} is entry {selector >> 3} of the {table}, beyond its limit: it would end at {selector | 7:#x}, "
                + (f"{table}R's limit is {limit:#x}" if limit >= 0 else "and there is no LDT"))
        raise refuse(f"{key}-limit", says, vector, error, place, [f"{table}R: base {base:08x}, limit {limit & 0xFFFFFFFF:04x}"],
                     f"make {table}R's limit the table's size in bytes minus 1, or mend the selector")
    return found

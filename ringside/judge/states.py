"""Recorded states with a name for each number, and what they tell of memory.

    flat(state)      {"eax": ..., "cs.base": ..., "gdt.1": ..., "stack.0": ...}
    Layout           where the memory lies that a recording holds
    Memory           what a state tells of it
"""

from collections.abc import Callable, Iterable, Iterator
import itertools
from typing import Any, NamedTuple

from ringside.recorder.recording import Access, Recording, State

Values = dict[str, int]     # a state, flat
GATES = [f"idt.{vector}" for vector in range(256)]


def flat(state: State) -> Values:
    """A recorded state with a name for each number."""
    return {name: value for key in state for name, value in parts(key, state[key]).items()}


def parts(key: str, value: Any) -> Values:
    """An entry of a recorded state, likewise."""
    if type(value) is int:
        return {key: value}
    if type(value) is list:
        return {f"{key}.{i}": int(row, 16) for i, row in enumerate(value)}
    if key == "pages":
        return {f"pages.{physical}": entry for physical, entry in value.items()}
    if key == "frames":
        return {f"frames.{letter}.{i}": word for letter, words in value.items() for i, word in enumerate(words)}
    if key == "stack":
        return {"stack.linear": value["linear"], **{f"stack.{i}": word for i, word in enumerate(value["words"])}}
    return {f"{key}.{name}": number for name, number in value.items()}


class Region(NamedTuple):
    """Words in memory, one behind the other, each with a name."""
    start: int              # linear address
    unit: int               # bytes of a word
    fields: list[str]


class Layout:
    """Where the memory lies that a recording holds."""

    def __init__(self, made: Recording) -> None:
        def place(symbol: str) -> int:
            return int(made["base"] + made["symbols"][symbol])

        state = made["state"]
        self.emulator = made["emulator"]
        self.idt = [f"idt.{i}" for i in range(len(state["idt"]))]
        self.of_any_kernel = "crossings" in made    # its tables are where the CPU's registers say
        self.fixed = () if self.of_any_kernel else (
            Region(place("gdt"), 8, [f"gdt.{i}" for i in range(len(state["gdt"]))]),
            Region(place("idt"), 8, self.idt),
            Region(place("tss") + 4, 4, ["tss.esp0", "tss.ss0"]),
            *(Region(made["base"] + frame["offset"], 4, [f"frames.{letter}.{i}" for i in range(len(frame["words"]))])
              for letter, frame in made["frames"].items()),
        )
        self.stack_words = [f"stack.{i}" for i in range(len(state["stack"]["words"]))]

    def movable(self, values: Values) -> tuple[Region, ...]:
        """The LDT that is in use, and the words around ss:esp; of any kernel, all tables."""
        found = (Region(values["ldtr.base"], 8, self._rows(values, "ldt", values["ldtr.limit"])),
                 Region(values["stack.linear"], 4, self.stack_words))
        if not self.of_any_kernel:
            return found
        return (Region(values["gdtr.base"], 8, self._rows(values, "gdt", values["gdtr.limit"])),
                Region(values["idtr.base"], 8, self._rows(values, "idt", values["idtr.limit"])),
                Region(values["tr.base"] + 4, 4, ["tss.esp0", "tss.ss0"]), *found)

    @staticmethod
    def _rows(values: Values, table: str, limit: int) -> list[str]:
        rows = itertools.takewhile(values.__contains__, map((table + ".{}").format, itertools.count()))
        return [*itertools.islice(rows, (limit + 1) // 8)]

    def regions(self, values: Values) -> tuple[Region, ...]:
        return *self.fixed, *self.movable(values)


class Piece(NamedTuple):
    """The words of a region that have certain bytes."""
    fields: list[str]
    unit: int               # bytes of a word
    skip: int               # bytes of the first word, up to those


class Memory:
    """What a state tells of memory. translate: to physical addresses, None if that is not known."""

    def __init__(self, layout: Layout, values: Values, translate: Callable[[int], int | None] = lambda linear: None) -> None:
        self.values, self.regions, self.fixed, self.translate = values, layout.regions(values), layout.fixed, translate

    def words(self, linear: int, size: int) -> Iterator[Piece]:
        """The words that have these bytes, in each region that does. Pages may show the program's memory at
        another address as well."""
        found = False
        for piece in self._words(self.regions, linear, size):
            found = True
            yield piece
        physical = None if found else self.translate(linear)
        if physical is not None and physical != linear:
            same = (region for region in self.fixed if self.translate(region.start) == region.start)
            yield from self._words(same, physical, size)

    def _words(self, regions: Iterable[Region], linear: int, size: int) -> Iterator[Piece]:
        for start, unit, fields in regions:
            if linear < start + unit * len(fields) - (1 << 32):
                linear += 1 << 32   # words go on there at 0
            if start <= linear and linear + size <= start + unit * len(fields):
                first, skip = divmod(linear - start, unit)
                yield Piece(fields[first:(linear + size - 1 - start) // unit + 1], unit, skip)

    def read(self, linear: int, size: int) -> Iterator[tuple[str, int]]:
        """Each region's (word, value of the bytes)."""
        for fields, unit, skip in self.words(linear, size):
            raw = b"".join(self.values[field].to_bytes(unit, "little") for field in fields)
            yield fields[0], int.from_bytes(raw[skip:skip + size], "little")


def gate_to(layout: Layout, before: Values, after: Values) -> int | None:
    """The vector whose gate leads to where the state after is."""
    for vector, field in enumerate(GATES):
        if field not in before:
            break       # a kernel's IDT has as many as it likes, and another one before its own
        gate = before[field]
        offset, selector = gate & 0xFFFF | gate >> 48 << 16, gate >> 16 & 0xFFFF
        if (after["eip"], after["cs.selector"] & ~3) == (offset, selector & ~3):
            return vector
    return None


def bytes_read(accesses: list[Access]) -> dict[int, int]:
    """{linear address: byte}"""
    found: dict[int, int] = {}
    for kind, linear, size, value in accesses:
        if kind == "read":
            for i in range(size):
                found.setdefault(linear + i, value >> 8 * i & 0xFF)
    return found

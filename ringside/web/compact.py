"""Recordings as the page carries them: the same, in a tenth of the room.

    packed = compact.pack(recorded)     web/expand.js gives the recording back, to the bit

Tables, frames, TSS and stack words of a state all lie in memory. So a packed recording has the
bytes of memory that are known at first, and of each step the accesses, and the bytes that have
changed without one (a call that was not recorded). An instruction stands there once.

    "format": "ringpong packed", "version": 1
    and of the recording's head: emulator, program, base, symbols, frames, and what else is there
    "code"    [[eip, cs base, bytes, text, symbol, source], ...]
    "state"   [[numbers], [segments], [gdtr, idtr], lengths]: see _numbers
    "memory"  [address, bytes in hexadecimal, ...]
    "sets"    [[physical address, ...], ...], if paging is on: entries of page tables that a state has
    "steps"   [[code, changes, accesses, pokes, options, entries], ...], shorter if the last ones are 0
              changes   [place in the state, new value, ...]; eip only if it is not behind the instruction
              accesses  [[1 for a write, address, bytes, value], ...]; no value if memory has it
              pokes     like memory
              options   what else a step has: repeats, folded, interrupt, walks
              entries   [place in sets, physical address, value, ...]: which entries the state has then,
                        and those that are other than a walk or an earlier state has told

"state" and "entries" have the same form for the first state: it is the last thing in "state".

Addresses are relative to the base.
"""

from collections.abc import Iterator
from typing import Any

from ringside.emulators.registers import NUMBERS, SELECTORS
from ringside.recorder.recording import Recording, State, walk

SEGMENT = ("selector", "base", "limit", "attributes")   # type and dpl follow from the last
PAGING = ("cr2", "cr3", "cr4")
EIP = list(NUMBERS).index("eip")
Bytes = dict[int, int]


def _values(state: State) -> list[Any]:
    """All of a state that is no memory: numbers, segments, table registers, bytes of the LDT."""
    return [*(state[name] for name in NUMBERS),
            *([state[name][key] for key in SEGMENT] for name in SELECTORS),
            *([state[name]["base"], state[name]["limit"]] for name in ("gdtr", "idtr")),
            len(state["ldt"]), *(state[name] for name in PAGING if name in state)]


def _seen(state: State, recorded: Recording) -> Iterator[tuple[int, bytes]]:
    """What a state tells of memory."""
    base, symbols = recorded["base"], recorded["symbols"]
    for name in ("gdt", "idt"):
        yield base + symbols[name], b"".join(int(word, 16).to_bytes(8, "little") for word in state[name])
    yield state["ldtr"]["base"], b"".join(int(word, 16).to_bytes(8, "little") for word in state["ldt"])
    yield base + symbols["tss"] + 4, b"".join(state["tss"][name].to_bytes(4, "little") for name in ("esp0", "ss0"))
    for letter, words in state["frames"].items():
        yield base + recorded["frames"][letter]["offset"], b"".join(word.to_bytes(4, "little") for word in words)
    yield state["stack"]["linear"], b"".join(word.to_bytes(4, "little") for word in state["stack"]["words"])


def _learn(memory: Bytes, state: State, recorded: Recording) -> Bytes:
    """What a state tells of memory that is not known, or is other than known; memory knows it then."""
    news: Bytes = {}
    for start, data in _seen(state, recorded):
        for place, byte in enumerate(data, start):
            if memory.get(place) != byte:
                news[place] = memory[place] = byte
    return news


def _spans(some: Bytes, base: int) -> list[int | str]:
    """Bytes that lie side by side as [address, hexadecimal, ...]."""
    spans: list[tuple[int, bytearray]] = []
    for place in sorted(some):
        if not spans or place != spans[-1][0] + len(spans[-1][1]):
            spans.append((place, bytearray()))
        spans[-1][1].append(some[place])
    return [item for start, data in spans for item in (start - base, data.hex())]


def _access(memory: Bytes, access: list[Any], base: int) -> list[Any]:
    kind, linear, size, value = access
    data = value.to_bytes(size, "little")
    known = all(memory.get(linear + i) == byte for i, byte in enumerate(data))
    memory.update(enumerate(data, linear))
    short = [int(kind == "write"), linear - base, size]
    if known and kind == "read":
        return short
    return [*short, value if size <= 4 else f"{value:x}"]


class _Entries:
    """Of page tables: which a state has, and what is known of them."""

    def __init__(self) -> None:
        self.sets: dict[tuple[int, ...], int] = {}
        self.known: dict[int, int] = {}
        self.last = -1

    def walked(self, walks: list[Any]) -> None:
        self.known.update((physical, value) for _, physical, _, value in walks)

    def pack(self, state: State) -> list[int]:
        """What of a state's pages is new; empty if nothing is."""
        pages = {int(physical, 16): value for physical, value in state.get("pages", {}).items()}
        place = self.sets.setdefault(tuple(pages), len(self.sets))
        news = [item for physical, value in pages.items() if self.known.get(physical) != value for item in (physical, value)]
        self.known |= pages
        moved, self.last = place != self.last, place
        return [place, *news] if news or moved else []


def pack(recorded: Recording) -> dict[str, Any]:
    """A packed recording. One in which paging is switched on half-way is none of the page's."""
    base = recorded["base"]
    memory: Bytes = {}
    first = _learn(memory, recorded["state"], recorded)
    entries = _Entries()
    pages = entries.pack(recorded["state"]) if "pages" in recorded["state"] else 0
    code: dict[tuple[Any, ...], int] = {}
    steps: list[list[Any]] = []
    for _, before, step, after in walk(recorded):
        key = (before["eip"], before["cs"]["base"] - base, *(step[name] for name in ("bytes", "text", "symbol", "source")))
        index = code.setdefault(key, len(code))
        old, new = _values(before), _values(after)
        old[EIP] = old[EIP] + len(step["bytes"]) // 2
        changes = [item for place, value in enumerate(new) if value != old[place] for item in (place, value)]
        accesses = step["accesses"] and [_access(memory, access, base) for access in step["accesses"]]
        pokes = _spans(_learn(memory, after, recorded), base)
        options = {name: value for name, value in step.items()
                   if name not in ("bytes", "text", "symbol", "source", "accesses", "changes")}
        entries.walked(step.get("walks", []))
        news = entries.pack(after) if pages else 0
        packed = [index, changes or 0, accesses if accesses is None else accesses or 0, pokes or 0, options or 0, news or 0]
        while packed[-1] == 0 and len(packed) > 1:
            packed.pop()
        steps.append(packed)
    head = {name: value for name, value in recorded.items() if name not in ("format", "version", "state", "steps")}
    return {"format": "ringpong packed", "version": 1, "of": recorded["version"], **head,
            "code": [list(key) for key in code],
            "state": [_values(recorded["state"]), [len(recorded["state"][name]) for name in ("gdt", "idt")],
                      len(recorded["state"]["stack"]["words"]), pages],
            **({"sets": [list(one) for one in entries.sets]} if pages else {}),
            "memory": _spans(first, base), "steps": steps}

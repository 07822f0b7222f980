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
    "steps"   [[code, changes, accesses, pokes, options], ...], shorter if the last ones are 0
              changes   [place in the state, new value, ...]; eip only if it is not behind the instruction
              accesses  [[1 for a write, address, bytes, value], ...]; no value if memory has it
              pokes     like memory
              options   what else a step has: repeats, folded, interrupt

Addresses are relative to the base.
"""

from collections.abc import Iterator
from typing import Any

from ringside.emulators.registers import NUMBERS, SELECTORS
from ringside.recorder.recording import Recording, State, walk

SEGMENT = ("selector", "base", "limit", "attributes")   # type and dpl follow from the last
EIP = list(NUMBERS).index("eip")
Bytes = dict[int, int]


def _values(state: State) -> list[Any]:
    """All of a state that is no memory: numbers, segments, table registers, bytes of the LDT."""
    return [*(state[name] for name in NUMBERS),
            *([state[name][key] for key in SEGMENT] for name in SELECTORS),
            *([state[name]["base"], state[name]["limit"]] for name in ("gdtr", "idtr")),
            len(state["ldt"])]


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


def pack(recorded: Recording) -> dict[str, Any]:
    """A packed recording."""
    base = recorded["base"]
    memory: Bytes = {}
    first = _learn(memory, recorded["state"], recorded)
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
        packed = [index, changes or 0, accesses if accesses is None else accesses or 0, pokes or 0, options or 0]
        while packed[-1] == 0 and len(packed) > 1:
            packed.pop()
        steps.append(packed)
    head = {name: value for name, value in recorded.items() if name not in ("format", "version", "state", "steps")}
    return {"format": "ringpong packed", "version": 1, "of": recorded["version"], **head,
            "code": [list(key) for key in code],
            "state": [_values(recorded["state"]), [len(recorded["state"][name]) for name in ("gdt", "idt")],
                      len(recorded["state"]["stack"]["words"])],
            "memory": _spans(first, base), "steps": steps}

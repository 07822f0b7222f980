"""Records what the CPU does while the floppy plays: command.py's first way, and what tests ask for directly."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import functools
import pathlib
import struct
import tempfile
from typing import Any, NamedTuple

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators import registers
from ringside.recorder import pages
from ringside.recorder import programs
from ringside.recorder import recording
from ringside.recorder import trace
from ringside.recorder.code import Code
from ringside.recorder.recorded import EMULATORS, Recorded
from ringside.recorder.recording import Access, Recording, State, Step

STACK_WORDS = 8  # below esp, and from esp on
NEAR_FAULT = 16  # bytes to either side of a page fault's address: what was accessed before it
NEAR = 256       # bytes between what is read of memory in one go


class Words(NamedTuple):
    """Memory that is recorded word by word."""
    offset: int
    size: int       # bytes of a word
    number: int


def numbers(raw: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(raw) // 4}I", raw))


def descriptors(raw: bytes) -> list[str]:
    return [f"{int.from_bytes(raw[i:i + 8], 'little'):016x}" for i in range(0, len(raw), 8)]


def hidden(segment: registers.Segment) -> dict[str, int]:
    """What the CPU keeps of a descriptor, as states have it."""
    attributes = segment.flags >> 8
    return {"selector": segment.selector, "base": segment.base, "limit": segment.limit,
            "type": attributes & 0x1F, "dpl": attributes >> 5 & 3, "attributes": attributes}


class Piece:
    """Offsets of memory that is read in one go."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start


class Recorder:
    """frames: the head's, see ringside/recorder/recording.py."""

    def __init__(self, machine: Recorded, code: Code, frames: dict[str, Any]) -> None:
        self.machine = machine
        self.code = code
        symbol = code.symbols
        self.words = {
            **{name: Words(symbol[name], 8, (symbol[f"{name}_end"] - symbol[name]) // 8) for name in ("gdt", "idt")},
            "tss": Words(symbol["tss"], 4, 3),
            **{letter: Words(frame["offset"], 4, len(frame["words"])) for letter, frame in frames.items()},
        }
        self.letters = list(frames)
        self.pieces: list[Piece] = []
        for start, size, count in sorted(self.words.values()):
            if not self.pieces or start > self.pieces[-1].end + NEAR:
                self.pieces.append(Piece(start))
            self.pieces[-1].end = start + size * count
        # What was made of registers and memory, and of what: most of both stay as they are.
        self.made: dict[str, tuple[object, Any]] = {}

    def kept(self, name: str, raw: Any, make: Callable[[Any], Any]) -> Any:
        """make(raw), made again only if raw has changed."""
        known = self.made.get(name)
        if known is None or known[0] != raw:
            known = self.made[name] = raw, make(raw)
        return known[1]

    SEGMENTS = (*registers.SELECTORS, "gdtr", "idtr")

    def _segments(self, raw: list[Any]) -> State:
        named = dict(zip(self.SEGMENTS, raw))
        found: State = {name: self.kept(name, named[name], hidden) for name in registers.SELECTORS}
        for name in ("gdtr", "idtr"):
            found[name] = self.kept(name, named[name], lambda table: {"base": table.base, "limit": table.limit})
        return found

    def recorded_words(self, paging: bool) -> dict[str, Any]:
        """{name: numbers, or what state() makes of them}: tables, TSS and frames."""
        read = self.machine.stored if paging else self.machine.read
        raw = [read(machines.BASE + piece.start, piece.end - piece.start) for piece in self.pieces]
        words: dict[str, Any] = self.kept("words", raw, self._words)
        return words

    def _words(self, pieces: list[bytes]) -> dict[str, Any]:
        memory = {piece.start: raw for piece, raw in zip(self.pieces, pieces)}
        found: dict[str, Any] = {}
        for name, (offset, size, count) in self.words.items():
            start = max(start for start in memory if start <= offset)
            raw = memory[start][offset - start:offset - start + size * count]
            found[name] = self.kept(name, raw, descriptors if size == 8 else numbers)
        return found

    def state(self, accesses: Iterable[Access] = ()) -> State:
        """accesses: those that have led there."""
        raw = self.machine.registers()
        state: State = {name: raw[name] for name in registers.NUMBERS}
        state |= self.kept("segments", [raw[name] for name in self.SEGMENTS], self._segments)
        paging = bool(raw["cr0"] & pages.PG)
        if paging:
            state |= {name: raw[name] for name in ("cr2", "cr3", "cr4")}
        read = self.machine.read
        if paging:
            read = functools.partial(self._translated, state, {})
        words = self.recorded_words(paging)
        state["gdt"], state["idt"] = words["gdt"], words["idt"]
        ldt = b""  # as long as LDTR is null
        if state["ldtr"]["selector"]:
            ldt = read(state["ldtr"]["base"], state["ldtr"]["limit"] + 1)
        state["ldt"] = self.kept("ldt", ldt, descriptors)
        state["tss"] = self.kept("ss0, esp0", words["tss"], lambda tss: {"ss0": tss[2], "esp0": tss[1]})
        state["frames"] = self.kept("frames", {letter: words[letter] for letter in self.letters}, dict)
        wide = state["ss"]["attributes"] & 0x4000
        esp = state["esp"] if wide else state["esp"] & 0xFFFF
        first = max(state["ss"]["base"] + (esp & ~3) - 4 * STACK_WORDS, 0) & 0xFFFFFFFF
        state["stack"] = {"linear": first, "words": numbers(read(first, 8 * STACK_WORDS))}
        if paging:
            state["pages"] = pages.entries(state, self._addresses(state, accesses), self._physical({}))
        return state

    def _physical(self, seen: dict[int, int]) -> pages.Read:
        """Numbers in physical memory, each read once; seen: those that were."""
        def read(address: int, size: int) -> int:
            if address not in seen:
                seen[address] = int.from_bytes(self.machine.stored(address, size), "little")
            return seen[address]
        return read

    def _translated(self, state: State, seen: dict[int, int], linear: int, size: int) -> bytes:
        """Memory; zeros where no page is."""
        found = b""
        while len(found) < size:
            start = linear + len(found) & 0xFFFFFFFF
            count = min(size - len(found), pages.PAGE - start % pages.PAGE)
            there = pages.physical_of(start, pages.walk(start, state["cr3"], state["cr4"], self._physical(seen)))
            found += bytes(count) if there is None else self.machine.stored(there, count)
        return found

    def _addresses(self, state: State, accesses: Iterable[Access]) -> Iterator[int]:
        """Those whose page tables say something of a step."""
        yield state["cs"]["base"] + state["eip"]
        yield from (self.code.base + words.offset & machines.LINEAR for words in self.words.values())
        yield from (state["cr2"] - NEAR_FAULT, state["cr2"], state["cr2"] + NEAR_FAULT)
        yield from (state["stack"]["linear"], state["stack"]["linear"] + 8 * STACK_WORDS - 1)
        for name in ("gdtr", "idtr", "tr", *(["ldtr"] if state["ldtr"]["selector"] else [])):
            base, limit = state[name]["base"], min(state[name]["limit"], 0xFFFF)
            yield from (*range(base, base + limit, pages.PAGE), base + limit)
        for _, linear, size, _ in accesses:
            yield from (linear, linear + size - 1)

    def _interrupted(self, state: State) -> bool:
        """Has a device interrupted real mode, in place of the step? (Bochs: the timer, behind int 10h.)"""
        return not state["cr0"] & 1 and self.machine.registers()["cs"].base != state["cs"]["base"]

    def place(self, state: State) -> tuple[int, int]:
        """Offset in the program of the next instruction, and the bits of its segment."""
        linear = state["cs"]["base"] + state["eip"]
        return linear - self.code.base & machines.LINEAR, 32 if state["cs"]["attributes"] & 0x4000 else 16

    def at(self, state: State) -> Step:
        """What of a step the place tells, where it is to be made."""
        offset, bits = self.place(state)
        code, text = self.code.instruction(offset, bits)
        return {"bytes": code, "text": text, "symbol": self.code.symbol(offset), "source": offset}

    def step(self, state: State) -> tuple[Step, State]:
        """One step from a state: its entry in the recording, and the state after."""
        offset, bits = self.place(state)
        step = self.at(state)
        code, text = step["bytes"], step["text"]
        here = self.code.base + offset & machines.LINEAR
        after = here + len(code) // 2

        folded = "" if state["eflags"] & registers.VM else self.code.folded(offset, bits)  # its int is no BIOS call
        if folded:
            step["folded"] = folded
        if folded or text.startswith("rep"):
            self.machine.pass_to(after)
            step["accesses"] = None
        else:
            step["accesses"] = self.machine.step_with_accesses(state)
            while self._interrupted(state):
                self.machine.run_to(here)
                step["accesses"] = self.machine.step_with_accesses(state)
            if self.machine.interrupt is not None:
                step |= {"bytes": "", "text": f"interrupt {self.machine.interrupt:#04x}",
                         "interrupt": self.machine.interrupt}
        new = self.state(step["accesses"] or ())
        if step["accesses"] is not None and self.machine.walks:
            step["walks"] = self.machine.walks
        if text.startswith("rep"):
            step["repeats"] = (state["ecx"] - new["ecx"]) & (0xFFFFFFFF if bits == 32 else 0xFFFF)
        # Most are the very same: then they need not be compared.
        step["changes"] = {key: value for key, value in new.items()
                           if value is not (before := state.get(key)) and value != before}
        return step, new


class Ended(machines.Missing):
    """The guest has ended before its recording was complete. recorded: what there is of it."""

    def __init__(self, why: str, recorded: Recording):
        last = recorded["steps"][-1]
        super().__init__(f"the guest ended after {len(recorded['steps'])} steps; the last was {last['text']} "
                         f"at {last['symbol']} ({last['source']}): {why}")
        self.recorded = recorded


def _again_where_too_little_is_told(make: Callable[..., Recording]) -> Callable[..., Recording]:
    """For record(): where an interrupt came between two steps of the quick way, Bochs makes the same run the other way."""
    @functools.wraps(make)
    def made(*arguments: Any, **options: Any) -> Recording:
        try:
            return make(*arguments, **options)
        except trace.NotTold:
            return make(*arguments, **options, quick=False)
    return made


@_again_where_too_little_is_told
def record(emulator: str, program: str = "p_proc", start: str = "start", after: int = 0, switches: int | None = None,
           steps: int | None = None, everything: bool = False, until: Sequence[str] = (), elf: pathlib.Path | None = None,
           turns: Iterable[int] = (), saved: dict[str, Any] | None = None, key: int = 0, quick: bool = True,
           **options: Any) -> Recording:
    """A recording; ends after so many switches, so many steps, or in front of a symbol of `until`.

    `elf` has names and code of the program, if they are not build/'s; `turns`, where a clock ends
    them: how many instructions in ring 3 the first ones are to have in QEMU; `saved`, more of the head's
    `frames`; with `key`, A makes that mistake at its next turn. `options` are for the emulator: image=PATH is
    another floppy. quick: whether Bochs may be asked the quick way, see trace.py. If the guest ends before
    that: Ended, with what there is.
    """
    told = programs.named(program)
    code = Code(told, elf, everything)
    frames = {letter: {"offset": programs.place(code.elf, place), "words": list(told.words)}
              for letter, place in {**told.saved, **told.tasks}.items()}
    frames |= saved or {}
    first = code.offset(start)
    ends = {code.base + code.offset(symbol) & machines.LINEAR for symbol in until}
    if emulator == "qemu" and told.qemu_cpu:
        options.setdefault("cpu", told.qemu_cpu)
    with contextlib.ExitStack() as stack:
        if program != machines.PROGRAM.stem and "image" not in options:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rp-"))
            options["image"] = machines.floppy_that_starts(program, f"{folder}/floppy.img")
        if emulator == "bochs" and told.name in machines.BOCHS_MODELS:
            options["options"] = [*machines.bochs_cpu(machines.BOCHS_MODELS[told.name]), *options.get("options", ())]
        machine = stack.enter_context(EMULATORS[emulator](told.clock, turns, **options))
        machine.code, machine.symbols, machine.base = code, code.symbols, code.base
        machine.quick &= quick
        if after:
            machine.skip_switches(after)
        machine.pass_to(code.base + first & machines.LINEAR)
        if key:
            asked = code.offset("user_data" if "user_data" in code.symbols else "proc_a_data") + told.asked
            machine.write(machines.BASE + asked, (debuggers.ASK_MISTAKE + key - 1).to_bytes(4, "little"))
        recorder = Recorder(machine, code, frames)
        state = begin = recorder.state()
        entries: list[Step] = []
        made, in_ring_0, ended = 0, False, ""
        halt = code.base + code.symbols["halt"] if "halt" in code.symbols else None
        while ((made < (switches or 0)) if steps is None else (len(entries) < steps)) \
                and state["cs"]["base"] + state["eip"] & machines.LINEAR not in ends:
            try:
                if state["cs"]["base"] + state["eip"] == halt:
                    raise machines.Missing("it has halted")
                entry, new = recorder.step(state)
            # RuntimeError and OSError: the emulator is gone.
            except (machines.Missing, RuntimeError, OSError, KeyboardInterrupt) as why:
                if not entries:
                    raise
                ended = str(why).partition("\n")[0] or "Ctrl-C"
                # Bochs 3.1 tells of the instruction that shuts the machine down as of a step in which RF alone is set.
                if set(entries[-1]["changes"]) == {"eflags"} and recorder.at(state).items() <= entries[-1].items():
                    entries.pop()
                if state["cs"]["base"] + state["eip"] != halt and not isinstance(why, KeyboardInterrupt):
                    entries.append({**recorder.at(state), "accesses": None, "ended": ended, "changes": {}})
                break
            entries.append(entry)
            in_ring_0 |= state["cpl"] == 3 and new["cpl"] == 0
            if in_ring_0 and new["cpl"] == 3:
                made, in_ring_0 = made + 1, False
            state = new
    for entry, source in zip(entries, code.look_up([entry["source"] for entry in entries])):
        entry["source"] = source
    recorded = {"format": recording.FORMAT, "version": recording.VERSION, "emulator": emulator,
                "program": program, "base": code.base, "symbols": code.symbols, "frames": frames,
                "state": begin, "steps": entries}
    if ended:
        raise Ended(ended, recorded)
    return recorded


def record_both(program: str, **options: Any) -> Iterator[Recording]:
    """Gives recordings of the same run in Bochs and in QEMU: interrupts come at the same instructions."""
    bochs = record("bochs", program, **options)
    yield bochs
    yield record("qemu", program, turns=recording.turns(bochs), **options)

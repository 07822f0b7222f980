"""Records the crossings of any kernel: of each, one step with all accesses, and the states around it.

    made = record_crossings(recognise(path), Wanted(first=100), Names(elf, base))

    made = record_moments(image, ticks, names, memory, model)   those in front of which the machine stands at these ticks

One run lists them (listing.py), a second stops in front of each. What comes between two is one step
as well, a gap, of which only the states around it are known. Where hardware has interrupted, the first
instruction of its handler follows as a step of its own, because Bochs' debugger makes both at once.

Nothing of the kernel is asked but the CPU's own registers: GDTR, IDTR, LDTR, TR and CR3 lead to the tables.
"""

import bisect
from collections.abc import Iterable, Iterator
import pathlib
import re
import subprocess
from typing import Any

from ringside.emulators import machines
from ringside.emulators import registers
from ringside.emulators.anybochs import AnyBochs
from ringside.emulators.image import Image
from ringside.emulators.registers import Registers
from ringside.recorder import listing
from ringside.recorder import pages
from ringside.recorder import places
from ringside.recorder import recording
from ringside.recorder import trace
from ringside.recorder.record import NEAR_FAULT, STACK_WORDS, descriptors, hidden, numbers
from ringside.recorder.recording import Access, Recording, State, Step

WRAP = 0xFFFFFFFF
TSS_HEAD = 12           # bytes: backlink, esp0, ss0
AROUND_STACK = 0x100    # bytes below and above the top of a stack onto which an interrupt may push


IOMAP_AT = 0x66         # in a TSS of 32 bits
TSS_TYPE_32 = 0x09      # available; busy with bit 1
ARRIVALS = 8            # in ring 3, the last ones, at which the PICs are looked at
FOLLOWED = 2            # ways in with DF set that are followed step by step,
STEPS_FOLLOWED = 40     # so far at most
STEPS_TO_HALT = 200
HALT = re.compile(r"\(unk\. ctxt\): hlt\b")     # what comes next
DF = 1 << 10
LEAVES = ("call", "ret", "cld", "iret", "std", "hlt", "rep")


class Names:
    """Symbols and sources of a kernel's ELF file, if there is one. base: what to add to its addresses."""

    def __init__(self, elf: pathlib.Path | None = None, base: int = 0) -> None:
        self.elf, self.base = elf, base
        self.symbols = machines.symbols(elf) if elf else {}
        self.sorted = sorted((place, name) for name, place in self.symbols.items())

    def symbol(self, linear: int) -> str:
        place = bisect.bisect(self.sorted, (linear - self.base, "\x7f")) - 1
        if place < 0:
            return f"{linear:08x}"
        start, name = self.sorted[place]
        return name if linear - self.base == start else f"{name}+{linear - self.base - start:#x}"

    def sources(self, places: list[int]) -> list[str]:
        if not self.elf:
            return ["?:0"] * len(places)
        asked = "\n".join(f"{place - self.base & WRAP:#x}" for place in places)
        run = subprocess.run(["addr2line", "-e", str(self.elf)], input=asked, capture_output=True, text=True)
        return [pathlib.PurePath(line.split(" ")[0]).name for line in run.stdout.splitlines()]


class Kernel:
    """A machine that stands somewhere in a kernel, and its states."""

    def __init__(self, machine: AnyBochs) -> None:
        self.machine = machine
        (machine.dir / "step").write_text(trace.script(1, True, True))
        self.undo: dict[int, int] = {}      # bytes by linear address that are not yet as they are now

    def _physical(self, seen: dict[int, int]) -> pages.Read:
        def read(address: int, size: int) -> int:
            if address not in seen:
                words = re.findall(r"\t0x([0-9a-f]+)", self.machine.cmd(f"xp /{size // 4}wx {address:#x}"))
                seen[address] = sum(int(word, 16) << 32 * place for place, word in enumerate(words))
            return seen[address]
        return read

    def read(self, linear: int, size: int) -> bytes:
        """Memory, page by page; zeros where no page is."""
        found = bytearray(self.machine.read(linear, size))
        for place in range(size):
            found[place] = self.undo.get(linear + place & WRAP, found[place])
        return bytes(found)

    def state(self, raw: Registers, accesses: Iterable[Access] = ()) -> State:
        """raw: the registers; accesses: those that have led there."""
        state: State = {name: raw[name] for name in registers.NUMBERS}
        state |= {name: hidden(raw[name]) for name in registers.SELECTORS}
        state |= {name: {"base": raw[name].base, "limit": raw[name].limit} for name in ("gdtr", "idtr")}
        state |= {name: raw[name] for name in ("cr2", "cr3", "cr4")}
        for name, table in (("gdt", raw["gdtr"]), ("idt", raw["idtr"]), ("ldt", raw["ldtr"])):
            there = name != "ldt" or raw["ldtr"].selector & ~3
            size = (min(table.limit, 0xFFFF) + 1) // 8 * 8 if there else 0
            state[name] = descriptors(self.read(table.base, size))
        tss = numbers(self.read(raw["tr"].base, TSS_HEAD)) if raw["tr"].selector & ~3 else [0, 0, 0]
        state |= {"tss": {"ss0": tss[2], "esp0": tss[1]}, "frames": {}}
        first = max(raw["ss"].base + (stack_pointer(raw) & ~3) - 4 * STACK_WORDS, 0)
        state["stack"] = {"linear": first, "words": numbers(self.read(first, 8 * STACK_WORDS))}
        if raw["cr0"] & pages.PG:
            state["pages"] = pages.entries(state, self._addresses(state, accesses), self._physical({}))
        return state

    @staticmethod
    def _addresses(state: State, accesses: Iterable[Access]) -> Iterator[int]:
        """Those whose page tables say something of a step."""
        yield state["cs"]["base"] + state["eip"]
        yield from (state["cr2"] - NEAR_FAULT, state["cr2"], state["cr2"] + NEAR_FAULT)
        yield from (state["stack"]["linear"], state["stack"]["linear"] + 8 * STACK_WORDS - 1)
        for name in ("gdtr", "idtr", "tr", "ldtr"):
            base, limit = state[name]["base"], min(state[name]["limit"], 0xFFFF)
            yield from (*range(base, base + limit, pages.PAGE), base + limit)
        for _, linear, size, _ in accesses:
            yield from (linear, linear + size - 1)

    def iomap(self, raw: Registers) -> int | None:
        """Where the I/O map begins in the TSS; None if it has none."""
        tr = raw["tr"]
        if not tr.selector & ~3 or tr.flags >> 8 & 0x1D != TSS_TYPE_32 or tr.limit < IOMAP_AT + 1:
            return None
        place = int.from_bytes(self.read(tr.base + IOMAP_AT, 2), "little")
        return place if place < tr.limit else None

    def stacks(self, raw: Registers) -> dict[int, int]:
        """The bytes onto which an interrupt may push, as they are in front of it."""
        tops = {raw["ss"].base + stack_pointer(raw)}
        if raw["tr"].selector & ~3:
            tops.add(numbers(self.read(raw["tr"].base, TSS_HEAD))[1])
        found: dict[int, int] = {}
        for top in tops:
            first = top - AROUND_STACK & WRAP
            found.update((first + place & WRAP, byte) for place, byte in enumerate(self.read(first, 2 * AROUND_STACK)))
        return found

    def step(self, raw: Registers) -> list[trace.Moment]:
        """One, or two: an interrupt, and the instruction behind it."""
        self.machine.text = ""
        said = self.machine.stopped(self.machine.cmd("source ./step"))
        return list(trace.moments(said, raw, any_ring=True))


def stack_pointer(raw: Registers) -> int:
    esp: int = raw["esp"]
    return esp if raw["ss"].flags & 0x400000 else esp & 0xFFFF


def record_crossings(image: Image, wanted: listing.Wanted, names: Names) -> Recording:
    """If the machine ends in a crossing, or none comes back from one, that is the last step, and has "ended". Raises
    listing.NoneFound, image.Unusable, or machines.Missing."""
    lines, quiet, end = listing.found(image, wanted, names.elf, names.base)
    last = [] if end is None else [listing.Line(end + 1, listing.INTERRUPT, 0, 0)]
    with AnyBochs(image, wanted.memory) as machine:
        taken = Steps(Kernel(machine))
        steps = list(taken.of([*lines, *last]))
    return _told(image, names, taken, steps, len(lines), quiet)


def record_moments(image: Image, ticks: list[int], names: Names, memory: int, model: str) -> Recording:
    """What happens at these ticks, which another run has found. Unlike record_crossings it may be the machine's end:
    then the last step has the accesses up to there. Raises as record_crossings."""
    with AnyBochs(image, memory, model) as machine:
        taken = Steps(Kernel(machine))
        steps = list(taken.of([listing.Line(tick + 1, "", 0, 0) for tick in ticks]))
        if taken.missing and machine.alive():
            raise taken.missing
    return _told(image, names, taken, steps, len(ticks), 0)


def _told(image: Image, names: Names, taken: "Steps", steps: list[tuple[State, Step]], listed: int, quiet: int) -> Recording:
    """The recording, with texts, symbols and sources."""
    if not steps:
        raise listing.NoneFound("no crossing is met again in a second run")
    first = steps[0][0]
    entries = [step for _, step in steps]
    stood = [step["place"] for step in entries]
    for step, place, source, text in zip(entries, stood, names.sources(stood), texts(entries)):
        step |= {"symbol": names.symbol(place), "source": source, "text": text}
        del step["wide"], step["place"]
    return {"format": recording.FORMAT, "version": recording.VERSION, "emulator": "bochs", "program": image.path.stem,
            "base": names.base, "symbols": names.symbols, "frames": {},
            "crossings": {"image": image.path.name, "kind": image.kind, "listed": listed, "iomap": taken.iomap,
                          "in_service": taken.in_service[-ARRIVALS:], "quiet": quiet},
            "state": first, "steps": entries}


class Steps:
    """Gives (state before, step) for each step: what a step lacks yet is "text", "symbol" and "source"."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.last: State | None = None      # behind the last step
        self.iomap: int | None = None
        self.in_service: list[int] = []     # at each arrival in ring 3
        self.followed = 0
        self.begun: tuple[str, Registers, State] | None = None  # a step: its code, and what was in front of it
        self.missing: machines.Missing | None = None    # why it was the last

    def of(self, lines: list[listing.Line]) -> Iterator[tuple[State, Step]]:
        machine = self.kernel.machine
        for line in lines:
            behind = machine.now
            try:
                if not self._halted(line) and not machine.to(line.tick - 1):
                    continue    # it was the handler's first instruction, and there already
            except machines.Missing:
                return          # the machine has ended, or Bochs does not get there in time
            raw = machine.registers()
            before = self.kernel.state(raw)
            if self.last is not None and machine.now > behind:
                yield self.last, self._entry("", raw, changed(self.last, before), None, gap=machine.now - behind)
            try:
                yield from self._crossing(raw, before)
                yield from self._look(raw)
            except machines.Missing as missing:
                self.missing = missing
                yield self._end()
                return

    def _halted(self, line: listing.Line) -> bool:
        """In front of an interrupt that wakes the CPU: whether it was halted, a few steps from here, by ring 0. No tick
        leads there, since the debugger does not stop while it waits."""
        machine = self.kernel.machine
        if line.kind != listing.INTERRUPT or self.last is None or self.last["cpl"]:
            return False
        for _ in range(STEPS_TO_HALT):
            if machine.now >= line.tick - 1:
                break
            said = machine.stopped(machine.cmd("s"))
            if HALT.search(said):
                machine.stopped(machine.cmd("s"))
                return machine.now < line.tick
        return False

    def _look(self, before: Registers) -> Iterator[tuple[State, Step]]:
        """Behind a crossing: at what only laws ask for. A way in with DF set is followed until it matters."""
        raw = self.kernel.machine.registers()
        if raw["cpl"] == 3:
            self.in_service.append(listing.in_service(self.kernel.machine))
            self.iomap = self.kernel.iomap(raw)
        elif before["cpl"] == 3 and raw["eflags"] & DF and self.followed < FOLLOWED:
            self.followed += 1
            for _ in range(STEPS_FOLLOWED):
                assert self.last is not None
                found = list(self._crossing(self.kernel.machine.registers(), self.last))
                yield from found
                code, place = found[0][1]["bytes"], found[0][1]["place"]
                if code and places.disassembled(code, found[0][1]["wide"], place)[1].startswith(LEAVES):
                    break

    def _crossing(self, raw: Registers, before: State) -> Iterator[tuple[State, Step]]:
        kernel = self.kernel
        stacks = kernel.stacks(raw)
        code = kernel.read(raw["cs"].base + raw["eip"], places.LONGEST).hex()
        self.begun = code, raw, before
        moments = kernel.step(raw)
        for number, moment in enumerate(moments):
            kernel.undo = {}
            if moment.interrupt is not None and number + 1 < len(moments):
                for _, linear, size, value in written(moment.accesses):
                    stacks.update((linear + place & WRAP, value >> 8 * place & 0xFF) for place in range(size))
                later = {linear + place & WRAP for _, linear, size, _ in written(moments[-1].accesses) for place in range(size)}
                kernel.undo = {place: stacks[place] for place in later if place in stacks}
            after = kernel.state(moment.registers, moment.accesses)
            kernel.undo = {}
            options: dict[str, Any] = {"walks": moment.walks} if moment.walks else {}
            if moment.interrupt is not None:
                options["interrupt"] = moment.interrupt
                code = ""
            yield before, self._entry(code, raw, changed(before, after), moment.accesses, **options)
            self.last = before = after
            raw = moment.registers
            code = kernel.read(raw["cs"].base + raw["eip"], places.LONGEST).hex()

    def _end(self) -> tuple[State, Step]:
        """The step in which the machine has ended, or from which it does not come back, as far as Bochs has told it."""
        assert self.begun
        code, raw, before = self.begun
        cut = trace.cut_short(self.kernel.machine.text)
        options: dict[str, Any] = {"walks": cut.walks} if cut.walks else {}
        if cut.interrupt is not None:
            options["interrupt"], code = cut.interrupt, ""
        how = "it does not come back" if self.kernel.machine.alive() else "the machine shuts down"
        ended = ", ".join([*cut.exceptions, how])
        return before, self._entry(code, raw, {}, cut.accesses, **options, ended=ended)

    @staticmethod
    def _entry(code: str, raw: Registers, changes: State, accesses: list[Access] | None, **options: Any) -> Step:
        return {"bytes": code, "accesses": accesses, **options, "changes": changes,
                "place": raw["cs"].base + raw["eip"] & WRAP, "wide": bool(raw["cs"].flags & 0x400000)}


def written(accesses: list[Access]) -> list[Access]:
    return [access for access in accesses if access[0] == "write"]


def changed(before: State, after: State) -> State:
    return {key: value for key, value in after.items() if value != before.get(key)}


def texts(entries: list[Step]) -> list[str]:
    """What the assembler calls each; cuts its bytes to their length."""
    for step in entries:
        if "gap" in step:
            step["text"] = f"{step['gap']} instructions that were not recorded"
        elif "interrupt" in step:
            step["text"] = f"interrupt {step['interrupt']:#04x}"
        else:
            code, step["text"] = places.disassembled(step["bytes"], step["wide"], step["place"])
            step["bytes"] = code
    return [step["text"] for step in entries]

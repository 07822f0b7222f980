"""Records what the CPU does while the floppy plays.

usage: scripts/ringside record [--emulator bochs|qemu] [--program NAME] [--from SYMBOL] [--after N]
                  [--switches K | --steps K] [--all] [--output FILE] [--image FILE]

  --emulator  bochs (with the accesses inside each instruction) or qemu
  --program   a program on the floppy: p_proc unless given
  --from      symbol to begin at: start, the stub's first instruction, unless given
  --after     begin there after N switches have been made, a power of two
  --switches  end at the K-th switch, in the other proc (8 unless given)
  --steps     or end after K steps
  --all       record also what is otherwise one step: calls that have to do with
              screen, log and pace alone
  --output    build/recording-EMULATOR.json unless given
  --image     a floppy that starts the program, with a change of your own; build/floppy.img's
              code must fit it

If the guest halts or ends the machine before the recording is complete, or Ctrl-C does, what there is
of it is kept, where it ended is said, and the exit code is 1.

Where a clock ends a proc's turn (TIMER), it does so after some tens of instructions instead of
its usual 10 ms, which would fill the recording. Its interrupt is a step of its own. In Bochs no
recording begins at the first instruction of its handler, because the debugger does not stop there.

ringside/recorder/recording.py says what a recording is, and ringside/recorder/programs.py what the
recorder must know of each program.
"""

import argparse
import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import difflib
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

from ringside.emulators import registers
from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.recorder import programs
from ringside.recorder import recording
from ringside.emulators import versions
from ringside.recorder.recording import Access, Recording, State, Step

STACK_WORDS = 8  # below esp, and from esp on
NEAR = 256       # bytes between what is read of memory in one go

HARDWARE = range(0x20, 0x100)  # vectors that are no exception's

# How often a clock ends a turn in Bochs: times a second, as it is set for the first, second, ...
# time; and in QEMU: after so many instructions in ring 3.
CLOCK = range(12000, 16000, 700)
TURN = 41
LOOKS = 100  # at the game, each of which sets the clock: no place is further away


class Instruction(NamedTuple):
    code: str       # its bytes, in hexadecimal
    text: str


class Code:
    """The program as its ELF file tells it: text, symbol and source of each address."""

    def __init__(self, program: programs.Program, elf: pathlib.Path) -> None:
        self.elf = elf
        self.scenery = (*programs.SCENERY, *program.scenery)
        self.scenery_functions = program.scenery_functions
        self.symbols = machines.symbols(self.elf)
        self.functions = sorted((offset, name) for name, offset in self.symbols.items())
        self.texts = {bits: dict(self._disassemble(option))
                      for bits, option in ((16, "i8086"), (32, "i386"))}
        self.sources: dict[int, str] = {}

    def _disassemble(self, architecture: str, *limits: str) -> Iterator[tuple[int, Instruction]]:
        listing = subprocess.run(
            ["objdump", "-d", "-w", "-z", "-M", architecture, *limits, str(self.elf)],
            check=True, capture_output=True, text=True).stdout
        for offset, code, text in re.findall(r"^ *(\w+):\t([0-9a-f ]+)\t(.*)$", listing, re.M):
            yield int(offset, 16), Instruction(code.replace(" ", ""), versions.one_spelling(re.sub(r"\s+", " ", text.strip())))

    def instruction(self, offset: int, bits: int) -> Instruction:
        """Bytes and text. Behind code of the other width objdump may be out of step: there
        it starts again."""
        texts = self.texts[bits]
        if offset not in texts:
            again = self._disassemble({16: "i8086", 32: "i386"}[bits], f"--start-address={offset}",
                                      f"--stop-address={offset + 16}")
            texts.update(itertools.islice(again, 1))  # what follows may be cut short
        return texts.get(offset, Instruction("", "?"))

    def offset(self, name: str) -> int:
        if name not in self.symbols:
            near = difflib.get_close_matches(name, self.symbols, 5, 0.4)
            raise SystemExit(f"record: no symbol {name}; the nearest names: {', '.join(near) or 'none'}")
        return self.symbols[name]

    def symbol(self, offset: int) -> str:
        place = bisect.bisect(self.functions, (offset, "\x7f")) - 1
        start, name = self.functions[place] if place >= 0 else (0, "0")
        return name if offset == start else f"{name}+{offset - start:#x}"

    def source(self, offset: int) -> str:
        return self.look_up([offset])[0]

    def look_up(self, offsets: Iterable[int]) -> list[str]:
        """Sources of many addresses, with one call of addr2line."""
        asked = [offset for offset in dict.fromkeys(offsets) if offset not in self.sources]
        if asked:
            lines = subprocess.run(
                ["addr2line", "-e", str(self.elf)], input="\n".join(map(hex, asked)),
                check=True, capture_output=True, text=True).stdout.split("\n")
            for offset, line in zip(asked, lines):
                path, _, number = line.split(" ")[0].rpartition(":")
                name = os.path.normpath(path).removeprefix("/ringpong/")  # as SAME_NAMES in the Makefile has it
                self.sources[offset] = f"{name}:{number}"
        return [self.sources[offset] for offset in offsets]

    def is_scenery(self, offset: int) -> bool:
        name = self.symbol(offset)
        file = pathlib.Path(self.source(offset).rpartition(":")[0]).name
        return name in self.scenery_functions or file in self.scenery


def offset_of(gate: int) -> int:
    return gate & 0xFFFF | gate >> 48 << 16


class Recorded(debuggers.Handles):
    """What the recorder wants of an emulator besides. clock: the program's, see programs.py."""

    def _begin(self, clock: str) -> None:
        self.clock, self.frequencies = clock, itertools.cycle(CLOCK)
        self.interrupt: int | None = None   # its vector, if the last step was one

    def step_with_accesses(self, state: State) -> list[Access] | None:
        """One step; the memory accesses in it, None if the emulator does not tell them."""
        raise NotImplementedError

    def pass_to(self, *places: int) -> int:
        """Runs on; a clock that is set meanwhile goes faster."""
        for _ in range(LOOKS):
            here = self.run_to(*places, *filter(None, [self.clock]))
            for place in places:
                if here == place:
                    return place
            self.set(eax=next(self.frequencies))
        raise machines.Missing(f"{LOOKS} looks at the game have not led to {' '.join(map(hex, places))}")

    def skip_switches(self, count: int) -> None:
        """To where ring 0 is about to tell the log that there were so many: at powers of two."""
        self.run_to("log_line")
        while self.word("switches", size=8) < count:
            self.run_to("log_line", timeout=120)


class RecordedBochs(Recorded, debuggers.DebuggedBochs):  # type: ignore[misc]  # see debuggers.DebuggedBochs
    """Bochs, which tells the accesses inside each instruction.

    Questions cost more than answers here: a step asks, with a script of commands, for
    all that registers() and read() are going to ask, and keeps the answers for them.
    """

    ACCESS = re.compile(r"^\[CPU0 (RD|WR|RW)\]: (?:LIN 0x(\w+) )?PHY 0x(\w+) \(len=(\d+).*?\): (.*)$", re.M)
    KEPT = range(machines.BASE, 2 * machines.BASE)  # of memory: the program's segment
    PUSHES = {b"\x66\x87\xdb": 0, b"\x60": len(registers.GENERAL)}  # xchg %bx, %bx; pusha: words

    def __init__(self, clock: str, turns: Iterable[int], **options: Any) -> None:    # turns: QEMU's alone
        super().__init__(**options)
        self._begin(clock)
        self.answers: dict[str, str] = {}
        self.memory: bytes | None = None
        self.behind: tuple[list[Access], bytes] | None = None  # what the debugger did beyond the last step; the memory then
        self.instead: dict[str, int] = {}   # registers as they were before that
        self.script, self.image = self.dir / "step", self.dir / "memory"
        self.script.write_text("trace-mem on\ns\ntrace-mem off\nr\nsreg\ncreg\n"
                               f'writemem "{self.image}" {self.KEPT.start} {len(self.KEPT)}\n')

    def cmd(self, line: str, timeout: float = 20) -> str:
        if line in self.answers:
            return self.answers[line]
        self.answers, self.memory = {}, None
        return super().cmd(line, timeout)

    def read(self, address: int, size: int) -> bytes:
        if self.memory and address in self.KEPT and address + size in self.KEPT:
            return self.memory[address - self.KEPT.start:address + size - self.KEPT.start]
        return super().read(address, size)

    def registers(self) -> dict[str, Any]:
        return {**super().registers(), **self.instead}

    def step_with_accesses(self, state: State) -> list[Access]:
        self.interrupt = None
        if self.behind:
            accesses, self.memory = self.behind
            self.behind, self.instead = None, {}
            return accesses
        before = self.memory or self.read(self.KEPT.start, len(self.KEPT))
        accesses = self._step()
        self._look_for_interrupt(state, accesses)
        if self.interrupt is not None:
            self._take_back(offset_of(int(state["idt"][self.interrupt], 16)), accesses, before)
        return accesses

    def _look_for_interrupt(self, state: State, accesses: list[Access]) -> None:
        """Ring 0 is where the last gate that was read leads to; the eip that was pushed, as the fifth
        word, has not moved."""
        if state["cpl"] < 3:
            return
        gates = range(state["idtr"]["base"], state["idtr"]["base"] + state["idtr"]["limit"], 8)
        read = [gates.index(linear) for kind, linear, size, _ in accesses
                if kind == "read" and size == 8 and linear in gates]
        pushed = [value for kind, _, _, value in accesses if kind == "write"]
        if read and read[-1] in HARDWARE and pushed[4:5] == [state["eip"]]:
            self.interrupt = read[-1]

    def _take_back(self, start: int, accesses: list[Access], before: bytes) -> None:
        """The debugger makes one step of an interrupt and of the instruction at which the
        handler begins. What that one does is known, so that the two can be taken apart: QEMU,
        which does stop between them, has the same there (tests/test_interrupts.py).

        start: its offset; accesses: in order, those of the instruction are taken away; before:
        the memory."""
        assert self.memory
        now = super().registers()
        place = now["cs"].base + start - self.KEPT.start
        code = self.memory[place:place + now["eip"] - start]
        if code not in self.PUSHES:
            raise SystemExit(f"record: an interrupt's handler begins with {code.hex(' ')}: Bochs has made one step "
                             f"of both; PUSHES in ringside/recorder/record.py has to say what that instruction pushes")
        count = self.PUSHES[code]
        first = len(accesses) - count
        self.behind = accesses[first:], self.memory
        self.instead = {"eip": start, "esp": now["esp"] + 4 * count}
        memory = bytearray(self.memory)
        for _, linear, size, _ in accesses[first:]:
            place = linear - self.KEPT.start
            memory[place:place + size] = before[place:place + size]
        self.memory = bytes(memory)
        del accesses[first:]

    def _step(self) -> list[Access]:
        self.text = ""  # what came before is of no use, and adding to it would take ever longer
        out = self.cmd(f"source {self.script}")
        self.answers = dict.fromkeys(("r", "sreg", "creg"), out)
        self.memory = self.image.read_bytes()
        accesses: list[Access] = []
        last = 0
        for kind, line, _, size, numbers in self.ACCESS.findall(out):
            # A write back to what was just read is told by its physical address.
            last = int(line, 16) if line else last
            value = int("".join(number.removeprefix("0x") for number in numbers.split()), 16)
            accesses.append(["write" if kind == "WR" else "read", last, int(size), value])
        return accesses


class RecordedQemu(Recorded, debuggers.DebuggedQemu):
    """QEMU, in a time of its own: one microsecond an instruction, from the same date on as Bochs.

    While one steps, it keeps interrupts away, unless it is told otherwise. And at each stop
    its time leaps to where the next timer is due. So a clock interrupts wherever one lets it.
    """

    LET_IN, KEEP_AWAY = "Qqemu.sstep=0x1", "Qqemu.sstep=0x7"

    def __init__(self, clock: str, turns: Iterable[int], **options: Any) -> None:
        super().__init__(extra=("-rtc", f"base={DATE},clock=vm"), **options)
        self._begin(clock)
        self.turns: Iterator[int | None] = itertools.chain(turns, itertools.repeat(TURN)) if clock else itertools.repeat(None)
        self.left = next(self.turns)  # instructions in ring 3 until a clock may interrupt

    def step_with_accesses(self, state: State) -> None:
        self.interrupt = None
        if state["cpl"] < 3 or self.left is None:
            self.step()
        elif self.left:
            self.left -= 1
            self.step()
        else:
            self._ask(self.LET_IN)
            self.step()
            self._ask(self.KEEP_AWAY)
            self._look_for_interrupt(state)
        return None

    def _look_for_interrupt(self, state: State) -> None:
        """Ring 0 is where a gate leads to; the eip that was pushed has not moved."""
        now = self.registers()
        if now["cpl"] == 0 and self.word(now["ss"].base + now["esp"]) == state["eip"]:
            ways = [vector for vector, gate in enumerate(state["idt"]) if offset_of(int(gate, 16)) == now["eip"]]
            if ways and ways[0] in HARDWARE:
                self.interrupt, self.left = ways[0], next(self.turns)


DATE = "2001-09-09T01:46:40"  # second 1,000,000,000
EMULATORS: dict[str, Callable[..., Recorded]] = {"bochs": RecordedBochs, "qemu": RecordedQemu}


class Words(NamedTuple):
    """Memory that is recorded word by word."""
    offset: int
    size: int       # bytes of a word
    number: int


class Piece:
    """Offsets of memory that is read in one go."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start


class Recorder:
    """frames: the head's, see ringside/recorder/recording.py."""

    def __init__(self, machine: Recorded, code: Code, frames: dict[str, Any], everything: bool) -> None:
        self.machine = machine
        self.code = code
        self.everything = everything
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

    def recorded_words(self) -> dict[str, list[int]]:
        """{name: numbers}: tables, TSS and frames."""
        memory = {piece.start: self.machine.read(machines.BASE + piece.start, piece.end - piece.start)
                  for piece in self.pieces}
        found = {}
        for name, (offset, size, count) in self.words.items():
            start = max(start for start in memory if start <= offset)
            raw = memory[start][offset - start:]
            found[name] = [int.from_bytes(raw[i:i + size], "little") for i in range(0, size * count, size)]
        return found

    def state(self) -> State:
        raw = self.machine.registers()
        state: State = {name: raw[name] for name in registers.NUMBERS}
        for name in registers.SELECTORS:
            segment = raw[name]
            attributes = segment.flags >> 8
            state[name] = {"selector": segment.selector, "base": segment.base, "limit": segment.limit,
                           "type": attributes & 0x1F, "dpl": attributes >> 5 & 3, "attributes": attributes}
        for name in ("gdtr", "idtr"):
            state[name] = {"base": raw[name].base, "limit": raw[name].limit}

        words = self.recorded_words()
        for name in ("gdt", "idt"):
            state[name] = [f"{value:016x}" for value in words[name]]
        ldt = b""  # as long as LDTR is null
        if state["ldtr"]["selector"]:
            ldt = self.machine.read(state["ldtr"]["base"], state["ldtr"]["limit"] + 1)
        state["ldt"] = [f"{int.from_bytes(ldt[i:i + 8], 'little'):016x}" for i in range(0, len(ldt), 8)]
        state["tss"] = {"ss0": words["tss"][2], "esp0": words["tss"][1]}
        state["frames"] = {letter: words[letter] for letter in self.letters}
        wide = state["ss"]["attributes"] & 0x4000
        esp = state["esp"] if wide else state["esp"] & 0xFFFF
        first = max(state["ss"]["base"] + (esp & ~3) - 4 * STACK_WORDS, 0)
        stack = self.machine.read(first, 8 * STACK_WORDS)
        state["stack"] = {"linear": first, "words": [int.from_bytes(stack[i:i + 4], "little")
                                                     for i in range(0, len(stack), 4)]}
        return state

    def _interrupted(self, state: State) -> bool:
        """Has a device interrupted real mode, in place of the step? (Bochs: the timer, behind int 10h.)"""
        return not state["cr0"] & 1 and self.machine.registers()["cs"].base != state["cs"]["base"]

    def step(self, state: State) -> tuple[Step, State]:
        """One step from a state: its entry in the recording, and the state after."""
        offset = state["cs"]["base"] + state["eip"] - machines.BASE
        bits = 32 if state["cs"]["attributes"] & 0x4000 else 16
        code, text = self.code.instruction(offset, bits)
        step: Step = {"bytes": code, "text": text, "symbol": self.code.symbol(offset), "source": offset}
        after = machines.BASE + offset + len(code) // 2

        call = re.match(r"call \w+ <(\w+)>$", text)
        if bits == 16 and re.match(r"int ", text):
            step["folded"] = text.replace("$", "")
        elif call and not self.everything and self.code.is_scenery(self.code.symbols.get(call[1], 0)):
            step["folded"] = call[1]
        if "folded" in step or text.startswith("rep"):
            self.machine.pass_to(after)
            step["accesses"] = None
        else:
            step["accesses"] = self.machine.step_with_accesses(state)
            while self._interrupted(state):
                self.machine.run_to(machines.BASE + offset)
                step["accesses"] = self.machine.step_with_accesses(state)
            if self.machine.interrupt is not None:
                step |= {"bytes": "", "text": f"interrupt {self.machine.interrupt:#04x}",
                         "interrupt": self.machine.interrupt}
        new = self.state()
        if text.startswith("rep"):
            step["repeats"] = (state["ecx"] - new["ecx"]) & (0xFFFFFFFF if bits == 32 else 0xFFFF)
        step["changes"] = {key: value for key, value in new.items() if value != state[key]}
        return step, new


class Ended(machines.Missing):
    """The guest has ended before its recording was complete. recorded: what there is of it."""

    def __init__(self, why: str, recorded: Recording):
        last = recorded["steps"][-1]
        super().__init__(f"the guest ended after {len(recorded['steps'])} steps; the last was {last['text']} "
                         f"at {last['symbol']} ({last['source']}): {why}")
        self.recorded = recorded


def record(emulator: str, program: str = "p_proc", start: str = "start", after: int = 0, switches: int | None = None,
           steps: int | None = None, everything: bool = False, until: Sequence[str] = (), elf: pathlib.Path | None = None,
           turns: Iterable[int] = (), **options: Any) -> Recording:
    """A recording; ends after so many switches, so many steps, or in front of a symbol of `until`.

    `elf` has names and code of the program, if they are not build/'s; `turns`, where a clock ends
    them: how many instructions in ring 3 the first ones are to have in QEMU; `options` are for the
    emulator: image=PATH is another floppy. If the guest ends before that: Ended, with what there is.
    """
    told = programs.named(program)
    code = Code(told, elf or told.elf)
    frames = {letter: {"offset": programs.place(code.elf, place), "words": list(told.words)}
              for letter, place in {**told.saved, **told.tasks}.items()}
    first = code.offset(start)
    ends = {machines.BASE + code.offset(symbol) for symbol in until}
    with contextlib.ExitStack() as stack:
        if program != machines.PROGRAM.stem and "image" not in options:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rp-"))
            options["image"] = machines.floppy_that_starts(program, f"{folder}/floppy.img")
        machine = stack.enter_context(EMULATORS[emulator](told.clock, turns, **options))
        machine.symbols = code.symbols
        if after:
            machine.skip_switches(after)
        machine.pass_to(machines.BASE + first)
        recorder = Recorder(machine, code, frames, everything)
        state = begin = recorder.state()
        entries: list[Step] = []
        made, in_ring_0, ended = 0, False, ""
        halt = machines.BASE + code.symbols["halt"] if "halt" in code.symbols else None
        while ((made < (switches or 0)) if steps is None else (len(entries) < steps)) \
                and state["cs"]["base"] + state["eip"] not in ends:
            try:
                if state["cs"]["base"] + state["eip"] == halt:
                    raise machines.Missing("it has halted")
                entry, new = recorder.step(state)
            # RuntimeError and OSError: the emulator is gone.
            except (machines.Missing, RuntimeError, OSError, KeyboardInterrupt) as why:
                if not entries:
                    raise
                ended = str(why).partition("\n")[0] or "Ctrl-C"
                break
            entries.append(entry)
            in_ring_0 |= state["cpl"] == 3 and new["cpl"] == 0
            if in_ring_0 and new["cpl"] == 3:
                made, in_ring_0 = made + 1, False
            state = new
    for entry, source in zip(entries, code.look_up([entry["source"] for entry in entries])):
        entry["source"] = source
    recorded = {"format": recording.FORMAT, "version": recording.VERSION, "emulator": emulator,
                "program": program, "base": machines.BASE, "symbols": code.symbols, "frames": frames,
                "state": begin, "steps": entries}
    if ended:
        raise Ended(ended, recorded)
    return recorded


def record_both(program: str, **options: Any) -> Iterator[Recording]:
    """Gives recordings of the same run in Bochs and in QEMU: interrupts come at the same instructions."""
    bochs = record("bochs", program, **options)
    yield bochs
    yield record("qemu", program, turns=recording.turns(bochs), **options)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--emulator", choices=EMULATORS, default="bochs")
    parser.add_argument("--program", default="p_proc")
    parser.add_argument("--from", dest="start", default="start")
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--switches", type=int, default=8)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--output")
    parser.add_argument("--image")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    output = pathlib.Path(options.output or machines.BUILD / f"recording-{options.emulator}.json")
    if options.after < 0 or options.after & options.after - 1:
        parser.error(f"--after {options.after}: the log tells of switches 1, 2, 4, 8, ... only")
    if not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {output.parent}")
    if options.image and not pathlib.Path(options.image).is_file():
        parser.error(f"--image {options.image}: there is no such file")
    image: dict[str, Any] = {"image": pathlib.Path(options.image).resolve()} if options.image else {}
    ended = None
    try:
        made = record(options.emulator, programs.named(options.program).name, options.start, options.after,
                      options.switches, options.steps, options.all, **image)
    except Ended as early:
        made, ended = early.recorded, early
    except (machines.Missing, RuntimeError, OSError) as missing:
        print(f"record: {options.start} is not reached, or the run ends too early: {missing}", file=sys.stderr)
        return 1
    recording.check(made)
    recording.save(made, output)
    if ended:
        print(f"record: {ended}", file=sys.stderr)
    print(f"{len(made['steps'])} steps of {options.emulator} are in {output}")
    return 1 if ended else 0

"""A program's code as its ELF file tells it: text, symbol and source of each address.

    code = Code(programs.named("p_proc"))
    code.instruction(offset, 32)    its bytes and text
    code.symbol(offset)             "gate+0x3"
    code.look_up([offset, ...])     "p_proc.S:212", ...
    code.ahead(offset, 32)          how many steps lead through code that is known to follow
"""

import bisect
from collections.abc import Iterable, Iterator
import difflib
import functools
import itertools
import os
import pathlib
import re
import subprocess
from typing import NamedTuple

from ringside.emulators import machines
from ringside.emulators import versions
from ringside.recorder import programs

FAR_AHEAD = 64      # steps
ARCHITECTURES = {16: "i8086", 32: "i386"}
DIRECT = re.compile(r"(call|j\w+|loop\w*) +([0-9a-f]+)\b(?! *,)")     # to an address in the instruction
# These change segment, table or control registers, or whether interrupts and traps come; far transfers are among the others.
PREFIXES = r"((data|addr)(16|32) |[c-gs]s )*"
LOADS = re.compile(PREFIXES + r"((mov\w* .*,|pop\w* +)%([c-gs]s|cr\d)$|l[d-gs]s|lgdt|lidt|lldt|ltr|lmsw|clts|sti|popf|wrmsr)")
NEAR = re.compile(PREFIXES + r"(ret|call|jmp)\b")
SETS_BREAKPOINT = re.compile(r"mov\w* .*,%d[br]\d$")
# What follows these is not known from here: ret, iret, a far or an indirect transfer, int, and what waits.
OPEN_ENDED = re.compile(PREFIXES + r"(i?ret|l(ret|call|jmp)|call|jmp|int|sys|hlt|ud2|\?|\(bad\))")


Way = tuple[int, tuple[int, ...]]    # an offset, and where ret leads from there


class Instruction(NamedTuple):
    code: str       # its bytes, in hexadecimal
    text: str


class Code:
    """everything: nothing is folded but calls of the BIOS."""

    def __init__(self, program: programs.Program, elf: pathlib.Path | None = None, everything: bool = False) -> None:
        self.elf = elf or program.elf
        self.everything = everything
        self.scenery = (*programs.SCENERY, *program.scenery)
        self.scenery_functions = program.scenery_functions
        self.symbols = machines.symbols(self.elf)
        self.base = machines.linear_base(self.elf)
        self.linked_at = 0 if self.base == machines.BASE else self.base     # where the ELF file has offset 0
        self.functions = sorted((offset, name) for name, offset in self.symbols.items())
        self.texts = {bits: dict(self._disassemble(option)) for bits, option in ARCHITECTURES.items()}
        self.sets_breakpoints = any(SETS_BREAKPOINT.match(found.text) for found in self.texts[32].values())
        self.sources: dict[int, str] = {}
        self.symbol = functools.lru_cache(None)(self._symbol)
        self.folded = functools.lru_cache(None)(self._folded)
        self.ahead = functools.lru_cache(None)(self._ahead)

    def _disassemble(self, architecture: str, *limits: str) -> Iterator[tuple[int, Instruction]]:
        listing = subprocess.run(
            ["objdump", "-d", "-w", "-z", "-M", architecture, *limits, str(self.elf)],
            check=True, capture_output=True, text=True).stdout
        for offset, code, text in re.findall(r"^ *(\w+):\t([0-9a-f ]+)\t(.*)$", listing, re.M):
            yield self.offset_of(int(offset, 16)), Instruction(
                code.replace(" ", ""), versions.one_spelling(re.sub(r"\s+", " ", text.strip())))

    def instruction(self, offset: int, bits: int) -> Instruction:
        """Bytes and text. Behind code of the other width objdump may be out of step: there
        it starts again."""
        texts = self.texts[bits]
        if offset not in texts:
            start = (self.linked_at + offset) & machines.LINEAR
            again = self._disassemble(ARCHITECTURES[bits], f"--start-address={start}", f"--stop-address={start + 16}")
            texts.update(itertools.islice(again, 1))  # what follows may be cut short
        return texts.get(offset, Instruction("", "?"))

    def offset_of(self, linked: int) -> int:
        """Of an address that the ELF file has."""
        return (linked - self.linked_at) & machines.LINEAR

    def offset(self, name: str) -> int:
        if name not in self.symbols:
            near = difflib.get_close_matches(name, self.symbols, 5, 0.4)
            raise SystemExit(f"record: no symbol {name}; the nearest names: {', '.join(near) or 'none'}")
        return self.symbols[name]

    def _symbol(self, offset: int) -> str:
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
                ["addr2line", "-e", str(self.elf)],
                input="\n".join(hex((self.linked_at + offset) & machines.LINEAR) for offset in asked),
                check=True, capture_output=True, text=True).stdout.split("\n")
            for offset, line in zip(asked, lines):
                path, _, number = line.split(" ")[0].rpartition(":")
                name = os.path.normpath(path).removeprefix("/ringpong/")  # as SAME_NAMES in the Makefile has it
                self.sources[offset] = f"{name}:{number}"
        return [self.sources[offset] for offset in offsets]

    def is_scenery(self, offset: int) -> bool:
        if not self.sources:
            self.look_up(sorted({place for place, _ in self.functions}))
        name = self.symbol(offset)
        file = pathlib.Path(self.source(offset).rpartition(":")[0]).name
        return name in self.scenery_functions or file in self.scenery

    def _folded(self, offset: int, bits: int) -> str:
        """What is called there and not recorded: an interrupt of the BIOS, a function; or ""."""
        text = self.instruction(offset, bits).text
        if bits == 16 and text.startswith("int "):
            return text.replace("$", "")
        call = re.match(r"call \w+ <(\w+)>$", text)
        if call and not self.everything and self.is_scenery(self.symbols.get(call[1], 0)):
            return call[1]
        return ""

    def _ahead(self, offset: int, bits: int) -> tuple[int, bool]:
        """How many steps can be made from there, whichever way branches go, until code comes that
        is not recorded step by step, that is not known from here, or follows a load(). At least one, at most FAR_AHEAD.
        An exception or an interrupt leads elsewhere, of course. And whether the last of them is plain()."""
        ways: set[Way] = {(offset, ())}   # where one may be after so many steps, and where ret leads from there
        steps = 0
        while True:
            steps += 1
            found = [self._following(here, bits, callers) for here, callers in ways]
            following = set().union(*found)
            apart = any(self.apart(here, bits) for here, _ in following)
            if steps == FAR_AHEAD or not all(found) or apart or any(self.loads(here, bits) for here, _ in ways):
                return steps, all(self.plain(here, bits) for here, _ in ways)
            ways = following

    def _following(self, here: int, bits: int, callers: tuple[int, ...]) -> set[Way]:
        """What may come after an instruction; nothing, if that is not known."""
        code, text = self.instruction(here, bits)
        after = here + len(code) // 2
        if text == "ret" and callers:
            return {(callers[-1], callers[:-1])}
        direct = DIRECT.match(text)
        if direct is None:
            return set() if OPEN_ENDED.match(text) else {(after, callers)}
        target = self.offset_of(int(direct[2], 16))
        if direct[1] == "call":
            return {(target, (*callers, after))}
        return {(target, callers)} if direct[1] == "jmp" else {(target, callers), (after, callers)}

    def loads(self, offset: int, bits: int) -> bool:
        """Does what stands there change registers that are not asked for behind each step?"""
        return bool(LOADS.match(self.instruction(offset, bits).text))

    def plain(self, offset: int, bits: int) -> bool:
        """Does what stands there surely change none of them, unless there is an exception?"""
        text = self.instruction(offset, bits).text
        return not LOADS.match(text) and (bool(NEAR.match(text)) or not OPEN_ENDED.match(text))

    def apart(self, offset: int, bits: int) -> bool:
        """Is what stands there recorded in one step, or does it wait?"""
        text = self.instruction(offset, bits).text
        return bool(self.folded(offset, bits)) or text.startswith(("rep", "hlt", "?", "(bad)"))

"""Procs of our own in any ring 0: what it owes them, tried from ring 3.

    entry = beginning.first_of_ring_3(image)    where ring 3 begins, found by CPU state alone
    findings = Probe(emulator, image, entry, seed).run()

The code of every segment for ring 3 is replaced by a loop that asks for a switch, again and again; where
there are pages, the page of ring 3's first instruction is.
Before each way in the registers and flags are filled with random values, a different set each time;
who comes back must find every one of them. In between the kernel's tables are read as the CPU reads
them (reach.py). Nothing is asked of the kernel: no symbol, no log, no screen.
"""

import random
import time
from typing import NamedTuple

from ringside.emulators import machines
from ringside.emulators.registers import GENERAL, SEGMENTS, Registers
from ringside.laws import beginning, looks, reach, spaces
from ringside.laws.looks import IF, PAGE

SLOW, FAST = 24, 40         # switches tried while each is shown, and at full speed
BETWEEN = 0.15              # seconds of full speed in QEMU
BETWEEN_STEPS = 3_000_000   # the same in Bochs, in instructions
IN_RING_0 = 40              # instructions of a way in that are looked at one by one
NOP, POPF = b"\x90", b"\x9d"
LOADS = b"\x0f\xa9\x0f\xa1\x07\x1f\x61\x9d"     # pop gs, fs, es, ds; popa; popf
WAITS = b"\xeb\xfe"                             # jmp .
LOADED_WORDS = 13
LOADS_STEPS = 6
DIRECTIONS = 2              # with each of its paths
STOPS = 200                 # at places that are not waited for, on the way to one that is
DF, NT, IOPL = 0x400, 0x4000, 0x3000
FLAGS = 0x244cd5            # those that ring 3 may set as it likes: ID AC NT OF DF SF ZF AF PF CF
CR0_EM_TS = 0xc
SAVED_BYTES = 128           # at most, below where the way in begins to push
PUSHED_WORDS = 5            # by the CPU itself
SHUT = 100                  # instructions of a switch at full speed through a call gate, at most
COUNTED = 4                 # times as many instructions as a lab allows, until one is given up
CALLS = (0xe8, 0xff)
SYSENTER = b"\x0f\x34"
ESP_TO_ECX, TO_EDX = b"\x89\xe1", b"\xba"    # mov %esp, %ecx; mov $..., %edx
PUSH_0 = b"\x6a\x00"
LCALL = 0x9a                # behind it: an offset that a gate does not heed, and the gate's selector
EFLAGS_COMPARED = 0x247fd5  # without TF, RF, VM


class Finding(NamedTuple):
    """A law that was broken, in a sentence with both values, and after how many switches."""
    law: str
    said: str
    switch: int

    def __str__(self) -> str:
        return f"{self.law}: {self.said} (switch {self.switch})"


class Promised(NamedTuple):
    """What a kernel grants ring 3 on purpose."""
    registers: tuple[str, ...] = ()     # of a first start, beside esp: arguments
    ports: tuple[int, ...] = ()
    procs: int = 2                      # how many play
    instructions: int = 0               # of ring 0 in a switch at full speed, at most; 0: no matter
    vectors: tuple[int, ...] = ()       # doors for other things than a switch


LAWS = {
    "R1": "a proc that comes back has every register, flag, selector, base and limit that it left with",
    "S1": "a proc that starts knows nothing of ring 0: its registers are zero, but for what it was promised",
    "F1": "no way in of one proc overwrites a saved word of another that waits",
    "F2": "nothing at all overwrites a saved word of a proc that waits",
    "I1": "in ring 0 IF is 0",
    "P1": "no segment for ring 3, and no page where there are some, holds a byte of ring 0",
    "P2": "IOPL is 0 in ring 3",
    "P3": "IF is 1 in ring 3",
    "P4": "the FPU is shut in ring 3",
    "P5": "no segment of a proc holds a byte of another's, and no page that it may write is another's",
    "P6": "no port is open to ring 3 but those promised",
    "P7": "ring 3 may not write the code that it runs, where there are pages",
    "G1": "ring 3 may ask for int3, into and one door, and for nothing else",
    "B1": "as many procs play as the lab asks for",
    "T1": "all who play take turns",
    "D0": "DF is 0 when ring 0 calls C",
    "N1": "NT is 0 at an iret that switches no task, whatever the loader leaves in eflags",
    "D1": "#DF finds a stack that is good whatever has happened",
    "C1": "a switch takes no more instructions than the lab allows",
    "H1": "a proc comes back at all",
}


class _Site(NamedTuple):
    """Our loop at the end of a code segment: linear addresses."""
    loads: int      # takes all registers from its stack
    asks: int       # int or lcall; equal to waits if ring 3 cannot ask
    waits: int      # where those who come back are seen


class _Proc:
    """A program in ring 3, known by its segments and its stack."""

    def __init__(self, site: _Site, registers: Registers) -> None:
        self.site, self.left = site, registers
        self.top = 0                        # linear: where its way in begins to push
        self.saved: dict[int, int] = {}     # linear address and value of its words while it waits
        self.own = {(part.base, part.base + part.limit + 1) for part in (registers[name] for name in SEGMENTS)
                    if part.selector & ~3}  # what it is given at its start

    def is_it(self, site: _Site, registers: Registers) -> bool:
        return (site is self.site and registers["ss"].base == self.left["ss"].base
                and registers["esp"] == self.left["esp"] and registers["cr3"] == self.left["cr3"])


def _word(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


class Probe:
    """One run in one emulator."""

    def __init__(self, emulator: str, image: machines.Path, entry: int, seed: int,
                 promised: Promised = Promised(), model: str = "") -> None:
        self.promised, self.model = promised, model
        self.emulator, self.image, self.entry = emulator, image, entry
        self.dice = random.Random(seed)
        self.findings: list[Finding] = []
        self.procs: list[_Proc] = []
        self.turns: list[_Proc] = []
        self.sites: list[_Site] = []
        self.switch = 0
        self.looked_at: set[tuple[int, int]] = set()
        self.look_at_pages = False
        self.spaces: dict[int, dict[int, int]] = {}     # by cr3: the frames that ring 3 may write there
        self.directed = 0                   # ways in with DF = 1 that have been followed to C

    def found(self, law: str, said: str) -> None:
        if not any(finding.law == law and finding.said.split(" = ")[0] == said.split(" = ")[0] for finding in self.findings):
            self.findings.append(Finding(law, said, self.switch))

    def run(self) -> list[Finding]:
        with looks.EMULATORS[self.emulator](self.image, self.model) as self.machine:
            try:
                self._start()
                for _ in range(SLOW):
                    self._switch()
                self._full_speed()
                for _ in range(FAST):
                    self._switch()
                self._turns()
                if self.gate and self.emulator == "bochs":
                    self._shut()
                if self.promised.instructions and self.emulator == "bochs":    # QEMU is not yet at full speed
                    self._count()
            except machines.Missing as missing:
                self.found("H1", self._end(str(missing)))
        return self.findings

    # ---- the start

    def _start(self) -> None:
        machine = self.machine
        machine.run_to(beginning.PROGRAM_START, timeout=looks.LIMIT)
        self._leave_flag(NT)        # as some BIOS or DOS does
        try:
            machine.run_to(self.entry, timeout=looks.LIMIT)
        except machines.Missing:
            if self.emulator == "bochs":    # where it has been reached with NT = 0 (first_of_ring_3)
                self.found("N1", "with NT = 1 at the program's start ring 3 is never reached; with NT = 0 it is")
            raise
        registers = machine.look("begins")
        tables = reach.Tables(machine.read, registers)
        self.door, self.gate = reach.door(tables, self.promised.vectors), reach.call_gate(tables)
        page = self.entry & ~(PAGE - 1)
        self.paged = spaces.on(registers)
        self.fast = self.paged and self.door is None and not self.gate and SYSENTER in machine.read(page, PAGE)
        self.asking = self.door is not None or self.gate is not None or self.fast
        self.parameters = self.gate.parameters if self.gate else 0
        for law, says in (("G1", reach.doors(tables, self.promised.vectors)),
                          ("P6", reach.ports_open(tables, self.promised.ports)),
                          ("D1", reach.double_fault(tables))):
            for said in says:
                self.found(law, said)
        self.by_task = self.door is not None and tables.idt[self.door].type == reach.TASK_GATE
        self._replace(tables, {(page, page + PAGE)} if self.paged else self._code_of(tables))
        self._arrived(self._site_of(registers), registers)

    def _leave_flag(self, flag: int) -> None:
        """Sets a flag at the program's first byte, in real mode, by popf: Bochs' debugger sets no eflags. The popf stands
        below the stack: where it stood once Bochs goes on to see it.
        """
        machine = self.machine
        registers = machine.registers()
        stack, top = registers["ss"].base, registers["esp"]
        machine.write(stack + top - 4, POPF + NOP + (registers["eflags"] & 0xffff | flag).to_bytes(2, "little"))
        machine.set(esp=top - 2, eip=stack + top - 4 - registers["cs"].base)
        machine.step()
        machine.set(eip=registers["eip"])

    @staticmethod
    def _code_of(tables: reach.Tables) -> set[tuple[int, int]]:
        """All segments of code for ring 3, each up to where another begins: none of them is written over twice."""
        spans = {entry.span for table in (tables.gdt[1:], *tables.ldts()) for entry in table
                 if entry.present and entry.code and entry.dpl == 3}
        begins = {start for start, _ in spans}
        return {(start, min([end, *(other for other in begins if other > start)])) for start, end in spans}

    def _replace(self, tables: reach.Tables, spans: set[tuple[int, int]]) -> None:
        """Our loop in place of all code that is for ring 3: nops lead there from everywhere."""
        ask = bytes([reach.INT, self.door]) if self.door is not None else b""
        if self.gate:
            ask = bytes([LCALL]) + bytes(4) + (self.gate.selector + 3).to_bytes(2, "little")
        pushes = PUSH_0 * self.parameters
        if self.fast:       # where to go on, the one who asks keeps alone
            waits = min(end for _, end in spans) - len(WAITS)
            pushes, ask = ESP_TO_ECX + TO_EDX + (waits - tables.registers["cs"].base).to_bytes(4, "little"), SYSENTER
        back = b"\xeb" + bytes([256 - 2 - len(pushes + ask)]) if ask else WAITS
        loop = LOADS + pushes + ask + back
        for start, end in sorted(spans):
            if len(loop) <= end - start <= reach.CODE_BYTES:
                self.machine.write(start, NOP * (end - start - len(loop)) + loop)
                loads = end - len(loop)
                asks = loads + len(LOADS + pushes)
                self.sites.append(_Site(loads, asks, asks + len(ask)))
        if not self.sites:
            raise machines.Missing("ring 3 has no code segment of its own")

    def _site_of(self, registers: Registers) -> _Site:
        place = registers["cs"].base + registers["eip"]
        return next((site for site in self.sites if site.waits >= place > site.waits - reach.CODE_BYTES), self.sites[0])

    # ---- a switch

    def _switch(self) -> None:
        """From the one who has just been filled to the next who arrives."""
        machine, mine = self.machine, self.turns[-1]
        others = [proc for proc in self.procs if proc is not mine]
        if self.asking:
            machine.look("leaves")
            before = {proc: self._changed(proc) for proc in others}
            machine.step()
            machine.look("way in")
            self._way_in(mine)
            machine.look("way in")
            for proc in others:
                if changed := self._changed(proc) - before[proc]:
                    self._lost("F1", proc, changed, "the way in of another proc has overwritten it")
                elif before[proc]:
                    self._lost("F2", proc, before[proc], "something has overwritten it while it waits")
        self._on(mine)

    def _on(self, mine: _Proc) -> None:
        """From ring 0 to the next who arrives."""
        machine = self.machine
        self.switch += 1
        places = {place: site for site in self.sites for place in (site.loads, site.waits)
                  if self.asking or site is not mine.site}
        registers = machine.registers()
        place = registers["cs"].base + registers["eip"]
        if place not in places:     # else it has been followed there, step by step
            place = self._to(*places)
        registers = machine.look("arrives")
        self._save(mine)
        self._arrived(places[place], registers)

    def _to(self, *places: int) -> int:
        """To the first of some places; to which. Breakpoints stay where they are, if procs ask: to move them takes time."""
        if not self.asking:
            return int(self.machine.run_to(*places, timeout=looks.LIMIT))
        always = {place for site in self.sites for place in site}
        for _ in range(STOPS):
            place = int(self.machine.run_to(*always, timeout=looks.LIMIT))
            if place in places:
                return place
        raise machines.Missing(f"it comes to {place:x} again and again")

    def _way_in(self, proc: _Proc) -> None:
        """Behind the int, at ring 0's first instruction."""
        registers = self.machine.registers()
        if registers["cs"].selector & 3 == 3:
            asks = "sysenter" if self.fast else "lcall" if self.gate else f"int {self.door:#04x}"
            self.found("H1", f"{asks} leads nowhere: it stays in ring 3")
            return
        if registers["eflags"] & IF and not self.by_task and not self.gate:
            self.found("I1", "the first instruction of ring 0 has IF = 1; an interrupt may come in there, IF must be 0")
        if proc.left["eflags"] & DF and self.directed < DIRECTIONS:
            self.directed += 1
            self._direction()

    def _direction(self) -> None:
        for _ in range(IN_RING_0):
            registers = self.machine.look("in ring 0")
            if registers["cs"].selector & 3 == 3:
                return
            opcode = self.machine.opcode()
            if opcode[0] == 0xe8 or opcode[0] == 0xff and opcode[1] >> 3 & 7 == 2:
                if registers["eflags"] & DF:
                    self.found("D0", "ring 0 calls C with DF = 1, which is the proc's; it must be 0")
                return
            self.machine.step()

    # ---- who comes back

    def _arrived(self, site: _Site, registers: Registers) -> None:
        proc = next((proc for proc in self.procs if proc.is_it(site, registers)), None)
        if proc is None:
            proc = _Proc(site, registers)
            self._first(registers)
            self.look_at_pages = True
            self.procs.append(proc)
        else:
            self._compare(proc.left, registers)
        tables = reach.Tables(self.machine.read, registers)
        self._while_it_runs(proc, registers, tables)
        self.turns.append(proc)
        self._fill(proc, registers, tables)

    def _first(self, registers: Registers) -> None:
        """S1: all that it was not given is zero, DF and NT among it."""
        for name in GENERAL:
            if name != "esp" and registers[name] and name not in self.promised.registers:
                self.found("S1", f"a proc starts with {name} = {registers[name]:08x}; it must be 0")
        for flag, what in ((DF, "DF"), (NT, "NT")):
            if registers["eflags"] & flag:
                self.found("S1", f"a proc starts with {what} = 1; it must be 0")

    def _compare(self, left: Registers, now: Registers) -> None:
        """R1: everything is as it was left, but eip, which is behind the int."""
        for name in GENERAL:
            if left[name] != now[name]:
                self.found("R1", f"{name} = {now[name]:08x} when it comes back; it left with {left[name]:08x}")
        if (left["eflags"] ^ now["eflags"]) & EFLAGS_COMPARED:
            self.found("R1", f"eflags = {now['eflags']:08x} when it comes back; it left with {left['eflags']:08x}")
        for name in ("cs", "ss", "ds", "es", "fs", "gs"):
            was, is_ = left[name], now[name]
            if was.selector != is_.selector:
                self.found("R1", f"{name} = {is_.selector:04x} when it comes back; it left with {was.selector:04x}")
            elif was.selector & ~3 and (was.base, was.limit) != (is_.base, is_.limit):
                self.found("R1", f"{name} = {is_.selector:04x} as before, but its base and limit are {is_.base:x}, "
                                 f"{is_.limit:x}; they were {was.base:x}, {was.limit:x}")

    def _while_it_runs(self, proc: _Proc, registers: Registers, tables: reach.Tables) -> None:
        if registers["eflags"] & IOPL:
            self.found("P2", f"IOPL = {(registers['eflags'] & IOPL) >> 12} in ring 3; it must be 0")
        if not registers["eflags"] & IF:
            self.found("P3", "IF = 0 in ring 3; no interrupt can end its turn")
        if not registers["cr0"] & CR0_EM_TS:
            self.found("P4", "CR0 has EM = 0 and TS = 0 in ring 3; the FPU carries state from proc to proc")
        if self.paged:
            self._pages(registers, tables)
            return
        if (key := (tables.key(), len(self.procs))) in self.looked_at:     # the same tables say the same
            return
        self.looked_at.add(key)
        for said in reach.kernel_in_reach(tables):
            self.found("P1", said)
        self._others_in_reach(tables, proc)

    def _pages(self, registers: Registers, tables: reach.Tables) -> None:
        """P1, P5 and P7 where there are pages: when a space is new, and once more at the end."""
        if not self.look_at_pages and registers["cr3"] in self.spaces:
            return
        space = spaces.Space(self.machine.physical_memory, registers)
        self.look_at_pages = False
        for said in space.kernel_in_reach(tables):
            self.found("P1", said)
        for said in space.code_written(registers["cs"].base + registers["eip"]):
            self.found("P7", said)
        for cr3, own in self.spaces.items():
            if cr3 != registers["cr3"] and (both := space.own.keys() & own.keys()):
                frame = min(both)
                self.found("P5", f"the page at {space.own[frame]:08x} of the space at {registers['cr3']:x} = the frame at "
                                 f"{frame:x}; the space at {cr3:x} has it at {own[frame]:08x}")
        self.spaces[registers["cr3"]] = space.own

    def _others_in_reach(self, tables: reach.Tables, proc: _Proc) -> None:
        """P5, where each has an LDT of its own: else nothing says what is whose."""
        if not tables.ldt:
            return
        mine = {entry.span for entry in tables.loadable()}
        others = {entry.span for ldt in tables.ldts() if ldt != tables.ldt
                  for entry in ldt if entry.present and entry.memory and entry.dpl == 3}
        if len(self.procs) <= self.promised.procs:     # else one is taken for two
            others.update(*(other.own for other in self.procs if other is not proc))
        if len(others) > reach.MOST_LDTS * reach.MOST_SEGMENTS:
            raise reach.TooMany(f"{len(others)} segments belong to other procs")
        for own in sorted(mine):
            for span in sorted(others):
                if reach.overlap(own, span):
                    self.found("P5", f"a segment = {own[0]:x} to {own[1] - 1:x} is within reach; "
                                     f"{span[0]:x} to {span[1] - 1:x} belongs to another proc")

    def _fill(self, proc: _Proc, registers: Registers, tables: reach.Tables) -> None:
        """New values in all registers; then to the int."""
        machine, dice = self.machine, self.dice
        selectors = [0] + [entry.selector + 3 for entry in tables.loadable()
                           if not entry.code or entry.type & 2]     # what may be read
        selectors.append(registers["ss"].selector)
        flags = dice.getrandbits(32) & FLAGS | IF | 2  # with IOPL 3, popf would clear IF
        words = [dice.choice(selectors) for _ in range(4)] + [dice.getrandbits(32) for _ in range(8)] + [flags]
        room = 4 * LOADED_WORDS
        machine.set(esp=registers["esp"] - room, eip=proc.site.loads - registers["cs"].base)
        machine.write(registers["ss"].base + registers["esp"] - room, b"".join(word.to_bytes(4, "little") for word in words))
        registers = self._at_the_ask(proc)
        proc.left = self._without_parameters(registers)
        proc.saved, proc.top = {}, tables.esp0()

    def _at_the_ask(self, proc: _Proc) -> Registers:
        """On from its loads: these are few instructions, unless an interrupt comes in between."""
        machine = self.machine
        if isinstance(machine, looks.AskedBochs):
            machine.step(LOADS_STEPS + (2 if self.fast else self.parameters))
            registers: Registers = machine.look("filled")
            if registers["cs"].base + registers["eip"] == proc.site.asks:
                return registers
        self._to(proc.site.asks)
        found: Registers = machine.look("filled")
        return found

    def _without_parameters(self, registers: Registers) -> Registers:
        """As it is to come back: lret takes a call gate's parameters off the stack of ring 3."""
        return {**registers, "esp": registers["esp"] + 4 * self.parameters}

    # ---- where it waits

    def _save(self, proc: _Proc) -> None:
        """Where its words lie now that another runs: found by their values, which are like no others."""
        if not self.asking or self.by_task:
            return
        raw = self.machine.read(proc.top - SAVED_BYTES, SAVED_BYTES)
        words = [_word(raw[at:at + 4]) for at in range(0, SAVED_BYTES, 4)]
        values = {proc.left[name] for name in GENERAL if name != "esp"}
        lowest = next((place for place, word in enumerate(words) if word in values), len(words) - PUSHED_WORDS)
        start = proc.top - SAVED_BYTES
        proc.saved = {start + 4 * place: words[place] for place in range(lowest, len(words))}

    def _changed(self, proc: _Proc) -> frozenset[int]:
        if not proc.saved:
            return frozenset()
        start = min(proc.saved)
        raw = self.machine.read(start, max(proc.saved) + 4 - start)
        return frozenset(place for place, value in proc.saved.items() if _word(raw[place - start:place - start + 4]) != value)

    def _lost(self, law: str, proc: _Proc, places: frozenset[int], why: str) -> None:
        place = min(places)
        self.found(law, f"the word at {place:x} = {_word(self.machine.read(place, 4)):08x} now; a waiting proc had "
                        f"{proc.saved[place]:08x} there, and {why}")

    # ---- the rest

    def _full_speed(self) -> None:
        """Many switches without a look: after them the kernel shows none, and takes its fast path."""
        self.directed = 0
        if isinstance(self.machine, looks.AskedBochs):
            self.machine.run_steps(BETWEEN_STEPS, looks.LIMIT)
        else:
            self.machine.go()
            time.sleep(BETWEEN)
            self.machine.halt()
        places = {site.asks: site for site in self.sites}
        place = self._to(*places)
        registers = self._without_parameters(self.machine.registers())
        proc = next((proc for proc in self.procs if proc.is_it(places[place], registers)), None)
        if proc is None:
            self.found("R1", f"esp = {registers['esp']:08x} at full speed; no proc has left with that")
            return
        self._compare(proc.left, registers)
        self.turns = [proc]
        self.look_at_pages = True
        for other in self.procs:
            other.saved = {}        # they have come and gone since

    def _turns(self) -> None:
        """T1: of as many turns as there are procs, none is another's."""
        there, wanted = len(self.procs), self.promised.procs
        if there < wanted:
            self.found("B1" if wanted > 2 else "T1", f"{there} procs had turns; there must be {wanted}")
            return
        for number in range(len(self.turns) - wanted + 1):
            if len({id(proc) for proc in self.turns[number:number + wanted]}) < wanted:
                self.found("T1", "the same proc came twice in a row; they must alternate" if wanted == 2 else
                                 f"of {wanted} turns in a row two are the same proc's; each must have one")
                return

    def _count(self) -> None:
        """C1: from one proc's int to the next in ring 3, of each. A switch that is shown is longer: then it is asked again."""
        allowed = self.promised.instructions
        for _ in self.procs:
            count = self._ring_0()
            if count > allowed:
                for _ in self.procs[1:]:
                    self._ring_0()
                count = min(count, self._ring_0())
            if count > allowed:
                self.found("C1", f"a switch at full speed takes {count} instructions of ring 0; {allowed} are allowed")
                return

    def _shut(self) -> None:
        """I1 behind a call gate, which leaves IF as it is: ring 0 shuts interrupts out with its first instruction, and lets
        them in with its last but one."""
        for _ in self.procs:
            machine, open_at = self.machine, list[int]()
            machine.step()
            for number in range(SHUT):
                registers = machine.registers()
                if registers["cs"].selector & 3 == 3:
                    if inside := [place for place in open_at[:-1] if place]:
                        self.found("I1", f"ring 0 has IF = 1 at {inside[0]:x}, {open_at.index(inside[0])} instructions "
                                         "behind its first; an interrupt may come in there, IF must be 0 up to the last")
                    break
                open_at.append(registers["cs"].base + registers["eip"] if number and registers["eflags"] & IF else 0)
                machine.step()
            machine.run_to(*(site.asks for site in self.sites), timeout=looks.LIMIT)

    def _ring_0(self) -> int:
        """The instructions of ring 0 in one switch, its iret among them; the next proc then stands at its int."""
        count = 0
        self.machine.step()
        while self.machine.registers()["cs"].selector & 3 != 3 and count < COUNTED * self.promised.instructions:
            self.machine.step()
            count += 1
        self.machine.run_to(*(site.asks for site in self.sites), timeout=looks.LIMIT)
        return count

    def _end(self, missing: str) -> str:
        """What it does instead of coming back to ring 3."""
        what = missing.partition("\n")[0]
        if what.startswith(("QEMU hung up", "QEMU ended")):
            return "the machine resets: a fault in a fault in a fault, or ring 0 asks for it"
        if "shutdown" in missing.lower():
            return "a fault in a fault in a fault: the CPU shuts down"
        if "halts at" in what or "in the machine" in what:
            return f"no proc comes back to ring 3: {what}"
        return f"no proc comes back to ring 3 within {looks.LIMIT} seconds: {what}"

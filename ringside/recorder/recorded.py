"""Both emulators as the recorder wants them: they step, and tell what happened meanwhile."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import collections
import itertools
import re
from typing import Any, NamedTuple

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators.debuggers import Places
from ringside.emulators.registers import Registers
from ringside.recorder import trace
from ringside.recorder.code import Code
from ringside.recorder.pages import PAGE, PG
from ringside.recorder.recording import Access, State

# How often a clock ends a turn in Bochs: times a second, as it is set for the first, second, ...
# time; and in QEMU: after so many instructions in ring 3.
CLOCK = range(12000, 16000, 700)
TURN = 41
LOOKS = 100  # at the game, each of which sets the clock: no place is further away
DATE = "2001-09-09T01:46:40"  # second 1,000,000,000
TF, IF = 1 << 8, 1 << 9     # of eflags
PE = 1                      # of cr0
WIDE = 0x400000             # of a descriptor: its D bit
SECONDS = 20                # that Bochs may take for a script


class Recorded(debuggers.Handles):
    """What the recorder wants of an emulator besides. clock: the program's, see programs.py."""

    code: Code      # the program's

    def _begin(self, clock: str) -> None:
        self.clock, self.frequencies = clock, itertools.cycle(CLOCK)
        self.quick = not clock              # Bochs' way, see trace.py
        self.interrupt: int | None = None   # its vector, if the last step was one
        self.walks: list[Access] = []       # of page tables, in the last step

    def step_with_accesses(self, state: State) -> list[Access] | None:
        """One step; the memory accesses in it, None if the emulator does not tell them."""
        raise NotImplementedError

    def stored(self, address: int, size: int) -> bytes:
        """Physical memory behind the last step."""
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


class _Begun(NamedTuple):
    """Steps that Bochs was told to make."""
    registers: Registers    # in front of them
    moments: Callable[[str, Registers], Iterable[trace.Moment]]     # what it says, read


class RecordedBochs(Recorded, debuggers.DebuggedBochs):  # type: ignore[misc]  # see debuggers.DebuggedBochs
    """Bochs, which tells the accesses inside each instruction.

    Questions cost more than answers here. So a script of commands makes as many steps as surely
    follow one another (Code.ahead), and asks for all registers behind each; what it prints are Moments,
    which step_with_accesses gives out one by one. The program's memory is read once; from then on
    it is kept up to date by what the steps write, until the machine runs on by itself. While its Moments
    are given out, Bochs is at the next script already, if steps are what comes next.
    """

    # Of memory: the program's segment, and what a window on the stack has behind it.
    KEPT = range(machines.BASE, 2 * machines.BASE + 0x1000)

    def __init__(self, clock: str, turns: Iterable[int], **options: Any) -> None:    # turns: QEMU's alone
        super().__init__(**options)
        self._begin(clock)
        self.others: dict[int, bytearray] = {}  # and other pages of physical memory
        self.here: Registers | None = None      # where the last step has led
        self.memory: bytearray | None = None    # KEPT, then
        self.coming: collections.deque[trace.Moment] = collections.deque()
        self.begun: _Begun | None = None        # a script that Bochs is at, behind these
        self.ended: machines.Missing | None = None  # behind all these
        self.watched = ""                       # how the quick way has begun, if Bochs traces it
        self.scripts: dict[str, str] = {}       # their files, by what is in them

    def cmd(self, line: str, timeout: float = 20) -> str:
        """The machine may go on, or be changed: what is known of it is not so any more."""
        self._finish()
        self._be_quiet()
        assert not self.coming, f"the machine is {len(self.coming)} steps ahead: too late for {line}"
        self.here = self.memory = None
        self.others.clear()
        return super().cmd(line, timeout)

    def cmds(self, lines: Sequence[str], timeout: float = 20) -> str:
        """They do not let the machine run, but some change it."""
        self._finish()
        self.here = self.memory = None
        self.others.clear()
        return super().cmds(lines, timeout)

    def registers(self) -> Registers:
        if self.here is None:
            here = super().registers()
            self.here = here
        return self.here

    def read(self, address: int, size: int) -> bytes:
        """Memory behind the last step."""
        for edge in (self.KEPT.start, self.KEPT.stop):
            if address < edge < address + size:
                return self.read(address, edge - address) + self.read(edge, address + size - edge)
        if address < self.KEPT.start or address + size > self.KEPT.stop:
            self._finish()
            end = address + size
            late = [place for moment in self.coming for place, data in moment.writes
                    if place < end and address < place + len(data)]
            if late and self.quick:
                raise trace.NotTold(f"memory at {late[0]:#x}")
            if late:
                raise machines.Missing(f"memory at {late[0]:#x} is outside the program, and written to before it was read")
            return self._read(address, size)
        if self.memory is None:
            read = self._dump if self.registers()["cr0"] & PG else self._read   # pages lie where programs put them
            self.memory = bytearray(read(self.KEPT.start, len(self.KEPT)))
        return bytes(self.memory[address - self.KEPT.start:address + size - self.KEPT.start])

    def stored(self, address: int, size: int) -> bytes:
        if address >= self.KEPT.start and address + size <= self.KEPT.stop:
            return self.read(address, size)
        found = b""
        while len(found) < size:
            page, skip = divmod(address + len(found), PAGE)
            if page not in self.others:
                self.others[page] = bytearray(self._dump(PAGE * page, PAGE))
            found += bytes(self.others[page][skip:skip + size - len(found)])
        return found

    def _dump(self, address: int, size: int) -> bytes:
        """Physical memory, whatever the page tables say."""
        words = re.findall(r"\t(0x[0-9a-f]+)", super().cmd(f"xp /{size // 4}wx {address:#x}"))
        return b"".join(int(word, 16).to_bytes(4, "little") for word in words)

    def _read(self, address: int, size: int) -> bytes:
        super().cmd(f'writemem "memory" {address:#x} {size:#x}')
        return (self.dir / "memory").read_bytes()

    def step_with_accesses(self, state: State) -> list[Access]:
        if not self.coming:
            self._trace()
        return self._take().accesses

    def _take(self) -> trace.Moment:
        """Goes to the next of the moments that have been traced."""
        moment = self.coming.popleft()
        self.here, self.interrupt, self.walks = moment.registers, moment.interrupt, moment.walks
        assert self.memory is not None
        for place, data in moment.writes:
            if self.KEPT.start <= place <= self.KEPT.stop - len(data):
                self.memory[place - self.KEPT.start:place + len(data) - self.KEPT.start] = data
            elif place // PAGE in self.others:
                self.others[place // PAGE][place % PAGE:place % PAGE + len(data)] = data
        return moment

    def _trace(self) -> None:
        """Makes steps, at least one."""
        if self.ended:
            raise self.ended
        if not self.begun:
            self.read(self.KEPT.start, 1)   # so that all of it is there
            self._begin_steps(self.registers())
        self._finish()
        if not self.coming:
            raise self.ended or machines.Missing(f"Bochs' debugger does not tell a step: {self.text[:500]}")
        last = self.coming[-1].registers
        if self.quick and not self.ended and not last["cr0"] & PG and not self.code.apart(*self._next(last)):
            self._begin_steps(last)

    def _next(self, now: Registers) -> tuple[int, int]:
        """Offset in the program of what comes next, and the bits of its segment."""
        return now["cs"].base + now["eip"] - machines.BASE & machines.LINEAR, 32 if now["cs"].flags & WIDE else 16

    def _begin_steps(self, now: Registers) -> None:
        """Has Bochs make as many as are known to follow; _finish() reads what it says."""
        paging = bool(now["cr0"] & PG)  # whose tables are read between the steps
        interrupts = bool(now["eflags"] & IF)
        steps, plain = (1, False) if paging else self.code.ahead(*self._next(now))
        quick = self.quick and not paging and now["cr0"] & PE and not now["eflags"] & TF and not self.code.sets_breakpoints
        if not quick:
            self._be_quiet()
        self.text = ""  # what came before is of no use, and adding to it would take ever longer
        if not quick:
            self.begun = _Begun(now, trace.moments)
            self._send_script(trace.script(steps, interrupts, paging))
            return
        self.begun = _Begun(now, trace.quick_moments)
        watched = trace.watched(now)
        if plain and watched == self.watched:
            self.send(f"s {steps}")
            return
        begin = "" if watched == self.watched else (trace.OFF if self.watched else "") + watched
        self.watched = watched
        self._send_script(f"{begin}s {steps}\n{'' if plain else trace.ASK}")

    def _send_script(self, script: str) -> None:
        if script not in self.scripts:
            self.scripts[script] = f"./{len(self.scripts)}"
            (self.dir / self.scripts[script]).write_text(script)
        self.send(f"source {self.scripts[script]}")

    def _be_quiet(self) -> None:
        """No trace, nor watchpoints: the machine is going to run on."""
        if self.watched:
            self.watched = ""
            super().cmds(trace.OFF.splitlines())

    def _finish(self) -> None:
        """Waits for the steps that Bochs is at, and adds them to those that are coming."""
        if not self.begun:
            return
        begun, self.begun = self.begun, None
        try:
            self._until_prompt(0, "steps", SECONDS)
            if trace.wants_segments(self.text) and trace.END not in self.text:
                super().cmds(trace.ASK.splitlines())
        except machines.Missing as missing:
            self.ended = missing
        self.coming.extend(begun.moments(self.text, begun.registers))

    def _run_to(self, places: Places, timeout: float) -> int:
        """Through what has been traced already, then on."""
        while self.coming or self.begun:
            self._finish()
            now = self._take().registers
            here: int = now["cs"].base + now["eip"]
            if here in places:
                return here
        if self.ended:
            raise self.ended
        return self._run(places, timeout)

    def _run(self, places: Places, timeout: float) -> int:
        """On to one of these places, and all that is asked there, as one script: to read a line costs Bochs more than
        most commands, and more the longer it is."""
        memory = self.dir / "memory"
        memory.unlink(missing_ok=True)
        breakpoints, quiet = self._breakpoint_commands(places), trace.OFF.splitlines() if self.watched else []
        (self.dir / "run").write_text("\n".join([
            *quiet, *breakpoints, "c", "r", "sreg", "creg", f'writemem "memory" {self.KEPT.start:#x} {len(self.KEPT):#x}', ""]))
        self.watched = ""
        said = self.cmd("source ./run", timeout)
        if breakpoints:
            self._take_breakpoints(said)
        place = self._place_in(said)
        self.here = self._registers_in(said[said.rindex(" Breakpoint "):])
        if not self.here["cr0"] & PG:
            self.memory = bytearray(memory.read_bytes())
        return place


class RecordedQemu(Recorded, debuggers.DebuggedQemu):
    """QEMU, in a time of its own: one microsecond an instruction, from the same date on as Bochs.

    While one steps, it keeps interrupts away, unless it is told otherwise. And at each stop
    its time leaps to where the next timer is due. So a clock interrupts wherever one lets it.
    """

    PHYSICAL = "Qqemu.PhyMemMode:"
    LET_IN, KEEP_AWAY = "Qqemu.sstep=0x1", "Qqemu.sstep=0x7"

    def __init__(self, clock: str, turns: Iterable[int], **options: Any) -> None:
        super().__init__(extra=("-rtc", f"base={DATE},clock=vm"), **options)
        self._begin(clock)
        self.turns: Iterator[int | None] = itertools.chain(turns, itertools.repeat(TURN)) if clock else itertools.repeat(None)
        self.left = next(self.turns)  # instructions in ring 3 until a clock may interrupt

    def stored(self, address: int, size: int) -> bytes:
        self._ask(f"{self.PHYSICAL}1")
        found = self.read(address, size)
        self._ask(f"{self.PHYSICAL}0")
        return found

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
            ways = [vector for vector, gate in enumerate(state["idt"]) if trace.offset_of(int(gate, 16)) == now["eip"]]
            if ways and ways[0] in trace.HARDWARE:
                self.interrupt, self.left = ways[0], next(self.turns)


EMULATORS: dict[str, Callable[..., Recorded]] = {"bochs": RecordedBochs, "qemu": RecordedQemu}

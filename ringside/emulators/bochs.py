"""Bochs' debugger: its prompt, or one script from beginning to end."""

from collections.abc import Iterable, Sequence
import functools
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
from typing import IO, NamedTuple

from ringside.emulators import versions
from ringside.emulators.machine import CannotStart, Machine, Missing, log_lines, tail, wait
from ringside.emulators.places import FLOPPY, ROOT, Path
from ringside.emulators.registers import Registers, Segment, Table, cpl_of, segments_of_bochs

BOCHS_MODELS = {"sysenter": "p3_katmai"}    # for programs that want a younger CPU than bochsrc has; scripts/bochs knows them too


@functools.lru_cache(None)
def bochs_models() -> list[str]:
    """The names of the CPUs that it can be, the oldest first."""
    run = subprocess.run(["bochs", "--help", "cpu"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return re.findall(r"^[a-z]\w+$", run.stderr + run.stdout, re.M)


def _bochs_command(directory: pathlib.Path, script: str | None, image: Path, magic: bool, options: Iterable[str]) -> list[str]:
    """The bochsrc that people use, as fast as the host can and the same at any hour.

    The image goes by a link, because its own path may hold what means something to Bochs. What it is told
    at its prompt may be a file of its own folder, where it is at home; so build/ of bochsrc is a link, too.
    """
    (directory / "build").symlink_to(ROOT / "build")
    (directory / "floppy.img").symlink_to(pathlib.Path(image).resolve())
    return ["bochs", "-q", *versions.bochs_debugger(), "-f", str(ROOT / "bochsrc"), *(["-rc", script] if script else []),
            "display_library: term", "clock: sync=none, time0=1000000000", "cpu: ips=1000000",
            f"floppya: 1_44={directory}/floppy.img, status=inserted, write_protected=1",
            f"magic_break: enabled={int(magic)}", f"log: {directory}/bochs.log", *options]


AT_ONCE = 1 << 20       # bytes that are read
SCRIPT = "said"         # in the machine's folder, where Bochs is at home
SOURCE = f"source {SCRIPT}"
PROMPT_BYTES = 20       # more than a prompt has
MORE_SECONDS = 0.0002   # for more output to come: Bochs writes each line by itself, which costs it more when it wakes us


class _BochsMachine(Machine):
    """Bochs with its output gathered in self.text."""

    def __init__(self, image: Path, magic: bool, options: Iterable[str], script: str | None = None,
                 stdin: int = subprocess.DEVNULL) -> None:
        super().__init__()
        self.text = ""
        # TERM must be one that ncurses knows, though it never gets to a terminal.
        try:
            self._start(_bochs_command(self.dir, script, image, magic, options), stdin=stdin,
                        stdout=subprocess.PIPE, cwd=self.dir, env={**os.environ, "TERM": "dumb"})
        except BaseException:
            super().close()
            raise
        os.set_blocking(self._pipe.fileno(), False)

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdout
        return self.process.stdout

    def _output(self) -> str:
        try:
            data = os.read(self._pipe.fileno(), AT_ONCE)    # once: who lists crossings may print more for ever
        except BlockingIOError:
            return self.text
        self.text += data.decode(errors="replace")
        return self.text

    def close(self) -> None:
        super().close()
        self._pipe.close()


def bochs_cpu(model: str) -> list[str]:
    """Options for another model. Bochs 3's own BIOS asks cpuid, which an i386 does not have; the older one does not."""
    legacy = ["romimage: file=$BXSHARE/BIOS-bochs-legacy"] if model == "i386" else []
    return [f"cpu: model={model}, ips=1000000", *legacy]


class Bochs(_BochsMachine):
    """The prompt of Bochs' debugger. Names in commands stand in quotes: cmd('x /6wx "tss"')."""

    _LAST_PROMPT = re.compile(r"<bochs:\d+>  ?$")

    def __init__(self, image: Path = FLOPPY, magic: bool = True, options: Iterable[str] = ()) -> None:
        super().__init__(image, magic, options, stdin=subprocess.PIPE)
        try:
            self._until_prompt(0, "the first", 10)
        except Missing as missing:
            self.close()
            raise CannotStart(str(missing)) from None
        except BaseException:
            self.close()
            raise

    def _until_prompt(self, start: int, after: str, timeout: float) -> re.Match[str]:
        """Waits for a prompt with nothing behind it."""
        def attempt() -> re.Match[str] | None:
            before = len(self.text)
            alive = self.alive()
            if self._output().endswith(" ") and (
                    found := self._LAST_PROMPT.search(self.text, max(start, len(self.text) - PROMPT_BYTES))):
                return found
            if not alive and len(self.text) == before:
                raise Missing(f"Bochs ended after: {after}\n{self._evidence()}")
            if len(self.text) > before:
                time.sleep(MORE_SECONDS)
            return None
        return wait(f"the prompt after: {after}", attempt, timeout, self._evidence,
                    output=self._pipe)

    def send(self, line: str, end: str = "\n") -> None:
        """Sends a line and does not wait; for `c` when wait_log() or stop() follow."""
        assert self.process.stdin
        self.process.stdin.write((line + end).encode())
        self.process.stdin.flush()

    def send_all(self, lines: Sequence[str]) -> None:
        """Sends lines of which one prompt comes back, behind the last. Of what it is sent Bochs reads each letter by itself,
        with some ten calls of the system's; of a file it does not. And at each hlt it sleeps a millisecond for lack of
        something to read: so there is something, of which the next line does not mind that it stands before it.
        """
        said = lines[0]
        if len(lines) != 1 or len(said) > len(SOURCE):
            (self.dir / SCRIPT).write_text("".join(f"{line}\n" for line in lines))
            said = SOURCE
        self.send(f"{said}\n ", end="")

    def cmd(self, line: str, timeout: float = 20) -> str:
        """One command; returns what Bochs, and the guest, printed up to the next prompt."""
        start = len(self._output())
        self.send_all([line])
        prompt = self._until_prompt(start, line, timeout)
        return self.text[start:prompt.start()].removeprefix(" ").removeprefix(line + "\n").removeprefix(SOURCE + "\n")

    def cmds(self, lines: Sequence[str], timeout: float = 20) -> str:
        """Several commands in one go, of which none lets the guest run; what Bochs printed."""
        start = len(self._output())
        self.send_all(lines)
        prompt = self._until_prompt(start, lines[-1], timeout)
        return self.text[start:prompt.start()]

    def stop(self, timeout: float = 10) -> str:
        """Stops a running guest, as Ctrl-C does; returns what was printed."""
        start = len(self._output())
        self.process.send_signal(signal.SIGINT)
        prompt = self._until_prompt(start, "Ctrl-C", timeout)
        return self.text[start:prompt.start()]

    def run_to(self, where: str | int, timeout: float = 20) -> str:
        """Runs to a name or linear address; returns what was printed on the way."""
        self.cmd("lb " + self._place(where))
        number = re.findall(r"^ *(\d+) lbreakpoint", self.cmd("blist"), re.M)[-1]
        out = self.cmd("c", timeout)
        self.cmd("d " + number)
        if f"Breakpoint {number}," not in out:
            raise Missing(f"Bochs stopped before {where}:\n{tail(out)}")
        return out

    @staticmethod
    def _place(where: str | int) -> str:
        return f'"{where}"' if isinstance(where, str) else hex(where)

    def x(self, where: str | int, count: int = 1, unit: str = "w") -> list[int]:
        """Numbers in memory, of bytes (b), halfwords (h) or words (w), at a name or linear address."""
        out = self.cmd(f"x /{count}{unit}x {self._place(where)}")
        numbers = re.findall(r"\t(0x[0-9a-f]+)", out)
        if len(numbers) != count:
            raise Missing(f"x {where}: {out}")
        return [int(number, 16) for number in numbers]

    def regs(self) -> dict[str, int]:
        """eax … eip, eflags as numbers."""
        return self._regs_in(self.cmd("r"))

    @staticmethod
    def _regs_in(out: str) -> dict[str, int]:
        found = {"e" + name: int(low, 16)
                 for name, low in re.findall(r"\br([a-z]{2}): *[0-9a-f]{8}_([0-9a-f]{8})", out)}
        found["eflags"] = int(re.findall(r"eflags:? 0x([0-9a-f]+)", out)[0], 16)
        return found

    def sreg(self) -> dict[str, Segment | Table]:
        """cs … gs, tr, ldtr as Segments; gdtr, idtr as Tables."""
        return segments_of_bochs(self.cmd("sreg"))

    def registers(self) -> Registers:
        """All of them, with the names and in the shape of Qemu.registers()."""
        return self._registers_in(self.cmds(("r", "sreg", "creg")))

    def _registers_in(self, out: str) -> Registers:
        """out: what these three commands have printed."""
        controls = {name.lower(): int(value, 16) for name, value in re.findall(r"^(CR\d)=.*?0x([0-9a-f]+)", out, re.M)}
        found: Registers = {**self._regs_in(out), **segments_of_bochs(out), **controls}
        found["cpl"] = cpl_of(found)
        return found


class Result(NamedTuple):
    out: str            # all that was printed
    log: list[str]      # the guest's lines


def bochs(commands: Iterable[str], image: Path = FLOPPY, timeout: float = 30, until: str | None = None, magic: bool = True,
          options: Iterable[str] = ()) -> Result:
    """Runs debugger commands to their end, or until a line of the output has a pattern.

    Returns a result with .out, everything that was printed, and .log, the guest's lines.
    Bochs' exit code says nothing: judge by these.
    """
    with tempfile.NamedTemporaryFile("w", prefix="rp-", suffix=".rc") as script:
        script.write("\n".join(commands) + "\nq\n")
        script.flush()
        with _BochsMachine(image, magic, options, script.name) as machine:
            def attempt() -> str | None:
                alive = machine.alive()
                output = machine._output()
                # To the line's end and no further, so that no race decides what is seen.
                seen = until and re.search(f"(?:{until}).*\n", output)
                if not seen and not alive and until:
                    raise Missing(f"/{until}/ did not come\n{machine._evidence()}")
                if seen:
                    return output[:seen.end()]
                return None if alive else output
            what = f"/{until}/" if until else "the end of the script"
            out = wait(what, attempt, timeout, machine._evidence)
    return Result(out, log_lines(out))

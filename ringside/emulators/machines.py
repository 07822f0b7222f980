"""QEMU and Bochs as the tests drive them: from outside, with the image that ships.

Qemu    a running machine: log, screen, keys, memory, registers, GDB
Bochs   the debugger's prompt: commands, registers, memory, checkpoints
bochs() one debugger script from beginning to end
"""

from collections.abc import Callable, Iterable, Sequence
import functools
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any, IO, NamedTuple, TypeVar

from ringside.emulators import versions
from ringside.emulators.registers import Registers, Segment, Table, cpl_of, of_qemu, segments_of_bochs

Path = str | os.PathLike[str]

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
FLOPPY = BUILD / "floppy.img"
PROGRAM = BUILD / "p_proc.elf"
VERSION = re.findall(r'VERSION\t"(.*)"', (ROOT / "show/version.h").read_text())[0]
FLOPPY_BYTES = 1440 * 1024
BASE = 0x10000  # linear address of a program's offset 0 when the floppy booted it
BOCHS_MODELS = {"sysenter": "p3_katmai"}    # for programs that want a younger CPU than bochsrc has; scripts/bochs knows them too
LINEAR = 0xFFFFFFFF  # of linear addresses: they go on at 0 behind it

# For files that come and go, unless the user has a place for them: a folder that costs no disk, where
# there is one.
IN_MEMORY = "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None


class Missing(AssertionError):
    """What was waited for did not come. The message says what came instead."""


class CannotStart(Missing):
    """An emulator did not get as far as its first instruction: that says nothing of the guest."""


# ---- what a run leaves behind

def fields(line: str) -> dict[str, str]:
    """The keys of a log line: 'switch n=1 to=B' -> {'n': '1', 'to': 'B'}."""
    pairs = re.findall(r'(\S+?)=("[^"]*"|\S*)', line)
    return {key: value.strip('"') for key, value in pairs}


def log_lines(text: str) -> list[str]:
    """The guest's own complete lines, picked out of what a debugger said between them."""
    pattern = r"^(?:boot|switch|fault|end|panic|quit)\b.*$|^[a-z]+ [a-z][a-z0-9:]*=.*$"
    complete = text.replace("\r", "").rpartition("\n")[0]
    return re.findall(pattern, complete, re.M)


def linked(elf: Path) -> dict[str, int]:
    """Every name of a program, and its value."""
    listing = subprocess.run(["nm", str(elf)], check=True, capture_output=True, text=True)
    entries = (line.split() for line in listing.stdout.splitlines())
    return {entry[2]: int(entry[0], 16) for entry in entries if len(entry) == 3}


def symbols(elf: Path = PROGRAM) -> dict[str, int]:
    """Every name of a program and its offset: from where the program begins, whatever linear address that has."""
    names = linked(elf)
    begin = names.get("program_segment", 0)
    return {name: (value - begin) & LINEAR for name, value in names.items()}


def linear_base(elf: Path = PROGRAM) -> int:
    """The linear address of a program's offset 0 while it plays: BASE, or what it is linked for if it has pages."""
    return linked(elf).get("program_segment", 0) or BASE


def sym(name: str, elf: Path = PROGRAM) -> int:
    """A name's offset in the program; add BASE for its linear address."""
    return symbols(elf)[name]


@functools.lru_cache(None)
def _that_starts(program: str, version: int) -> bytes:
    """The bytes of the floppy that starts another of its programs, as scripts/mkfloppy makes it."""
    with tempfile.TemporaryDirectory(prefix="rp-", dir=IN_MEMORY) as folder:
        path = pathlib.Path(folder, "floppy.img")
        subprocess.run(["sh", ROOT / "scripts/mkfloppy", "--program", program.upper(), FLOPPY, path], check=True)
        return path.read_bytes()


def that_starts(program: str) -> bytes:
    """The bytes of the floppy that starts another of its programs: "kstack"."""
    return _that_starts(program, FLOPPY.stat().st_mtime_ns)


def write_image(path: Path, data: bytes | bytearray) -> None:
    """A file whose zeroes at the end, most of a floppy, take no room."""
    with open(path, "wb") as file:
        file.write(data.rstrip(b"\0"))
        file.truncate(len(data))


def floppy_that_starts(program: str, path: Path) -> pathlib.Path:
    """A copy of the floppy, at path, that starts another of its programs."""
    write_image(path, that_starts(program))
    return pathlib.Path(path)


def by_name(command: Sequence[Path]) -> list[Path]:
    """A command, with its interpreter in front if it is a script: a checkout may have lost its execute bits."""
    path = ROOT / command[0]
    with path.open("rb") if path.is_file() else open(os.devnull, "rb") as file:
        first = file.readline()
    return [*first[2:].decode().split(), *command] if first.startswith(b"#!") else list(command)


Found = TypeVar("Found")
This = TypeVar("This", bound="Machine")


def _tail(text: str, lines: int = 25) -> str:
    return "\n".join(text.splitlines()[-lines:])


def _wait(what: str, attempt: Callable[[], Found | None], timeout: float, evidence: Callable[[], str],
          output: Any = None) -> Found:
    """The first true result of attempt(), asked again and again; else Missing."""
    end = time.monotonic() + timeout
    while not (result := attempt()):
        if time.monotonic() > end:
            raise Missing(f"{what} did not come within {timeout} s\n{evidence()}")
        select.select([output] if output else [], [], [], 0.01)
    return result


# A machine ends with the process that has started it, even when that is killed.
TOGETHER = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


class Machine:
    """A process with a folder of its own, both gone when the `with` ends."""

    def __init__(self) -> None:
        # Short: a unix socket's path has 107 characters at most. Plain: Bochs takes a comma for the
        # end of a value, and a dollar for a variable's beginning.
        place = IN_MEMORY or tempfile.gettempdir()
        plain = re.fullmatch(r"[\w/.-]{1,60}", place, re.A)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rp-", dir=place if plain else "/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, "it is started first"
        return self._process

    def __enter__(self: This) -> This:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, command: Sequence[Path], **options: Any) -> None:
        if not shutil.which(command[0]):
            shutil.rmtree(self.dir, ignore_errors=True)
            asked = subprocess.run(["sh", ROOT / "scripts/need", command[0]], capture_output=True, text=True)
            raise SystemExit(asked.stderr.strip())
        self.errors = open(self.dir / "stderr", "w+")
        self._process = subprocess.Popen([*TOGETHER, *command], stderr=self.errors, start_new_session=True, **options)

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        # Bochs does not heed SIGTERM.
        if self._process:
            self._process.kill()
            self._process.wait()
            self.errors.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _output(self) -> str:
        """What the guest has said so far; in Bochs, what its debugger has said, too."""
        raise NotImplementedError

    def registers(self) -> Registers:
        """As registers.py has them."""
        raise NotImplementedError

    def log(self) -> list[str]:
        """The log's complete lines so far."""
        return log_lines(self._output())

    def wait_log(self, pattern: str, timeout: float = 20, since: int = 0) -> re.Match[str]:
        """The match of the first log line, from line `since` on, that has the pattern."""
        def attempt() -> re.Match[str] | None:
            alive = self.alive()
            for line in self.log()[since:]:
                if match := re.search(pattern, line):
                    return match
            if not alive:
                raise Missing(f"log line /{pattern}/ did not come: {self._evidence()}")
            return None
        return _wait(f"log line /{pattern}/", attempt, timeout, self._evidence)

    def _evidence(self) -> str:
        state = "it runs" if self.alive() else f"it ended, rc {self.process.returncode}"
        parts = [f"{type(self).__name__}: {state}",
                 "stderr: " + _tail((self.dir / "stderr").read_text(errors="replace"), 10),
                 "output: " + _tail(self._output())]
        return "\n".join(parts)


# ---- QEMU

_KEYS = {" ": "spc", "+": "shift-equal", "-": "minus", "=": "equal", "?": "shift-slash",
         ".": "dot", ",": "comma", "/": "slash", "\n": "ret", "\x1b": "esc"}

# What the VGA shows for the codes that are control characters elsewhere.
_LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437 = _LOW + bytes(range(32, 127)).decode("ascii") + "⌂" + bytes(range(128, 256)).decode("cp437")

_DRIVES = {
    "floppy": "-drive file={image},if=floppy,format=raw,snapshot=on -boot a",
    "writable": "-drive file={image},if=floppy,format=raw -boot a",
    "disk": "-drive file={image},if=ide,format=raw,snapshot=on -boot c",
    "usb": "-drive file={image},if=none,id=stick,format=raw,snapshot=on"
           " -device qemu-xhci -device usb-storage,drive=stick,bootindex=0",
    "cd": "-drive file={image},if=ide,media=cdrom,format=raw,readonly=on -boot d",
}


# Arguments that a machine as usual may have.
_OF_CLOCKS = {"-icount", "-rtc"}


class Qemu(Machine):
    """A PC in QEMU's TCG. `extra` are more arguments; stopped=True waits for cont().

    The usual PC starts where its BIOS is about to boot the floppy (post.py); any other, and
    with power_on=True this one, at its very first instruction.
    """

    def __init__(self, image: Path = FLOPPY, machine: str = "pc", cpu: str | None = None, drive: str = "floppy",
                 extra: Sequence[str] = (), stopped: bool = False, gdb: bool = False, power_on: bool = False) -> None:
        super().__init__()
        command = ["qemu-system-i386", "-M", machine, "-accel", "tcg", "-m", "32", "-nic", "none",
                   "-display", "none", "-no-reboot",
                   "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
                   "-debugcon", f"file:{self.dir}/log"]
        command += [word.format(image=str(image).replace(",", ",,")) for word in _DRIVES[drive].split()]
        command += ["-cpu", cpu] if cpu else []
        command += ["-S"] if stopped else []
        command += ["-gdb", f"unix:{self.dir}/gdb,server=on,wait=off"] if gdb else []
        usual = (machine, cpu) == ("pc", None) and drive in ("floppy", "writable") and {*extra[::2]} <= _OF_CLOCKS
        try:
            kept = None
            if usual and not power_on and os.path.getsize(image) == FLOPPY_BYTES:
                from ringside.emulators import post  # it needs us first
                kept = post.kept({"drive": drive, "extra": tuple(extra)}, image)
                command += ["-incoming", f"exec:exec cat {shlex.quote(str(kept))}"]
            self._start(command + list(extra), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self._qmp = _wait("QEMU's monitor", self._connect, 10, self._evidence)
            self.qmp("qmp_capabilities")
            if kept:
                _wait("QEMU, as it was kept,", self._arrived, 10, self._evidence)
                if not stopped:
                    self.cont()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> IO[str] | None:
        if not self.alive():
            raise CannotStart("QEMU did not start\n" + self._evidence())
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.dir / "qmp"))
        except OSError:
            connection.close()
            return None
        stream = connection.makefile("rw")
        connection.close()
        stream.readline()  # the greeting
        return stream

    def _arrived(self) -> bool:
        return bool(self.qmp("query-migrate").get("status") == "completed")

    def _output(self) -> str:
        log = self.dir / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _evidence(self) -> str:
        screen = ""
        if self.alive() and hasattr(self, "_qmp"):
            screen = "\nscreen:\n" + "\n".join(line.rstrip() for line in self.screen()).rstrip()
        return super()._evidence() + screen

    def close(self) -> None:
        if hasattr(self, "_qmp"):
            self._qmp.close()
        super().close()

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One command of QEMU's monitor; returns its answer."""
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        for line in self._qmp:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise Missing(f"QEMU ended during {command}\n" + super()._evidence())

    def hmp(self, line: str) -> str:
        """One line for the monitor that people use; returns what it prints."""
        return str(self.qmp("human-monitor-command", **{"command-line": line}))

    def cont(self) -> None:
        self.qmp("cont")

    def stop(self) -> None:
        self.qmp("stop")

    def key(self, *names: str) -> None:
        """Presses keys one after another: key("f"), key("+"), key("ctrl-alt-delete")."""
        for name in names:
            name = _KEYS.get(name, name)
            if len(name) == 1 and name.isupper():
                name = "shift-" + name.lower()
            keys = [{"type": "qcode", "data": part} for part in name.split("-")]
            self.qmp("send-key", keys=keys, **{"hold-time": 30})

    def memory(self, address: int, size: int) -> bytes:
        """Bytes of physical memory."""
        path = self.dir / "memory"
        self.qmp("pmemsave", val=address, size=size, filename=str(path))
        return path.read_bytes()

    def cells(self) -> list[list[tuple[str, int]]]:
        """The text screen: 25 rows of 80 (character, attribute)."""
        raw = self.memory(0xb8000, 80 * 25 * 2)
        flat = [(CP437[raw[i]], raw[i + 1]) for i in range(0, len(raw), 2)]
        return [flat[row * 80:row * 80 + 80] for row in range(25)]

    def screen(self) -> list[str]:
        """The text screen: 25 strings of 80 characters."""
        return ["".join(char for char, _ in row) for row in self.cells()]

    def wait_screen(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """The match of the first screen on which the pattern stands."""
        return _wait(f"/{pattern}/ on the screen",
                     lambda: re.search(pattern, "\n".join(self.screen())), timeout, self._evidence)

    def screenshot(self, png: Path) -> None:
        self.qmp("screendump", filename=str(png), format="png")

    def registers(self) -> Registers:
        """eax … eip, eflags, cpl, cr0 … as numbers; cs … gs, tr, ldtr as Segments; gdtr, idtr as Tables."""
        return of_qemu(self.hmp("info registers"))

    def wait_exit(self, timeout: float = 20) -> int:
        """Waits until the machine has ended by itself; returns QEMU's exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Missing(f"QEMU did not end within {timeout} s\n{self._evidence()}") from None

    def gdb(self, script: str, timeout: float = 30, elf: Path = PROGRAM, bits: int = 32) -> str:
        """Runs a GDB script, connected and with the program's symbols; returns what it printed.

        The machine needs gdb=True. $pc is the offset in the code segment, *ADDRESS in
        a break is linear. bits=16 reads code as real mode does. Lines between `python`
        and `end` are Python.
        """
        prelude = ["set pagination off", "set confirm off", "set width 0", "set osabi none"]
        if bits == 16:
            prelude += [f"set tdesc filename {ROOT}/gdb/i8086.xml"]
        prelude += [f"target remote {self.dir}/gdb", f'add-symbol-file "{elf}" -o {BASE:#x}']
        path = self.dir / "script.gdb"
        path.write_text("\n".join(prelude) + "\n" + script + "\n")
        run = subprocess.run(["gdb", "-nx", "-q", "-batch", "-x", str(path)], timeout=timeout, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return run.stdout


# ---- Bochs

@functools.lru_cache(None)
def bochs_models() -> list[str]:
    """The names of the CPUs that it can be, the oldest first."""
    run = subprocess.run(["bochs", "--help", "cpu"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return re.findall(r"^[a-z]\w+$", run.stderr + run.stdout, re.M)


def _bochs_command(directory: pathlib.Path, script: str | None, image: Path, magic: bool, options: Iterable[str]) -> list[str]:
    """The bochsrc that people use, as fast as the host can and the same at any hour.

    The image goes by a link, because its own path may hold what means something to Bochs.
    """
    (directory / "floppy.img").symlink_to(pathlib.Path(image).resolve())
    return ["bochs", "-q", *versions.bochs_debugger(), "-f", str(ROOT / "bochsrc"), *(["-rc", script] if script else []),
            "display_library: term", "clock: sync=none, time0=1000000000", "cpu: ips=1000000",
            f"floppya: 1_44={directory}/floppy.img, status=inserted, write_protected=1",
            f"magic_break: enabled={int(magic)}", f"log: {directory}/bochs.log", *options]


class _BochsMachine(Machine):
    """Bochs with its output gathered in self.text."""

    def __init__(self, image: Path, magic: bool, options: Iterable[str], script: str | None = None,
                 stdin: int = subprocess.DEVNULL) -> None:
        super().__init__()
        self.text = ""
        # TERM must be one that ncurses knows, though it never gets to a terminal.
        try:
            self._start(_bochs_command(self.dir, script, image, magic, options), stdin=stdin,
                        stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "TERM": "dumb"})
        except BaseException:
            super().close()
            raise
        os.set_blocking(self._pipe.fileno(), False)

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdout
        return self.process.stdout

    def _output(self) -> str:
        while data := self._pipe.read():
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

    _PROMPT = re.compile(r"<bochs:\d+> ")

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

    def _until_prompt(self, start: int, after: str, timeout: float, prompts: int = 1) -> re.Match[str]:
        """Waits for the last of so many prompts, with nothing behind it."""
        def attempt() -> re.Match[str] | None:
            alive = self.alive()
            found = list(self._PROMPT.finditer(self._output(), start))
            if len(found) >= prompts and found[-1].end() == len(self.text):
                return found[-1]
            if not alive:
                raise Missing(f"Bochs ended after: {after}\n{self._evidence()}")
            return None
        return _wait(f"the prompt after: {after}", attempt, timeout, self._evidence,
                     output=self._pipe)

    def send(self, line: str) -> None:
        """Sends a line and does not wait; for `c` when wait_log() or stop() follow."""
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def cmd(self, line: str, timeout: float = 20) -> str:
        """One command; returns what Bochs, and the guest, printed up to the next prompt."""
        start = len(self._output())
        self.send(line)
        prompt = self._until_prompt(start, line, timeout)
        return self.text[start:prompt.start()].removeprefix(line + "\n")

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
            raise Missing(f"Bochs stopped before {where}:\n{_tail(out)}")
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
        out = self.cmd("r")
        found = {"e" + name: int(low, 16)
                 for name, low in re.findall(r"\br([a-z]{2}): *[0-9a-f]{8}_([0-9a-f]{8})", out)}
        found["eflags"] = int(re.findall(r"eflags:? 0x([0-9a-f]+)", out)[0], 16)
        return found

    def sreg(self) -> dict[str, Segment | Table]:
        """cs … gs, tr, ldtr as Segments; gdtr, idtr as Tables."""
        return segments_of_bochs(self.cmd("sreg"))

    def registers(self) -> Registers:
        """All of them, with the names and in the shape of Qemu.registers()."""
        controls = {name.lower(): int(value, 16)
                    for name, value in re.findall(r"^(CR\d)=.*?0x([0-9a-f]+)", self.cmd("creg"), re.M)}
        found: Registers = {**self.regs(), **self.sreg(), **controls}
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
            out = _wait(what, attempt, timeout, machine._evidence)
    return Result(out, log_lines(out))

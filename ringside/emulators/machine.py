"""An emulator as a process of ours: what it says, the guest's log in it, and how to wait for a line.

qemu.py and bochs.py have the two there are.
"""

from collections.abc import Callable, Sequence
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any, TypeVar

from ringside.emulators.places import IN_MEMORY, ROOT, Path
from ringside.emulators.registers import Registers

Found = TypeVar("Found")
This = TypeVar("This", bound="Machine")


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


# ---- processes

def by_name(command: Sequence[Path]) -> list[Path]:
    """A command, with its interpreter in front if it is a script: a checkout may have lost its execute bits."""
    path = ROOT / command[0]
    with path.open("rb") if path.is_file() else open(os.devnull, "rb") as file:
        first = file.readline()
    return [*first[2:].decode().split(), *command] if first.startswith(b"#!") else list(command)


def tail(text: str, lines: int = 25) -> str:
    """The last lines of what was said, for a message."""
    return "\n".join(text.splitlines()[-lines:])


def wait(what: str, attempt: Callable[[], Found | None], timeout: float, evidence: Callable[[], str],
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
        return wait(f"log line /{pattern}/", attempt, timeout, self._evidence)

    def _evidence(self) -> str:
        state = "it runs" if self.alive() else f"it ended, rc {self.process.returncode}"
        parts = [f"{type(self).__name__}: {state}",
                 "stderr: " + tail((self.dir / "stderr").read_text(errors="replace"), 10),
                 "output: " + tail(self._output())]
        return "\n".join(parts)

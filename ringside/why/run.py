"""Runs an image in QEMU until its death or a limit, and leaves the machine standing, to be read.

    with Run(image, options) as run:
        run.until_clear()
        run.read_log(), run.state(), run.physical(address, size)
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import typing

from ringside.recorder.pages import PAGE
from ringside.why import log
from ringside.emulators.image import Image, Unusable
from ringside.why.machine import Unknown
from ringside.why.settings import Options

START_SECONDS, LOOK_SECONDS = 10, 0.05
LOOKS = 60                  # at a machine that runs: in which ring it is
QUIET_SECONDS = 2           # no word in the log after an exception: nothing more will come
SCREEN, SCREEN_BYTES, NOTHING = 0xB8000, 4000, b"No bootable device"
LOG_BYTES = 100 << 20
KEYS = {" ": "spc", "\n": "ret", ".": "dot", ",": "comma", "-": "minus", "/": "slash", "=": "equal"}


class Run:
    """A QEMU of its own, in a folder of its own that is removed at the end."""
    def __init__(self, image: Image, options: Options) -> None:
        self.image, self.options = image, options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="why-"))
        self.pages: dict[int, bytes] = {}
        self.process: subprocess.Popen[bytes] | None = None
        # "triple fault", "halted", "quiet", "enough", "until", "time", "still" (time, and no word for long), "unlogged" (as
        # quiet or still, but it changes rings by ways that QEMU does not log), "QEMU ended"
        self.ended = ""
        self.errors = ""

    def __enter__(self) -> "Run":
        """Starts QEMU. Raises Unusable if it does not."""
        try:
            self.start()
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        """The process."""
        options = self.options
        # Time goes by instructions, so that each run is the same. Nothing of the guest reaches the host.
        command = ["qemu-system-i386", "-accel", "tcg", "-icount", "shift=6,sleep=off", "-M", options.machine, "-m",
                   str(options.memory),
                   "-cpu", options.cpu, "-nic", "none", "-display", "none", "-no-reboot", "-no-shutdown", "-debugcon",
                   "file:debug",
                   "-serial", "file:serial", "-monitor", "none", "-qmp", "unix:qmp,server=on,wait=off", "-d", "int,cpu_reset",
                   "-D", "log",
                   *[str(self.image.path.resolve()) if part == str(self.image.path) else
                     part.replace(f"file={self.image.path}", f"file={self.image.path.resolve()}")
                     for part in self.image.options], *options.qemu]
        try:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=(self.folder / "errors").open("wb"), start_new_session=True)
        except FileNotFoundError:
            raise Unusable("there is no qemu-system-i386: install QEMU (sh scripts/setup), or give a log with --log") from None

    def __exit__(self, *_: object) -> None:
        """Ends QEMU, and removes what it has written."""
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- QEMU's own protocol

    def connect(self) -> None:
        """Waits for QMP. QEMU may have ended already, if the guest was quick to kill it."""
        limit = time.monotonic() + START_SECONDS
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(str(self.folder / "qmp"))
                break
            except OSError:
                if self.over() or time.monotonic() > limit:
                    self.errors = (self.folder / "errors").read_text(errors="replace")
                    if "fatal" in self.errors:
                        return
                    raise Unusable(f"QEMU does not start: {self.errors.strip()[-300:]}") from None
                time.sleep(0.01)
        self.stream = self.socket.makefile("rwb")
        try:
            self.stream.readline()
            self.command("qmp_capabilities")
        except OSError:
            if "fatal" not in (self.folder / "errors").read_text(errors="replace"):
                raise Unusable("QEMU ends at once: " + (self.folder / "errors").read_text(errors="replace")[-300:]) from None

    def command(self, name: str, **arguments: typing.Any) -> typing.Any:
        """One command; its answer. Raises Unknown if QEMU refuses, OSError if it has ended."""
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self.stream.flush()
        while line := self.stream.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Unknown(f"QEMU refuses {name}: {answer['error']['desc']}")
        raise OSError("QEMU has ended")

    def over(self) -> bool:
        """Has QEMU ended?"""
        return self.process is None or self.process.poll() is not None

    # ---- running

    def until_clear(self) -> None:
        """Lets it run until one of the reasons in `ended`, then stops it."""
        begun = moved = time.monotonic()
        size, exception, keys = 0, False, list(self.options.keys)
        while not self.ended:
            time.sleep(LOOK_SECONDS)
            now, text = time.monotonic(), self.tail()
            grown = (self.folder / "log").stat().st_size if (self.folder / "log").exists() else 0
            if grown != size:
                size, moved = grown, now
            numbers = re.findall(r"^ *(\d+): v=", text, re.M)
            exception = exception or "check_exception" in text
            if self.over():
                self.ended = "QEMU ended"
            elif "\nTriple fault" in text:
                self.ended = "triple fault"
            elif self.options.until and self.options.until in self.said():
                self.ended = "until"
            elif numbers and int(numbers[-1]) >= self.options.crossings:
                self.ended = "enough"
            elif now - begun > self.options.seconds or size > LOG_BYTES:
                self.ended = "time" if now - moved < QUIET_SECONDS else "still"
            elif now - moved > LOOK_SECONDS * 3 and self.halted():
                self.ended = "halted"
            elif exception and now - moved > QUIET_SECONDS:
                self.ended = "quiet"
            elif keys and now - begun > 0.5:
                key = keys.pop(0)
                self.monitor("sendkey " + KEYS.get(key, f"shift-{key.lower()}" if key.isupper() else key))
        if not self.over():
            if self.ended in ("still", "quiet") and self.changes_rings():
                self.ended = "unlogged"
            self.command("stop")
        else:
            self.errors = (self.folder / "errors").read_text(errors="replace")

    def tail(self, count: int = 6000) -> str:
        """The end of the log."""
        path = self.folder / "log"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - count))
            return file.read().decode(errors="replace")

    def said(self) -> str:
        """Serial line and port 0xe9."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("serial", "debug")
                       if (self.folder / name).exists())

    def monitor(self, line: str) -> str:
        """A line for QEMU's monitor."""
        return str(self.command("human-monitor-command", **{"command-line": line}))

    def halted(self) -> bool:
        """hlt with interrupts off: nothing but a reset or an NMI wakes it."""
        try:
            state = self.state()
        except (OSError, Unknown):
            return False
        return bool(state["hlt"]) and not state["efl"] & 0x200

    def changes_rings(self) -> bool:
        """Does it go between ring 0 and others, as it runs? QEMU logs no call gates, no sysenter, and no jumps to tasks."""
        rings = set()
        for _ in range(LOOKS):
            state = self.state()
            rings.add(state.cpl if state.protected else 0)
            if len(rings) > 1:
                return True
            time.sleep(LOOK_SECONDS / 5)
        return False

    def gave_up(self) -> bool:
        """Has the BIOS found nothing to start? Then it says so on the screen."""
        return not self.over() and NOTHING in self.physical(SCREEN, SCREEN_BYTES)[::2]

    # ---- the machine that stands still

    def read_log(self) -> log.Log:
        """The log, and what QEMU said when it gave up."""
        path = self.folder / "log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return log.read(text + self.errors)

    def state(self) -> log.State:
        """The CPU as it stands."""
        return log.state(self.monitor("info registers").replace("\r", ""))

    def physical(self, address: int, size: int) -> bytes:
        """Memory of the machine, by pages that are fetched once. What is no memory reads as 0xff, as on a PC."""
        if size > PAGE:
            return self.saved(address, size)
        found = b""
        while len(found) < size:
            page, place = divmod(address + len(found), PAGE)
            found += self.page(page)[place:place + size - len(found)]
        return found

    def page(self, number: int) -> bytes:
        """A page of physical memory, fetched once."""
        if number not in self.pages:
            self.pages[number] = self.saved(number * PAGE, PAGE)
        return self.pages[number]

    def saved(self, address: int, size: int) -> bytes:
        """As QEMU writes it into a file."""
        if self.over():
            raise Unknown("memory: QEMU has ended")
        path = self.folder / "page"
        try:
            self.command("pmemsave", val=address, size=size, filename=str(path))
            return path.read_bytes()
        except Unknown:
            return b"\xff" * size

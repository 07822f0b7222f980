"""A PC in QEMU: keys, screen, memory and registers through its monitor."""

from collections.abc import Sequence
import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
from typing import IO, Any

from ringside.emulators import post
from ringside.emulators.machine import CannotStart, Machine, Missing, wait
from ringside.emulators.places import FLOPPY, FLOPPY_BYTES, PROGRAM, ROOT, Path
from ringside.emulators.programs import BASE
from ringside.emulators.registers import Registers, of_qemu

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
                kept = post.kept(Qemu, {"drive": drive, "extra": tuple(extra)}, image)
                command += ["-incoming", f"exec:exec cat {shlex.quote(str(kept))}"]
            self._start(command + list(extra), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self._qmp = wait("QEMU's monitor", self._connect, 10, self._evidence)
            self.qmp("qmp_capabilities")
            if kept:
                wait("QEMU, as it was kept,", self._arrived, 10, self._evidence)
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
        with contextlib.suppress(Missing):      # it may be about to end
            if self.alive() and hasattr(self, "_qmp"):
                screen = "\nscreen:\n" + "\n".join(line.rstrip() for line in self.screen()).rstrip()
        return super()._evidence() + screen

    def close(self) -> None:
        if hasattr(self, "_qmp"):
            with contextlib.suppress(ConnectionError):  # what was not sent, to one who has gone
                self._qmp.close()
        super().close()

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One command of QEMU's monitor; returns its answer. Raises Missing if QEMU has ended, or ends meanwhile."""
        with contextlib.suppress(ConnectionError):
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
        return wait(f"/{pattern}/ on the screen",
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

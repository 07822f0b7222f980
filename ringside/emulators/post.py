"""PCs in QEMU whose BIOS has already tested and set up the machine: made once, kept in build/post/.

    kept(machine, options, image)    a file for -incoming; the machine goes on at POST_END, about to boot

The BIOS does the same at each start, whatever is on the floppy, and takes half of a start's
time for it. What is kept is the whole machine as QEMU migrates it, stopped where the BIOS begins
to look for something to boot: the boot sector is read from the floppy at hand, and all that
follows is the floppy's own doing.
"""

from collections.abc import Callable
import fcntl
import hashlib
import os
import pathlib
import shlex
import shutil
import time
from typing import Any

from ringside.emulators.gdb_stub import Stub
from ringside.emulators.machine import Missing
from ringside.emulators.places import BUILD, Path

POST_END = 0xfe6f2  # linear: where PC BIOSes have int 19h, "boot", since the first of them
FOLDER = BUILD / "post"
# What a machine's BIOS can find out before it boots, other than from its arguments.
FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin", "/usr/share/seabios/vgabios-stdvga.bin")
LIMIT = 30  # seconds

# How a machine has stopped, as QEMU keeps it: a length and a name. With the first it starts none.
AT_A_BREAKPOINT, PAUSED = (len(name).to_bytes(4, "big") + name for name in (b"debug\0", b"paused\0"))


def _age(path: Path | None) -> tuple[int, int] | None:
    """Tells one version of a file from another."""
    if not path or not os.path.exists(path):
        return None
    facts = os.stat(path)
    return facts.st_mtime_ns, facts.st_size


def kept(machine: Callable[..., Any], options: dict[str, Any], image: Path) -> pathlib.Path:
    """The path of a machine (qemu.Qemu) with these options, and a floppy of the usual size, as it was kept."""
    emulators = [shutil.which(f"qemu-system-{name}") for name in ("i386", "x86_64")]
    facts = sorted(options.items()), [_age(path) for path in (*emulators, *FIRMWARE)]
    path = FOLDER / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with open(FOLDER / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _make(path, machine, options, image)
    return path


def _make(path: pathlib.Path, machine: Callable[..., Any], options: dict[str, Any], image: Path) -> None:
    new = path.with_suffix(f".{os.getpid()}")
    with machine(image, power_on=True, gdb=True, stopped=True, **options) as pc:
        stub = Stub(pc.dir / "gdb", pc._evidence)
        stub.breakpoints({POST_END})
        stub.on(LIMIT)
        stub.close()
        pc.qmp("migrate", uri=f"exec:cat >{shlex.quote(str(new))}")
        end = time.monotonic() + LIMIT
        while (state := pc.qmp("query-migrate").get("status")) != "completed":
            if state == "failed" or time.monotonic() > end:
                raise Missing(f"QEMU cannot be kept: migration {state}\n{pc._evidence()}")
            time.sleep(0.01)
    data = new.read_bytes()
    assert data.count(AT_A_BREAKPOINT) == 1, "QEMU's migration does not say as it used to how the machine stopped"
    new.write_bytes(data.replace(AT_A_BREAKPOINT + b"\0", PAUSED))
    new.rename(path)

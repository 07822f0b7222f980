"""Builds the kernels of this folder, and runs one in QEMU or Bochs until it is clear what becomes of it.

build(target, source, *kernels)   builds in `target`, by default all of them
qemu(folder, kernel)              a Run; folder is where it was built
bochs(folder, kernel)             the same; a multiboot kernel is put on a CD with GRUB
Run.verdict()                     in a few words: "triple fault after #GP(0402), #DF(0000)"
"""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILT = ROOT / "build/kernels"
KERNELS = ("flat", "paged", "rings", "sysenter", "disk", "hwtask", "v86")

ENOUGH = 1024  # crossings; a kernel says when it has made 1, 1,024, 2,048, 4,096, ...
QEMU_SECONDS, BOCHS_SECONDS = 8, 30  # with room for a busy machine
# Without a word in the emulator's log: nothing more will come. On a busy machine an emulator
# may have had no time to say one; so it gets this many of the processor's seconds, or those
# of the clock if it does not even use the processor.
QUIET_CPU_SECONDS, QUIET_SECONDS = 2, 10
LAST_WORDS_SECONDS = 1  # the same, once the guest has complained
LOG_BYTES = 200 << 20

NAMES = {0: "#DE", 1: "#DB", 2: "NMI", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
         11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC"}
WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17}

# What the healthy kernels live on: demand pages, and the 8086 task's int.
ORDINARY = {"paged": {(14, 4), (14, 6)}, "v86": {(13, 0)}}

# Without a screen, as fast as the host can, the same at any hour; the CPU speaks of each
# exception.
BOCHSRC = """
display_library: term
cpu: model=p3_katmai, count=1, ips=1000000, reset_on_triple_fault=0
memory: guest=32, host=32
romimage: file=$BXSHARE/BIOS-bochs-latest, options=fastboot
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
clock: sync=none, time0=1000000000
plugin_ctrl: speaker=0
sound: driver=dummy
port_e9_hack: enabled=1
com1: enabled=1, mode=file, dev=serial
log: log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore, cpu0=report
ata0: enabled=1
"""
BOCHS_CD = "ata0-master: type=cdrom, path=cd.iso, status=inserted\nboot: cdrom\n"
BOCHS_DISK = "ata0-master: type=disk, path=disk.img, mode=volatile, cylinders=1, heads=16, spt=63\nboot: disk\n"
GRUB = "set timeout=0\nmultiboot /boot/kernel.elf\nboot\n"


class Broken(Exception):
    """A kernel does not build, or an emulator does not start. The text says why."""


def build(target=BUILT, source=HERE, kernels=KERNELS):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    there = os.path.relpath(target, source)  # make does not take a path with a space in it
    run = subprocess.run(["make", "-s", "-C", source, f"B={there}", *kernels], env=environment, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Broken(f"it does not build:\n{run.stdout}")


@dataclasses.dataclass
class Run:
    kernel: str
    said: list          # the guest's lines
    exceptions: list    # (vector, error code), in the order in which the CPU raised them
    ended: str          # "enough", "triple fault", "quiet", "time", or what the emulator said

    def crossings(self):
        """How many the guest has told of."""
        return max([int(line.split()[-1], 16) for line in self.said if ": crossings " in line], default=0)

    def verdict(self):
        parts = [f"says \"{line}\"" for line in dict.fromkeys(
            re.sub(r" [0-9a-f]{8}$", lambda number: f" {int(number[0], 16):x}", line)
            for line in self.said if ": crossings " not in line)][:3]
        chain = [exception for exception in self.exceptions if exception not in ORDINARY.get(self.kernel, ())]
        for_ever = len(self.exceptions) > 500 and self.ended != "enough" and self.exceptions[-200:]
        if for_ever and len(set(for_ever)) < 3:
            parts.append("exceptions without end: " + ", ".join(map(name, dict.fromkeys(for_ever))))
        elif self.ended == "triple fault":
            parts.append("triple fault" + (" after " + ", ".join(map(name, chain[-3:])) if chain else ""))
        elif chain:
            parts.append(", ".join(map(name, list(dict.fromkeys(chain))[:3])))
        if self.ended == "enough":
            parts.append("runs on")
        elif self.ended in ("quiet", "time") and not for_ever:
            parts.append("stands still" if self.ended == "quiet" else "no crossing is counted any more")
        elif self.ended not in ("triple fault", "quiet", "time"):
            parts.append(self.ended)
        return ", ".join(parts)


def name(exception):
    vector, error = exception
    return NAMES.get(vector, f"#{vector}") + (f"({error:04x})" if vector in WITH_ERROR_CODE else "")


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _cpu_seconds(process):
    """How long the processor has worked for it; 0 where that cannot be asked."""
    try:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until_clear(command, folder, seconds, outputs, triple, environment=None):
    """Runs it until one of the reasons of Run.ended, then ends it; what the guest has said, and the reason."""
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as errors:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                   start_new_session=True, env=environment)
        begun = moved = time.monotonic()
        used = 0
        before, why = None, None
        try:
            while not why:
                over = process.poll() is not None
                text = "".join((folder / output).read_text(errors="replace") for output in outputs
                               if (folder / output).exists())
                said = re.findall(r"^[a-z0-9]+: .+ [0-9a-f]{8}$", text.replace("\r", ""), re.M)
                sizes, now = (len(text), _size(folder / "log")), time.monotonic()
                if sizes != before:
                    moved, before, used = now, sizes, _cpu_seconds(process)
                if any(int(line.split()[-1], 16) >= ENOUGH for line in said if ": crossings " in line):
                    why = "enough"
                elif over:
                    last = "".join(_tail(folder / file) for file in ("log", "stdout", "stderr"))
                    why = "triple fault" if re.search(triple, last) else f"the emulator ends: {_reason(last)}"
                elif (now - moved > (LAST_WORDS_SECONDS if said and ": crossings " not in said[-1] else QUIET_SECONDS)
                      or _cpu_seconds(process) - used > QUIET_CPU_SECONDS):
                    why = "quiet"
                elif now - begun > seconds or sizes[1] > LOG_BYTES:
                    why = "time"
                else:
                    time.sleep(0.02)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # Bochs does not heed SIGTERM
            process.wait()
    return said, why


def _reason(text):
    panic = re.search(r"following message:\n(?:\[CPU0  \] )?(.+)|^qemu: (fatal: .+)", text, re.M)
    return re.sub(r"[^a-z]*\b0x[0-9a-f]+", "", panic[1] or panic[2]) if panic else " ".join(text.split())[-100:]


def _tail(path, count=4000):
    if not path.exists():
        return ""
    with open(path, "rb") as file:
        file.seek(max(0, _size(path) - count))
        return file.read().decode(errors="replace")


def _exceptions(path, pattern):
    found = []
    with open(path, errors="replace") as log:
        for match in re.finditer(pattern, log.read()):
            found.append((int(match[1], 16), int(match[2], 16)))
    return found


def qemu(built, kernel, log=None):
    """-no-reboot makes a triple fault QEMU's end, and its log says so. `log` gets a copy of it.

    Time goes by instructions (-icount), so that the timer comes at the same ones in each run.
    """
    source = (["-drive", f"file={built / 'disk.img'},format=raw,if=ide,snapshot=on"] if kernel == "disk" else
              ["-kernel", str(built / f"{kernel}.elf")])
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        folder = pathlib.Path(folder)
        said, ended = _until_clear(
            ["qemu-system-i386", "-accel", "tcg", "-icount", "shift=6,sleep=off", "-m", "32", "-nic", "none",
             "-display", "none", "-no-reboot", "-debugcon", "file:debug", "-serial", "file:serial",
             "-d", "int,cpu_reset", "-D", "log", *source], folder, QEMU_SECONDS, ("debug", "serial"), r"Triple fault")
        # An exception has a line check_exception in front of its own; an interrupt has not.
        if log:
            shutil.copy(folder / "log", log)
        exceptions = _exceptions(folder / "log", r"check_exception.*\n +\d+: v=(..) e=(....) i=0")
    return Run(kernel, said, exceptions, ended)


def bochs(built, kernel):
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        folder = pathlib.Path(folder)
        if kernel == "disk":
            shutil.copy(built / "disk.img", folder)
        else:
            grub = folder / "cd/boot/grub"
            grub.mkdir(parents=True)
            (grub / "grub.cfg").write_text(GRUB)
            shutil.copy(built / f"{kernel}.elf", folder / "cd/boot/kernel.elf")
            run = subprocess.run(["grub-mkrescue", "-o", "cd.iso", "cd"], cwd=folder, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if run.returncode:
                raise Broken(f"grub-mkrescue makes no CD:\n{run.stdout}")
        (folder / "rc").write_text(BOCHSRC + (BOCHS_DISK if kernel == "disk" else BOCHS_CD))
        (folder / "go").write_text("c\n")
        # TERM must be one that ncurses knows, though it never gets to a terminal.
        said, ended = _until_clear(["bochs", "-q", "-f", "rc", "-rc", "go"], folder, BOCHS_SECONDS,
                                   ("stdout", "serial"), r"3rd \(\d+\) exception",
                                   {**os.environ, "TERM": "dumb"})
        exceptions = _exceptions(folder / "log", r"exception\(0x(..)\): error_code=(....)")
        # Bochs also names what became of #DF, and what made #DF of the one before; QEMU does not.
        if ended == "triple fault" and (8, 0) in exceptions[-3:]:
            double = len(exceptions) - 1 - exceptions[::-1].index((8, 0))
            exceptions = exceptions[:double - 1] + [(8, 0)]
    return Run(kernel, said, exceptions, ended)


def has_grub():
    """Can a multiboot kernel be run in Bochs? GRUB's tools are optional."""
    return bool(shutil.which("grub-mkrescue") and shutil.which("xorriso") and shutil.which("mformat")
                and pathlib.Path("/usr/lib/grub/i386-pc").exists())

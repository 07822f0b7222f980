"""Bochs with any image: a floppy, a disk, a CD, or a multiboot ELF, which GRUB's tools put on a CD.

    drive(image, folder)                            for another Bochs: what its configuration says of it
    with AnyBochs(recognise(path)) as machine:      the debugger's prompt, see machines.Bochs
        machine.to(tick)                            in front of the instruction with that number

A tick is an instruction, and the machine hears nothing of the host: each run is the same. The image
is only read; of a floppy alone there is a copy, since Bochs wants one of the right size.
"""

import os
import pathlib
import re
import shutil
import struct
import subprocess

from ringside.emulators import machines
from ringside.emulators import versions
from ringside.emulators.image import MULTIBOOT, Image, Unusable

CONFIG = """display_library: term
cpu: model={model}, count=1, ips={per_second}, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
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
debug: action=ignore
ata0: enabled=1
{drive}
"""
PER_SECOND = 1_000_000      # instructions of the guest's seconds
MODEL, MEMORY = "p3_katmai", 128
GRUB = "set timeout=0\nmultiboot /boot/kernel.elf\nboot\n"
# A CD with one menu and one kernel needs no more of what GRUB's tools put there.
MODULES = ("--install-modules=multiboot biosdisk iso9660 normal configfile", "--fonts=", "--locales=", "--themes=",
           "--compress=no")
# In an ELF of 32 bits: the entry point, then where the segments' headers begin; the size of one, and how many there are.
ELF_ENTRY, ELF_SEGMENTS, LOAD = 24, 42, 1
CYLINDER = 16 * 63 * 512
FLOPPIES = {720 << 10: "720k", 1200 << 10: "1_2", 1440 << 10: "1_44", 2880 << 10: "2_88"}
NEVER = 10 ** 15            # a tick. When the last time breakpoint is met, Bochs 2.7 comes back to it after as many ticks,
#                             and again, until its timers are wrong; so there is always one more
SECONDS = 120               # of ours, until a tick is reached
START_SECONDS = 30          # of ours: Bochs clears all memory first
LAST_WORDS = re.compile(r"exiting with the following message:\n(.+)")
PAGE = 0x1000


def has_grub() -> bool:
    """Can a multiboot ELF be put on a CD? GRUB's tools are optional."""
    return bool(shutil.which("grub-mkrescue") and shutil.which("xorriso") and shutil.which("mformat")
                and pathlib.Path("/usr/lib/grub/i386-pc").exists())


def drive(image: Image, folder: pathlib.Path) -> str:
    """Where Bochs boots from, as its configuration says it. What it takes is put into the folder."""
    path, link = image.path.resolve(), folder / "image"
    if image.kind == "multiboot ELF":
        make_cd(path, folder)
        return "ata0-master: type=cdrom, path=cd.iso, status=inserted\nboot: cdrom"
    if image.kind == "floppy":
        size = min((size for size in FLOPPIES if size >= path.stat().st_size), default=1440 << 10)
        shutil.copyfile(path, link)
        os.truncate(link, size)
        return f"floppya: {FLOPPIES[size]}=image, status=inserted\nboot: floppy"
    link.symlink_to(path)
    if image.kind == "CD":
        return "ata0-master: type=cdrom, path=image, status=inserted\nboot: cdrom"
    cylinders = max(1, path.stat().st_size // CYLINDER)
    return (f"ata0-master: type=disk, path=image, mode=volatile, journal=redo, cylinders={cylinders}, heads=16, spt=63\n"
            "boot: disk")


def entered_by_grub(path: pathlib.Path) -> None:
    """Raises Unusable if GRUB refuses the ELF for its entry point. QEMU's loader does not ask."""
    head = path.read_bytes()
    try:
        entry, start = struct.unpack_from("<II", head, ELF_ENTRY)
        size, count = struct.unpack_from("<HH", head, ELF_SEGMENTS)
        segments = [struct.unpack_from("<6I", head, start + number * size) for number in range(count)]
    except struct.error:
        return
    at = head.find(MULTIBOOT)
    if head[at + 6:at + 7] and head[at + 6] & 1:    # the header itself has the addresses
        return
    if segments and not any(kind == LOAD and first <= entry < first + length for kind, _, first, _, _, length in segments):
        raise Unusable(f"GRUB, which starts it for Bochs, refuses {path.name}: its entry point {entry:#x} is in none of its "
                       "segments, by their virtual addresses; link the code that runs first where it is loaded")


def make_cd(path: pathlib.Path, folder: pathlib.Path) -> None:
    """As GRUB starts a kernel."""
    if not has_grub():
        raise Unusable("Bochs starts a multiboot ELF from a CD, which grub-mkrescue, xorriso, mformat and GRUB's files for "
                       "a PC make: install them (sh scripts/setup)")
    entered_by_grub(path)
    grub = folder / "cd/boot/grub"
    grub.mkdir(parents=True)
    (grub / "grub.cfg").write_text(GRUB)
    shutil.copyfile(path, folder / "cd/boot/kernel.elf")
    made = subprocess.run(["grub-mkrescue", *MODULES, "-o", "cd.iso", "cd"], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if made.returncode:
        raise Unusable(f"grub-mkrescue makes no CD of it: {made.stderr.strip()[-300:]}")


class AnyBochs(machines.Bochs):
    """Raises Unusable if the image cannot be given to Bochs."""

    def __init__(self, image: Image, memory: int = MEMORY, model: str = MODEL) -> None:
        machines.Machine.__init__(self)
        self.text, self.now = "", 0
        try:
            (self.dir / "rc").write_text(CONFIG.format(model=model, memory=memory, per_second=PER_SECOND,
                                                       drive=drive(image, self.dir)))
            # TERM must be one that ncurses knows, though it never gets to a terminal.
            self._start(["bochs", "-q", *versions.bochs_debugger(), "-f", "rc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        cwd=self.dir, env={**os.environ, "TERM": "dumb"})
            os.set_blocking(self._pipe.fileno(), False)
            try:
                self._until_prompt(0, "the first", START_SECONDS)
            except machines.Missing as missing:
                said = LAST_WORDS.search(str(missing))
                raise Unusable(f"Bochs does not start: {said[1] if said else missing}") from None
            self.cmd(f"sba {NEVER}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        machines.Machine.close(self)
        if self._process and self._process.stdout:
            self._process.stdout.close()

    def to(self, tick: int) -> bool:
        """Runs on until that tick; False if it is over already, or the machine stops elsewhere. Not by steps: while the CPU
        is halted ticks go by without one."""
        self.text = ""
        if tick > self.now:
            self.cmd(f"sba {tick}")
            self.stopped(self.cmd("c", SECONDS))
        return self.now == tick

    def stopped(self, said: str) -> str:
        """Takes the tick from what was said at a stop."""
        if found := re.findall(r"Next at t=(\d+)", said):
            self.now = int(found[-1])
        return said

    def read(self, linear: int, size: int) -> bytes:
        """Memory, page by page; zeros where no page is."""
        found = bytearray()
        path = self.dir / "memory"
        while len(found) < size:
            start = linear + len(found) & 0xFFFFFFFF
            count = min(size - len(found), PAGE - start % PAGE)
            path.unlink(missing_ok=True)
            self.cmd(f'writemem "memory" {start:#x} {count}')    # a short line: Bochs reads it letter by letter
            there = path.read_bytes() if path.exists() else b""
            found += there if len(there) == count else bytes(count)
        return bytes(found)

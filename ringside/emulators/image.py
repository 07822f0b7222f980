"""What kind of image a file is, by its content, and how QEMU is given it."""

import dataclasses
import pathlib
import struct

MULTIBOOT, MULTIBOOT2 = struct.pack("<I", 0x1BADB002), struct.pack("<I", 0xE85250D6)
FLOPPIES = {160 << 10, 180 << 10, 320 << 10, 360 << 10, 720 << 10, 1200 << 10, 1440 << 10, 2880 << 10}
ISO_AT, BOOT_RECORD_AT, BOOT_RECORD = 0x8001, 0x8800, b"\x00CD001\x01EL TORITO SPECIFICATION"
ELF_CLASS, ELF_MACHINE = 4, 18
HEADER_WITHIN = 0x8000


class Unusable(Exception):
    """The image cannot be looked at. The text says what to do."""


@dataclasses.dataclass(frozen=True)
class Image:
    """A file that boots, and how QEMU is told of it."""
    path: pathlib.Path
    kind: str           # "multiboot ELF", "CD", "floppy", "disk"
    options: list[str]  # for QEMU


def check_elf(path: pathlib.Path) -> None:
    """An ELF of 32 bits, for a PC; else Unusable."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] != b"\x7fELF":
        raise Unusable(f"{path} is no ELF: give the kernel's, with its symbols")
    machine = int.from_bytes(head[ELF_MACHINE:ELF_MACHINE + 2], "little")
    if head[ELF_CLASS] == 2 or machine == 62:
        raise Unusable(f"{path} is 64-bit code: only 32-bit kernels can be looked at, 64-bit mode is not modelled")
    if machine != 3:
        raise Unusable(f"{path} is an ELF of another machine ({machine}); an 80386's (3) is needed")


def recognise(path: pathlib.Path) -> Image:
    """Raises Unusable, or OSError."""
    if not path.exists():
        raise Unusable(f"there is no {path}")
    if path.is_dir():
        raise Unusable(f"{path} is a folder: give an image, such as a floppy's, a disk's or a multiboot ELF")
    with path.open("rb") as file:
        head = file.read(HEADER_WITHIN)
        file.seek(ISO_AT)
        iso = file.read(5) == b"CD001"
        file.seek(BOOT_RECORD_AT)
        boots = file.read(len(BOOT_RECORD)) == BOOT_RECORD
    size = path.stat().st_size
    if not head:
        raise Unusable(f"{path} is empty: build the image first")
    where = str(path).replace(",", ",,")
    if head[:4] == b"\x7fELF":
        check_elf(path)
        if MULTIBOOT not in head[:0x2000]:
            tip = ("it is for multiboot 2: put it on a CD with grub-mkrescue" if MULTIBOOT2 in head else
                   "QEMU's -kernel wants that; or give the boot image and this with --elf")
            raise Unusable(f"{path} is an ELF without a multiboot header; {tip}")
        return Image(path, "multiboot ELF", ["-kernel", str(path)])
    if iso and not boots:
        raise Unusable(f"{path} is a CD without a boot record (El Torito): no PC starts from it; make one with grub-mkrescue")
    if iso:
        return Image(path, "CD", ["-drive", f"file={where},format=raw,if=ide,media=cdrom,readonly=on", "-boot", "d"])
    if head[510:512] != b"\x55\xaa":
        raise Unusable(f"{path} does not boot: its first sector does not end in 55 aa, and it is no CD and no ELF")
    if size in FLOPPIES or size < 160 << 10:
        return Image(path, "floppy", ["-drive", f"file={where},format=raw,if=floppy,snapshot=on", "-boot", "a"])
    return Image(path, "disk", ["-drive", f"file={where},format=raw,if=ide,snapshot=on", "-boot", "c"])

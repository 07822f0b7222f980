"""Instructions and source lines, by the tools of binutils; and symbols of the kernel, if there is an ELF."""

import functools
import pathlib
import re
import subprocess
import tempfile


def output(*command: str) -> str:
    """What a tool prints; "" if it is not installed or refuses."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


@functools.lru_cache(1024)
def listing(code: bytes, at: int, wide: bool) -> list[tuple[int, str]]:
    """(address, text) of each instruction of these bytes."""
    with tempfile.NamedTemporaryFile(prefix="why-") as file:
        file.write(code)
        file.flush()
        text = output("objdump", "-D", "-b", "binary", "-m", "i386" if wide else "i8086", f"--adjust-vma={at:#x}", file.name)
    lines = re.findall(r"^ *([0-9a-f]+):\t(?:[0-9a-f]{2} )+ *\t(.*)$", text, re.M)
    return [(int(where, 16), " ".join(said.split())) for where, said in lines]


def disassemble(code: bytes, at: int, wide: bool) -> str:
    """The first instruction of these bytes."""
    lines = listing(code, at, wide)
    return lines[0][1] if lines else code[:8].hex(" ")


class Symbols:
    """Of an ELF. base is added to its addresses."""

    def __init__(self, elf: pathlib.Path | None, base: int = 0) -> None:
        """elf may be None: then nothing is known."""
        self.elf, self.base = elf, base

    @functools.cached_property
    def names(self) -> dict[str, int]:
        """Name -> address."""
        if not self.elf:
            return {}
        found = re.findall(r"^([0-9a-f]+) [^aUw] (\S+)$", output("nm", str(self.elf)), re.M)
        return {name: int(address, 16) + self.base & 0xFFFFFFFF for address, name in found}

    def line(self, address: int) -> str:
        """flat/entry.S:118, in leave; "" if nothing is known."""
        if not self.elf:
            return ""
        text = output("addr2line", "-e", str(self.elf), f"{address - self.base & 0xFFFFFFFF:#x}").split(" ")[0].strip()
        place = "/".join(pathlib.PurePath(text).parts[-2:]) if text and "?" not in text else ""
        near = [(where, name) for name, where in self.names.items() if where <= address]
        where, name = max(near, default=(0, ""))
        if not name or address - where > 0x10000:
            return place
        inside = f"{name}+{address - where:#x}" if address != where else name
        return f"{place}, in {inside}" if place else inside

    def called(self, *words: str) -> list[tuple[str, int]]:
        """Symbols with one of these words as a part of the name: tss, kernel_tss, tss0."""
        pattern = re.compile(rf"(?:^|_)(?:{'|'.join(words)})\d*$", re.I)
        return [(name, address) for name, address in self.names.items() if pattern.search(name)]

    @functools.cached_property
    def code(self) -> list[range]:
        """Where the sections of code lie; [] without an ELF."""
        text = output("readelf", "-SW", str(self.elf)) if self.elf else ""
        found = re.findall(r"PROGBITS +([0-9a-f]{8}) [0-9a-f]+ ([0-9a-f]+) \S+ +A?X", text)
        starts = [(int(start, 16) + self.base, int(size, 16)) for start, size in found]
        return [range(start, start + size) for start, size in starts]

    @functools.cached_property
    def listing(self) -> str:
        return output("objdump", "-d", "--no-show-raw-insn", str(self.elf)) if self.elf else ""

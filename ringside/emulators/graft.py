"""Copies of the floppy with code of our own beside P_PROC, or another program.

    graft = Graft(directory, path)          or Graft(directory, path, before=[path, ...])
    graft.image, graft.elf     the floppy, and the names on it
"""

from collections.abc import Iterable
import os
import pathlib
import re
import subprocess

from ringside.emulators import machines
from ringside.emulators.debuggers import COM_START

FIRST, STEP = 0x8000, 0x100     # offsets in the program's segment where a source may lie


class Graft:
    """A source beyond all that the program uses, behind those before it. What it has in a section .hook.NAME lies at that name
    of the program."""

    def __init__(self, directory: machines.Path, source: machines.Path, program: str = "p_proc",
                 before: Iterable[machines.Path] = ()) -> None:
        self.program = program
        self.directory = pathlib.Path(directory)
        self.sources = (*before, source)
        self.image, self.elf = self.directory / "cases.img", self.directory / "cases.elf"
        end = machines.symbols(machines.BUILD / f"{program}.elf")["bss_end"]
        self.place = max(FIRST, -(-end // STEP) * STEP)
        self._assemble()
        hooks = self._hooks()
        self._make_elf(hooks)
        self._make_image(hooks)

    def _run(self, *command: object) -> None:
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"{command[0]} failed:\n{run.stderr}")

    def _assemble(self) -> None:
        """The sources, linked to the names of the program."""
        compiler, linker, *flags = (machines.BUILD / "how").read_text().split()
        program = machines.BUILD / f"{self.program}.elf"
        objects = [self.directory / f"graft{number}.o" for number in range(len(self.sources))]
        self.code = self.directory / "graft.elf"
        for source, made in zip(self.sources, objects):
            self._run(compiler, *(f.replace("-I.", f"-I{machines.ROOT}") for f in flags),
                      f"-DPLACE={self.place:#x}", "-c", source, "-o", made)
        symbols = machines.symbols(program)
        hooks = [f"--section-start=.hook.{name}={symbols[name]:#x}" for name in self._hook_names(objects[-1])]
        self._run(linker, "-m", "elf_i386", f"-Ttext={self.place:#x}", "-e", "setup", *hooks,
                  f"--just-symbols={program}", "-o", self.code, *objects)

    @staticmethod
    def _hook_names(object_file: machines.Path) -> list[str]:
        listing = subprocess.run(["readelf", "-SW", str(object_file)], check=True, capture_output=True, text=True)
        return re.findall(r" \.hook\.(\w+) ", listing.stdout)

    def _section(self, elf: machines.Path, name: str) -> bytes:
        path = self.directory / "section"
        self._run("objcopy", f"--dump-section={name}={path}", elf, "/dev/null")
        return path.read_bytes()

    def _hooks(self) -> dict[int, bytes]:
        """Offset in the program and bytes of each place that is bent."""
        symbols = machines.symbols(machines.BUILD / f"{self.program}.elf")
        return {symbols[name]: self._section(self.code, f".hook.{name}") for name in self._hook_names(self.code)}

    def _make_elf(self, hooks: dict[int, bytes]) -> None:
        """The program's ELF file as the floppy has it, for the recorder: code and names."""
        text = bytearray(self._section(machines.BUILD / f"{self.program}.elf", ".text"))
        for offset, code in hooks.items():
            text[offset - COM_START:offset - COM_START + len(code)] = code
        patched, added = self.directory / "text", self.directory / "added"
        patched.write_bytes(text)
        added.write_bytes(self._section(self.code, ".text"))
        names = [f"--add-symbol={name}=.cases:{offset - self.place:#x},global,function"
                 for name, offset in machines.symbols(self.code).items()
                 if self.place <= offset < self.place + added.stat().st_size]
        self._run("objcopy", "--strip-debug", f"--update-section=.text={patched}", f"--add-section=.cases={added}",
                  "--set-section-flags=.cases=alloc,code,readonly,contents",
                  f"--change-section-address=.cases={self.place:#x}", *names,
                  machines.BUILD / f"{self.program}.elf", self.elf)

    def _make_image(self, hooks: dict[int, bytes]) -> None:
        com = bytearray((machines.BUILD / f"{self.program}.com").read_bytes())
        for offset, code in hooks.items():
            com[offset - COM_START:offset - COM_START + len(code)] = code
        com = com.ljust(self.place - COM_START, b"\0") + self._section(self.code, ".text")
        path = self.directory / "cases.com"
        path.write_bytes(com)
        machines.floppy_that_starts(self.program, self.image)
        subprocess.run(["mcopy", "-D", "o", "-o", "-i", self.image.name, str(path), f"::{self.program.upper()}.COM"],
                       check=True, capture_output=True, cwd=self.image.parent,  # see scripts/mkfloppy
                       env={**os.environ, "MTOOLSRC": "/dev/null", "HOME": "/nonexistent"})

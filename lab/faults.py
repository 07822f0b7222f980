"""Copies of the floppy with code of our own beside P_PROC, or another program.

    graft = Graft(directory, "floors.S")
    graft.image, graft.elf     the floppy, and the names on it

Everything that lab/crossings.S has, is done by P_PROC's proc A; what lab/switches.S has, by
HWTASK's ring 0:

    cases = Cases(directory)                or Cases(directory, *SWITCHES)
    cases.record("bochs")      a recording of all cases, one after the other
    cases.expected("bochs")    {case: what its crossing must be}
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

LAB = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(LAB))
import machines  # noqa: E402  (after the line above)
import versions  # noqa: E402
from debuggers import COM_START  # noqa: E402

PLACE = 0x8000  # offset in the program's segment, beyond all that the program uses
SWITCHES = "switches.S", "hwtask"


def recorder():
    """lab/record as a module."""
    loader = importlib.machinery.SourceFileLoader("record", str(LAB / "record"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("record", loader))
    loader.exec_module(module)
    return module


class Graft:
    """A source of lab/ at PLACE; what it has in a section .hook.NAME lies at that name of the program."""

    def __init__(self, directory, source, program="p_proc"):
        self.program = program
        self.directory = pathlib.Path(directory)
        self.source = LAB / source
        self.image, self.elf = self.directory / "cases.img", self.directory / "cases.elf"
        self._assemble()
        hooks = self._hooks()
        self._make_elf(hooks)
        self._make_image(hooks)

    def _run(self, *command):
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"{command[0]} failed:\n{run.stderr}")

    def _assemble(self):
        """The source, linked to the names of the program."""
        compiler, linker, *flags = (machines.BUILD / "how").read_text().split()
        program = machines.BUILD / f"{self.program}.elf"
        object_file, self.code = self.directory / "graft.o", self.directory / "graft.elf"
        self._run(compiler, *(f.replace("-Icommon", f"-I{machines.ROOT}/common") for f in flags),
                  "-c", self.source, "-o", object_file)
        symbols = machines.symbols(program)
        hooks = [f"--section-start=.hook.{name}={symbols[name]:#x}" for name in self._hook_names(object_file)]
        self._run(linker, "-m", "elf_i386", f"-Ttext={PLACE:#x}", "-e", "setup", *hooks,
                  f"--just-symbols={program}", "-o", self.code, object_file)

    @staticmethod
    def _hook_names(object_file):
        listing = subprocess.run(["readelf", "-SW", str(object_file)], check=True, capture_output=True, text=True)
        return re.findall(r" \.hook\.(\w+) ", listing.stdout)

    def _section(self, elf, name):
        path = self.directory / "section"
        self._run("objcopy", f"--dump-section={name}={path}", elf, "/dev/null")
        return path.read_bytes()

    def _hooks(self):
        """Offset in the program and bytes of each place that is bent."""
        symbols = machines.symbols(machines.BUILD / f"{self.program}.elf")
        return {symbols[name]: self._section(self.code, f".hook.{name}") for name in self._hook_names(self.code)}

    def _make_elf(self, hooks):
        """The program's ELF file as the floppy has it, for the recorder: code and names."""
        text = bytearray(self._section(machines.BUILD / f"{self.program}.elf", ".text"))
        for offset, code in hooks.items():
            text[offset - COM_START:offset - COM_START + len(code)] = code
        patched, added = self.directory / "text", self.directory / "added"
        patched.write_bytes(text)
        added.write_bytes(self._section(self.code, ".text"))
        names = [f"--add-symbol={name}=.cases:{offset - PLACE:#x},global,function"
                 for name, offset in machines.symbols(self.code).items()
                 if PLACE <= offset < PLACE + added.stat().st_size]
        self._run("objcopy", "--strip-debug", f"--update-section=.text={patched}", f"--add-section=.cases={added}",
                  "--set-section-flags=.cases=alloc,code,readonly,contents",
                  f"--change-section-address=.cases={PLACE:#x}", *names,
                  machines.BUILD / f"{self.program}.elf", self.elf)

    def _make_image(self, hooks):
        com = bytearray((machines.BUILD / f"{self.program}.com").read_bytes())
        for offset, code in hooks.items():
            com[offset - COM_START:offset - COM_START + len(code)] = code
        com = com.ljust(PLACE - COM_START, b"\0") + self._section(self.code, ".text")
        path = self.directory / "cases.com"
        path.write_bytes(com)
        machines.floppy_that_starts(self.program, self.image)
        subprocess.run(["mcopy", "-D", "o", "-o", "-i", str(self.image), str(path), f"::{self.program.upper()}.COM"],
                       check=True, capture_output=True, env={**os.environ, "MTOOLSRC": "/dev/null"})


class Cases(Graft):
    def __init__(self, directory, source="crossings.S", program="p_proc"):
        super().__init__(directory, source, program)
        self._read_table()

    def _read_table(self):
        """What each case is to be; and where an emulator is known to see it otherwise."""
        self.table, self.otherwise = {}, {}
        name = None
        for line in self._section(self.code, ".expected").decode().splitlines():
            fields = line.split("|")
            if len(fields) == 2:
                name, self.table[fields[0]] = fields
            else:
                emulator, what, why, only = fields
                if not only or versions.holds(only):
                    self.otherwise[name, emulator] = what, why

    def record(self, emulator):
        """From ckpt_tss, where the program's own start ends, to the end of the cases."""
        return recorder().record(emulator, self.program, start="ckpt_tss", steps=5000, until=("the_end",),
                                 elf=self.elf, image=self.image)

    def expected(self, emulator):
        """Case by case, the kind of verdict on it in an emulator; "" if there is none to speak of."""
        return {name: self.otherwise.get((name, emulator), (what,))[0] for name, what in self.table.items()}

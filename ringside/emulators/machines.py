"""QEMU and Bochs as the tests drive them: from outside, with the image that ships.

Qemu    a running machine: log, screen, keys, memory, registers, GDB        qemu.py
Bochs   the debugger's prompt: commands, registers, memory, checkpoints     bochs.py
bochs() one debugger script from beginning to end                           bochs.py

and by the same name what they are told of: files (places.py), programs (programs.py), processes (machine.py).
"""

from ringside.emulators.bochs import BOCHS_MODELS, Bochs, bochs, bochs_cpu, bochs_models
from ringside.emulators.machine import CannotStart, Machine, Missing, by_name, fields, log_lines, wait
from ringside.emulators.places import BUILD, FLOPPY, FLOPPY_BYTES, IN_MEMORY, PROGRAM, ROOT, VERSION, Path
from ringside.emulators.programs import (BASE, LINEAR, floppy_that_starts, linear_base, linked, sym, symbols, that_starts,
                                         write_image)
from ringside.emulators.qemu import CP437, Qemu

__all__ = [
    "BASE", "BOCHS_MODELS", "BUILD", "Bochs", "CP437", "CannotStart", "FLOPPY", "FLOPPY_BYTES", "IN_MEMORY", "LINEAR",
    "Machine", "Missing", "PROGRAM", "Path", "Qemu", "ROOT", "VERSION", "bochs", "bochs_cpu", "bochs_models", "by_name",
    "fields", "floppy_that_starts", "linear_base", "linked", "log_lines", "sym", "symbols", "that_starts", "wait",
    "write_image",
]

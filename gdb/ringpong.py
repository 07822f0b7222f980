"""GDB, made ready for Ringpong: scripts/debug starts it, in the project's folder.

stub.py         stands between GDB and QEMU; says what an address is
guest.py        what the commands know of the guest
command.py      what the commands have in common
where.py        what is shown at each stop; ring
crossing.py     crossing
procs.py        frames, who
tables.py       gdt, ldt, idt, tss
breakpoints.py  at, watch
console.py      screen, key
"""

import os
import pathlib

import gdb

import guest
from breakpoints import AccessWatch, At, ReadWatch, Watch
from command import Command, quietly, say
from console import Key, Screen
from crossing import Crossing
from procs import Frames, Who
from tables import Gdt, Idt, Ldt, Tss
from where import Assembly, Ring, Stop

COMMANDS = (At, Crossing, Ring, Who, Frames, Tss, Gdt, Ldt, Idt, Screen, Key, Watch)

SETTINGS = f"""
set confirm off
set pagination off
set osabi none
set host-charset UTF-8
set remotetimeout 60
set architecture i8086
set disassemble-next-line auto
# Code comes from the ELF file, so that one sees it before it is loaded, too.
set trust-readonly-sections on
file build/{guest.PROGRAM}.elf
add-symbol-file build/boot.elf
"""


def first_line(command):
    return command.__doc__.partition("\n")[0]


class Ringpong(Command):
    __doc__ = "\n".join([
        "What there is besides GDB's own commands; `help NAME` says more.", "",
        *(f"{command.name:10}{first_line(command)}" for command in COMMANDS), "",
        "Addresses below 10000 are offsets in the program, as in the log and on the screen,",
        "or in the boot sector, at 7c00. All others are linear. $pc and $sp are addresses,",
        "too; what cs:eip and ss:esp are in the CPU is said at each stop.", "",
        "`next` goes into calls from assembly to assembly; `advance LINE` goes past them."])

    name = "ringpong"

    def run(self, _argument):
        gdb.execute("help ringpong")


def start():
    quietly(SETTINGS)
    for one in (Stop, Assembly, Ringpong, ReadWatch, AccessWatch, *COMMANDS):
        one()
    try:
        gdb.execute(f"target remote | /usr/bin/python3 gdb/stub.py {os.environ['QEMU']}")
    except gdb.error:
        # Since version 14 or so GDB keeps to itself what its other end writes to stderr.
        gdb.write(pathlib.Path(os.environ["ERRORS"]).read_text(errors="replace"), gdb.STDERR)
        gdb.write("debug: QEMU has not started, see above\n", gdb.STDERR)
        gdb.execute("quit 1")
    quietly("set confirm on")
    quietly("define hook-quit\nset confirm off\nend")  # there is nothing to lose
    say("\nThis is the boot sector's first instruction. `help ringpong` lists what there is.\n"
        "`at start`, then `continue` goes to the program; `quit` ends it all.")


start()

"""The guest, as our commands see it: CPU, names, tables, procs.

Addresses are GDB's (stub.py): below 64 KiB they are offsets in the program. Bases of
segments and tables are the CPU's own, linear.
"""

import collections
import os
import pathlib
import re
import struct

import gdb

import stub
from command import quietly
from ringside.emulators.registers import Segment, of_qemu

PROGRAM = os.environ["PROGRAM"]  # scripts/debug: the one that the floppy starts

RPL, TI = 3, 4
PE, PG = 1, 1 << 31
FLAT = 0xffff0000  # where a program with pages is linked (ring0/flat.ld)
IS_32BIT = 0x400000
EFLAGS = {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "TF": 8, "IF": 9, "DF": 10, "OF": 11,
          "NT": 14, "RF": 16, "VM": 17}


# ---- the CPU

class Cpu:
    """What the CPU holds now. Only QEMU's monitor knows bases, tables and CPL."""

    HOLDERS = "cs ss ds es fs gs ldtr tr".split()  # of selectors

    def __init__(self):
        found = of_qemu(quietly("monitor info registers"))
        for name in ("eip", "esp", "eflags", "cpl", "cr0", "gdtr", "idtr", *self.HOLDERS):
            setattr(self, name, found[name])

    @property
    def is_protected(self):
        return bool(self.cr0 & PE)

    @property
    def has_pages(self):
        return bool(self.cr0 & PG)

    @property
    def has_tables(self):
        """Of the program, not of the BIOS."""
        return self.is_protected and (stub.is_in_program(self.gdtr.base) or self.gdtr.base >= FLAT)

    @property
    def has_selector_in_cs(self):
        """False between the `mov` to cr0 and the far jump."""
        return self.is_protected and self.cs.base != self.cs.selector << 4

    @property
    def runs_32bit_code(self):
        return bool(self.cs.flags & IS_32BIT)

    @property
    def pc(self):
        return stub.address(self.cs.base + self.eip & 0xffffffff)

    @property
    def sp(self):
        return stub.address(self.ss.base + self.esp & 0xffffffff)

    @property
    def cs_eip(self):
        return f"{self.cs.selector:04x}:{self.eip:08x}"

    @property
    def ss_esp(self):
        return f"{self.ss.selector:04x}:{self.esp:08x}"

    @property
    def flags(self):
        names = [name for name, bit in EFLAGS.items() if self.eflags >> bit & 1]
        return " ".join([f"{self.eflags:08x}", *names])


def protected_cpu():
    """The CPU, if its tables are the program's."""
    cpu = Cpu()
    if not cpu.has_tables:
        raise gdb.GdbError("There are no tables, frames and procs before protected mode. "
                           "To get there: at ckpt_frames, then continue")
    return cpu


# ---- memory and its names

def words(address, count):
    data = gdb.selected_inferior().read_memory(address, 4 * count).tobytes()
    return struct.unpack(f"<{count}I", data)


def word(address):
    return words(address, 1)[0]


def read_symbols():
    """The program's names and addresses. Not from GDB, which would find C's local variables first."""
    with open(f"build/{PROGRAM}.sym", encoding="utf-8") as listing:
        return {name: int(address, 16) for address, name in map(str.split, listing)}


SYMBOLS = read_symbols()


def structure(kind, address):
    return gdb.Value(address).cast(gdb.lookup_type(f"struct {kind}").pointer()).dereference()


def place(address):
    """'gate+3' for an address, or '' if there is no name near it."""
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", quietly(f"info symbol {address:#x}"))
    return "+".join(filter(None, found.groups())) if found else ""


def stack_place(cpu):
    """The same for ss:esp. At the end of a segment, the next name would mislead."""
    if cpu.esp == cpu.ss.limit + 1:
        return f"the end of {selector(cpu.ss.selector)}"
    return place(cpu.sp)


def where(address):
    """'gate+3 p_proc.S:224' for an address in code."""
    line = gdb.find_pc_line(address)
    source = f"{line.symtab.filename}:{line.line}" if line.symtab and line.line else ""
    return f"{place(address)} {source}".strip()


# ---- tables

Row = collections.namedtuple("Row", "name purpose")
FOLDER = pathlib.Path("procs" if PROGRAM == "p_proc" else f"programs/{PROGRAM}")
SEGMENT_HEADERS = ["ring0/segments.h", *sorted(FOLDER.glob("*_segments.h"))]


def segment_rows():
    """What stands in each place of GDT (TI clear) and LDTs (TI set)."""
    rows = []
    for header in SEGMENT_HEADERS:
        with open(header, encoding="utf-8") as text:
            rows += re.findall(r'^SEG\((\w+), *(\w+),.*"(.*)"', text.read(), re.M)
    return {int(place, 16): Row(name, purpose) for place, name, purpose in rows}


SEGMENT_ROWS = segment_rows()


def selector(value):
    """'A_CODE' for 0x23."""
    row = SEGMENT_ROWS.get(value & ~RPL)
    return row.name if row else ""


class Descriptor:
    """Eight bytes of a GDT or LDT (Intel, volume 3, section 3.4.5) or of an IDT (6.11)."""

    SYSTEM = {0x2: "LDT", 0x5: "task gate", 0x9: "TSS", 0xb: "TSS, busy", 0xc: "call gate",
              0xe: "interrupt gate", 0xf: "trap gate"}

    def __init__(self, place, low, high):
        self.place = place
        self.present = bool(high & 0x8000)
        self.dpl = high >> 13 & 3
        self.base = high & 0xff000000 | (high & 0xff) << 16 | low >> 16
        self.limit = high & 0xf0000 | low & 0xffff
        if high & 0x800000:  # counted in pages
            self.limit = self.limit << 12 | 0xfff
        self.selector, self.offset = low >> 16, high & 0xffff0000 | low & 0xffff
        self.type = self.type_of(high) if self.present else "not present"

    def type_of(self, high):
        if not high & 0x1000:
            return self.SYSTEM.get(high >> 8 & 0xf, "reserved")
        size = 32 if high & IS_32BIT else 16
        if high & 0x800:
            return f"code{size} " + ("xr" if high & 0x200 else "x")
        return f"data{size} " + ("rw" if high & 0x200 else "r")


def descriptors(table):
    raw = words(stub.address(table.base), (table.limit + 1) // 4)
    return [Descriptor(4 * i, raw[i], raw[i + 1]) for i in range(0, len(raw), 2)]


def loaded(selector, cpu):
    """A segment register with this selector."""
    selector &= 0xffff
    found = descriptors(cpu.ldtr if selector & TI else cpu.gdtr)[selector >> 3]
    return Segment(selector, found.base, found.limit, flags=0)


# ---- procs

class Proc:
    """A struct proc (switch.h), and the frame that ends where it begins."""

    def __init__(self, start):
        frame = structure("frame", start)
        self.start = start
        self.end = start + frame.type.sizeof
        value = structure("proc", self.end)
        self.name = chr(int(value["name"]))
        self.code = int(frame["cs"])
        self.next = int(value["next"])


def procs():
    return [Proc(SYMBOLS[name]) for name in sorted(SYMBOLS) if re.fullmatch("proc_[a-z]", name)]


def running_proc(cpu):
    """The proc that the CPU executes in ring 3, or None."""
    return next((proc for proc in procs() if cpu.cpl == 3 and proc.code == cpu.cs.selector), None)


def owner(frame_end):
    """The proc whose frame ends there, or None."""
    return next((proc for proc in procs() if proc.end == frame_end), None)


def tss():
    return structure("tss", SYMBOLS["tss"])


def esp0():
    return int(tss()["esp0"])

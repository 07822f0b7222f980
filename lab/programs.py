"""What those who look at a program from outside must know of it: data, an entry for each on the floppy.

    program = programs.named("kstack")
    program.elf, program.com, program.symbols
    program.place("stack_a + stack_a.size - 68")    an offset in the program

A place is a sum of names of the program, of numbers, of name.size (bytes of what has that
name) and of struct.member (where that lies in the struct), all as the ELF file tells them.
"""

import dataclasses
import functools
import re
import subprocess

import machines
import recording

# context.h, from the lowest address up.
CONTEXT_WORDS = (*recording.GENERAL, "eip", "eflags", "fsbase", "gsbase", "trap_num", "error_code")


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    saved: dict             # where the registers of A and of B lie while it waits
    words: tuple            # which they are, from the lowest address up
    # For lab/record: source files, and functions, with nothing in them that a ring transition
    # needs; those that all programs have are in SCENERY.
    scenery: tuple = ()
    scenery_functions: tuple = ()

    @property
    def elf(self):
        return machines.BUILD / f"{self.name}.elf"

    @property
    def com(self):
        return machines.BUILD / f"{self.name}.com"

    @property
    def symbols(self):
        return _symbols(self.elf)

    def place(self, text):
        return place(self.elf, text)


SCENERY = ("look.c", "machine.c", "pace.c", "screen.c", "text.c", "watchdog.c")

PROGRAMS = {program.name: program for program in (
    Program(
        "p_proc",
        saved={"A": "proc_a", "B": "proc_b"},
        words=recording.FRAME_WORDS,
        scenery=("panel.c",),
        scenery_functions=("watch_start", "ask_count"),
    ),
    Program(
        "kstack",
        # The frame is what lies at the end of the kernel stack.
        saved={"A": "stack_a + stack_a.size - 68", "B": "stack_b + stack_b.size - 68"},
        words=recording.FRAME_WORDS,
        scenery=("stacks.c",),
        scenery_functions=("ask_count",),
    ),
    Program(
        "userctx",
        saved={"A": "player_a + player.context", "B": "player_b + player.context"},
        words=CONTEXT_WORDS,
        scenery=("contexts.c",),
        scenery_functions=("ask_count",),
    ),
)}


def on_the_floppy():
    """The names of those that the Makefile has made."""
    return [program.name for program in PROGRAMS.values() if program.elf.exists()]


def named(name):
    """The program of that name."""
    if name in on_the_floppy():
        return PROGRAMS[name]
    there = ", ".join(on_the_floppy())
    raise SystemExit(f"no program {name} in build/, there are: {there or 'none: run make'}")


# ---- what an ELF file tells

@functools.lru_cache(None)
def _symbols(elf):
    return machines.symbols(elf)


@functools.lru_cache(None)
def _sizes(elf):
    listing = subprocess.run(["nm", "-S", str(elf)], check=True, capture_output=True, text=True)
    entries = (line.split() for line in listing.stdout.splitlines())
    return {entry[3]: int(entry[1], 16) for entry in entries if len(entry) == 4}


@functools.lru_cache(None)
def _members(elf):
    """{"struct.member": offset}, from the debugging information."""
    listing = subprocess.run(["readelf", "--debug-dump=info", str(elf)], check=True, capture_output=True, text=True)
    found, struct, member, tag = {}, None, None, None
    for line in listing.stdout.splitlines():
        if match := re.search(r"\((DW_TAG_\w+)\)$", line):
            tag, member = match[1], None
        elif match := re.search(r"DW_AT_name +: (?:\(.*\): )?(\w+)\s*$", line):
            struct = match[1] if tag == "DW_TAG_structure_type" else struct
            member = match[1] if tag == "DW_TAG_member" else None
        elif member and (match := re.search(r"DW_AT_data_member_location: (\d+)", line)):
            found.setdefault(f"{struct}.{member}", int(match[1]))
    return found


def place(elf, text):
    total = 0
    for sign, term in re.findall(r"([+-]?) *([\w.]+)", text):
        if term.isdigit():
            number = int(term)
        elif term.endswith(".size"):
            number = _sizes(elf)[term.removesuffix(".size")]
        elif "." in term:
            number = _members(elf)[term]
        else:
            number = _symbols(elf)[term]
        total += -number if sign == "-" else number
    return total

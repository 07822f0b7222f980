"""What those who look at a program from outside must know of it: data, an entry for each on the floppy.

    program = programs.named("kstack")
    program.elf, program.com, program.symbols
    program.place("stack_a + stack_a.size - 68")    an offset in the program

A place is a sum of names of the program, of numbers, of name.size (bytes of what has that
name) and of struct.member (where that lies in the struct), all as the ELF file tells them.
"""

import dataclasses
import functools
import pathlib
import re
import subprocess
from typing import Any, NamedTuple

from ringside.emulators import machines
from ringside.emulators.registers import FRAME_WORDS, TSS_WORDS

Span = tuple[str, str]  # two places: from the one up to the other

# programs/callgate/call_frame.h: the flags lie below the frame, and where they would lie is a parameter.
CALL_WORDS = ("eflags", *("param" if word == "eflags" else word for word in FRAME_WORDS))

# programs/sysenter/proc.h: edx is eip, ecx is esp, and the flags lie above.
SYSENTER_WORDS = (*FRAME_WORDS[:9], "eip", "esp", "eax", "eflags")

# context.h, from the lowest address up: a frame, with two more words inside it and two behind it.
CONTEXT_WORDS = (*FRAME_WORDS[:12], "trap_num", "error_code", *FRAME_WORDS[12:], "fsbase", "gsbase")


class Pages(NamedTuple):
    """Of a program with pages, for scripts/ringside attack: ring 3's addresses, and both spaces."""
    code: int
    data: int
    window: int
    stack_end: int
    spaces: dict[str, str]          # where the directories' physical addresses stand, A's and B's
    names: tuple[str, ...]          # a space's pages in the pool, from its directory on
    first: int = 4                  # A's directory, counted from the pool's first page
    models: tuple[str, ...] = ()    # of Bochs' CPUs for codes at random, if not the usual ones


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    saved: dict[str, str]             # where the registers of A and of B lie while it waits
    words: tuple[str, ...]            # which they are, from the lowest address up
    tasks: dict[str, str] = dataclasses.field(default_factory=dict)   # other TSSs into which registers are saved
    # For scripts/ringside record: source files, and functions, with nothing in them that a ring
    # transition needs; those that all programs have are in SCENERY.
    scenery: tuple[str, ...] = ()
    scenery_functions: tuple[str, ...] = ()
    start: str = "start"    # where a recording begins: a program with pages is recorded once it has them
    clock: str = ""         # the function that sets the clock to eax times a second, if it ends each turn
    qemu_cpu: str = ""      # in which it does what it does in Bochs, if not in the usual one
    full_speed: tuple[str, int] = ("gate", 8192)  # where it is recorded from, after so many switches

    # For scripts/ringside attack. Segments by the names that reports have for them, beyond ring 0's.
    segments: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()    # of these, what A may load into ds, es, fs, gs, ss
    code: str = "A_CODE"    # and into cs
    roles: dict[str, str | int] = dataclasses.field(default_factory=dict)   # what an attack means by A_DATA
    ldt: str = ""           # A's
    code_bytes: str = ""    # of A's code segment, while it attacks
    front: str = ""         # what B needs of that segment, if it is B's, too: code of this name
    yields: str = "int $0x30"   # how A gives its turn away
    prelude: str = ""       # A's first instructions: they make its registers those of P_PROC's A
    data_bytes: int = 256
    asked: int = 0          # where A is asked for things, in its data
    ended: dict[str, str] = dataclasses.field(default_factory=dict)   # a byte of A's, and of B's,
    ended_is: int = 1       # which says that it has ended
    pushed: dict[str, str] = dataclasses.field(default_factory=dict)  # what int has pushed (PUSHED), if it is not in `saved`
    spoilt: tuple[str, str] | tuple[()] = ()      # word of A's that, with that value, ends it at its next turn
    b_count: str = ""       # of B's turns: 64 bits; edi:esi unless given
    # What B has in its registers at int 0x30; in its loop, where a clock ends each turn.
    b_has: dict[str, str] = dataclasses.field(default_factory=dict)
    b_flags: int = 0x202    # and in its saved flags, besides those of arithmetic
    gates: tuple[str, ...] = ()     # call gates that ring 3 may use, by their segment names
    untouched: dict[str, Span] = dataclasses.field(default_factory=dict)   # while they play: from, to
    late: tuple[str, ...] = ()        # descriptors that TCG only marks as accessed when an exception comes
    shared: tuple[str, ...] = ()      # of these, what A may touch after all, and by it end B
    pages: Pages | None = None

    @property
    def attacked(self) -> bool:
        """By ringside/attacks: A's code is a segment, or a page, and attacks lie there."""
        return bool(self.ended)

    @property
    def ticks(self) -> bool:
        """No proc yields: a clock ends each turn."""
        return bool(self.clock)

    @property
    def elf(self) -> pathlib.Path:
        return machines.BUILD / f"{self.name}.elf"

    @property
    def com(self) -> pathlib.Path:
        return machines.BUILD / f"{self.name}.com"

    @property
    def symbols(self) -> dict[str, int]:
        return _symbols(self.elf)

    def place(self, text: str) -> int:
        return place(self.elf, text)

    def selectors(self) -> dict[str, int]:
        """By role or name, with the RPL that each has in the program."""
        # A program with pages has a base below which no symbol lies, and selectors are symbols as well.
        named = {name: self.symbols[name] & 0xffff for name in (*RING0_SEGMENTS, *self.segments)}
        return {**named, **{role: what if isinstance(what, int) else named[what] for role, what in self.roles.items()}}

    def gdt_bytes(self) -> int:
        return self.symbols["gdt_end"] - self.symbols["gdt"]

    def descriptor(self, role: str) -> int:
        """The offset of a descriptor of A's."""
        selector = self.selectors()[role]
        return self.symbols[self.ldt if selector & 4 else "gdt"] + (selector & ~7)


SCENERY = ("clocks.c", "last_words.c", "look.c", "machine.c", "pace.c", "quit.c", "screen.c", "text.c", "watchdog.c")

RING0_SEGMENTS = ("RING0_CODE", "RING0_DATA", "TSS", "DOUBLE_FAULT", "RING0_SCREEN")
NO_REGISTERS = dict.fromkeys(("eax", "ebx", "ecx", "edx", "ebp"), "0")
B_STACK = 64    # bytes of it that B uses

FRAMES: dict[str, Any] = {"saved": {"A": "proc_a", "B": "proc_b"}, "words": FRAME_WORDS}
PUSHED = FRAME_WORDS[12:]     # by the CPU

# The procs of P_PROC, which others have, too; the same as tasks.
SEGMENTS = ("A_LDT", "B_LDT", "A_CODE", "A_DATA", "A_SCREEN", "B_CODE", "B_DATA", "B_SCREEN")
B_HAS = {**NO_REGISTERS, "cs": "B_CODE", "ss": "B_DATA", "ds": "B_DATA", "es": "B_DATA", "fs": "0", "gs": "B_SCREEN",
         "esp": "256"}
THEIR_OWN = {
    "A's LDT, but for its code": ("proc_a_ldt + 8", "proc_b_ldt"),
    "B's LDT": ("proc_b_ldt", "proc_b_ldt + proc_b_ldt_bytes"),
    "B's data": ("proc_b_data + 4", f"proc_b_data + 256 - {B_STACK}"),
}
PROCS: dict[str, Any] = {
    "segments": SEGMENTS,
    "writable": ("A_DATA", "A_SCREEN"),
    "code_bytes": "proc_a_code_bytes",
    "ldt": "proc_a_ldt",
    "ended": {"A": "proc_a_end + proc.ended", "B": "proc_b_end + proc.ended"},
    "spoilt": ("cs", "0"),
    "b_has": B_HAS,
    "untouched": {"GDT": ("gdt", "gdt_end"), **THEIR_OWN, "TSS": ("tss + 8", "tss + 104")},
}
TASKS: dict[str, Any] = {
    **PROCS,
    "saved": {"A": "proc_a_tss", "B": "proc_b_tss"},
    "words": TSS_WORDS,
    "tasks": {"ring 0": "tss", "#DF": "double_fault_tss"},
    "segments": (*SEGMENTS, "A_TSS", "B_TSS"),
    "ended": {"A": "proc_a + task.ended", "B": "proc_b + task.ended"},
    "untouched": {
        **THEIR_OWN,
        # All that the CPU only reads, and a backlink that only a call would write; A's busy bit
        # says whether it waits.
        "GDT, up to A's busy bit": ("gdt", "gdt + 69"),
        "GDT, behind it": ("gdt + 70", "gdt_end"),
        "TSS, front": ("tss + 4", "tss + 32"),
        "TSS, segments": ("tss + 72", "tss + 104"),
        "A's TSS, front": ("proc_a_tss", "proc_a_tss + 32"),
        "A's TSS, end": ("proc_a_tss + 96", "proc_a_tss + 104"),
        "B's TSS, front": ("proc_b_tss", "proc_b_tss + 32"),
        "B's TSS, segments": ("proc_b_tss + 72", "proc_b_tss + 104"),
    },
    "late": ("proc_a_ldt + 8", "proc_a_ldt + 16", "proc_b_ldt + 24", "proc_b_ldt + 32", "proc_b_ldt + 40"),
}
CALLGATE: dict[str, Any] = {
    **PROCS,
    "segments": (*SEGMENTS, "CALL_GATE"),
    "b_has": {**B_HAS, "esp": "252"},
    "untouched": {**PROCS["untouched"], "GDT": ("gdt", "idt_gate"), "gate 0x30": ("idt_gate + 2", "gdt_end"),
                  "IDT": ("idt", "idtr")},
}
# No LDT, as in KSTACK, and two flat segments.
FLAT: dict[str, Any] = {
    "segments": ("USER_CODE", "USER_DATA"),
    "writable": ("USER_DATA",),
    "code": "USER_CODE",
    "roles": {"A_CODE": "USER_CODE", "A_DATA": "USER_DATA", "A_LDT": "DOUBLE_FAULT", "B_LDT": "TSS", "B_CODE": 0x1f,
              "B_DATA": 0x27},
    "code_bytes": "512",    # of the page
    "asked": 0x08049000,
    "untouched": {"GDT": ("gdt", "gdt_end"), "IDT": ("idt", "idt_end"), "gate 0x30": ("idt", "idt_end"),
                  "TSS": ("tss + 8", "tss + 104")},
}
FLAT_AND_GATE: dict[str, Any] = {
    **FLAT, "untouched": {**FLAT["untouched"], "IDT": ("idt", "idt_gate"), "gate 0x30": ("idt_gate + 2", "idt_end")}}
FLAT_AND_SYSENTER: dict[str, Any] = {**FLAT, "segments": ("SYSENTER_CODE", "SYSENTER_DATA", *FLAT["segments"])}
HWTASK: dict[str, Any] = {**TASKS, "spoilt": ("eip", "code_bytes + 8")}

PROGRAMS = {program.name: program for program in (
    Program(
        "p_proc", **FRAMES, **PROCS,
        scenery=("panel.c",),
        scenery_functions=("watch_start", "ask_count"),
    ),
    Program(
        "kstack",
        # The frame is what lies at the end of the kernel stack.
        saved={"A": "stack_a + stack_a.size - 68", "B": "stack_b + stack_b.size - 68"},
        words=FRAME_WORDS,
        scenery=("stacks.c",),
        scenery_functions=("ask_count",),
        segments=("USER_CODE", "USER_DATA", "TLS_1", "TLS_2", "A_SCREEN", "B_SCREEN"),
        writable=("USER_DATA", "A_SCREEN", "TLS_1", "TLS_2", "B_SCREEN"),
        code="USER_CODE",
        # There is no LDT: in the places of two, other segments of ring 0's; and two selectors
        # that would need one.
        roles={"A_CODE": "USER_CODE", "A_DATA": "USER_DATA", "A_LDT": "DOUBLE_FAULT", "B_LDT": "TSS",
               "B_CODE": 0x1f, "B_DATA": 0x27},
        # Both threads have one code segment. So what A is to do lies behind the thread's
        # instructions, in a longer segment, and the first of these, which B has behind it, leads there.
        front="thread_code",
        code_bytes="thread_code_bytes + 224",
        prelude="mov %ecx, %gs; xor %ecx, %ecx; xor %edx, %edx; mov %ecx, %fs",
        data_bytes=512,
        asked=4,
        ended={"A": "thread_a + thread.playing", "B": "thread_b + thread.playing"},
        ended_is=0,
        spoilt=("cs", "0"),
        b_count="user_data + 256 + 16 + 4",
        b_has={**NO_REGISTERS, "cs": "USER_CODE", "ss": "USER_DATA", "ds": "USER_DATA", "es": "B_SCREEN",
               "fs": "TLS_1", "gs": "TLS_2", "ecx": "B_SCREEN", "esp": "512"},
        # All but the base of USER_CODE, which the attacks move; base and access of TLS_1 and TLS_2;
        # and the bits of A's ports.
        untouched={
            "GDT, ring 0's": ("gdt", "gdt + 48"),
            "GDT, USER_DATA": ("gdt + 54", "gdt + 66"),
            "GDT, TLS_1": ("gdt + 70", "gdt + 74"),
            "GDT, TLS_2 and windows": ("gdt + 78", "gdt_end"),
            "TSS": ("tss + 8", "io_bitmap + 14"),
            "I/O map": ("io_bitmap + 15", "io_bitmap + 8193"),
            "B's data": ("user_data + 256 + 32", f"user_data + 512 - {B_STACK}"),
        },
        shared=("B's data", "B's window, top", "B's window, bottom"),
    ),
    Program(
        "paged",
        saved={"A": "stack_a + stack_a.size - 68", "B": "stack_b + stack_b.size - 68"},     # as KSTACK's
        words=FRAME_WORDS,
        scenery=("panel.c", "paging.c", "spaces.c", "window_page.c"),
        scenery_functions=("ask_count",),
        start="ckpt_spaces",
        qemu_cpu="pentium",     # no global pages
        **FLAT_AND_GATE,
        late=("gdt + 48", "gdt + 56"),
        ended={"A": "thread_a + thread.playing", "B": "thread_b + thread.playing"},
        ended_is=0,
        spoilt=("cs", "0"),
        b_count="4",            # in its data
        b_has={**NO_REGISTERS, "esi": "0", "edi": "0", "cs": "USER_CODE", "ss": "USER_DATA", "ds": "USER_DATA", "es": "USER_DATA",
               "fs": "0", "gs": "0", "esp": "134545408"},
        pages=Pages(0x08048000, 0x08049000, 0x0804d000, 0x08050000,
                    {"A": "thread_a + thread.space", "B": "thread_b + thread.space"},
                    ("directory", "directory without ring 0", "table", "data", "later", "window", "stack", "ring 0's ways in")),
    ),
    Program(
        "userctx",
        saved={"A": "player_a + player.context + user_context.gs", "B": "player_b + player.context + user_context.gs"},
        words=CONTEXT_WORDS,
        scenery=("contexts.c",),
        scenery_functions=("ask_count",),
        segments=("USER_FS", "USER_GS", "A_LDT", "B_LDT", "USER_CODE", "USER_DATA"),
        writable=("USER_DATA", "USER_GS", "USER_FS"),
        code="USER_CODE",
        # B's code and data have the selectors of A's. Two others, beyond the LDT.
        roles={"A_CODE": "USER_CODE", "A_DATA": "USER_DATA", "A_SCREEN": "USER_GS", "B_CODE": 0x1f, "B_DATA": 0x27},
        code_bytes="proc_a_code_bytes",
        prelude="mov %ebp, %fs",    # null
        ldt="a_ldt",
        ended={"A": "player_a + player.ended", "B": "player_b + player.ended"},
        spoilt=("eip", "code_bytes + 8"),
        b_has={**NO_REGISTERS, "cs": "USER_CODE", "ss": "USER_DATA", "ds": "USER_DATA", "es": "USER_DATA",
               "fs": "USER_FS", "gs": "USER_GS", "esp": "256"},
        untouched={
            "GDT, ring 0's": ("gdt", "gdt + 50"),
            "GDT, USER_FS": ("gdt + 54", "gdt + 58"),
            "GDT, USER_GS and LDTs": ("gdt + 62", "gdt_end"),
            "A's LDT, but for its code": ("a_ldt + 8", "b_ldt"),
            "B's LDT": ("b_ldt", "idt"),
            "TSS": ("tss + 8", "tss + 104"),
            "B's fsbase and gsbase": ("player_b + player.context + user_context.fsbase",
                                      "player_b + player.context + user_context.gsbase + 4"),
            "B's data": ("proc_b_data + 4", f"proc_b_data + 256 - {B_STACK}"),
        },
    ),
    Program(
        "timer", **FRAMES, **PROCS,
        scenery=("panel.c", "watch.c", "clock.c"),
        scenery_functions=("watch_start", "ask_count"),
        clock="clock_set",
        full_speed=("ckpt_switched", 512),
    ),
    Program(
        "callgate",
        **CALLGATE,
        saved={"A": "proc_a - 4", "B": "proc_b - 4"},
        words=CALL_WORDS,
        scenery=("panel.c", "gap.c"),
        scenery_functions=("watch_start", "ask_count"),
        yields="push $0; lcall $CALL_GATE, $0",
        b_flags=0x002,      # they are saved behind cli
        gates=("CALL_GATE",),
    ),
    Program(
        "sysenter",
        saved={"A": "proc_a - 52", "B": "proc_b - 52"},
        words=SYSENTER_WORDS,
        scenery=("panel.c", "paging.c", "walk.c", "window_page.c"),
        scenery_functions=("ask_count",),
        start="ckpt_spaces",
        **FLAT_AND_SYSENTER,
        yields="mov %esp, %ecx; mov $77f - 7b + CODE_AT, %edx; sysenter; 77:",
        prelude="xor %ecx, %ecx; xor %edx, %edx",
        ended={"A": "proc_a + proc.ended", "B": "proc_b + proc.ended"},
        spoilt=("eip", "0"),
        b_flags=0x002,      # they are saved behind sysenter
        b_has={"eax": "0", "ebx": "0", "ebp": "0", "ds": "USER_DATA", "es": "USER_DATA", "fs": "0", "gs": "0",
               "esp": "134545408"},
        pages=Pages(0x08048000, 0x08049000, 0x0804d000, 0x08050000, {"A": "proc_a + proc.space", "B": "proc_b + proc.space"},
                    ("directory", "table", "data", "window", "stack"), models=("p3_katmai", "corei7_haswell_4770")),
    ),
    Program(
        "hwtask", **HWTASK,
        scenery=("panel.c",),
        scenery_functions=("ask_count",),
    ),
    Program(
        "hwjump", **TASKS,
        scenery=("panel.c",),
        scenery_functions=("ask_count",),
        pushed={"A": "proc_a + frame.eip", "B": "proc_b + frame.eip"},
    ),
)}


def on_the_floppy() -> list[str]:
    """The names of those that the Makefile has made."""
    return [program.name for program in PROGRAMS.values() if program.elf.exists()]


def named(name: str) -> Program:
    """The program of that name: hwtask, HWTASK or HWTASK.COM."""
    plain = name.lower().removesuffix(".com")
    if plain in on_the_floppy():
        return PROGRAMS[plain]
    there = ", ".join(on_the_floppy())
    raise SystemExit(f"no program {name} in build/, there are: {there or 'none: run make'}")


# ---- what an ELF file tells

@functools.lru_cache(None)
def _symbols(elf: pathlib.Path) -> dict[str, int]:
    return machines.symbols(elf)


@functools.lru_cache(None)
def _sizes(elf: pathlib.Path) -> dict[str, int]:
    listing = subprocess.run(["nm", "-S", str(elf)], check=True, capture_output=True, text=True)
    entries = (line.split() for line in listing.stdout.splitlines())
    return {entry[3]: int(entry[1], 16) for entry in entries if len(entry) == 4}


@functools.lru_cache(None)
def _members(elf: pathlib.Path) -> dict[str, int]:
    """{"struct.member": offset}, from the debugging information."""
    listing = subprocess.run(["readelf", "--debug-dump=info", str(elf)], check=True, capture_output=True, text=True)
    found: dict[str, int] = {}
    struct = member = tag = None
    for line in listing.stdout.splitlines():
        if match := re.search(r"\((DW_TAG_\w+)\)$", line):
            tag, member = match[1], None
        elif match := re.search(r"DW_AT_name +: (?:\(.*\): )?(\w+)\s*$", line):
            struct = match[1] if tag == "DW_TAG_structure_type" else struct
            member = match[1] if tag == "DW_TAG_member" else None
        elif member and (match := re.search(r"DW_AT_data_member_location: (\d+)", line)):
            found.setdefault(f"{struct}.{member}", int(match[1]))
    return found


def place(elf: pathlib.Path, text: str) -> int:
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

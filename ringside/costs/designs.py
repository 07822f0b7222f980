"""The designs, and each in a machine in which only switches are left.

    there = tools()             the emulators that are here, and what is missing
    DESIGNS, BY_NAME            what there is to count and to measure
    playing(design, emulator)   one of them, switching: no look is due, and the gate is the one without a
                                breakpoint, as at full speed
    source_lines(sources), struct_bytes(elf, name)      what the sources and the debug information tell
"""

import collections
import contextlib
import functools
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import threading

from ringside.costs import clocks
from ringside.emulators import debuggers
from ringside.emulators import graft
from ringside.emulators import machines

NO_LOOK = 0x7fffffff  # in switches_left: more than anybody waits for
YES = b"\xb0\x01\xc3"  # mov $true, %al; ret
EMULATORS = {"QEMU": "qemu-system-i386", "Bochs": "bochs"}

Lacking = clocks.Lacking


def once(function):
    """Made once, and whole before any thread has it: scripts/ringside docs asks from several."""
    made, lock = functools.lru_cache(None)(function), threading.RLock()

    @functools.wraps(function)
    def ask(*arguments):
        with lock:
            return made(*arguments)
    return ask


# ---- the designs

def proc_state(structure):
    """A struct's size."""
    return lambda machine, elf: struct_bytes(elf, structure)


def frame_and_flags(machine, elf):
    """CALLGATE: the flags lie in a word of their own, below the frame."""
    return struct_bytes(elf, "frame") + 4


def kept_on_the_stack(machine, elf):
    """KSTACK, while A runs: from B's esp to the end of B's kernel stack (thread.h)."""
    return machine.word("thread_b", 0) - machine.word("thread_b", 4)


def tss_and_stack(machine, elf):
    """HWJUMP, while A runs: B's TSS, and what lies between its esp and its esp0."""
    esp0, esp = machine.word("proc_b_tss", 4), machine.word("proc_b_tss", 56)
    return struct_bytes(elf, "tss") + esp0 - esp


def by_pointer(name, pointed):
    """Who runs: the one that a pointer points at."""
    return lambda machine: "A" if machine.word(name) == machine.symbols[pointed] else "B"


def on_the_stack_of_b(machine, elf):
    """PAGED: the same."""
    end, esp = (int.from_bytes(machine.physical_memory(machines.BASE + machine.symbols["thread_b"] + place, 4), "little")
                for place in (0, 4))
    return end - esp


def by_space(machine):
    """PAGED: A, if the directory in CR3 is its, with ring 0 or without."""
    space = machine.physical_memory(machines.BASE + machine.symbols["thread_a"] + 8, 4)
    return "A" if machine.registers()["cr3"] & ~0x1000 == int.from_bytes(space, "little") else "B"


def by_the_end(machine):
    """SYSENTER: esp0 is the end of the frame of the one that runs."""
    return "A" if machine.word("tss", 4) == machine.linear("proc_a") else "B"


def by_esp0(machine):
    return "A" if machine.word("tss", 4) == machine.symbols["proc_a_end"] else "B"


INTS = {"A": "proc_a_int", "B": "proc_b_int"}
Design = collections.namedtuple("Design", "name program leaves runs state sources gate", defaults=("gate",))
"""
name     as in the table
program  its file in build/, or beside what it is put
leaves   {who: the instruction that leaves ring 3}; None: an interrupt, wherever it comes
runs     who runs, if it takes more than the place; else None
state    how many bytes are kept of a proc that waits
sources  what one reads, to know all of the design
gate     where the gate leads
"""
DESIGNS = (
    Design("6: general registers", "floors", INTS, None, lambda *_: 4 * (5 + 8),
           ("ringside/costs/floors.S",), "floor_general"),
    Design("14: and segment registers", "floors", INTS, None, proc_state("frame"),
           ("ringside/costs/floors.S",), "floor_segments"),
    Design("20: C that does not return", "floors", INTS, None, proc_state("frame"),
           ("ringside/costs/floors.S", "ringside/costs/floor_leave.c"), "floor_leaves"),
    Design("21: C that returns", "floors", INTS, None, proc_state("frame"),
           ("ringside/costs/floors.S", "switch.c"), "floor_c"),
    Design("P_PROC", "p_proc", INTS, None, proc_state("frame"),
           ("p_proc.S", "switch.c", "ring0/frame.h", "procs/first_frame.h")),
    Design("TIMER", "timer", None, by_esp0, proc_state("frame"),
           ("programs/timer/timer.S", "programs/timer/clock.c", "switch.c", "ring0/frame.h", "procs/first_frame.h")),
    Design("CALLGATE", "callgate", {"A": "proc_a_call", "B": "proc_b_call"}, None, frame_and_flags,
           ("programs/callgate/callgate.S", "programs/callgate/fault.c", "programs/callgate/call_frame.h", "switch.c",
            "ring0/frame.h", "procs/first_frame.h")),
    Design("SYSENTER", "sysenter", dict.fromkeys("AB", "proc_sysenter"), by_the_end, proc_state("proc_frame"),
           ("programs/sysenter/sysenter.S", "programs/sysenter/spaces.c", "programs/sysenter/proc.h",
            "ring0/paging.c", "ring0/paging.h", "ring0/paging.S")),
    Design("HWTASK", "hwtask", INTS, None, proc_state("tss"),
           ("programs/hwtask/hwtask.S", "programs/hwtask/tasks.S", "programs/hwtask/tasks.c", "programs/hwtask/task.h")),
    Design("HWJUMP", "hwjump", INTS, None, tss_and_stack,
           ("programs/hwtask/hwjump.S", "programs/hwtask/tasks.S", "programs/hwtask/tasks.c", "programs/hwtask/task.h")),
    Design("KSTACK", "kstack", dict.fromkeys("AB", "thread_int"), by_pointer("current", "thread_a"),
           kept_on_the_stack,
           ("programs/kstack/kstack.S", "programs/kstack/schedule.c", "programs/kstack/thread.h", "ring0/frame.h")),
    Design("PAGED", "paged", dict.fromkeys("AB", "thread_int"), by_space, on_the_stack_of_b,
           ("programs/paged/paged.S", "programs/paged/schedule.c", "programs/paged/spaces.c", "programs/paged/thread.h",
            "ring0/paging.c", "ring0/paging.h", "ring0/paging.S", "ring0/frame.h")),
    Design("USERCTX", "userctx", INTS, None, proc_state("user_context"),
           ("programs/userctx/userctx.S", "programs/userctx/run.S", "programs/userctx/main.c", "programs/userctx/context.h")),
    Design("FNCALL", "fncall", None, None, proc_state("user_context"),
           ("programs/fncall/run_fncall.S", "programs/fncall/main.c", "programs/fncall/players.h",
            "programs/fncall/fncall.h")),
)
BY_NAME = {design.name: design for design in DESIGNS}
P_PROC, FNCALL = BY_NAME["P_PROC"], BY_NAME["FNCALL"]


def how_to_get(tool):
    return subprocess.run(["sh", machines.ROOT / "scripts/need", tool], capture_output=True, text=True).stderr.strip()


def tools():
    """Which emulators are here; and for each that is not, what to do about it."""
    lacking = {name: how_to_get(tool) for name, tool in EMULATORS.items() if not shutil.which(tool)}
    return [name for name in EMULATORS if name not in lacking], lacking


# ---- what the sources and the debug information tell

def source_lines(sources):
    """Lines with code in them: neither empty nor comment alone."""
    total = 0
    for path in sources:
        text = re.sub(r"/\*.*?\*/", "", (machines.ROOT / path).read_text(), flags=re.S)
        total += sum(bool(line.strip()) and not line.strip().startswith("# ") for line in text.splitlines())
    return total


def struct_bytes(elf, name):
    """The size of a struct, without the headroom below it, if it begins with that."""
    info = subprocess.run(["readelf", "--debug-dump=info", str(elf)], check=True, capture_output=True, text=True).stdout
    tags = re.split(r"^ <\w+><\w+>: ", info, flags=re.M)
    for at, tag in enumerate(tags):
        if "(DW_TAG_structure_type)" in tag and re.search(rf"DW_AT_name +:.* {name}$", tag, re.M):
            members = [(re.search(r"DW_AT_name +:.* (\w+)$", member, re.M)[1],
                        int(re.search(r"DW_AT_data_member_location: (\d+)", member)[1])) for member in tags[at + 1:at + 3]]
            below = members[1][1] if members[0][0] == "headroom" else 0
            return int(re.search(r"DW_AT_byte_size +: (\d+)", tag)[1], 0) - below
    raise Lacking(f"no struct {name}")


# ---- a machine in which only switches are left

@once
def own_folder():
    """For what is made here; gone when Python ends."""
    return tempfile.TemporaryDirectory(prefix="rp-")


@once
def grafted():
    """A copy of the floppy with the floors on it (ringside/costs/floors.S)."""
    here = pathlib.Path(__file__)
    return graft.Graft(own_folder().name, here.with_name("floors.S"), before=[here.with_name("floor_leave.c")])


class FreeQemu(debuggers.DebuggedQemu):
    """As fast as it can, in the host's time."""
    CLOCK = ()


STEPPED = {"QEMU": debuggers.DebuggedQemu, "Bochs": debuggers.DebuggedBochs}
FREE = {"QEMU": FreeQemu, "Bochs": debuggers.DebuggedBochs}


def elf_of(design):
    return grafted().elf if design.program == "floors" else machines.BUILD / f"{design.program}.elf"


@contextlib.contextmanager
def playing(design, emulator, kinds=None, **options):
    """The design in an emulator ("QEMU", "Bochs"), switching, without any more looks."""
    elf = elf_of(design)
    if not elf.exists():
        raise Lacking(f"no build/{elf.name}")
    kind = type(emulator, ((kinds or STEPPED)[emulator],), {
        "symbols": machines.symbols(elf), "base": machines.linear_base(elf),
        "model": machines.BOCHS_MODELS.get(design.program, "")})
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        image = grafted().image if design.program == "floors" else \
            machines.floppy_that_starts(design.program, pathlib.Path(folder) / "floppy.img")
        with kind(image, **options) as machine:
            if design.program == "floors":
                machine.run_to("floors_ready")
            else:
                # Programs with pages take longer to begin than the alarm does to come: change what that calls before.
                machine.run_to("ckpt_spaces" if "ckpt_spaces" in machine.symbols else "gate")
            settle(machine, design.gate)
            yield machine


def settle(machine, gate="gate"):
    """As at full speed, but without any look at all."""
    machine.write(machine.linear("switches_left"), struct.pack("<I", NO_LOOK))
    if "watchdog_is_patient" in machine.symbols:  # the alarm wants a look, or an end
        machine.write(machine.linear("watchdog_is_patient"), YES)
    if "idt_gate" in machine.symbols:   # SYSENTER's door is in an MSR, and the breakpoint behind it
        machine.write(machine.linear("idt_gate"), struct.pack("<H", machine.symbols[gate]))

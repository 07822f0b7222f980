"""What a switch costs, design by design: counted and measured on the programs that ship.

    there = tools()             the emulators that are here, and what is missing
    counted(design)             Counts: instructions and memory accesses, both ways
    race(designs, emulator)     Speed of each: switches a second, and ratios, side by side
    ring(procs)                 instructions of every switch in a turn list of so many procs
    table(speeds), ring_table(speeds)   all of it, in Markdown
    clocks_table(speeds), choice_table()    what the counts hide; how to choose
    comparable(page, run)       two such tables, without what is measured

DESIGNS says what there is to count. All counts begin where nothing but the switch is left:
no look is due, and the gate is the one without a breakpoint, as at full speed.

Reads and writes of data count, each of them as Bochs makes it, those inside int, iret and
ljmp as well; the fetching of instructions does not.
"""

import collections
import contextlib
import functools
import os
import pathlib
import platform
import re
import shutil
import statistics
import struct
import subprocess
import tempfile
import threading
import time

from ringside.costs import choose, clocks, fncall
from ringside.emulators import debuggers
from ringside.emulators import graft
from ringside.emulators import machines

NO_LOOK = 0x7fffffff  # in switches_left: more than anybody waits for
YES = b"\xb0\x01\xc3"  # mov $true, %al; ret
ROUNDS, ROUND_SECONDS = 7, 0.4
RINGS = 2, 8, 64, 256  # procs
EMULATORS = {"QEMU": "qemu-system-i386", "Bochs": "bochs"}


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


Lacking = clocks.Lacking


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


# ---- counting

Step = collections.namedtuple("Step", "cs eip text accesses walks", defaults=(None,))
STEP = re.compile(r"^\(0\)\.\[\d+\] \[\w+\] (\w+):(\w+) \(.*?\): (.*?) *;.*\n", re.M)
ACCESS = re.compile(r"^\[CPU0 (?:RD|WR|RW)\]:(?: LIN 0x(\w+))?(?!.*; P[DT]E).*\n", re.M)
WALK = re.compile(r"^\[CPU0 (?:RD|WR|RW)\]:.*; P[DT]E", re.M)     # of a table, on the way to what is wanted
RING_3 = 3  # of a selector's RPL
CHUNK = 48  # instructions


def instructions_of(text):
    """What Bochs has traced."""
    found = list(STEP.finditer(text))
    ends = [*(step.start() for step in found[1:]), len(text)]
    return [Step(int(step[1], 16), int(step[2], 16), step[3], len(ACCESS.findall(text, step.end(), end)),
                 len(WALK.findall(text, step.end(), end)))
            for step, end in zip(found, ends)]


def walk(machine):
    """From here, the one instruction that leaves ring 3 or one inside, up to the next one in ring 3."""
    if not hasattr(machine, "cmd"):  # QEMU knows nothing of accesses
        steps = []
        while not steps or machine.values()["cs"] & RING_3 != RING_3:
            values = machine.values()
            steps.append(Step(values["cs"], values["eip"], "", None))
            machine.step()
        return steps
    machine.cmd("trace on")
    machine.cmd("trace-mem on")
    text = ""
    while True:
        text += machine.cmd(f"s {CHUNK}")
        steps = instructions_of(text)
        back = [at for at, step in enumerate(steps) if at and step.cs & RING_3 == RING_3]
        if back:
            break
    machine.cmd("trace off")
    machine.cmd("trace-mem off")
    return steps[:back[0]]


def leave(machine, design, who):
    """To the instruction with which that one leaves."""
    for _ in range(8):
        place = machine.run_to(*dict.fromkeys(design.leaves.values()))
        if (design.runs(machine) if design.runs else {leave: of for of, leave in design.leaves.items()}[place]) == who:
            return
    raise machines.Missing(f"{design.name}: {who} does not leave")


def interrupted(machine, design, who):
    """On to where that one is interrupted; the accesses until the first instruction in ring 0."""
    while True:
        machine.run_to("tick")
        other_was_running = design.runs(machine) != who
        walk(machine)
        if other_was_running:
            break
    if not hasattr(machine, "cmd"):
        machine.run_to("tick")
        return None
    machine.cmd("trace-mem on")
    start = len(machine.text)
    machine.run_to("tick")
    places = [int(place, 16) if place else None for place in ACCESS.findall(machine.text[start:])]
    machine.cmd("trace-mem off")
    asked = [machine.linear(f"proc_{letter}_data") for letter in "ab"]
    return next((at for at, place in enumerate(reversed(places)) if place in asked), len(places))


Counts = collections.namedtuple("Counts", "steps accesses state")  # the first two: {"A": ..., "B": ...}, who leaves


def counted(design, emulator="Bochs"):
    """What happens from one's last instruction to the other's first, both among them, both ways."""
    if design is FNCALL:
        return counted_in_linux()
    steps, accesses = {}, {}
    with playing(design, emulator) as machine:
        if not design.leaves:  # Bochs breaks at no instruction that an interrupt leads to: by the one before
            settle(machine, "gate_with_stop")
        for warm in range(2):  # the first turns may be different
            for who in "AB":
                before = leave(machine, design, who) if design.leaves else interrupted(machine, design, who)
                if who == "A":
                    state = design.state(machine, machines.PROGRAM if design.program == "floors" else elf_of(design))
                walked = walk(machine)
                steps[who] = walked
                accesses[who] = None if walked[0].accesses is None else (before or 0) + sum(step.accesses for step in walked)
    return Counts(steps, accesses, state)


@once
def fncall_program():
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Lacking("it is for Linux on x86-64")
    compiler = (machines.BUILD / "how").read_text().split()[0]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", "-s", "-C", machines.ROOT, "fncall", f"B={own_folder().name}",
                           f"CC={'cc' if compiler.endswith('-gcc') else compiler}"], env=clean, capture_output=True, text=True)
    if made.returncode:
        raise Lacking(f"it does not build: {made.stderr.strip()}")
    return pathlib.Path(own_folder().name) / "fncall/fncall"


def counted_in_linux():
    program = fncall_program()
    steps = {who: fncall.steps(str(program), quiet=fncall.QUIET_SWITCH + later) for later, who in enumerate("AB")}
    return Counts(steps, {"A": None, "B": None}, struct_bytes(program, "user_context"))


# ---- more procs

def places(symbols, count, size, headroom):
    """Offsets for so many frames and struct procs in what P_PROC leaves free of its 64 KiB, away from code."""
    free = ((symbols["data_in_file"] + 0xfff & ~0xfff, symbols["data_start"]), (symbols["bss_end"], 0x10000))
    for below in range(headroom, -1, -4):  # nothing will fault there: it may be less, if room is scarce
        found = [start + below for first, end in free for start in range(first, end - below - size + 1, below + size)]
        if len(found) >= count:
            return found[:count]
    raise Lacking(f"no room for {count} procs more")


@contextlib.contextmanager
def ring_playing(procs, emulator, kinds=None):
    """P_PROC with more procs, A and B in turns, put there before the first iret."""
    kind = (kinds or STEPPED)[emulator]
    with kind() as machine:
        machine.run_to("ckpt_frames")
        symbols, frame = machine.symbols, struct_bytes(machines.PROGRAM, "frame")
        size = frame + struct_bytes(machines.PROGRAM, "proc")
        headroom = symbols["proc_b"] - symbols["proc_a"] - size
        ring = [symbols["proc_a"], symbols["proc_b"], *places(symbols, procs - 2, size, headroom)]
        like = [machine.read(machine.linear(name), size) for name in ("proc_a", "proc_b")]
        for number, place in enumerate(ring):
            following = struct.pack("<I", ring[(number + 1) % procs] + frame)
            raw = like[number % 2]
            if number < 2:
                machine.write(machines.BASE + place + frame, following)
            else:
                machine.write(machines.BASE + place, raw[:frame] + following + raw[frame + 4:])
        machine.run_to("gate")
        settle(machine)
        yield machine, ring


def ring(procs):
    """What each switch of one lap takes in instructions, in Bochs; every proc has had its turns."""
    with ring_playing(procs, "Bochs") as (machine, there):
        first = [machine.linear(f"proc_{letter}_int") + 2 for letter in "ab"]
        for _ in range(procs):
            machine.run_to("proc_a_int", "proc_b_int")
        taken = []
        for _ in range(procs):
            taken.append(-ticks(machine))
            machine.run_to("proc_a_int", "proc_b_int", *first)
            taken[-1] += ticks(machine)
            machine.run_to("proc_a_int", "proc_b_int", *first)
        turns = [machine.word(machines.BASE + place, 4 * debuggers.FRAME.index("esi")) for place in there]
    if min(turns) < 2 or max(turns) - min(turns) > 1:
        raise machines.Missing(f"turns of {procs} procs: {turns}")
    return taken


def ticks(machine):
    """Bochs' count of instructions so far."""
    return int(re.findall(r"^Next at t=(\d+)", machine.text[-2000:], re.M)[-1])


# ---- measuring

Speed = collections.namedtuple("Speed", "rate ratios")  # median, switches a second; to the first one's, round by round


def progress(machine):
    """A number that grows by one at each switch."""
    if "floor_a" in machine.symbols:
        return sum(machine.word(frame, 4 * debuggers.FRAME.index("esi")) for frame in ("floor_a", "floor_b"))
    if machine.base != machines.BASE:  # ring 0 may be hidden
        return -int.from_bytes(machine.physical_memory(machines.BASE + machine.symbols["switches_left"], 4), "little")
    return -machine.word("switches_left")


def spent(machine):
    """Seconds for which the emulator has had a CPU: others on this host do not count. Elsewhere than in Linux, all."""
    with contextlib.suppress(OSError):
        threads = pathlib.Path(f"/proc/{machine.process.pid}/task").glob("*/schedstat")
        if nanoseconds := sum(int(thread.read_text().split()[0]) for thread in threads):
            return nanoseconds / 1e9
    return time.monotonic()


def rate(machine, seconds):
    """Switches a second."""
    before, start = progress(machine), spent(machine)
    machine.go()
    time.sleep(seconds)
    machine.halt()
    end = spent(machine)
    return (progress(machine) - before) / (end - start)


def alternate(machines_by_name):
    """Each for a moment, in rounds; the others stand still meanwhile."""
    rates = {name: [] for name in machines_by_name}
    for _ in range(ROUNDS):
        for name, machine in machines_by_name.items():
            rates[name].append(rate(machine, ROUND_SECONDS))
    return rates


def against(rates, first):
    return {name: Speed(statistics.median(of), [one / other for one, other in zip(of, rates[first])])
            for name, of in rates.items()}


def race(emulator):
    """Speeds of all designs that are there, in one emulator."""
    with contextlib.ExitStack() as stack:
        there = {}
        for design in DESIGNS:
            if design is not FNCALL:
                with contextlib.suppress(Lacking):
                    there[design.name] = stack.enter_context(playing(design, emulator, FREE))
        return against(alternate(there), P_PROC.name)


def ring_race(emulator):
    with contextlib.ExitStack() as stack:
        there = {}
        for procs in RINGS:
            with contextlib.suppress(Lacking):
                there[procs] = stack.enter_context(ring_playing(procs, emulator, FREE))[0]
        return against(alternate(there), RINGS[0])


Speeds = collections.namedtuple("Speeds", "designs rings linux cycles when pages spaces", defaults=(None, None))


def measured():
    """All speeds, one after the other."""
    here, _ = tools()
    linux = cycles = None
    with contextlib.suppress(Lacking):
        linux = fncall.in_system_calls(fncall_program(), ROUNDS)
    with contextlib.suppress(Lacking):
        cycles = clocks.measured()
    return Speeds({name: race(name) for name in here}, {name: ring_race(name) for name in here}, linux, cycles,
                  f"{time.strftime('%Y-%m-%d')}, with {', '.join(version(name) for name in here)}, on {processor()}")


def version(emulator):
    if emulator == "Bochs":
        with machines.Bochs() as debugger:
            return re.search(r"Bochs x86 Emulator (\S+)", debugger.text)[0].replace(" x86 Emulator", "")
    said = subprocess.run([EMULATORS[emulator], "--version"], check=True, capture_output=True, text=True).stdout
    return "QEMU " + re.search(r"version (\S+)", said)[1]


def processor():
    found = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{found[1] if found else platform.machine()}"


# ---- saying it

UNKNOWN = "–"
HEAD = "design", "A to B", "B to A", "accesses", "bytes kept", "lines", *EMULATORS
RING_HEAD = "procs", "shortest", "longest", *EMULATORS


def markdown(head, rows):
    """A table that can be read as it is, too."""
    widths = [max(len(str(row[column])) for row in (head, *rows)) for column in range(len(head))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]) + "\n"


def comparable(page, run):
    """Two tables without what is measured, and is never the same twice; and without rows that the run has not got."""
    tables = [[[cell.strip(" -") for cell in line.split("|")[1:-len(EMULATORS) - 1]] for line in text.strip().splitlines()]
              for text in (page, run)]
    lacking = {row[0] for row in tables[1] if set(row[1:]) == {UNKNOWN}}
    return ["\n".join(" | ".join(row) for row in table if row[0] not in lacking) for table in tables]


def spread(speed):
    return f"{statistics.median(speed.ratios):.2f} ({min(speed.ratios):.2f} to {max(speed.ratios):.2f})"


def speed_cell(design, emulator, speeds):
    if not speeds:
        return ""
    if design is FNCALL:
        if not speeds.linux or emulator != "QEMU":
            return UNKNOWN
        return f"{statistics.median(speeds.linux):.1f} ({min(speeds.linux):.1f} to {max(speeds.linux):.1f}) calls"
    found = speeds.designs.get(emulator, {}).get(design.name)
    if not found:
        return UNKNOWN
    if not design.leaves:
        return "by its clock"
    return f"1: {found.rate / 1e6:.2f} million/s" if design is P_PROC else spread(found)


def table(speeds=None):
    """(the table, what is missing: lines)"""
    here, lacking = tools()
    rows, missing = [], list(lacking.values())
    if "Bochs" in lacking and here:
        missing.append("Without Bochs nothing counts memory accesses; instructions are counted in QEMU.")
    for design in DESIGNS:
        try:
            if not here and design is not FNCALL:
                raise Lacking("no emulator")
            counts = counted(design, here[-1] if here else None)
        except Lacking as reason:
            missing.append(f"{design.name}: {reason}")
            rows.append([design.name] + [UNKNOWN] * (len(HEAD) - 1))
            continue
        both = [UNKNOWN if count is None else str(count) for count in counts.accesses.values()]
        rows.append([design.name, len(counts.steps["A"]), len(counts.steps["B"]),
                     both[0] if both[0] == both[1] else " and ".join(both), counts.state, source_lines(design.sources),
                     *(speed_cell(design, emulator, speeds) for emulator in EMULATORS)])
    return markdown(HEAD, rows), missing


def ring_table(speeds=None):
    """(the table, what is missing: lines)"""
    here, _ = tools()
    rows, missing = [], []
    for procs in RINGS:
        taken = [UNKNOWN]
        try:
            if "Bochs" not in here:
                raise Lacking("counted in Bochs alone")
            taken = ring(procs)
        except Lacking as reason:
            missing.append(f"{procs} procs: {reason}")
        cells = []
        for emulator in EMULATORS:
            found = speeds and speeds.rings.get(emulator, {}).get(procs)
            cells.append("" if not speeds else spread(found) if found else UNKNOWN)
        rows.append([procs, min(taken), max(taken), *cells])
    return markdown(RING_HEAD, rows), missing


def clocks_table(speeds=None):
    """(the table, what is missing: lines)"""
    missing = []
    if speeds and not speeds.cycles:
        try:
            clocks.measured()
        except Lacking as reason:
            missing.append(f"cycles of this host: {reason}")
    return markdown(clocks.HEAD, clocks.rows(speeds.cycles if speeds else None)), missing


def choice_table():
    return markdown(choose.HEAD, choose.rows())

"""Instructions and accesses of a switch, counted as the emulators step it.

    counted(design)             Counts: instructions and memory accesses, both ways
    ring(procs)                 instructions of every switch in a turn list of so many procs

Reads and writes of data count, each of them as Bochs makes it, those inside int, iret and
ljmp as well; the fetching of instructions does not.
"""

import collections
import contextlib
import os
import pathlib
import platform
import re
import struct
import subprocess

from ringside.costs import designs, fncall
from ringside.emulators import debuggers
from ringside.emulators import machines

Step = collections.namedtuple("Step", "cs eip text accesses walks", defaults=(None,))
STEP = re.compile(r"^\(0\)\.\[\d+\] \[\w+\] (\w+):(\w+) \(.*?\): (.*?) *;.*\n", re.M)
ACCESS = re.compile(r"^\[CPU0 (?:RD|WR|RW)\]:(?: LIN 0x(\w+))?(?!.*; P[DT]E).*\n", re.M)
WALK = re.compile(r"^\[CPU0 (?:RD|WR|RW)\]:.*; P[DT]E", re.M)     # of a table, on the way to what is wanted
RING_3 = 3  # of a selector's RPL
CHUNK = 48  # instructions
RINGS = 2, 8, 64, 256  # procs


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
    if design is designs.FNCALL:
        return counted_in_linux()
    steps, accesses = {}, {}
    with designs.playing(design, emulator) as machine:
        if not design.leaves:  # Bochs breaks at no instruction that an interrupt leads to: by the one before
            designs.settle(machine, "gate_with_stop")
        for warm in range(2):  # the first turns may be different
            for who in "AB":
                before = leave(machine, design, who) if design.leaves else interrupted(machine, design, who)
                if who == "A":
                    state = design.state(machine, machines.PROGRAM if design.program == "floors" else designs.elf_of(design))
                walked = walk(machine)
                steps[who] = walked
                accesses[who] = None if walked[0].accesses is None else (before or 0) + sum(step.accesses for step in walked)
    return Counts(steps, accesses, state)


@designs.once
def fncall_program():
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise designs.Lacking("it is for Linux on x86-64")
    compiler = (machines.BUILD / "how").read_text().split()[0]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", "-s", "-C", machines.ROOT, "fncall", f"B={designs.own_folder().name}",
                           f"CC={'cc' if compiler.endswith('-gcc') else compiler}"], env=clean, capture_output=True, text=True)
    if made.returncode:
        raise designs.Lacking(f"it does not build: {made.stderr.strip()}")
    return pathlib.Path(designs.own_folder().name) / "fncall/fncall"


def counted_in_linux():
    program = fncall_program()
    steps = {who: fncall.steps(str(program), quiet=fncall.QUIET_SWITCH + later) for later, who in enumerate("AB")}
    return Counts(steps, {"A": None, "B": None}, designs.struct_bytes(program, "user_context"))


# ---- more procs

def places(symbols, count, size, headroom):
    """Offsets for so many frames and struct procs in what P_PROC leaves free of its 64 KiB, away from code."""
    free = ((symbols["data_in_file"] + 0xfff & ~0xfff, symbols["data_start"]), (symbols["bss_end"], 0x10000))
    for below in range(headroom, -1, -4):  # nothing will fault there: it may be less, if room is scarce
        found = [start + below for first, end in free for start in range(first, end - below - size + 1, below + size)]
        if len(found) >= count:
            return found[:count]
    raise designs.Lacking(f"no room for {count} procs more")


@contextlib.contextmanager
def ring_playing(procs, emulator, kinds=None):
    """P_PROC with more procs, A and B in turns, put there before the first iret."""
    kind = (kinds or designs.STEPPED)[emulator]
    with kind() as machine:
        machine.run_to("ckpt_frames")
        symbols, frame = machine.symbols, designs.struct_bytes(machines.PROGRAM, "frame")
        size = frame + designs.struct_bytes(machines.PROGRAM, "proc")
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
        designs.settle(machine)
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

"""How fast the designs switch: measured side by side, in rounds.

    race(emulator)              Speed of each design: switches a second, and ratios to P_PROC
    ring_race(emulator)         the same for turn lists of 2 to 256 procs
    measured()                  Speeds: all of it, and when and where it was measured
"""

import collections
import contextlib
import pathlib
import platform
import re
import statistics
import subprocess
import time

from ringside.costs import clocks, counts, designs, fncall
from ringside.emulators import debuggers
from ringside.emulators import machines

ROUNDS, ROUND_SECONDS = 7, 0.4

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
        for design in designs.DESIGNS:
            if design is not designs.FNCALL:
                with contextlib.suppress(designs.Lacking):
                    there[design.name] = stack.enter_context(designs.playing(design, emulator, designs.FREE))
        return against(alternate(there), designs.P_PROC.name)


def ring_race(emulator):
    with contextlib.ExitStack() as stack:
        there = {}
        for procs in counts.RINGS:
            with contextlib.suppress(designs.Lacking):
                there[procs] = stack.enter_context(counts.ring_playing(procs, emulator, designs.FREE))[0]
        return against(alternate(there), counts.RINGS[0])


Speeds = collections.namedtuple("Speeds", "designs rings linux cycles when pages spaces", defaults=(None, None))


def measured():
    """All speeds, one after the other."""
    here, _ = designs.tools()
    linux = cycles = None
    with contextlib.suppress(designs.Lacking):
        linux = fncall.in_system_calls(counts.fncall_program(), ROUNDS)
    with contextlib.suppress(designs.Lacking):
        cycles = clocks.measured()
    return Speeds({name: race(name) for name in here}, {name: ring_race(name) for name in here}, linux, cycles,
                  f"{time.strftime('%Y-%m-%d')}, with {', '.join(version(name) for name in here)}, on {processor()}")


def version(emulator):
    if emulator == "Bochs":
        with machines.Bochs() as debugger:
            return re.search(r"Bochs x86 Emulator (\S+)", debugger.text)[0].replace(" x86 Emulator", "")
    said = subprocess.run([designs.EMULATORS[emulator], "--version"], check=True, capture_output=True, text=True).stdout
    return "QEMU " + re.search(r"version (\S+)", said)[1]


def processor():
    found = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{found[1] if found else platform.machine()}"

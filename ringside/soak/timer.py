"""A million interruptions, with procs that watch their own registers.

usage: scripts/ringside soak-timer [--switches N] [qemu] [bochs]

Both procs of TIMER.COM are replaced by ringside/emulators/steady.S: they fill all their registers and
flags and end if one of them is ever not as it was. At 2^10, 2^11, ... switches the
machine is stopped: frames, esp0 and both stacks must lie where they lay at first, and A
and B be no more than a few turns apart in laps, however many there were. It takes some
minutes.
"""

import argparse
import time

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators import steady

WORK = machines.BUILD / "soak"
FIRST_LOOK, LIMIT = 10, 7200  # 2^10 switches; seconds
# At most, however long it takes; and as many more for each look, whose two stops may cut a turn
# short: QEMU's clock leaps to the next tick then.
TURNS_APART = 2
STACK_SEGMENT, STACK_TOP = {"a": 0x0f, "b": 0x27}, 256
PUSHED = debuggers.PUSHED_BY_INT + 8 * 4  # behind pusha, where Bochs sees a breakpoint


def look(machine):
    """Where everything lies, at the next tick; the laps so far."""
    machine.run_to(machine.linear("tick") + 1)
    esp0, esp = machine.word("tss", 4), machine.values()["esp"]
    frames = {machine.symbols[f"proc_{letter}_end"] for letter in "ab"}
    assert esp0 in frames and esp == esp0 - PUSHED, f"esp0 {esp0:x}, esp {esp:x}"
    for letter in "ab":
        frame = machine.frame(letter)
        assert frame["ss"] == STACK_SEGMENT[letter], f"{letter}: ss {frame['ss']:x}"
        assert STACK_TOP - 8 <= frame["esp"] <= STACK_TOP, f"{letter}: esp {frame['esp']:x}"  # its pushes are two at most
    return [steady.laps(machine, letter) for letter in "ab"]


def soak(name, emulator, image, switches):
    start = time.monotonic()
    with emulator(image) as machine:
        n, apart = 1 << FIRST_LOOK, TURNS_APART
        while n <= switches:
            machine.go()
            machine.wait_log(f"switch n={n} |fault", LIMIT)
            machine.halt()
            faults = [line for line in machine.log() if line.startswith(("fault", "end", "panic", "stray"))]
            assert not faults, faults
            a, b = look(machine)
            turn = (a + b) / n
            apart += TURNS_APART
            assert abs(a - b) < apart * turn, f"A and B drift apart: {a} and {b} laps"
            print(f"{name:5}  {n:8} switches  {a:12} laps of A  {b:12} of B  "
                  f"{time.monotonic() - start:5.0f} s", flush=True)
            n *= 2


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=1 << 20, help="2^20 unless given")
    parser.add_argument("emulators", nargs="*", choices=[[], *debuggers.NAMES], metavar="qemu|bochs")
    options = parser.parse_args(arguments)
    if options.switches < 1 << FIRST_LOOK:
        parser.error(f"--switches: {1 << FIRST_LOOK} at least, where the first look is")
    WORK.mkdir(parents=True, exist_ok=True)
    image = steady.floppy("timer", WORK / "floppy.img")
    for name, emulator in zip(debuggers.NAMES, debuggers.knowing("timer")):
        if name in (options.emulators or debuggers.NAMES):
            soak(name, emulator, image, options.switches)
    print("All registers, flags, frames and stacks as they were.")

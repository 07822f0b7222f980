"""What it costs to change the memory space: PAGED, by what the CPU knows afterwards, and with more spaces.

    pages_table(speeds)     a switch in the same space, to another one, with global pages, with ring 0 hidden
    spaces_table(speeds)    the same switch among 2 to 256 spaces
    race(emulator), ring_race(emulator)     speeds of both, as racing.race

A page walk is what the CPU reads and writes of directories and tables to find a page that it does not
know, or has been made to forget. No instruction shows it; Bochs' trace does. They are counted for a
whole turn, from one thread's int to the other's: what CR3 has made the CPU forget is wanted again by
the thread as well.
"""

import contextlib
import pathlib
import struct
import tempfile

from ringside.costs import cost, counts, designs, racing
from ringside.emulators import machines

PAGED = "PAGED"
PAGE, POOL_PAGE_OF_RING_0_TABLE, POOL_PAGE_OF_A, POOL_PAGE_OF_CODE = 0x1000, 2, 4, 3
RINGS = 2, 8, 64, 256  # spaces
LONGEST_TURN = 300     # instructions

# CPUs without global pages and with: Bochs' models, QEMU's.
OLD = {"Bochs": {"options": machines.bochs_cpu("pentium")}, "QEMU": {"cpu": "pentium"}}
YOUNG = {"Bochs": {"options": machines.bochs_cpu("p2_klamath")}, "QEMU": {"cpu": "pentium2"}}


def both(machine):
    """A and B play."""


def alone(machine):
    """B has ended: A is its own next one."""
    a = machine.linear("thread_a")
    for letter in "ab":
        machine.write(machine.linear(f"thread_{letter}") + 16, struct.pack("<I", a))
    for _ in range(3):
        machine.run_to("gate")


def hidden(machine):
    """What key k does (programs/paged/spaces.c), without the log."""
    for name, value in (("ring0_hidden", 1), ("way_out", machine.linear("leave_hidden"))):
        machine.write(machine.linear(name), bytes([1]) if name == "ring0_hidden" else struct.pack("<I", value))
    for letter in "ab":
        machine.write(machine.linear(f"thread_{letter}") + 12, struct.pack("<I", machine.linear("entry_stack_end")))
    machine.write(machine.linear("idt_gate"), struct.pack("<H", machine.symbols["hiding_gate"] & 0xffff))
    machine.write(machine.linear("tss") + 4, struct.pack("<I", machine.linear("entry_stack_end")))


CASES = {
    "the same space": (alone, OLD),
    "another space": (both, OLD),
    "another space, ring 0 global": (both, YOUNG),
    "another space, ring 0 hidden": (hidden, OLD),
}


@contextlib.contextmanager
def playing(case, emulator, kinds=None):
    prepare, options = CASES[case]
    with designs.playing(designs.BY_NAME[PAGED], emulator, kinds, **options[emulator]) as machine:
        prepare(machine)
        for _ in range(4):
            machine.run_to("thread_int")
        yield machine


def counted(case):
    """(instructions of the switch, its accesses, those of page walks in the whole turn), in Bochs."""
    with playing(case, "Bochs") as machine:
        steps = turn(machine)
    switch = next(at for at, step in enumerate(steps) if at and step.cs & counts.RING_3)
    return switch, sum(step.accesses for step in steps[:switch]), sum(step.walks for step in steps)


def turn(machine):
    """From an int to the next one, which is not among them: run_to has left a breakpoint there."""
    machine.cmd("trace on")
    machine.cmd("trace-mem on")
    steps = counts.instructions_of(machine.cmd(f"s {LONGEST_TURN}"))
    machine.cmd("trace off")
    machine.cmd("trace-mem off")
    return steps


# ---- more spaces

LOW, STACKS_LINEAR, STACK, STRUCT = 0x200000, 0xffc00000, 1024, 64   # physical; linear; bytes
STACKS_AT = LOW + 3 * 256 * PAGE
PRESENT, WRITE, USER = 1, 2, 4


class More:
    """Threads beside A and B, each in a space of its own, made like B before the first switch."""

    def __init__(self, machine, threads):
        self.machine = machine
        self.kept = {}      # physical memory that is written, as words
        b = machine.linear("thread_b")
        self.struct = machine.read(b, 24)
        stack_end, esp = struct.unpack("<2I", self.struct[:8])
        self.stack, self.shift = machine.read(esp, stack_end - esp), stack_end
        self.pool = int.from_bytes(machine.physical_memory(machines.BASE + machine.symbols["thread_a"] + 8, 4), "little") \
            - POOL_PAGE_OF_A * PAGE
        self.ring_0 = self.pool + POOL_PAGE_OF_RING_0_TABLE * PAGE
        for page in range(-(-threads * STACK // PAGE)):
            self.put(self.ring_0 + 4 * page, STACKS_AT + page * PAGE | PRESENT | WRITE)
        self.places = [machine.linear(f"thread_{letter}") for letter in "ab"]
        self.places += [self.make(number, b) for number in range(threads - 2)]
        self.link()

    def put(self, place, value):
        self.kept[place] = value & 0xffffffff

    def make(self, number, b):
        directory, table, data = (LOW + (3 * number + page) * PAGE for page in range(3))
        self.put(directory + 4 * 0x20, table | PRESENT | WRITE | USER)
        self.put(directory + 4 * 0x3ff, self.ring_0 | PRESENT | WRITE)
        self.put(table + 4 * 0x48, self.pool + POOL_PAGE_OF_CODE * PAGE | PRESENT | USER)
        self.put(table + 4 * 0x49, data | PRESENT | WRITE | USER)
        end = STACKS_LINEAR + (number + 1) * STACK - STRUCT
        old = self.shift - len(self.stack)
        for offset in range(0, len(self.stack), 4):
            value = int.from_bytes(self.stack[offset:offset + 4], "little")
            if value == b:
                value = end
            elif old <= value < self.shift:
                value += end - self.shift
            if value:
                self.put(STACKS_AT + end - STACKS_LINEAR - len(self.stack) + offset, value)
        words = list(struct.unpack("<6I", self.struct))
        words[0] = words[3] = end
        words[1], words[2] = end - len(self.stack), directory
        for at, word in enumerate(words):
            self.put(STACKS_AT + end - STACKS_LINEAR + 4 * at, word)
        return end

    def physical(self, place):
        return STACKS_AT + place - STACKS_LINEAR if STACKS_LINEAR <= place < STACKS_LINEAR + 256 * STACK else \
            machines.BASE + (place - self.machine.base)

    def link(self):
        for place, following in zip(self.places, self.places[1:] + self.places[:1]):
            self.put(self.physical(place) + 16, following)
        if hasattr(self.machine, "cmd"):
            for place, value in self.kept.items():
                self.machine.cmd(f"setpmem {place:#x} 4 {value:#x}")
        else:
            self.machine._ask("Qqemu.PhyMemMode:1")
            for place, value in self.kept.items():
                self.machine.write(place, struct.pack("<I", value))
            self.machine._ask("Qqemu.PhyMemMode:0")

    def turns(self):
        found = []
        for number in range(len(self.places) - 2):
            found.append(int.from_bytes(self.machine.physical_memory(LOW + (3 * number + 2) * PAGE + 4, 4), "little"))
        return found


@contextlib.contextmanager
def ring_playing(spaces, emulator, kinds=None):
    kind = (kinds or designs.STEPPED)[emulator]
    design = designs.BY_NAME[PAGED]
    elf = designs.elf_of(design)
    if not elf.exists():
        raise designs.Lacking(f"no build/{elf.name}")
    kind = type(emulator, (kind,), {"symbols": machines.symbols(elf), "base": machines.linear_base(elf)})
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rp-"))
        image = machines.floppy_that_starts("paged", pathlib.Path(folder) / "floppy.img")
        machine = stack.enter_context(kind(image, **OLD[emulator]))
        machine.run_to("ckpt_spaces")
        more = More(machine, spaces)
        designs.settle(machine)
        yield machine, more


def ring(spaces):
    """(instructions of each switch of a lap, accesses of page walks in one turn), in Bochs; all have had their turns."""
    with ring_playing(spaces, "Bochs") as (machine, more):
        for _ in range(spaces + 1):
            machine.run_to("thread_int")
        # Up to the first instruction in ring 3, not to the next int: there the alarm may come, and come back to it.
        behind = machine.linear("thread_int") + 2
        taken = []
        for _ in range(spaces):
            before = counts.ticks(machine)
            machine.run_to("thread_int", behind)
            taken.append(counts.ticks(machine) - before)
            while machine.run_to("thread_int", behind) == behind:
                pass
        machine.run_to("thread_int")
        walks = sum(step.walks for step in turn(machine))
        if more.turns() and min(more.turns()) < 1:
            raise machines.Missing(f"turns of {spaces} spaces: {more.turns()}")
    return taken, walks


# ---- measured

def race(emulator):
    with contextlib.ExitStack() as stack:
        there = {case: stack.enter_context(playing(case, emulator, designs.FREE)) for case in CASES}
        return racing.against(racing.alternate(there), next(iter(CASES)))


def ring_race(emulator):
    with contextlib.ExitStack() as stack:
        there = {spaces: stack.enter_context(ring_playing(spaces, emulator, designs.FREE))[0] for spaces in RINGS}
        return racing.against(racing.alternate(there), RINGS[0])


def all_measured():
    """racing.measured, and what is measured here."""
    here, _ = designs.tools()
    return racing.measured()._replace(pages={name: race(name) for name in here}, spaces={name: ring_race(name) for name in here})


# ---- in Markdown

HEAD = "from one thread to the next", "instructions", "accesses", "page walks", *designs.EMULATORS
RING_HEAD = "spaces", "shortest", "longest", "page walks", *designs.EMULATORS


def made(head, keys, count, speeds):
    """(the table, what is missing: lines). count: from a key to the cells behind it; speeds: {emulator: {key: Speed}}."""
    here, _ = designs.tools()   # cost.table says how to get those that are not here
    rows, missing = [], []
    for key in keys:
        try:
            if "Bochs" not in here:
                raise designs.Lacking("counted in Bochs alone")
            cells = count(key)
        except designs.Lacking as reason:
            missing.append(f"{key}: {reason}")
            cells = [cost.UNKNOWN] * (len(head) - 1 - len(designs.EMULATORS))
        found = [(speeds or {}).get(emulator, {}).get(key) for emulator in designs.EMULATORS]
        rows.append([key, *cells, *("" if not speeds else cost.spread(one) if one else cost.UNKNOWN for one in found)])
    return cost.markdown(head, rows), missing


def pages_table(speeds=None):
    return made(HEAD, CASES, counted, speeds)


def spaces_table(speeds=None):
    def count(spaces):
        taken, walks = ring(spaces)
        return min(taken), max(taken), walks
    return made(RING_HEAD, RINGS, count, speeds)

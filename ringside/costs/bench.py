"""What a switch and a boot cost, measured on the floppy that ships.

usage: scripts/ringside bench [PART ...]     parts: table, clocks, switch, boot, speed, wait, share; all unless named

  table   every design in one table: instructions, memory accesses, speeds; then one design
          with more procs (docs/costs.md explains both)
  clocks  what the instructions of a switch take: in Intel's manuals, and in ring 3 of this host
  switch  P_PROC's, instruction by instruction
  boot    from 0x7c00 to ring 3
  speed   what data on a page with code would cost
  wait    what a person waits for
  share   of a host's core that a game takes that waits itself

Counts come from Bochs and are exact. Ratios are measured side by side, in
alternating rounds, by the emulator's own CPU time; seconds are this machine's, today's, and
not promised.
"""

import collections
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

from ringside.costs import clocks as real_clocks, cost, designs, racing, spaces
from ringside.emulators import debuggers, machines

WORK = machines.BUILD / "bench"
SUM_STEPS = 3  # of the boot sector, for a word of the file

# A line of Bochs' trace: cs, eip, disassembly.
TRACE = re.compile(r"^\(0\)\.\[\d+\] \[\w+\] (\w+):(\w+) \(.*?\): (.*?) *;", re.M)


def table():
    """All designs side by side, P_PROC with more procs, PAGED with other spaces and with more."""
    speeds = spaces.all_measured()
    print(f"Measured on {speeds.when}; ratios to P_PROC: median, and from which to which\n")
    for made, missing in (cost.table(speeds), cost.ring_table(speeds), spaces.pages_table(speeds.pages),
                          spaces.spaces_table(speeds.spaces)):
        print(made)
        for line in missing:
            print(f"  missing: {line}")
        print(end="\n" if missing else "")


def clocks():
    """What a count of instructions hides."""
    try:
        print(cost.markdown(real_clocks.HEAD, real_clocks.rows(real_clocks.measured())))
    except designs.Lacking as reason:
        print(cost.markdown(real_clocks.HEAD, real_clocks.rows()) + f"  missing: cycles of this host: {reason}\n")


def trace(bochs, end):
    """The instructions from here to the linear address `end`, which is not among them."""
    bochs.cmd("trace on")
    return TRACE.findall(bochs.run_to(end))


def switch():
    """Instructions from A's int to B's first, at full speed."""
    b_first = machines.BASE + machines.sym("proc_b_int") + 2
    with machines.Bochs(magic=False) as bochs:
        bochs.send("c")
        bochs.wait_log("n=4096 ", 60)
        bochs.stop()
        while True:  # until no look is due in this switch
            bochs.run_to("proc_a_int")
            if bochs.x("switches_left")[0] > 1:
                break
            bochs.run_to(b_first)
        steps = trace(bochs, b_first)
    print(f"From A's int to B's first instruction: {len(steps)} instructions\n")
    for cs, eip, text in steps:
        print(f"  {cs}:{eip[-8:]}  {text}")
    print("\nlldt is there so that a proc can name no segment of the other; dec and jz count, for log\n"
          "and screen. docs/costs.md says what less would cost.\n")


def bios_calls(elf, base):
    """Linear addresses of the BIOS calls in a program's 16-bit code, and which they are."""
    listing = subprocess.run(["objdump", "-d", "-M", "i8086", str(elf)], check=True,
                             capture_output=True, text=True).stdout
    found = re.findall(r"^ *(\w+):\t.*\tint +\$0x(1[0-9a-f])$", listing, re.M)
    return {base + int(address, 16): f"int {vector}h" for address, vector in found}


def boot():
    """int 13h calls and instructions from 0x7c00 to ring 3, in Bochs' ticks."""
    calls = bios_calls(machines.BUILD / "boot.elf", 0) | bios_calls(machines.PROGRAM, machines.BASE)
    drawings = [machines.BASE + machines.sym(name) for name in ("screen_start", "panel_start")]
    ring3 = machines.BASE + machines.sym("proc_a_code")
    spent = collections.Counter()
    made = collections.Counter()

    def ticks(out):
        return int(re.search(r"^Next at t=(\d+)", out, re.M).group(1))

    with machines.Bochs(magic=False) as bochs:
        start = ticks(bochs.run_to(0x7C00))
        for address in (*calls, *drawings, ring3):
            bochs.cmd(f"lb {address:#x}")
        while True:
            out = bochs.cmd("c")
            place = int(re.search(r"^\(0\) \[0x(\w+)\]", out, re.M).group(1), 16)
            now = ticks(out)
            if place == ring3:
                break
            if place in drawings:
                what = "first drawing"
                after = machines.BASE + bochs.x(machines.BASE + bochs.regs()["esp"])[0]
            else:
                what, after = calls[place], place + 2
            spent[what] += ticks(bochs.run_to(after)) - now
            made[what] += 1
    size = (machines.BUILD / "p_proc.com").stat().st_size
    outside = now - start - spent.total()
    print(f"From 0x7c00 to the first instruction in ring 3, file of {size} bytes:")
    print(f"  int 13h calls: {made['int 13h']} (at most 6 up to 8 KiB)")
    print(f"  instructions outside the BIOS, first drawing aside: {outside}, of these {SUM_STEPS} for each word of\n"
          "  the file, which the boot sector sums up; "
          f"with 8 KiB: {outside - SUM_STEPS * (size - 8192) // 2} (at most 22000)")
    print(f"  the first drawing: {spent['first drawing']}\n")


# What makes of ring0/program.ld one that puts all code that a switch runs through, and the
# data behind it, on one page.
OTHERS = "EXCLUDE_FILE(*p_proc.S.o *switch.c.o)"
SAME_PAGE = {
    "*(.text .text.*)": f"*({OTHERS} .text {OTHERS} .text.*)",
    "\t} :text": "\t\t. = ALIGN(0x1000);\n\t\t*p_proc.S.o(.text .text.*)\n\t\t*switch.c.o(.text .text.*)\n\t} :text",
    "data_start = ALIGN(0x1000) + 0x1000;": "data_start = ALIGN(16);",
}


def same_page_floppy():
    """The same program with its data right behind the gate, on the same page."""
    tree = WORK / "same-page"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(machines.ROOT, tree, ignore=shutil.ignore_patterns("build", ".git"))
    script = tree / "ring0/program.ld"
    changed = script.read_text()
    for line, instead in SAME_PAGE.items():
        assert changed.count(line) == 1, f"program.ld no longer has the line {line}"
        changed = changed.replace(line, instead)
    script.write_text(changed)
    subprocess.run(["make", "-s", "-C", str(tree)], check=True, stdout=subprocess.DEVNULL)
    elf = tree / "build/p_proc.elf"
    gate, frame = ((machines.BASE + machines.sym(name, elf)) // 0x1000 for name in ("gate", "proc_b"))
    assert gate == frame, "gate and frames are on different pages"
    return tree / "build/floppy.img", elf


def rate(image, elf, seconds):
    """Switches per second of QEMU's CPU time, at full speed: what else the host does matters less."""
    counter = machines.BASE + machines.sym("switches", elf)

    def reading(qemu):
        return racing.spent(qemu), int.from_bytes(qemu.memory(counter, 8), "little")

    with machines.Qemu(image) as qemu:
        qemu.wait_log("switch n=1 ")
        qemu.key("f")
        qemu.wait_log("n=65536 ", 30)
        start, before = reading(qemu)
        while (now := reading(qemu))[0] < start + seconds:
            time.sleep(0.05)
    return (now[1] - before) / (now[0] - start)


def speed():
    """Switch rate in QEMU, against a program whose frames share pages with code."""
    floppy = same_page_floppy()
    ours, theirs = [], []
    for _ in range(3):
        ours.append(rate(machines.FLOPPY, machines.PROGRAM, 2))
        theirs.append(rate(*floppy, 2))
    ratios = [a / b for a, b in zip(ours, theirs)]
    print("Switches a second of QEMU's (TCG) CPU time at full speed, 3 alternating rounds of 2 s:")
    print(f"  frames on pages of their own:   {statistics.median(ours):12,.0f}")
    print(f"  frames on a page with code:     {statistics.median(theirs):12,.0f}")
    print(f"  ratio: median {statistics.median(ratios):.0f}, "
          f"from {min(ratios):.0f} to {max(ratios):.0f}\n")


def wait():
    """What a person waits for."""
    tree = WORK / "clean"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(machines.ROOT, tree, ignore=shutil.ignore_patterns("build", ".git"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["make", "-s", "-C", str(tree)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    built = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    start = time.monotonic()
    with machines.Qemu() as qemu:
        qemu.wait_log("switch n=1 ")
        first = time.monotonic() - start
    print(f"make from clean: {built:.2f} s of CPU time (at most 2.5); "
          f"QEMU's start to the first switch line: {first:.2f} s (under 0.5)\n")


MOST_HELD = 0.01            # of a core, in QEMU
MOST_AT_ONE_A_SECOND = 0.08
SHARE_SECONDS = 5


def share_in_qemu(image, held, seconds):
    """Processor seconds of QEMU's in a second: at one switch a second, or held."""
    with machines.Qemu(image) as qemu:
        slow_down(qemu, held)
        return taken(qemu, seconds)


def slow_down(qemu, held):
    """A game that has just been started, to one switch a second, or to none."""
    qemu.wait_log("switch n=1 ")
    qemu.key("+", "-")  # so that the pace does not grow by itself
    qemu.wait_screen("1 switch a second")
    if held:
        qemu.key(" ")
        qemu.wait_screen("held")


def share_in_bochs(held, seconds):
    """The same in Bochs, with the clock and the pace that people have (bochsrc)."""
    with debuggers.DebuggedBochs(options=("clock: sync=slowdown", "cpu: ips=10000000")) as bochs:
        bochs.run_to("pace_start")
        bochs.write(bochs.linear("by_hand"), b"\1")
        if held:
            bochs.press(" ")
        bochs.go()
        bochs.wait_log("switch n=1 ")
        return taken(bochs, seconds)


def taken(machine, seconds):
    before, start = racing.spent(machine), time.monotonic()
    time.sleep(seconds)
    return (racing.spent(machine) - before) / (time.monotonic() - start)


def share():
    """Of a host's core, for a game that waits."""
    print("Of one core of this host, while the game waits:")
    _, lacking = designs.tools()
    for emulator, measure in (("QEMU", lambda *how: share_in_qemu(machines.FLOPPY, *how)), ("Bochs", share_in_bochs)):
        if emulator in lacking:
            print(f"  {emulator}: left out: {lacking[emulator]}")
            continue
        held, slow = (100 * measure(held, SHARE_SECONDS) for held in (True, False))
        print(f"  {emulator + ':':6} held {held:4.1f} %, one switch a second {slow:4.1f} %")
    print(f"(at most {100 * MOST_HELD:.0f} % and {100 * MOST_AT_ONE_A_SECOND:.0f} % in QEMU)\n")


PARTS = {part.__name__: part for part in (table, clocks, switch, boot, speed, wait, share)}
NEEDS = {"switch": "Bochs", "boot": "Bochs", "speed": "QEMU", "wait": "QEMU"}


def main(names):
    if "-h" in names or "--help" in names:
        print(__doc__)
        return 0
    if unknown := [name for name in names if name not in PARTS]:
        print(f"scripts/ringside bench: no part {unknown[0]}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    _, lacking = designs.tools()
    for name in names or PARTS:
        if (emulator := NEEDS.get(name)) in lacking:
            print(f"{name}: left out: {lacking[emulator]}\n")
        else:
            PARTS[name]()
    return 0

"""On the screen stands what a turn takes, by rdtsc: in Bochs and under -icount a clock is an instruction."""

import re

from ringside.costs import counts, designs
from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE
from ringside.emulators.machines import ROOT
from ringside.emulators import versions

EDGE = 18  # the row of the panel's lower edge
CPUID, RDTSC, POPF = b"\x0f\xa2", b"\x0f\x31", b"\x9d"
ID = 1 << 21  # of eflags
PIT_HZ, TICKS_PER_SECOND = 1193182, 100
TICK = PIT_HZ // TICKS_PER_SECOND / PIT_HZ  # seconds
WITHOUT = ("floors", "fncall")   # no screen of ring 0's
DESIGNS = {design.program: design for design in designs.DESIGNS if design.program not in WITHOUT}
BY_INT = [program for program, design in DESIGNS.items() if design.leaves]
TURNS = 16
LONG_ENOUGH = {"timer": 256, "paged": 65536, "sysenter": 65536}  # switches, until there would be a number

each = pytest.mark.parametrize("program", DESIGNS)


class ByTheInstruction(debuggers.DebuggedQemu):
    """A nanosecond of the machine is an instruction; and a clock, in QEMU, is a nanosecond."""
    CLOCK = ("-icount", "shift=0,sleep=off")


NANOSECONDS = 1 << 10  # that debuggers.DebuggedQemu has an instruction take, which makes the batches small


def machine_of(program, emulator, folder, **options):
    knows = debuggers.knowing(program)[issubclass(emulator, debuggers.DebuggedBochs)]
    names = {name: getattr(knows, name) for name in ("symbols", "base", "model") if hasattr(knows, name)}
    image = machines.floppy_that_starts(program, folder / "floppy.img")
    return type("Machine", (emulator,), names)(image, **options)


def edge(machine):
    return machine.physical_memory(0xb8000 + EDGE * 160, 160)[::2].decode("cp437")


def shown(text):
    """The number in the edge, as it is written there; None if there is none."""
    found = re.fullmatch(r"└─+(?: ([\d.]+) clocks a turn )?─*┘", text)
    assert found and len(text) == 80, text
    return found[1]


def next_number(machine):
    """The next that is shown."""
    machine.run_to("screen_clocks")
    machine.run_to("clocks_begin")
    return shown(edge(machine))


def counted(machine, design):
    """Instructions of a turn, on average over some, as Bochs counts them; no look follows."""
    designs.settle(machine, design.gate)
    places = dict.fromkeys(design.leaves.values()) if design.leaves else [machine.linear("tick") + 1]
    for _ in range(4):  # once more they draw their counts
        machine.run_to(*places)
    start = counts.ticks(machine)
    for _ in range(TURNS):
        machine.run_to(*places)
    return (counts.ticks(machine) - start) / TURNS


@pytest.fixture(scope="module")
def in_bochs(tmp_path_factory):
    """{program: the first numbers shown in Bochs, what the debugger counts there}"""
    found = {}
    for program, design in DESIGNS.items():
        with machine_of(program, debuggers.DebuggedBochs, tmp_path_factory.mktemp(program)) as machine:
            assert shown(edge_at_first(machine)) is None
            machine.press("f")
            found[program] = [next_number(machine) for _ in range(3)], counted(machine, design)
    return found


def edge_at_first(machine):
    machine.run_to("gate" if "tick" not in machine.symbols else machine.linear("tick") + 1)
    return edge(machine)


# ---- the number

@pytest.mark.parametrize("program", BY_INT)
def test_in_bochs_it_is_what_the_debugger_counts(program, in_bochs):
    numbers, count = in_bochs[program]
    assert numbers == [f"{count:.1f}"] * 3


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", BY_INT)
def test_it_is_the_switch_and_the_procs_five_instructions(program, in_bochs):
    """In CALLGATE six: a parameter is pushed. In SYSENTER seven: esp and eip are kept."""
    steps = counts.counted(DESIGNS[program]).steps
    assert in_bochs[program][1] == (len(steps["A"]) + len(steps["B"])) / 2 + {"callgate": 6, "sysenter": 7}.get(program, 5)


def test_of_timer_it_is_a_tick(in_bochs):
    """An interrupt waits for the end of an instruction, and the chip's ticks are no whole clocks: so that
    turns differ by one, and how often is up to chance."""
    numbers, count = in_bochs["timer"]
    for number in (*numbers, count):
        assert abs(float(number) - TICK * 1e6) < 1


@pytest.mark.sample(3)
@pytest.mark.parametrize("program, emulator, clocks", [
    ("p_proc", ByTheInstruction, 1), *((program, debuggers.DebuggedQemu, NANOSECONDS) for program in BY_INT)])
def test_in_qemu_it_is_the_same_under_icount(program, emulator, clocks, in_bochs, tmp_path):
    with machine_of(program, emulator, tmp_path) as machine:
        machine.press("f")
        if clocks > 1:  # with short counts, the cost of one more digit shows, so many times as large
            next_number(machine)
        assert f"{float(next_number(machine)) / clocks:.1f}" == in_bochs[program][0][0]


def test_in_qemu_a_tick_is_as_long_as_the_timer_chip_says(tmp_path):
    with machine_of("timer", ByTheInstruction, tmp_path) as machine:
        machine.press("f")
        assert abs(float(next_number(machine)) - TICK * 1e9) < 1


def test_ends_and_new_starts_are_no_part_of_it(tmp_path):
    """HWJUMP, since a turn there differs for a proc that plays alone."""
    design = DESIGNS["hwjump"]
    with machine_of("hwjump", debuggers.DebuggedBochs, tmp_path) as machine:
        machine.press("f")
        numbers = [next_number(machine)]
        for key, line in ("3", "end proc=A"), ("r", "start proc=A"), ("5", "end proc=A"):
            since = len(machine.log())
            machine.press(key)
            numbers += [next_number(machine) for _ in range(3)]
            machine.wait_log(line, since=since)
        together, alone = numbers[0], f"{counted(machine, design._replace(leaves={'B': 'proc_b_int'})):.1f}"
    assert together == "10.0" != alone
    assert numbers == [together] + [alone] * 3 + [together] * 3 + [alone] * 3


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", BY_INT)
def test_at_full_speed_the_alarm_never_comes(program, tmp_path):
    """It would be counted in the clocks of some turns and make them useless."""
    with machine_of(program, debuggers.DebuggedBochs, tmp_path) as machine:
        machine.press("f")
        machine.run_to("screen_clocks")
        for _ in range(40):
            assert machine.run_to("clocks_end", "watchdog_is_patient") == "clocks_end"


# ---- the CPU

@pytest.mark.sample(4)
@pytest.mark.parametrize("program, cpu, there", [
    *((program, "486", False) for program in DESIGNS if program != "sysenter"),  # which no CPU without a counter plays
    *((program, "pentium2" if program == "sysenter" else "pentium", True) for program in DESIGNS)])
def test_a_cpu_without_a_counter_plays_and_nothing_is_shown(program, cpu, there, tmp_path):
    with machine_of(program, debuggers.DebuggedQemu, tmp_path, cpu=cpu) as machine:
        machine.press("f")
        machine.go()
        machine.wait_log(f"n={LONG_ENOUGH.get(program, 131072)} ")
        machine.halt()
        assert not any(line.startswith(("fault", "panic")) for line in machine.log())
        assert bool(shown(edge(machine))) == there


@pytest.mark.parametrize("id_changes", [True, False])
def test_cpuid_is_executed_only_where_a_flag_says_that_it_is_there(id_changes):
    """Without a 386 to try: its ID flag stays as it was."""
    with debuggers.DebuggedQemu() as machine:
        machine.run_to("clocks_start")
        back = BASE + machine.word(BASE + machine.values()["esp"])
        executed = []
        while (here := BASE + machine.values()["eip"]) != back:
            executed.append(machine.read(here, 2))
            machine.step()
            if executed[-1].startswith(POPF) and not id_changes:
                machine.set(eflags=machine.values()["eflags"] & ~ID)
        assert (CPUID in executed) == id_changes
        assert machine.word("counts", size=1) == id_changes
        assert not machine.values()["eflags"] & ID


# ---- the screen

def test_the_last_one_stays_at_any_pace_and_while_it_is_held():
    with machines.Qemu(machines.FLOPPY) as pc:
        pc.wait_log("n=1 ")
        assert shown(pc.screen()[EDGE]) is None
        pc.key("f")
        pc.wait_screen("clocks a turn")
        pc.key("-")
        pc.wait_screen("32768 switches a second")
        number = shown(pc.screen()[EDGE])
        pc.key(" ", " ")
        pc.wait_screen("RINGPONG +held")
        assert shown(pc.screen()[EDGE]) == number is not None


@each
def test_a_long_number_has_room_and_leaves_nothing_behind(program, tmp_path):
    with machine_of(program, debuggers.DebuggedQemu, tmp_path) as machine:
        machine.press("f")
        text = " 12345678901234567.8 clocks a turn "
        machine.run_to("screen_clocks")
        offsets = BASE if machine.base == BASE else 0   # with pages, pointers are linear addresses
        machine.write(offsets + machine.values()["eax"], text.encode() + b"\0")
        machine.run_to("clocks_begin")
        assert edge(machine) == "└" + "─" * (77 - 1 - len(text)) + text + "──┘"
        number = next_number(machine)
        assert edge(machine).count("─") == 78 - len(f" {number} clocks a turn ")


# ---- what the pages say

COSTS = (ROOT / "docs/costs.md").read_text()
ROWS = {name.lower(): numbers for name, *numbers in re.findall(
    r"^\| (\w+): ([\d.]+) clocks a turn \| ([\d.]+) \|$", COSTS, re.M)}


def test_the_page_has_each_program():
    assert set(ROWS) - set(WITHOUT) == set(DESIGNS)


@pytest.mark.sample(3)
@each
def test_the_page_says_how_many_clocks_and_how_many_of_them_are_the_switch(program, in_bochs):
    clocks, switch = ROWS[program]
    steps = counts.counted(DESIGNS[program]).steps
    less = versions.shorter(program)
    assert float(switch) - less == (len(steps["A"]) + len(steps["B"])) / 2
    if program == "timer":
        assert abs(float(clocks) - in_bochs[program][1]) < 1
    else:
        assert float(clocks) - less == float(in_bochs[program][0][0])


@pytest.mark.parametrize("page", ["docs/reference.md", "programs/kstack/README.md", "programs/userctx/README.md"])
def test_other_pages_say_the_same(page):
    program = page.split("/")[1] if page.startswith("programs/") else "p_proc"
    text = re.sub(r"\s+", " ", (ROOT / page).read_text())
    number, = re.findall(r"(?:screen shows (?:what a turn takes.*? in Bochs )?|rdtsc`\): in Bochs )(\d+\.\d)", text)
    assert number == ROWS[program][0]

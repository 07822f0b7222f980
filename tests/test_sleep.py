"""Ring 0 sleeps while it waits, and hears keys however the procs spend their time."""

import re
import subprocess
import time

from ringside.costs import bench
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, NAMES, knowing, patched

PROGRAMS = ("p_proc", "kstack", "userctx", "timer", "callgate", "hwtask", "hwjump")
BY_CONSENT = tuple(program for program in PROGRAMS if program not in ("timer", "callgate"))  # by int 0x30
IF = 0x200
RING_0 = 0x08
HLT, CLI = 0xf4, 0xfa
PIC_1_DATA = 0x21
SECOND = 1_000_000  # of Bochs' ticks: a microsecond is one instruction
LITTLE = 1 / 10
HINT = "No key has come yet"
HINT_ROW = 24


def names(program):
    return machines.symbols(machines.BUILD / f"{program}.elf")


def floppy_of(program, tmp_path):
    return machines.floppy_that_starts(program, tmp_path / "floppy.img")


def each(programs):
    return pytest.mark.parametrize("program, emulator", [
        pytest.param(program, emulator, id=f"{program}-{name}")
        for program in programs for name, emulator in zip(NAMES, knowing(program))])


# ---- asleep

@pytest.mark.sample(4)
@pytest.mark.parametrize("held", [False, True], ids=["one switch a second", "held"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_game_that_waits_leaves_the_hosts_processor_alone(program, held, tmp_path):
    """Beside the same game at full speed, in the same run: how much of a core that is, make bench says."""
    with machines.Qemu(floppy_of(program, tmp_path)) as qemu:
        bench.slow_down(qemu, held)
        asleep = bench.taken(qemu, 1)
        qemu.key(*(" " if held else ""), "f")
        qemu.wait_screen("full speed")
        assert asleep < LITTLE * bench.taken(qemu, 1)


def test_bench_prints_the_shares_and_the_page_says_what_they_are_at_most(capsys, monkeypatch):
    monkeypatch.setattr(bench, "SHARE_SECONDS", 1)
    assert bench.main(["share"]) == 0
    said = capsys.readouterr().out
    for emulator in ("QEMU", "Bochs"):
        assert re.search(rf"^  {emulator}: +held +\d+\.\d %, one switch a second +\d+\.\d %$", said, re.M), said
    page = " ".join((machines.ROOT / "docs/costs.md").read_text().split())
    assert f"at most {bench.MOST_HELD:.0%} of a host's core when held".replace("%", " %") in page
    assert f"and {bench.MOST_AT_ONE_A_SECOND:.0%} at one switch a second".replace("%", " %") in page


@pytest.mark.sample(4)
@each(PROGRAMS)
def test_an_interrupt_of_the_sleeping_ring_0_goes_on_its_stack_and_into_no_frame(program, emulator, tmp_path):
    """The one place with IF set in ring 0 is the hlt."""
    with emulator(floppy_of(program, tmp_path)) as machine:
        for _ in range(3):
            machine.run_to("sleep")
            before = machine.values()
            assert not before["eflags"] & IF
            after_hlt = machine.linear("sleep") + 2
            assert machine.read(after_hlt - 1, 2) == bytes([HLT, CLI])
            tss = machine.read(machine.linear("tss"), 104)
            machine.run_to(machine.linear("wake") + 1)  # behind push: Bochs makes one step of interrupt and push
            inside = machine.values()
            assert not inside["eflags"] & IF
            assert inside["esp"] == before["esp"] - 16, "three words: the ring stays, and the stack; and push"
            eip, cs, eflags = (machine.word(BASE + inside["esp"], 4 * i) for i in (1, 2, 3))
            assert (BASE + eip, cs & 0xffff, eflags & IF) == (after_hlt, RING_0, IF)
            assert machine.read(machine.linear("tss"), 104) == tss
            machine.run_to(after_hlt)
            machine.step()
            behind = machine.values()
            assert behind == before | {"eip": behind["eip"]}


def test_a_key_ends_the_sleep_by_itself(tmp_path):
    """With the timer's line shut, the keyboard's line wakes it: a key need not wait for a picture."""
    with machines.Qemu() as pc:
        pc.wait_log("switch n=1 ")
        pc.key(" ")
        pc.wait_screen("held")
        for _ in range(100):
            pc.stop()
            if pc.registers()["hlt"]:
                break
            pc.cont()
        mask = int(pc.hmp(f"i /b {PIC_1_DATA:#x}").split("=")[1], 0)
        pc.hmp(f"o /b {PIC_1_DATA:#x} {mask | 1:#x}")
        pc.cont()
        pc.key("+")
        pc.wait_screen(r"RINGPONG +\d+ switch")


# ---- keys

@pytest.mark.sample(3)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_halted_game_starts_again_by_r_and_ends_by_q(program, tmp_path):
    ud2 = b"\x0f\x0b"
    codes = ["thread_code"] if program == "kstack" else ["proc_a_code", "proc_b_code"]
    image = patched(tmp_path / "floppy.img", {names(program)[code]: ud2 for code in codes}, program)
    with machines.Qemu(image) as pc:
        seen = 0
        for _ in range(3):
            pc.wait_log("halt reason=", since=seen)
            seen = max(number for number, line in enumerate(pc.log(), 1) if line.startswith("halt"))
            pc.wait_screen("No (proc|thread) is left.*\n.*Press r to start again, q to quit")
            pc.key("x", "r")
            pc.wait_log("start proc=A", since=seen)
            pc.wait_log("start proc=B", since=seen)
        pc.wait_log("halt reason=", since=seen)
        pc.key(" ", "q")
        pc.wait_exit()
        assert pc.log()[-1] == "quit n=0"


@pytest.mark.sample(4)
@each(PROGRAMS)
@pytest.mark.parametrize("pressed", ["r", "3"])
def test_what_plays_after_a_halt_plays_as_from_the_beginning(program, emulator, pressed, tmp_path):
    with emulator(floppy_of(program, tmp_path)) as machine:
        machine.run_to("pace_wait")
        if program == "kstack":
            machine.press("1")
            machine.run_to("report_end")
            machine.press("7")
        else:
            for letter in "ab":
                machine.write(machine.linear(f"proc_{letter}_data"), (2 + 1).to_bytes(4, "little"))
        machine.run_to("look_while_halted")
        if program == "kstack":  # a thread's kernel stack may be made new meanwhile
            assert 0 < machine.linear("ring0_stack_end") - BASE - machine.values()["esp"] < 2048
        n = machine.word("switches", size=8) + machine.word("switches_asked") - machine.word("switches_left")
        seen = len(machine.log())
        machine.press(pressed)
        machine.go()
        machine.wait_log("switch n=256 ")
        machine.halt()
        news = machine.log()[seen:]
        assert {"start proc=A", "start proc=B"} <= set(news)
        last = [machines.fields(line) for line in news if line.startswith("switch")]
        assert all(int(line["n"]) > n for line in last)
        if pressed == "r":
            assert not [line for line in news if line.startswith(("fault", "end", "halt", "panic"))]
            assert {last[-1]["from"], last[-1]["to"]} == {"A", "B"}
        else:
            assert [line for line in news if line.startswith("end")] == ["end proc=A alive=B"]


def test_the_message_of_a_halt_leaves_nothing_behind(tmp_path):
    """In KSTACK, where the keys 1 and 7 end both."""
    def edges(pc):
        return [row[0] + row[-1] for row in pc.screen()] + [pc.screen()[18][:40]]

    with machines.Qemu(floppy_of("kstack", tmp_path)) as pc:
        pc.wait_log("switch n=1 ")
        before = edges(pc)
        pc.key("+", "1", "7")
        pc.wait_screen("Press r to start again")
        assert edges(pc) != before
        pc.key("r")
        pc.wait_log("start proc=B")
        pc.wait_log("switch ", since=len(pc.log()))
        assert edges(pc) == before


def test_keys_that_pile_up_while_a_proc_does_not_yield_are_not_lost():
    """The keyboard keeps eight keys; A takes a second for its mistake, and ends by it."""
    with machines.Qemu() as pc:
        pc.wait_log("switch n=1 ")
        pc.key("f", *"666666666666", "q")
        pc.wait_exit(10)
        assert re.fullmatch(r"quit n=\d+", pc.log()[-1])


def test_a_key_behind_e0_is_another_key():
    """Previous track has the code of q, the keypad's / that of -."""
    with machines.Qemu() as pc:
        pc.wait_log("switch n=1 ")
        pc.key("+", "audioprev", "kp_divide", "home", "kp_divide", "+")
        pc.wait_screen("RINGPONG +4 switches a second")
        pc.key("kp_subtract")
        pc.wait_screen("RINGPONG +2 switches a second")


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_keyboard_that_stays_silent_is_spoken_of_until_it_is_heard(program, tmp_path):
    qemu = knowing(program)[0]  # whose clock runs as fast as it can
    with qemu(floppy_of(program, tmp_path)) as machine:
        machine.run_to("pace_start")
        machine.go()
        machine.wait_screen(HINT)
        assert HINT in machine.screen()[HINT_ROW]
        assert int(re.search(r"switches +(\d+)", machine.screen()[0])[1]) > 10, "not at once"
        machine.key("x")
        end = time.monotonic() + 20
        while HINT in machine.screen()[HINT_ROW]:
            assert time.monotonic() < end
        assert not machine.screen()[HINT_ROW].strip()


# ---- procs that yield slowly

BEGIN = """
	xor %esi, %esi
1:	incl COUNT
	inc %esi
	int $0x30
	cmp $FAST, %esi
	jb 1b
"""
LOOP = BEGIN + "2: mov $TICKS, %ecx; 3: loop 3b; incl COUNT; int $0x30; jmp 2b"
TRAPS = BEGIN + "2: mov $TICKS / 150, %ecx; 3: int3; loop 3b; incl COUNT; int $0x30; jmp 2b"
SHADOWS = BEGIN + "2: mov $TICKS / 3, %ecx; 3: mov %ss, %eax; mov %eax, %ss; loop 3b; incl COUNT; int $0x30; jmp 2b"
FLAGS = BEGIN + "2: mov $TICKS / 4, %ecx; 3: pushf; andl $~0x200, (%esp); popf; loop 3b; incl COUNT; int $0x30; jmp 2b"
NOW_AND_THEN = BEGIN + "xor %esi, %esi; mov $TICKS, %ecx; 3: loop 3b; jmp 1b"

# What A does, and the keys before: at full speed, or at many switches from picture to picture.
SLOW = {
    "0.9 s a turn": (LOOP, 900_000, 17_000, "f"),
    "as long as it may": (LOOP, 930_000, 17_000, "f"),
    "0.2 s a turn": (LOOP, 200_000, 17_000, "f"),
    "just under the alarm": (LOOP, 50_000, 17_000, "f"),
    "just over the alarm": (LOOP, 60_000, 17_000, "f"),
    "traps all the time": (TRAPS, 700_000, 17_000, "f"),
    "no interrupt behind mov to ss": (SHADOWS, 900_000, 17_000, "f"),
    "wants no interrupts": (FLAGS, 900_000, 17_000, "f"),
    "now and then": (NOW_AND_THEN, 900_000, 4_300, "f"),
    "1024 switches a picture": (LOOP, 900_000, 2_200, 15 * "+"),
}
IN_OTHERS = ("0.9 s a turn", "traps all the time", "now and then")  # than P_PROC


def assembled(source, tmp_path, **values):
    defined = "".join(f".set {name}, {value}\n" for name, value in values.items())
    subprocess.run(["as", "--32", "-o", tmp_path / "o", "-"], check=True, text=True, input=defined + source + "\n")
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "bin"], check=True)
    return (tmp_path / "bin").read_bytes()


def slow_floppy(program, tmp_path, what):
    """A is slow, B yields at once; each counts its turns in a word of its own: {letter: its place}."""
    source, ticks, fast, _ = SLOW[what]
    numbers = {"TICKS": ticks, "FAST": fast}
    symbols = names(program)
    yields = "1: incl COUNT; int $0x30; jmp 1b"
    if program == "kstack":  # one code for both: edx is A's, at first
        counts = {"a": symbols["user_data"] + 40, "b": symbols["user_data"] + 256 + 40}
        plain = assembled(yields, tmp_path, COUNT=256 + 40)
        code = assembled(f"test %edx, %edx; jnz 9f; {yields}; 9: {source.replace('1b', '8b').replace('1:', '8:')}"
                         .replace("COUNT; int $0x30; jmp 1b", f"{256 + 40}; int $0x30; jmp 1b", 1),
                         tmp_path, COUNT=40, **numbers)
        assert plain in code
        return patched(tmp_path / "floppy.img", {symbols["thread_code"]: code}, program), counts
    changes = {symbols["proc_a_code"]: assembled(source, tmp_path, COUNT=8, **numbers),
               symbols["proc_b_code"]: assembled(yields, tmp_path, COUNT=8)}
    counts = {letter: symbols[f"proc_{letter}_data"] + 8 for letter in "ab"}
    return patched(tmp_path / "floppy.img", changes, program), counts


@pytest.mark.sample(4)
@pytest.mark.parametrize("program, what", [
    (program, what) for program in BY_CONSENT for what in (SLOW if program == "p_proc" else IN_OTHERS)])
def test_however_a_proc_spends_its_time_keys_are_heard_within_a_second_and_the_count_is_right(program, what, tmp_path):
    """In Bochs, whose ticks tell the time. A key waits at most from one look for keys to the next."""
    image, counts = slow_floppy(program, tmp_path, what)
    with knowing(program)[1](image) as machine:
        for key in SLOW[what][3]:
            machine.press(key)

        def turns():
            return sum(machine.word(BASE + place) for place in counts.values())

        def ticks():
            return int(re.findall(r"^Next at t=(\d+)", machine.text[-4000:], re.M)[-1])

        machine.go()
        machine.wait_log(f"switch n={1 << (2 * SLOW[what][2] - 1).bit_length() - 1} ", 60)
        machine.halt()
        machine.run_to("key_pressed")
        waits = []
        while len(waits) < 60 and sum(waits) < 14 * SECOND:
            before = ticks()
            machine.run_to("key_pressed")
            waits.append(ticks() - before)
            assert machine.word("switches", size=8) == turns()
        assert max(waits) < SECOND
        assert sum(wait > SLOW[what][1] / 2 for wait in waits) > 1, f"A has not begun to be slow: {waits}"
        assert not [line for line in machine.log() if line.startswith(("fault", "end", "panic"))]

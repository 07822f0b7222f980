"""TIMER: no proc yields, and nothing is lost: on QEMU and on Bochs."""

import itertools
import random
import re
import time

from ringside.emulators import machines
import pytest
from ringside.emulators import steady
from ringside.emulators.debuggers import (FRAME_BYTES, GENERAL, NAMES, ORDER, PUSHED_BY_INT, SEGMENTS, DebuggedBochs, count,
                                          knowing, patched)

PROGRAM = "timer"
EMULATORS = knowing(PROGRAM)
SYMBOLS = EMULATORS[0].symbols
PAGE = (machines.ROOT / "programs/timer/README.md").read_text()

# Bochs does not see a breakpoint at the first instruction behind an interrupt. Behind
# pusha, which is that, all registers are still the proc's.
TICK = machines.BASE + SYMBOLS["tick"] + 1
PUSHED = PUSHED_BY_INT + 8 * 4
EFLAGS_AT_FIRST = 0x202
TICK_MICROSECONDS = 10_000
RING_3, INTERRUPT_GATE = 0x60, 0x8e
OWN = {"a": {"cs": 0x07, "ss": 0x0f, "ds": 0x0f, "es": 0x0f, "fs": 0, "gs": 0x17},
       "b": {"cs": 0x1f, "ss": 0x27, "ds": 0x27, "es": 0x27, "fs": 0, "gs": 0x2f}}


@pytest.fixture(scope="module")
def floppy(tmp_path_factory):
    return machines.floppy_that_starts(PROGRAM, tmp_path_factory.mktemp("timer") / "floppy.img")


@pytest.fixture(params=EMULATORS, ids=NAMES)
def machine(request, floppy):
    with request.param(floppy) as machine:
        yield machine


def code(letter, offset=0):
    return machines.BASE + SYMBOLS[f"proc_{letter}_code"] + offset


def frame_end(letter):
    return SYMBOLS[f"proc_{letter}"] + FRAME_BYTES


def at_tick(machine):
    """Which proc was interrupted, and all that it had in its registers."""
    values = machine.values()
    letter = "ab"[values["esp"] != frame_end("a") - PUSHED]
    assert values["esp"] == frame_end(letter) - PUSHED
    assert machine.word("tss", 4) == frame_end(letter)
    saved = machine.frame(letter)
    return letter, values | {name: saved[name] for name in ("eip", "cs", "eflags", "esp", "ss")}


def at_fixed_pace(machine, pace=5):
    """As keys would set it, 32 switches a second."""
    machine.run_to(code("a"))
    machine.write(machines.BASE + SYMBOLS["pace"], bytes([pace]))
    machine.write(machines.BASE + SYMBOLS["by_hand"], b"\1")


# ---- the tables

def test_irq_0_is_the_way_in_and_no_gate_is_for_ring_3_but_int3_and_into(machine):
    machine.run_to(code("a"))
    base, limit = machine.registers()["idtr"]
    assert limit + 1 == 0x30 * 8, "behind the 16 hardware interrupts there is nothing"
    for vector in range(0x30):
        raw = machine.read(base + vector * 8, 8)
        offset, access = raw[0] | raw[1] << 8, raw[5]
        if vector != 8:
            assert access == INTERRUPT_GATE | (RING_3 if vector in (3, 4) else 0), f"{vector:02x}"
        assert (offset == SYMBOLS["tick_with_stop"]) == (vector == 0x20), f"{vector:02x}"


def test_a_proc_starts_with_its_own_segments_and_interrupts_on_and_nothing_else(machine):
    for letter in "ab":
        machine.run_to(code(letter))
        values = machine.values()
        assert {name: values[name] for name in OWN[letter]} == OWN[letter]
        assert {name: values[name] for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert (values["eip"], values["esp"], values["eflags"]) == (0, 256, EFLAGS_AT_FIRST)
        registers = machine.registers()
        assert registers["cpl"] == 3
        assert registers["ldtr"].selector == {"a": 0x30, "b": 0x38}[letter]
        assert registers["ldtr"].limit + 1 == {"a": 3 * 8, "b": 6 * 8}[letter]


# ---- the tick

def test_the_procs_take_turns_though_none_of_them_yields(machine):
    for letter in "abababab":
        machine.run_to(TICK)
        who, values = at_tick(machine)
        assert who == letter
        for name in ("cs", "ss"):
            assert values[name] == OWN[letter][name]


def test_each_turn_is_a_whole_one_from_the_first_on(machine):
    machine.go()
    machine.wait_log("n=8 ")
    machine.halt()
    a, b = (count(machine.frame(letter)) for letter in "ab")
    assert min(a, b) > 4 * 2000
    assert abs(a - b) < a / 2, "no more than a turn apart"


def test_the_log_names_the_switches(machine):
    machine.go()
    machine.wait_log("n=512 ")
    boot, *switches = machine.log()
    places = " ".join(f"{name}={SYMBOLS[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog=timer base={machines.BASE:08x} {places} version={machines.VERSION}"
    expected = [f"switch n=1 from=A to=B esp0={frame_end('b'):08x}"]
    expected += [f"switch n={1 << k} from=B to=A esp0={frame_end('a'):08x}" for k in range(1, 10)]
    assert switches[:10] == expected


def test_a_tick_comes_a_hundred_times_a_second(floppy):
    """In Bochs, where a microsecond is an instruction."""
    with DebuggedBochs(floppy) as machine:
        machine.symbols = SYMBOLS
        machine.go()
        machine.wait_log("n=512 ")
        machine.halt()

        def tick():
            machine.run_to(TICK)
            looks = machine.word("switches_left") == 1
            return looks, int(re.findall(r"^Next at t=(\d+)", machine.text, re.M)[-1])

        gaps = []
        looked, before = tick()
        while len(gaps) < 20:
            looks, now = tick()
            if not looked:  # a look stops the clock
                gaps.append(now - before)
            looked, before = looks, now
        assert all(abs(gap - TICK_MICROSECONDS) <= 40 for gap in gaps), gaps
        assert abs(sum(gaps) / len(gaps) - TICK_MICROSECONDS) < 5, gaps


def visible(registers):
    """What a proc could see. A null selector's base and limit do not count."""
    return {name: registers[name] if name not in SEGMENTS else
            registers[name][:3] if registers[name].selector else registers[name].selector
            for name in ORDER}


def boundaries(machine, proc, letter):
    """Offsets of the instructions of a lap, as they are executed; a repeated one once."""
    names = steady.names(proc)
    places = [names["lap"]]
    machine.run_to(code(letter, names["lap"]))
    while places[-1] != names["lap_end"]:
        machine.step()
        place = machine.values()["eip"]
        places += [place] if place != places[-1] else []
    return set(places) - {names["shadow"]}  # behind "pop %ss" nothing may come


def at_places_of_a_lap(machine):
    """Both procs have begun. {proc: where it has not been interrupted yet}"""
    at_fixed_pace(machine)
    missing = {}
    for proc, letter in enumerate("ab"):
        missing[letter] = boundaries(machine, proc, letter)
        machine.run_to(TICK)
    assert len(missing["a"]) == len(missing["b"]) > 30
    return missing


def registers_of_proc(machine):
    return {name: value.selector if name in SEGMENTS else value
            for name, value in machine.registers().items() if name in ORDER}


def all_is_well(machine, missing):
    assert missing == {"a": set(), "b": set()}
    assert not [line for line in machine.log() if line.startswith("fault")]
    assert steady.laps(machine, "a") and steady.laps(machine, "b")


def test_a_proc_may_be_interrupted_at_every_instruction_and_finds_all_as_it_was_in_bochs(tmp_path):
    """A clock that ticks at random, until there was an interrupt at each place."""
    clock = random.Random(1)
    stops = TICK, "clock_set", "ckpt_switched"
    with EMULATORS[1](steady.floppy(PROGRAM, tmp_path / "floppy.img")) as machine:
        missing = at_places_of_a_lap(machine)
        interrupted = {}
        for _ in range(2000):
            assert machine.run_to(*stops) == "clock_set"
            machine.set(eax=clock.randrange(500, 1000))  # times a second
            assert machine.run_to(*stops) == "ckpt_switched"
            machine.step()  # iret
            found = registers_of_proc(machine)
            letter = "ab"[found["cs"] != OWN["a"]["cs"]]
            if letter in interrupted:
                assert found == {name: interrupted[letter][name] for name in ORDER}, letter
            assert machine.run_to(*stops) == TICK
            letter, interrupted[letter] = at_tick(machine)
            missing[letter].discard(interrupted[letter]["eip"])
            if not any(missing.values()):
                break
        all_is_well(machine, missing)


def test_a_proc_may_be_interrupted_at_every_instruction_and_finds_all_as_it_was_in_qemu(tmp_path):
    """QEMU lets its clock jump to the next tick whenever GDB stops it: so each stop is an
    interrupt right there. The look at each switch restarts the clock."""
    with EMULATORS[0](steady.floppy(PROGRAM, tmp_path / "floppy.img")) as machine:
        missing = at_places_of_a_lap(machine)
        for _ in range(100):
            interrupted = {}
            for _ in "ab":
                wanted = [code(letter, min(places)) for letter, places in missing.items() if places]
                if machine.run_to(TICK, *wanted) != TICK:
                    machine.run_to(TICK)
                letter, values = at_tick(machine)
                interrupted[letter] = values
                missing[letter].discard(values["eip"])
            for _ in "ab":
                here = {code(letter, values["eip"]): letter for letter, values in interrupted.items()}
                letter = here[machine.run_to(*here)]
                assert registers_of_proc(machine) == {name: interrupted[letter][name] for name in ORDER}, letter
                machine.run_to(TICK)
            if not any(missing.values()):
                break
        all_is_well(machine, missing)


@pytest.mark.parametrize("emulator", EMULATORS, ids=NAMES)
def test_procs_that_watch_their_registers_find_nothing_at_full_speed(emulator, tmp_path):
    """As make soak, for a moment."""
    with emulator(steady.floppy(PROGRAM, tmp_path / "floppy.img")) as machine:
        machine.go()
        machine.wait_log("^(switch n=16384 |fault)")
        machine.halt()
        assert not [line for line in machine.log() if line.startswith(("fault", "end", "stray"))]
        a, b = (steady.laps(machine, letter) for letter in "ab")
        assert a > 8192 * 200
        assert abs(a - b) < 3 * (a + b) / 16384, "no more than three turns apart"


@pytest.mark.parametrize("emulator", EMULATORS, ids=NAMES)
def test_c_never_sees_a_procs_direction_flag_nor_an_interrupt(emulator, tmp_path):
    image = tmp_path / "floppy.img"
    patched(image, {SYMBOLS["proc_a_code"]: b"\xfd\xeb\xfe"}, PROGRAM)  # std; jmp .
    with emulator(image) as machine:
        for _ in range(4):
            machine.run_to("switch_to_next")
            assert not machine.values()["eflags"] & 0x600, "DF, IF"
        assert machine.frame("a")["eflags"] & 0x600 == 0x600


# ---- what a proc and ring 0 say to each other

@pytest.mark.parametrize("steps", range(5))
def test_ring_0_may_ask_at_any_moment_and_is_heard(floppy, steps):
    """At first a proc is asked for its count. When it has drawn that, it checks for another
    question; meanwhile ring 0 asks for a mistake."""
    with EMULATORS[1](floppy) as machine:
        machine.run_to("proc_a_answer")
        for _ in range(steps):
            machine.step()
        machine.write(machines.BASE + SYMBOLS["proc_a_data"], (2).to_bytes(4, "little"))
        machine.go()
        machine.wait_log("n=4 ")
        assert [line[:35] for line in machine.log() if line.startswith("fault")] == [
            "fault proc=A vector=00 name=#DE err"]


# ---- the pace

def test_keys_hold_the_game_and_make_single_switches_and_full_speed_is_each_tick(floppy):
    """In QEMU, in real time."""
    def switches(pc):
        return int(re.search(r"switches +(\d+)", pc.screen()[0]).group(1))

    with machines.Qemu(floppy) as pc:
        pc.wait_log("^switch n=1 ")
        pc.key("f")
        pc.wait_screen("each tick: 100 switches a second")
        pc.wait_log("^switch n=64 ")
        pc.key(" ")
        pc.wait_screen(r"held\b")
        time.sleep(0.3)  # the last two, for both counts to be up to date
        held = switches(pc)
        time.sleep(0.1)
        assert switches(pc) == held
        pc.key(" ")
        pc.wait_screen(rf"switches +{held + 1}\b")


# ---- procs that do all they can

@pytest.mark.parametrize("emulator", EMULATORS, ids=NAMES)
def test_a_mistake_by_key_ends_proc_a_and_b_plays_on(floppy, emulator):
    with emulator(floppy) as machine:
        machine.run_to(code("b"))
        machine.write(machines.BASE + SYMBOLS["proc_a_data"], (2 + 1).to_bytes(4, "little"))
        machine.go()
        machine.wait_log("^switch n=512 from=B to=B ")
        fault, end = [line for line in machine.log() if line.startswith(("fault", "end"))]
        assert fault.startswith('fault proc=A vector=0d name=#GP error=0000 means="no selector" cs:eip=0007:')
        assert end == "end proc=A alive=B"


@pytest.mark.parametrize("vector, strays", [(0x27, ["stray nmi=0 spurious=1"]), (0x28, []), (0x2f, [])])
@pytest.mark.parametrize("emulator", EMULATORS, ids=NAMES)
def test_an_interrupt_that_nobody_waits_for_harms_nobody(tmp_path, emulator, vector, strays):
    """A gate that ring 3 may use stands for the hardware: no line is in service. From 0x28 on are those that
    end ring 0's sleep: they are not counted."""
    image = tmp_path / "floppy.img"
    loop = bytes([0xcd, vector, 0xeb, 0xfe])  # int n; jmp .
    patched(image, {SYMBOLS["proc_a_code"]: loop}, PROGRAM)
    with emulator(image) as machine:
        machine.run_to(code("a"))
        place = machines.BASE + SYMBOLS["idt"] + vector * 8 + 5
        machine.write(place, bytes([INTERRUPT_GATE | RING_3]))
        before = visible(machine.registers())
        machine.run_to(code("a", 2))
        after = visible(machine.registers()) | {"eip": 0}
        assert after | {"eflags": after["eflags"] & ~machine.stray_flags} == before
        machine.go()
        machine.wait_log("n=64 ")
        assert [line for line in machine.log() if line.startswith("stray")] == strays
        assert not [line for line in machine.log() if line.startswith(("fault", "end"))]


# ---- what the page says

def test_a_switch_takes_as_many_instructions_as_the_page_says(floppy):
    promised = int(re.search(r"^(\d+) instructions from A's last", PAGE, re.M).group(1))
    with EMULATORS[1](floppy) as machine:
        machine.go()
        machine.wait_log("n=512 ")
        machine.halt()
        for _ in itertools.count():
            machine.run_to(TICK)
            letter, _ = at_tick(machine)
            if letter == "a" and machine.word("switches_left") > 1:
                break
        other = code("b", machine.frame("b")["eip"])
        steps = 1  # pusha
        while machine.registers()["cs"].base + machine.values()["eip"] != other:
            machine.step()
            steps += 1
        assert steps == promised


def test_the_page_says_in_how_many_bytes_a_proc_is_kept():
    frame, headroom = re.search(r"^A proc is kept in (\d+) bytes, the frame. The (\d+) below", PAGE, re.M).groups()
    assert int(frame) == FRAME_BYTES
    assert int(headroom) == SYMBOLS["proc_b"] - SYMBOLS["proc_a_end"] - 20  # struct proc behind the frame


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(link):
    assert (machines.ROOT / "programs/timer" / link).exists()

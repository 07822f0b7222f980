"""HWTASK and HWJUMP: the CPU itself saves and loads, through a task gate or by a far jump."""

import random
import re

from ringside.costs import counts, designs
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, GENERAL, NAMES, count, knowing, patched
from test_registers import (ALWAYS, DF, FLAGS, PLAYER, SELECTORS, back_at_int, differences, set_flags,
                            set_selector, start, turn_of)

FORMS = ("hwtask", "hwjump")
PAGE = (machines.ROOT / "programs/hwtask/README.md").read_text()
A_LDT, B_LDT, A_TSS, B_TSS, TSS = 0x30, 0x38, 0x40, 0x48, 0x18
TASK_GATE, INTERRUPT_GATE, RING_3 = 0x85, 0x8e, 0x60
AVAILABLE, BUSY, NT = 0x89, 0x8b, 0x4000
OWN = {"a": {"cs": 0x07, "ss": 0x0f, "ds": 0x0f, "es": 0x0f, "fs": 0, "gs": 0x17},
       "b": {"cs": 0x1f, "ss": 0x27, "ds": 0x27, "es": 0x27, "fs": 0, "gs": 0x2f}}
SELECTOR = {"a": A_TSS, "b": B_TSS}
SWITCHES = 1 << 16
FRAME, JUMP = 68, 8  # task.h

EACH = [pytest.param(form, emulator, id=f"{form}-{name}")
        for form in FORMS for name, emulator in zip(NAMES, knowing(form))]
each = pytest.mark.parametrize("form, emulator", EACH)
BOCHS = pytest.mark.parametrize("form, emulator", [each for each in EACH if "bochs" in each.id])


@pytest.fixture
def floppy(form, tmp_path):
    return machines.floppy_that_starts(form, tmp_path / "floppy.img")


@pytest.fixture
def machine(emulator, floppy):
    with emulator(floppy) as machine:
        yield machine


def access(machine, selector):
    """The access byte of a row of the GDT."""
    return machine.read(machine.linear("gdt") + selector + 5, 1)[0]


def busy(machine):
    return {name: access(machine, selector) == BUSY
            for name, selector in (("a", A_TSS), ("b", B_TSS), ("ring 0", TSS))}


def tss(machine, letter, offset, size=4):
    return machine.word(f"proc_{letter}_tss", offset, size)


def code_of(form, code, path):
    """A floppy on which proc A is something else."""
    return patched(path, {machines.symbols(machines.BUILD / f"{form}.elf")["proc_a_code"]: code}, form)


# ---- the tables

@BOCHS
def test_each_proc_has_a_tss_with_its_own_ldt_and_stack_and_no_port(form, machine):
    machine.run_to("proc_a_code")
    for letter, ldt in (("a", A_LDT), ("b", B_LDT)):
        name = f"proc_{letter}_tss"
        row = machine.read(machine.linear("gdt") + SELECTOR[letter], 8)
        assert row[0] | row[1] << 8 == 104 - 1
        assert row[2] | row[3] << 8 | row[4] << 16 == machine.linear(name)
        assert row[5] & RING_3 == 0, "ring 3 may not jump there"
        assert tss(machine, letter, 96, 2) == ldt
        assert (tss(machine, letter, 4), tss(machine, letter, 8, 2)) == (
            machine.symbols[f"proc_{letter}_end"], 0x10)
        assert tss(machine, letter, 102, 2) == 104, "the I/O bitmap is beyond the limit"
        assert tss(machine, letter, 0) == 0, "no task has called this one"
    for selector in range(8, 0x50, 8):
        assert access(machine, selector) & RING_3 == 0


@BOCHS
def test_int_0x30_is_a_task_gate_or_an_interrupt_gate_and_the_only_door(form, machine):
    machine.run_to("proc_a_code")
    base, limit = machine.registers()["idtr"]
    assert limit + 1 == 0x31 * 8
    for vector in range(0x31):
        gate = machine.read(base + vector * 8, 8)
        assert bool(gate[5] & RING_3) == (vector in (3, 4, 0x30))
    assert gate[5] == RING_3 | (TASK_GATE if form == "hwtask" else INTERRUPT_GATE)
    assert gate[2] == (TSS if form == "hwtask" else 0x08)


@each
def test_a_proc_starts_with_nothing_that_it_was_not_promised(form, machine):
    for letter in "ab":
        machine.run_to(f"proc_{letter}_code")
        values = machine.values()
        assert {name: values[name] for name in OWN[letter]} == OWN[letter]
        assert {name: values[name] for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert (values["eip"], values["esp"], values["eflags"]) == (0, 256, 0x202)
        registers = machine.registers()
        assert registers["cpl"] == 3
        assert registers["tr"].selector == SELECTOR[letter]
        assert registers["ldtr"].selector == {"a": A_LDT, "b": B_LDT}[letter]


# ---- the switch

@each
def test_the_procs_take_turns_each_in_its_own_task(form, machine):
    for n in range(1, 21):
        letter = "ba"[n % 2]
        assert machine.run_to("proc_a_int", "proc_b_int") == f"proc_{letter}_int"
        assert machine.registers()["tr"].selector == SELECTOR[letter]
        assert count(machine.values()) == (n + 1) // 2


@each
def test_the_busy_bits_are_what_the_page_says(form, machine):
    """A gate leaves its caller busy, a jump does not."""
    waiting = form == "hwtask"
    for letter in "abab":
        machine.run_to(f"proc_{letter}_int")
        assert busy(machine) == {"a": letter == "a" or waiting, "b": letter == "b" or waiting, "ring 0": False}
        machine.run_to("watched_switch")
        assert busy(machine) == {"a": waiting, "b": waiting, "ring 0": True}
        assert machine.registers()["tr"].selector == TSS


@pytest.mark.parametrize("form, emulator", [each for each in EACH if "hwtask" in each.id])
def test_a_gate_sets_nt_and_the_backlink_and_we_write_the_other_proc_there(form, machine):
    for letter, other in ("ab", "ba", "ab"):
        machine.run_to(f"proc_{letter}_int")
        machine.run_to("watched_switch")
        assert machine.values()["eflags"] & (NT | DF | 0x200) == NT
        assert machine.word("tss") == SELECTOR[letter]
        machine.run_to(f"proc_{other}_code", f"proc_{other}_int")
        assert machine.word("tss") == SELECTOR[other]
        saved = machine.word("tss", 36)
        assert not saved & NT, "iret clears it in what it saves"


@each
def test_the_cpu_saves_the_procs_registers_in_its_tss_and_leaves_the_rest(form, machine):
    machine.run_to("proc_a_int")
    before = machine.values()
    constant = {place: tss(machine, "a", place) for place in (0, 4, 8, 12, 16, 20, 24, 28, 96, 100)}
    machine.run_to("watched_switch")
    saved = {name: tss(machine, "a", 40 + 4 * i)
             for i, name in enumerate("eax ecx edx ebx esp ebp esi edi".split())}
    for name in GENERAL:
        assert saved[name] == before[name]
    for place, name in ((72, "es"), (84, "ds"), (88, "fs"), (92, "gs")):
        assert tss(machine, "a", place, 2) == before[name]
    words = [tss(machine, "a", place) for place in (32, 36)] + [tss(machine, "a", 76, 2), tss(machine, "a", 80, 2)]
    if form == "hwjump":  # saved in ring 0: the proc's own are on the stack
        assert words[2:] == [0x08, 0x10]
        assert saved["esp"] == machine.symbols["proc_a_end"] - 5 * 4
        frame = [machine.word("proc_a_end", -4 * n) for n in (5, 3, 4, 1)]
        assert saved["esp"] + 20 == tss(machine, "a", 4)
        words = [frame[0], frame[1], frame[2] & 0xffff, frame[3] & 0xffff]
    assert words == [before["eip"] + 2, before["eflags"], before["cs"], before["ss"]]
    assert {place: tss(machine, "a", place) for place in constant} == constant


@pytest.mark.sample(2)
@each
def test_registers_and_flags_come_back_and_show_nothing_of_the_other_proc(form, emulator, tmp_path):
    values = random.Random(5)
    symbols = machines.symbols(machines.BUILD / f"{form}.elf")
    image = patched(tmp_path / "floppy.img",
                    {symbols[f"proc_{letter}_code"]: PLAYER for letter in "ab"}, form)
    with emulator(image) as machine:
        before = start(machine)
        for n in range(12):
            for letter in "ab":
                turn_of(machine, letter)
                assert not differences(machine.registers(), before[letter], machine.stray_flags), f"{letter}, round {n}"
                flags = values.getrandbits(22) & FLAGS | ALWAYS | 0x200
                set_flags(machine, flags)
                for register in ("ds", "es", "fs", "gs"):
                    set_selector(machine, register, values.choice(SELECTORS[letter]))
                machine.set(**{name: values.getrandbits(32) for name in GENERAL})
                before[letter] = back_at_int(machine)
                assert before[letter]["eflags"] == flags


@each
def test_c_never_sees_a_procs_direction_flag(form, emulator, tmp_path):
    image = code_of(form, bytes.fromhex("fd cd30 ebfc"), tmp_path / "floppy.img")  # std; int 0x30; again
    with emulator(image) as machine:
        for _ in range(4):
            machine.run_to("watched_switch")
            assert not machine.values()["eflags"] & DF


@each
def test_the_log_says_where_all_is_and_names_the_switches(form, machine):
    machine.go()
    machine.wait_log("n=1024 ")
    boot, *switches = machine.log()
    places = " ".join(f"{name}={machine.symbols[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog={form} base={BASE:08x} {places} version={machines.VERSION}"
    ends = [machine.symbols[f"proc_{letter}_end"] for letter in "ab"]
    expected = [f"switch n=1 from=A to=B esp0={ends[1]:08x} tss=0048"]
    expected += [f"switch n={1 << k} from=B to=A esp0={ends[0]:08x} tss=0040" for k in range(1, 11)]
    assert switches[:11] == expected


@pytest.mark.sample(4)
@each
def test_over_many_switches_no_stack_moves_and_no_turn_is_lost(form, machine):
    machine.go()
    machine.wait_log(f"n={SWITCHES} ", 60)
    machine.halt()
    counts = {}
    for letter in "abab":
        machine.run_to(f"proc_{letter}_int")
        values = machine.values()
        assert (values["ss"], values["esp"]) == (OWN[letter]["ss"], 256)
        counts[letter] = count(values)
    assert counts["a"] == counts["b"] > SWITCHES // 2


# ---- ends

@each
def test_ring_3_cannot_name_a_task(form, emulator, tmp_path):
    image = code_of(form, bytes.fromhex("ea 00000000 4800"), tmp_path / "floppy.img")  # ljmp B_TSS
    with emulator(image) as machine:
        machine.go()
        fault = machines.fields(machine.wait_log("^fault.*").group())
        assert (fault["proc"], fault["name"], fault["means"]) == ("A", "#GP", "GDT 0x48 (B_TSS)")


@pytest.mark.sample(2)
@each
def test_one_plays_alone_at_full_speed(form, emulator, tmp_path):
    with emulator(code_of(form, b"\x0f\x0b", tmp_path / "floppy.img")) as machine:
        machine.go()
        machine.wait_log("^switch n=16384 from=B to=B ")
        machine.halt()
        machine.run_to("proc_b_int")
        assert count(machine.values()) >= 16384


@BOCHS  # QEMU's TCG does not ask whether the stack at esp0 has room
def test_a_double_fault_shows_the_task_that_has_met_it(form, emulator, tmp_path):
    with emulator(code_of(form, b"\x0f\x0b", tmp_path / "floppy.img")) as machine:
        machine.run_to("proc_a_code")
        machine.set(ecx=0x12345678)
        machine.write(machine.linear("proc_a_tss") + 4, bytes(4))  # esp0
        machine.go()
        panic = machines.fields(machine.wait_log("^panic.*").group())
        assert (panic["name"], panic["cs:eip"], panic["ecx"]) == ("#DF", "0007:00000000", "12345678")


@each
def test_when_both_have_ended_the_machine_says_so_and_stops(form, emulator, tmp_path):
    symbols = machines.symbols(machines.BUILD / f"{form}.elf")
    image = patched(tmp_path / "floppy.img",
                    {symbols[f"proc_{letter}_code"]: b"\x0f\x0b" for letter in "ab"}, form)
    with emulator(image) as machine:
        machine.go()
        machine.wait_log("^halt reason=")
        ends = [line for line in machine.log() if line.startswith("end")]
        assert ends == ["end proc=A alive=B", "end proc=B alive=none"]


@pytest.mark.parametrize("form", FORMS)
def test_who_has_ended_starts_anew_at_a_key(form, floppy):
    """In QEMU, in real time: two mistakes by key."""
    with machines.Qemu(floppy) as pc:
        pc.wait_log("^switch n=1 ")
        pc.key("f")
        pc.wait_log("n=65536 ")
        pc.key("2")
        pc.wait_log("^end proc=A alive=B")
        pc.wait_log("^switch n=.* from=B to=B")
        pc.key("r")
        pc.wait_screen(r"TSS of A .*TSS of B")
        since = len(pc.log())
        pc.key("5")
        pc.wait_log("^fault proc=A vector=07 name=#NM", since=since)
        pc.wait_log("^end proc=A alive=B", since=since)


# ---- what the page says

COSTS = re.sub(r"\s+", " ", PAGE.split("## What it costs")[1].split("\n\n")[1])


def accesses_inside(steps):
    """{instruction: memory accesses that the CPU makes by itself}; jmpf is what Bochs calls ljmp."""
    return {word: step.accesses for step in steps if (word := step.text.split()[0]) in ("int", "iret", "jmpf")}


def test_a_switch_costs_what_the_page_says():
    task, back, jump, p_proc, task_accesses, by_int, by_iret, jump_accesses, by_jump, p_proc_accesses = map(
        int, re.findall(r"\b(?!0x)\d+", COSTS))
    costs = {name: counts.counted(designs.BY_NAME[name]) for name in ("HWTASK", "HWJUMP", "P_PROC")}
    assert [(len(made.steps["A"]), made.accesses["A"]) for made in costs.values()] == [
        (task, task_accesses), (jump, jump_accesses), (p_proc, p_proc_accesses)]
    assert len(costs["HWTASK"].steps["B"]) == back
    assert accesses_inside(costs["HWTASK"].steps["A"]) == {"int": by_int, "iret": by_iret}
    assert accesses_inside(costs["HWJUMP"].steps["A"])["jmpf"] == by_jump


def test_the_page_says_in_how_many_bytes_a_proc_is_kept():
    assert "A proc is kept in 104 bytes, its TSS, and 8 for the descriptor" in PAGE
    symbols = machines.symbols(machines.BUILD / "hwtask.elf")
    assert symbols["proc_a_tss"] - symbols["proc_a"] == FRAME + JUMP


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(link):
    assert (machines.ROOT / "programs/hwtask" / link).exists()

"""Each row of ringside/emulators/versions.py, tried with the tools at hand: true where it applies, and only there.

So no divergence is excused without need, whatever versions a system has.
"""

import dataclasses
import subprocess

from ringside.attacks import differences, games
from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.recorder import programs
import pytest
from ringside.emulators import versions
from ringside.emulators.debuggers import RF

HERE = [row.name for row in versions.DIFFERENCES]
P_PROC = programs.named("p_proc")


# ---- what is so here

def bochs_help():
    return subprocess.run(["bochs", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr


def an_interrupt_pushes_rf(tmp_path):
    qemu, _ = debuggers.knowing("timer")
    with qemu(machines.floppy_that_starts("timer", tmp_path / "floppy.img")) as machine:
        machine.run_to("tick_with_stop")
        return bool(machine.word(machines.BASE + machine.values()["esp"], 8) & RF)


def otherwise_in_qemu(name):
    """In QEMU an attack ends differently from what the manual says."""
    attack, = (attack for attack in differences.table(P_PROC) if attack.name == name)
    return any(found for _, found in games.try_all("qemu", P_PROC, [dataclasses.replace(attack, qemu=None)]))


def the_bios_loses_edx():
    """int 10h, ah = 0, and no more, in the place of the boot sector."""
    with debuggers.DebuggedBochs() as machine:
        machine.run_to(0x7c00)
        machine.write(0x7c00, b"\xcd\x10\xf4")
        machine.set(eax=3, edx=0x1234)
        machines.Bochs.run_to(machine, 0x7c02)
        return machine.values()["edx"] & 0xffff != 0x1234


def bochs_forgets_memory(tmp_path):
    image, place = tmp_path / "image", 0x200000
    image.write_bytes(b"here")
    with debuggers.DebuggedBochs(options=[f"optramimage1: file={image}, address={place:#x}"]) as machine:
        return machine.read(place, 4) != b"here"


def objdump_says_eax(tmp_path):
    source, made = tmp_path / "lldt.s", tmp_path / "lldt.o"
    source.write_text("lldt %ax\n")
    subprocess.run(["as", "--32", source, "-o", made], check=True)
    return "%eax" in subprocess.run(["objdump", "-d", made], check=True, capture_output=True, text=True).stdout


def objdump_names_the_bad(tmp_path):
    made = tmp_path / "bad"
    made.write_bytes(b"\xff\xd8")
    listing = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386", made], check=True, capture_output=True, text=True)
    return "lcall" in listing.stdout


LOOKS = {
    "bochs-debugger": lambda _: "-debugger " in bochs_help(),
    "qemu-pushes-rf": an_interrupt_pushes_rf,
    "qemu-lock-int": lambda _: otherwise_in_qemu("lock int 0x30"),
    "qemu-cr1-is-cr0": lambda _: otherwise_in_qemu("cr1"),
    "qemu-no-int1": lambda _: otherwise_in_qemu("int1"),
    "qemu-caches-of-all": lambda _: otherwise_in_qemu("invd"),
    "bochs-bios-edx": lambda _: the_bios_loses_edx(),
    "bochs-no-optramimage": bochs_forgets_memory,
    "bochs-old-models": lambda _: "i386" in machines.bochs_models(),
    "objdump-wide-selectors": objdump_says_eax,
    "objdump-names-the-bad": objdump_names_the_bad,
}
# Tests elsewhere, which fail if the row is false where it applies, or true where it does not.
LOOKED_AT_ELSEWHERE = {
    "bochs-absent-stack-np": "tests/test_judge.py: the case outer_absent",
    "qemu-iret-sets-vm": "tests/test_exceptions.py: a proc that asks for virtual-8086 mode",
    "qemu-lost-after-a-failed-switch": "tests/test_exceptions.py: the report of a broken stack segment",
    "qemu-no-task-trap": "tests/test_judge.py: the case jump_to_trap",
    "qemu-ring3-stack-as-ring0": "tests/test_judge.py: the cases iret_super and int_super",
    "gcc-kstack": "tests/test_kstack.py: a switch takes as many instructions as the readme says",
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_row_holds_where_it_is_so_and_nowhere_else(name, tmp_path):
    assert LOOKS[name](tmp_path) == versions.holds(name), versions.row(name).what


# ---- the table

def test_each_row_is_looked_at():
    assert sorted(HERE) == sorted([*LOOKS, *LOOKED_AT_ELSEWHERE])


def test_each_row_has_a_tool_a_reason_and_versions_that_do_not_contradict():
    for row in versions.DIFFERENCES:
        assert row.tool in versions.TOOLS
        assert row.what and row.reason
        assert (row.since, row.before) != ((0,), None), f"{row.name} holds always: it is no difference"
        assert row.before is None or row.since < row.before


@pytest.mark.parametrize("here, holds", [((2, 9), False), ((3, 0), True), ((3, 0, 5), True), ((4,), False), ((4, 0), False)])
def test_a_row_holds_from_one_version_up_to_another(monkeypatch, here, holds):
    rows = (versions.Difference("some", "bochs", (3, 0), (4,), "what", "reason"),)
    monkeypatch.setattr(versions, "DIFFERENCES", rows)
    monkeypatch.setattr(versions, "version", lambda _: here)
    assert versions.holds("some") == holds


def test_no_test_and_no_program_asks_for_a_version_but_by_its_row():
    for path in [*(machines.ROOT / "tests").glob("*.py"), *(machines.ROOT / "ringside").glob("*/*.py")]:
        if path.is_file() and path.name not in ("versions.py", "test_versions.py"):
            assert "versions.version(" not in path.read_text(), path.name


def test_lldt_and_ltr_are_spelled_the_same_in_all_versions():
    assert versions.one_spelling("lldt %eax") == versions.one_spelling("lldt %ax") == "lldt %ax"
    assert versions.one_spelling("ltr %ecx") == "ltr %cx"
    assert versions.one_spelling("lldt 0x8") == "lldt 0x8"
    assert versions.one_spelling("mov %eax,%ecx") == "mov %eax,%ecx"


@pytest.mark.parametrize("here, there", [
    ("(ckpt_frames+0000000000000000): nop", "(ckpt_frames+0): nop"), ("(v+00000000000000d0)", "(v+d0)"),
    ("ldt[0x02]=Data", "LDT[0x02]=Data"), ("(ckpt_int+0)", "(ckpt_int+0)"), ("(v+d0)", "(v+d0)")])
def test_what_bochs_prints_is_read_the_same_in_all_versions(here, there):
    assert versions.as_bochs_2_says(here) == there


def test_all_versions_can_be_printed():
    run = subprocess.run(["/usr/bin/python3", machines.ROOT / "ringside/emulators/versions.py"],
                         capture_output=True, text=True, check=True)
    for tool in versions.TOOLS:
        assert f"{tool} " in run.stdout

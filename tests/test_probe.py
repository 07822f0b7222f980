"""Probe procs: what ring 0 owes ring 3, tried from there, in images of which nothing else is known."""

import pytest

from ringside.emulators import machines
from ringside.emulators.debuggers import COM_START, FRAME, NAMES, patched
from ringside.laws import beginning, lives, probe

SYMBOLS = machines.symbols()
OPENED = 0x21
PROMISED = {"kstack": probe.Promised(("ecx", "edx"), (0x70, 0x71))}
SEEDS = {"p_proc": 1, "kstack": 2}


def findings(image, emulator, seed=1, promised=probe.Promised()):
    return probe.Probe(emulator, image, beginning.first_of_ring_3(image), seed, promised).run()


@pytest.mark.parametrize("program, seed", SEEDS.items(), ids=SEEDS)
def test_a_healthy_ring_0_keeps_every_law(program, seed, tmp_path):
    image = machines.floppy_that_starts(program, tmp_path / "floppy.img")
    assert not findings(image, NAMES[seed % 2], seed, PROMISED.get(program, probe.Promised()))


def in_file(name, offset):
    """.data lies in the file behind the code, and is moved at the start."""
    return SYMBOLS[name] + offset - SYMBOLS["data_start"] + SYMBOLS["data_in_file"]


@pytest.mark.parametrize("place, value, law, words, emulator", [
    (in_file("idt", 8 * OPENED + 5), b"\xee", "G1", f"vector {OPENED:#04x}", "bochs"),
    (in_file("proc_a", FRAME.index("eflags") * 4), b"\x02\x32", "P2", "IOPL = 3 in ring 3; it must be 0", "qemu"),
    (in_file("proc_a", FRAME.index("ebx") * 4), SYMBOLS["tss"].to_bytes(2, "little"), "S1",
     f"ebx = {SYMBOLS['tss']:08x}; it must be 0", "bochs"),
], ids="gate ports address".split())
def test_a_broken_law_is_named_with_its_values(place, value, law, words, emulator, tmp_path):
    found = findings(patched(tmp_path / "floppy.img", {place: value}), emulator)
    assert [finding.law for finding in found] == [law]
    assert words in found[0].said


PUSH_2_POPF, PUSH_2_POP_EAX = b"\x6a\x02\x9d", b"\x6a\x02\x58"


def test_a_flag_that_the_loader_leaves_is_tried_where_the_debugger_sets_no_flags(tmp_path):
    place = (machines.BUILD / "p_proc.com").read_bytes().index(PUSH_2_POPF) + COM_START
    found = findings(patched(tmp_path / "floppy.img", {place: PUSH_2_POP_EAX}), "bochs")
    assert [finding.law for finding in found] == ["N1", "H1"]


CLD_BEHIND_MOV_GS = bytes.fromhex("8eeafc")     # of ring 0's way in of an exception


@pytest.mark.parametrize("broken, laws", [(False, []), (True, ["D0"])], ids=["healthy", "without cld"])
def test_who_ends_starts_again_and_the_others_play_on(broken, laws, tmp_path):
    com = (machines.BUILD / "p_proc.com").read_bytes()
    place = com.index(CLD_BEHIND_MOV_GS) + COM_START
    image = patched(tmp_path / "floppy.img", {place: b"\x8e\xea\x90"} if broken else {})
    found = lives.Lives("p_proc", image, beginning.first_of_ring_3(image), 1).run()
    assert [finding.law for finding in found] == laws


def test_a_program_that_never_gets_to_ring_3_is_said_to_do_so(tmp_path):
    image = patched(tmp_path / "floppy.img", {SYMBOLS["start"]: b"\xeb\xfe"})
    with pytest.raises(beginning.NoRing3, match="has executed no ltr"):
        beginning.first_of_ring_3(image)

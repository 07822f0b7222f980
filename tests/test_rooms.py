"""The rooms depend on each other only downwards, and a name that crosses files is declared once."""

import re
import subprocess

import pytest

from ringside.emulators.machines import ROOT
from ringside.pictures import rooms

# What each room of the guest may use. What is not named here may use nothing.
MAY_USE = {
    "show": {"ring0"},
    "switch": {"ring0"},
    "procs": {"ring0", "ring3", "show", "switch"},
    "p_proc, boot": {"procs", "ring0", "ring3", "show", "switch"},
    "programs/callgate": {"procs", "ring0", "ring3", "show", "switch"},
    "programs/kstack": {"procs", "ring0", "ring3", "show"},
    "programs/paged": {"procs", "ring0", "ring3", "show"},
    "programs/sysenter": {"ring0", "ring3", "show"},
    "programs/userctx": {"ring0", "ring3", "show"},
    "programs/timer": {"procs", "ring0", "ring3", "show", "switch"},
    "programs/hwtask": {"procs", "ring0", "ring3", "show"},
    "programs/menu": {"p_proc, boot", "ring0", "show"},
}
# What a reader holds who follows one int 0x30 to the other proc and back: files, and where to
# stop and go in those that have more. Tables and screen are for another day.
ROUND_TRIP = {
    "ring3/proc.h": ("", "PROC(asked):"),
    "p_proc.S": ("/* ---- the gate -", "/* ---- the procs -"),
    "ring0/frame.h": ("", ""),
    "procs/first_frame.h": ("", ""),
    "switch.h": ("", ""),
    "switch.c": ("", ""),
}
ROUND_TRIP_FILES, ROUND_TRIP_LINES = 6, 260  # lines that are not blank
GUEST_C = sorted(path for pattern in ("*.c", "ring0/*.c", "show/*.c", "procs/*.c", "programs/*/*.c")
                 for path in ROOT.glob(pattern))


@pytest.fixture(scope="module")
def found():
    return rooms.rooms()


def test_a_room_uses_what_it_may_and_nothing_else(found):
    guest = {name: room for name, room in found.items() if not name.startswith(("ringside", "gdb"))}
    assert len(guest) >= 12
    for name, room in guest.items():
        assert set(room.uses) <= MAY_USE.get(name, set()), dict(room.uses)


def test_there_is_no_circle(found):
    height = rooms.levels(found)
    assert all(height[name] > height[other] for name, room in found.items() for other in room.uses if other in found)


@pytest.mark.parametrize("path", GUEST_C, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_c_file_declares_what_another_one_has(path):
    assert not re.findall(r"^\s*extern\b.*", path.read_text(), re.M)


def test_there_is_one_definition_of_each_name_and_none_is_weak():
    for path in GUEST_C:
        assert "weak" not in path.read_text(), path


def round_trip(path):
    """The lines of a file that belong to the round trip."""
    begin, end = ROUND_TRIP[path]
    text = (ROOT / path).read_text()
    text = text[text.index(begin):]
    if end:
        text = text[:text.index(end)]
    return [line for line in text.splitlines() if line.strip()]


def test_a_round_trip_is_few_files_and_lines():
    held = {path: len(round_trip(path)) for path in ROUND_TRIP}
    assert len(held) <= ROUND_TRIP_FILES and sum(held.values()) <= ROUND_TRIP_LINES, held


def test_the_gate_gives_the_show_two_instructions_and_no_more():
    gate = round_trip("p_proc.S")
    code = [line.split("#")[0].split() for line in gate[gate.index("gate:") + 1:]]
    instructions = [words for words in code[:code.index(["iret"]) + 1] if words and not words[0].endswith(":")]
    shown = [words for words in instructions if words[0] in ("decl", "jz")]
    assert shown == [["decl", "switches_left"], ["jz", "gate_watched"]]
    assert [words[-1] for words in instructions if words[0] == "call"] == ["switch_to_next"]
    assert not re.search(r"watch|RING0_SCREEN", "".join(gate[gate.index("gate:"):]).replace("gate_watched", "", 1)
                         .replace("procs/watched_gate.S", "", 1))


def test_the_picture_of_the_rooms_is_todays(found):
    drawn = (ROOT / "docs/pictures/rooms.svg").read_text()
    assert drawn == rooms.drawing(found), "make rooms draws it again"


def test_the_command_says_what_it_has_drawn(tmp_path):
    said = subprocess.run([ROOT / "scripts/ringside", "rooms", "--output", tmp_path / "rooms.svg"],
                          capture_output=True, text=True, timeout=30)
    assert said.returncode == 0 and re.search(r"^show +\d+ files  uses ring0$", said.stdout, re.M)
    assert (tmp_path / "rooms.svg").read_text().startswith("<svg ")

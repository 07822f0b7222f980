"""The rooms hang together by arrows that go down only, and what crosses a file is declared once."""

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
    "programs/kstack": {"ring0", "ring3", "show"},
    "programs/userctx": {"ring0", "ring3", "show"},
    "programs/timer": {"procs", "ring0", "ring3", "show", "switch"},
    "programs/hwtask": {"procs", "ring0", "ring3", "show"},
    "programs/menu": {"p_proc, boot", "show"},
}
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


def test_the_picture_of_the_rooms_is_todays(found):
    drawn = (ROOT / "docs/pictures/rooms.svg").read_text()
    assert drawn == rooms.drawing(found), "make rooms draws it again"


def test_the_command_says_what_it_has_drawn(tmp_path):
    said = subprocess.run([ROOT / "scripts/ringside", "rooms", "--output", tmp_path / "rooms.svg"],
                          capture_output=True, text=True, timeout=30)
    assert said.returncode == 0 and re.search(r"^show +\d+ files  uses ring0$", said.stdout, re.M)
    assert (tmp_path / "rooms.svg").read_text().startswith("<svg ")

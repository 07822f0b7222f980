"""Bochs and QEMU take the same steps, with equal fields except where ringside/judge/compare.py says why not."""

import copy
import subprocess

from ringside.judge import compare
from ringside.judge import mutate
import pytest
from ringside.recorder import recording
from ringside.judge.states import flat
from ringside.emulators.machines import ROOT, by_name

STEP_FIELDS = {"symbol": "elsewhere", "bytes": "90", "text": "nop", "source": "none.S:1", "repeats": 7, "folded": "none",
               "interrupt": 0x21}


@pytest.fixture(scope="module")
def pair(recorded):
    """From the stub's first instruction to the fourth switch."""
    return [recorded(emulator, switches=4) for emulator in ("bochs", "qemu")]


def compared(pair, number=0, key=None, value=None):
    """With one entry of one step of QEMU's recording changed."""
    bochs, qemu = pair
    steps = list(qemu["steps"])
    if key in STEP_FIELDS:
        steps[number] = {**steps[number], key: value}
    elif key:
        steps[number] = {**steps[number], "changes": {**steps[number]["changes"], key: value}}
    return compare.Comparison(bochs, {**qemu, "steps": steps})


def entry_of(field, state, number):
    """The entry of a state that a field is in, with another number in the field."""
    key, *path = field.split(".")
    entry = {key: copy.deepcopy(state[key])}
    place, last = entry, key
    for name in path if key != "stack" or path[0] == "linear" else ["words", *path]:
        place, last = place[last], int(name) if name.isdigit() else name
    place[last] = f"{number:016x}" if type(place[last]) is str else number
    return key, entry[key]


def test_the_emulators_agree_and_no_excuse_is_without_need(pair):
    made = compared(pair)
    assert list(map(str, made.differences)) == []
    of_others = ("the time", "accessed and dirty pages", "RF of an interrupt")
    others = [entry.name for entry in compare.here() if entry.name in of_others]
    assert [entry.name for entry in made.dead()] == others, "these are KSTACK's, SYSENTER's and TIMER's alone"
    assert made.steps == len(pair[0]["steps"]) > 1000
    assert made.fields > 100 * made.steps


@pytest.mark.long
def test_a_change_of_any_field_of_the_state_is_found(pair):
    last = len(pair[1]["steps"]) - 1
    *_, (_, _, _, bochs) = recording.walk(pair[0])
    *_, (_, _, _, qemu) = recording.walk(pair[1])
    bits, same = flat(qemu), flat(bochs)
    assert len(bits) > 150
    unnoticed = []
    for bit in (0, 1, 4, 7, 15, 31, 40, 63):
        spoilt = dict(qemu)
        fields = {field for field in bits if bits[field] == same[field] and bit < mutate.width(field)}
        for field in fields:
            key, spoilt[key] = entry_of(field, spoilt, bits[field] ^ 1 << bit)
        steps = [*pair[1]["steps"][:-1], {**pair[1]["steps"][last], "changes": spoilt}]
        found = {difference.field for difference in compare.Comparison(pair[0], {**pair[1], "steps": steps}).differences}
        unnoticed += sorted((field, bit) for field in fields - found)
    assert unnoticed == []


@pytest.mark.parametrize("name", STEP_FIELDS)
def test_a_change_of_any_field_of_a_step_is_found(pair, name):
    number = len(pair[1]["steps"]) // 2
    made = compared(pair, number, name, STEP_FIELDS[name])
    assert [(difference.number, difference.field) for difference in made.differences] == [(number, name)]


@pytest.mark.parametrize("name, value", [("program", "none"), ("base", 0), ("symbols", {})])
def test_recordings_of_two_programs_are_not_the_same(pair, name, value):
    made = compare.Comparison(pair[0], {**pair[1], name: value})
    assert [difference.field for difference in made.differences] == [name]


def test_what_the_bios_left_is_no_excuse_once_the_program_has_written(pair):
    """esi, early: where it still is what the BIOS left; and behind the first popa."""
    steps = pair[1]["steps"]
    popa = next(number for number, step in enumerate(steps) if step["text"] == "popa")
    state = list(recording.walk(pair[1]))[popa][3]
    assert compared(pair, popa - 1).uses["left by the BIOS"]
    found = compared(pair, popa, "esi", state["esi"] ^ 0xE0000).differences[0]
    assert (found.number, found.field) == (popa, "esi")


def test_a_recording_that_ends_early_is_found(pair):
    made = compare.Comparison(pair[0], {**pair[1], "steps": pair[1]["steps"][:-1]})
    assert [difference.field for difference in made.differences] == ["steps"]


def test_a_difference_is_told_with_both_values_and_the_state_around(pair, tmp_path):
    number = next(number for number, step in enumerate(pair[1]["steps"]) if step["symbol"] == "proc_a_int")
    state = list(recording.walk(pair[1]))[number][3]
    steps = list(pair[1]["steps"])
    steps[number] = {**steps[number], "changes": {**steps[number]["changes"], "ebp": state["ebp"] ^ 1}}
    paths = tmp_path / "bochs.json", tmp_path / "qemu.json"
    recording.save(pair[0], paths[0])
    recording.save({**pair[1], "steps": steps}, paths[1])
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "judge", "--compare", *paths]),
                         text=True, capture_output=True, timeout=60)
    assert run.returncode == 1
    assert f"step {number}, proc_a_int: int $0x30\n    ebp: Bochs {state['ebp']:#x}, QEMU {state['ebp'] ^ 1:#x}" in run.stdout
    assert "bochs, before: cpl=3" in run.stdout and "qemu, after: cpl=0" in run.stdout


def test_page_tables_may_differ_in_two_bits_and_no_others():
    entry, = compare.allowed("pages.24ffc")
    assert entry.bits(None, "pages.24ffc") == 0x60, "accessed and dirty"

"""Recordings: complete, reproducible, and of the same shape from each emulator."""

import json
import subprocess

import pytest
from ringside.emulators.machines import BASE, ROOT, by_name
from ringside.emulators.registers import Table
from ringside.recorder import programs, recording, trace
from ringside.recorder import record as making
from ringside.recorder.code import DIRECT, Code
from ringside.recorder.recorded import RecordedBochs


def record(*options):
    return subprocess.run(by_name([ROOT / "scripts/ringside", "record", *map(str, options)]), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture(scope="module", params=["bochs", "qemu"])
def made(request, tmp_path_factory):
    """The same recording twice, in two folders."""
    paths = [tmp_path_factory.mktemp(folder) / "recording.json" for folder in ("here", "there")]
    for path in paths:
        run = record("--emulator", request.param, "--switches", 2, "--output", path)
        assert run.returncode == 0, run.stderr
    return request.param, paths


def test_equal_runs_give_equal_recordings(made):
    _, (here, there) = made
    assert here.read_bytes() == there.read_bytes()


def test_every_step_is_there_from_the_stub_to_the_second_switch(made):
    emulator, (path, _) = made
    steps = list(recording.walk(recording.load(path)))
    assert steps[0][2]["symbol"] == "start"
    for number, (_, _, step, after) in enumerate(steps[:-1]):
        following = steps[number + 1][1]
        assert after == following
        assert step["text"] and step["bytes"] and ":" in step["source"]
        assert (step["accesses"] is None) == (emulator == "qemu" or "folded" in step or "repeats" in step)
    levels = [before["cpl"] for _, before, _, _ in steps] + [steps[-1][3]["cpl"]]
    changes = [(was, now) for was, now in zip(levels, levels[1:]) if was != now]
    assert changes == [(0, 3), (3, 0), (0, 3), (3, 0), (0, 3)]


def test_int_reads_the_gate_and_the_tss_and_pushes_five_words():
    path = ROOT / "build/recording-int.json"
    assert record("--from", "proc_a_int", "--steps", 1, "--output", path).returncode == 0
    made = recording.load(path)
    (_, before, step, after), = recording.walk(made)
    accesses = [(kind, address) for kind, address, *_ in step["accesses"]]
    gate, tss = before["idtr"]["base"] + 0x30 * 8, before["tr"]["base"]
    assert {("read", gate), ("read", tss + 4), ("read", tss + 8)} <= set(accesses)
    top = made["base"] + before["tss"]["esp0"]
    pushed = [access[1:] for access in step["accesses"] if access[0] == "write"]
    assert pushed == [[top - 4, 4, before["ss"]["selector"]], [top - 8, 4, before["esp"]],
                      [top - 12, 4, before["eflags"]], [top - 16, 4, before["cs"]["selector"]],
                      [top - 20, 4, before["eip"] + 2]]
    assert after["esp"] == before["tss"]["esp0"] - 20


def test_string_instructions_are_one_step_with_a_count(made):
    _, (path, _) = made
    made = recording.load(path)
    counts = [step["repeats"] for step in made["steps"] if "repeats" in step]
    assert counts == [made["symbols"]["data_bytes"], made["symbols"]["bss_dwords"]]


def test_what_is_known_of_memory_behind_many_steps_is_what_lies_there():
    """Bochs is asked once; from then on the writes of the steps are what is known."""
    program = programs.named("p_proc")
    with RecordedBochs("", ()) as machine:
        machine.code = Code(program, everything=True)
        machine.pass_to(BASE + program.symbols["ckpt_frames"])
        for _ in range(200):
            machine.step_with_accesses({})
        machine._finish()
        while machine.coming:
            machine._take()
        known = machine.read(machine.KEPT.start, len(machine.KEPT))
        machine.memory = None
        assert known == machine.read(machine.KEPT.start, len(machine.KEPT))


def test_steps_are_traced_only_as_far_as_nothing_is_folded():
    code = Code(programs.named("p_proc"))
    seen = 0
    for offset, (_, text) in list(code.texts[32].items()):
        if text.startswith(("int $", "iret", "jmp *")):
            assert code.ahead(offset, 32)[0] == 1
        branch = DIRECT.match(text)
        if branch and branch[1] not in ("jmp", "call"):     # either way
            ways = int(branch[2], 16), offset + len(code.instruction(offset, 32).code) // 2
            folds = [bool(code.folded(way, 32)) for way in ways if way in code.texts[32]]
            if any(folds):
                seen += not all(folds)
                assert code.ahead(offset, 32)[0] == 1
    assert seen


@pytest.mark.parametrize("options", [
    {"start": "ckpt_tss", "steps": 250},                                # descriptors, iret
    pytest.param({"start": "gate", "switches": 2}, marks=pytest.mark.long),
    pytest.param({"start": "gate", "switches": 3, "key": 4}, marks=pytest.mark.long),      # exceptions where none is expected
    pytest.param({"program": "hwtask", "start": "gate", "switches": 2}, marks=pytest.mark.long),
])
def test_the_quick_way_tells_the_same_as_a_question_behind_each_step(options):
    quick, asked = (making.record("bochs", **options, quick=quick) for quick in (True, False))
    assert len(quick["steps"]) == len(asked["steps"])
    for here, there in zip(quick["steps"], asked["steps"]):
        assert here == there


def traced(*steps, stop):
    """What Bochs says of steps, each (eip, tick, what else), in the quick way; stop: the last tick."""
    def registers(eip):
        return ("CPU0:\n" + "".join(f"r{name}: 00000000_00000000\n" for name in trace.PRINTED)
                + f"rip: 00000000_{eip:08x}\neflags 0x00000202: IF\n")
    told = "".join(f"{registers(eip)}(0).[{tick}] [0x000000010000] nop\n{more}" for eip, tick, more in steps)
    return f"{told}Next at t={stop}\n{registers(0x999)}(0) [0x000000010000] nop\n"


READS_GATE = "[CPU0 RD]: LIN 0x0000000000016188 PHY 0x000000016188 (len=8, UC): 0x00008E00 0x00080100\n"


@pytest.mark.parametrize("text", [
    traced((1, 10, ""), (2, 11, READS_GATE), (0x100, 12, ""), stop=13),     # its way in is between the second and the third
    READS_GATE + traced((0x100, 10, ""), stop=11),                          # and here in front of the first
    traced((1, 10, ""), stop=12),                                           # a trap behind the last
], ids="between before behind".split())
def test_a_step_that_the_quick_way_does_not_tell_is_noticed(text):
    before = {"idtr": Table(0x16088, 0x187), "cs": 0}
    with pytest.raises(trace.NotTold):
        list(trace.quick_moments(text, before))


@pytest.mark.long
def test_what_is_not_told_is_recorded_again_the_other_way(monkeypatch):
    def not_told(text, before):
        raise trace.NotTold(text)

    monkeypatch.setattr(trace, "quick_moments", not_told)
    assert len(making.record("bochs", start="gate", steps=2)["steps"]) == 2


def test_both_emulators_take_the_same_steps(tmp_path):
    found = {}
    for emulator in ("bochs", "qemu"):
        assert record("--emulator", emulator, "--switches", 1, "--output", tmp_path / emulator).returncode == 0
        found[emulator] = [(step["symbol"], step["bytes"])
                           for step in recording.load(tmp_path / emulator)["steps"]]
    assert found["bochs"] == found["qemu"]


def test_a_symbol_that_does_not_exist_is_answered_with_the_nearest():
    run = record("--from", "ckpt_frame")
    assert run.returncode == 1
    assert "no symbol ckpt_frame; the nearest names: ckpt_frames" in run.stderr


@pytest.mark.parametrize("program", ["paged", pytest.param("sysenter", marks=pytest.mark.long)])
def test_a_program_with_pages_is_recorded_from_where_it_has_them(program, tmp_path):
    run = record("--program", program, "--steps", 2, "--output", tmp_path / "recording.json")
    assert run.returncode == 0, run.stderr
    assert recording.load(tmp_path / "recording.json")["steps"][0]["symbol"] == "ckpt_spaces"


@pytest.mark.parametrize("options, says", [
    (["--program", "paged", "--from", "start"], "--from start: paged runs elsewhere until it has pages, and is recorded from "
                                                "ckpt_spaces on"),
    (["--after", 4], "start comes once, before the first switch; give --from a symbol that comes again, such as gate"),
    (["--program", "sysenter", "--after", 4], "ckpt_spaces comes once, before the first switch"),
])
def test_a_beginning_that_is_never_met_is_refused_at_once(options, says):
    run = record(*options)
    assert run.returncode == 2 and says in run.stderr


@pytest.mark.parametrize("spoil, complaint", [
    (lambda text: text.replace('"version":4', '"version":9'), ":1: a recording of version 9"),
    (lambda text: text[:len(text) // 2], "not a whole recording"),
    (lambda text: text.replace('"accesses"', '"axesses"', 1), ":2: step 0: expected the keys"),
    (lambda text: "{}", ":1: not a recording"),
    (lambda text: json.dumps({**json.loads(text), "state": {}}), ":1: the first state is not complete"),
])
def test_a_bad_recording_is_refused_with_the_line(tmp_path, spoil, complaint):
    path = tmp_path / "recording.json"
    assert record("--steps", 3, "--output", path).returncode == 0
    path.write_text(spoil(path.read_text()))
    with pytest.raises(recording.BadRecording) as error:
        recording.load(path)
    assert str(error.value).startswith(str(path)) and complaint in str(error.value)


def test_a_recording_that_is_missing_says_how_to_make_it(tmp_path):
    with pytest.raises(recording.BadRecording, match="made by: make record"):
        recording.load(tmp_path / "none.json")

"""The programs on the floppy: what all have in common; they are judged and compared, and the judge is tested on them."""

from ringside.attacks import differences
from ringside.judge import compare
from ringside.emulators import debuggers
from ringside.judge import judge
from ringside.emulators import machines
from ringside.judge import mutate
from ringside.recorder import programs
import pytest
from ringside.recorder import record, recording

ONE_OF = 37  # changes of a recording


@pytest.fixture(scope="module", params=[name for name in programs.on_the_floppy() if name != "p_proc"])
def pair(request):
    """From the stub's first instruction to the first switch."""
    return list(record.record_both(request.param, start=programs.named(request.param).start, switches=1))


def test_what_is_on_the_floppy_is_recorded_and_judged_and_attacked():
    there = {path.stem for path in machines.BUILD.glob("*.com")} - {"menu"}
    assert set(programs.on_the_floppy()) == there
    assert set(differences.DIFFERENT) == {name for name in there if programs.named(name).attacked}


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", programs.PROGRAMS)
def test_whoever_starts_anew_has_a_line_in_the_log(program, tmp_path):
    """By key r, and when A is asked for its next mistake."""
    *_, bochs = debuggers.knowing(program)
    with bochs(machines.floppy_that_starts(program, tmp_path / "floppy.img")) as machine:
        first, second = "12" if program == "paged" else "35"    # PAGED survives its third
        for key, line in (first, "end"), ("r", "start"), (second, "end"), (first, "end"):
            since = len(machine.log())
            machine.press(key)
            machine.go()
            machine.wait_log(f"^{line} ", since=since)
            machine.halt()
        lines = [line for line in machine.log() if line.startswith(("end", "start"))]
    end, start = "end proc=A alive=B", "start proc=A"
    assert lines == [end, start, end, start, end]


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", programs.PROGRAMS)
def test_whoever_starts_nobody_anew_costs_nobody_a_turn(program, tmp_path):
    """Key r, while both play."""
    *_, bochs = debuggers.knowing(program)
    with bochs(machines.floppy_that_starts(program, tmp_path / "floppy.img")) as machine:
        machine.press("r")
        machine.go()
        machine.wait_log("^switch n=2 ")
        first, second = [line.split()[:4] for line in machine.log() if line.startswith("switch")][:2]
    assert (first, second) == (["switch", "n=1", "from=A", "to=B"], ["switch", "n=2", "from=B", "to=A"])


@pytest.mark.sample(3)
def test_every_crossing_is_as_intel_says(pair):
    for made in pair:
        verdicts = [verdict for _, verdict in judge.verdicts(made)]
        assert [(verdict.kind, str(fact)) for verdict in verdicts for fact in verdict.findings] == []
        far_jump = programs.named(made["program"]).start == "start"
        assert sum(verdict.crossing for verdict in verdicts) >= far_jump + 2 + 1, "the far jump, the ways out, the way in"


@pytest.mark.sample(3)
def test_the_emulators_agree(pair):
    made = compare.Comparison(*pair)
    assert list(map(str, made.differences)) == []
    assert made.steps == len(pair[0]["steps"]) > 250
    assert bool(made.uses["the time"]) == (pair[0]["program"] == "kstack"), "which alone shows the time"


@pytest.mark.sample(3)
def test_a_sample_of_changes_is_noticed_or_benign(pair):
    report = mutate.Report(ONE_OF)
    for made in pair:
        mutate.recording(made, report)
    assert report.unnoticed == []
    assert report.caught() > 11000 / ONE_OF


@pytest.mark.sample(3)
def test_the_frames_are_those_of_who_waits(pair):
    """Behind the last step B runs, and A lies where the recording says: as it was when it left ring
    3, or in HWJUMP its task."""
    made = pair[0]
    walked = list(recording.walk(made))
    words = dict(zip(made["frames"]["A"]["words"], walked[-1][3]["frames"]["A"]))
    before, step = next((before, step) for _, before, step, after in walked
                        if (step["text"].startswith("ljmp *%ss:") if made["program"] == "hwjump"
                            else before["cpl"] > after["cpl"]))
    assert words["eip"] == before["eip"] + len(step["bytes"]) // 2
    assert words["esp"] == before["esp"]


def test_a_port_is_open_by_the_map_alone(recorded):
    """KSTACK's A reads the clock in ring 3: Bochs shows that the CPU has asked the map."""
    made = recorded("bochs", "kstack", start="thread_clock", steps=3)
    verdicts = [verdict for _, verdict in judge.verdicts(made)]
    assert [verdict.kind for verdict in verdicts][1:] == ["out", "in"]
    assert [fact for verdict in verdicts for fact in verdict.findings] == []
    for verdict in verdicts[1:]:
        assert sum(fact.rule == "port" for fact in verdict.facts) >= 4, "the map's place, its limit, the bits"


def test_a_port_whose_bit_is_set_is_a_finding(recorded):
    made = recorded("bochs", "kstack", start="thread_clock", steps=3)
    step = made["steps"][2]
    step["accesses"][-1][3] |= 1 << 0x71 % 8  # the last: the two bytes of the map
    assert "port" in {fact.rule for fact in dict(judge.verdicts(made))[2].findings}


@pytest.mark.sample(3)
def test_another_time_is_no_excuse_for_anything_else(pair):
    """Only eax and the flags, and only behind a read of the clock."""
    clock = [number for number, step in enumerate(pair[1]["steps"]) if step["text"] == "in $0x71,%al"]
    others = [min(800, len(pair[1]["steps"]) - 1)]
    for number, key, found in ((n, key, [key]) for n in clock[:1] or others for key in ("ebx", "edx", "esp")):
        steps = list(pair[1]["steps"])
        *_, state = list(recording.walk(pair[1]))[number]
        steps[number] = {**steps[number], "changes": {**steps[number]["changes"], key: state[key] ^ 1}}
        made = compare.Comparison(pair[0], {**pair[1], "steps": steps})
        assert [difference.field for difference in made.differences][:1] == found

"""The judge finds nothing wrong with what both emulators do, and notices when something is."""

import subprocess

import faults
import judge
import mutate
import pytest
import recording
from machines import ROOT

EMULATORS = ("bochs", "qemu")
CROSSINGS = ("iret, ring 0 to 3", "int 0x30, ring 3 to 0", "ljmp, ring 0 to 0")
# No CPU looks at the upper half of the word that a selector is popped from.
UNSEEN = ("of half the size", "with another top bit")


@pytest.fixture(scope="module", params=EMULATORS)
def start(request):
    """From the stub's first instruction to the fourth switch."""
    return faults.recorder().record(request.param, switches=4)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return faults.Cases(tmp_path_factory.mktemp("cases"))


def judged(made):
    """Crossings, facts, and the facts that are not so."""
    verdicts = [verdict for _, verdict in judge.verdicts(made)]
    return (sum(verdict.crossing for verdict in verdicts), sum(len(verdict.facts) for verdict in verdicts),
            [(verdict.kind, str(fact)) for verdict in verdicts for fact in verdict.findings])


def test_every_crossing_of_the_program_is_as_intel_says(start):
    crossings, facts, findings = judged(start)
    assert findings == []
    assert crossings >= 1 + 5 + 4, "the far jump, the ways out, the ways in"
    assert facts > 500 * crossings


@pytest.mark.parametrize("emulator", EMULATORS)
def test_whatever_a_proc_tries_is_judged_and_right(cases, emulator):
    crossings, _, findings = judged(cases.record(emulator))
    assert findings == []
    assert len(cases.table) > 100
    assert crossings > 200


def test_a_change_anywhere_in_a_crossing_is_noticed(start):
    report, seen = mutate.Report(), set()
    layout = mutate.Layout(start)
    for (number, before, step, after), (_, verdict) in zip(recording.walk(start), judge.verdicts(start)):
        if verdict.kind in CROSSINGS and verdict.kind not in seen:
            seen.add(verdict.kind)
            mutate.Step(layout, number, before, step, after, verdict, report).change_all()
    assert seen == set(CROSSINGS)
    assert report.total() > 1000
    unnoticed = [what for what in report.unnoticed if not what.endswith(UNSEEN)]
    if start["emulator"] == "qemu":  # tells no accesses: where a descriptor was read, it cannot be asked
        unnoticed = [what for what in unnoticed if "nobody noticed: before: " not in what]
    assert unnoticed == []


def test_a_spoilt_recording_is_told_with_the_state_around(start, tmp_path):
    number = next(number for number, verdict in judge.verdicts(start) if verdict.kind == CROSSINGS[1])
    start["steps"][number]["changes"]["esp"] += 4
    recording.save(start, tmp_path / "spoilt.json")
    start["steps"][number]["changes"]["esp"] -= 4
    run = subprocess.run([ROOT / "lab/check-crossings", tmp_path / "spoilt.json"], text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 1
    assert f"step {number}, proc_a_int: int $0x30 ({CROSSINGS[1]})" in run.stdout
    assert "before: cpl=3" in run.stdout


def test_a_recording_that_is_cut_short_is_refused(tmp_path):
    (tmp_path / "short.json").write_text('{"format":"ringpong recording","version":1,')
    run = subprocess.run([ROOT / "lab/check-crossings", tmp_path / "short.json"], text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 1
    assert "short.json:1: not a whole recording" in run.stderr

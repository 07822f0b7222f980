"""The judge finds nothing wrong with what both emulators do, and notices when something is wrong."""

import subprocess

from ringside.judge import judge
from ringside.judge.cases import SETS, Cases, emulators
from ringside.judge import mutate
from ringside.judge.rules import RULES, WITHOUT_A_CASE
import pytest
from ringside.recorder import recording
from ringside.emulators.machines import ROOT, by_name

EMULATORS = ("bochs", "qemu")
OF_A_RUN = 7     # changes of a recording of P_PROC, too, one is made
WAY_IN = "int 0x30, ring 3 to 0"
# At least so many cases and crossings; and of how many changes one is made: all are by scripts/ringside judge --mutate.
LEAST = {"crossings": (150, 200, 97), "switches": (65, 120, 97), "paging": (45, 60, 97), "pae": (35, 50, 97),
         "gates": (45, 60, 97), "virtual8086": (30, 45, 97), "debug": (25, 20, 97),
         "stacks": (32, 30, 97)}


@pytest.fixture(scope="module", params=EMULATORS)
def start(request, recorded):
    """From the stub's first instruction to the fourth switch."""
    return recorded(request.param, switches=4)


LONG = [("pae", "qemu"), ("stacks", "qemu")]


@pytest.fixture(scope="module", params=[
    pytest.param((name, emulator), id=f"{name}-{emulator}", marks=[pytest.mark.long] if (name, emulator) in LONG else [])
    for name in LEAST for emulator in emulators(name)])
def cases(request, tmp_path_factory):
    """The cases, their recording in an emulator, the verdicts on it, and what LEAST says of them."""
    name, emulator = request.param
    made = Cases(tmp_path_factory.mktemp("cases"), *SETS[name])
    recorded = made.record(emulator)
    return made.expected(emulator), recorded, [verdict for _, verdict in judge.verdicts(recorded)], *LEAST[name]


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


@pytest.mark.sample(3)
def test_whatever_a_proc_tries_is_judged_and_right(cases):
    _, _, verdicts, _, least, _ = cases
    assert [(verdict.kind, str(fact)) for verdict in verdicts for fact in verdict.findings] == []
    assert sum(verdict.crossing for verdict in verdicts) > least


def test_each_case_goes_the_way_it_is_there_for(cases):
    table, made, verdicts, least, *_ = cases
    kinds = {}
    for step, verdict in zip(made["steps"], verdicts):
        kinds.setdefault(step["symbol"].partition("+")[0], []).append(verdict.kind)
    assert len(table) > least
    for name, what in table.items():
        found = kinds.get(name, ["not reached"])
        assert what == "" or any(kind == what or kind.startswith(what + ", ") for kind in found), (name, what, found)


@pytest.mark.sample(2)
def test_of_the_changes_of_the_program_s_run_a_sample_is_noticed_or_benign(start):
    report = mutate.Report(OF_A_RUN)
    mutate.recording(start, report)
    assert report.unnoticed == []
    assert report.caught() > 5000 / OF_A_RUN
    assert WAY_IN in {verdict.kind for _, verdict in judge.verdicts(start)}


@pytest.mark.sample(3)
def test_of_the_changes_of_all_cases_a_sample_is_noticed_or_benign(cases):
    *_, one_of = cases
    report = mutate.Report(one_of)
    mutate.recording(cases[1], report)
    assert report.unnoticed == []
    assert report.caught() > 7000 / one_of


@pytest.mark.long
def test_every_rule_has_a_case_in_bochs_or_a_reason_why_it_has_none(recorded, tmp_path):
    told = {fact.rule for _, verdict in judge.verdicts(recorded("bochs", "timer", start="start", switches=1))
            for fact in verdict.facts}
    for name, words in SETS.items():
        folder = tmp_path / name
        folder.mkdir()
        told |= {fact.rule for _, verdict in judge.verdicts(Cases(folder, *words).record("bochs")) for fact in verdict.facts}
    assert {rule for rule in RULES if rule not in told} == set(WITHOUT_A_CASE)


def test_a_spoilt_recording_is_told_with_the_state_around(start, tmp_path):
    number = next(number for number, verdict in judge.verdicts(start) if verdict.kind == WAY_IN)
    start["steps"][number]["changes"]["esp"] += 4
    recording.save(start, tmp_path / "spoilt.json")
    start["steps"][number]["changes"]["esp"] -= 4
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "judge", tmp_path / "spoilt.json"]), text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 1
    assert f"step {number}, proc_a_int: int $0x30 ({WAY_IN})" in run.stdout
    assert "before: cpl=3" in run.stdout


def test_a_recording_that_is_cut_short_is_refused(tmp_path):
    (tmp_path / "short.json").write_text('{"format":"ringpong recording","version":3,')
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "judge", tmp_path / "short.json"]), text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 1
    assert "short.json:1: not a whole recording" in run.stderr


def test_64_bit_mode_is_refused_with_a_word(start, tmp_path):
    spoilt = {**start, "state": {**start["state"], "cr0": 0x80000011, "cs": {**start["state"]["cs"], "attributes": 0x209B}}}
    recording.save(spoilt, tmp_path / "long.json")
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "judge", tmp_path / "long.json"]), text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 1
    assert "step 0, start, is in 64-bit mode: the judge knows 16- and 32-bit code only" in run.stderr


def test_what_is_folded_may_change_any_segment(start):
    step = next(step for step in start["steps"] if "folded" in step)
    step = {**step, "changes": {**step["changes"], "ds": None}}
    assert judge.untouched(step).findings == []
    del step["folded"]
    assert judge.untouched(step).findings

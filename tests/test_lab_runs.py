"""What speaks against a wrong choice is seen in a run, by students and here alike: scripts/ringside lab refute.

make test tries one run of the day; make test-labs all of them.
"""

import platform
import shutil
import subprocess

import pytest

from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.labs import catalogue, command, refute
from tests.labs import all_only, BY_NUMBER, DAY, LABS

ASKED = [(lab, number, question) for lab in LABS for number, question in enumerate(lab.questions, 1) if question.choices]
RUNS = [(lab, run["name"]) for lab in LABS for run in lab.runs]
FNCALL = machines.BUILD / "fncall/fncall"


def fncall_is_built():
    if platform.machine() != "x86_64" or not shutil.which("cc"):
        pytest.skip("FNCALL is for Linux on x86-64")
    subprocess.run(["make", "-s", "fncall"], cwd=ROOT, check=True, capture_output=True)


def tried(lab, name):
    """What the run shows of all choices that it speaks against."""
    if any(run["name"] == name and run["of"] == "process" for run in lab.runs):
        fncall_is_built()
    return [refute.shown(lab, question, choice) for question in lab.questions
            for choice, (run, *_) in question.refuted.items() if run == name]


@pytest.mark.parametrize("lab, number, question", ASKED, ids=lambda value: getattr(value, "number", None) or str(value)[:1])
def test_each_wrong_choice_has_a_run_that_speaks_against_it_and_stands_on_the_page(lab, number, question):
    assert set(question.refuted) == set(question.choices) - {question.answer}
    assert {run for run, *_ in question.refuted.values()} <= {run["name"] for run in lab.runs}
    page = " ".join(lab.page().split())
    listed = " ".join(f"- {chr(ord('a') + place)}) {choice}" for place, choice in enumerate(question.choices))
    assert f"{number}. {question.text} {listed}" in page


def test_each_run_speaks_against_something():
    for lab in LABS:
        assert {run["name"] for run in lab.runs} == {run for question in lab.questions for run, *_ in question.refuted.values()}


@all_only
@pytest.mark.parametrize("lab, name", RUNS, ids=lambda value: getattr(value, "number", value))
def test_what_speaks_against_a_choice_is_what_a_run_shows(lab, name):
    assert all(tried(lab, name))


def test_a_run_of_the_day_shows_what_it_should():
    lab, name = DAY.choice([(lab, name) for lab, name in RUNS if lab.program != "fncall"])
    assert all(tried(lab, name))


def test_what_a_run_does_not_show_is_said(monkeypatch):
    lab = BY_NUMBER["47"]
    question = lab.questions[0]._replace(refuted={"the entry has no W": ("key 1", "fault['error'] == '0007'", "x")})
    monkeypatch.setattr(refute, "_seen", lambda *_: {"fault": {"error": "0005"}})
    with pytest.raises(refute.Untrue, match="'0007' does not hold"):
        refute.shown(lab, question, "the entry has no W")


@pytest.mark.parametrize("choice, said", [("1a", "nothing speaks against 1a"), ("9b", "has no choice"), ("1x", "no choice x"),
                                          ("b", "has no")])
def test_a_choice_that_cannot_be_refuted_is_said(choice, said, capsys):
    assert command.main(["refute", "47", choice]) == 2
    assert said in capsys.readouterr().err


def test_who_asks_is_shown_the_run_and_what_was_seen(monkeypatch, capsys):
    monkeypatch.setattr(refute, "_seen", lambda *_: {"fault": {"error": "0005", "walk": "PW- refuses"}})
    assert command.main(["refute", "47", "1b"]) == 0
    out = capsys.readouterr().out
    assert "the run: make run PROG=paged, key 1, and its log, of the healthy tree" in out and 'walk="PW- refuses"' in out
    assert catalogue.lab("47").against(1, 1).endswith("To see it: scripts/ringside lab refute 47 1b")

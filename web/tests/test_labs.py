"""The labs in the page: questions with what speaks against a choice, and a .COM that the page's own Bochs tries."""

import base64
import json
import subprocess

import pytest
from conftest import WEB

from ringside.emulators.machines import BUILD
from ringside.labs import catalogue, trees

LABS = json.loads((WEB / "labs.json").read_text())["labs"] if (WEB / "labs.json").exists() else []
ASKING = [lab["number"] for lab in LABS if lab["questions"]]
BROKEN = {"02": {"H1"}, "04": {"R1"}, "06": {"R1"}, "14": {"I1"}, "19": {"P2"}, "21": {"P6"}, "31": {"S1"}, "33": {"T1"}}


@pytest.fixture
def labs(page):
    page.open(page.site.replace("index.html", "labs.html"), "return Boolean(window.ringpong && document.querySelector('#lab').textContent)")
    return page


def test_all_labs_that_hand_in_answers_are_there_and_those_with_a_com():
    answering = {lab.number for lab in catalogue.all_labs() if lab.questions and not lab.files}
    assert answering == set(ASKING) and {lab["number"] for lab in LABS} > answering
    assert {lab["number"] for lab in LABS} >= set(BROKEN)


@pytest.mark.parametrize("number", ASKING)
def test_right_answers_are_right_and_wrong_ones_are_refuted(labs, number):
    lab = next(lab for lab in LABS if lab["number"] == number)
    labs.execute_script("location.hash = arguments[0]", f"lab={number}")
    labs.wait("return document.querySelector('form fieldset')")
    for wrong in (False, True):
        labs.execute_script("""const [questions, wrong] = arguments; const form = document.querySelector("form");
            questions.forEach((q, i) => {
              if (q.choices) form.querySelectorAll(`[name=question-${i}]`)[wrong ? (q.right + 1) % q.choices.length : q.right].checked = true;
              else form.querySelector(`[name=question-${i}]`).value = wrong ? "0xdead" : q.value;
            });
            form.requestSubmit();""", lab["questions"], wrong)
        total = sum(question["points"] for question in lab["questions"])
        said = labs.execute_script("return [document.querySelector('[data-result]').textContent, "
                                   "...[...document.querySelectorAll('[data-said]')].map((p) => p.textContent)]")
        assert said[0] == f"For yourself: {0 if wrong else total} of {total}."
        for text, question in zip(said[1:], lab["questions"]):
            if not wrong:
                assert text == "Right."
            elif "choices" in question:
                assert text == question["because"][(question["right"] + 1) % len(question["choices"])]
            else:
                assert "not what the run shows" in text


def built(number, folder):
    """A lab's P_PROC, as a student builds it; without a number the healthy one."""
    tree = trees.broken(catalogue.lab(number), 0) if number else trees.whole(0)
    trees.write(tree, folder)
    subprocess.run(["make", "-s", "build/p_proc.com"], cwd=folder, check=True, capture_output=True, timeout=120)
    return (folder / "build/p_proc.com").read_bytes()


def found(labs, number, data):
    labs.execute_script("location.hash = arguments[0]", f"lab={number}")
    labs.wait("return document.querySelector('[type=file]')")
    return labs.run("const [number, text] = given; const { all, drop } = window.ringpong;"
                    "const lab = (await all()).labs.find((one) => one.number === number);"
                    "return await drop(lab, Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), 'p_proc.com')",
                    number, base64.b64encode(data).decode())


needs_engine = pytest.mark.skipif(not (BUILD / "web/bochs.wasm").exists(), reason="the page has no engine: make engine")


@needs_engine
@pytest.mark.parametrize("number", BROKEN)
def test_a_com_that_is_broken_is_found_and_a_healthy_one_keeps_every_law(labs, number, tmp_path):
    assert found(labs, number, (BUILD / "p_proc.com").read_bytes()) == []
    assert "broken" not in labs.execute_script("return document.querySelector('[data-result]').textContent")
    assert BROKEN[number] <= {one["law"] for one in found(labs, number, built(number, tmp_path))}
    assert "broken" in labs.execute_script("return document.querySelector('[data-result]').textContent")


def test_what_is_no_com_is_refused_and_all_is_told_apart_from_marks(labs):
    assert found(labs, "04", bytes(61 << 10)) is None
    assert "a .COM has 1 to" in labs.execute_script("return document.querySelector('[data-result]').textContent")
    assert "gives no marks" in labs.execute_script("return document.querySelector('.yourself').textContent")


def test_axe_finds_nothing(labs, axe):
    for place in ("", "lab=45", "lab=00", "lab=04"):
        labs.execute_script("location.hash = arguments[0]", place)
        labs.wait("return document.querySelector('#lab').textContent")
        labs.execute_script(axe)
        assert labs.run("const found = await axe.run(document, {resultTypes: ['violations']});"
                        "return found.violations.map((v) => [v.id, v.nodes[0].html.slice(0, 200)])") == [], place

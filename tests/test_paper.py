"""Slides and handout, as far as it can be told without a browser; web/tests/test_paper.py prints them (make test-web)."""

import re

import pytest

from ringside.emulators.machines import ROOT
from ringside.pages import paper


def test_without_chromium_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="no chromium.*sh scripts/setup --paper"):
        paper.main(["slides"])


def test_a_sheet_of_two_pages_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(paper, "OUT", ROOT / "build/paper-test")
    monkeypatch.setattr(paper, "printed", lambda source, target: 2)
    with pytest.raises(SystemExit, match="cheat-sheet-a4.pdf has 2 pages, and should have 1"):
        paper.make(paper.handout(), keep=False)


def test_what_is_printed_has_its_pictures_and_keeps_answers_for_the_last_pages():
    for one in (*paper.slides(), *paper.handout()):
        for size in paper.PAPERS:
            text = paper.page(one, size)
            assert "<!-- " not in text and "href=" not in text
            for picture in re.findall(r'src="file://([^"]+)"', text):
                assert (ROOT / picture).exists()
            before, _, answers = text.partition("Answers and hints")
            assert "<details" not in before and ("Hint 3" in answers) == (one.name == "handout")


def test_the_sheet_names_what_it_is_for():
    headings = re.findall(r"^## (\w+)", paper.SHEET.read_text(), re.M)
    assert headings == ["Selector", "Descriptor", "Gate", "TSS", "Frame", "Error", "eflags"]

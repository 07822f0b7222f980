"""make slides, make handout: as many pages as promised, and the same bytes each time."""

import re
import shutil

from ringside.pages import paper

POINTS = {"a4": (595, 842), "letter": (612, 792)}      # short side, long side


def boxes(path):
    """The sizes of its pages, in points."""
    return [(round(float(box[1])), round(float(box[2])))
            for box in re.finditer(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", path.read_bytes())]


def test_a_cheat_sheet_is_one_page_of_each_size_and_always_the_same_bytes(tmp_path, monkeypatch):
    sheet = [one for one in paper.handout() if one.name == "cheat-sheet"]
    found = []
    for folder in ("one", "other"):
        monkeypatch.setattr(paper, "OUT", paper.BUILD / "paper-test" / folder)
        made = paper.make(sheet, keep=False)
        for path, size in zip(made, paper.PAPERS):
            assert [sorted(box) for box in boxes(path)] == [sorted(POINTS[size])]
        found.append([path.read_bytes() for path in made])
    shutil.rmtree(paper.OUT.parent)
    assert found[0] == found[1]


def test_slides_lie_on_their_long_side_one_for_each_heading(monkeypatch):
    slides = paper.slides()
    assert slides[0].pages == len(re.findall("^##? ", paper.SLIDES.read_text(), re.M)) >= 12
    monkeypatch.setattr(paper, "OUT", paper.BUILD / "paper-test")
    made = paper.make(slides, keep=False)
    for path, size in zip(made, paper.PAPERS):
        assert boxes(path) and {tuple(sorted(box)) for box in boxes(path)} == {POINTS[size]}
        assert all(width > height for width, height in boxes(path))
    shutil.rmtree(paper.OUT)

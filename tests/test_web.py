"""The page, as far as it can be told without a browser; web/tests has the rest (make test-web)."""

import base64
from html import unescape
import gzip
import json
import re
import shutil
import subprocess

import pytest

from ringside.emulators.machines import BUILD, ROOT
from ringside.recorder import record
from ringside.web import animated, compact, embed, engine, runs, site


@pytest.fixture(scope="module")
def recorded():
    return record.record("bochs", start="ckpt_iret", switches=1)


def test_a_packed_recording_is_small_and_names_each_step(recorded):
    packed = json.loads(json.dumps(compact.pack(recorded)))
    assert [packed["code"][step[0]][3] for step in packed["steps"]] == [step["text"] for step in recorded["steps"]]
    small = len(gzip.compress(json.dumps(packed, separators=(",", ":")).encode()))
    assert small < 9000


def test_what_memory_does_not_have_stands_in_a_packed_step(recorded):
    """A value that a read can take from memory is left out, and one that it cannot is not."""
    packed = compact.pack(recorded)
    told = [access for step in packed["steps"] for access in (step[2] if len(step) > 2 and step[2] else ())]
    assert all(len(access) == 4 for access in told if access[0] == 1)
    assert any(len(access) == 3 for access in told)


def test_a_packed_recording_with_pages_has_their_entries_once():
    """What a state has of page tables is a place in a list, and what a walk has told is not told again."""
    entries = compact._Entries()
    assert entries.pack({"pages": {"1000": 3, "2004": 7}}) == [0, 0x1000, 3, 0x2004, 7]
    entries.walked([["write", 0x2004, 4, 0x27]])
    assert entries.pack({"pages": {"1000": 3, "2004": 0x27}}) == []
    assert entries.pack({"pages": {"2004": 0x67}}) == [1, 0x2004, 0x67]
    assert [list(one) for one in entries.sets] == [[0x1000, 0x2004], [0x2004]]


def test_every_what_if_is_a_breakage_that_fits():
    for made in runs.RUNS:
        if made.breakage:
            assert (ROOT / "tests/breakages" / f"{made.breakage}.patch").exists()
    assert len({made.name for made in runs.RUNS}) == len(runs.RUNS)


def test_every_breakage_of_the_page_fits_and_names_a_test(tmp_path):
    """web/tests/breakages/run tries them, in a browser."""
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=shutil.ignore_patterns("tests"))
    patches = sorted((ROOT / "web/tests/breakages").glob("*.patch"))
    for patch in patches:
        test = re.search(r"^# noticed by: (\S+?)::(\w+)(\[[\w-]+\])?$", patch.read_text(), re.M)
        assert test and f"def {test[2]}(" in (ROOT / test[1]).read_text(), patch.name
        runs.apply(patch, tmp_path)
    assert len(patches) > 10


def test_all_modules_are_in_the_single_file_and_no_name_is_there_twice():
    assert sorted(site.MODULES) == sorted(path.stem for path in (ROOT / "web").glob("*.js") if path.stem != "book")
    bundle = site.bundle()
    assert not re.search(r"^(import|export) ", bundle, re.M)
    for module in site.MODULES:
        for name in re.findall(r'from "\./([\w-]+)\.js"', (ROOT / "web" / f"{module}.js").read_text()):
            assert site.MODULES.index(name) < site.MODULES.index(module), f"{module} needs {name}, which comes later"


def test_a_recording_becomes_a_page_of_its_own_that_needs_nothing_else(recorded):
    html = embed.page(recorded, "mine & more", "3.1")
    assert "<title>mine &amp; more</title>" in html and set(re.findall(r"https?://[\w.]+", html)) == {"http://www.w3.org"}
    found = {name: json.loads(gzip.decompress(base64.b85decode(text.replace(",", "<"))))
             for name, text in re.findall(r'data-file="([\w.]+)">([^<]+)<', html)}
    assert found["recording.json"] == json.loads(json.dumps(recorded))
    assert found["about.json"]["step"] == "3.1" and "p_proc.S" in found["about.json"]["sources"]
    script = re.search(r'<script type="module">(.*?)</script>', html, re.S)[1]
    assert site.allowed(script) in html and "customElements.define" in script
    assert 'sandbox="allow-scripts"' in embed.frame(recorded, "mine")


def test_an_edit_of_another_source_fails_loudly(tmp_path):
    for name in {name for name, *_ in engine.EDITS}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("another source\n")
    (tmp_path / "instrument/stubs").mkdir(parents=True)
    (tmp_path / "instrument/stubs/Makefile.in").touch()
    with pytest.raises(engine.CannotBuild, match="this is another source, adapt EDITS"):
        engine.edit(tmp_path)


def test_the_mirror_is_the_machines_own(monkeypatch):
    monkeypatch.setenv("MIRROR", "http://mirror.example/debian")
    assert engine.mirror() == "http://mirror.example/debian"


def test_a_source_with_another_checksum_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "ENGINE", tmp_path)
    monkeypatch.setattr(engine.subprocess, "run", lambda *words, **options: None)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / engine.TARBALL).write_bytes(b"something else")
    with pytest.raises(engine.CannotBuild, match="another source than the one that EDITS"):
        engine.fetch()


def test_recordings_of_mistakes(recorded):
    mistake = record.record("bochs", start="ckpt_iret", steps=170, key=3)
    texts = [step["text"] for step in mistake["steps"]]
    assert "int $0x21" in texts and "int $0x21" not in [step["text"] for step in recorded["steps"]]


def test_the_moving_picture_is_todays(recorded):
    """But for addresses, where another compiler than that of the pages has made them."""
    version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    with_gcc = (BUILD / "how").read_text().startswith("gcc ")
    if with_gcc and f"<!-- run: made -->gcc {version} and " in (ROOT / "docs/faults.md").read_text():
        assert animated.OUTPUT.read_text() == animated.drawing(recorded), "make pictures draws it again"
    plain = [re.sub(r"\b[0-9a-f]{4,8}\b", "", text) for text in (animated.OUTPUT.read_text(), animated.drawing(recorded))]
    assert plain[0] == plain[1]
    assert animated.OUTPUT.stat().st_size <= 400 << 10
    moved = re.findall(r"animation-duration: (\S+); animation-iteration-count: (\d+)", plain[0])
    assert moved == [("6s", "3")] and "prefers-reduced-motion" in plain[0]


# t("..."), in one kind of quotation marks or the other.
SAID = r"""\b(?:t|later|word)\((?:"((?:[^"\\]|\\.)+)"|'((?:[^'\\]|\\.)+)')"""
IN_PAGE = r'<[^>]*\bdata-t>([^<]+)<|data-t-title="([^"]+)"'


def texts():
    """All that the page says in the reader's language."""
    found = set()
    for path in (ROOT / "web").glob("*.js"):
        if path.name not in ("chinese.js", "book.js"):
            for double, single in re.findall(SAID, path.read_text()):
                found.add(json.loads(f'"{double}"') if double else single)
    page = (ROOT / "web/page.html").read_text()
    found |= {unescape(text) for words in re.findall(IN_PAGE, page) for text in words if text}
    return found | {text for made in runs.RUNS for text in (made.title, made.about)}


def test_no_text_is_missing_in_either_language():
    """The English ones stand in the modules, the Chinese ones in chinese.js: the same, with the same places to fill."""
    chinese = json.loads(re.search(r"CHINESE = (\{.*\});", (ROOT / "web/chinese.js").read_text(), re.S)[1])
    english = texts()
    assert sorted(english - set(chinese)) == [], "web/chinese.js lacks them"
    assert sorted(set(chinese) - english) == [], "nothing says them any more"
    places = [[sorted(re.findall(r"\{\d\}", side)) for side in both] for both in chinese.items()]
    assert [both for both, (one, other) in zip(chinese.items(), places) if one != other] == []
    assert all(said.strip() or not text.strip() for text, said in chinese.items()) and len(chinese) > 250
    assert [said for said in chinese.values() if re.search("寄存器|堆栈|堆棧|內核|内核|進程|进程|默認|字節|程序", said)] == []

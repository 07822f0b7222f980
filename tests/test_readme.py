"""What the README and the reference say is what a run shows."""

import re
import subprocess

import pytest

from ringside.emulators import machines
from ringside.pages import chapters

README = (machines.ROOT / "README.md").read_text()
REFERENCE = (machines.ROOT / "docs/reference.md").read_text()
FRONT = ("README.md", "README.zh-TW.md")
MOST_WORDS = 450


def shape(line):
    """A line of the log without its addresses, which depend on the compiler."""
    return re.sub(r"=[0-9a-f]{8}\b", "=address", line)


def test_the_log_begins_as_the_reference_says(qemu):
    shown = [line.strip() for line in REFERENCE.splitlines() if re.match(r"    (boot|switch) ", line)]
    qemu.wait_log("switch n=4 ")
    assert len(shown) == 4
    assert [shape(line) for line in qemu.log()[:4]] == [shape(line) for line in shown]


def test_the_version_is_that_of_the_newest_changes():
    newest = re.search(r"^## (\S+)$", (machines.ROOT / "CHANGES.md").read_text(), re.M)[1]
    said = subprocess.run(["/usr/bin/python3", machines.ROOT / "scripts/ringside", "--version"], capture_output=True, text=True)
    assert said.stdout == f"ringpong {newest}\n" and newest == machines.VERSION


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGES.md"])
def test_what_other_pages_of_the_root_link_to_is_there(page):
    text = (machines.ROOT / page).read_text()
    for link in set(re.findall(r"\]\(([^)]+)\)", text)):
        assert (machines.ROOT / link).exists(), link
    makefile = (machines.ROOT / "Makefile").read_text()
    assert set(re.findall(r"`make ([a-z][a-z-]*)`", text)) <= set(re.findall(r"^#: make ([a-z-]+)", makefile, re.M))


def test_the_reference_lists_every_checkpoint_and_no_other():
    listed = re.findall(r"^\| `(ckpt_\w+)`", REFERENCE, re.M)
    assert sorted(listed) == sorted(name for name in machines.symbols() if name.startswith("ckpt_"))


@pytest.mark.parametrize("page", FRONT + ("docs/reference.md",))
def test_what_a_page_links_to_is_there(page):
    path = machines.ROOT / page
    for link in set(re.findall(r"\]\(([^)]+)\)", path.read_text())):
        if not link.startswith("https://"):
            there, _, heading = link.partition("#")
            assert (path.parent / there).exists(), link
            assert not heading or heading in chapters.anchors((path.parent / there).read_text()), link


def test_the_readme_is_read_in_half_a_minute():
    assert len(re.findall(r"\S*[A-Za-z0-9]\S*", README)) <= MOST_WORDS


def test_the_readme_says_the_same_in_both_languages():
    texts = [(machines.ROOT / page).read_text() for page in FRONT]
    shape = [[(kind, body) for kind, body in chapters.marks(text)] for text in texts]
    assert shape[0] == shape[1]
    assert [re.findall(r"^    (sh \S.*?) *#", text, re.M) for text in texts] == \
        2 * [["sh scripts/setup && make run", "sh scripts/setup && make test"]]


def test_every_make_target_in_these_pages_is_one_that_make_help_lists():
    makefile = (machines.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`make ([a-z][a-z-]*)", README + REFERENCE))
    assert targets
    assert targets <= set(re.findall(r"^#: make ([a-z-]+)", makefile, re.M)) | {"web"}


def test_a_switch_takes_as_many_instructions_as_the_reference_says():
    promised = int(re.search(r"^(\d+) instructions from A's `int`", REFERENCE, re.M).group(1))
    first_of_b = machines.BASE + machines.sym("proc_b_int") + 2
    with machines.Bochs(magic=False) as bochs:
        bochs.send("c")
        bochs.wait_log("n=4096 ", 60)
        bochs.stop()
        bochs.run_to("proc_a_int")
        while bochs.x("switches_left")[0] == 1:  # a look is due: not the usual path
            bochs.run_to("proc_a_int")
        times = [int(re.search(r"^Next at t=(\d+)", out, re.M).group(1))
                 for out in (bochs.cmd("s"), bochs.run_to(first_of_b))]
    assert times[1] - times[0] + 1 == promised

"""tests/breakages/run calls a breakage noticed only if its tests find it, not when they cannot be run."""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from ringside.emulators.machines import ROOT

RUN = ROOT / "tests/breakages/run"
WHOLE, BROKEN = 'switch = "A to B"\n', 'switch = "A to A"\n'

# What tests may come to when the program is broken, as a file of them, and what is said then.
ENDS = {
    "passes": ("def test_it():\n    pass", "the tests pass"),
    "an assertion": ("def test_it():\n    if is_broken(): assert 1 == 2", "noticed"),
    "an assertion of a helper": ("def check():\n    raise AssertionError('no switch')\n\n"
                                 "def test_it():\n    if is_broken(): check()", "noticed"),
    "another mistake": ("def test_it():\n    if is_broken(): {}['switch']", "noticed"),
    "one of two cases": ("import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n):\n"
                         "    assert n == 1 or not is_broken()", "noticed"),
    "a fixture": ("import pytest\n\n@pytest.fixture\ndef machine():\n    assert not is_broken()\n\n"
                  "def test_it(machine):\n    pass", "setup"),
    "an import": ("if is_broken(): import none_such\n\ndef test_it():\n    pass", "collection"),
    "no tool": ("import subprocess\n\ndef test_it():\n    if is_broken(): subprocess.run(['none-such'])", "error"),
    "no emulator": ("class CannotStart(AssertionError):\n    pass\n\ndef test_it():\n"
                    "    if is_broken(): raise CannotStart", "error"),
    "too long": ("import subprocess\n\ndef test_it():\n    if is_broken(): subprocess.run(['sleep', '9'], timeout=0.1)", "timeout"),
    "skipped": ("import pytest\n\ndef test_it():\n    if is_broken(): pytest.skip()", "the tests pass"),
    "fails always": ("def test_it():\n    assert 1 == 2", "fails without it, too"),
    "is not there": ("def test_that():\n    pass", "does not pass without it, either"),
}
PREAMBLE = "import pathlib\n\ndef is_broken():\n    return 'A to A' in pathlib.Path('program').read_text()\n\n"


def patch(name, ways=""):
    return (f"# breaks: the procs take turns\n# noticed by: tests/test_{name}.py::test_it\n{ways}"
            f"--- a/program\n+++ b/program\n@@ -1 +1 @@\n-{WHOLE}+{BROKEN}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small project, with a breakage for each of ENDS; and again where that is as good."""
    root = tmp_path_factory.mktemp("project")
    (root / "tests/breakages").mkdir(parents=True)
    shutil.copy(RUN, root / "tests/breakages/run")
    (root / "program").write_text(WHOLE)
    (root / "Makefile").write_text("all:\n\t! grep 'A to C' program\n\tmkdir -p build\n")
    for what, (source, said) in ENDS.items():
        name = what.replace(" ", "_")
        (root / f"tests/test_{name}.py").write_text(PREAMBLE + source + "\n")
        (root / f"tests/breakages/{name}.patch").write_text(patch(name))
        if said in ("setup", "collection", "error", "timeout"):
            (root / f"tests/breakages/{name}-too.patch").write_text(patch(name, f"# may end in: {said}\n"))
    for name, ways in ("unbuilt", ""), ("unbuilt-too", "# may end in: build\n"):
        (root / f"tests/breakages/{name}.patch").write_text(patch("passes", ways).replace("A to A", "A to C"))
    return root


@pytest.fixture(scope="module")
def said(folder):
    """{breakage: (noticed or UNNOTICED, why)}"""
    run = subprocess.run([folder / "tests/breakages/run"], text=True, capture_output=True, timeout=100)
    found = {name: (word, why) for word, name, why in re.findall(r"^(\w+) +(\S+) +\d+ s  (.*)$", run.stdout, re.M)}
    assert len(found) == len(list(folder.glob("tests/breakages/*.patch"))), run.stdout + run.stderr
    unnoticed = sum(word == "UNNOTICED" for word, _ in found.values())
    assert run.stdout.endswith(f"{len(found)} breakages, {unnoticed} unnoticed\n")
    assert run.returncode == 1
    return found


@pytest.mark.parametrize("what", ENDS)
def test_a_breakage_is_noticed_by_what_a_test_finds_and_by_nothing_else(said, what):
    expected = ENDS[what][1]
    word, why = said[what.replace(" ", "_")]
    assert word == ("noticed" if expected == "noticed" else "UNNOTICED")
    if expected in ("setup", "collection", "error", "timeout"):
        assert why.startswith("cannot tell: ") and f" ends in {expected}: " in why
    elif expected != "noticed":
        assert expected in why


@pytest.mark.parametrize("what", [what for what, (_, said) in ENDS.items() if said in ("setup", "collection", "error", "timeout")])
def test_another_end_is_as_good_where_the_breakage_says_so(said, what):
    assert said[f"{what.replace(' ', '_')}-too"][0] == "noticed"


def test_a_breakage_that_does_not_build_is_noticed_only_where_it_says_so(said):
    assert said["unbuilt"][0] == "UNNOTICED" and said["unbuilt"][1].startswith("build: ")
    assert said["unbuilt-too"][0] == "noticed"


def test_the_copies_are_as_the_sources_again(folder, said):
    for number in "0", "1":
        assert (folder / "build/breakages" / number / "program").read_text() == WHOLE


def test_an_unknown_way_to_end_is_refused(folder):
    (folder / "tests/breakages/odd.patch").write_text(patch("passes", "# may end in: smoke\n"))
    run = subprocess.run([folder / "tests/breakages/run", "--check"], text=True, capture_output=True, timeout=60)
    (folder / "tests/breakages/odd.patch").unlink()
    assert run.returncode == 1 and "may end in smoke, but there are only: build, setup" in run.stdout


def harness():
    loader = importlib.machinery.SourceFileLoader("breakages", str(RUN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("breakages", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("emulator, start", [("qemu-system-i386", "Qemu()"), ("bochs-bin", "Bochs()"), ("bochs", "Bochs()")])
def test_an_emulator_that_is_not_there_is_the_hosts_affair(tmp_path, emulator, start):
    """As ringside says it, the run of the breakages understands it."""
    for folder in os.environ["PATH"].split(":"):
        for tool in pathlib.Path(folder).glob("*"):
            if tool.name != emulator and not (tmp_path / tool.name).exists():
                (tmp_path / tool.name).symlink_to(tool)
    run = subprocess.run(["/usr/bin/python3", "-c", f"from ringside.emulators import machines\nmachines.{start}"], cwd=ROOT,
                         env={**os.environ, "PATH": str(tmp_path)}, text=True, capture_output=True, timeout=60)
    assert run.returncode == 1
    last = next(line for line in run.stderr.splitlines() if re.match(r"[\w.]+: ", line))
    assert harness().way_of("failure", last) == "error", run.stderr

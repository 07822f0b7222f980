"""tests/breakages/run calls a breakage noticed only if its tests find it, not when they cannot be run."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from breakages import trials
from ringside.emulators.machines import ROOT

BREAKAGES = ROOT / "tests/breakages"
WHOLE, BROKEN = 'switch = "A to B"\n', 'switch = "A to A"\n'

# How tests may end when the program is broken: a file of tests, and what is said then.
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
    "too long": ("import subprocess\n\ndef test_it():\n"
                 "    if is_broken(): subprocess.run(['sleep', '9'], timeout=0.1)", "timeout"),
    "skipped": ("import pytest\n\ndef test_it():\n    if is_broken(): pytest.skip()", "the tests pass"),
    "fails always": ("def test_it():\n    assert 1 == 2", "also fails without it"),
    "is not there": ("def test_that():\n    pass", "there is no tests/test_is_not_there.py::test_it"),
    "cannot be loaded": ("import none_such\n\ndef test_it():\n    pass", "also fails without it (collection)"),
}
PREAMBLE = "import pathlib\n\ndef is_broken():\n    return 'A to A' in pathlib.Path('program').read_text()\n\n"


WAYS = [what for what, (_, said) in ENDS.items() if said in ("setup", "collection", "error", "timeout")]


def file_of(what):
    return f"tests/test_{what.replace(' ', '_')}.py"


def write_patch(root, what, broken=BROKEN, ways=""):
    (root / f"tests/breakages/{what.replace(' ', '_')}{'-too' if ways else ''}.patch").write_text(
        f"# breaks: the procs take turns\n# noticed by: {file_of(what)}::test_it\n{ways}"
        f"--- a/program\n+++ b/program\n@@ -1 +1 @@\n-{WHOLE}+{broken}")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A small project: its tests are those of ENDS, and it is not broken."""
    root = tmp_path_factory.mktemp("project")
    (root / "tests/breakages").mkdir(parents=True)
    for name in ("run", "trials.py"):
        shutil.copy(BREAKAGES / name, root / "tests/breakages")
    (root / "ringside/labs").mkdir(parents=True)
    shutil.copy(ROOT / "ringside/labs/patches.py", root / "ringside/labs")
    (root / "program").write_text(WHOLE)
    (root / "setup.cfg").write_text("[tool:pytest]\n")
    (root / "Makefile").write_text("all:\n\t! grep 'A to C' program\n\tmkdir -p build\n")
    for what, (source, _) in ENDS.items():
        (root / file_of(what)).write_text(PREAMBLE + source + "\n")
    return root


@pytest.fixture(scope="module")
def ended(project, tmp_path_factory):
    """The outcomes of all tests when it is broken."""
    tree = object.__new__(trials.Tree)
    tree.path = tmp_path_factory.mktemp("broken") / "project"
    shutil.copytree(project, tree.path)
    (tree.path / "build").mkdir()
    (tree.path / "program").write_text(BROKEN)
    return tree.test(["tests"], 60)[0]


def verdict(ended, what, *ways):
    run = trials
    module = file_of(what)[:-3].replace("/", ".")   # as pytest calls a file that it cannot load
    found = [outcome for outcome in ended if outcome.test.startswith((file_of(what), f".py::{module}"))]
    assert found, [outcome.test for outcome in ended]
    return run.verdict(run.Breakage("", [], ways, []), found, "")


@pytest.mark.parametrize("what", [what for what, (_, said) in ENDS.items() if not re.match("also fails|there", said)])
def test_a_breakage_is_noticed_by_what_a_test_finds_and_by_nothing_else(ended, what):
    noticed, why = verdict(ended, what)
    assert noticed == (ENDS[what][1] == "noticed")
    if what in WAYS:
        assert why.startswith("cannot tell: ") and f" ends in {ENDS[what][1]}: " in why
    elif not noticed:
        assert why == "the tests pass"


@pytest.mark.parametrize("what", WAYS)
def test_another_end_is_as_good_where_the_breakage_says_so(ended, what):
    assert verdict(ended, what, ENDS[what][1])[0]
    others = {"build", *(ENDS[other][1] for other in WAYS)} - {ENDS[what][1]}
    assert not verdict(ended, what, *others)[0]


def test_tests_must_pass_without_it_and_it_must_build_and_all_is_told(project):
    """The whole command, with a breakage of each kind."""
    for what in ("passes", "an assertion", "fails always", "cannot be loaded"):
        write_patch(project, what)
    write_patch(project, "is not there")
    write_patch(project, "no tool", broken='switch = "A to C"\n')
    write_patch(project, "no tool", broken='switch = "A to C"\n', ways="# may end in: build\n")
    run = subprocess.run([project / "tests/breakages/run"], text=True, capture_output=True, timeout=100)
    said = {name: (word, why) for word, name, why in re.findall(r"^(\w+) +(\S+) +\d+ s  (.*)$", run.stdout, re.M)}
    assert said.pop("an_assertion") == ("noticed", "tests/test_an_assertion.py::test_it"), run.stdout + run.stderr
    assert said.pop("no_tool-too")[0] == "noticed"
    assert said.pop("passes") == ("UNNOTICED", "the tests pass")
    for name, why in {"fails_always": ENDS["fails always"][1], "cannot_be_loaded": ENDS["cannot be loaded"][1],
                      "is_not_there": ENDS["is not there"][1], "no_tool": "build: it does not build"}.items():
        word, found = said.pop(name)
        assert word == "UNNOTICED" and why in found
    assert said == {}
    assert run.stdout.endswith("7 breakages, 5 unnoticed\n")
    assert run.returncode == 1
    for number in "01":
        assert (project / "build/breakages" / number / "program").read_text() == WHOLE


def test_an_unknown_way_to_end_is_refused(project):
    write_patch(project, "passes", ways="# may end in: smoke\n")
    run = subprocess.run([project / "tests/breakages/run", "--check", "passes-too"], text=True, capture_output=True, timeout=60)
    (project / "tests/breakages/passes-too.patch").unlink()
    assert run.returncode == 1 and "may end in smoke, but there are only: build, setup" in run.stdout


@pytest.mark.parametrize("emulator, start", [("qemu-system-i386", "Qemu()"), ("bochs-bin", "Bochs()"), ("bochs", "Bochs()")])
def test_an_emulator_that_is_not_there_is_the_hosts_affair(tmp_path, emulator, start):
    """As ringside says it, the run of the breakages understands it."""
    tools = tmp_path / "tools/bin"   # deeper than the Makefile looks for its *.d: there is an invoke-rc.d
    tools.mkdir(parents=True)
    for folder in os.environ["PATH"].split(":"):
        for tool in pathlib.Path(folder).glob("*"):
            if tool.name != emulator and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    code = ("from ringside.emulators import machines\n"
            f"try:\n    machines.{start}\n"
            "except BaseException as error:\n    print(f'{type(error).__module__}.{type(error).__name__}: {error}')\n")
    run = subprocess.run(["/usr/bin/python3", "-c", code], cwd=ROOT, env={**os.environ, "PATH": str(tools)},
                         text=True, capture_output=True, timeout=60)
    said = run.stdout.removeprefix("builtins.")
    assert trials.way_of("failure", said) == "error", run.stdout + run.stderr

"""A run of the tests that leaves something behind fails, and says what (tidy.py)."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
# As if no other pytest had started this one.
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
LEAVE = {
    "nothing": "pass",
    "a process: sleep 100": 'subprocess.Popen(["sleep", "100"])',
    "a process: sleep 101": 'subprocess.run(["sh", "-c", "sleep 101 >/dev/null 2>&1 &"])',
    "a temporary file: of-a-test": 'open(tempfile.gettempdir() + "/of-a-test", "w").close()',
    "a file outside build/: a-tests-file": 'pathlib.Path("ROOT/a-tests-file").touch()',
}


@pytest.mark.parametrize("what", LEAVE)
def test_what_a_test_leaves_is_told(what, tmp_path):
    root = tmp_path / "root"
    (root / "tests").mkdir(parents=True)
    (root / "tests/tidy.py").write_text((HERE / "tidy.py").read_text())
    (root / "tests/test_it.py").write_text(
        "import pathlib, subprocess, tempfile\n\ndef test_it():\n    " + LEAVE[what].replace("ROOT", str(root)) + "\n")
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tidy",
                          "-c", os.devnull, "--rootdir", root, "--basetemp", tmp_path / "temp", root / "tests"],
                         text=True, capture_output=True, timeout=60,
                         env={**ALONE, "PYTHONPATH": str(root / "tests"), "PYTHONDONTWRITEBYTECODE": "1",
                              "TMPDIR": str(tmp_path)})
    told = re.findall(r"the tests have left (.*)", run.stdout)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    if what == "nothing":
        assert (run.returncode, told) == (0, [])
    else:
        assert run.returncode == 1
        kind, _, name = what.partition(": ")  # until its exec a process of the shell's has the shell's name
        assert len(told) == 1 and told[0].startswith(kind) and name in told[0]

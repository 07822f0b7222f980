"""tests/kernels: kernels that know nothing of Ringpong, and the mistakes that are put into them.

The healthy ones run in both emulators. Of the mistakes a few are run here, other ones each
day; `make test-kernels` runs them all.
"""

import datetime
import fcntl
import os
import pathlib
import re
import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.machines import ROOT

import runs
import try_mistakes as mistakes

KERNELS = ROOT / "tests/kernels"
MISTAKES = KERNELS / "mistakes"
ALL = "ALL_MISTAKES" in os.environ

needs_grub = pytest.mark.skipif(not runs.has_grub(), reason="no GRUB here to put a kernel on a CD")

# What ends in QEMU within a second, and the same at each run.
QUICK = [name for name in mistakes.names()
         if mistakes.read(name)[0]["symptom"].startswith("QEMU: triple fault after")]
SAMPLE = 6


@pytest.fixture(scope="module")
def built():
    """All kernels, built once, though several processes test."""
    folder = machines.BUILD / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs.build(folder)
    return folder


# ---- healthy

@pytest.mark.parametrize("kernel", runs.KERNELS)
def test_a_healthy_kernel_makes_1024_crossings_in_qemu_and_complains_of_nothing(built, kernel):
    run = runs.qemu(built, kernel)
    assert run.crossings() >= runs.ENOUGH, run
    assert run.verdict() == "runs on", run


@pytest.mark.parametrize("kernel", [
    pytest.param(kernel, marks=() if kernel == "disk" else needs_grub)
    for kernel in (runs.KERNELS if ALL else ("disk", "paged"))])
def test_a_healthy_kernel_does_the_same_in_bochs(built, kernel):
    run = runs.bochs(built, kernel)
    assert run.crossings() >= runs.ENOUGH, run
    assert run.verdict() == "runs on", run


@pytest.mark.parametrize("kernel", runs.ORDINARY)
def test_a_kernel_that_lives_on_exceptions_raises_those_and_no_other(built, kernel):
    found = set(runs.qemu(built, kernel).exceptions)
    assert found and found <= runs.ORDINARY[kernel]


def test_flat_is_interrupted_in_ring_3_and_in_ring_0(built, tmp_path):
    log = tmp_path / "log"
    runs.qemu(built, "flat", log=log)
    assert set(re.findall(r"v=20 e=0000 i=0 cpl=(\d)", log.read_text())) == {"0", "3"}


def test_the_kernels_know_nothing_of_ringpong_and_use_none_of_its_files():
    for path in [*KERNELS.glob("*.[chl]*"), *KERNELS.glob("[a-z]*/*.[chSl]*")]:
        text = path.read_text()
        assert "ringpong" not in text.lower(), path
        for name in re.findall(r'#include "(.+)"', text):
            assert (path.parent / name).resolve().is_relative_to(KERNELS), f"{path}: {name}"


# ---- mistakes

def test_every_mistake_still_fits_the_kernels():
    run = subprocess.run([KERNELS / "try_mistakes.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_table_of_mistakes_is_whole():
    headers = {name: mistakes.read(name)[0] for name in mistakes.names()}
    assert len(headers) >= 60
    assert {header["kernel"] for header in headers.values()} == set(runs.KERNELS)
    assert {header["breaks"] for header in headers.values()} == set(mistakes.KINDS)
    assert len({header["mistake"] for header in headers.values()}) == len(headers)
    for name, header in headers.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", header["cause"]), name
        assert re.fullmatch(r"QEMU: .+; Bochs: .+", header["symptom"]), f"{name} has not been run"
        assert re.fullmatch(r"https?://\S+", header.get("seen at", "https://a")), name
    assert sum("seen at" in header for header in headers.values()) >= 60


def chosen():
    """All, or some that change from day to day; the same in each process that tests."""
    first = datetime.date.today().toordinal() * SAMPLE
    return mistakes.names() if ALL else sorted({QUICK[(first + i) * 7 % len(QUICK)] for i in range(SAMPLE)})


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", chosen())
def test_a_mistake_shows_the_symptom_that_is_written_down(name, tmp_path):
    with_bochs = ALL and runs.has_grub()
    seen, expected = mistakes.symptom(name, with_bochs, tmp_path), mistakes.expected(name, with_bochs)
    late = mistakes.read(name)[0]["breaks"] == "late"
    assert mistakes.alike(seen, expected, late), f"seen:     {seen}\nexpected: {expected}"


def test_symptoms_that_differ_in_an_address_are_alike_and_others_are_not():
    assert mistakes.alike("#TS(6904), at eip 10037c", "#TS(6908), at eip 100380")
    assert not mistakes.alike("#TS(0028)", "#TS(0020)")
    assert not mistakes.alike("#TS(6904)", "#GP(6904)")
    assert mistakes.alike("QEMU: stands still; Bochs: #UD", "QEMU: triple fault; Bochs: #GP(0000)", late=True)
    assert not mistakes.alike("QEMU: stands still; Bochs: #UD", "QEMU: runs on; Bochs: #UD", late=True)


HEADER = "# mistake: x\n# kernel: flat\n# cause: a\n# breaks: rule\n# symptom: s\n"


@pytest.mark.parametrize("patch, complaint", [
    ("# mistake: x\n# kernel: flat\n", "its header has mistake, kernel"),
    (HEADER.replace("flat", "nix"), "the kernel is one of flat, paged"),
    (HEADER + "--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-a\n+b\n", "README.md is none of the kernels'"),
    (HEADER + "--- a/tests/kernels/pc.c\n+++ b/tests/kernels/pc.c\n@@ -1 +1 @@\n-no such line\n+b\n",
     "0 places like this"),
], ids=["header", "kernel", "file", "place"])
def test_a_patch_that_cannot_be_tried_is_refused_with_the_reason(patch, complaint, tmp_path, monkeypatch):
    (tmp_path / "x.patch").write_text(patch)
    monkeypatch.setattr(mistakes, "MISTAKES", pathlib.Path(tmp_path))
    with pytest.raises(mistakes.Wrong, match=complaint):
        mistakes.changed("x")

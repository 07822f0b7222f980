"""make systems: it refuses bad arguments, says so when there is no mirror, and leaves nothing behind.

.ci/run tries the whole of it on Debian 13.
"""

import os
import pathlib
import shutil
import signal
import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.machines import ROOT

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "true"]     # inside a chroot no root may have them
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0 or subprocess.run(NAMESPACES, stderr=subprocess.DEVNULL).returncode != 0,
                             reason="chroot and mounts are root's, and need namespaces")
NO_MIRROR = 75
NOBODY_LISTENS = "http://127.0.0.1:9/debian"


@pytest.fixture
def systems(tmp_path):
    """scripts/systems in a project of its own, with stand-ins for tools: systems(words, tool="#!/bin/sh...")."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()

    def start(*words, **tools):
        for name, text in tools.items():
            tool = tmp_path / "bin" / name
            tool.write_text(text)
            tool.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
                       "MIRROR": NOBODY_LISTENS, "no_proxy": "*"}
        return subprocess.Popen(["sh", tmp_path / "scripts/systems", *words], env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return start


def outcome(process):
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def test_a_system_that_is_none_is_refused(systems):
    code, _, errors = outcome(systems("potato"))
    assert (code, errors) == (1, 'systems: there is no system "potato" here: expected some of bookworm trixie testing\n')


def test_who_is_not_root_is_told_so(systems):
    code, _, errors = outcome(systems("trixie", id="#!/bin/sh\necho 1000\n"))
    assert code == 1 and "root is needed" in errors and "sudo make systems" in errors


@AS_ROOT
def test_without_a_mirror_it_says_loudly_that_nothing_was_tried(systems):
    fails = f"#!/bin/sh\necho 'E: Failed getting release file {NOBODY_LISTENS}/dists/trixie/Release'\nexit 1\n"
    code, out, errors = outcome(systems("--short", "trixie", debootstrap=fails))
    told = f"NOT TRIED: trixie. No mirror of Debian's was reached: {NOBODY_LISTENS}"
    assert code == NO_MIRROR
    assert told in errors and told in out


@AS_ROOT
def test_what_else_goes_wrong_is_a_failure(systems):
    code, _, errors = outcome(systems("--short", "trixie", debootstrap="#!/bin/sh\necho 'E: no room'\nexit 1\n"))
    assert code == 1 and "E: no room" in errors


@AS_ROOT
def test_killed_it_leaves_no_mount_and_no_process(systems, tmp_path):
    mark = f"RINGPONG_TEST={tmp_path}"
    waits = (f'#!/bin/sh\nexport {mark}\nmkdir -p "$4"\nmount -t tmpfs tmpfs "$4"\n'
             f'echo >"{tmp_path}/mounted"\nexec sleep 1000\n')
    process = systems("--short", "trixie", debootstrap=waits)

    def left():
        found = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(tmp_path) in line]
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                found += [str(path)] if mark.encode() in path.read_bytes() else []
            except OSError:
                continue  # it has just ended
        return found
    try:
        machines.wait("the mount", (tmp_path / "mounted").exists, 20, str)
        assert not [line for line in left() if "tmpfs" in line], "the host never sees it"
        assert left(), "the process is there"
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        machines.wait("the end of all", lambda: not left(), 10, lambda: str(left()))
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_every_target_of_make_help_is_made_or_left_out_for_a_reason():
    """Those that need a terminal, or hours; a new target is made unless it is named there."""
    script = (ROOT / "scripts/systems").read_text()
    left_out = script.partition("LEFT_OUT='")[2].partition("'")[0].split()
    helped = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in left_out:
        assert f"make {target} " in helped, target

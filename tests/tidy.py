"""A pytest plugin: whatever the tests do, nothing of it is left but what lies in build/.

No process goes on when they have ended, no file is new beside the sources, and none is left
where temporary files go: for that, all that the tests start has a folder of its own. Else
the run fails, and says what is left.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NO_SOURCE = {"build", ".git", "__pycache__"}
ROOM = 512 << 20    # bytes that are free in memory, if temporary files are to lie there
SET_CHILD_SUBREAPER = 36    # linux/prctl.h
MINE = "PYTEST_XDIST_WORKER" not in os.environ      # else another process looks after the files
MESSAGES = "left-running"   # in the folder, from workers


def _in_memory():
    there = pathlib.Path("/dev/shm")
    if not os.access(there, os.W_OK):
        return None
    facts = os.statvfs(there)
    return there if facts.f_bavail * facts.f_frsize > ROOM else None


def _sources():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = set(folders) - NO_SOURCE
        yield from (os.path.relpath(os.path.join(folder, file), ROOT) for file in files)


def _children():
    """Processes that have lost their parent become ours, too: {id: command line}."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:     # it has ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z":
            found[int(stat.parent.name)] = command
    return found


# Before anything is imported that asks for it.
if MINE:
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="rp-", dir=os.environ.get("TMPDIR") or _in_memory())
tempfile.tempdir = os.environ["TMPDIR"]


class Tidy:
    def __init__(self):
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = os.environ["TMPDIR"]
        self.before = set(_sources()) if MINE else set()
        self.left = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        running = [] if self._distributes(session) else list(self._end_children())
        if not MINE:
            if running:
                pathlib.Path(self.folder, f"{MESSAGES}-{os.getpid()}").write_text("\n".join(running))
            return
        told = sorted(pathlib.Path(self.folder).glob(f"{MESSAGES}-*"))
        self.left = running + [line for path in told for line in path.read_text().splitlines()]
        files = sorted(set(pathlib.Path(self.folder).iterdir()) - set(told))
        self.left += [f"a temporary file: {path.name}" for path in files]
        self.left += [f"a file outside build/: {path}" for path in sorted(set(_sources()) - self.before)]
        shutil.rmtree(self.folder)
        if self.left and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @staticmethod
    def _end_children():
        for number, command in _children().items():
            os.kill(number, signal.SIGKILL)
            yield f"a process: {command}"

    @staticmethod
    def _distributes(session):
        """Its children are workers, which look after their own."""
        return MINE and getattr(session.config.option, "dist", "no") != "no"

    def pytest_terminal_summary(self, terminalreporter):
        for what in self.left:
            terminalreporter.write_line(f"the tests have left {what}", red=True)


def pytest_configure(config):
    config.pluginmanager.register(Tidy())

"""Breaks the program on purpose, in copies of it, and demands that the tests notice.

usage: tests/breakages/run [--check] [NAME ...]

A breakage is NAME.patch in this folder: two lines of header, and a diff. The header says
which promise is broken, and which tests have to notice:

    # breaks: no proc sees another's registers
    # noticed by: tests/test_registers.py::test_nothing_is_seen

First these tests are run on the sources as they are, where they must pass; what passed is
kept until a source or a tool changes. Then they must fail with the breakage, and for a reason
of their own: the test itself finds something else than it expects. If they fail otherwise,
nothing is known about the promise; a third line names endings that count as well:

    # may end in: build

    build       it does not build
    setup       what the tests share, such as a recording, cannot be made
    collection  the file with the tests cannot be loaded
    error       the test ends in an error of the host: no such file, no emulator
    timeout     the tests are not done in {limit} seconds, or what one starts, in the time it allows

All breakages are tried unless some are named, two at a time, in copies of this folder under
build/breakages, which stay, so that make has little to do. Ends with 1 if a breakage went
unnoticed, or if that cannot be told.

--check only sees whether the patches fit the sources, and changes nothing.
"""

import collections
import concurrent.futures
import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

from ringside.labs import patches

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build/breakages"
AT_ONCE = 2
BUILD_LIMIT, TEST_LIMIT, WHOLE_LIMIT = 240, 240, 3000  # seconds; the last for all tests that there are
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=short",
          "--continue-on-collection-errors"]
NOT_LOADED = 4  # pytest's exit code
NO_SOURCE = ("build", ".git", "__pycache__")
TOOLS = ("qemu-system-i386", "bochs", "gdb", "gcc", "clang", "dosbox", "make")

# make does not know that all it builds depends on these.
BUILDS_ALL = re.compile(r"Makefile|scripts/(link|need|mkfloppy)|.*\.(ld|in)")

WAYS = ("build", "setup", "collection", "error", "timeout")
# Exceptions of the host, not of a test.
OF_THE_HOST = re.compile(r"([\w.]*\.)?(CannotStart|FileNotFoundError|ModuleNotFoundError|ImportError|PermissionError|"
                         r"NotADirectoryError|OSError|BlockingIOError|MemoryError|SyntaxError)\b|SystemExit: no [\w-]+: ")
TOOK_TOO_LONG = re.compile(r"([\w.]*\.)?TimeoutExpired\b")

Breakage = collections.namedtuple("Breakage", "promise tests ways changes")
Outcome = collections.namedtuple("Outcome", "test way message")   # way: "passed", "failed", "skipped" or one of WAYS


class Wrong(Exception):
    """The breakage cannot be tried."""


def read(name):
    """A breakage; its changes are (file, before, after)."""
    text = (HERE / f"{name}.patch").read_text()
    header = re.match(r"# breaks: (.+)\n# noticed by: (.+)\n(?:# may end in: (.+)\n)?", text)
    if not header:
        raise Wrong(f"{name}.patch does not begin with \"# breaks:\" and \"# noticed by:\"")
    ways = (header.group(3) or "").replace(",", " ").split()
    if unknown := set(ways) - set(WAYS):
        raise Wrong(f"{name}.patch may end in {', '.join(sorted(unknown))}, but there are only: {', '.join(WAYS)}")
    return Breakage(header.group(1), header.group(2).split(), ways, patches.read(text))


def broken(name):
    """{file: text} with the changes made. Their place in the file does not matter."""
    try:
        return patches.applied(read(name).changes, lambda file: (ROOT / file).read_text())
    except (patches.Misfit, FileNotFoundError) as reason:
        raise Wrong(f"{name}.patch: {reason}") from None


def exists(test):
    file, _, function = test.partition("::")
    return (ROOT / file).exists() and f"def {function.partition('[')[0]}" in (ROOT / file).read_text()


# ---- a copy of the folder

def sources(root):
    """All files of a copy that are no product, in order."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - set(NO_SOURCE))
        yield from (pathlib.Path(folder, file) for file in sorted(files))


def state():
    """Tells one state of sources and tools from another."""
    found = hashlib.sha256()
    for path in sources(ROOT):
        if not path.is_relative_to(HERE):
            found.update(f"{path.relative_to(ROOT)}\0".encode() + (b"" if path.is_symlink() else path.read_bytes()))
    for tool in TOOLS:
        place = shutil.which(tool)
        found.update(f"{place} {os.stat(place).st_mtime_ns if place else 0}\0".encode())
    return found.hexdigest()


def run(command, tree, limit):
    """The exit code and what was printed; None if it took too long."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    process = subprocess.Popen(command, cwd=tree, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        out, _ = process.communicate(timeout=limit)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that it puts its machines away
        try:
            out, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        return None, f"not done after {limit} s\n{out}"


class Tree:
    """A copy of the sources, built."""

    def __init__(self, path):
        self.path = path
        self.update()
        self.build()
        self.products = self.built()

    def update(self):
        """Brings it up to date; an unchanged file keeps its age, so that make leaves it alone."""
        self.path.mkdir(parents=True, exist_ok=True)
        there = set()
        for path in sources(ROOT):
            place = self.path / path.relative_to(ROOT)
            there.add(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                place.unlink(missing_ok=True)
                place.symlink_to(os.readlink(path))
            elif not place.exists() or place.read_bytes() != path.read_bytes():
                shutil.copyfile(path, place)
            if not path.is_symlink():
                place.chmod(path.stat().st_mode)
        if gone := [path for path in sources(self.path) if path not in there]:
            for path in gone:
                path.unlink()
            shutil.rmtree(self.path / "build", ignore_errors=True)

    def build(self):
        code, out = run(["make", "-s"], self.path, BUILD_LIMIT)
        if code != 0:
            raise Wrong(f"it does not build:\n{out}")

    def built(self):
        """What is in build/, but for the machines that QEMU starts from: they know nothing of the program."""
        return {path for path in (self.path / "build").rglob("*")
                if path.is_file() and path.relative_to(self.path).parts[1] != "post"}

    def test(self, tests, limit):
        """The outcome of each test, None if they were not done in time; and what was printed."""
        report = self.path / "build/outcomes.xml"
        report.unlink(missing_ok=True)
        code, out = run([*PYTEST, f"--junitxml={report}", *tests], self.path, limit)
        if code == NOT_LOADED:  # pytest runs none of them if it cannot load one
            files = {}
            for test in tests:
                files.setdefault(test.partition("::")[0], []).append(test)
            if len(files) == 1:
                return [Outcome(tests[0], "collection", last_line(out))], out
            parts = [self.test(part, limit) for part in files.values()]
            found = None if any(part is None for part, _ in parts) else [outcome for part, _ in parts for outcome in part]
            return found, "".join(out for _, out in parts)
        return None if code is None else list(outcomes(report)), out

    def tidy(self):
        """Removes what tests have left, so that no other test finds it."""
        shutil.rmtree(self.path / "build/pytest", ignore_errors=True)
        for path in self.built() - self.products:
            path.unlink()

    def change(self, texts):
        rebuild = any(BUILDS_ALL.fullmatch(file) for file in texts)
        for file, text in texts.items():
            (self.path / file).write_text(text)
        if rebuild:
            shutil.rmtree(self.path / "build")

    def change_back(self, texts):
        self.change({file: (ROOT / file).read_text() for file in texts})
        self.build()
        self.tidy()


def outcomes(report):
    """What pytest says of each test."""
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").replace(".", "/") + ".py"
        test = f"{file}::{case.get('name')}"
        problem = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
        if problem is None:
            yield Outcome(test, "passed", "")
            continue
        message = problem.get("message", "")
        yield Outcome(test, way_of(problem.tag, message), message.partition("\n")[0])


def way_of(tag, message):
    """How a test has ended that did not pass: pytest's word for it, and the exception."""
    if tag == "skipped":
        return "skipped"
    if tag == "error":
        return "collection" if message.startswith("collection failure") else "setup"
    if OF_THE_HOST.match(message):
        return "error"
    return "timeout" if TOOK_TOO_LONG.match(message) else "failed"


# ---- the sources as they are

class Unbroken:
    """Which tests pass on them, kept from one call to the next."""

    FILE = WORK / "passed.json"

    def __init__(self):
        self.state = state()
        kept = json.loads(self.FILE.read_text()) if self.FILE.exists() else {}
        self.passed = set(kept["passed"]) if kept.get("state") == self.state else set()
        self.why = {}   # those that do not pass

    def prove(self, trees, tests):
        """Runs those that are not known to pass, shared out between the trees."""
        self.why.update({test: f"there is no {test}" for test in tests if not exists(test)})
        asked = sorted(set(tests) - self.passed - set(self.why))
        shares = [[] for _ in trees]
        for _, tests in itertools.groupby(asked, lambda test: test.partition("::")[0]):  # what a file's tests share is made once
            min(shares, key=len).extend(tests)
        with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
            list(pool.map(self._prove, trees, filter(None, shares)))
        self.FILE.write_text(json.dumps({"state": self.state, "passed": sorted(self.passed)}))

    def _prove(self, tree, tests):
        found, out = tree.test(tests, WHOLE_LIMIT)
        for test in tests:
            own = [outcome for outcome in found or () if is_of(outcome.test, test)]
            bad = [outcome for outcome in own if outcome.way not in ("passed", "skipped")]
            if bad:
                self.why[test] = f"{bad[0].test} also fails without it ({bad[0].way}): {bad[0].message}"
            elif not any(outcome.way == "passed" for outcome in own):
                self.why[test] = f"{test} does not pass without it, either: {last_line(out)}"
            else:
                self.passed.add(test)
        tree.tidy()


def is_of(outcome, test):
    """Is this one of the tests that go by the name of a file, of a function, or of one case?"""
    return outcome == test or outcome.startswith((f"{test}::", f"{test}["))


def last_line(text):
    return (text.strip().splitlines() or ["nothing was printed"])[-1]


# ---- a breakage

def verdict(breakage, found, out):
    """(noticed, by which test or why not) of the outcomes of its tests."""
    if found is None:
        return "timeout" in breakage.ways, f"timeout: {out.splitlines()[0]}"
    for outcome in found:
        if outcome.way == "failed":
            return True, outcome.test
    for outcome in found:
        if outcome.way in breakage.ways:
            return True, f"{outcome.test} ({outcome.way})"
    bad = [outcome for outcome in found if outcome.way not in ("passed", "skipped")]
    if bad:
        return False, f"cannot tell: {bad[0].test} ends in {bad[0].way}: {bad[0].message}"
    return False, "the tests pass" if found else f"cannot tell: {last_line(out)}"


def try_out(name, tree, unbroken):
    """(noticed, by which test or why not)"""
    try:
        texts, breakage = broken(name), read(name)
    except Wrong as reason:
        return False, str(reason)
    for test in breakage.tests:
        if test not in unbroken.passed:
            return False, f"cannot tell: {unbroken.why.get(test, f'{test} has not been run')}"
    tree.change(texts)
    try:
        tree.build()
        return verdict(breakage, *tree.test(breakage.tests, TEST_LIMIT))
    except Wrong as reason:
        return "build" in breakage.ways, f"build: {reason}"
    finally:
        tree.change_back(texts)


def check(names):
    """Do the patches fit the sources, and are their tests there? 0 if so."""
    wrong = 0
    for name in names:
        try:
            broken(name)
            for test in read(name).tests:
                if not exists(test):
                    raise Wrong(f"{name}.patch: no {test}")
        except Wrong as reason:
            print(reason)
            wrong = 1
    return wrong


def try_all(names):
    """Prints a line for each; returns how many went unnoticed."""
    trees = [Tree(WORK / str(number)) for number in range(min(AT_ONCE, len(names)))]
    unbroken = Unbroken()
    unbroken.prove(trees, [test for name in names for test in read(name).tests])
    free = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def timed(name):
        tree, start = free.get(), time.monotonic()
        try:
            return *try_out(name, tree, unbroken), time.monotonic() - start
        finally:
            free.put(tree)

    unnoticed = 0
    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        for name, (noticed, how, seconds) in zip(names, pool.map(timed, names)):
            unnoticed += not noticed
            print(f"{'noticed' if noticed else 'UNNOTICED':9}  {name:30} {seconds:4.0f} s  {how}", flush=True)
    return unnoticed


def main(arguments):
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.format(limit=TEST_LIMIT))
        return 0
    there = sorted(path.stem for path in HERE.glob("*.patch"))
    names = [name for name in arguments if name != "--check"] or there
    if unknown := set(names) - set(there):
        print(f"no breakage {', '.join(sorted(unknown))}; there are: {', '.join(there)}", file=sys.stderr)
        return 2
    if "--check" in arguments:
        return check(names)
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("tests/breakages/run is running in this folder already: wait for its end", file=sys.stderr)
            return 2
        try:
            unnoticed = try_all(names)
        except Wrong as reason:
            print(f"the sources as they are: {reason}", file=sys.stderr)
            return 2
    print(f"{len(names)} breakages, {unnoticed} unnoticed")
    return 1 if unnoticed else 0

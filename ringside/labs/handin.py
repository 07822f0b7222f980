"""What a student hands in, copied into a tree that is right and built where it can do no harm.

    texts = collect(lab, folder)                the lab's files, and nothing else; Refused says what is wrong
    image = build(tree, folder, program, own)   the floppy; Refused with what the compiler says

A hand-in is text that a stranger wrote. Only the files that the lab names are taken, none by a link;
make, the linker's script and all else are ours. It is built by another user, without a network, in a
process namespace of its own that ends with it, under a root that has the tools and the tree and nothing else
(jail.sh), within limits of time, memory and space.
"""

from collections.abc import Iterator
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from ringside.emulators import places
from ringside.emulators.machines import ROOT
from ringside.labs import floppy, objects
from ringside.labs.catalogue import Lab
from ringside.labs.trees import Tree, write

JAIL = pathlib.Path(__file__).with_name("jail.sh")
FOLDERS = places.MEMORY or "/tmp"   # for trees: not TMPDIR, which may be root's alone, and another user builds
LARGEST = 256 * 1024
WORKPLACE = re.compile(r"rp-lab-([0-9]+)-\w+")    # in FOLDERS: the process that has made it
# Users of no name, another for each build at a time: how many processes one may have counts all that are its own.
OUTSIDERS, MOST_OUTSIDERS = 0x70000000, 0x1000000
_builds = itertools.count()
SECONDS, MEMORY, SPACE, PROCESSES = 20, 256 << 20, 64 << 20, 64
ALL_SECONDS = 3 * SECONDS       # of all processes together; and so long they may wait for nothing
LONGEST = 900                   # seconds on the host's clock, whatever else it does
LOOK = 2
UNREAD = ("ringside/", "gdb/")  # by a build: half of all files
# What would read a file that is not part of the tree.
OUTSIDE = re.compile(r'\.\s*incbin|\.\s*include\b|#\s*include\s*(?:<\s*/|"\s*/|"[^"]*\.\./|[^\s<"])|__has_include|#\s*embed')


class Refused(Exception):
    """The hand-in counts nothing; the message says why, and what to do."""


@contextlib.contextmanager
def workplace() -> Iterator[pathlib.Path]:
    """A folder for one grade, which goes when that is over; and what killed processes have left goes as well."""
    for left in pathlib.Path(FOLDERS).iterdir():
        of = WORKPLACE.fullmatch(left.name)
        if of and not os.path.exists(f"/proc/{of[1]}") and _is_ours(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"rp-lab-{os.getpid()}-", dir=FOLDERS) as name:
        yield pathlib.Path(name)


def _is_ours(folder: pathlib.Path) -> bool:
    """Anybody may have made something there that looks like a workplace."""
    try:
        facts = folder.lstat()
    except FileNotFoundError:       # another grade was quicker
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def _read(path: pathlib.Path, name: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Refused(f"{name} is not there: hand it in, even if it is unchanged") from None
    except OSError as error:
        raise Refused(f"{name} cannot be read ({error.strerror}): hand in a plain file, no link") from None
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)    # before open: of a folder it would complain in Python's words
        raise Refused(f"{name} is no plain file")
    with open(descriptor, "rb") as file:
        if facts.st_size > LARGEST:
            raise Refused(f"{name} has {facts.st_size} bytes; {LARGEST} are allowed")
        data = file.read(LARGEST + 1)
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Refused(f"{name} begins with a byte order mark: save it as UTF-8 without one")
    if b"\r" in data:
        raise Refused(f"{name} has Windows line ends: save it with LF alone")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Refused(f"{name} is no text: hand in the source") from None
    if "\0" in text:
        raise Refused(f"{name} is no text: hand in the source")
    return text


def collect(lab: Lab, folder: pathlib.Path) -> dict[str, str]:
    """{file: text} of the files that the lab takes."""
    if not folder.is_dir():
        raise Refused(f"{folder} is not there: hand in a folder with {', '.join(lab.files)}")
    texts = {}
    for name in lab.files:
        for parent in pathlib.PurePath(name).parents:
            if (folder / parent).is_symlink():
                raise Refused(f"{parent} is a link: hand in a plain folder")
        texts[name] = _read(folder / name, name)
        if match := OUTSIDE.search(texts[name]):
            raise Refused(f"{name}: {match[0].strip()} would read a file from elsewhere; take it out")
    return texts


def _outsider() -> int:
    return OUTSIDERS + (os.getpid() << 8 | next(_builds) & 0xff) % MOST_OUTSIDERS


def _jail(folder: pathlib.Path, user: int) -> list[str]:
    """The command in front of make: another user, no network, no other file, no process that outlives it."""
    if os.geteuid() != 0:
        raise SystemExit("ringside lab: a hand-in is built by another user, which only root can do: sudo ringside lab grade ...")
    return ["unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount", "sh", str(JAIL), str(folder), str(SPACE),
            "setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs",
            "prlimit", f"--cpu={SECONDS}", f"--as={MEMORY}", f"--fsize={SPACE}", f"--nproc={PROCESSES}", "--core=0"]


def build(tree: Tree, folder: pathlib.Path, program: str = "p_proc", own: Tree | None = None) -> pathlib.Path:
    """A floppy that starts the program of a tree, and has no other; the tree is written to the folder.

    own: the same tree without a stranger's text. What the compiler makes of that alone is made once (objects.py).
    """
    strange = frozenset(name for name in tree if own is None or own.get(name) != tree[name])
    store = objects.Store(own, objects.sources_of(program)) if own is not None and "Makefile" not in strange else None
    if store and (missing := store.missing(strange)):
        _fresh(own or {}, folder)
        make(folder, program, [f"build/{source}.o" for source in missing])
        store.keep(folder, missing)
    _fresh(tree, folder)
    if store:
        store.lay(folder, strange)
    make(folder, program, [f"build/{program}.com"])
    # Not in the folder, which is another user's by now.
    image = folder.with_name(f"{folder.name}.img")
    image.write_bytes(floppy.that_starts(made(folder / f"build/{program}.com", floppy.LARGEST)))
    return image


def _fresh(tree: Tree, folder: pathlib.Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write({name: data for name, data in tree.items() if not name.startswith(UNREAD)}, folder)


def made(path: pathlib.Path, largest: int) -> bytes:
    """A file that has been built in a folder which is another user's."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise Refused(f"it does not build: no {path.name} ({error.strerror})") from None
    if not 0 < len(data) <= largest:
        raise Refused(f"it does not build: {path.name} has {len(data)} bytes")
    return data


def make(folder: pathlib.Path, program: str, targets: list[str]) -> None:
    """Builds what lies in a folder: without what is for readers alone."""
    done = jailed(folder, ["make", "-s", "-j2", f"PROGRAMS={program}", "SAME_NAMES=-g0", "OBJDUMP=true", *targets])
    if done.returncode:
        lines = done.stdout.decode(errors="replace").splitlines()
        told = [line for line in lines if not line.startswith("make")] or lines or ["no message"]
        first = next((line for line in told if "error" in line.lower()), told[-1])
        raise Refused(f"it does not build: {first}")
    _made_of(folder)


def jailed(folder: pathlib.Path, command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Has another user, who becomes the owner of a folder, execute a command there; its stdout has all that was said."""
    user = _outsider()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
    with subprocess.Popen([*_jail(folder, user), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          env={"PATH": f"{os.defpath}:/usr/sbin:/sbin", "HOME": "/tree", "LC_ALL": "C"}) as made_by:
        idle = waited = 0
        while True:
            try:
                said, _ = made_by.communicate(timeout=LOOK)
                return subprocess.CompletedProcess(command, made_by.returncode, said)
            except subprocess.TimeoutExpired:
                waited += LOOK
            used, runs = _used_by(made_by.pid)
            idle = 0 if runs else idle + LOOK
            # Not by the host's clock alone, which says more of what else the host has to do.
            if used > ALL_SECONDS or idle > ALL_SECONDS or waited > LONGEST:
                made_by.kill()
                made_by.communicate()
                raise Refused(f"it does not build within {ALL_SECONDS} seconds of the CPU's time")


def _used_by(root: int) -> tuple[float, bool]:
    """The CPU's seconds that a process and all that it has started have used; whether one of them wants more."""
    facts = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:     # it has ended
            continue
        facts[int(path.parent.name)] = fields[0], int(fields[1]), sum(map(int, fields[11:15]))
    mine = {root}
    while more := {pid for pid, (_, parent, _) in facts.items() if parent in mine and pid not in mine}:
        mine |= more
    known = [facts[pid] for pid in mine if pid in facts]
    return sum(ticks for _, _, ticks in known) / os.sysconf("SC_CLK_TCK"), any(state in "RD" for state, _, _ in known)


def starting(program: str, image: pathlib.Path, copy: pathlib.Path) -> None:
    """A copy of a floppy that starts the program, which must be on it."""
    done = subprocess.run(["sh", str(ROOT / "scripts/mkfloppy"), "--program", program.upper(), str(image), str(copy)],
                          capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        raise Refused(f"{image} cannot start {program.upper()}: {done.stderr.strip()}")


def _made_of(folder: pathlib.Path) -> None:
    """The compiler's own lists of what it read: only files of the tree."""
    for path in (folder / "build").rglob("*.d"):
        for word in path.read_text(errors="replace").replace("\\\n", " ").split():
            if word.startswith(("/", "..")) and "/lib/gcc" not in word and "/lib/llvm" not in word and "/lib/clang" not in word:
                raise Refused(f"it reads {word.rstrip(':')}, which is no part of the tree")

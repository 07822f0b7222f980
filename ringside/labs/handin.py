"""What a student hands in, copied into a tree that is right and built where it can do no harm.

    texts = collect(lab, folder)                the lab's files, and nothing else; Refused says what is wrong
    image = build(tree, folder, program, own)   the floppy; Refused with what the compiler says

A hand-in is text that a stranger wrote. Only the files that the lab names are taken, none by a link;
make, the linker's script and all else are ours. It is built by another user, without a network, in a
process namespace of its own that ends with it, under a root that has the tools and the tree and nothing else
(jail.sh), within limits of time, memory and space.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from ringside.emulators.machines import ROOT
from ringside.labs import floppy, objects
from ringside.labs.catalogue import Lab
from ringside.labs.trees import Tree, write

JAIL = pathlib.Path(__file__).with_name("jail.sh")
LARGEST = 256 * 1024
OUTSIDER = 65534
SECONDS, MEMORY, SPACE, PROCESSES = 20, 256 << 20, 64 << 20, 64
# What would read a file that is not part of the tree.
OUTSIDE = re.compile(r'\.\s*incbin|\.\s*include\b|#\s*include\s*(?:<\s*/|"\s*/|"[^"]*\.\./|[^\s<"])|__has_include|#\s*embed')


class Refused(Exception):
    """The hand-in counts nothing; the message says why, and what to do."""


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


def _jail(folder: pathlib.Path) -> list[str]:
    """The command in front of make: another user, no network, no other file, no process that outlives it."""
    if os.geteuid() != 0:
        raise SystemExit("ringside lab: a hand-in is built by another user, which only root can do: sudo ringside lab grade ...")
    return ["unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount", "sh", str(JAIL), str(folder), str(SPACE),
            "setpriv", "--pdeathsig=KILL", f"--reuid={OUTSIDER}", f"--regid={OUTSIDER}", "--clear-groups", "--no-new-privs",
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
    image.write_bytes(floppy.that_starts(_made(folder / f"build/{program}.com")))
    return image


def _fresh(tree: Tree, folder: pathlib.Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(tree, folder)


def _made(path: pathlib.Path) -> bytes:
    """A program that has been built."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(floppy.LARGEST + 1)
    except OSError as error:
        raise Refused(f"it does not build: no {path.name} ({error.strerror})") from None
    if not 0 < len(data) <= floppy.LARGEST:
        raise Refused(f"it does not build: {path.name} has {len(data)} bytes")
    return data


def make(folder: pathlib.Path, program: str, targets: list[str]) -> None:
    """Builds what lies in a folder, of which another user becomes the owner: without what is for readers alone."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, OUTSIDER, OUTSIDER, follow_symlinks=False)
    try:
        done = subprocess.run([*_jail(folder), "make", "-s", "-j2", f"PROGRAMS={program}", "SAME_NAMES=-g0", "OBJDUMP=true",
                               *targets], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=3 * SECONDS, env={"PATH": f"{os.defpath}:/usr/sbin:/sbin", "HOME": "/tree", "LC_ALL": "C"})
    except subprocess.TimeoutExpired:
        raise Refused(f"it does not build within {3 * SECONDS} seconds") from None
    if done.returncode:
        lines = done.stdout.decode(errors="replace").splitlines()
        told = [line for line in lines if not line.startswith("make")] or lines or ["no message"]
        first = next((line for line in told if "error" in line.lower()), told[-1])
        raise Refused(f"it does not build: {first}")
    _made_of(folder)


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

"""Trees of sources: a student's, whole or broken, in a folder of its own.

    whole(seed)                 {file: text or bytes} of the tree that is right, with the student's numbers
    broken(lab, seed)           the same with the lab's breakage
    solved(lab, seed)           the same with what the lab wants built
    write(tree, folder)
    start(lab, seed, folder)    what a student gets: the broken tree as a git repository that tells nothing
"""

from collections.abc import Iterable
import os
import pathlib
import subprocess

from ringside.emulators.machines import ROOT
from ringside.labs import patches, variants
from ringside.labs.catalogue import ANSWERS, Lab

Tree = dict[str, bytes]

# What a student needs to build, to play and to look. Tests and labs would tell the answer.
ROOMS = ("ring0", "ring3", "show", "procs", "programs", "scripts", "ringside", "gdb")
FILES = ("Makefile", "boot.S", "fat12.h", "p_proc.S", "switch.c", "switch.h", "floppy.img.in", "bochsrc", "LICENSE",
         ".gitignore", ".gitattributes")
LEFT_OUT = ("ringside/labs/",)
NAME = "Ringpong"
SCRIPT = b"#!"          # what a page has a student call begins so
EXPLOIT = "# Runs in ring 3, at the start of proc A's code segment. Your number: %s\n\t.text\n1:\tjmp\t1b\n"


def _sources() -> list[pathlib.Path]:
    found = [ROOT / name for name in FILES]
    for room in ROOMS:
        found += [path for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [path for path in found if not str(path.relative_to(ROOT)).startswith(LEFT_OUT)]


def whole(seed: int) -> Tree:
    tree = {str(path.relative_to(ROOT)): path.read_bytes() for path in _sources() if path.exists()}
    tree |= {name: text.encode() for name, text in variants.variant(seed, lambda name: tree[name].decode()).items()}
    return tree


def changed(tree: Tree, changes: Iterable[patches.Change]) -> Tree:
    """The tree with the changes of a patch."""
    files = patches.applied(changes, lambda name: tree[name].decode())
    return {**tree, **{name: new.encode() for name, new in files.items()}}


def broken(lab: Lab, seed: int) -> Tree:
    return changed(whole(seed), lab.changes())


def solved(lab: Lab, seed: int) -> Tree:
    """What gets all points."""
    return changed(whole(seed), lab.built())


def write(tree: Tree, folder: pathlib.Path) -> None:
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def start(lab: Lab, seed: int, folder: pathlib.Path) -> None:
    """Fills a folder that is empty or new."""
    tree = broken(lab, seed)
    write(tree, folder)
    for name, data in tree.items():
        if data.startswith(SCRIPT):
            (folder / name).chmod(0o755)
    (folder / "README.md").write_text(lab.page())
    if lab.questions:
        (folder / ANSWERS).write_text("# One line for each question: its number, a colon, your answer.\n"
                                      + "".join(f"{number}:\n" for number, _ in enumerate(lab.questions, 1)))
    if lab.attack:
        (folder / lab.attack["file"]).write_text(EXPLOIT % variants.number_of(seed))
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", NAME), ("EMAIL", "labs@localhost"), ("DATE", "2000-01-01T00:00:00Z"))}
    commit = ["commit", "-q", "-m", f"Lab {lab.number}: {lab.title}"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], commit):
        subprocess.run(["git", *command], cwd=folder, check=True,
                       env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull})

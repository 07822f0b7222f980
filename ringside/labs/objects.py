"""What the grader has compiled of its own sources, kept in build/labs/objects: a hand-in's tree has few of them made again.

    sources = sources_of(program)                   the sources of a program, as the Makefile names them
    store = Store(tree, sources)                    tree: the grader's own, without a stranger's text
    store.missing(strange)                          objects that are to be made, from that tree alone
    store.keep(folder, sources)                     keeps what has been made in a folder's build/
    store.lay(folder, strange)                      lays what does not read a strange file into a folder's build/

An object is known by the contents of all that the compiler read for it, and by the Makefile and the compiler: it is
the same that would be made again. Nothing that a stranger's text had a part in is kept.
"""

from collections.abc import Iterable
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from ringside.emulators.machines import BUILD, ROOT

FOLDER = BUILD / "labs/objects"
SEVERAL = 8     # lists of what one source reads, at most: they differ where headers do
HOW = "how"     # the Makefile's own note of how objects are made

Tree = dict[str, bytes]


@functools.cache
def sources_of(program: str) -> tuple[str, ...]:
    """Empty if the Makefile knows none."""
    asked = subprocess.run(["make", "-s", "-C", str(ROOT), "--eval", f"rp_sources:;@echo $({program})", "rp_sources"],
                           capture_output=True, text=True, timeout=20, env={"PATH": os.environ.get("PATH", os.defpath)})
    return tuple(asked.stdout.split()) if not asked.returncode else ()


@functools.cache
def _tools() -> str:
    """Tells one compiler from another."""
    paths = [shutil.which(name) for name in ("gcc", "as")]
    return repr([(os.path.realpath(path), os.stat(path).st_mtime_ns, os.stat(path).st_size) for path in paths if path])


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


class Store:
    """What is kept for one tree. Two graders may use it at once: each file in it is complete, or not there."""

    def __init__(self, tree: Tree, sources: Iterable[str]) -> None:
        self.tree = tree
        self.made_by = _digest(tree["Makefile"], tree.get("scripts/link", b""), _tools().encode())
        self.found = {source: self._find(source) for source in sources if source in tree}

    def _lists(self, source: str) -> pathlib.Path:
        return FOLDER / f"{_digest(self.made_by.encode(), source.encode(), self.tree[source])}.reads"

    def _object(self, source: str, reads: Iterable[str]) -> pathlib.Path | None:
        """Where the object lies, if this tree has all that the source reads."""
        names = sorted(reads)
        if any(name not in self.tree for name in names):
            return None
        parts = [part for name in names for part in (name.encode(), self.tree[name])]
        return FOLDER / f"{_digest(self.made_by.encode(), source.encode(), *parts)}.o"

    def _find(self, source: str) -> tuple[pathlib.Path, frozenset[str]] | None:
        """The object, and what it was made of."""
        lists = self._lists(source)
        for line in lists.read_text().splitlines() if lists.exists() else ():
            reads = frozenset(line.split())
            if (path := self._object(source, reads)) and path.exists():
                return path, reads
        return None

    def missing(self, strange: frozenset[str]) -> list[str]:
        return [source for source, found in self.found.items() if not found and source not in strange]

    def keep(self, folder: pathlib.Path, sources: Iterable[str]) -> None:
        """The folder holds the tree and nothing of a stranger's."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        for source in sources:
            made = folder / "build" / f"{source}.o"
            text = made.with_suffix(".d").read_text().replace("\\\n", " ")
            match = re.match(r"[^:]*:((?:[^\n])*)", text)
            reads = frozenset(word for word in (match[1].split() if match else ()) if word != f"build/{HOW}")
            path = self._object(source, reads)
            if not path:    # what is made by the Makefile itself, or the compiler's own
                continue
            _put(path, made.read_bytes())
            lists = self._lists(source)
            old = lists.read_text().splitlines() if lists.exists() else []
            line = " ".join(sorted(reads))
            _put(lists, "".join(f"{one}\n" for one in [line, *(one for one in old if one != line)][:SEVERAL]).encode())
            self.found[source] = path, reads
        _put(FOLDER / f"{self.made_by}.{HOW}", (folder / "build" / HOW).read_bytes())

    def lay(self, folder: pathlib.Path, strange: frozenset[str]) -> None:
        """Behind the tree: what is made must be younger than what it was made of."""
        how = FOLDER / f"{self.made_by}.{HOW}"
        found = {source: one for source, one in self.found.items() if one and not one[1] & strange}
        if not how.exists() or not found:
            return
        build = folder / "build"
        build.mkdir(exist_ok=True)
        (build / HOW).write_bytes(how.read_bytes())
        for source, (path, _) in found.items():
            made = build / f"{source}.o"
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(path.read_bytes())


def _put(path: pathlib.Path, data: bytes) -> None:
    new = path.with_suffix(f".{os.getpid()}-{hashlib.sha256(os.urandom(8)).hexdigest()[:8]}")
    new.write_bytes(data)
    new.replace(path)

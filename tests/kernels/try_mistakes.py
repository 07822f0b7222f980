#!/usr/bin/python3
"""Puts mistakes into the kernels of tests/kernels, and says what QEMU and Bochs make of them.

usage: tests/kernels/try_mistakes.py [--check | --write | --table] [--qemu] [NAME ...]

A mistake is NAME.patch in this folder. Its first lines say, in this order:

    # mistake:   what is wrong, in one sentence
    # kernel:    into which kernel it is put
    # cause:     the key of the cause, which a tool has to name in its first line
    # breaks:    "rule": the CPU refuses what is wrong; "late": it goes on with what is wrong,
                 and refuses something else later; "law": it refuses nothing, or only what
                 the kernel does of its own will when it sees a wrong result
    # symptom:   what is seen in "QEMU: ...; Bochs: ...", as this command has seen it
    # seen at:   (some) where people have made it, or are warned of it

Each is built and run in build/kernels/mistakes/NAME, two at a time; all, unless some are
named. Ends with 1 if one does something else than its symptom says.

--check  only sees whether the patches fit the sources
--write  writes down the symptoms that are seen
--table  prints the table of them all
--qemu   leaves Bochs out
"""

import collections
import concurrent.futures
import pathlib
import re
import shutil
import sys

sys.dont_write_bytecode = True

import runs  # noqa: E402  (without __pycache__)

KERNELS = pathlib.Path(__file__).resolve().parent
MISTAKES = KERNELS / "mistakes"

FIELDS = ("mistake", "kernel", "cause", "breaks", "symptom", "seen at")
WORK = runs.BUILT / "mistakes"
KINDS = ("rule", "late", "law")
ADDRESSES = 0x800  # no selector here and no error code is as large; what is larger is an address
PREFIX = "tests/kernels/"


class Wrong(Exception):
    """The mistake cannot be tried."""


def names():
    return sorted(path.stem for path in MISTAKES.glob("*.patch"))


def read(name):
    """The header as {field: text}, and the changes: [(file, before, after)]."""
    text = (MISTAKES / f"{name}.patch").read_text()
    header = dict(re.findall(r"^# ([a-z ]+): (.+)$", text.partition("\n--- ")[0], re.M))
    missing = [field for field in FIELDS[:-1] if field not in header]
    if missing or list(header) != [field for field in FIELDS if field in header]:
        raise Wrong(f"{name}.patch: its header has {', '.join(header) or 'nothing'}; it has to have, in this "
                    f"order, {', '.join(FIELDS[:-1])}, and may have \"{FIELDS[-1]}\"")
    if header["kernel"] not in runs.KERNELS or header["breaks"] not in KINDS:
        raise Wrong(f"{name}.patch: the kernel is one of {', '.join(runs.KERNELS)}; it breaks a rule, late or a law")
    changes = []
    for part in re.split(r"^--- a/", text, flags=re.M)[1:]:
        file = re.search(r"^\+\+\+ b/(.+)$", part, re.M)[1]
        for hunk in re.split(r"^@@.*\n", part, flags=re.M)[1:]:
            lines = hunk.splitlines(keepends=True)
            changes.append((file, "".join(line[1:] for line in lines if line[0] in " -"),
                            "".join(line[1:] for line in lines if line[0] in " +")))
    return header, changes


def changed(name):
    """{file: text} with the mistake made. Its place in the file does not matter."""
    texts = {}
    for file, before, after in read(name)[1]:
        if not file.startswith(PREFIX):
            raise Wrong(f"{name}.patch: {file} is none of the kernels'")
        text = texts.get(file) or (runs.ROOT / file).read_text()
        if text.count(before) != 1:
            raise Wrong(f"{name}.patch: {file} has {text.count(before)} places like this, not one:\n{before}")
        texts[file] = text.replace(before, after)
    return texts


def build(name, work=WORK):
    """Builds the kernel with that mistake; returns the kernel's name and the folder it is in."""
    kernel = read(name)[0]["kernel"]
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(KERNELS, folder / "source", ignore=shutil.ignore_patterns("mistakes", "__pycache__"))
    for file, text in changed(name).items():
        (folder / "source" / file.removeprefix(PREFIX)).write_text(text)
    runs.build(folder, folder / "source", [kernel])
    return kernel, folder


def symptom(name, with_bochs=True, work=WORK):
    """What becomes of it, in the form of the header."""
    kernel, folder = build(name, work)
    seen = f"QEMU: {runs.qemu(folder, kernel).verdict()}"
    return f"{seen}; Bochs: {runs.bochs(folder, kernel).verdict()}" if with_bochs else seen


def expected(name, with_bochs=True):
    text = read(name)[0]["symptom"]
    return text if with_bochs else text.partition("; Bochs: ")[0]


def alike(one, other, late=False):
    """Are two symptoms the same? Addresses do not count: they are the compiler's.

    Of a late mistake only this counts: does the kernel run on? What the CPU meets else depends
    on what happens to lie in memory.
    """
    def without(text):
        if late:
            return [part.endswith(": runs on") for part in text.split("; ")]
        return re.sub(r"\b[0-9a-f]{3,8}\b",
                      lambda number: number[0] if int(number[0], 16) < ADDRESSES else "?", text)
    return without(one) == without(other)


def check(some):
    """Do the patches fit the sources? 0 if so."""
    wrong = 0
    for name in some:
        try:
            changed(name)
        except Wrong as reason:
            print(reason)
            wrong = 1
    return wrong


def table(some):
    for name in some:
        header = read(name)[0]
        print(f"{name}\n    {header['mistake']}\n    {header['kernel']}: {header['cause']}, "
              f"{header['breaks']}\n    {header['symptom']}")
        if "seen at" in header:
            print(f"    {header['seen at']}")
    headers = [read(name)[0] for name in some]
    counts = collections.Counter(header["breaks"] for header in headers)
    print(f"{len(some)} mistakes, {len({header['cause'] for header in headers})} causes: "
          + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    return 0


def main(arguments):
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    options = {argument for argument in arguments if argument.startswith("-")}
    some = [argument for argument in arguments if argument not in options] or names()
    if unknown := (options - {"--check", "--write", "--table", "--qemu"}) | (set(some) - set(names())):
        print(f"no {', '.join(sorted(unknown))} here; --help says what there is, --table the mistakes",
              file=sys.stderr)
        return 2
    if "--check" in options:
        return check(some)
    if "--table" in options:
        return table(some)
    with_bochs = "--qemu" not in options
    if with_bochs and not runs.has_grub():
        print("no GRUB to put a kernel on a CD for Bochs: see sh scripts/setup; or leave Bochs out, with --qemu",
              file=sys.stderr)
        return 2
    return try_all(some, with_bochs, "--write" in options)


def try_all(some, with_bochs, write):
    others = 0

    def attempt(name):
        try:
            return symptom(name, with_bochs)
        except (Wrong, runs.Broken) as reason:
            return str(reason)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, seen in zip(some, pool.map(attempt, some)):
            same = alike(seen, expected(name, with_bochs), read(name)[0]["breaks"] == "late")
            others += not same
            print(f"{'as expected' if same else 'OTHERWISE':11}  {name}: {seen}", flush=True)
            if write and with_bochs and not same and seen.startswith("QEMU: "):
                path = MISTAKES / f"{name}.patch"
                path.write_text(re.sub(r"^# symptom: .*$", lambda _, seen=seen: f"# symptom: {seen}",
                                       path.read_text(), count=1, flags=re.M))
    print(f"{len(some)} mistakes, {others} otherwise than written")
    return 1 if others and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

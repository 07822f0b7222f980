"""Which breakages of the guest do scripts/ringside laws and scripts/ringside why find?

usage, from the root: PYTHONPATH=.:tests/breakages python3 tests/breakages/try_laws.py [OPTION ...] [NAME ...]

Each breakage of a source of the guest is applied in a copy of this folder, as tests/breakages/run does.
There laws looks at the program that it breaks; where no law is broken, why runs its floppy with every
mistake of ring 3 and a restart behind each. All are tried, unless some are named,
but for those whose test says already that there is nothing to see from outside (OUT_OF_SIGHT).

What is found is kept in build/, so that a run which is stopped goes on where it was, and a run behind a
change tries again what is built or looked at otherwise. --list says what is to be tried and how long it takes.

laws.txt, beside this file, has a line for each: the laws or the cause that find it, or why nothing outside
can see it. Ends with 1 if one is found no more.

--list    what is to be tried, and how long, from those that were
--again   also what has been tried already
--write   writes down what is found
--jobs N  so many at a time (2)
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import queue
import re
import sys
import threading
import time

import trials

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "laws.txt"
LIMIT = 240     # seconds, for one look at a program
WORK = trials.ROOT / "build/breakages-laws"
KEPT = WORK / "tried.json"
FIRST_GUESS = 15    # seconds for one of them, until some have been tried
OF_THE_GUEST = (".S", ".c", ".h", ".ld")
NOT_OF_THE_GUEST = ("tests/", "ringside/", "web/", "gdb/", "docs/", "programs/fncall", "programs/menu")
PROGRAMS = ("p_proc", "kstack", "userctx", "timer", "hwtask", "hwjump", "callgate", "sysenter", "paged")
LOOKS = (".py", ".S", ".c", ".h", ".ld", "Makefile")    # whose change makes another run of it
NO_LOOKS = ("tests", "docs", "web", "labs")

# By the test that notices a breakage: what it breaks, which is no matter of rings.
OUT_OF_SIGHT = {
    "test_boot.py": "it breaks the boot sector, which is done before there are rings",
    "test_load.py": "it breaks how the program is loaded, before there are rings",
    "test_media.py": "it breaks how media are made or read",
    "test_disks.py": "it breaks how media are made or read",
    "test_bioses.py": "it needs a BIOS that does what no emulator's does",
    "test_build.py": "it breaks the build",
    "test_menu.py": "it breaks MENU, which has no ring 3",
    "test_fncall.py": "it breaks FNCALL, which runs on the host",
    "test_fncall_fs.py": "it breaks FNCALL, which runs on the host",
    "test_screen.py": "it breaks what the screen shows",
    "test_clocks.py": "it breaks a number on the screen",
    "test_sleep.py": "it breaks how ring 0 waits while nothing is played",
    "test_dos.py": "it breaks how a program leaves DOS or comes back to it",
    "test_rooms.py": "it breaks the order of the sources",
    "test_english.py": "it breaks the English of the sources",
    "test_bench.py": "it breaks a cost, by an instruction that does no harm",
}

RINGSIDE = ("/usr/bin/python3", "scripts/ringside")
MISTAKES_AND_RESTARTS = "1r2r3r4r5r6r7r8r9r"
EVERY_KEY = "--keys", MISTAKES_AND_RESTARTS, "--crossings", "100000", "--seconds", "6", "--no-witness"
HALTED = "halted with interrupts off"   # no refusal; but the unbroken programs never do it
# Puts a floppy that starts a program where the second argument says.
FLOPPY = "import sys; from ringside.emulators import machines; machines.floppy_that_starts(*sys.argv[1:])"


def program_of(files, test):
    """The one that a breakage of these files breaks."""
    for file in files:
        for name in PROGRAMS:
            if file.startswith(f"programs/{name}/"):
                return name
    found = re.search("|".join(PROGRAMS), test)
    return found[0] if found else "p_proc"


def guests():
    """{name: (program, test file)} of all breakages of the guest."""
    found = {}
    for path in sorted(HERE.glob("*.patch")):
        breakage = trials.read(path.stem)
        files = [change.file for change in breakage.changes]
        if all(file.endswith(OF_THE_GUEST) and not file.startswith(NOT_OF_THE_GUEST) for file in files):
            test = breakage.tests[0].partition("::")[0].rpartition("/")[2]
            found[path.stem] = program_of(files, breakage.tests[0]), test
    return found


# ---- a look at one

def laws_of(program, tree):
    """"laws: R1", "" if none is broken. Raises trials.Wrong if it cannot be told."""
    code, out = trials.run([*RINGSIDE, "laws", "--program", program, "--json"], tree.path, LIMIT)
    try:
        found = sorted({finding["law"] for finding in json.loads(out[out.index("["):])}) if code in (0, 1) else None
    except ValueError:
        found = None
    if found is None:
        raise trials.Wrong(f"laws: {trials.last_line(out)[:90]}")
    return "laws: " + " ".join(found) if found else ""


def why_of(program, tree):
    """"why: the key of its cause, or what happened", "" if nothing was refused."""
    floppy = tree.path / "build/why.img"
    code, out = trials.run(["/usr/bin/python3", "-c", FLOPPY, program, str(floppy)], tree.path, LIMIT)
    if code != 0:
        raise trials.Wrong(f"no floppy: {trials.last_line(out)[:90]}")
    code, out = trials.run([*RINGSIDE, "why", str(floppy), "--elf", f"build/{program}.elf", "--base", "0x10000", "--json",
                            *EVERY_KEY], tree.path, LIMIT)
    if code not in (0, 1, 2):
        raise trials.Wrong(f"why: {trials.last_line(out)[:90]}")
    told = json.loads(out[out.index("{"):])
    if told["cause"]:
        return f"why: {told['cause']['key']}"
    what = told["happened"].partition(";")[0].partition(":")[0]
    return f"why: {what}" if code or what == HALTED else ""


def look(name, program, tree):
    """What finds it: "laws: ...", "why: ...", "none"; or "!" and why it cannot be told."""
    tree.change(texts := trials.broken(name))
    try:
        tree.build()
        return laws_of(program, tree) or why_of(program, tree) or "none"
    except trials.Wrong as reason:
        return f"!{str(reason).splitlines()[0]}"
    finally:
        tree.change_back(texts)


# ---- what has been tried

class Tried:
    """Kept in build/: {name: what was found, of which sources, in how many seconds}."""

    def __init__(self):
        self.kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self.lock = threading.Lock()
        self.unbroken = hashlib.sha256()
        for path in trials.sources(trials.ROOT):
            place = path.relative_to(trials.ROOT)
            if str(path).endswith(LOOKS) and place.parts[0] not in NO_LOOKS and not path.is_symlink():
                self.unbroken.update(f"{place}\0".encode() + path.read_bytes())

    def state(self, name):
        """Of the sources with this breakage in them."""
        found = self.unbroken.copy()
        found.update((HERE / f"{name}.patch").read_bytes())
        return found.hexdigest()

    def known(self, name):
        """What was found, None if it is to be tried."""
        one = self.kept.get(name)
        return one["found"] if one and one["state"] == self.state(name) and not one["found"].startswith("!") else None

    def keep(self, name, found, seconds):
        with self.lock:
            self.kept[name] = {"state": self.state(name), "found": found, "seconds": round(seconds, 1)}
            KEPT.write_text(json.dumps(self.kept, indent=1))

    def seconds(self):
        """How long one takes."""
        all_of_them = [one["seconds"] for one in self.kept.values()]
        return sum(all_of_them) / len(all_of_them) if all_of_them else FIRST_GUESS


# ---- the list

def written():
    """{name: what laws.txt says}"""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")] if LIST.exists() else []
    return {line.split()[0]: line.split(None, 1)[1] for line in lines}


def save(known):
    head = ("# Breakages of the guest, and the laws by which scripts/ringside laws finds them, or the cause that\n"
            "# scripts/ringside why names; or why nothing outside can see them. See try_laws.py.\n\n")
    LIST.write_text(head + "".join(f"{name:44} {what}\n" for name, what in sorted(known.items())))


def is_found(text):
    return text.startswith(("laws:", "why:"))


def options_of(arguments, every):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=trials.AT_ONCE)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(every):
        parser.error(f"no breakage of the guest: {', '.join(sorted(unknown))}")
    return options


def main(arguments):
    every = guests()
    options = options_of(arguments, every)
    WORK.mkdir(parents=True, exist_ok=True)
    tried, known = Tried(), written()
    known |= {name: OUT_OF_SIGHT[test] for name, (_, test) in every.items() if test in OUT_OF_SIGHT}
    names = options.names or [name for name in every if every[name][1] not in OUT_OF_SIGHT]
    left = [name for name in names if options.again or tried.known(name) is None]
    minutes = len(left) * tried.seconds() / max(1, min(options.jobs, len(left))) / 60
    print(f"{len(left)} of {len(names)} are to be tried, some {minutes:.0f} minutes", flush=True)
    if options.list:
        print("\n".join(left))
        return 0
    lost = try_all(left, every, tried, known, options)
    lost += sum(is_found(known.get(name, "")) and not is_found(tried.known(name) or "") for name in set(names) - set(left))
    print(f"{lost} of {len(names)} are found no more")
    return 1 if lost else 0


def try_all(names, every, tried, known, options):
    """A line for each; how many are found no more."""
    trees = queue.Queue()
    for number in range(min(options.jobs, len(names))):
        trees.put(trials.Tree(WORK / str(number)))

    def timed(name):
        tree, start = trees.get(), time.monotonic()
        try:
            found = look(name, every[name][0], tree)
        finally:
            trees.put(tree)
        tried.keep(name, found, time.monotonic() - start)
        return found

    lost = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, found in zip(names, pool.map(timed, names)):
            was = known.get(name, "")
            lost += is_found(was) and not is_found(found)
            print(f"{name:44} {found}", flush=True)
            if options.write and (is_found(found) or not was or is_found(was) or was in ("not tried", "?")):
                known[name] = found if is_found(found) else "?"
                save(known)
    return lost


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

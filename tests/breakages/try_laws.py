"""Which breakages of the guest does scripts/ringside laws find?

usage, from the root: PYTHONPATH=.:tests/breakages python3 tests/breakages/try_laws.py [--write] [NAME ...]

Each breakage of a source of the guest is applied in a copy of this folder, as tests/breakages/run does,
two at a time; then scripts/ringside laws looks at the program that it breaks. All are tried, unless
some are named, but for those whose test says already that there is nothing to see from outside (OUT_OF_SIGHT).

laws.txt, beside this file, has a line for each: the laws that find it, or why nothing outside can see it.
Ends with 1 if one is found no more. --write writes down what is found.
"""

import concurrent.futures
import json
import pathlib
import queue
import re
import sys

import trials

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "laws.txt"
LIMIT = 240     # seconds, for one program
WORK = trials.ROOT / "build/breakages-laws"
OF_THE_GUEST = (".S", ".c", ".h", ".ld")
NOT_OF_THE_GUEST = ("tests/", "ringside/", "web/", "gdb/", "docs/", "programs/fncall", "programs/menu")
PROGRAMS = ("p_proc", "kstack", "userctx", "timer", "hwtask", "hwjump", "callgate", "sysenter", "paged")

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


def laws_of(name, program, tree):
    """The names of the laws that are broken, with "!" in front of what is no finding."""
    tree.change(texts := trials.broken(name))
    try:
        tree.build()
        code, out = trials.run(["/usr/bin/python3", "scripts/ringside", "laws", "--program", program, "--json"], tree.path, LIMIT)
        found = out[out.find("["):] if code in (0, 1) and "[" in out else ""
        try:
            return sorted({finding["law"] for finding in json.loads(found)}) if found else [f"!{trials.last_line(out)[:90]}"]
        except ValueError:
            return [f"!{trials.last_line(out)[:90]}"]
    except trials.Wrong as reason:
        return [f"!{str(reason).splitlines()[0]}"]
    finally:
        tree.change_back(texts)


def written():
    """{name: what laws.txt says}"""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")] if LIST.exists() else []
    return {line.split()[0]: line.split(None, 1)[1] for line in lines}


def save(known):
    head = ("# Breakages of the guest, and the laws by which scripts/ringside laws finds them;\n"
            "# or why nothing outside can see them. See try_laws.py.\n\n")
    LIST.write_text(head + "".join(f"{name:44} {what}\n" for name, what in sorted(known.items())))


def main(arguments):
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    every = guests()
    names = [argument for argument in arguments if argument != "--write"]
    if unknown := set(names) - set(every):
        print(f"no breakage of the guest: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    known = written()
    known |= {name: OUT_OF_SIGHT[test] for name, (_, test) in every.items() if test in OUT_OF_SIGHT}
    trees = queue.Queue()
    names = names or [name for name in every if every[name][1] not in OUT_OF_SIGHT]
    for number in range(min(trials.AT_ONCE, len(names))):
        trees.put(trials.Tree(WORK / str(number)))

    def look(name):
        tree = trees.get()
        try:
            return laws_of(name, every[name][0], tree)
        except trials.Wrong as reason:
            return [f"!{reason}"]
        finally:
            trees.put(tree)
    lost = 0
    with concurrent.futures.ThreadPoolExecutor(trials.AT_ONCE) as pool:
        for name, found in zip(names, pool.map(look, names)):
            laws = "laws: " + " ".join(found) if found and not found[0].startswith("!") else ""
            was = known.get(name, "")
            if was.startswith("laws:") and not laws:
                lost += 1
            print(f"{name:44} {laws or (found[0] if found else 'none')}", flush=True)
            if "--write" in arguments and (laws or not was):
                known[name] = laws or "?"
                save(known)
    print(f"{lost} of {len(names)} are found no more")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

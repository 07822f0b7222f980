"""The recordings that the page plays, and how each is made.

    runs.make(names)    [{"name", "title", "about", "kind", "open", "packed", "sources"}, ...]

All programs on the floppy, the six mistakes, and what-ifs: guests that tests/breakages breaks on
purpose, built here in copies of the tree. A recording lies in build/web-runs/, and is made again
only when what it depends on has changed.
"""

import dataclasses
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
from typing import Any

from ringside.emulators import machines
from ringside.emulators.machines import BUILD, ROOT
from ringside.recorder import programs, record, recording
from ringside.recorder.code import Code
from ringside.web import compact

ROOM = BUILD / "web-runs"
# What a recording depends on, besides the guest.
MAKERS = ("ringside/recorder/*.py", "ringside/emulators/*.py")
SOURCES = ("*.S", "*.c", "*.h", "ring0/*", "ring3/*", "show/*", "procs/*", "programs/*/*", "Makefile", "floppy.img.in",
           "scripts/*")


@dataclasses.dataclass(frozen=True)
class Made:
    """One run. breakage: of tests/breakages, for a what-if; open: the step to show first, by its
    instruction, or "fault" for the first one that is refused; beside: to be compared with."""
    name: str
    kind: str
    title: str
    about: str
    program: str = "p_proc"
    start: str = "start"
    switches: int | None = 2
    steps: int | None = None
    key: int = 0
    breakage: str = ""
    open: str = "int"
    beside: str = ""


def _program(name: str, title: str, about: str, beside: str = "kstack", **more: Any) -> Made:
    return Made(name, "program", title, about, program=name, beside=beside, start=programs.PROGRAMS[name].start, **more)


def _mistake(key: int, what: str, about: str, **more: Any) -> Made:
    return Made(f"mistake-{key}", "mistake", f"mistake {key}: {what}", about, key=key, beside="p_proc",
                **{"start": "ckpt_iret", "switches": 1, "open": "fault", **more})


def _what_if(name: str, title: str, about: str, breakage: str, open_at: str = "fault", **more: Any) -> Made:
    return Made(f"what-if-{name}", "what-if", title, about, breakage=breakage, open=open_at, beside="p_proc",
                **{"start": "ckpt_iret", "switches": 3, **more})


RUNS = (
    _program("p_proc", "P_PROC: procs in static frames",
             "int pushes five words into the running proc's frame; esp0 moves at each switch."),
    _program("kstack", "KSTACK: a kernel stack for each",
             "Each thread has a stack of its own in ring 0, where int pushes.", "p_proc"),
    _program("userctx", "USERCTX: run(&context)", "Ring 3 as a function that C calls.", "p_proc"),
    _program("timer", "TIMER: a clock ends each turn", "No proc yields: an interrupt comes between two instructions.", "p_proc"),
    _program("callgate", "CALLGATE: lcall through a call gate",
             "The CPU copies a parameter from A's stack to ring 0's.", "p_proc", open="lcall"),
    _program("hwtask", "HWTASK: a task gate", "The CPU's own task switch: 44 accesses inside one int.", "p_proc"),
    _program("hwjump", "HWJUMP: a far jump to a task", "int enters ring 0; a far jump switches the task.", "hwtask"),
    _program("paged", "PAGED: an address space for each",
             "The CPU reads page tables, too: their entries are stops of their own. A switch loads cr3.", "kstack"),
    _program("sysenter", "SYSENTER: in and out without tables",
             "sysenter and sysexit read no descriptor and push nothing: ring 0's code saves all itself.", "paged",
             open="sysenter"),
    _mistake(1, "div by 0", "A divides by zero: #DE."),
    _mistake(2, "cli", "A executes cli: #GP, since IOPL is 0."),
    _mistake(3, "int 0x21", "A calls DOS by int 0x21: #GP, since that gate is not for ring 3."),
    _mistake(4, "ring 0's segment", "A loads ring 0's data segment: #GP."),
    _mistake(5, "FPU", "A calculates with the FPU: #NM, since it is switched off."),
    _mistake(6, "an endless loop",
             "A never yields, which no check of the CPU minds. A second later, millions of steps behind the end of this "
             "recording, ring 0's alarm ends it.", switches=None, steps=200, open="jmp"),
    _what_if("esp0", "what if esp0 is not rewritten?",
             "B's five words go into A's frame, over what A had there.",
             "esp0-not-rewritten", "int", steps=700, switches=None),
    _what_if("lldt", "what if lldt is left out?",
             "B is to run with A's LDT, in which B's segments do not exist.", "ldt-left-out", steps=700, switches=None),
    _what_if("ebp", "what if ebp is not restored?",
             "B goes on with A's ebp: nothing refuses that.", "ebp-not-restored", "iret"),
    _what_if("trap", "what if the gate is a trap gate?",
             "int leaves IF as it is: an interrupt may come into the middle of the gate.",
             "trap-gate", "int"),
    _what_if("iopl", "what if procs start with IOPL 3?",
             "A's cli is not refused any more.", "procs-start-with-iopl-3", "iret", key=2),
    _what_if("dpl", "what if the gate's DPL is 0?",
             "int 0x30 itself is refused: CPL 3 is not ≤ DPL 0.", "gate-dpl-0", steps=500, switches=None),
)


def apply(patch: pathlib.Path, tree: pathlib.Path) -> None:
    """Applies a patch as tests/breakages/trials.py does: by its words, whatever its line numbers are."""
    for part in re.split(r"^--- ", patch.read_text(), flags=re.M)[1:]:
        match = re.search(r"^\+\+\+ b/(\S+)", part, re.M)
        assert match, patch
        for hunk in re.split(r"^@@.*\n", part, flags=re.M)[1:]:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            text = (tree / match[1]).read_text()
            if text.count(old) != 1:
                raise SystemExit(f"web: {patch.name}: {match[1]} has {text.count(old)} places like this, not one:\n{old}")
            (tree / match[1]).write_text(text.replace(old, new))


def _guest(made: Made) -> pathlib.Path:
    """The folder in which the guest is built: ours, or a broken copy's."""
    if not made.breakage:
        return BUILD
    tree = ROOM / made.name
    shutil.rmtree(tree, ignore_errors=True)
    for pattern in SOURCES:
        for source in ROOT.glob(pattern):
            if source.is_file():
                target = tree / source.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    apply(ROOT / "tests/breakages" / f"{made.breakage}.patch", tree)
    subprocess.run(["make", "-s", "-C", tree], check=True, stdout=subprocess.DEVNULL)
    return tree / "build"


def _digest(made: Made) -> str:
    whole = hashlib.sha256(repr(made).encode())
    files = [programs.PROGRAMS[made.program].elf, machines.FLOPPY]
    if made.breakage:
        files.append(ROOT / "tests/breakages" / f"{made.breakage}.patch")
    for pattern in MAKERS:
        files += sorted(ROOT.glob(pattern))
    for file in files:
        whole.update(pathlib.Path(file).read_bytes())
    return whole.hexdigest()


def _record(made: Made) -> recording.Recording:
    guest = _guest(made)
    options: dict[str, Any] = {"elf": guest / f"{made.program}.elf", "image": guest / "floppy.img"} if made.breakage else {}
    try:
        return record.record("bochs", made.program, made.start, 0, made.switches, made.steps, key=made.key, **options)
    except record.Ended as early:   # a broken guest may end before
        return early.recorded


def recorded(made: Made) -> recording.Recording:
    """The recording of a run: made, or as it was kept."""
    kept, stamp = ROOM / f"{made.name}.json", ROOM / f"{made.name}.stamp"
    ROOM.mkdir(parents=True, exist_ok=True)
    wanted = _digest(made)
    if not (kept.exists() and stamp.exists() and stamp.read_text() == wanted):
        found = _record(made)
        recording.save(found, kept)
        stamp.write_text(wanted)
    return recording.load(kept)


def _opening(made: Made, of: recording.Recording) -> int:
    """The step that is shown first."""
    for number, before, step, after in recording.walk(of):
        delivered = [access for access in step["accesses"] or () if access[0] == "read" and access[2] == 8
                     and before["idtr"]["base"] <= access[1] < before["idtr"]["base"] + 8 * 32]
        if made.open == "fault" and before["cr0"] & 1 and delivered:
            return int(number)
        crossing = before["cpl"] != after["cpl"] and before["cr0"] & 1 and re.match(rf"{made.open}\b|interrupt", step["text"])
        if crossing or (made.open == "jmp" and before["eip"] == after["eip"]):
            return int(number)
    return 0


def make(names: list[str] | None = None) -> list[dict[str, Any]]:
    """What web/library.js reads: all runs, packed."""
    found = []
    for made in RUNS:
        if names is None or made.name in names:
            print(f"web: {made.name}", flush=True)
            of = recorded(made)
            found.append({"name": made.name, "title": made.title, "about": made.about, "kind": made.kind,
                          "beside": made.beside, "open": _opening(made, of), "packed": compact.pack(of)})
    return found


def library(of: list[dict[str, Any]]) -> dict[str, Any]:
    """What web/library.js reads. Instructions and names stand there once for all runs, and so do the
    source files in which steps stand. Of instructions all that is alike stands together, by which
    gzip saves 14 KB: the first place in each, then the second, ..."""
    code: dict[str, int] = {}
    symbols: list[dict[str, int]] = []
    for run in of:
        packed = run["packed"]
        index = [code.setdefault(json.dumps(entry), len(code)) for entry in packed.pop("code")]
        packed["steps"] = [[index[step[0]], *step[1:]] for step in packed["steps"]]
        if packed["symbols"] not in symbols:
            symbols.append(packed["symbols"])
        packed["symbols"] = symbols.index(packed["symbols"])
    entries = [json.loads(entry) for entry in code]
    names = {entry[5].rpartition(":")[0] for entry in entries}
    sources = {name: (ROOT / name).read_text() for name in sorted(names) if name and (ROOT / name).is_file()}
    scenery = {run["packed"]["program"]: _scenery(run["packed"]["program"]) for run in of if run["kind"] == "program"}
    return {"runs": of, "code": [list(column) for column in zip(*entries)],
            "symbols": symbols, "sources": sources, "scenery": scenery}


def _scenery(program: str) -> list[str]:
    """Functions of a program that recordings do not follow: neither does the page when it steps live."""
    code = Code(programs.named(program))
    return [name for offset, name in code.functions if code.is_scenery(offset)]

"""Why a choice is wrong, shown by a run: what a lab.toml says of it is tried here, by students and by tests alike.

    said = shown(lab, number, choice)       runs it; what was seen, in a sentence. Untrue if it was not

A [[run]] of a lab.toml has a name, and says of = one of

    "recording"     in Bochs: from a symbol, so many switches or steps; key: proc A makes that mistake
    "log"           of QEMU, or of emulator = "bochs": key: that key is pressed; until: up to that line
    "process"       FNCALL, as a debugger sees it: from C to its first user, and back

program, unless it is the lab's; tree = "10" is the broken tree of a lab, edit one with other lines. Of each wrong choice
[question.refuted] has the run's name, an expression that must hold, and a text with values in braces. Expressions know,
of a recording: steps, ways_in, ways_out, way_in, first(), at(), base, as claims.py has them; refused and its vector, the
step that ends in the handler of an exception; below, the words that have been written below A's frame; of a log: log,
seen(PATTERN) and, of its last line of that kind, fault, panic, trap, say; of a process: the registers of c and of user,
what lies at libc's fs:0 (itself), the word that the user's call has pushed, C's stack as kept in the TLS, and how many
words of the user's stack below have changed behind that.
"""

import contextlib
import functools
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from ringside.costs.tracee import Tracee
from ringside.emulators import machines
from ringside.labs import catalogue, floppy, patches, trees
from ringside.labs.catalogue import Lab, Question
from ringside.pages import claims
from ringside.recorder import record

Names = dict[str, Any]
Run: Any = claims.Run       # these have no types
Stop: Any = claims.Stop
Process: Any = Tracee

BUILTINS = {"len": len, "all": all, "any": any, "min": min, "max": max, "sum": sum, "set": set, "sorted": sorted,
            "int": int}
VALUE = re.compile(r"\{([^{}]+?)(?::([0-9]*[xd]))?\}")
LINE = re.compile(r"(\S+?)=(\"[^\"]*\"|\S+)")
SECONDS = 20
BOCHS_STEPS = ["s 3000000"] * 3
EXCEPTIONS = 32
NEAR_FRAME = 72     # bytes
PATTERN_BYTES, TLS_STACK = 128, 8


class Untrue(Exception):
    """What a lab.toml says of a choice is not what the run shows."""


def place(question: Question, letter: str) -> str:
    """The choice of a letter; Untrue says what there is."""
    number = ord(letter) - ord("a") if len(letter) == 1 else -1
    if not 0 <= number < len(question.choices):
        raise Untrue(f"there is no choice {letter}: a to {chr(ord('a') + len(question.choices) - 1)}")
    return question.choices[number]


def shown(lab: Lab, question: Question, choice: str) -> str:
    name, holds, shows = question.refuted[choice]
    told = next((run for run in lab.runs if run["name"] == name), None)
    if told is None:
        raise Untrue(f"lab {lab.number} has no run \"{name}\"")
    names = _seen(lab.number, name)
    if value(names, holds) is not True:
        raise Untrue(f"lab {lab.number}, \"{choice}\": {holds} does not hold")
    return VALUE.sub(lambda found: format(value(names, found[1]), found[2] or ""), shows)


def words(lab: Lab, told: dict[str, Any]) -> str:
    """A run in a line, so that it can be done by hand."""
    program = told.get("program", lab.program)
    which = f"the tree of lab {told['tree']}" if "tree" in told else "the healthy tree"
    if told["of"] == "process":
        return "build/fncall/fncall (make fncall), stopped by ptrace at run_fncall and at fncall_trap"
    if told["of"] == "recording":
        what = " ".join(f"--{name} {told[name]}" for name in ("from", "key", "steps", "switches") if name in told)
        how = f"scripts/ringside record --program {program} {what}".rstrip()
    else:
        how = f"make run PROG={program}" + (f", key {told['key']}" if "key" in told else "") + ", and its log"
        how += " (in Bochs: make bochs)" if told.get("emulator") == "bochs" else ""
    changed = "".join(f"; {edit['file']} with \"{edit['after'].strip()}\" in place of \"{edit['before'].strip()}\""
                      for edit in told.get("edit", ()))
    return f"{how}, of {which}{changed}"


def value(names: Names, expression: str) -> Any:
    try:
        return eval(expression, {**names, "__builtins__": BUILTINS})    # a lab.toml is ours
    except (SyntaxError, NameError, AttributeError, LookupError, TypeError, StopIteration) as error:
        raise Untrue(f"cannot evaluate {expression}: {error!r}") from None


@functools.cache
def _seen(number: str, name: str) -> Names:
    """A run is made once, whatever is asked of it."""
    lab = catalogue.lab(number)
    told = next(run for run in lab.runs if run["name"] == name)
    program = told.get("program", lab.program)
    with _built(lab, told, program) as folder:
        if told["of"] == "process":
            return _process()
        image = folder / "floppy.img" if folder else machines.FLOPPY
        with tempfile.TemporaryDirectory(prefix="rp-") as there:
            if not folder and program != machines.PROGRAM.stem:
                image = machines.floppy_that_starts(program, f"{there}/floppy.img")
            return _recording(told, program, image, folder) if told["of"] == "recording" else _log(told, image)


@contextlib.contextmanager
def _built(lab: Lab, told: dict[str, Any], program: str) -> Iterator[pathlib.Path | None]:
    """The folder of what was built of another tree; None: build/ itself will do."""
    if "tree" not in told and "edit" not in told:
        yield None
        return
    tree = trees.broken(catalogue.lab(told["tree"]), 0) if "tree" in told else trees.whole(0)
    tree = trees.changed(tree, [patches.Change(edit["file"], edit["before"], edit["after"]) for edit in told.get("edit", ())])
    with tempfile.TemporaryDirectory(prefix="rp-") as name:
        trees.write(tree, pathlib.Path(name))
        com = pathlib.Path(name, f"build/{program}.com")
        done = subprocess.run(["make", "-s", "-j2", f"PROGRAMS={program}", f"build/{program}.com"], cwd=name,
                              capture_output=True, text=True)
        if done.returncode:
            raise Untrue(f"it does not build: {done.stderr.strip().splitlines()[-1:]}")
        com.with_name("floppy.img").write_bytes(floppy.that_starts(com.read_bytes()))
        yield pathlib.Path(name, "build")


def _recording(told: dict[str, Any], program: str, image: pathlib.Path, folder: pathlib.Path | None) -> Names:
    options: dict[str, Any] = {"elf": folder / f"{program}.elf"} if folder else {}
    steps = told.get("steps")
    try:
        made = record.record("bochs", program, told.get("from", claims.BEGINNINGS[program]), steps=steps, image=image,
                             switches=None if steps else told.get("switches", 1), key=told.get("key", 0), **options)
    except record.Ended as ended:
        made = ended.recorded
    run = Run(made)
    stops = [Stop(run, *step[1:]) for step in run.steps]
    ways_in = [stop for stop in stops if stop.before.cpl > stop.after.cpl]
    handlers = {gate.offset: vector for vector, gate in enumerate(stops[0].before.idt[:EXCEPTIONS])}
    refused = [(stop, handlers[stop.after.eip]) for stop in stops
               if stop.after.eip in handlers and stop.after.cpl == 0 and not stop.text.startswith("jmp")]

    def at(name: str) -> int:
        letter, _, what = name.partition(".")
        if what:
            frame = run.frames[letter]
            return int(frame["offset"] + (4 * len(frame["words"]) if what == "end" else 0))
        return int(run.symbols[name])

    below = 0
    if "A" in run.frames:
        start = at("A.start")
        below = max(((start - write.at) // 4 for stop in stops for write in stop.writes
                     if start - NEAR_FRAME <= write.at < start), default=0)
    return {"steps": stops, "below": below, "ways_in": ways_in,
            "ways_out": [stop for stop in stops if stop.before.cpl < stop.after.cpl],
            "way_in": ways_in[0] if ways_in else None, "at": at, "base": run.base,
            "refused": refused[-1][0] if refused else None, "vector": refused[-1][1] if refused else None,
            "first": lambda word, among=stops: next(stop for stop in among if stop.text.split()[0] == word)}


def _log(told: dict[str, Any], image: pathlib.Path) -> Names:
    if told.get("emulator") == "bochs":
        lines = machines.bochs(BOCHS_STEPS, image, magic=False).log
    else:
        with machines.Qemu(image) as machine:
            if "key" in told:
                machine.wait_log("switch n=4 ")
                machine.key(told["key"])
            machine.wait_log(told["until"], SECONDS)
            lines = machine.log()
    text = "\n".join(lines)
    last: dict[str, dict[str, str]] = {kind: {} for kind in ("fault", "panic", "trap", "say")}
    for line in lines:
        kind = line.partition(" ")[0]
        if kind in last:
            last[kind] = {key.replace(":", "_"): given.strip('"') for key, given in LINE.findall(line)}
    return {**last, "log": lines, "seen": lambda pattern: bool(re.search(pattern, text))}


def _process() -> Names:
    """FNCALL from C to its first user, and back to C."""
    program = machines.BUILD / "fncall/fncall"
    if not program.exists():
        raise Untrue("build/fncall/fncall is not there: make fncall")
    with Process(str(program)) as tracee:
        tracee.run_to("run_fncall")
        c = tracee.registers()
        itself = tracee.words(c["fs_base"], 1)[0]
        tracee.run_to("fncall_trap")        # a user's call has led there
        user = tracee.registers()
        tracee.write(user["rsp"] - PATTERN_BYTES, bytes(range(PATTERN_BYTES)))
        pushed, kept = tracee.words(user["rsp"], 1)[0], tracee.words(user["fs_base"] + TLS_STACK, 1)[0]
        tracee.run_to("run_fncall")
        left = tracee.read(user["rsp"] - PATTERN_BYTES, PATTERN_BYTES)
        return {"c": c, "user": user, "itself": itself, "pushed": pushed, "kept": kept,
                "changed": sum(left[at:at + 8] != bytes(range(at, at + 8)) for at in range(0, PATTERN_BYTES, 8))}

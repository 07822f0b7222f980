"""Blocks of runs: what the debugger says, what a change breaks, what a mistake leads to, what a switch costs.

Each function is called by docs.produce, as those of tables.py are.
"""

import pathlib
import re
import shutil
import subprocess
import tempfile

from ringside.costs import cost
from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.pages import mistakes
from ringside.pages.blocks import PROMISE, UNSEEN, BadPage, demand, fenced

LOG_LINES = 5
BUILT = (".o", ".d", ".bin", ".elf", ".com", ".sym", ".lst")    # what comes along when a changed copy is built


# ---- what the debugger says

def transcript(debugger, block, facts):
    """Commands typed at the prompt, and what came back, as on the screen; {NAME} is a symbol's number."""
    lines, answer = [], ""
    for command in block.commands:
        if command.startswith(UNSEEN):
            answer = debugger.cmd(command.removeprefix(UNSEEN))
            lines += [] if lines[-1:] == ["…\n"] else ["…\n"]
            continue
        if command.startswith(PROMISE):
            demand(block, command.removeprefix(PROMISE), answer)
            continue
        command = re.sub(r"\{(\w+)\}", lambda name: f"{facts.run.symbols[name[1]]:#x}", command)
        prompt = re.findall(r"<bochs:\d+> ", debugger.text)[-1]
        try:
            answer = debugger.cmd(command)
        except machines.Missing:
            last_words = re.search(r"^Bochs is exiting.*\n.*\n", (debugger.dir / "stderr").read_text(), re.M)
            if debugger.alive() or not (last_words or command == "q"):
                raise
            answer = last_words[0] if last_words else ""
        # The count of ticks depends on the BIOS and on the time of day.
        lines.append(prompt + command + "\n" + re.sub(r"^Next at t=\d+", "Next at t=…", answer, flags=re.M))
    return fenced("".join(lines))


def session(blocks, facts):
    """The answers to all blocks of one session."""
    with machines.Bochs() as debugger:
        return [transcript(debugger, block, facts) for block in blocks]


# ---- what a change breaks

def broken(block, facts):
    """The diff, and what make bochs-headless says to it."""
    path, *where = block.words
    change = [line for line in block.commands if not line.startswith(PROMISE)]
    old = "".join(line[1:] + "\n" for line in change if line[0] != "+")
    new = "".join(line[1:] + "\n" for line in change if line[0] != "-")
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        tree = pathlib.Path(folder) / "ringpong"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=what_no_build_needs)
        text = (tree / path).read_text()
        if text.count(old) != 1:
            raise BadPage(f"{block.page}:{block.line}: these lines are in {path} {text.count(old)} times")
        (tree / path).write_text(text.replace(old, new))
        build = subprocess.run(["make", "-s", "-C", str(tree)], text=True, capture_output=True)
        if build.returncode:
            raise BadPage(f"{block.page}:{block.line}: the changed program does not build\n{build.stderr}")
        program = ["--program", where[1]] if where[:1] == ["playing"] else []
        run = subprocess.run([str(tree / "scripts" / "bochs"), "--headless", *program], text=True, timeout=150,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = fenced(f"--- {path}\n" + "\n".join(change), "diff") + shown(run.stdout)
        if where == ["on", "QEMU"]:
            with machines.Qemu(tree / "build" / "floppy.img") as qemu:
                seen = qemu.wait_log("switch n=1 .*")[0]
                log = qemu.log()
                text += "\nThe same floppy in QEMU:\n" + shown("\n".join([*log[:log.index(seen)], seen, "…"]))
    for line in block.commands:
        if line.startswith(PROMISE):
            demand(block, line.removeprefix(PROMISE), text)
    return text


def what_no_build_needs(folder, names):
    """For a copy of the project to build in. What has been built comes along, and nothing else from build/."""
    here = pathlib.Path(folder)
    skipped = {name for name in names if name.startswith(".") or here == ROOT and name in ("docs", "ringside", "tests")}
    if here == machines.BUILD:
        skipped |= {name for name in names if pathlib.Path(name).suffix not in BUILT and name != "how"
                    and not (ROOT / name).is_dir()}
    return skipped


def shown(log):
    lines = log.splitlines()
    return fenced("\n".join(lines[:LOG_LINES] + ["…"] * (len(lines) > LOG_LINES)))


# ---- what a proc's mistake leads to

def mistake(block, facts):
    number, what = block.words
    if number not in map(str, mistakes.NUMBERS):
        raise BadPage(f"{block.page}:{block.line}: no mistake {number}; there are: 1 to 6")
    number = int(number)
    report = facts.reports[number]
    text = {"source": lambda: mistakes.source(number),
            "log": lambda: f"{report.fault}\n{report.end}",
            "report": lambda: "\n".join(report.lines),
            "error": lambda: mistakes.error_bits(report),
            "found": lambda: mistakes.found_at(report)}.get(what)
    if not text:
        raise BadPage(f"{block.page}:{block.line}: of a mistake there is source, log, report, error, found; not {what}")
    return fenced(text(), "gas" if what == "source" else "text")


def change(block, facts):
    """What ring 0 says if a mistake has other instructions."""
    number, *code = block.words
    text = " ".join(code)
    said = fenced(text.replace("; ", "\n"), "gas") + fenced("\n".join(mistakes.changed(int(number), text)))
    for line in block.commands:
        demand(block, line.removeprefix(PROMISE), said)
    return said


def answers(block, facts):
    return facts.answers


# ---- what a switch costs

def costs(block, facts):
    tables = ("designs", "rings", "pages", "spaces", "clocks")
    if block.words[0] not in tables:
        raise BadPage(f"{block.page}:{block.line}: costs of what? There are: {', '.join(tables)}")
    table, missing = getattr(facts, block.words[0])
    if missing and facts.speeds:  # to be written
        raise BadPage(f"{block.page}:{block.line}: not complete: {'; '.join(missing)}")
    return "\n\n" + table + "\n"


def choose(block, facts):
    return "\n\n" + cost.choice_table() + "\n"


def measured(block, facts):
    return facts.speeds.when if facts.speeds else block.text


def instructions(block, facts):
    """The way from A to B, as counts.py steps it: each instruction with its accesses to memory."""
    listed = dict(re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(.*)$", (machines.BUILD / "p_proc.lst").read_text(), re.M))
    names = {value: name for name, value in facts.run.symbols.items() if not name.isupper()}
    lines = [" n  instruction                           accesses"]
    for number, step in enumerate(facts.switch, 1):
        text = listed[f"{machines.sym('proc_a_code') + step.eip if step.cs & 3 else step.eip:x}"]
        text = re.sub(r"\w+ <([\w+]+)>", r"\1", text.partition("#")[0])
        text = re.sub(r"(?<![$-])\b0x([0-9a-f]+)\b(?!\()", lambda at: names.get(int(at[1], 16), at[0]), text)
        lines.append(f"{number:2}  {' '.join(text.split()):38} {step.accesses or '–':>4}")
    return fenced("\n".join(lines))


def count(block, facts):
    rows = [[cell.strip() for cell in line.split("|")[1:]] for line in facts.designs[0].splitlines()]
    found = {row[0]: row[1] for row in rows}
    if block.words[0] not in found:
        raise BadPage(f"{block.page}:{block.line}: no design {block.words[0]}; there are: {', '.join(found)}")
    return found[block.words[0]]

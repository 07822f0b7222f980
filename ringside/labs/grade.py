"""Grades a hand-in: the student owns ring 0, the grader owns ring 3, the emulators and the eyes.

    result = grade(lab, folder, seed)       a Result: points for each law, in the law's words
    result = grade_image(lab, image, seed)  the same for an image alone
"""

import pathlib
import re
import shutil
from typing import Any, NamedTuple

from ringside.emulators import machines
from ringside.labs import attack, facts, handin, spaces, trees, variants
from ringside.labs.catalogue import ANSWERS, Lab
from ringside.laws import beginning, looks, probe

ALL = "H1"      # broken, it leaves nothing to be graded
DEAD = (ALL, "B1")
REST = "A1"     # who mends a law by breaking another loses this one
LAWS = {**probe.LAWS, **attack.LAWS, **spaces.LAWS, REST: "every law holds, those that this lab does not name as well"}
# Where to look when a law is broken: a step of `make record`, and the chapter that tells of it.  The ways of P_PROC, int
# and iret, stand for those of the lab's program.
WAYS = {"callgate": ("lcall", "lret"), "sysenter": ("sysenter", "sysexit"), "timer": ("interrupt", "iret")}
LOOK = {
    "R1": ("the pushes behind the int, and the pops before the iret", "08-the-switch"),
    "S1": ("the first iret, and the frame that it pops", "05-out-for-the-first-time"),
    "F1": ("the five writes of the second int: whose frame are they in?", "09-stale-esp0"),
    "F2": ("each write of ring 0 between an int and the next iret", "07-the-trick"),
    "I1": ("the int: eflags before and after it", "04-gates"),
    "P1": ("the rows of GDT and LDT with DPL 3; of pages, bit 2, U, in their entries", "03-selectors"),
    "P2": ("the first iret: eflags after it", "05-out-for-the-first-time"),
    "P3": ("the first iret: eflags after it", "05-out-for-the-first-time"),
    "P4": ("the mov to CR0", "02-into-protected-mode"),
    "P5": ("lldt, and base and limit of each row of the table that it loads; of pages, where each entry leads", "11-lldt"),
    "P6": ("the last word of the TSS, and the limit of TR", "10-reading-a-gp"),
    "P7": ("bit 1, W, in the entries of what is code", "17-pages"),
    "G1": ("the DPL of each row of the IDT", "04-gates"),
    "B1": ("who arrives behind each iret", "07-the-trick"),
    "T1": ("who arrives behind each iret", "08-the-switch"),
    "D0": ("the int of a proc with DF = 1, up to the first call", "08-the-switch"),
    "N1": ("what loads eflags between the start and the first iret; a recording starts with NT = 0", "15-hardware-tasks"),
    "D1": ("row 8 of the IDT, and the TSS that it leads to", "09-stale-esp0"),
    "C1": ("each instruction from an int to the next iret", "08-the-switch"),
    ALL: ("the last instruction that is as it should be", "09-stale-esp0"),
    "M1": ("the entries that `info tab` and `page` of Bochs show at ckpt_spaces", "17-pages"),
    "M2": ("the last entry of each directory", "17-pages"),
    "M3": ("bit 2, U, in both entries of each page of ring 0's", "17-pages"),
    "M4": ("where each address leads, in A's and in B's directory", "17-pages"),
    "M5": ("bit 1, W, in the entries of what is code", "17-pages"),
    "X2": ("the selector that your own exploit loads, and its row", "03-selectors"),
}
# Blanks of one line alone: a file of nothing but line ends must not take hours.
LINE = re.compile(r"^[ \t]{0,9}([0-9]{1,3})[ \t]{0,9}:(.{0,200})$", re.M | re.A)


class Part(NamedTuple):
    """What one law or one question is worth, and what became of it."""
    name: str
    words: str
    points: int
    got: int
    said: tuple[str, ...]
    program: str = "p_proc"

    @property
    def look(self) -> str:
        """The step to look at, if points were lost in a run."""
        step, chapter = LOOK.get(self.name, ("", ""))
        if not step or not self.said or self.got == self.points:
            return ""
        way_in, way_out = WAYS.get(self.program, ("int", "iret"))
        step = re.sub(r"\biret\b", way_out, re.sub(r"\bint\b", way_in, step))
        record = "make record" + (f" PROG={self.program}" if self.program != "p_proc" else "")
        return f"look at {step} ({record}; docs/book/en/{chapter}.md)"


class Result(NamedTuple):
    lab: str
    parts: tuple[Part, ...]
    refused: str        # why nothing could be graded; "" if it could

    @property
    def points(self) -> int:
        return sum(part.got for part in self.parts)

    @property
    def total(self) -> int:
        return sum(part.points for part in self.parts)

    def lines(self) -> list[str]:
        found = [f"lab {self.lab}: {self.points} of {self.total} points"]
        if self.refused:
            found.append(f"  {self.refused}")
        for part in self.parts:
            found.append(f"  {part.got}/{part.points}  {part.name}: {part.words}")
            found += [f"        {said}" for said in (*part.said, *([part.look] if part.look else []))]
        return found

    def data(self) -> dict[str, Any]:
        return {"lab": self.lab, "points": self.points, "total": self.total, "refused": self.refused,
                "parts": [{**part._asdict(), "look": part.look} for part in self.parts]}


def _nothing(lab: Lab, why: str) -> Result:
    parts = [Part(law, LAWS[law], points, 0, ()) for law, points in lab.points.items()]
    parts += [Part(f"question {number}", question.text, question.points, 0, ())
              for number, question in enumerate(lab.questions, 1)]
    return Result(lab.number, tuple(parts), why)


def _probed(lab: Lab, image: pathlib.Path, seed: int) -> list[tuple[str, probe.Finding]]:
    """What both emulators find, with the name of each: of our own procs, and of the pages where a lab lists them."""
    model = machines.BOCHS_MODELS.get(lab.program, "")
    found: list[tuple[str, probe.Finding]] = []
    if not lab.pages or set(lab.points) & set(probe.LAWS) - {ALL}:
        found = _of_procs(lab, image, seed, model)
    if lab.pages and not {finding.law for _, finding in found} & set(DEAD):
        wanted = spaces.listed(lab.pages)
        found += [(name, finding) for name in looks.EMULATORS for finding in spaces.Spaces(name, image, wanted, model).run()]
    return found


def _of_procs(lab: Lab, image: pathlib.Path, seed: int, model: str) -> list[tuple[str, probe.Finding]]:
    """What our own procs find. Where Bochs leaves no point to be lost, QEMU is not asked."""
    entry = beginning.first_of_ring_3(image, model)
    promised = probe.Promised(tuple(lab.promised.get("registers", ())), tuple(lab.promised.get("ports", ())),
                              lab.procs, lab.instructions, tuple(lab.promised.get("vectors", ())))
    found: list[tuple[str, probe.Finding]] = []
    for name in looks.EMULATORS:
        found += [(name, finding) for finding in probe.Probe(name, image, entry, seed, promised, model).run()]
        lost = {finding.law for _, finding in found}
        if lost & set(DEAD) or found and lost | {REST, *attack.LAWS} >= set(lab.points):
            break
    return found


def _laws(lab: Lab, image: pathlib.Path, seed: int) -> list[Part]:
    laws = {law: points for law, points in lab.points.items() if law not in attack.LAWS}
    if not laws:
        return []
    found = _probed(lab, image, seed)
    dead = [f"{name}: {finding.said}" for name, finding in found if finding.law in DEAD]
    parts = []
    for law, points in laws.items():
        said = tuple(f"{name}, after {finding.switch} switches: {finding.said}"
                     for name, finding in found if law in (finding.law, REST))
        parts.append(Part(law, LAWS[law], points, 0 if said or dead else points, said or tuple(dead), lab.program))
    return parts


def _attacked(lab: Lab, folder: pathlib.Path, image: pathlib.Path, seed: int, work: pathlib.Path) -> list[Part]:
    """The exploit must work on the broken tree, and fail on what was handed in."""
    name = lab.attack["file"]
    texts = handin.collect(lab._replace(files=(name,)), folder)
    exploit, number = attack.code(texts[name], work), variants.number_of(seed)
    own = trees.broken(lab, seed)
    broken = handin.build(own, work / "broken", lab.program, own)
    works = attack.written(broken, exploit, number)
    closed = works and not attack.written(image, exploit, number)
    said = {"X1": () if works else (f"{number} does not stand outside the procs' windows after {attack.STEPS} instructions",),
            "X2": () if closed else (("the exploit still works",) if works else ("an exploit that works comes first",))}
    return [Part(law, attack.LAWS[law], points, 0 if said[law] else points, said[law])
            for law, points in lab.points.items() if law in attack.LAWS]


def _questions(lab: Lab, folder: pathlib.Path, seed: int, work: pathlib.Path) -> list[Part]:
    texts = handin.collect(lab._replace(files=(ANSWERS,)), folder)
    given = {int(number): answer.strip() for number, answer in LINE.findall(texts[ANSWERS])}
    seen: facts.Facts = {}
    if any(not question.choices for question in lab.questions):
        own = trees.broken(lab, seed)
        seen = facts.of(handin.build(own, work / "asked", lab.program, own))
    parts = []
    for number, question in enumerate(lab.questions, 1):
        answer = given.get(number, "")
        if question.choices:
            right = answer.lower() == chr(ord("a") + question.choices.index(question.answer))
            place = ord(answer.lower()) - ord("a") if re.fullmatch("[A-Za-z]", answer) else -1
            said = "" if right else (lab.against(number, place) if 0 <= place < len(question.choices) else "no choice was made")
        else:
            right = _number(answer) == facts.value(seen, question.answer)
            said = "" if right else f"\"{answer}\" is not what the run shows" if answer else "no answer"
        parts.append(Part(f"question {number}", question.text, question.points, question.points if right else 0,
                          (said,) if said else ()))
    return parts


def _number(answer: str) -> int | None:
    """Hexadecimal, as the log has it; 0x in front does no harm."""
    try:
        return int(answer, 16)
    except ValueError:
        return None


def grade_image(lab: Lab, image: pathlib.Path, seed: int) -> Result:
    """Laws alone, of an image of which nothing else is known."""
    if not image.is_file() or image.stat().st_size != machines.FLOPPY_BYTES:
        return _nothing(lab, f"{image} is no floppy image of {machines.FLOPPY_BYTES} bytes")
    with handin.workplace() as work:
        started = work / "floppy.img"
        try:
            handin.starting(lab.program, image, started)
            return Result(lab.number, tuple(_laws(lab, started, seed)), "")
        except handin.Refused as reason:
            return _nothing(lab, str(reason))
        except beginning.NoRing3 as reason:
            return _nothing(lab, f"ring 3 is never reached: {reason}")


def grade(lab: Lab, folder: pathlib.Path, seed: int) -> Result:
    """Builds what was handed in, in a tree of the grader's own, and tries it."""
    with handin.workplace() as work:
        work.chmod(0o755)
        try:
            parts = []
            if lab.files:
                texts = handin.collect(lab, folder)
                own = trees.broken(lab, seed)
                tree = {**own, **{name: text.encode() for name, text in texts.items()}}
                image = handin.build(tree, work / "tree", lab.program, own)
                parts += _laws(lab, image, seed)
                if lab.attack:
                    attacked = _attacked(lab, folder, image, seed, work)
                    # A broken tree that is handed in as it is keeps the other laws: that alone is worth nothing.
                    # Nor has one that hangs closed anything.
                    closed = all(part.name != "X2" or part.got for part in attacked)
                    kept = all(part.got for part in parts)
                    parts = [part._replace(got=part.got if closed else 0) for part in parts]
                    parts += [part if kept or part.name != "X2" else
                              part._replace(got=0, said=("what closes it must keep every other law",)) for part in attacked]
            if lab.questions:
                parts += _questions(lab, folder, seed, work)
            return Result(lab.number, tuple(parts), "")
        except handin.Refused as reason:
            return _nothing(lab, str(reason))
        except beginning.NoRing3 as reason:
            return _nothing(lab, f"ring 3 is never reached: {reason}")
        finally:
            shutil.rmtree(work / "tree", ignore_errors=True)

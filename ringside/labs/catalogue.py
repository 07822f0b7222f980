"""The labs as data: labs/NN-name/lab.toml, beside the page README.md.

    title, kind, program, minutes, teaches      for the list; kind is one of KINDS
    breaks = ["esp0-not-rewritten"]             patches that break the tree: of tests/breakages, or NAME.patch beside it
    [[edit]]                                    the same where a student's numbers stand in the line: file, before, after
    files = ["switch.c"]                        what is handed in, and nothing else
    [points]                                    for each law (LAWS in ringside/laws/probe.py) what it is worth
    [promised]                                  what ring 3 is granted on purpose: registers, ports, vectors
    procs, instructions                         how many play, and the fast path's most instructions, where a lab asks that
    [pages]                                     where pages protect: those for ring 3, its code first (spaces.py)
    solution = ["third-proc"]                   where the tree that is right lacks what is to be built: NAME.patch beside it
    [[question]]                                text, answer or choices: in labs that hand in answers.txt; what refutes a
                                                choice, and the [[run]] that shows it: see refute.py
    [[wrong]]                                   for the tests: a plausible repair, and the laws that it still breaks:
                                                file, before, after, or patch = NAME; upon = "broken": it leaves
                                                the defect where it is
"""

import pathlib
import tomllib
from typing import Any, NamedTuple

from ringside.emulators.machines import ROOT
from ringside.labs import patches

LABS = ROOT / "labs"
BREAKAGES = ROOT / "tests/breakages"
KINDS = ("read", "find", "build", "attack", "explain")
ANSWERS = "answers.txt"
KEYS = {"title", "kind", "program", "minutes", "teaches", "breaks", "files", "points", "promised", "procs",
        "instructions", "question", "wrong", "attack", "edit", "solution", "pages", "run"}


class NoLab(Exception):
    """There is no such lab, or its data is wrong; the message says what to do."""


class Question(NamedTuple):
    text: str
    answer: str                 # an expression over facts.py's names; of a choice, the text that is right
    choices: tuple[str, ...]    # empty: a value is asked for
    because: tuple[str, ...]    # of each choice, what speaks against it; "" for the right one
    points: int
    refuted: dict[str, tuple[str, str, str]]    # of a wrong choice: a run, what holds there, what it shows


class Lab(NamedTuple):
    number: str
    folder: pathlib.Path
    title: str
    kind: str
    program: str
    minutes: int
    teaches: str
    breaks: tuple[str, ...]
    files: tuple[str, ...]
    points: dict[str, int]
    promised: dict[str, list[Any]]
    procs: int
    instructions: int
    questions: tuple[Question, ...]
    wrong: tuple[dict[str, Any], ...]
    attack: dict[str, Any]
    edits: tuple[dict[str, str], ...]
    solution: tuple[str, ...]
    pages: dict[str, str]
    runs: tuple[dict[str, Any], ...]

    @property
    def total(self) -> int:
        return sum(self.points.values()) + sum(question.points for question in self.questions)

    def changes(self) -> list[patches.Change]:
        """What breaks the tree."""
        own = (self.folder / f"{name}.patch" for name in self.breaks)
        texts = [(path if path.exists() else BREAKAGES / path.name).read_text() for path in own]
        return [change for text in texts for change in patches.read(text)] + [
            patches.Change(edit["file"], edit["before"], edit["after"]) for edit in self.edits]

    def built(self) -> list[patches.Change]:
        """What is to be added to the tree that is right."""
        return [change for name in self.solution for change in patches.read((self.folder / f"{name}.patch").read_text())]

    def hand_in(self) -> list[str]:
        """The names of all files that count."""
        return [*self.files, *([ANSWERS] if self.questions else []), *([self.attack["file"]] if self.attack else [])]

    def against(self, number: int, place: int) -> str:
        """What speaks against a choice of a question, and the command that shows it; "" if it is right."""
        because = self.questions[number - 1].because[place]
        which = f"{self.number} {number}{chr(ord('a') + place)}"
        return f"{because} To see it: scripts/ringside lab refute {which}" if because else ""

    def page(self) -> str:
        return (self.folder / "README.md").read_text()


def _question(raw: dict[str, Any]) -> Question:
    choices = raw.get("choices", {})
    return Question(raw["text"], raw["answer"], tuple(choices), tuple(choices.values()), raw.get("points", 1),
                    {choice: (told[0], told[1], told[2]) for choice, told in raw.get("refuted", {}).items()})


def load(folder: pathlib.Path) -> Lab:
    try:
        raw = tomllib.loads((folder / "lab.toml").read_text())
        if unknown := set(raw) - KEYS:
            raise NoLab(f"{folder.name}/lab.toml: unknown keys {', '.join(sorted(unknown))}; there are {', '.join(sorted(KEYS))}")
        if raw["kind"] not in KINDS:
            raise NoLab(f"{folder.name}/lab.toml: kind is {raw['kind']}; there are {', '.join(KINDS)}")
        return Lab(folder.name[:2], folder, raw["title"], raw["kind"], raw["program"], raw["minutes"], raw["teaches"],
                   tuple(raw.get("breaks", ())), tuple(raw.get("files", ())), raw.get("points", {}),
                   raw.get("promised", {}), raw.get("procs", 2), raw.get("instructions", 0),
                   tuple(map(_question, raw.get("question", ()))), tuple(raw.get("wrong", ())), raw.get("attack", {}),
                   tuple(raw.get("edit", ())), tuple(raw.get("solution", ())), raw.get("pages", {}), tuple(raw.get("run", ())))
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise NoLab(f"{folder.name}/lab.toml: {error!r}") from None


def all_labs() -> list[Lab]:
    return [load(path.parent) for path in sorted(LABS.glob("[0-9][0-9]-*/lab.toml"))]


def lab(number: str) -> Lab:
    """The lab of a number, "4" or "04"."""
    found = [one for one in all_labs() if one.number == number.zfill(2)]
    if not found:
        raise NoLab(f"there is no lab {number}: ringside lab list shows all")
    return found[0]

"""The labs in the page, for oneself: questions are answered there, and a .COM is tried on the page's own machine.

    write(folder)       labs.html, labs.json and web/labs/ for a folder that `ringside web` has filled

What the page knows is what the grader knows: a lab's questions with what speaks against each choice, values as facts.py
reads them off the floppy that ships, and the laws' words. Marks are given by `ringside lab grade` alone.
"""

import html
import importlib
import json
import pathlib
import re
from typing import Any

from ringside.emulators.machines import FLOPPY, ROOT
from ringside.labs import catalogue, facts, grade

WEB = ROOT / "web/labs"
MODULES = ("labs.js", "probe.js")
# Laws that web/labs/probe.js tries, all of P_PROC's way of asking: one int, procs with segments of their own.
TRIED = ("H1", "R1", "S1", "I1", "P2", "P3", "P4", "P6", "G1", "B1", "T1")
PROGRAMS = ("p_proc",)


def _questions(lab: catalogue.Lab, seen: facts.Facts) -> list[dict[str, Any]]:
    found = []
    for number, question in enumerate(lab.questions, 1):
        one: dict[str, Any] = {"text": question.text, "points": question.points}
        if question.choices:
            one |= {"choices": question.choices, "right": question.choices.index(question.answer),
                    "because": [lab.against(number, place) for place in range(len(question.choices))]}
        else:
            one["value"] = f"{facts.value(seen, question.answer):x}"
        found.append(one)
    return found


def _story(lab: catalogue.Lab) -> str:
    """The page of a lab, without what only counts for a hand-in of files."""
    markdown = importlib.import_module("markdown")  # Debian: python3-markdown; only this needs it
    text = lab.page().replace("<details>", '<details markdown="1">')
    text = re.sub(r"^1\. .*?(?=^Of a choice|^<details)", "", text, flags=re.M | re.S) if lab.questions else text
    text = re.sub(r"^Of a choice, .*\n", "", text, flags=re.M)
    made = str(markdown.markdown(text, extensions=["fenced_code", "md_in_html", "sane_lists"]))
    return made.replace("<pre>", '<pre tabindex="0">')


def data() -> dict[str, Any]:
    """All labs that the page can do something with."""
    seen = facts.of(FLOPPY)
    labs = []
    for lab in catalogue.all_labs():
        com = bool(lab.files) and not lab.attack and lab.program in PROGRAMS
        if com or not lab.files:
            labs.append({"number": lab.number, "title": lab.title, "kind": lab.kind, "program": lab.program,
                         "minutes": lab.minutes, "story": _story(lab), "questions": _questions(lab, seen),
                         "points": {law: points for law, points in lab.points.items() if com}, "procs": lab.procs})
    return {"labs": labs, "laws": {law: words for law, words in grade.LAWS.items()}, "tried": TRIED}


def write(folder: pathlib.Path) -> int:
    """How many labs there are."""
    index = (folder / "index.html").read_text()
    policy = re.search(r'content="(default-src [^"]*)"', index)
    if not policy:
        raise SystemExit(f"ringside lab: {folder}/index.html is not the page that make web makes")
    made = data()
    (folder / "labs.json").write_text(json.dumps(made, separators=(",", ":"), ensure_ascii=False))
    for module in MODULES:
        (folder / module).write_text((WEB / module).read_text())
    page = (WEB / "labs.html").read_text().replace("@CSP@", html.escape(html.unescape(policy[1])))
    (folder / "labs.html").write_text(page)
    return len(made["labs"])

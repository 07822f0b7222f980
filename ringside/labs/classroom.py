"""A class: a folder of hand-ins, graded in parallel, and a sheet of marks.

    grade_class(roster, handins, secret, sheet)

roster.csv has a line for each student, `id,name`; a hand-in lies in HANDINS/ID/LAB/. Each mark is written down as
soon as it is there, so that a run that was stopped goes on where it was; a hand-in that has changed since is graded
again. One that breaks the grader costs its own mark and no other, and is tried again by the next run.
"""

import concurrent.futures
import csv
import hashlib
import html
import json
import os
import pathlib
from typing import Any

from ringside.labs import catalogue, grade, variants

FAILED = "the grader failed with it"
AT_ONCE = os.cpu_count() or 1
STYLE = """body{font:16px/1.5 system-ui,sans-serif;margin:2rem;color-scheme:light dark}table{border-collapse:collapse}
td,th{padding:.3rem .6rem;border-bottom:1px solid #8888;text-align:left}td:nth-child(2){white-space:nowrap}
.bar{display:inline-block;width:6rem;height:.8rem;border:1px solid;vertical-align:middle}
.bar i{display:block;height:100%;background:#1a7f37}details{max-width:30rem}summary{white-space:nowrap;cursor:pointer}"""


class NoClass(Exception):
    """The roster or the folder is not as it should be; the message says what to do."""


def read_roster(path: pathlib.Path) -> list[tuple[str, str]]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except FileNotFoundError:
        raise NoClass(f"{path} is not there: a roster is a file with a line `id,name` for each student") from None
    found = [(row[0].strip(), row[1].strip()) for row in rows if len(row) >= 2 and row[0].strip() not in ("", "id")]
    for student, _ in found:
        if "/" in student or student.startswith("."):
            raise NoClass(f"{path}: \"{student}\" cannot be a student's id: it must do as a folder's name")
    if not found:
        raise NoClass(f"{path} names no student: a roster has a line `id,name` for each")
    if double := {student for student, _ in found if [one for one, _ in found].count(student) > 1}:
        raise NoClass(f"{path} names {', '.join(sorted(double))} twice")
    return found


def failed(mark: dict[str, Any]) -> bool:
    """Whether it says nothing of the hand-in."""
    return str(mark["refused"]).startswith(FAILED)


def strangers(roster: pathlib.Path, handins: pathlib.Path) -> list[str]:
    """Folders of hand-ins that belong to no student of the roster: a wrong id, most of the time."""
    known = {student for student, _ in read_roster(roster)}
    return sorted(path.name for path in handins.iterdir() if path.is_dir() and path.name not in known) if handins.is_dir() else []


def _print_of(lab: catalogue.Lab, folder: pathlib.Path, seed: int) -> str:
    """Tells one state of a hand-in, and of the lab, from another."""
    found = hashlib.sha256(f"{seed} {lab._replace(folder=pathlib.Path())}".encode())
    for name in lab.hand_in():
        path = folder / name
        facts = os.lstat(path) if path.is_symlink() or path.exists() else None
        found.update(f"\0{name}\0{facts.st_size if facts else -1}\0".encode())
        if facts and path.is_file() and not path.is_symlink() and facts.st_size < 1 << 20:
            found.update(path.read_bytes())
    return found.hexdigest()


def _one(student: str, lab: catalogue.Lab, folder: pathlib.Path, seed: int) -> dict[str, Any]:
    for path in (folder.parent, folder):
        if path.is_symlink():
            return {"student": student, **grade._nothing(lab, f"{path} is a link: hand in a plain folder").data()}
    try:
        return {"student": student, **grade.grade(lab, folder, seed).data()}
    except Exception as error:  # whatever it was, the other marks do not depend on it
        nothing = grade._nothing(lab, f"{FAILED}: {type(error).__name__}: {error}")
        return {"student": student, **nothing.data()}


def grade_class(roster: pathlib.Path, handins: pathlib.Path, secret: bytes, sheet: pathlib.Path,
                labs: list[catalogue.Lab]) -> list[dict[str, Any]]:
    """All marks; sheet.json keeps them, sheet.csv and sheet.html show them."""
    students = read_roster(roster)
    if not handins.is_dir():
        raise NoClass(f"{handins} is not there: a hand-in lies in {handins}/ID/LAB/")
    kept_in = sheet.with_suffix(".json")
    kept = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    marks: dict[str, dict[str, Any]] = {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {}
        for student, _ in students:
            for lab in labs:
                folder, seed = handins / student / lab.number, variants.seed_of(student, secret)
                key, state = f"{student} {lab.number}", _print_of(lab, folder, seed)
                if key in kept and kept[key]["state"] == state and not failed(kept[key]):
                    marks[key] = kept[key]
                else:
                    waiting[pool.submit(_one, student, lab, folder, seed)] = key, state
        for done in concurrent.futures.as_completed(waiting):
            key, state = waiting[done]
            marks[key] = {**done.result(), "state": state}
            new = kept_in.with_suffix(".new")
            new.write_text(json.dumps({**kept, **marks}, indent=1))
            new.replace(kept_in)
    order = [marks[f"{student} {lab.number}"] for student, _ in students for lab in labs]
    _write(sheet, students, labs, marks)
    return order


def _write(sheet: pathlib.Path, students: list[tuple[str, str]], labs: list[catalogue.Lab], marks: dict[str, Any]) -> None:
    with open(sheet.with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "name", *(f"lab {lab.number}" for lab in labs), "points", "of"])
        for student, name in students:
            own = [marks[f"{student} {lab.number}"] for lab in labs]
            table.writerow([student, name, *(mark["points"] for mark in own), sum(mark["points"] for mark in own),
                            sum(mark["total"] for mark in own)])
    rows = []
    for student, name in students:
        cells = []
        for lab in labs:
            mark = marks[f"{student} {lab.number}"]
            share = round(100 * mark["points"] / mark["total"]) if mark["total"] else 0
            said = dict.fromkeys(said for part in mark["parts"] for said in part["said"])     # a law may say it for another
            why = "".join(f"<p>{html.escape(one)}</p>" for one in ([mark["refused"]] if mark["refused"] else said))
            short = (f"{mark['points']}/{mark['total']} "
                     f"<span class=\"bar\"><i style=\"width:{share}%\"></i></span>")
            cells.append(f"<td><details><summary>{short}</summary>{why}</details></td>" if why else f"<td>{short}</td>")
        own = [marks[f"{student} {lab.number}"] for lab in labs]
        cells.append(f"<td>{sum(mark['points'] for mark in own)}/{sum(mark['total'] for mark in own)}</td>")
        rows.append(f"<tr><th scope=\"row\">{html.escape(student)}</th><td>{html.escape(name)}</td>{''.join(cells)}</tr>")
    heads = "".join(f"<th scope=\"col\">{lab.number} {html.escape(lab.title)}</th>" for lab in labs)
    sheet.with_suffix(".html").write_text(
        f"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
        f"<meta name=\"viewport\" content=\"width=device-width\"><title>Marks</title><style>{STYLE}</style><h1>Marks</h1>"
        f"<table><tr><th scope=\"col\">id</th><th scope=\"col\">name</th>{heads}<th scope=\"col\">all</th></tr>"
        f"{''.join(rows)}</table></html>\n", encoding="utf-8")

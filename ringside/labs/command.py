"""The labs: break it, find it, mend it.

    ringside lab list                       all labs, with what you have begun and your points
    ringside lab start 04                   the broken program, in build/labs/04, for you to mend
    ringside lab grade 04                   what your hand-in is worth, law by law
    ringside lab grade 04 --image FILE      the same of a floppy alone: laws, no questions
    ringside lab refute 45 2c               the run that speaks against choice c of question 2
    ringside lab solution 04                what was broken (for teachers)
    ringside lab class roster.csv HANDINS   a class: marks.csv, marks.html, marks.json
    ringside lab page                       into build/web: the labs that the page can check, for yourself

With --student ID every number differs from student to student; that needs the secret of the course, in the file
that RINGPONG_COURSE names. Without it you grade yourself, on the program as it is in the repository.
"""

import argparse
import json
import os
import pathlib
import sys

from ringside.emulators.machines import BUILD
from ringside.labs import catalogue, classroom, grade, page, patches, refute, trees, variants

SECRET_FILE = "RINGPONG_COURSE"
SHORTEST_SECRET = 16


class Usage(Exception):
    """What the user has to do otherwise."""


def secret() -> bytes:
    name = os.environ.get(SECRET_FILE)
    if not name:
        raise Usage(f"there is no course: set {SECRET_FILE} to the name of a file with its secret "
                    f"(head -c 32 /dev/urandom | base64 > course.secret makes one)")
    try:
        found = pathlib.Path(name).read_bytes().strip()
    except OSError as error:
        raise Usage(f"{SECRET_FILE}: {name}: {error.strerror}") from None
    if len(found) < SHORTEST_SECRET:
        raise Usage(f"{name}: the secret has {len(found)} bytes; it must have {SHORTEST_SECRET} or more")
    return found


def _seed(student: str | None) -> int:
    return variants.seed_of(student, secret()) if student else 0


def _folder(lab: catalogue.Lab, given: str | None) -> pathlib.Path:
    return pathlib.Path(given) if given else BUILD / "labs" / lab.number


def _mark(lab: catalogue.Lab) -> pathlib.Path:
    return BUILD / "labs" / f"{lab.number}.json"


def _list(arguments: argparse.Namespace) -> int:
    for lab in catalogue.all_labs():
        mark = _mark(lab)
        state = f"{json.loads(mark.read_text())['points']:>2}" if mark.exists() else " -"
        begun = "begun" if _folder(lab, None).exists() else ""
        print(f"{lab.number}  {state} of {lab.total:<2}  {lab.minutes:>3} min  {lab.kind:<8} {lab.program:<8} "
              f"{lab.title:<42} {begun}".rstrip())
    return 0


def _start(arguments: argparse.Namespace) -> int:
    lab = catalogue.lab(arguments.lab)
    folder = _folder(lab, arguments.folder)
    if folder.exists() and any(folder.iterdir()):
        raise Usage(f"{folder} is not empty: your work may be in it. Move it away, or give --folder another")
    seed = _seed(arguments.student)
    folder.mkdir(parents=True, exist_ok=True)
    trees.start(lab, seed, folder)
    print(f"{folder} holds lab {lab.number}, {lab.title}. Begin with {folder}/README.md")
    if lab.attack:
        print(f"your number: {variants.number_of(seed)}")
    print(f"to hand in: {', '.join(lab.hand_in())}")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    lab = catalogue.lab(arguments.lab)
    seed = _seed(arguments.student)
    if arguments.image:
        result = grade.grade_image(lab, pathlib.Path(arguments.image), seed)
    else:
        folder = _folder(lab, arguments.folder)
        if not folder.is_dir():
            raise Usage(f"{folder} is not there: ringside lab start {lab.number} makes it")
        result = grade.grade(lab, folder, seed)
        if not arguments.folder and not arguments.student:
            _mark(lab).write_text(json.dumps(result.data()))
    print(json.dumps(result.data(), indent=1) if arguments.json else "\n".join(result.lines()))
    return 0 if result.points == result.total else 1


def _refute(arguments: argparse.Namespace) -> int:
    lab, given = catalogue.lab(arguments.lab), arguments.choice.lower()
    numbered = {str(number): question for number, question in enumerate(lab.questions, 1) if question.choices}
    if given[:-1] not in numbered:
        raise Usage(f"lab {lab.number} has no choice \"{arguments.choice}\": a question's number and a letter, as 2c")
    question = numbered[given[:-1]]
    choice = refute.place(question, given[-1])
    if choice == question.answer:
        raise Usage(f"nothing speaks against {given}")
    print(f"{lab.number}, {given}: {choice}?\n  {question.because[question.choices.index(choice)]}")
    told = next(run for run in lab.runs if run["name"] == question.refuted[choice][0])
    print(f"the run: {refute.words(lab, told)}")
    print(f"  {refute.shown(lab, question, choice)}")
    return 0


def _solution(arguments: argparse.Namespace) -> int:
    lab = catalogue.lab(arguments.lab)
    for change in [*patches.backwards(lab.changes()), *lab.built()]:
        print(f"--- {change.file}: in place of\n{change.before.rstrip()}\n+++ there must be\n{change.after.rstrip()}\n")
    for number, question in enumerate(lab.questions, 1):
        print(f"{number}: {question.answer}")
    return 0


def _class(arguments: argparse.Namespace) -> int:
    labs = [catalogue.lab(number) for number in arguments.labs.split(",")] if arguments.labs else catalogue.all_labs()
    for name in classroom.strangers(pathlib.Path(arguments.roster), pathlib.Path(arguments.handins)):
        print(f"ringside lab: {arguments.handins}/{name} is no student's of {arguments.roster}, and is not graded: "
              "rename the folder, or add a line to the roster", file=sys.stderr)
    marks = classroom.grade_class(pathlib.Path(arguments.roster), pathlib.Path(arguments.handins), secret(),
                                  pathlib.Path(arguments.sheet), labs)
    for mark in filter(classroom.failed, marks):
        print(f"ringside lab: {mark['student']}, lab {mark['lab']}: {mark['refused']}. That is no mark: run it again",
              file=sys.stderr)
    print(f"{len(marks)} marks, in {pathlib.Path(arguments.sheet).with_suffix('.csv')}, .html and .json")
    return 0


def _page(arguments: argparse.Namespace) -> int:
    folder = BUILD / "web"
    if not (folder / "index.html").exists():
        raise Usage(f"{folder} has no page: make web makes it")
    count = page.write(folder)
    print(f"lab: build/web/labs.html, {count} labs")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/ringside lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all labs").set_defaults(run=_list)
    for name, run, what in (("start", _start, "begin a lab"), ("grade", _grade, "grade a hand-in"),
                            ("solution", _solution, "what was broken")):
        one = commands.add_parser(name, help=what)
        one.add_argument("lab", help="its number")
        one.set_defaults(run=run)
        if name == "solution":
            continue
        one.add_argument("--student", help="an id: the numbers of this student")
        one.add_argument("--folder", help="where (build/labs/NUMBER)")
        if name == "grade":
            one.add_argument("--image", help="a floppy in place of sources")
            one.add_argument("--json", action="store_true", help="the result as JSON")
    one = commands.add_parser("refute", help="the run that speaks against a choice")
    one.add_argument("lab", help="its number")
    one.add_argument("choice", help="a question's number and a letter: 2c")
    one.set_defaults(run=_refute)
    commands.add_parser("page", help="labs for the page").set_defaults(run=_page)
    whole = commands.add_parser("class", help="grade a class")
    whole.add_argument("roster", help="id,name for each student")
    whole.add_argument("handins", help="a folder ID/LAB/ for each hand-in")
    whole.add_argument("--labs", help="their numbers, with commas (all)")
    whole.add_argument("--sheet", default="build/labs/marks", help="where the marks go (build/labs/marks)")
    whole.set_defaults(run=_class)
    return parser


def main(words: list[str]) -> int:
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except (Usage, catalogue.NoLab, classroom.NoClass, refute.Untrue) as reason:
        print(f"ringside lab: {reason}", file=sys.stderr)
        return 2

"""Labs: each page whole, each defect one that its lab's laws see, each hand-in that is none refused with a sentence.

make test grades one hand-in of the day; make test-labs all of them, and the cheats (some seven minutes of CPU time).
"""

import os
import pathlib
import re
import subprocess
import time

import pytest

from ringside.emulators import machines
from ringside.labs import catalogue, classroom, command, facts, floppy, grade, handin, objects, spaces, trees, variants
from ringside.labs.grade import REST
from ringside.laws import beginning, probe
from tests import labs

DAY, SEEDS, ALL = labs.DAY, labs.SEEDS, labs.ALL
LABS, BY_NUMBER = labs.LABS, labs.BY_NUMBER
FEWEST = 30
HINTS = 3

builds, all_only, sentences = labs.builds, labs.all_only, labs.sentences


# ---- the catalogue

def test_there_are_labs_enough_of_every_kind_and_over_every_program():
    assert len(LABS) >= FEWEST
    assert len(BY_NUMBER) == len(LABS), "two labs have the same number"
    assert {lab.kind for lab in LABS} == set(catalogue.KINDS)
    assert {lab.program for lab in LABS} >= set("p_proc kstack userctx timer hwtask fncall paged callgate sysenter".split())


@pytest.mark.parametrize("page, what", [("README.md", " labs,"), ("README.zh-TW.md", " 個實驗"),
                                        ("CHANGES.md", " programs to read")])
def test_a_page_that_counts_the_labs_counts_them_all(page, what):
    assert f"{len(LABS)}{what}" in (trees.ROOT / page).read_text()


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.number)
def test_a_page_has_all_its_parts(lab):
    page, words = lab.page(), " ".join(lab.page().split())
    assert page.startswith(f"# Lab {lab.number}: {lab.title}\n")
    for part in ("**What you see.**", "**What you hand in.**", "**What it teaches.**", f"About {lab.minutes} minutes."):
        assert part in words
    assert re.findall(r"^<details><summary>(.*)</summary>$", page, re.M) == [f"Hint {n}" for n in range(1, HINTS + 1)]
    chapter = re.search(r"`(docs/book/en/[\w-]+\.md)`", words)
    assert chapter and (trees.ROOT / chapter[1]).exists()
    names = lab.hand_in()
    assert names and [name for name in names if f"`{name}`" not in page] == []
    assert lab.total == 10
    # More than a sentence would tell what is broken.
    assert len(page.partition("**What you see.**")[0].splitlines()) <= 12


@pytest.mark.sample(8)
@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.number)
def test_a_defect_fits_every_students_tree_and_lies_in_the_files_that_are_handed_in(lab):
    for seed in SEEDS:
        whole, solved = labs.whole(seed), labs.solved(lab, seed)
        broken = trees.changed(whole, lab.changes())
        changed = {name for name in solved if solved[name] != broken[name]}
        if lab.files:
            assert changed and changed <= set(lab.files), seed
        for wrong in lab.wrong:
            labs.wrongly(lab, wrong, seed)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.number)
def test_a_lab_names_laws_and_two_repairs_that_do_not_hold_or_refutes_each_wrong_choice(lab):
    assert set(lab.points) <= set(grade.LAWS)
    if lab.files:
        assert len(lab.wrong) >= 2
        for wrong in lab.wrong:
            assert set(wrong["loses"]) <= set(lab.points) and set(labs.wrongly(lab, wrong)) <= set(lab.files)
    for question in lab.questions:
        if question.choices:
            assert question.answer in question.choices and len(set(question.choices)) >= 3
            assert [bool(because) for because in question.because] == [
                choice != question.answer for choice in question.choices]


def test_what_is_not_well_formed_is_said(tmp_path):
    folder = tmp_path / "99-x"
    folder.mkdir()
    for text, words in (("kind = 'play'\ntitle = 'x'\n", "kind is play"), ("[[edit", "TOMLDecodeError"),
                        ("colour = 1", "unknown keys colour"), ("kind = 'find'", "'title'")):
        (folder / "lab.toml").write_text(text)
        with pytest.raises(catalogue.NoLab, match=words):
            catalogue.load(folder)


def test_whoever_loses_a_law_is_told_where_to_look():
    assert set(grade.LOOK) >= {law for lab in LABS for law in lab.points} - {REST, "X1"}
    for step, chapter in grade.LOOK.values():
        assert step and (trees.ROOT / f"docs/book/en/{chapter}.md").exists()
    lost, kept = (grade.Part("R1", "", 2, got, ("bochs: ...",)) for got in (0, 2))
    assert "08-the-switch" in lost.look and not kept.look
    assert lost.look in "\n".join(grade.Result("04", (lost,), "").lines())
    assert lost._replace(program="callgate").look == ("look at the pushes behind the lcall, and the pops before the lret "
                                                      "(make record PROG=callgate; docs/book/en/08-the-switch.md)")


def test_what_was_not_run_shows_nowhere_to_look():
    refused = grade._nothing(BY_NUMBER["49"], "it does not build: ...")
    assert len(refused.lines()) == 2 + len(refused.parts)


# ---- variants

def test_students_trees_differ_and_one_tree_is_always_the_same():
    secret = b"a secret of this course"
    seeds = [variants.seed_of(student, secret) for student in ("ann", "bob")]
    assert seeds[0] != seeds[1]
    trees_of = [trees.whole(seed) for seed in (*seeds, seeds[0])]
    assert trees_of[0] == trees_of[2] != trees_of[1]
    assert variants.seed_of("ann", b"a secret of another course") != seeds[0]


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_ring_0s_segments_have_one_order_in_a_students_tree_with_pages_and_without(seed):
    """What has pages includes the other file as well; and it starts with a table whose rows have no names."""
    tree = labs.whole(seed)
    flat = tree["ring0/flat_segments.h"].decode()
    names = variants.NAME.findall(tree["ring0/segments.h"].decode())
    assert variants.NAME.findall(flat.partition("FLAT_RING3_SEGMENTS")[0]) == names
    start = flat.partition("\nstart_gdt:")[2].partition("start_gdt_end:")[0]
    placed = re.findall(r"# (RING0_\w+)|(SCREEN_BYTES)|\.quad\t(0)$", start, re.M)[1:]
    short = {"RING0_CODE": "RING0_CODE", "RING0_DATA": "RING0_DATA", "RING0_SCREEN": "SCREEN_BYTES"}
    assert ["".join(found) for found in placed] == [short.get(name, "0") for name in names]


@builds
@pytest.mark.parametrize("program", ["sysenter", "userctx"])
def test_ring_3_finds_its_data_whatever_the_order_of_a_frames_words(program, place):
    """Those two have a frame of their own. Bochs refuses what is read through a ds of 0, and QEMU does not."""
    seed = next(seed for seed in range(1, 100) if "uint16_t ds" not in (text := labs.whole(seed)["ring0/frame.h"].decode())
                and "uint16_t gs" not in text)
    options = ["cpu: model=p3_katmai, count=1, ips=1000000"] if program == "sysenter" else []
    log = machines.bochs(["s 2000000"] * 2, labs.built(trees.whole(seed), place, program), magic=False, options=options).log
    assert any(line.startswith("switch n=4 ") for line in log) and not [line for line in log if line.startswith("fault")]


def test_who_begins_an_attack_finds_the_number_where_the_code_is_to_be(tmp_path):
    for seed in (0, 5):
        trees.start(BY_NUMBER["34"], seed, tmp_path / str(seed))
        assert f"Your number: {variants.number_of(seed)}\n" in (tmp_path / str(seed) / "exploit.s").read_text()


@pytest.mark.parametrize("words", [["sh", "scripts/mkfloppy", "--help"], ["scripts/ringside", "--version"],
                                   ["scripts/run", "--help"]], ids=lambda words: words[-2].rpartition("/")[2])
def test_what_a_page_names_can_be_called_in_a_students_tree(words, tmp_path):
    trees.start(BY_NUMBER["35"], 0, tmp_path)
    assert subprocess.run(["sh", "-c", " ".join(words)], cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("words, said", [
    (["lab", "grade", "35"], "ringside: this tree is a lab's, and has no lab: go where you began the lab, and say it there\n"),
    (["record", "--from", "gate"], "p_proc.elf: it is built by: make\n")], ids=["labs", "nothing is built"])
def test_a_students_tree_says_what_cannot_be_done_in_it(words, said, tmp_path):
    trees.start(BY_NUMBER["35"], 0, tmp_path)
    asked = subprocess.run(["scripts/ringside", *words], cwd=tmp_path, capture_output=True, text=True)
    assert asked.returncode and asked.stderr.endswith(said) and "Traceback" not in asked.stderr


# ---- what is no hand-in

def spoilt(folder, name, how):
    path = folder / name
    if how == "missing":
        path.unlink()
    elif how == "huge":
        with open(path, "wb") as file:
            file.truncate(10 << 30)
    elif how == "link":
        path.unlink()
        path.symlink_to("/etc/passwd")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        path.write_bytes(how)


@pytest.mark.parametrize("how, words", [
    ("missing", "is not there: hand it in"), ("huge", "has 10737418240 bytes; 262144 are allowed"),
    ("link", "no link"), ("folder", "no plain file"), ("pipe", "no plain file"), (b"\x7fELF\0\0\0", "is no text"),
    (b"\xff\xff\xff", "is no text"), (b"int x;\r\n", "Windows line ends"), (b"\xef\xbb\xbfint x;\n", "byte order mark"),
    (b'\t.incbin "/etc/passwd"\n', "incbin would read a file from elsewhere"),
    (b'asm(". incbin \\"x\\"");\n', "from elsewhere"), (b'#include "/etc/passwd"\n', "from elsewhere"),
    (b'#include "../../secret"\n', "from elsewhere"), (b"#include </etc/passwd>\n", "from elsewhere"),
    (b"#define X </etc/passwd>\n#include X\n", "from elsewhere"), (b"#embed <x>\n", "from elsewhere")],
    ids="missing huge link folder pipe binary no-utf-8 CRLF BOM incbin spaced absolute dots angle macro embed".split())
def test_what_is_no_hand_in_gets_no_point_and_a_sentence(how, words, tmp_path):
    lab = BY_NUMBER["04"]
    labs.hand_in(tmp_path, lab, trees.whole(0))
    spoilt(tmp_path, "switch.c", how)
    result = grade.grade(lab, tmp_path, 0)
    assert (result.points, result.total) == (0, 10)
    assert words in result.refused


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    lab = next(lab for lab in LABS if "ring0/tables.h" in lab.files)
    (tmp_path / "ring0").symlink_to(trees.ROOT / "ring0")
    assert "ring0 is a link" in grade.grade(lab, tmp_path, 0).refused


def test_nothing_but_the_labs_files_is_taken(tmp_path):
    lab = BY_NUMBER["04"]
    labs.hand_in(tmp_path, lab, trees.whole(0), {"Makefile": "$(shell touch /tmp/x)", "ring0/program.ld": "", "bochsrc": ""})
    assert set(handin.collect(lab, tmp_path)) == {"switch.c"}


@pytest.mark.parametrize("words, said", [(["grade", "99"], "there is no lab 99"), (["start", "x"], "there is no lab x"),
                                         (["grade", "04", "--student", "ann"], "there is no course")])
def test_a_command_that_cannot_be_says_what_to_do(words, said, monkeypatch, capsys):
    monkeypatch.delenv(command.SECRET_FILE, raising=False)
    try:
        assert command.main(words)
    except SystemExit as end:
        assert end.code
        print(end.code)
    out = capsys.readouterr()
    assert said in out.out + out.err


@pytest.mark.parametrize("secret, said", [(None, "No such file"), ("short", "it must have 16 or more")])
def test_a_secret_that_is_none_is_said(secret, said, monkeypatch, tmp_path):
    if secret:
        (tmp_path / "secret").write_text(secret)
    monkeypatch.setenv(command.SECRET_FILE, str(tmp_path / "secret"))
    with pytest.raises(command.Usage, match=said):
        command.secret()


@pytest.mark.parametrize("text, said", [(None, "is not there"), ("id,name\n", "names no student"), ("a/b,Ann\n", "cannot be"),
                                        ("..,Ann\n", "cannot be"), ("ann,Ann\nann,Bob\n", "names ann twice")])
def test_a_roster_that_is_none_is_said(text, said, tmp_path):
    if text is not None:
        (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(classroom.NoClass, match=said):
        classroom.read_roster(tmp_path / "roster.csv")


def test_a_hand_in_of_no_student_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "roster.csv").write_text("id,name\nann,Ann\n")
    for name in ("ann", "anne"):
        (tmp_path / "handins" / name).mkdir(parents=True)
    (tmp_path / "secret").write_text("a secret of this course")
    monkeypatch.setenv(command.SECRET_FILE, str(tmp_path / "secret"))
    words = [str(tmp_path / "roster.csv"), str(tmp_path / "handins"), "--labs", "45", "--sheet", str(tmp_path / "marks")]
    assert command.main(["class", *words]) == 0
    said = capsys.readouterr().err
    assert "handins/anne is no student's of" in said and "handins/ann is" not in said


# ---- a class: labs of questions alone need no build

def test_a_class_is_graded_goes_on_after_a_kill_and_one_hand_in_that_breaks_costs_its_own_mark(tmp_path, monkeypatch):
    chosen = [BY_NUMBER["45"], BY_NUMBER["47"]]
    (tmp_path / "roster.csv").write_text("id,name\nann,Ann\nbob,Bob <b>\ncy,Cy\n")
    for student in ("ann", "bob"):
        for lab in chosen:
            folder = tmp_path / "handins" / student / lab.number
            folder.mkdir(parents=True)
            (folder / catalogue.ANSWERS).write_text(labs.answers(lab))
    secret, sheet = b"a secret of this course", tmp_path / "marks"
    graded = []
    honest = grade.grade

    def counted(lab, folder, seed):
        graded.append((folder.parent.name, lab.number))
        if (folder.parent.name, lab.number) == ("bob", "45"):
            raise ZeroDivisionError("what a hand-in may do to a grader")
        return honest(lab, folder, seed)

    monkeypatch.setattr(grade, "grade", counted)
    marks = classroom.grade_class(tmp_path / "roster.csv", tmp_path / "handins", secret, sheet, chosen)
    assert [mark["points"] for mark in marks] == [10, 10, 0, 10, 0, 0]
    assert "the grader failed with it" in marks[2]["refused"] and "hand in" in marks[4]["refused"]
    assert sheet.with_suffix(".csv").read_text().splitlines()[1] == "ann,Ann,10,10,20,20"
    assert "Bob &lt;b&gt;" in sheet.with_suffix(".html").read_text()
    assert len(graded) == 6

    graded.clear()
    (tmp_path / "handins/ann/45" / catalogue.ANSWERS).write_text("1: b\n2: a\n3: a\n")
    again = classroom.grade_class(tmp_path / "roster.csv", tmp_path / "handins", secret, sheet, chosen)
    assert sorted(graded) == [("ann", "45"), ("bob", "45")], "only what has changed is graded again, and where a grader failed"
    assert [mark["points"] for mark in again] == [5, 10, 0, 10, 0, 0]


@builds
def test_a_grade_removes_what_a_killed_class_has_left_and_nothing_of_a_living_one(tmp_path):
    lab, folders = BY_NUMBER["04"], pathlib.Path(handin.FOLDERS)
    (tmp_path / "roster.csv").write_text("id,name\nann,Ann\n")
    (tmp_path / "handins/ann").mkdir(parents=True)
    labs.hand_in(tmp_path / "handins/ann/04", lab, trees.whole(0))
    (tmp_path / "secret").write_text("a secret of this course")
    words = ["class", tmp_path / "roster.csv", tmp_path / "handins", "--labs", "04", "--sheet", tmp_path / "marks"]
    with subprocess.Popen([trees.ROOT / "scripts/ringside", "lab", *words],
                          env={**os.environ, command.SECRET_FILE: str(tmp_path / "secret")}) as running:
        while not (left := list(folders.glob(f"rp-lab-{running.pid}-*"))):
            assert running.poll() is None
            time.sleep(0.05)
        with handin.workplace():
            assert left[0].exists(), "its process lives"
        running.kill()
    assert left[0].exists()
    with handin.workplace() as one, handin.workplace() as other:
        assert one.exists() and other.exists() and not left[0].exists()
    assert not one.exists()


def test_a_folder_of_another_student_is_no_hand_in(tmp_path):
    lab = BY_NUMBER["45"]
    for student in ("ann", "bob"):
        (tmp_path / student).mkdir()
    labs.hand_in(tmp_path / "ann/45", lab, {})
    (tmp_path / "bob/45").symlink_to(tmp_path / "ann/45")
    (tmp_path / "cy").symlink_to(tmp_path / "ann")
    marks = [classroom._one(student, lab, tmp_path / student / "45", 1) for student in ("ann", "bob", "cy")]
    assert [mark["points"] for mark in marks] == [10, 0, 0]
    assert "is a link" in marks[1]["refused"] and "is a link" in marks[2]["refused"]


# ---- grades

WORKSHOP = labs.Workshop()


@pytest.fixture
def workshop(monkeypatch):
    """Builds and probes each thing once, for the tests that ask for it."""
    WORKSHOP.stands_in(monkeypatch)


SILENT = re.compile(r"\*\*What you see\.\*\* (A healthy game|Nothing)")


def nothing_is_seen(image):
    """As the lab's page says of its broken tree."""
    with machines.Qemu(image) as machine:
        machine.wait_log("switch n=1 ")
        machine.key("f")
        machine.wait_log("switch n=64 ")
        assert not re.search("^(fault|panic|end|halt) ", "\n".join(machine.log()), re.M)


def trial(lab, kind, place, seed=labs.SEED):
    """Grades a hand-in: "whole", "broken", or the number of a wrong repair. What must be true of it."""
    upon = lab.wrong[kind].get("upon") if isinstance(kind, int) else kind
    tree = trees.broken(lab, seed) if upon == "broken" else labs.solved(lab, seed)
    others = labs.wrongly(lab, lab.wrong[kind], seed) if isinstance(kind, int) else {}
    values = None
    if any(not question.choices for question in lab.questions):
        seen = facts.of(labs.built(trees.broken(lab, seed), place, lab.program))
        values = {question.answer: facts.value(seen, question.answer) for question in lab.questions}
    WORKSHOP.enough = lab.wrong[kind]["loses"] if isinstance(kind, int) else None
    result = grade.grade(lab, labs.hand_in(place / "handin", lab, tree, others, values), seed)
    lost = {part.name for part in result.parts if part.got < part.points}
    if kind == "whole":
        assert result.points == result.total, sentences(result)
    elif kind == "broken":
        assert lost == ({"X2", REST} if lab.attack else set(lab.points)), sentences(result)
        if SILENT.search(lab.page()):
            nothing_is_seen(labs.built(tree, place, lab.program))
    else:
        assert lost and (result.refused or set(lab.wrong[kind]["loses"]) <= lost), sentences(result)


TRIALS = [(lab, kind) for lab in LABS for kind in ("whole", *(("broken", *range(len(lab.wrong))) if lab.files else ()))]


def id_of(value):
    return value.number if isinstance(value, catalogue.Lab) else str(value)


@builds
def test_a_hand_in_of_the_day(place):
    lab, kind = DAY.choice([(lab, kind) for lab, kind in TRIALS if lab.files and not lab.attack])
    trial(lab, kind, place)


@all_only
@builds
@pytest.mark.parametrize("lab, kind", [     # of a program the tree that is right is tried by one worker, and once
    pytest.param(lab, kind, marks=pytest.mark.xdist_group(f"{lab.program} whole") if kind == "whole" else ())
    for lab, kind in TRIALS], ids=id_of)
def test_whole_trees_get_all_points_and_broken_or_badly_mended_ones_lose_them(lab, kind, place, workshop):
    trial(lab, kind, place)


# ---- address spaces, as their tables say them

def space_with(cr3, *others):
    """A space as lab 49 wants it, and what is other there: {page: (leads to, rights)}, all of it U without "ring 0"."""
    made = spaces._Space.__new__(spaces._Space)
    made.cr3, made.tables, made.wp = cr3, {cr3, cr3 + 0x1000}, False
    made.ring_0, made.handlers = {0xffff1000: "the handler of vector 0x30"}, {0xffff1000}
    made.pages = {0x08048000: (0x23000, 5), 0x08049000: (cr3 + 0x3000, 7), 0x0804d000: (cr3 + 0x4000, 7),
                  0x0804f000: (cr3 + 0x5000, 7), 0xffff1000: (0x11000, 1), 0xffff7000: (0x17000, 3)}
    made.pages.update(others)
    return made


@pytest.mark.parametrize("other, laws", [
    ([], []), ([(0xffff7000, (0x18000, 3))], ["M2"]), ([(0xfffef000, (0xb8000, 3))], ["M2"]),
    ([(0x0804d000, (0x33000, 7))], ["M4"]), ([(0x0804d000, (0x23000, 7))], ["M4"]),
    ([(0x08049000, (0x27000, 7))], ["M4"]), ([(0x08049000, (0x28000, 7))], ["M4"]), ([(0x08049000, (0x11000, 7))], ["M3"]),
    ([(0x08049000, (0x30000, 7))], ["M3"]), ([(0x08048000, (0x23000, 7))], ["M4", "M5"]),
    ([(0xffff1000, (0x11000, 3))], ["M2"]),
    ([(0x0804e000, (0x39000, 7))], ["M1"]), ([(0x0804d000, (0x34000, 5))], ["M1"]), ([(0xffff7000, (0x17000, 7))], ["M2", "M3"]),
], ids=lambda value: "+".join(value) if value and isinstance(value[0], str) else "")
def test_what_the_tables_say_is_held_against_each_law_of_spaces(other, laws):
    tried = spaces.Spaces("bochs", pathlib.Path(), spaces.listed(BY_NUMBER["49"].pages))
    both = space_with(0x24000), space_with(0x30000, *other)
    for space in both:
        tried._holds(space)
    tried._apart(*both)
    tried._apart(*reversed(both))
    assert sorted(finding.law for finding in tried.findings) == laws


# ---- what a grade builds

@builds
def test_a_floppy_of_one_program_is_what_mkfloppy_makes(tmp_path):
    com = tmp_path / "p_proc.com"
    com.write_bytes(trees.ROOT.joinpath("build/p_proc.com").read_bytes())
    (tmp_path / "boot.bin").write_bytes(trees.ROOT.joinpath("build/boot.bin").read_bytes())
    lines = [line for line in (trees.ROOT / "floppy.img.in").read_text().splitlines() if not line.startswith("file")]
    (tmp_path / "floppy.img.in").write_text("\n".join([*lines, "file P_PROC.COM p_proc.com\n"]))
    made = ["sh", str(trees.ROOT / "scripts/mkfloppy"), str(tmp_path / "floppy.img.in"), str(tmp_path / "floppy.img")]
    subprocess.run(made, check=True)
    assert floppy.that_starts(com.read_bytes()) == (tmp_path / "floppy.img").read_bytes()


@pytest.mark.long
@builds
def test_nothing_that_a_stranger_had_a_part_in_is_kept_and_all_else_is_as_if_made_anew(place, monkeypatch):
    """A header that is handed in has objects made again, and what they are made of is not what others get."""
    monkeypatch.setattr(objects, "FOLDER", place / "objects")
    own = trees.whole(0)
    honest = handin.build(own, place / "tree", "p_proc", own).read_bytes()
    assert honest == floppy.that_starts((trees.ROOT / "build/p_proc.com").read_bytes())
    kept = {path: path.read_bytes() for path in (place / "objects").iterdir()}
    assert honest == handin.build(own, place / "tree", "p_proc", own).read_bytes()
    assert honest == handin.build(own, place / "tree").read_bytes()
    text = own["ring0/frame.h"].replace(b"4 + 2 + 12", b"4 + 2 + 13")
    strange = {**own, "ring0/frame.h": text}
    other = handin.build(strange, place / "tree", "p_proc", own).read_bytes()
    assert other != honest and other == handin.build(strange, place / "tree").read_bytes()
    assert kept == {path: path.read_bytes() for path in (place / "objects").iterdir()}


# ---- what a hand-in cannot reach

@builds
def test_a_build_sees_the_tools_the_tree_and_nothing_else(place):
    def in_jail(*command):
        return subprocess.run([*handin._jail(place, handin.OUTSIDERS), *command], capture_output=True, text=True, timeout=20,
                              env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    (place / "mine").write_text("x")
    assert set(in_jail("ls", "/").stdout.split()) <= {*"bin sbin lib lib32 lib64 libx32 usr etc dev proc tmp tree".split()}
    assert in_jail("cat", "mine").stdout == "x" and in_jail("ls", "/tmp").stdout == ""
    assert in_jail("cat", "/etc/passwd").returncode and in_jail("cat", str(trees.ROOT / "Makefile")).returncode
    assert in_jail("id", "-u").stdout.strip() == str(handin.OUTSIDERS)
    assert "lo" in in_jail("cat", "/proc/net/dev").stdout and "eth" not in in_jail("cat", "/proc/net/dev").stdout
    for path in ("/usr/x", "/x"):
        assert in_jail("touch", path).returncode


@builds
def test_one_build_that_runs_wild_leaves_others_what_they_need(place):
    """Linux counts the processes of a user, and two hand-ins are graded at once."""
    users = {handin._outsider() for _ in range(8)}
    assert len(users) == 8 and min(users) >= handin.OUTSIDERS


def test_both_emulators_are_asked_unless_nothing_comes_back(monkeypatch, tmp_path):
    asked = []

    class Told:
        findings: list[probe.Finding] = []

        def __init__(self, name, *_):
            asked.append(name)

        def run(self):
            return self.findings

    monkeypatch.setattr(beginning, "first_of_ring_3", lambda image, model="": 0)
    monkeypatch.setattr(probe, "Probe", Told)
    assert grade._probed(BY_NUMBER["04"], tmp_path, 0) == [] and asked == ["bochs", "qemu"]
    Told.findings = [probe.Finding("H1", "it hangs", 1)]
    assert [name for name, _ in grade._probed(BY_NUMBER["04"], tmp_path, 0)] == ["bochs"]


def test_a_program_that_never_reaches_ring_3_is_a_sentence_in_an_attack_lab_as_well(monkeypatch, tmp_path):
    """Its exploit is tried behind the laws: both may find that ring 3 is not there."""
    lab = BY_NUMBER["13"]
    monkeypatch.setattr(handin, "build", lambda *_: tmp_path / "floppy.img")
    monkeypatch.setattr(grade, "_laws", lambda *_: [])

    def never(image, model=""):
        raise beginning.NoRing3("it halts")

    monkeypatch.setattr(beginning, "first_of_ring_3", never)
    result = grade.grade(lab, labs.hand_in(tmp_path / "handin", lab, trees.whole(0)), 0)
    assert (result.points, result.refused) == (0, "ring 3 is never reached: it halts")

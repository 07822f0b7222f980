"""The tour shows what was recorded, and docs/tour.md agrees with runs."""

import copy
import datetime
import json
import os
import pathlib
import pty
import re
import subprocess

import pytest

from ringside.emulators import registers
from ringside.emulators import machines
from ringside.emulators.machines import BASE, BUILD, ROOT

from ringside.pages import claims, docs, tour
from ringside.recorder import recording

STOPS = ["ckpt_frames", "ckpt_tss", "ckpt_iret", "ckpt_int", "ckpt_switched"]
WORDS = [name.replace("pusha_esp", "(esp)") for name in registers.FRAME_WORDS]
PAGES = docs.all_pages()
COSTS = ROOT / "docs/costs.md"  # each design is stepped, in both emulators
SAMPLE = "06", "README"  # of the book, in make test; make test-book checks all of it
PAGES_OF_THE_DAY = [page for page in PAGES if page.parent == COSTS.parent and page != COSTS][
    datetime.date.today().toordinal() % 3::3]
BLOCK = re.compile(r"<!-- run: .*?<!-- end -->", re.S)
ROW = re.compile(r"([0-9a-f]{8}) ([│║]) ([0-9a-f]{8}) [│║] (\S+)(?: *◀─ (\S.*?))?(?=  |$)", re.M)
TOP = re.compile(r"([0-9a-f]{8}) ┌──────────┐ ◀─ (\S.*?)(?=  |$)", re.M)


def run(*command, env=None, timeout=60):
    return subprocess.run([str(word) for word in machines.by_name(command)], cwd=ROOT, env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def recorded():
    """What the tour records."""
    return tour.own_recording()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Writes a recording, whatever it is, to a file."""
    def write(content):
        path = tmp_path_factory.mktemp("tour") / "recording.json"
        if isinstance(content, str):
            path.write_text(content)
        else:
            recording.save(content, path)
        return path
    return write


@pytest.fixture(scope="module")
def shown(recorded, recordings):
    """What the tour says to it, stop by stop."""
    return stops(run("scripts/ringside", "tour", "--recording", recordings(recorded)))


def stops(tour):
    """Sections of each stop: {stop: {heading: text}}."""
    assert tour.returncode == 0, tour.stderr
    found = {}
    for part in re.split(r"^━━ ", tour.stdout, flags=re.M)[1:]:
        heads = re.split(r"^(\S.*)$", part.partition("\n")[2], flags=re.M)[1:]
        found[re.search(r"ckpt_\w+", part)[0]] = dict(zip(heads[::2], heads[1::2]))
    return found


def section(sections, start):
    return next(text for heading, text in sections.items() if heading.startswith(start))


def moments(recorded):
    """(before, step, after) of the instruction at each stop, and of the int before ckpt_int."""
    found = {}
    for _, before, step, after in recording.walk(recorded):
        for stop in STOPS:
            if before["cs"]["base"] + before["eip"] == BASE + recorded["symbols"][stop]:
                found.setdefault(stop, (before, step, after))
        if step["text"].startswith("int "):
            found.setdefault("int", (before, step, after))
    return found


def frame_rows(recorded, state, letters):
    """What a picture of these frames has to show: {address: (word, name)}."""
    return {recorded["symbols"][f"proc_{letter.lower()}"] + 4 * index: (word, WORDS[index])
            for letter in letters for index, word in enumerate(state["frames"][letter])}


def rows(picture):
    return {int(address, 16): (int(word, 16), name) for address, _, word, name, _ in ROW.findall(picture)}


def arrows(picture):
    """{what points: address}"""
    found = {}
    for address, *_, names in [*ROW.findall(picture), *TOP.findall(picture)]:
        found.update({name: int(address, 16) for name in names.split("; ") if name})
    return found


def marked(picture):
    return {int(address, 16) for address, bar, *_ in ROW.findall(picture) if bar == "║"}


# ---- the tour

def test_it_stops_where_the_readme_says_and_tells_why_at_each(shown):
    assert list(shown) == STOPS
    for sections in shown.values():
        sentences = re.findall(r"[a-zA-Z0-9)][.?](?=\s|$)", section(sections, "why"))
        assert 3 <= len(sentences) <= 6


PICTURES = [  # the stop, the section, whose frames, which moment: 0 before, 2 after the step at the stop
    ("ckpt_frames", "proc A's frame", "AB", 0),
    ("ckpt_iret", "before: the stack", "A", 0),
    ("ckpt_int", "after: the stack", "A", 0),
    ("ckpt_switched", "before: A lies", "AB", 0),
]


@pytest.mark.parametrize("stop, heading, letters, moment", PICTURES, ids=[row[0] for row in PICTURES])
def test_a_picture_has_the_words_of_the_frame_and_the_arrows_where_they_belong(
        recorded, shown, stop, heading, letters, moment):
    state = moments(recorded)[stop][moment]
    picture = section(shown[stop], heading)
    assert rows(picture) == frame_rows(recorded, state, letters)
    ends = [recorded["symbols"][f"proc_{letter.lower()}_end"] for letter in letters]
    pointing = arrows(picture)
    assert pointing["esp0"] == state["tss"]["esp0"] and pointing["esp0"] in ends
    assert pointing["end"] in ends
    if stop == "ckpt_frames":
        assert "esp" not in pointing, "the stub has a stack of its own"
    else:
        assert pointing["esp"] == state["esp"]


def test_the_words_marked_as_the_cpus_own_are_those_that_it_moved(recorded, shown):
    at = moments(recorded)
    for stop, crossing, kind, heading in (("ckpt_iret", "ckpt_iret", "read", "before: the stack"),
                                          ("ckpt_int", "int", "write", "after: the stack"),
                                          ("ckpt_switched", "ckpt_switched", "read", "before: A lies")):
        before, step, _ = at[crossing]
        frames = frame_rows(recorded, before, "AB")
        moved = {linear - BASE for what, linear, _, _ in step["accesses"] if what == kind} & frames.keys()
        assert len(moved) == 5
        assert marked(section(shown[stop], heading)) == moved


@pytest.mark.parametrize("stop, crossing", [("ckpt_iret", "ckpt_iret"), ("ckpt_int", "int"),
                                            ("ckpt_switched", "ckpt_switched")])
def test_before_and_after_a_crossing(recorded, shown, stop, crossing):
    before, step, after = moments(recorded)[crossing]
    table = section(shown[stop], "before and after")

    def line(name, *values):
        changed = "◀── changed" * (values[0] != values[1])
        assert re.search(rf"^ *{re.escape(name)} +{values[0]} +{values[1]} *{changed}$", table, re.M), name
    line("ring (CPL)", before["cpl"], after["cpl"])
    line("cs:eip", *(f"{state['cs']['selector']:04x}:{state['eip']:08x}" for state in (before, after)))
    line("ss:esp", *(f"{state['ss']['selector']:04x}:{state['esp']:08x}" for state in (before, after)))
    line("eflags", *(f"{state['eflags']:08x}" for state in (before, after)))
    line("esp0 (TSS)", *(f"{state['tss']['esp0']:08x}" for state in (before, after)))


@pytest.mark.parametrize("stop, crossing", [("ckpt_iret", "ckpt_iret"), ("ckpt_int", "int"),
                                            ("ckpt_switched", "ckpt_switched")])
def test_every_access_of_the_cpu_in_its_order(recorded, shown, stop, crossing):
    _, step, _ = moments(recorded)[crossing]
    listed = re.findall(r"^ *\d+  (read|write) +(\d)  ([0-9a-f]{8})  ([0-9a-f]+)  +\S",
                        section(shown[stop], "what the CPU did"), re.M)
    assert [[what, int(address, 16) + BASE, int(size), int(value, 16)] for what, size, address, value in listed] \
        == step["accesses"]


def test_what_an_int_reads_is_named(shown):
    listed = section(shown["ckpt_int"], "what the CPU did")
    names = ["IDT entry 0x30", "RING0_CODE", "TSS: ss0", "TSS: esp0", "RING0_DATA",
             *(f"A's frame: {name}" for name in ("ss", "esp", "eflags", "cs", "eip"))]
    assert [name for line, name in zip(listed.splitlines()[2:], names) if name in line] == names


def test_what_changed_since_the_last_stop(recorded, shown):
    at = moments(recorded)
    for stop, old, new in (("ckpt_tss", at["ckpt_frames"][0], at["ckpt_tss"][0]),
                           ("ckpt_iret", at["ckpt_tss"][0], at["ckpt_iret"][0]),
                           ("ckpt_int", at["ckpt_iret"][2], at["int"][0]),
                           ("ckpt_switched", at["ckpt_int"][0], at["ckpt_switched"][0])):
        listed = re.findall(r"^ +(\S.*?) {2,}(\S.*?) +─▶  (.*)$", section(shown[stop], "changed since"), re.M)
        names = [name for name, *_ in listed]
        assert {name: (int(was, 16), int(now, 16)) for name, was, now in listed if name in registers.NUMBERS} \
            == {name: (old[name], new[name]) for name in registers.NUMBERS if old[name] != new[name]}
        assert {name for name in names if name in registers.SELECTORS} \
            == {name for name in registers.SELECTORS if old[name]["selector"] != new[name]["selector"]}
        for letter in "AB":
            assert [name for name in names if name.startswith(f"{letter}'s frame")] == [
                f"{letter}'s frame: {name}"
                for name, was, now in zip(WORDS, old["frames"][letter], new["frames"][letter]) if was != now]
        assert ("TSS: esp0" in names) == (old["tss"] != new["tss"])
        for table in ("gdt", "ldt"):
            changed = sum(was != now for was, now in zip(old[table], new[table]))
            assert sum(name.startswith(table.upper()) for name in names) == changed * (old["ldtr"] == new["ldtr"]
                                                                                       or table == "gdt")
    assert re.search(r"TSS +available +─▶  busy", section(shown["ckpt_tss"], "changed since"))


def test_a_proc_begins_in_segments_of_its_own_ldt(shown):
    for stop, letter in (("ckpt_iret", "A"), ("ckpt_switched", "B")):
        named = re.findall(r"  read  8  .*  (\wDT entry \d+, \w+):", section(shown[stop], "what the CPU did"))
        first = "AB".index(letter) * 3
        assert named == [f"LDT entry {first}, {letter}_CODE", f"LDT entry {first + 1}, {letter}_DATA"]


def test_the_way_out_shows_how_ldtr_was_loaded(recorded, shown):
    sections = shown["ckpt_switched"]
    assert re.search(r"^ +ldtr +0030, A_LDT +─▶  0038, B_LDT$", section(sections, "changed since"), re.M)
    loads = [step for _, before, step, after in recording.walk(recorded)
             if (before["ldtr"]["selector"], after["ldtr"]["selector"]) == (0x30, 0x38)]
    assert [step["text"].split()[0] for step in loads] == ["lldt"]
    text = section(sections, "on the way here: LDTR")
    assert loads[0]["source"] in text
    listed = re.findall(r"^ *\d+  (read|write) +(\d)  ([0-9a-f]{8})  ([0-9a-f]+)  +(\S.*)$", text, re.M)
    assert [[what, int(address, 16) + BASE, int(size), int(value, 16)] for what, size, address, value, _ in listed] \
        == loads[0]["accesses"]
    assert [name for *_, name in listed] == ["which LDT is B's: 0038, B_LDT", "GDT entry 7, B_LDT: DPL 0"]


def test_the_tss_is_that_of_the_task_register(recorded, shown):
    state = moments(recorded)["ckpt_tss"][0]
    register = section(shown["ckpt_tss"], "TR")
    assert f"selector {state['tr']['selector']:04x}: GDT entry {state['tr']['selector'] >> 3}, TSS, DPL 0, busy" \
        in register
    assert f"base {state['tr']['base'] - BASE:08x}, limit {state['tr']['limit']:08x}" in register
    picture = section(shown["ckpt_tss"], "the TSS")
    words = {name: int(word, 16) for word, name in re.findall(r"│ ([0-9a-f]{8}) │ (ss0|esp0)\b", picture)}
    assert words == state["tss"]
    assert re.search(rf"esp0 ─+▶ {state['tss']['esp0']:08x} ├─+┤ end of A's frame", picture)


def test_each_place_is_shown_in_the_source(recorded, shown):
    at = moments(recorded)
    for stop in STOPS:
        for heading, text in shown[stop].items():
            if not heading.startswith(("where", "on the way here: C")):
                continue
            name, line = re.search(r"^ *(\S+):(\d+)$", text, re.M).groups()
            source = (ROOT / name).read_text().splitlines()[int(line) - 1]
            arrow = re.search(r"^ *▶ +(\d+) (.*)$", text, re.M)
            assert arrow[1] == line
            assert arrow[2].split()[:2] == source.split()[:2]
        assert at[stop][1]["source"] in "".join(shown[stop].values())


def test_where_c_has_moved_esp0_is_shown(shown):
    assert "tss->esp0 =" in section(shown["ckpt_switched"], "on the way here: C")
    saved = int(re.search(r"wrote (\d+) words", section(shown["ckpt_switched"], "on the way here: the gate"))[1])
    assert saved == len(WORDS) - 5


def test_it_draws_what_was_recorded_and_not_what_it_expects(recorded, recordings):
    other = copy.deepcopy(recorded)
    other["state"]["tss"]["esp0"] = recorded["symbols"]["proc_b_end"]
    other["state"]["frames"]["B"][WORDS.index("ebp")] = 0x12345678
    sections = stops(run("scripts/ringside", "tour", "--recording", recordings(other), "ckpt_frames"))
    picture = section(sections["ckpt_frames"], "proc A's frame")
    assert arrows(picture)["esp0"] == recorded["symbols"]["proc_b_end"]
    assert (0x12345678, "ebp") in rows(picture).values()


def test_it_makes_do_without_accesses(recorded, recordings):
    other = copy.deepcopy(recorded)
    other["emulator"] = "qemu"
    for step in other["steps"]:
        step["accesses"] = None
    sections = stops(run("scripts/ringside", "tour", "--recording", recordings(other)))
    assert list(sections) == STOPS
    assert "qemu does not tell" in section(sections["ckpt_int"], "what the CPU did")


def test_by_itself_it_shows_the_floppy_in_bochs_and_80_columns_and_no_colour(shown):
    tour = run("scripts/ringside", "tour")
    assert stops(tour) == shown
    assert not tour.stderr
    assert "\x1b" not in tour.stdout and "\t" not in tour.stdout
    assert [line for line in tour.stdout.splitlines() if len(line) > 80 or line != line.rstrip()] == []


@pytest.mark.parametrize("no_color", [False, True])
def test_colour_is_for_terminals_and_says_nothing_of_its_own(recorded, recordings, no_color):
    path = recordings(recorded)
    plain = run("scripts/ringside", "tour", "--recording", path).stdout
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    tour = subprocess.Popen(machines.by_name([ROOT / "scripts/ringside", "tour", "--recording", path]),
                            stdin=subprocess.DEVNULL, stdout=theirs,
                            env={**env, "NO_COLOR": "1"} if no_color else env)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 65536):
            seen += data
    except OSError:  # how the end of a terminal looks
        pass
    os.close(ours)
    assert tour.wait(10) == 0
    seen = seen.decode().replace("\r\n", "\n")
    assert ("\x1b" in seen) != no_color
    assert re.sub(r"\x1b\[[0-9;]*m", "", seen) == plain


def complaint(*arguments, env=None):
    tour = run("scripts/ringside", "tour", *arguments, env=env)
    assert tour.returncode == 1 and "Traceback" not in tour.stderr
    return tour.stderr


def test_recordings_it_cannot_show(recorded, recordings, tmp_path):
    path = recordings(recorded)
    assert "make record" in complaint("--recording", tmp_path / "none.json")
    assert "cut short?" in complaint("--recording", recordings(path.read_text()[:-1000]))
    assert re.search(r":1: .*version 99", complaint("--recording", recordings({**recorded, "version": 99})))
    short = {**recorded, "steps": recorded["steps"][:10]}
    assert "ckpt_iret does not come in it" in complaint("--recording", recordings(short))
    old = json.loads(path.read_text().replace('"source":"p_proc.S:', '"source":"p_proc.S:1'))
    assert "the source has changed" in complaint("--recording", recordings(old))


def test_without_bochs_it_names_the_package(tmp_path):
    for tool in pathlib.Path("/usr/bin").iterdir():
        if tool.name != "bochs":
            (tmp_path / tool.name).symlink_to(tool)
    assert "no bochs: it is in the package bochs" in complaint(env={"PATH": str(tmp_path)})


def test_a_stop_that_does_not_exist():
    assert "no stop ckpt_bus; there are: ckpt_frames" in complaint("ckpt_bus")


def test_it_ends_in_peace_when_the_reader_has_seen_enough(recorded, recordings):
    tour = run("sh", "-c", '/usr/bin/python3 scripts/ringside tour --recording "$0" | head -1', recordings(recorded))
    assert not tour.stderr


# ---- the pages

def check(pages):
    run_of_all = run("scripts/ringside", "docs", "--check", *pages, timeout=300)
    assert run_of_all.returncode == 0, run_of_all.stdout + run_of_all.stderr
    for page in pages:
        assert f"{page}: 0 of " in run_of_all.stdout


def test_the_pages_of_the_day_say_what_runs_say():
    check([*PAGES_OF_THE_DAY, *(page for page in PAGES if page.parent != COSTS.parent and page.name.startswith(SAMPLE))])


@pytest.mark.long
def test_the_other_pages_say_what_runs_say():
    check([page for page in PAGES if page.parent == COSTS.parent and page not in PAGES_OF_THE_DAY])


SMALL_PAGE = """with <!-- run: made -->gcc 1.0 and Bochs 2.7<!-- end -->, at <!-- run: value gate -->`0x0`<!-- end -->
kept
<!-- run: tour ckpt_int "before and after" -->
<!-- end -->
<!-- run: source switch.c "struct proc" "{" -->
<!-- end -->
"""


@pytest.fixture(scope="module")
def facts(recorded):
    return docs.Facts(recorded)


@pytest.fixture(scope="module")
def small_page(facts):
    blocks = list(docs.blocks_of("page.md", SMALL_PAGE))
    return docs.refilled(SMALL_PAGE, blocks, docs.produce(blocks, facts))


def differing(text, facts):
    """Lines of the blocks that differ, and what is said about all."""
    blocks = list(docs.blocks_of("page.md", text))
    found, notes = docs.differences(blocks, docs.produce(blocks, facts), facts)
    return [block.line for block, _ in found], "\n".join(notes)


def test_a_page_is_refilled_and_nothing_else_in_it_changes(small_page, facts):
    assert f"value gate -->`{machines.sym('gate'):#x}`<!-- end -->\nkept\n" in small_page
    assert "```c\nstruct proc *switch_to_next" in small_page
    assert "ring (CPL)    3                     0" in small_page
    blocks = list(docs.blocks_of("page.md", small_page))
    assert docs.refilled(small_page, blocks, docs.produce(blocks, facts)) == small_page
    assert docs.MARK.sub("", small_page) == docs.MARK.sub("", SMALL_PAGE)


def test_lab_docs_writes_a_page_and_finds_what_is_wrong_in_it(tmp_path, small_page):
    page = tmp_path / "page.md"
    page.write_text(SMALL_PAGE)
    assert run("scripts/ringside", "docs", page).stdout == f"{page}: 4 blocks, 4 of them changed\n"
    assert page.read_text() == small_page
    page.write_text(small_page.replace("ss:esp", "ss:ebp"))
    check = run("scripts/ringside", "docs", "--check", page)
    assert check.returncode == 1
    assert f"{page}:3: tour ckpt_int before and after: the run says something else\n" in check.stdout
    assert check.stdout.endswith("1 of 4 blocks differ: refill them with: make docs\n")
    assert "ss:ebp" in page.read_text()


def test_the_tables_hold_every_segment_once_and_each_ldt_its_procs_alone(facts):
    page = "".join(f"<!-- run: {what} -->\n<!-- end -->\n" for what in ("gdt", "ldt A", "ldt B", "descriptor B_DATA"))
    *tables, taken_to_pieces = docs.produce(list(docs.blocks_of("page.md", page)), facts)
    names = [re.findall(r"^\| \d+ \| `([0-9a-f]{4})` \| (\w+) \|.* \| \w.* \|$", table, re.M) for table in tables]
    assert {name: int(selector, 16) for table in names for selector, name in table} \
        == {name: value for name, value in machines.symbols().items() if name.isupper()}
    assert [name for _, name in names[1]] == ["A_CODE", "A_DATA", "A_SCREEN"]
    assert [name for _, name in names[2]] == ["B_CODE", "B_DATA", "B_SCREEN"]
    assert "TI: 1, the LDT" in taken_to_pieces and "entry 4 of B's LDT" in taken_to_pieces


def test_with_the_same_compiler_all_must_be_the_same(small_page, facts):
    assert differing(small_page, facts) == ([], "")
    source = small_page[:small_page.index("<!-- run: source")].count("\n") + 1
    for right, wrong, lines in ((f"`{machines.sym('gate'):#x}`", "`0x99`", [1]), ("ss:esp", "ss:ebp", [3]),
                                ("*switch_to_next", "*switch_next", [source])):
        assert right in small_page
        assert differing(small_page.replace(right, wrong), facts) == (lines, "")


def test_with_another_compiler_addresses_may_differ_but_nothing_else(small_page, facts):
    other = re.sub("(gcc|clang) [0-9.]+ and", "gcc 99.9 and", small_page)
    moved = other.replace(f"`{machines.sym('gate'):#x}`", "`0x99`")
    lines, note = differing(moved, facts)
    assert lines == []
    assert note.startswith("compared without addresses: made with gcc 99.9 and")
    assert differing(moved.replace("ss:esp", "ss:ebp"), facts)[0] == [3]


def test_with_another_bochs_the_debugger_is_not_compared(facts):
    text = ("made with <!-- run: made -->" + facts.tools.replace("Bochs ", "Bochs 9.") + "<!-- end -->,\n"
            "<!-- run: try\n? cs\n-->something else<!-- end -->\n<!-- run: source switch.c -->x<!-- end -->\n")
    lines, note = differing(text, facts)
    assert lines == [5]
    assert note.startswith("not compared: 1 blocks of the debugger; made with")


@pytest.mark.parametrize("text, message", [
    ("<!-- run: magic -->\n<!-- end -->", "page.md:1: no block of this kind: magic"),
    ("a\n<!-- run: source switch.c -->\n", "without its other half"),
    ("a\n<!-- run: made -->x<!-- end -->", "page.md:2: a line must not begin with this block"),
    ("a <!-- run: value gat -->x<!-- end -->", "no symbol gat; the nearest names: gate"),
    ('\n<!-- run: source switch.c "no such line" -->\n<!-- end -->', "page.md:2: no line of switch.c begins with"),
    ("<!-- run: try\n? cs\n=> 0x8 8\n-->\n<!-- end -->", 'page.md:1: the page counts on "0x8 8", but the run says'),
    ("<!-- run: break switch.c\n-no such line\n-->\n<!-- end -->", "page.md:1: these lines are in switch.c 0 times"),
])
def test_a_page_with_a_mistake_in_it(facts, text, message):
    with pytest.raises(docs.BadPage, match=re.escape(message)):
        docs.produce(list(docs.blocks_of("page.md", text)), facts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_its_numbers_from_runs_and_its_links_lead_somewhere(page):
    text = page.read_text()
    prose = re.sub(r"^    .*$", "", claims.MISTAKE.sub("", BLOCK.sub("", text)), flags=re.M)
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert re.findall(r"\b(?:0x)?[0-9a-f]{5,}\b(?<![g-z])", re.sub(r"[a-z]{5,}", "", prose)) == []
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
               for title in re.findall(r"^#+ (.*)$", text, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (page.parent / target.partition("#")[0]).exists(), target
    named = set(re.findall(r"\bckpt_\w+\b", text))
    assert named <= {name for name in machines.symbols() if name.startswith("ckpt_")} | {"ckpt_"}


def test_every_make_target_in_the_pages_is_one_that_make_help_lists():
    listed = set(re.findall(r"^#: make ([a-z-]+)", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        used = set(re.findall(r"(?:^    |`)make\s+([a-z][a-z-]*)", BLOCK.sub("", page.read_text()), re.M))
        assert used <= listed


def test_the_tour_comes_by_all_checkpoints_and_the_book_prints_the_switch():
    text = (ROOT / "docs" / "tour.md").read_text()
    assert [stop for stop in STOPS if f"({stop}+0)" not in text] == []
    switch = (ROOT / "switch.c").read_text().expandtabs(8)
    assert switch[switch.index("struct proc *switch_to_next"):].rstrip() in (ROOT / "docs/book/en/07-the-trick.md").read_text()
    assert BUILD.exists()

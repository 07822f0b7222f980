"""What a switch costs: the table of docs/costs.md, and what makes it.

test_tour.py holds its counts, as those of every page, to a run (scripts/ringside docs --check).
"""

import re
import shutil
import subprocess

from ringside.costs import bench as bench_command
from ringside.costs import choose, clocks, cost, counts, designs, racing, spaces
from ringside.emulators import machines
import pytest
from ringside.emulators.machines import ROOT
from ringside.emulators import versions
from trees import copy_products, copy_sources

PAGE = (ROOT / "docs/costs.md").read_text()
KIB = 1024


def cells(line):
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def table_of(kind):
    text = re.search(rf"<!-- run: {kind} -->\n\n(.*?)\n\n", PAGE, re.S)[1]
    head, _, *rows = map(cells, text.splitlines())
    return head, rows


HEAD, ROWS = table_of("costs designs")
RING_HEAD, RING_ROWS = table_of("costs rings")
ON_THE_FLOPPY = [design for design in designs.DESIGNS if design is not designs.FNCALL]


def promised(design):
    return dict(zip(HEAD, next(row for row in ROWS if row[0] == design.name)))


# ---- the page

def test_the_table_has_every_design_and_every_column():
    assert tuple(HEAD) == cost.HEAD
    assert [row[0] for row in ROWS] == [design.name for design in designs.DESIGNS]
    assert {design.program for design in ON_THE_FLOPPY} - {"floors"} \
        == {path.stem for path in machines.BUILD.glob("*.com")} - {"menu"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_has_a_number_wherever_there_can_be_one(row):
    a_to_b, b_to_a, accesses, kept, lines, *speeds = row[1:]
    assert all(re.fullmatch(r"\d+", cell) for cell in (a_to_b, b_to_a, kept, lines))
    spread = r"\d\.\d\d \(\d\.\d\d to \d\.\d\d\)"
    if row[0] == "FNCALL":
        assert accesses == speeds[1] == cost.UNKNOWN and re.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\) calls", speeds[0])
    else:
        assert re.fullmatch(r"\d+( and \d+)?", accesses)
        assert all(re.fullmatch(rf"{spread}|by its clock|1: \d+\.\d\d million/s", cell) for cell in speeds)


def test_the_floors_are_as_long_as_their_names_say():
    floors = [row for row, design in zip(ROWS, designs.DESIGNS) if design.program == "floors"]
    assert [(row[1], row[2]) for row in floors] == [("6", "6"), ("14", "14"), ("20", "20"), ("21", "21")]
    assert [row[0].partition(":")[0] for row in floors] == ["6", "14", "20", "21"]


def test_without_lldt_ret_and_the_count_p_proc_is_as_short_as_the_page_says():
    """Taken from today's counts: lldt, then ret, then dec and jz; the last two are floors that have been counted."""
    p_proc = int(promised(designs.P_PROC)["A to B"])
    assert f"Without `lldt` it is {p_proc - 1}, " in PAGE and f"saves its `ret`: {p_proc - 2}, " in PAGE
    floors = {gate: int(promised(design)["A to B"]) for design in designs.DESIGNS for gate in [design.gate]
              if design.program == "floors"}
    assert (floors["floor_c"], floors["floor_leaves"]) == (p_proc - 3, p_proc - 4)


def test_the_parts_of_p_proc_add_up():
    parts = re.search(r"\| what for \| instructions \|\n.*?\n\n", PAGE, re.S)[0]
    assert sum(map(int, re.findall(r"\| (\d+) \|$", parts, re.M))) == int(promised(designs.P_PROC)["A to B"])


def test_another_count_is_a_difference_and_another_speed_is_none():
    page = cost.markdown(HEAD, ROWS)
    slower = cost.markdown(HEAD, [[*row[:-2], "", ""] for row in ROWS])
    assert len(set(cost.comparable(page, slower))) == 1
    for column in range(1, len(HEAD) - 2):
        longer = [list(row) for row in ROWS]
        longer[2][column] += "0"
        assert len(set(cost.comparable(page, cost.markdown(HEAD, longer)))) == 2


def test_every_design_of_a_program_can_be_chosen_and_says_all_of_itself():
    head, rows = table_of("choose")
    assert tuple(head) == choose.HEAD
    assert [row[0].strip("*") for row in rows] == [design.name for design in designs.DESIGNS if design.program != "floors"]
    assert all(cell and cell != cost.UNKNOWN for row in rows for cell in row) and rows == choose.rows()


def test_the_table_of_clocks_has_a_figure_wherever_the_page_counts_on_one():
    head, rows = table_of("costs clocks")
    assert tuple(head) == clocks.HEAD and len(rows) == len(clocks.KINDS)
    for row, kind in zip(rows, clocks.KINDS):
        assert row[:4] == [kind.text, str(kind.counted), kind.i386, kind.i486]
        assert re.fullmatch(r"\d+\.\d" if kind.measured else cost.UNKNOWN, row[4])
        assert kind.measured or kind.i386 != cost.UNKNOWN, "a row that says nothing"
    figure = {row[0]: row[2] for row in rows}
    both = int(figure["`int`, to more privilege"]) + int(figure["`iret`, to less privilege"])
    assert f"`int` and `iret` alone are {both} clocks" in PAGE


def test_the_host_measures_each_kind_that_the_table_wants():
    try:
        found = clocks.measured()
    except clocks.Lacking as reason:
        pytest.skip(f"not here: {reason}")
    assert set(found) == {kind.measured for kind in clocks.KINDS if kind.measured}
    assert all(0 <= cycles.least <= cycles.median <= cycles.most for cycles in found.values())


def test_a_host_that_measures_no_cycles_says_so(bench, monkeypatch, capsys):
    monkeypatch.setattr(clocks.platform, "machine", lambda: "aarch64")
    assert bench.main(["clocks"]) == 0
    said = capsys.readouterr().out
    assert "  missing: cycles of this host: cycles are measured in Linux on a PC alone" in said
    assert "| `lldt` " in said


# ---- the counts

@pytest.mark.sample(4)
@pytest.mark.parametrize("design", ON_THE_FLOPPY, ids=lambda design: design.name)
def test_qemu_counts_the_same_instructions(design):
    found = counts.counted(design, "QEMU")
    row = promised(design)
    here = [len(found.steps[who]) + versions.shorter(design.program) for who in "AB"]
    assert list(map(str, here)) == [row["A to B"], row["B to A"]]


def test_what_is_counted_begins_in_ring_3_and_ends_before_it():
    for steps in counts.counted(designs.P_PROC).steps.values():
        assert [step.cs & 3 for step in steps] == [3] + [0] * (len(steps) - 1)
        assert (steps[0].text.split()[0], steps[-1].text) == ("int", "iret")


def test_a_switch_costs_the_same_in_a_ring_of_256_as_of_2():
    few, many = counts.ring(2), counts.ring(256)
    assert (len(few), len(many)) == (2, 256)
    assert max(many) <= 1.01 * min(few) and min(many) >= 0.99 * max(few)
    assert {row[0]: row[1:3] for row in RING_ROWS}["256"] == [str(min(many)), str(max(many))]
    assert tuple(int(row[0]) for row in RING_ROWS) == counts.RINGS


def test_a_switch_costs_the_same_among_256_spaces_as_among_2():
    _, rows = table_of("costs spaces")
    assert tuple(int(row[0]) for row in rows) == spaces.RINGS
    assert {tuple(row[1:3]) for row in rows} == {2 * (promised(designs.BY_NAME["PAGED"])["A to B"],)}


@pytest.mark.long
def test_the_alarm_is_none_of_a_switch_among_256_spaces():
    """A lap takes so long that it comes once."""
    taken, _ = spaces.ring(256)
    assert len(taken) == 256 and set(taken) == {int(promised(designs.BY_NAME["PAGED"])["A to B"])}


def test_no_design_takes_more_instructions_than_was_promised():
    switch = {row[0]: max(map(int, row[1:3])) for row in ROWS}
    _, spaces_of = table_of("costs pages")
    same, other = (int(row[1]) for row in spaces_of[:2])
    assert same <= switch["KSTACK"] + 6 and other == switch["PAGED"] <= switch["KSTACK"] + 10
    assert switch["CALLGATE"] <= switch["P_PROC"] + 4 and switch["SYSENTER"] <= switch["P_PROC"]


def test_more_procs_find_room_with_their_headroom_and_away_from_code():
    symbols = machines.symbols()
    size, headroom = 88, 72
    found = counts.places(symbols, 254, size, headroom)
    assert len(found) == 254 and all(later - one >= size for one, later in zip(found, found[1:]))
    for place in found:
        assert symbols["data_in_file"] // 4096 < place // 4096
        assert place + size <= symbols["data_start"] or symbols["bss_end"] <= place <= 0x10000 - size
    with pytest.raises(designs.Lacking, match="no room for 2000 procs more"):
        counts.places(symbols, 2000, size, headroom)


# ---- what is missing

@pytest.fixture
def bench(monkeypatch):
    """scripts/ringside bench, with little to do."""
    monkeypatch.setattr(racing, "ROUNDS", 1)
    monkeypatch.setattr(racing, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(counts, "RINGS", (2, 8))
    monkeypatch.setattr(designs, "DESIGNS", (designs.P_PROC,))
    monkeypatch.setattr(counts, "fncall_program", lambda: (_ for _ in ()).throw(designs.Lacking("not now")))
    return bench_command


@pytest.mark.parametrize("lacking, known", [
    (["bochs"], ["24", "24", "–", "68", None, r"1: .* million/s", "–"]),
    (["qemu-system-i386"], ["24", "24", "58", "68", None, "–", r"1: .* million/s"]),
    (["bochs", "qemu-system-i386"], ["–"] * 7),
], ids=["no Bochs", "no QEMU", "neither"])
@pytest.mark.long
def test_without_an_emulator_it_says_so_and_prints_the_rest(bench, monkeypatch, capsys, lacking, known):
    which = shutil.which
    monkeypatch.setattr(designs.shutil, "which", lambda tool: None if tool in lacking else which(tool))
    monkeypatch.setattr(designs, "how_to_get", lambda tool: f"no {tool}: it is in the package {tool}")
    assert bench.main(["table", *(["switch"] if "bochs" in lacking else [])]) == 0
    said = capsys.readouterr().out
    row = cells(re.search(r"^\| P_PROC .*", said, re.M)[0])[1:]
    assert all(want is None or re.fullmatch(want, cell) for want, cell in zip(known, row, strict=True)), row
    for tool in lacking:
        assert f"  missing: no {tool}: it is in the package {tool}" in said
    if "bochs" in lacking:
        assert "switch: left out: no bochs: it is in the package bochs" in said


def test_a_program_that_is_not_built_is_said_to_be_missing(bench, monkeypatch):
    monkeypatch.setattr(designs, "DESIGNS", (designs.P_PROC._replace(name="NOWHERE", program="nowhere"),))
    table, missing = cost.table()
    assert missing == ["NOWHERE: no build/nowhere.elf"]
    assert cells(table.splitlines()[2]) == ["NOWHERE"] + ["–"] * 7


# ---- what is too large

def make_with(tree, line):
    """make's exit code and what it said, with one line more in switch.c."""
    if not tree.exists():
        copy_sources(tree)
        copy_products(tree / "build")
    (tree / "switch.c").write_text((ROOT / "switch.c").read_text() + line + "\n")
    run = subprocess.run(["make", "-s", "B=build"], cwd=tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.returncode, run.stdout


def test_a_program_that_is_too_large_is_refused_with_its_size(tmp_path):
    size = (machines.BUILD / "p_proc.com").stat().st_size
    more = 61 * KIB - size
    code, said = make_with(tmp_path / "tree", f"const char too_large[{more}] = {{ 1 }};")
    assert code
    told = int(re.search(r"^build/p_proc\.elf: too large: (\d+) bytes, and a program may have 61440 \(60 KiB\)$",
                         said, re.M)[1])
    assert abs(told - 61 * KIB) < 64
    assert "relocation" not in said
    code, said = make_with(tmp_path / "tree", "static char much[0xe000]; char *where(void);\nchar *where(void) { return much; }")
    assert code
    assert re.search(r"^build/p_proc\.elf: too large in memory: it ends at offset \d+, and must at 63488", said, re.M)


def test_other_complaints_of_the_linker_are_still_told(tmp_path):
    code, said = make_with(tmp_path / "tree", "int nowhere(void), call(void);\nint call(void) { return nowhere(); }")
    assert code and "undefined reference to `nowhere'" in said and "too large" not in said


# ---- what a boot takes, and what data with code would cost

def test_a_boot_takes_as_few_instructions_and_calls_as_bench_says(bench, capsys):
    bench.boot()
    said = capsys.readouterr().out
    calls, with_8_kib, limit = (int(re.search(pattern, said)[1]) for pattern in (
        r"int 13h calls: (\d+) ", r"with 8 KiB: (\d+) ", r"at most (\d+)\)\n  the first drawing"))
    assert calls <= 6
    assert with_8_kib <= limit == 22000


@pytest.mark.long
def test_the_program_for_comparison_has_its_frames_on_the_gates_page(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "WORK", tmp_path)
    floppy, elf = bench.same_page_floppy()  # checks the page
    with machines.Qemu(floppy) as qemu:
        qemu.wait_log("^switch n=2 ")

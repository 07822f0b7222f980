"""A mistake in ring 3 ends that proc and nothing else, and ring 0 says what it was."""

import re
import subprocess

from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BOTH, COM, COM_START, NAMES, SYMBOLS, count, linear
from ringside.emulators.machines import BASE, ROOT
from ringside.pages import docs, mistakes

RED = 0x4f  # white on red
STACK = 256
BEYOND = 0x7c  # a selector beyond the end of either LDT

# The exception, its title, what the error code means (None: there is none), and what
# a learner must find in the sentence.
SAID = {
    1: (0x00, "#DE", "divide error", None, "division by zero"),
    2: (0x0d, "#GP", "general protection", "0000: no selector", "only ring 0 may execute"),
    3: (0x0d, "#GP", "general protection", "010a: IDT 0x21", "int n through a gate that ring 3 may not use"),
    4: (0x0d, "#GP", "general protection", "0010: GDT 0x10 (RING0_DATA)", "selector that ring 3 may not load"),
    5: (0x07, "#NM", "device not available", None, "FPU instruction"),
    6: (0x20, "IRQ0", "the alarm", None, "endless loop"),
}


def run(*command, timeout=60):
    return subprocess.run([str(word) for word in machines.by_name(command)], cwd=ROOT, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)


@pytest.fixture(params=BOTH, ids=NAMES)
def machine(request):
    """Both procs have been in ring 3."""
    with request.param() as machine:
        machine.run_to("proc_b_int")
        yield machine


@pytest.fixture(scope="module", params=BOTH, ids=NAMES)
def reports(request):
    return mistakes.in_bochs(emulator=request.param)


def cells(machine):
    """25 rows of (character, attribute)."""
    raw = machine.read(0xb8000, 4000)
    flat = list(zip(raw[::2].decode("cp437"), raw[1::2]))
    return [flat[at:at + 80] for at in range(0, 2000, 80)]


def rows(machine):
    return ["".join(char for char, _ in row) for row in cells(machine)]


def window_count(machine, letter):
    return int(re.search(r"count +(\d+) ", rows(machine)[mistakes.COUNT_ROW[letter]])[1])


def end_of(machine, letter, number):
    """Ends proc A by its key, or B by the word in its data; runs to the next proc's int."""
    if letter == "a":
        machine.press(str(number))
    else:
        machine.ask(letter, number)
    machine.run_to("proc_end")
    machine.run_to("gate")


def halted(machine):
    machine.run_to("look_while_halted")
    return machine.log()


def turns(machine, number):
    """(whose, the count it comes in with) at so many switches."""
    found = []
    for _ in range(number):
        machine.run_to("gate")
        running = next(letter for letter in "ab" if machine.word("tss", 4) == SYMBOLS[f"proc_{letter}_end"])
        found.append((running, count(machine.values())))
    return found


# ---- the report

@pytest.mark.parametrize("number", SAID)
def test_a_mistakes_line_in_the_log_names_the_instruction(reports, number):
    vector, name, _, error, _ = SAID[number]
    place = SYMBOLS[f"proc_a_fault_{number}"]
    told = machines.fields(reports[number].fault)
    assert reports[number].fault.startswith("fault ") and reports[number].end == "end proc=A alive=B"
    assert (told["proc"], told["vector"], told["name"]) == ("A", f"{vector:02x}", name)
    assert (told["error"], told["means"]) == tuple((error or "none: ").split(": "))
    assert told["cs:eip"] == f"{SYMBOLS['A_CODE']:04x}:{place - SYMBOLS['proc_a_code']:08x}"
    assert told["ss:esp"] == f"{SYMBOLS['A_DATA']:04x}:{STACK:08x}"
    rest = SYMBOLS["proc_a_code"] + SYMBOLS["proc_a_code_bytes"] - place
    code = COM.read_bytes()[place - COM_START:][:min(8, rest)]
    assert bytes.fromhex(told["bytes"]) == code


@pytest.mark.parametrize("number", SAID)
def test_the_report_on_the_screen_says_the_same_in_words(reports, number):
    vector, name, title, error, sentence = SAID[number]
    told = machines.fields(reports[number].fault)
    lines = reports[number].lines
    assert lines[:7] == [" proc A has ended", f"{name}: {title}", f"vector {vector:#04x}",
                         f"cs:eip {told['cs:eip']}", f" bytes {told['bytes']}", f"ss:esp {told['ss:esp']}",
                         f" error {error or 'none'}"]
    assert lines[7] == "" and sentence in " ".join(lines[8:])
    assert " ".join(lines[8:]).strip().endswith(".")
    assert reports[number].why == f"ended by {name}, {title}"


def test_the_keys_of_a_keyboard_do_the_same_at_full_speed():
    assert mistakes.in_qemu() == mistakes.in_bochs()


def test_a_red_line_in_the_window_and_a_red_title_over_the_report(machine):
    end_of(machine, "a", 4)
    end_of(machine, "a", 1)
    screen = cells(machine)
    red = {row: "".join(char for char, colour in cells if colour == RED) for row, cells in enumerate(screen)}
    assert {row: text.strip() for row, text in red.items() if text} == {
        mistakes.END_ROW["a"]: "ended by #DE, divide error", 6: "proc A has ended"}


def test_every_sentence_has_room_on_the_screen():
    text = (ROOT / "show/explain.c").read_text()
    sentences = re.findall(r'"([A-Za-z][^"]+\.)"', text)
    titles = re.findall(r'\{ "(#?\w+)", "([^"]+)"', text)
    assert len(sentences) > 20 and len(titles) > 15
    for sentence in sentences:
        lines = [""]
        for word in sentence.split(" "):  # as screen_wrapped does
            joined = f"{lines[-1]} {word}".strip()
            lines = lines[:-1] + [joined] if len(joined) <= 36 else lines + [word]
        assert len(lines) <= 3, sentence
    assert [title for name, title in titles if len(f"{name}: {title}") > 36] == []


# ---- the others

@pytest.mark.sample(3)
@pytest.mark.parametrize("letter, other", ["ab", "ba"])
@pytest.mark.parametrize("number", [3, 6])
def test_the_other_proc_plays_on_and_misses_no_turn(machine, letter, other, number):
    before = dict(turns(machine, 2))[other]
    if letter == "a":
        machine.press(str(number))
    else:
        machine.ask(letter, number)
    counted = []
    while machine.run_to("gate", "proc_end") == "gate":
        if machine.word("tss", 4) == SYMBOLS[f"proc_{other}_end"]:
            counted.append(count(machine.values()))
    later = turns(machine, 20)
    assert f"end proc={letter.upper()} alive={other.upper()}" in machine.log()
    assert {who for who, _ in later} == {other}
    counted += [turn for _, turn in later]
    assert counted == list(range(before + 1, before + 1 + len(counted)))
    assert machine.word("tss", 4) == SYMBOLS[f"proc_{other}_end"]
    switches = [line for line in machine.log() if line.startswith("switch")]
    assert machines.fields(switches[-1])["from"] == machines.fields(switches[-1])["to"] == other.upper()


def test_the_count_of_an_ended_proc_stays_in_its_window(machine):
    turns(machine, 6)
    machine.press("2")
    machine.run_to("proc_end")
    ended_with = count(machine.frame("a"))
    turns(machine, 5)
    assert ended_with > 2 and window_count(machine, "a") == ended_with
    machine.press("2")  # a new life, of one turn
    machine.run_to("proc_end")
    turns(machine, 3)
    assert window_count(machine, "a") == 1 == count(machine.frame("a"))


# ---- a new start

def test_r_starts_a_proc_anew_as_often_as_one_likes(machine):
    for number in (5, 1, 6, 2, 4):
        end_of(machine, "a", number)
        machine.press("r")
        machine.run_to("proc_a_code")
        assert machine.frame("a")["esp"] == STACK
        values = machine.values()
        assert (values["eip"], values["esp"], values["edi"], values["esi"], values["eax"]) == (0, STACK, 0, 0, 0)
        assert machine.read(linear("proc_a_data") + 4, STACK - 4) == bytes(STACK - 4)
        alternating = turns(machine, 6)
        assert [letter for letter, _ in alternating] == ["a", "b"] * 3
        assert [n for letter, n in alternating if letter == "a"] == [1, 2, 3]
        machine.run_to("timer_start")
        screen = cells(machine)
        assert not [colour for row in screen for _, colour in row if colour == RED]
        assert "frame of A" in rows(machine)[6] and "by pusha" in rows(machine)[7]
        assert window_count(machine, "a") in (1, 2, 3)


def test_r_does_nothing_to_those_who_live(machine):
    before = turns(machine, 2)
    machine.press("r")
    assert turns(machine, 2)[0] == (before[0][0], before[0][1] + 1)


def test_r_starts_b_anew_too(machine):
    end_of(machine, "b", 3)
    machine.press("r")
    machine.run_to("proc_b_code")
    assert machine.log()[-1] == "start proc=B"
    assert [letter for letter, _ in turns(machine, 4)] == ["b", "a"] * 2


def test_a_number_starts_a_anew_for_its_next_mistake(machine):
    for number in (1, 1, 6, 3, 5):
        end_of(machine, "a", number)
    ends = [line for line in machine.log() if line.startswith("fault")]
    assert [machines.fields(line)["name"] for line in ends] == ["#DE", "#DE", "IRQ0", "#GP", "#NM"]


def test_a_number_is_for_a_who_lives_too(machine):
    """B has ended; A is asked and ends, and then there is none."""
    end_of(machine, "b", 1)
    machine.press("5")
    assert [line.split()[0] for line in halted(machine)[-3:]] == ["fault", "end", "halt"]


# ---- one alone, and none

@pytest.mark.sample(3)
@pytest.mark.parametrize("pace", ["slow", "fast"])
@pytest.mark.parametrize("first, last", ["ab", "ba"])
def test_when_none_is_left_the_machine_says_so_and_stops(machine, first, last, pace):
    if pace == "fast":
        machine.press("f")
        turns(machine, 100)
    end_of(machine, first, 3)
    machine.ask(last, 5)
    log = halted(machine)
    machine.run_to("sleep")
    assert log[-2:] == [f"end proc={last.upper()} alive=none", 'halt reason="no proc is left"']
    shown = rows(machine)
    assert "No proc is left." in "\n".join(shown)
    for letter, name in ((first, "#GP"), (last, "#NM")):
        report = mistakes.report_on(shown, letter, log)
        assert report.lines[0] == f" proc {letter.upper()} has ended"
        assert report.lines[1].startswith(name) and report.lines[10]
        assert report.why.startswith(f"ended by {name}, ")
        assert window_count(machine, letter) == count(machine.frame(letter))
    assert not machine.values()["eflags"] & 0x200  # nothing will wake it up


@pytest.mark.parametrize("letter, home", [("a", 20), ("b", 2)])
def test_who_plays_alone_gets_the_ball_back_from_halfway(machine, letter, home):
    """letter ends; the other is at home in that row."""
    end_of(machine, letter, 1)
    machine.run_to("gate")
    flight = []
    while machine.run_to("timer_start", "gate") != "gate":
        flight += [row for row, line in enumerate(cells(machine)) if ("O", 0x0e) in line]
    away = [abs(row - home) for row in flight]
    furthest = away.index(max(away))
    assert away[-1] == 0 and 7 <= max(away) <= 9
    assert away[:furthest] == sorted(away[:furthest]) and away[furthest:] == sorted(away[furthest:], reverse=True)


def test_space_holds_who_plays_alone_and_steps(machine):
    end_of(machine, "a", 1)
    machine.press(" ")
    seen = []
    for _ in range(4):
        machine.press(" ")
        machine.run_to("gate")
        seen.append((count(machine.values()), machine.word("switches")))
    assert "held" in rows(machine)[0]
    assert [(b - seen[0][0], n - seen[0][1]) for b, n in seen] == [(k, k) for k in range(4)]
    machine.press("4")  # asked while held: A waits behind B, whose turn it is
    machine.press(" ")
    machine.press(" ")
    machine.run_to("proc_end")
    machine.run_to("gate")
    assert machine.log()[-1] == "end proc=A alive=B"


# ---- registers that the CPU refuses

def test_bad_registers_are_their_procs_mistake_and_the_report_says_when(machine):
    machine.run_to("gate")
    frame = linear("proc_b" if machine.word("tss", 4) == SYMBOLS["proc_a_end"] else "proc_a")
    letter = "b" if frame == linear("proc_b") else "a"
    machine.write(frame + debuggers.FRAME.index("ds") * 4, BEYOND.to_bytes(2, "little"))
    machine.run_to("proc_end")
    machine.run_to("gate")
    report = mistakes.report_on(rows(machine), letter, machine.log())
    assert report.fault.endswith(" while=restore")
    assert report.lines[6] == f" error {BEYOND:04x}: LDT {BEYOND:#x}"
    assert report.lines[7] == "while ring 0 restored its registers"


# ---- what the page quotes

def test_make_faults_prints_source_log_and_report():
    out = run("scripts/ringside", "mistakes", "--bochs", "3").stdout
    assert "int     $0x21" in out and "\nfault proc=A vector=0d name=#GP error=010a" in out
    assert "│  error 010a: IDT 0x21" in out and "key 1" not in out
    wrong = run("scripts/ringside", "mistakes", "7")
    assert wrong.returncode == 2 and "1 to 6" in wrong.stderr


@pytest.mark.parametrize("what, message", [
    ("mistake 7 log", "page.md:1: no mistake 7; there are: 1 to 6"),
    ("mistake 3 cause", "page.md:1: of a mistake there is source, log, report, error, found; not cause")])
def test_a_page_that_asks_for_what_no_mistake_has(what, message):
    with pytest.raises(docs.BadPage, match=re.escape(message)):
        docs.produce(list(docs.blocks_of("page.md", f"<!-- run: {what} -->\n<!-- end -->")), docs.Facts())


@pytest.mark.parametrize("error, says", [
    (0x0000, ("EXT: 0,", "IDT: 0", "TI: 0", "index: 0, no selector")),
    (0x010a, ("EXT: 0,", "IDT: 1", "TI: 0", "index: 33, vector 0x21")),
    (0x0010, ("EXT: 0,", "IDT: 0", "TI: 0, in the GDT", "index: 2, so selector 0x0010")),
    (0x0025, ("EXT: 1,", "IDT: 0", "TI: 1, in the LDT", "index: 4, so selector 0x0024")),
])
def test_an_error_code_is_taken_to_pieces(error, says):
    text = mistakes.error_bits(mistakes.Report(f"fault error={error:04x}", "", "", []))
    assert re.search(r"EXT: .*?,", text) and all(part in re.sub(" +", " ", text) for part in says)
    assert f"{error:016b}" in text


def test_what_ring_3_may_ask_has_the_same_answers_in_both_emulators(tmp_path):
    tables = {mistakes.answers_table(mistakes.answers(tmp_path, emulator)) for emulator in BOTH}
    table, = tables
    for name, place in (("sgdt", "gdt"), ("sidt", "idt")):
        assert f"| `{name}` | `{BASE + SYMBOLS[place]:08x}`" in table
    assert f"| `sldt` | `{SYMBOLS['A_LDT']:04x}`" in table and f"| `str` | `{SYMBOLS['TSS']:04x}`" in table
    assert table.count("| nothing |") == 2 and "the second larger" in table


# ---- for a long time

@pytest.mark.long
def test_five_seconds_at_full_speed_with_mistakes():
    """Which mistakes, and when, depends on a random seed."""
    soak = run("scripts/ringside", "soak", "--seconds", "5", timeout=100)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    for name in NAMES:
        assert f"{name}: all held" in soak.stdout
    for row in ("switches done", "procs restarted", "procs ended"):
        assert all(int(number.replace(",", "")) > 0 for number in re.search(rf"{row} +(.*)", soak.stdout)[1].split())

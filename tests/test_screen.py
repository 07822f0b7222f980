"""The screen shows the truth, and keys do what they say."""

import re
import struct

from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import FRAME_BYTES, GENERAL, SYMBOLS, count, linear

WINDOWS = {"a": 2, "b": 20}  # the row that the proc writes
HALVES = {"a": slice(0, 40), "b": slice(40, 80)}  # of the panel: a frame each
TITLE, PANEL, FRAME_END, TSS, KEYS = 0, slice(8, 16), 16, 17, 23
BALL = ("O", 0x0e)


def panel(rows, letter):
    """A frame as ring 0 shows it, word by word."""
    text = "\n".join(row[HALVES[letter]] for row in rows[PANEL])
    found = {}
    for name, value in re.findall(r"([a-z]+) +([0-9a-f]{4,8})\b", text):
        name = "pusha_esp" if name in found else name  # the second esp
        found[name] = int(value, 16)
    return found


def rows_of(machine):
    """The screen of a machine that a debugger holds."""
    text = machine.read(0xb8000, 4000)[::2].decode("cp437")
    return [text[start:start + 80] for start in range(0, 2000, 80)]


class Picture:
    """The screen and the memory behind it at one moment, taken apart."""

    def __init__(self, machine):
        machine.stop()
        self.cells = machine.cells()
        self.frames = {letter: debuggers.frame(machine.memory(linear("proc_" + letter), FRAME_BYTES))
                       for letter in "ab"}
        self.esp0, self.ss0 = struct.unpack("<II", machine.memory(linear("tss") + 4, 8))
        self.log = machine.log()
        machine.cont()
        self.rows = ["".join(char for char, _ in row) for row in self.cells]
        self.n = int(re.search(r"switches +(\d+) +$", self.rows[TITLE]).group(1))

    def __eq__(self, other):
        return vars(self) == vars(other)

    def window(self, letter):
        """What a proc says of itself: count, ss, esp."""
        text = self.rows[WINDOWS[letter]]
        number, ss, esp = re.search(r"count +(\d+) .*ss:esp +(\w{4}):(\w{8}) ", text).groups()
        return int(number), int(ss, 16), int(esp, 16)

    def ball(self):
        """Its row, the only one."""
        place, = [row for row in range(25) for cell in self.cells[row] if cell == BALL]
        return place

    def next_proc(self):
        """The proc with "iret next" over its frame; over the other's stands "just saved"."""
        titles = {letter: self.rows[6][HALVES[letter]] for letter in "ab"}
        after, = [letter for letter in "ab" if "iret next" in titles[letter]]
        assert "just saved" in titles["b" if after == "a" else "a"]
        return after


def still(machine):
    """The picture once nothing changes any more: ten in a row are the same."""
    for _ in range(100):
        first = Picture(machine)
        if all(Picture(machine) == first for _ in range(10)):
            return first
    raise machines.Missing("the screen never stood still")


def hold(machine):
    machine.key(" ")
    machine.wait_screen("^ +RINGPONG +held: space steps")
    return still(machine)


def step(machine, before):
    """One press of space while it holds: the picture after it."""
    machine.key(" ")
    machine.wait_screen(rf"switches +{before.n + 1} ")
    picture = still(machine)
    assert picture.n == before.n + 1
    return picture


def press(machine, key, pace):
    machine.key(key)
    machine.wait_screen(rf"^ +RINGPONG +{pace} +switches +\d")


def at_full_speed(machine):
    machine.wait_log("n=1 ")
    press(machine, "f", "full speed")
    machine.wait_log("n=65536 ")


@pytest.fixture
def slow(qemu):
    """Playing, one switch a second."""
    qemu.wait_log("n=1 ")
    return qemu


@pytest.fixture
def fast(qemu):
    at_full_speed(qemu)
    return qemu


@pytest.fixture(params=["slow", "fast"])
def playing(request):
    return request.getfixturevalue(request.param)


# ---- keys

def test_a_row_lists_the_keys(slow):
    text = slow.screen()[KEYS]
    for key in ("space hold, step", "+ - pace", "f full speed", "1-6 A's mistakes", "r restart", "q quit"):
        assert key in text


def test_space_holds_and_then_makes_one_switch_a_press(playing):
    before = hold(playing)
    for _ in range(6):
        picture = step(playing, before)
        assert picture.next_proc() != before.next_proc()
        this = before.next_proc()  # it has had its turn; the other has not moved
        other = "b" if this == "a" else "a"
        assert count(picture.frames[this]) == count(before.frames[this]) + 1
        assert picture.frames[other] == before.frames[other]
        before = picture


def test_plus_and_minus_double_and_halve_the_pace(slow):
    for key, pace in zip("++-+++---- -", (2, 4, 2, 4, 8, 16, 8, 4, 2, 1, None, 1)):
        press(slow, key, f"{pace} switch(es)? a second" if pace else "held: .*")
    press(slow, "f", "full speed")
    press(slow, "-", "32768 switches a second")
    press(slow, "+", "full speed")
    press(slow, "+", "full speed")
    assert re.search("RINGPONG +full speed +switches", slow.screen()[TITLE])


@pytest.mark.sample(3)
@pytest.mark.parametrize("key, pace", [
    ("equal", 2), ("shift-equal", 2), ("bracket_right", 2), ("kp_add", 2),
    ("minus", 1), ("slash", 1), ("kp_subtract", 1)])
def test_plus_and_minus_stand_in_more_than_one_place(slow, key, pace):
    """On US and German keyboards and on the numeric pad."""
    hold(slow)
    press(slow, key, rf"{pace} switch(es)? a second")


@pytest.mark.parametrize("key, pace", [("+", "2 switches a second"), ("f", "full speed")])
def test_held_procs_go_on_when_a_pace_is_chosen(slow, key, pace):
    before = hold(slow)
    press(slow, key, pace)
    since = len(before.log)
    slow.wait_log("switch", since=since)


def test_other_keys_do_nothing(slow):
    before = hold(slow)
    slow.key("x", "ret", "esc", "a", "tab", "left", "1", "shift-f1", "ctrl-c", " ")
    slow.wait_screen(rf"switches +{before.n + 1} ")
    assert still(slow).n == before.n + 1


@pytest.mark.parametrize("held", [False, True], ids=["playing", "held"])
def test_q_switches_the_machine_off(playing, held):
    if held:
        hold(playing)
    playing.key("q")
    playing.wait_exit()
    assert re.fullmatch(r"quit n=\d+", playing.log()[-1])


def test_the_end_finds_every_switch_in_the_frames():
    with machines.Qemu(extra=["-no-shutdown"]) as machine:
        at_full_speed(machine)
        machine.key("q")
        n = int(machine.wait_log(r"^quit n=(\d+)$").group(1))
        frames = [debuggers.frame(machine.memory(linear("proc_" + letter), FRAME_BYTES))
                  for letter in "ab"]
    assert n > 65536
    assert [count(frame) for frame in frames] == [n - n // 2, n // 2]


def test_a_machine_that_cannot_switch_itself_off_says_so_and_halts():
    with machines.Qemu(machine="isapc") as machine:
        machine.wait_log("n=1 ")
        machine.key("q")
        machine.wait_screen("It is safe to switch the machine off")
        registers = machine.registers()
        assert registers["hlt"] == 1 and not registers["eflags"] & 0x200
        assert machine.log()[-1].startswith("quit n=")


# ---- what is on the screen

def test_windows_and_panel_hold_what_the_frames_say(playing):
    picture = hold(playing)
    if picture.n < 2:  # B has had no turn, and nothing to show
        picture = step(playing, picture)
    for _ in range(4):
        counts = {}
        for letter in "ab":
            frame = picture.frames[letter]
            counts[letter], ss, esp = picture.window(letter)
            assert counts[letter] == count(frame)
            assert (ss, esp) == (frame["ss"], frame["esp"])
            assert panel(picture.rows, letter) == frame
            start = SYMBOLS["proc_" + letter]
            half = HALVES[letter]
            assert f"from {start:08x} " in picture.rows[6][half]
            assert f"up to {start + FRAME_BYTES:08x}" in picture.rows[FRAME_END][half]
            arrow = "← esp0" in picture.rows[FRAME_END][half]
            assert arrow == (picture.esp0 == start + FRAME_BYTES)
        assert sum(counts.values()) == picture.n
        assert f"ss0:esp0  {picture.ss0:04x}:{picture.esp0:08x} " in picture.rows[TSS]
        turn = picture.next_proc()
        assert picture.esp0 == SYMBOLS["proc_" + turn] + FRAME_BYTES
        assert picture.ball() == WINDOWS[turn]
        picture = step(playing, picture)


def test_the_windows_are_up_to_date_wherever_full_speed_is_held(fast):
    """Not every look is a picture."""
    for _ in range(8):
        picture = hold(fast)
        for letter in "ab":
            assert picture.window(letter)[0] == count(picture.frames[letter])
        press(fast, "f", "full speed")


def test_the_panel_shows_every_word_of_a_frame_in_its_place():
    with debuggers.DebuggedQemu() as machine:
        for letter in "ab":
            machine.run_to(f"proc_{letter}_int")
            machine.set(**{name: 0x11111111 * n for n, name in enumerate(GENERAL, 1)})
            machine.run_to("panel_switch")
            machine.run_to("timer_start")
            shown = panel(rows_of(machine), letter)
            assert shown == machine.frame(letter)
            assert len(set(shown[name] for name in GENERAL)) == len(GENERAL)


def test_the_arrow_is_where_esp0_points_even_if_that_is_wrong():
    with debuggers.DebuggedQemu() as machine:
        machine.run_to("panel_switch")
        esp0 = machine.word("tss", 4)
        for letter in "ab":
            end = SYMBOLS["proc_" + letter] + FRAME_BYTES
            machine.write(linear("tss") + 4, end.to_bytes(4, "little"))
            machine.run_to("timer_start")
            machine.write(linear("tss") + 4, esp0.to_bytes(4, "little"))
            row = rows_of(machine)[FRAME_END]
            assert [name for name in "ab" if "esp0" in row[HALVES[name]]] == [letter]
            machine.run_to("panel_switch")
            esp0 = machine.word("tss", 4)


def test_a_count_beyond_32_bits_is_shown_in_full():
    counts = {"a": (1 << 32) - 1, "b": (1 << 64) - 2}
    with debuggers.DebuggedQemu() as machine:
        machine.run_to("proc_b_int")  # ring 0 has asked both to draw
        for letter in "ab":
            machine.run_to(f"proc_{letter}_int")
            machine.set(edi=counts[letter] >> 32, esi=counts[letter] & 0xffffffff)
        for letter in "ab":
            machine.run_to(f"proc_{letter}_int")
            shown = re.search(r"count +(\d+) ", rows_of(machine)[WINDOWS[letter]]).group(1)
            assert int(shown) == counts[letter] + 1


def test_the_log_and_the_title_count_the_same_switches(slow):
    picture = hold(slow)
    for _ in range(9):
        picture = step(slow, picture)
        logged = [int(machines.fields(line)["n"]) for line in picture.log[1:]]
        assert logged == [1 << k for k in range(picture.n.bit_length())]


def test_the_pace_doubles_by_itself_up_to_full_speed():
    paces = []
    with debuggers.DebuggedQemu() as machine:
        for _ in range(17):
            machine.run_to("screen_pace")
            machine.run_to("gate")
            paces.append(re.search("RINGPONG +(.*?) +switches  ", rows_of(machine)[TITLE]).group(1))
    doubled = [f"{1 << k} switches a second" for k in range(1, 16)]
    assert paces == ["1 switch a second", *doubled, "full speed"]


def test_the_ball_flies_from_the_one_window_to_the_other():
    flights = []
    with debuggers.DebuggedQemu() as machine:
        for _ in range(2):
            machine.run_to("gate")
            rows = []
            for _ in range(32):
                machine.run_to("timer_start")
                cells = machine.read(0xb8000, 4000)
                ball = BALL[0].encode() + bytes([BALL[1]])
                rows += [i // 80 for i in range(2000) if cells[2 * i:2 * i + 2] == ball]
            flights.append(rows)
    down, up = flights
    assert down == sorted(down) and down[-1] == WINDOWS["b"]
    assert up == sorted(up, reverse=True) and up[-1] == WINDOWS["a"]
    assert set(down) | set(up) == set(range(WINDOWS["a"], WINDOWS["b"] + 1))


def luminance(colour):
    """Of one of the sixteen of the VGA's text modes, as WCAG counts it."""
    bright = 0x55 if colour & 8 else 0
    parts = [bright + 0xaa * bool(colour & bit) for bit in (4, 2, 1)]
    if colour == 6:
        parts[1] = 0x55     # brown
    parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_every_letter_of_the_panel_can_be_read(slow):
    rows = slow.cells()
    assert "by int" in "".join(char for row in rows for char, _ in row)
    for number, row in enumerate(rows):
        for char, attribute in row:
            if char.isalnum():
                dark, light = sorted((luminance(attribute & 15), luminance(attribute >> 4)))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, f"row {number}: {char!r} is {attribute:02x}"


def test_a_screenshot_is_a_picture_with_all_its_colours(slow, tmp_path):
    slow.screenshot(tmp_path / "screen.png")
    png = (tmp_path / "screen.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (720, 400)
    slow.qmp("screendump", filename=str(tmp_path / "screen.ppm"))
    pixels = (tmp_path / "screen.ppm").read_bytes().split(b"\n255\n", 1)[1]
    colours = {attribute & 15 for row in slow.cells() for char, attribute in row if char != " "}
    colours |= {attribute >> 4 for row in slow.cells() for _, attribute in row}
    assert len(set(zip(*[iter(pixels)] * 3))) == len(colours) >= 8

"""make debug: what GDB says is true, in real mode, in ring 0 and in ring 3."""

import os
import pathlib
import re
import shutil
import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, FRAME, FRAME_BYTES, PUSHED_BY_INT, SYMBOLS
from ringside.emulators.machines import ROOT

DEBUG = ROOT / "scripts/debug"
A_CODE, A_DATA, B_CODE, B_DATA = (f"{SYMBOLS[name]:04x}" for name in ("A_CODE", "A_DATA", "B_CODE", "B_DATA"))
COMMANDS = "at crossing ring who frames tss gdt ldt idt screen key watch".split()

# GDB's own scripts end at the first error. These tests want to see what it says then.
ASK = """
python
def ask(command):
    gdb.write(f"@@{command}\\n")
    try:
        gdb.execute(command)
    except gdb.error as error:
        gdb.write(f"error: {error}\\n")
end
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """What GDB answers to each command, from the boot sector's first instruction on."""
    script = tmp_path_factory.mktemp("debug") / "commands"

    def talk(*commands):
        script.write_text(ASK + "".join(f"python ask({command!r})\n" for command in commands) + "echo @@end\n")
        run = subprocess.run(["sh", DEBUG, "--commands", script], text=True, timeout=60, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        _, *answers, end = re.split("^@@", run.stdout, flags=re.M)
        if not end.startswith("end"):
            raise machines.Missing(f"GDB ended, rc {run.returncode}: {run.stdout[-2000:]}")
        return [answer.partition("\n")[2] for answer in answers]
    return talk


def to(place):
    """Commands that go there. The last command's answer is the stop."""
    return ["delete", f"at {place}", "continue", "delete"]


FULL_SPEED = ["key f", *to("watched_switch if pace == program.full_speed")]


def memory(name, count, offset=0):
    """A command that shows words of the program, whatever GDB takes for addresses."""
    return f"monitor xp /{count}wx {BASE + SYMBOLS[name] + offset:#x}"


def words(shown):
    return [int(word, 16) for word in re.findall(r" 0x(\w{8})\b", shown)]


def end_of(letter):
    return SYMBOLS["proc_" + letter] + FRAME_BYTES


# ---- one journey, on which everything is looked at everywhere

REAL_MODE = ["_start", "start", "enter_protected_mode"]
RING_0 = ["ckpt_frames", "ckpt_tss", "ckpt_iret", "gate", "switch_to_next", "ckpt_switched"]
RING_3 = ["proc_a_code", "proc_a_int", "proc_b_code", "proc_b_int"]
JOURNEY = [*REAL_MODE, "ckpt_frames", "ckpt_tss", "ckpt_iret", "proc_a_code", "proc_a_int", "gate",
           "switch_to_next", "ckpt_switched", "proc_b_code", "proc_b_int"]

STATE = "monitor info registers"
GDT, IDT, TSS = memory("gdt", 16), memory("idt", 98), memory("tss", 26)
LDTS = {"A_LDT": memory("proc_a_ldt", 6), "B_LDT": memory("proc_b_ldt", 12)}
FRAMES = [memory("proc_a", len(FRAME)), memory("proc_b", len(FRAME))]
LOOKS = ["ringpong-stop", "info symbol $pc", "x/i $pc", "frame", "ring", "gdt", "ldt", "idt", "tss", "frames",
         "who", STATE, GDT, *LDTS.values(), IDT, TSS, *FRAMES]


@pytest.fixture(scope="module")
def seen(talk):
    """seen[label][command]: what it answered there."""
    commands = []
    for label in JOURNEY:
        commands += [*(to(label) if label != "_start" else []), *LOOKS]
    answers, seen = iter(talk(*commands)), {}
    for label in JOURNEY:
        for _ in to(label) if label != "_start" else []:
            next(answers)
        seen[label] = {look: next(answers) for look in LOOKS}
    return seen


WORLDS = {
    **dict.fromkeys(REAL_MODE, r"real mode   cs:ip \w{4}:\w{4} (\w+)"),
    **dict.fromkeys(RING_0, r"ring 0   cs:eip 0008:\w{8} (\w+)   ss:esp 0010:\w{8}"),
    **{label: rf"ring 3, proc {label[5].upper()}   cs:eip {cs}:\w{{8}} (\w+)   ss:esp {ss}:00000100"
       for label, cs, ss in zip(RING_3, [A_CODE, A_CODE, B_CODE, B_CODE], [A_DATA, A_DATA, B_DATA, B_DATA])},
}


def gdb_has_one_name_for_it(label):
    """GDB takes an offset of the program for the boot sector's address, if a name lies just there."""
    names = subprocess.run(["nm", machines.PROGRAM], check=True, capture_output=True, text=True).stdout
    if label == "_start" and "00007c00 " in names:     # some names stand for more than one place
        pytest.xfail("a name of the program has the boot sector's address as its offset")


@pytest.mark.parametrize("label", JOURNEY)
def test_a_stop_shows_the_world_and_the_label(seen, label):
    gdb_has_one_name_for_it(label)
    name = re.fullmatch(WORLDS[label] + "\n", seen[label]["ringpong-stop"]).group(1)
    assert name == label or SYMBOLS[name] == SYMBOLS[label]  # some places have two
    assert seen[label]["info symbol $pc"].startswith(f"{name} in section .text")


@pytest.mark.parametrize("label, decoded, line", [
    ("_start", r"jmp 0x\w+ <start>", r"jmp\tstart"),
    ("start", r"call 0x\w+ <enter_protected_mode>", r"call\tenter_protected_mode"),
    ("enter_protected_mode", "cli", r"cli"),
    ("ckpt_frames", r"mov \$0x\w+,%eax", r"mov\t\$TSS, %eax"),
    ("ckpt_iret", "iret", "iret"),
    ("switch_to_next", r"mov .*,%eax", r"frame_proc\(saved\)->next"),
    ("proc_a_int", r"int \$0x30", r"int\t\$0x30"),
    ("proc_b_int", r"int \$0x30", r"int\t\$0x30"),
])
def test_a_stop_shows_the_line_and_the_instruction(seen, label, decoded, line):
    gdb_has_one_name_for_it(label)
    assert re.search(rf"^\d+\t.*{line}", seen[label]["frame"], re.M)
    assert re.fullmatch(decoded, instruction(seen[label]["x/i $pc"]))


def instruction(shown):
    """'call 0x2b2 <enter_protected_mode>' of what x/i shows."""
    return " ".join(shown.partition(":\t")[2].split())


@pytest.mark.parametrize("label", JOURNEY)
def test_ring_says_what_qemu_says(seen, label):
    shown, truth = seen[label]["ring"], seen[label][STATE]
    cpl = 3 if label in RING_3 else 0
    assert f"CPL={cpl}" in truth
    assert shown.startswith(f"CPL {cpl}:")
    assert f"CR0.PE   {int(label not in REAL_MODE)}" in shown
    for name, pointer, value in (("CS", "eip", "EIP"), ("SS", "esp", "ESP")):
        selector, base = re.search(rf"^{name} *=(\w+) (\w+)", truth, re.M).groups()
        offset = re.search(rf"\b{value}=(\w+)", truth).group(1)
        assert f"{name.lower()}:{pointer}   {selector}:{offset}   base {base}" in shown
    if cpl:
        assert re.search(r"cs +\w+ [AB]_CODE: its RPL, 3, is the CPL", shown)
        assert re.search(r"ss +\w+ [AB]_DATA: its DPL, 3, also always equals the CPL", shown)


@pytest.mark.parametrize("command", ["gdt", "ldt", "idt", "tss", "frames", "who"])
@pytest.mark.parametrize("label", REAL_MODE)
def test_before_protected_mode_a_command_says_how_to_get_there(seen, label, command):
    assert seen[label][command] == ("error: There are no tables, frames and procs before protected mode. "
                                    "To get there: at ckpt_frames, then continue\n")


def check_segments(shown, raw, table_indicator, state):
    """Each descriptor that is there, and no other; and all registers that hold it."""
    held = [(name.lower(), int(value, 16) & ~3)
            for name, value in re.findall(r"^(\w\w|LDT) *=(\w{4})", state, re.M)]
    rows = re.findall(r"^(\w\w)     (?:(\w+) +(\w{8})  (\w{8})  (\S+(?: \S+)?) +(\d)    ([a-z ]*?)  +\S.*"
                      "|not present)$", shown, re.M)
    places = range(0 if table_indicator else 8, 4 * len(raw), 8)  # the GDT's first entry is none
    assert [int(row[0], 16) for row in rows] == [place | table_indicator for place in places]
    for place, name, base, limit, kind, dpl, holders in rows:
        place = int(place, 16)
        low, high = raw[place // 8 * 2:place // 8 * 2 + 2]
        access = high >> 8 & 0xff
        assert bool(name) == bool(access & 0x80)
        if name:
            assert int(base, 16) == high & 0xff000000 | (high & 0xff) << 16 | low >> 16
            assert int(limit, 16) == high & 0xf0000 | low & 0xffff
            assert int(dpl) == access >> 5 & 3
            assert SYMBOLS[name] == place + int(dpl)
            # Bit 0 is "accessed", or says of a TSS that it is a 32-bit one.
            assert kind == {0x1a: "code32 xr", 0x12: "data32 rw", 0x08: "TSS", 0x0a: "TSS, busy",
                            0x02: "LDT"}[access & 0x1e]
            assert {{"ldtr": "ldt"}.get(one, one) for one in holders.split()} == \
                {register for register, value in held if value == place}


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_gdt_shows_every_descriptor_and_who_holds_it(seen, label):
    shown, raw = seen[label]["gdt"], words(seen[label][GDT])
    assert raw[0] & 0xffff == 4 * len(raw) - 1
    assert f"base {BASE + SYMBOLS['gdt']:08x}   limit {4 * len(raw) - 1:04x}" in shown
    check_segments(shown, raw, 0, seen[label][STATE])


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_ldt_shows_what_the_proc_that_is_next_may_name(seen, label):
    shown, state = seen[label]["ldt"], seen[label][STATE]
    if label in ("ckpt_frames", "ckpt_tss"):
        assert shown.startswith("error: No LDT is in use")
        return
    name = "B_LDT" if JOURNEY.index(label) >= JOURNEY.index("ckpt_switched") else "A_LDT"
    raw = words(seen[label][LDTS[name]])
    assert re.search(rf"^LDT=00{SYMBOLS[name]:02x} ", state, re.M)
    start = BASE + SYMBOLS["proc_" + name.lower()]
    assert f"LDTR   {SYMBOLS[name]:04x} {name}   base {start:08x}   limit {4 * len(raw) - 1:04x}" in shown
    check_segments(shown, raw, 4, state)


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_idt_shows_where_every_vector_leads(seen, label):
    shown, raw = seen[label]["idt"], words(seen[label][IDT])
    assert f"base {BASE + SYMBOLS['idt']:08x}   limit {len(raw) * 4 - 1:04x}" in shown
    rows = re.findall(r"^(\w\w)(?:-(\w\w))? +interrupt gate  (\d)    0008:(\w{8}) RING0_CODE (\w+)[+\w]*"
                      r"(?:, each (\w+) further on)?$", shown, re.M)
    leads = {}
    for first, last, dpl, offset, _, distance in rows:
        for i, vector in enumerate(range(int(first, 16), int(last or first, 16) + 1)):
            leads[vector] = int(offset, 16) + i * int(distance or "0", 16), int(dpl)
    gates = {i // 2: (raw[i] & 0xffff, raw[i + 1] >> 13 & 3) for i in range(0, len(raw), 2)}
    assert gates.pop(8) == (0, 0)
    assert re.search("^08 +task gate +0    0020 DOUBLE_FAULT, another task$", shown, re.M)
    assert leads == gates
    names = {row[0]: row[4] for row in rows}
    assert (names["00"], names["02"], names["30"]) == ("fault_vectors", "nmi", "gate_with_stop")


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_tss_shows_the_stack_that_the_next_int_takes(seen, label):
    shown, (_, esp0, ss0, *_) = seen[label]["tss"], words(seen[label][TSS])
    letter = "b" if JOURNEY.index(label) >= JOURNEY.index("ckpt_switched") else "a"
    assert (esp0, ss0) == (end_of(letter), SYMBOLS["RING0_DATA"])
    assert f"ss0    {ss0:08x}   RING0_DATA\n" in shown
    assert f"esp0   {esp0:08x}   the end of proc {letter.upper()}'s frame\n" in shown
    assert "I/O bitmap at 0068, beyond the limit: all are closed to ring 3\n" in shown
    loaded = f"TR     0018 TSS   base {BASE + SYMBOLS['tss']:08x}   limit 0067\n"
    assert shown.startswith(loaded if label != "ckpt_frames" else "TR     not loaded yet")


# ---- the procs

def drawn(frames):
    """What frames shows, line by line: (who pushes it, offset, name), its cell for each proc."""
    for line in frames.splitlines()[1:1 + len(FRAME) + 1]:
        cells = [(cell[:8], cell[10:18].strip(), cell[19:].strip()) for cell in (line[26:58], line[58:])]
        yield (line[:9].strip(), int(line[11:13]), line[15:26].strip()), cells


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_frames_shows_each_word_and_who_pushes_it(seen, label):
    rows = list(drawn(seen[label]["frames"]))
    pushers = ["the gate"] * 4 + ["pusha"] * 8 + ["the CPU"] * 5
    assert [row for row, _ in reversed(rows)] == [*zip(pushers, range(0, FRAME_BYTES, 4), FRAME),
                                                  ("", FRAME_BYTES, "end")]
    for column, letter in enumerate("ab"):
        raw = words(seen[label][FRAMES[column]])
        expected = [(SYMBOLS["proc_" + letter] + 4 * i, f"{word:08x}") for i, word in enumerate(raw)]
        assert [(int(cells[column][0], 16), cells[column][1]) for _, cells in reversed(rows)] == \
            [*expected, (end_of(letter), "")]


@pytest.mark.parametrize("label", RING_0 + RING_3)
def test_frames_shows_where_esp0_and_esp_point(seen, label):
    esp0 = words(seen[label][TSS])[1]
    expected = {esp0: "<- esp0"}
    if label in RING_0:
        esp = int(re.search(r"\bESP=(\w+)", seen[label][STATE]).group(1), 16)
        expected[esp] = "<- esp"
    frames = seen[label]["frames"]
    marks = {int(address, 16): mark for _, cells in drawn(frames) for address, _, mark in cells if mark}
    inside = {place for letter in "ab" for place in range(SYMBOLS["proc_" + letter], end_of(letter) + 1)}
    assert marks == {place: mark for place, mark in expected.items() if place in inside}
    assert ("in no frame" in frames) == (label in RING_0 and esp not in inside)
    assert re.findall(r"proc (\w), running", frames) == ([label[5].upper()] if label in RING_3 else [])


def test_who_follows_a_switch_from_one_proc_to_the_other(seen):
    leaves, runs = "goes on with the next iret", "runs"
    comes = "has come in by int; the next proc has not been chosen yet"
    a_saved, b_saved = (f"saved in its frame, {SYMBOLS['proc_' + letter]:08x}" for letter in "ab")
    for label, a, b in (
            ("ckpt_frames", leaves, b_saved), ("ckpt_iret", leaves, b_saved),
            ("proc_a_code", runs, b_saved), ("proc_a_int", runs, b_saved),
            ("gate", comes, b_saved), ("switch_to_next", comes, b_saved),
            ("ckpt_switched", a_saved, leaves), ("proc_b_code", a_saved, runs), ("proc_b_int", a_saved, runs)):
        assert seen[label]["who"] == f"proc A: {a}; next after it: B\nproc B: {b}; next after it: A\n", label


# ---- going on

def line_of(name, text):
    lines = (ROOT / name).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_code_is_decoded_as_the_processor_takes_it_before_and_after_the_switch(talk):
    line = line_of("ring0/enter.S", "mov\t%eax, %cr0")
    look = ["x/i $pc", "show architecture", "ring"]
    answers = talk(*to(f"enter.S:{line}"), *look, "stepi", *look, "stepi", *look)[4:]
    codes, architectures, rings = (answers[kind::4] for kind in range(3))
    assert [instruction(code).split()[0] for code in codes] == ["mov", "ljmpl", "mov"]
    assert instruction(codes[2]) == "mov $0x10,%eax"  # 16-bit code would move two bytes
    assert [re.search('"(i.*)"', one).group(1) for one in architectures] == ["i8086", "i8086", "i386"]
    assert "real mode has no rings" in rings[0] and "CR0.PE   0" in rings[0]
    assert "cs has not got a selector yet" in rings[1] and "CR0.PE   1" in rings[1]
    assert "RING0_CODE is in cs" in rings[2] and "CR0.PE   1" in rings[2]


def test_gdb_steps_over_calls_returns_from_them_and_knows_the_callers(talk):
    line = line_of("procs/watched_gate.S", "call\twatched_switch")
    answers = talk(*to("gate"), f"advance watched_gate.S:{line}", "next",
                   *to("switch_to_next"), "backtrace", "print ((struct proc *)(saved + 1))->name", "finish")
    over, callers, name, back = answers[5], *answers[-3:]
    assert re.search(rf"^{line + 1}\t", over, re.M)
    assert re.findall(r"^#\d+ .*?(\w+) \(", callers, re.M) == ["switch_to_next", "watched_switch", "gate_watched"]
    assert "corrupt" not in callers
    assert "'B'" in name
    assert "in watched_switch" in back


def test_gdb_does_not_guess_at_callers_of_assembly_and_wait_for_a_return(talk):
    """In real mode, and in ring 3: `next` at a call stops at the first instruction inside."""
    answers = talk(*to("start"), "next", "backtrace",
                   *to(f"proc.h:{line_of('ring3/proc.h', 'call' + chr(9))}"), "next", "backtrace")
    for function, stop, callers in (("enter_protected_mode", *answers[4:6]), ("proc_a_draw", *answers[-2:])):
        assert re.search(rf":\w+ {function}\b", stop)
        assert callers.startswith(f"#0  {function} ()") and len(callers.splitlines()) == 1


def crossed(shown):
    """What crossing shows: its first line; before and after; the words (address, value, name)."""
    title, rest = shown.split("\n", 1)
    columns = {name: [column.strip() for column in re.split(r" {2,}", columns)]
               for name, columns in re.findall(r"^(CPL|cs:eip|ss:esp|eflags) +(.*)$", rest, re.M)}
    moved = re.findall(r"^  (\w{8})  (\w{8})  (error code|\w+)(?: |$)", rest, re.M)
    moved = [(int(address, 16), int(value, 16), name) for address, value, name in moved]
    return title, columns, moved[::-1]


FIVE = ["eip", "cs", "eflags", "esp", "ss"]


def as_listed(start, raw, names=FIVE):
    return [(start + 4 * i, word, name) for i, (word, name) in enumerate(zip(words(raw), names))]


def test_crossing_shows_what_the_processor_moved_from_where_to_where(talk):
    start = end_of("a") - PUSHED_BY_INT
    moved = memory("proc_a", 5, FRAME_BYTES - PUSHED_BY_INT)
    before_iret, way_out, way_in, after_int = talk(*to("ckpt_tss"), moved, "crossing", "crossing", moved)[4:]

    title, columns, popped = crossed(way_out)
    assert re.match(r"iret at ckpt_iret p_proc.S:\d+: ring 0 -> ring 3, into proc A$", title)
    assert popped == as_listed(start, before_iret)
    assert columns["CPL"] == ["0", "3"]
    assert columns["cs:eip"] == [f"0008:{SYMBOLS['ckpt_iret']:08x} ckpt_iret", f"{A_CODE}:00000000 proc_a_code"]
    assert columns["ss:esp"] == [f"0010:{start:08x} proc_a+48", f"{A_DATA}:00000100 the end of A_DATA"]

    title, columns, pushed = crossed(way_in)
    eip = SYMBOLS["proc_a_int"] - SYMBOLS["proc_a_code"]
    assert re.match(r"int 0x30 at proc_a_int ring3/proc.h:\d+: ring 3 -> ring 0, out of proc A$", title)
    assert f"0010:{end_of('a'):08x}, the end of proc A's frame, and pushed" in way_in
    assert pushed == as_listed(start, after_int)
    values = {name: value for _, value, name in pushed}
    assert (values["cs"], values["eip"]) == (SYMBOLS["A_CODE"], eip + 2)
    assert (values["ss"], values["esp"]) == (SYMBOLS["A_DATA"], 0x100)
    assert columns["CPL"] == ["3", "0"]
    assert columns["cs:eip"] == [f"{A_CODE}:{eip:08x} proc_a_int",
                                 f"0008:{SYMBOLS['gate_with_stop']:08x} gate_with_stop"]
    assert columns["ss:esp"] == [f"{A_DATA}:00000100 the end of A_DATA", f"0010:{start:08x} proc_a+48"]
    assert int(columns["eflags"][0].split()[0], 16) == values["eflags"]


ROUND = [("iret", "A"), ("int 0x30", "A"), ("iret", "B"), ("int 0x30", "B")]


def crossings(*answers):
    return re.findall(r"^(\w+(?: \w+)?) at .* (?:into|out of) proc (\w)$", "".join(answers), re.M)


def test_crossings_follow_each_other_and_stop_at_a_breakpoint_on_the_way(talk):
    *answers, stopped = talk(*to("ckpt_iret"), *["crossing"] * 4, "at switch_to_next", "crossing")
    assert crossings(*answers) == ROUND
    assert "Breakpoint" in stopped and "switch_to_next (" in stopped
    assert crossings(stopped) == []


def test_each_key_is_pressed_once(talk):
    *_, pace = talk(*to("ckpt_iret"), "key + +", *to("watched_switch if pace == 2"), *to("watched_switch"),
                    "print pace")
    assert pace.endswith("= 2\n")


def test_at_full_speed_crossing_and_screen_are_right_too(talk, tmp_path):
    raw = tmp_path / "video"
    *answers, pace, _, screen = talk(*to("ckpt_iret"), *FULL_SPEED, *["crossing"] * 8, "print pace == program.full_speed",
                                     f'monitor pmemsave 0xb8000 4000 "{raw}"', "screen")
    assert pace.endswith("= 1\n")
    found = crossings(*answers)
    first = ROUND.index(found[0])
    assert found == (ROUND * 3)[first:first + 8]
    text = "".join(machines.CP437[code] for code in raw.read_bytes()[::2])
    assert screen == "".join(text[i:i + 80].rstrip() + "\n" for i in range(0, len(text), 80))
    assert "RINGPONG" in screen


@pytest.mark.parametrize("label, behind", [("proc_a_code", "[+]"), ("proc_a_int", "$")])
def test_crossing_shows_an_exception_and_the_error_code_it_pushed(talk, label, behind):
    """At the int, and at an instruction that GDB does not expect to leave the ring."""
    cli = 0xfa  # not for ring 3
    place = "$pc" if behind == "$" else "$_"  # $_: the last address that x has shown
    *_, shown, truth, who = talk(*to(label), "x/2i $pc", f"set var {{char}}{place} = {cli:#x}", "crossing",
                                 memory("proc_a", 6, FRAME_BYTES - PUSHED_BY_INT - 4), "who")
    title, columns, pushed = crossed(shown)
    assert re.match(rf"exception 0d at {label}.* ring3/proc.h:\d+: ring 3 -> ring 0, out of proc A$", title)
    assert pushed == as_listed(end_of("a") - PUSHED_BY_INT - 4, truth, ["error code", *FIVE])
    eip = pushed[1][1]
    assert (eip == SYMBOLS[label] - SYMBOLS["proc_a_code"]) == (behind == "$")
    assert re.match(rf"{A_CODE}:{eip:08x} {label}{behind}", columns["cs:eip"][0])
    assert columns["ss:esp"][0] == f"{A_DATA}:00000100 the end of A_DATA"
    assert "proc A: an exception is being handled" in who


# ---- watchpoints

def test_a_variable_can_be_watched(talk):
    *_, first, second, listed = talk(*to("ckpt_tss"), "watch tss.esp0", "watch idt_gate.offset", "watch pace",
                                     "continue", "continue", "info breakpoints")
    for shown, old, new in ((first, "a", "b"), (second, "b", "a")):
        assert f"Old value = {end_of(old)}\nNew value = {end_of(new)}\nswitch_to_next (" in shown
    assert listed.count("hw watchpoint") == 3


def test_what_would_make_qemu_abort_is_refused_and_bochs_recommended(talk):
    refused = ["rwatch tss.esp0", "awatch tss.esp0", "awatch pace", "watch ((struct frame *)&proc_a_end)[-1].eip",
               "watch -l ((struct frame *)&proc_b_end)[-1].ss", "watch *(char *)($sp - 4)",
               f"watch *(int *){BASE + SYMBOLS['proc_a']:#x}", "watch *(int *)&gdt",
               "watch *(int *)((char *)&tss + 104)", "watch *(int *)((char *)&ring0_stack_end - 4)"]
    *answers, alive = talk(*to("proc_a_int"), *refused, "crossing")
    for command, shown in zip(refused, answers[4:]):
        assert re.match(r"error: .*\nQEMU 7.2 aborts .*\n.*make bochs", shown), command
    assert crossings(alive) == [("int 0x30", "A")]


def test_a_watchpoint_that_is_set_in_another_way_does_not_get_to_qemu(talk):
    commands = []
    for what, kind in (("tss.esp0", "READ"), ("((struct frame *)&proc_a_end)[-1].eip", "WRITE"), ("tss", "ACCESS")):
        commands += [f'python gdb.Breakpoint("{what}", gdb.BP_WATCHPOINT, gdb.WP_{kind})', "continue", "delete"]
    *answers, alive = talk(*to("proc_a_int"), *commands, "crossing")
    assert ["Could not insert" in answer for answer in answers[4:]] == [False, True, False] * 3
    assert crossings(alive) == [("int 0x30", "A")]


# ---- help, and what can go wrong

def test_every_command_has_help_and_is_listed(talk):
    listed, *helps = talk("help ringpong", *(f"help {command}" for command in [*COMMANDS, "rwatch", "awatch"]))
    assert re.findall(r"^(\w+) {2,}\S", listed, re.M) == COMMANDS
    for command, text in zip(COMMANDS, helps):
        assert text.splitlines()[0] in listed, command
    assert all("help watch" in text for text in helps[-2:])


def test_what_is_typed_wrong_is_answered_with_what_was_expected(talk):
    keys = ["", "F", "é", "spc", "f f10"]
    nearest, nothing, *pressed, vector = talk("at swich_to_next", "at zzzzzzzz", *(f"key {key}" for key in keys),
                                              *to("ckpt_frames"), "idt 31")
    assert nearest.startswith("error: There is no label swich_to_next. Near it: switch_to_next")
    assert nothing == "error: There is no label zzzzzzzz\n"
    for key, shown in zip(keys, pressed):
        assert re.match('error: There is no key ".*": expected a letter, a digit, space', shown), key
    assert vector.endswith("error: There is no vector 31: expected 0 to 30\n")


def test_when_the_machine_is_off_commands_say_so(talk):
    *_, end, crossing, who = talk(*to("ckpt_iret"), "key q", "continue", "crossing", "who")
    assert "exited normally" in end
    assert crossing == who == "error: The machine is off. To start it again: quit, then make debug\n"


def complaint(*arguments, script=DEBUG, **environment):
    run = subprocess.run(["sh", script, *arguments], text=True, timeout=30, stdin=subprocess.DEVNULL,
                         capture_output=True, env={**os.environ, **environment})
    assert run.returncode
    return run.stderr


def test_wrong_arguments_are_refused():
    assert 'unknown argument "x": expected' in complaint("x")
    assert "--commands: expected a file" in complaint("--commands")
    assert "there is no file nothing" in complaint("--commands", "nothing")
    assert "leave out WINDOW=1" in complaint("--window", DISPLAY="", WAYLAND_DISPLAY="")


def test_help_is_there():
    shown = subprocess.run(["sh", DEBUG, "--help"], text=True, capture_output=True, check=True).stdout
    assert shown.startswith("usage: scripts/debug")


def test_what_is_not_built_is_said_to_be_built_by_make(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    assert "no build/floppy.img: it is built by: make" in complaint(script=tmp_path / "scripts/debug")


@pytest.mark.parametrize("tool", ["gdb", "qemu-system-i386"])
def test_a_missing_tool_is_named(tmp_path, tool):
    for name in {"sh", "dirname", "tr", "gdb", "qemu-system-i386", "python3"} - {tool}:
        (tmp_path / name).symlink_to(shutil.which(name))
    assert f"no {tool}" in complaint(PATH=str(tmp_path))


def test_a_qemu_that_does_not_start_tells_why(tmp_path):
    fake = tmp_path / "qemu-system-i386"
    fake.write_text("#!/bin/sh\necho 'no memory, says QEMU' >&2\nexit 1\n")
    fake.chmod(0o755)
    script = tmp_path / "commands"
    script.touch()
    assert "no memory, says QEMU" in complaint("--commands", script, PATH=f"{tmp_path}:{os.environ['PATH']}")


def processes(mark):
    """Those with this in their environment, which children inherit."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append((path.parent / "comm").read_text().strip())
        except OSError:
            continue  # it has just ended
    return found


@pytest.mark.skipif(not pathlib.Path("/proc/self/environ").exists(), reason="needs Linux")
@pytest.mark.parametrize("end", ["quit", "kill"])
def test_nothing_is_left_when_gdb_ends(tmp_path, end):
    mark = f"RINGPONG_TEST={tmp_path}"
    script = tmp_path / "commands"
    script.write_text("quit\n" if end == "quit" else "continue\n")
    gdb = subprocess.Popen(["sh", DEBUG, "--commands", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env={**os.environ, "RINGPONG_TEST": str(tmp_path)})
    try:
        if end == "kill":
            machines.wait("QEMU", lambda: any("qemu" in name for name in processes(mark)), 20, str)
            gdb.kill()
        gdb.wait(20)
        machines.wait("the end of all", lambda: not processes(mark), 10, lambda: str(processes(mark)))
    finally:
        gdb.kill()
        gdb.wait()


@pytest.mark.parametrize("place, said", [
    ("start", r"\nreal mode   cs:ip 1000:0100(.*\n)*.*\bmov "),
    ("paging_on", r"\nring 0   cs:eip 0008:ffff\w{4} .*\n(.*\n)*.*\bcall "),
    ("ckpt_spaces", r"\nring 0   cs:eip 0008:ffff\w{4} ckpt_spaces .*\n(.*\n)*GDTR   base ffff")])
def test_a_label_of_a_program_with_pages_is_reached_before_it_has_them_and_behind(place, said, tmp_path):
    script = tmp_path / "commands"
    script.write_text(f"at ckpt_spaces\nat {place}\ncontinue\nx/i $pc\ngdt\n")
    run = subprocess.run(["sh", DEBUG, "--program", "PAGED", "--commands", script], text=True, timeout=60,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert re.search(said, run.stdout), run.stdout

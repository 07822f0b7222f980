"""CALLGATE: a call gate with a parameter, and the gap that it leaves: on QEMU and on Bochs."""

import re

from ringside.costs import counts, designs
from ringside.emulators import machines
from ringside.emulators.debuggers import BASE, GENERAL, NAMES, DebuggedBochs, knowing
import pytest

PROGRAM = "callgate"
EMULATORS = knowing(PROGRAM)
QEMU, BOCHS = EMULATORS
SYMBOLS = QEMU.symbols
PAGE = (machines.ROOT / "programs/callgate/README.md").read_text()
IF, TF, NT, AC, ID, DF = 0x200, 0x100, 0x4000, 0x40000, 0x200000, 0x400
GATE, GATE_32, GATE_16, PRESENT, RING_3 = SYMBOLS["CALL_GATE"] & ~3, 0x0c, 0x04, 0x80, 0x60
COUNT, ACCESS = 4, 5                # bytes of a gate
FRAME, PUSHED, DATA = 68, 20, 256
WORDS = "gs fs es ds edi esi ebp pusha_esp ebx edx ecx eax eip cs param esp ss".split()
PIT_CONTROL, PIT_COUNTER_0, ONCE = 0x43, 0x40, 0x30


@pytest.fixture(scope="module")
def floppy(tmp_path_factory):
    return machines.floppy_that_starts(PROGRAM, tmp_path_factory.mktemp(PROGRAM) / "floppy.img")


@pytest.fixture(params=EMULATORS, ids=NAMES)
def machine(request, floppy):
    with request.param(floppy) as machine:
        yield machine


@pytest.fixture
def bochs(floppy):
    with BOCHS(floppy) as machine:
        yield machine


def end(letter):
    return SYMBOLS[f"proc_{letter}_end"]


def saved(machine, letter):
    """A proc that waits: its frame, and its flags below."""
    words = {name: machine.word(BASE + end(letter) - FRAME, 4 * place) for place, name in enumerate(WORDS)}
    return {**words, "eflags": machine.word(BASE + end(letter) - FRAME - 4)}


def news(machine, word, since=0):
    return [machines.fields(line) for line in machine.log()[since:] if line.startswith(f"{word} ")]


# ---- the gate

def test_the_gate_is_ring_3s_only_door(machine):
    machine.run_to("proc_a_code")
    gate = machine.read(machine.linear("gdt") + GATE, 8)
    assert gate[:2] == SYMBOLS["gate_with_stop"].to_bytes(2, "little") and gate[2:4] == b"\x08\0"
    assert (gate[COUNT], gate[ACCESS], gate[6:]) == (1, PRESENT | RING_3 | GATE_32, b"\0\0")
    base, limit = machine.registers()["idtr"]
    assert limit + 1 == 0x30 * 8
    assert [vector for vector in range(0x30) if machine.read(base + 8 * vector + ACCESS, 1)[0] & RING_3] == [3, 4]


def test_a_proc_starts_with_nothing_that_it_was_not_promised(machine):
    for letter, window in ("a", 0x17), ("b", 0x2f):
        machine.run_to(f"proc_{letter}_code")
        values = machine.values()
        assert {name: values[name] for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert (values["eip"], values["esp"], values["fs"], values["gs"]) == (0, DATA, 0, window)
        assert values["eflags"] & ~0x44 == 2 | IF, "and what a zero leaves"


def test_lcall_leaves_a_frame_and_lret_gives_all_of_it_back(machine):
    """Every register and flag, the parameter between esp and cs; interrupts off behind the first instruction."""
    machine.run_to("proc_a_call")
    own = {name: 0x1000001 * place for place, name in enumerate(GENERAL, 1)}
    machine.set(**own)
    if not isinstance(machine, DebuggedBochs):  # which sets none of these from outside
        machine.set(eflags=machine.values()["eflags"] | NT | AC | ID | DF)
    before = machine.values()
    assert machine.run_to("gate", "proc_b_code") == "gate"
    inside = machine.values()
    assert inside["esp"] == end("a") - PUSHED
    assert inside["eflags"] == before["eflags"] and before["eflags"] & IF
    machine.run_to("proc_b_code")
    assert machine.values()["eflags"] & (NT | AC | ID | DF) == 0
    frame = saved(machine, "a")
    assert {name: frame[name] for name in own} == own
    assert (frame["esp"], frame["param"]) == (DATA - 4, 1), "its first turn"
    assert frame["eflags"] == before["eflags"] & ~IF
    there = BASE + SYMBOLS["proc_a_call"] + 7
    machine.run_to(there)
    after = machine.values()
    assert after == {**before, "esp": DATA, "eip": before["eip"] + 7}


def test_c_never_sees_a_procs_direction_flag(floppy):
    with QEMU(floppy) as machine:
        machine.run_to("proc_a_call")
        machine.set(eflags=machine.values()["eflags"] | DF)
        machine.run_to("watched_switch")
        assert not machine.values()["eflags"] & (DF | IF)


def test_a_proc_that_starts_again_has_none_of_its_old_flags(floppy):
    odd = NT | AC | ID | DF
    with QEMU(floppy) as machine:
        machine.run_to("proc_a_call")
        machine.set(eflags=machine.values()["eflags"] | odd)
        machine.press("4")
        machine.run_to("report_end")
        machine.press("r")
        machine.run_to("proc_a_code")
        assert not machine.values()["eflags"] & odd


def test_the_panel_speaks_of_lcall_and_lret(floppy):
    with QEMU(floppy) as machine:
        machine.run_to("gap_show")
        machine.run_to("proc_b_code")
        raw = machine.read(0xb8000, 4000)
        rows = [raw[start:start + 160:2].decode("cp437") for start in range(0, 4000, 160)]
        assert rows[6][42:78].endswith(" lret next ") and rows[16][42:78].endswith(" esp0: lcall pushes ")
        assert not any("iret" in row or "int pushes" in row for row in rows)


# ---- the gap

def test_an_interrupt_that_comes_just_in_the_gap_does_no_harm(floppy):
    """The timer chip is set from outside, so that it interrupts behind lcall: three words below the parameter."""
    with QEMU(floppy) as machine:
        machine.run_to("proc_a_call")
        machine.set(ecx=0x12345678, edx=0x9abcdef0)
        before = machine.values()
        for port, value in (PIT_CONTROL, ONCE), (PIT_COUNTER_0, 1), (PIT_COUNTER_0, 0):
            machine.hmp(f"o /b {port:#x} {value:#x}")
        machine.run_to("gap_count")
        assert machine.values()["edx"] == end("a") - PUSHED - 12 - 48, "eflags, cs, eip, and what fault_entry saves"
        pushed = [machine.word(BASE + end("a") - PUSHED - 12, at) for at in (0, 4, 8)]
        assert pushed[0] in (SYMBOLS["gate_with_stop"], SYMBOLS["gate"]) and pushed[1] == 8 and pushed[2] & IF
        machine.run_to("proc_b_code")
        frame = saved(machine, "a")
        assert {name: frame[name] for name in GENERAL} == {name: before[name] for name in GENERAL}
        assert (frame["eip"], frame["esp"]) == (before["eip"] + 7, before["esp"])
        assert news(machine, "gap")[0]["esp"] == f"{end('a') - PUSHED:08x}"
        assert not news(machine, "panic")


def test_key_7_lets_interrupts_fall_into_the_gap_and_ring_3_and_both_play_on(machine):
    machine.run_to("pace_wait")
    machine.press("f")
    machine.press("7")
    machine.go()
    machine.wait_log("^gap n=8 ")
    machine.halt()
    told = news(machine, "gap")[:4]  # n = 1, 2, 4, 8; the halt may have cut a line behind them
    assert {line["cs:eip"] for line in told} == {f"0008:{SYMBOLS['gate']:08x}"}
    assert all(int(line["esp0"], 16) - int(line["esp"], 16) == PUSHED for line in told)
    assert int(told[-1]["ring3"]) > 8
    machine.run_to("proc_a_call")
    b = saved(machine, "b")
    assert machine.values()["esi"] - b["esi"] in (0, 1)
    machine.run_to("gap_show")
    since = len(machine.log())
    machine.press("7")
    machine.run_to("gap_show")
    assert machine.log()[since:][-1] == "clock hz=0"
    assert not news(machine, "panic") + news(machine, "fault")


# ---- mistakes

MISTAKES = {  # with their error code; None: no error code in words
    1: ("0c", "#SS", ""), 2: ("0c", "#SS", ""), 3: ("0d", "#GP", "RING0_CODE"), 4: ("0d", "#GP", "RING0_CODE"),
    5: ("01", "#DB", ""), 6: ("20", "IRQ0", "")}
HLT = ("0d", "#GP", "")     # behind what QEMU has let pass


def test_each_mistake_ends_a_where_the_page_says(machine):
    for key, expected in MISTAKES.items():
        since = len(machine.log())
        machine.press(str(key))
        machine.go()
        machine.wait_log("^end proc=A alive=B", since=since)
        machine.halt()
        fault, = news(machine, "fault", since)
        unseen = isinstance(machine, QEMU) and key in (1, 2)
        assert (fault["vector"], fault["name"]) == (HLT if unseen else expected)[:2], key
        assert expected[2] in fault["means"]
        eip = int(fault["cs:eip"].split(":")[1], 16) + SYMBOLS["proc_a_code"]
        place = SYMBOLS[f"proc_a_fault_{key}"]
        assert eip in ((place + 7, place + 1) if unseen else (place,)), key


# ---- mistakes of ring 0: the gate, bent from outside

@pytest.mark.parametrize("byte, value, vector, error", [
    (ACCESS, RING_3 | GATE_32, 11, GATE), (ACCESS, PRESENT | GATE_32, 13, GATE), (2, 0, 13, 0), (2, 0x10, 13, 0x10),
    (COUNT, 31, 12, 0)],
    ids=["absent", "ring 0's", "no code segment", "to data", "more parameters than there are"])
def test_a_gate_that_leads_nowhere_ends_who_calls(byte, value, vector, error, bochs):
    bochs.run_to("proc_a_call")
    bochs.write(bochs.linear("gdt") + GATE + byte, bytes([value]))
    bochs.run_to("fault")
    values = bochs.values()
    assert (values["edx"], values["ecx"]) == (vector, error)
    assert bochs.word(BASE + values["eax"], 4 * WORDS.index("cs")) & 3 == 3, "nothing has happened so far"


@pytest.mark.parametrize("byte, value, pushed, words", [
    (COUNT, 0, 16, ["eip", "cs", "esp", "ss"]),
    (ACCESS, PRESENT | RING_3 | GATE_16, 10, None)], ids=["a count of 0", "a gate of 16 bits"])
def test_a_wrong_gate_leaves_another_frame(byte, value, pushed, words, bochs):
    """lret $4 would take what is not there: with a count of 0, esp for a parameter, ss for esp."""
    bochs.run_to("proc_a_call")
    before = bochs.values()
    bochs.write(bochs.linear("gdt") + GATE + byte, bytes([value]))
    bochs.run_to("gate")
    esp = bochs.values()["esp"]
    assert esp == end("a") - pushed
    if words:
        found = [bochs.word(BASE + esp, 4 * place) for place in range(4)]
        assert found == [before["eip"] + 7, before["cs"], before["esp"], before["ss"]]
    else:
        found = [bochs.word(BASE + esp, 2 * place, 2) for place in range(5)]
        assert found == [before["eip"] + 7, before["cs"], before["esi"], before["esp"], before["ss"]]


# ---- what the page says

def test_a_switch_takes_as_many_instructions_as_the_page_says_and_p_procs_and_four():
    promised, others = map(int, re.search(r"^(\d+) instructions from A's `lcall`.*P_PROC takes (\d+)", PAGE, re.M).groups())
    found = counts.counted(designs.BY_NAME["CALLGATE"])
    assert [len(found.steps[who]) for who in "AB"] == [promised, promised]
    assert promised <= others + 4
    assert found.state == int(re.search(r"kept in (\d+) bytes", PAGE)[1])


def test_program_and_page_are_short():
    folder = machines.ROOT / "programs/callgate"
    assert sum(len(path.read_text().splitlines()) for path in folder.iterdir()) <= 900


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(link):
    assert (machines.ROOT / "programs/callgate" / link).exists()

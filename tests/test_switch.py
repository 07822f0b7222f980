"""Two procs in ring 3, and nothing but int 0x30 between them: on QEMU and on Bochs."""

import re
import struct

from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import (BASE, BOTH, COM, COM_START, FRAME_BYTES, GENERAL, NAMES, PUSHED_BY_INT,
                                          SYMBOLS, DebuggedQemu, count, linear)

A_CODE, A_DATA, A_SCREEN, B_CODE, B_DATA, B_SCREEN = 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f
A_LDT, B_LDT = 0x30, 0x38
DOUBLE_FAULT = 0x20
STACK = 256  # a proc's esp, whenever it is at its int
IF = 0x200
EFLAGS = 0x002 | IF  # interrupts are let in; all else is clear
WAKE_VECTORS = range(0x28, 0x30)  # only while ring 0 sleeps
SWITCH_VECTOR = 0x30
MILLION = 1 << 20  # the first line of the log beyond

# Access bytes as Intel has them, without "accessed" and "busy", which the CPU sets.
CODE, DATA, TSS, LDT = 0x9a, 0x92, 0x89, 0x82
INTERRUPT_GATE, TASK_GATE = 0x8e, 0x85
RING_3 = 0x60


def rows(row):
    return 0xb8000 + row * 160, 4 * 160


# selector: linear base, size, access byte. What is not here is in no table.
GDT = {
    0x08: (BASE, 0x10000, CODE),
    0x10: (BASE, 0x10000, DATA),
    0x18: (linear("tss"), 104, TSS),
    DOUBLE_FAULT: (linear("double_fault_tss"), 104, TSS),
    0x28: (0xb8000, 80 * 25 * 2, DATA),
    A_LDT: (linear("proc_a_ldt"), 3 * 8, LDT),
    B_LDT: (linear("proc_b_ldt"), 6 * 8, LDT),
}
LDTS = {
    "a": {
        A_CODE: (linear("proc_a_code"), SYMBOLS["proc_a_code_bytes"], CODE | RING_3),
        A_DATA: (linear("proc_a_data"), STACK, DATA | RING_3),
        A_SCREEN: (*rows(1), DATA | RING_3),
    },
    "b": {
        B_CODE: (linear("proc_b_code"), SYMBOLS["proc_b_code_bytes"], CODE | RING_3),
        B_DATA: (linear("proc_b_data"), STACK, DATA | RING_3),
        B_SCREEN: (*rows(19), DATA | RING_3),
    },
}

OWN = {
    "a": {"cs": A_CODE, "ss": A_DATA, "ds": A_DATA, "es": A_DATA, "fs": 0, "gs": A_SCREEN},
    "b": {"cs": B_CODE, "ss": B_DATA, "ds": B_DATA, "es": B_DATA, "fs": 0, "gs": B_SCREEN},
}


@pytest.fixture(params=BOTH, ids=NAMES)
def machine(request):
    with request.param() as machine:
        yield machine


def frame_end(letter):
    return SYMBOLS["proc_" + letter] + FRAME_BYTES


# ---- ring 3, and what it can reach

@pytest.mark.parametrize("letter", "ab")
def test_a_proc_starts_in_ring_3_with_nothing_that_it_was_not_promised(machine, letter):
    machine.run_to(f"proc_{letter}_code")
    values = machine.values()
    assert machine.registers()["cpl"] == 3
    assert {name: values[name] for name in OWN[letter]} == OWN[letter]
    assert {name: values[name] for name in GENERAL} == dict.fromkeys(GENERAL, 0)
    assert (values["eip"], values["esp"], values["eflags"]) == (0, STACK, EFLAGS)


@pytest.mark.parametrize("letter", "ab")
def test_the_processor_holds_a_procs_own_segments_and_no_other(machine, letter):
    machine.run_to(f"proc_{letter}_int")
    registers = machine.registers()
    assert registers["cpl"] == 3
    for name, selector in OWN[letter].items():
        segment = registers[name]
        assert segment.selector == selector, name
        if selector:
            base, size, access = LDTS[letter][selector]
            assert (segment.base, segment.limit) == (base, size - 1), name
            assert segment.flags & 0xf0fe00 == 0x400000 | access << 8, name
    assert registers["ldtr"].selector == {"a": A_LDT, "b": B_LDT}[letter]


def table(machine, register):
    """selector: (base, size, access byte, flags), without entries that cannot be loaded."""
    held = machine.registers()[register]
    base, limit = held.base, held.limit
    raw = machine.read(base, limit + 1)
    assert len(raw) % 8 == 0, "the limit is a byte too long or too short"
    entries = {}
    for place in range(0, len(raw), 8):
        low, mid, high, access, flags, top = struct.unpack_from("<HHBBBB", raw, place)
        if access & 0x80 and (place or register == "ldtr"):
            limit, base = low | (flags & 15) << 16, mid | high << 16 | top << 24
            access &= ~(2 if access & 0x1f == 0x0b else 1 if access & 0x10 else 0)
            selector = place | access >> 5 & 3 | (4 if register == "ldtr" else 0)
            entries[selector] = (base, limit + 1, access, flags >> 4)
    return entries


def with_flags(entries):
    """A system segment has no D/B bit."""
    return {selector: (base, size, access, 0x4 if access & 0x10 else 0)
            for selector, (base, size, access) in entries.items()}


def test_the_gdt_is_what_segments_h_says_and_has_nothing_for_ring_3(machine):
    machine.run_to("proc_b_int")
    assert table(machine, "gdtr") == with_flags(GDT)
    assert not any(access & RING_3 for _, _, access in GDT.values())


@pytest.mark.parametrize("letter", "ab")
def test_a_proc_can_name_its_own_segments_and_no_other(machine, letter):
    machine.run_to(f"proc_{letter}_int")
    assert table(machine, "ldtr") == with_flags(LDTS[letter])


def test_no_byte_of_anyone_else_lies_in_a_procs_segments():
    ranges = {selector: range(base, base + size)
              for entries in LDTS.values() for selector, (base, size, _) in entries.items()}
    for one in ranges:
        for other in ranges:
            overlap = range(max(ranges[one].start, ranges[other].start),
                            min(ranges[one].stop, ranges[other].stop))
            assert one == other or not overlap, f"{one:x} and {other:x} overlap"
    for name, offset in SYMBOLS.items():
        for letter, own in (("a", (A_CODE, A_DATA)), ("b", (B_CODE, B_DATA))):
            for selector in own:
                # An end is where the next thing starts; bytes and dwords are not places.
                if BASE + offset in ranges[selector] and not name.endswith(("_end", "_bytes", "_dwords")):
                    assert name.startswith(f"proc_{letter}_"), f"{name} lies in {selector:x}"


def idt(machine):
    """vector: (selector, offset, access byte)"""
    base, limit = machine.registers()["idtr"]
    raw = machine.read(base, limit + 1)
    assert len(raw) % 8 == 0, "the limit is a byte too long or too short"
    gates = (struct.unpack_from("<HHHH", raw, place) for place in range(0, len(raw), 8))
    return [(selector, low | high << 16, access >> 8) for low, selector, access, high in gates]


def test_every_vector_has_its_gate_and_ring_3_may_ask_for_three_of_them(machine):
    machine.run_to("proc_a_int")
    gates = idt(machine)
    assert len(gates) == SWITCH_VECTOR + 1
    doors = {3: "int3", 4: "into", SWITCH_VECTOR: "the gate"}
    for vector, (selector, offset, access) in enumerate(gates):
        expected = (0x08, INTERRUPT_GATE | (RING_3 if vector in doors else 0))
        if vector == 8:
            expected = (DOUBLE_FAULT, TASK_GATE)
        assert (selector, access) == expected, f"vector {vector:02x}"
        if vector in WAKE_VECTORS:
            assert offset == SYMBOLS["wake"], f"vector {vector:02x}"
        elif vector not in (2, 8, SWITCH_VECTOR):
            assert offset == SYMBOLS["fault_vectors"] + 16 * vector, f"vector {vector:02x}"
    assert gates[2][1] == SYMBOLS["nmi"]


def test_interrupts_are_let_in_while_a_proc_runs_and_only_then(machine):
    for _ in range(4):
        for letter in "ab":
            machine.run_to(f"proc_{letter}_int")
            assert machine.values()["eflags"] & IF
            machine.run_to("gate")
            assert not machine.values()["eflags"] & IF
            machine.run_to("switch_to_next")
            assert not machine.values()["eflags"] & IF


# ---- the switch

def test_procs_take_turns_and_each_is_saved_in_its_own_frame(machine):
    for n in range(1, 41):
        this, other = ("a", "b") if n % 2 else ("b", "a")
        machine.run_to("gate")
        values = machine.values()
        assert values["esp"] == frame_end(this) - PUSHED_BY_INT, f"switch {n}"
        assert machine.word("tss", 4) == frame_end(this), f"switch {n}: esp0"
        saved = machine.frame(this)
        assert (saved["cs"], saved["ss"], saved["esp"]) == (OWN[this]["cs"], OWN[this]["ss"], STACK)
        assert saved["eip"] == SYMBOLS[f"proc_{this}_int"] + 2 - SYMBOLS[f"proc_{this}_code"]
        assert count(values) == (n + 1) // 2

        machine.run_to("ckpt_switched")
        assert machine.values()["esp"] == frame_end(other) - PUSHED_BY_INT, f"switch {n}"
        assert machine.word("tss", 4) == frame_end(other), f"switch {n}: esp0"


def test_the_log_says_where_all_is_and_names_the_switches_1_2_4_8(machine):
    machine.go()
    machine.wait_log(f"n={MILLION} ")
    boot, *switches = machine.log()
    places = " ".join(f"{name}={SYMBOLS[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog=p_proc base={BASE:08x} {places} version={machines.VERSION}"
    expected = ["switch n=1 from=A to=B esp0=%08x" % frame_end("b")]
    expected += [f"switch n={1 << k} from=B to=A esp0=%08x" % frame_end("a") for k in range(1, 21)]
    assert switches[:21] == expected


@pytest.mark.sample(2)
def test_over_a_million_switches_no_stack_moves_and_no_turn_is_lost(machine):
    def look_at_every_int(times):
        for _ in range(times):
            for letter in turns:
                assert machine.run_to("proc_a_int", "proc_b_int") == f"proc_{letter}_int"
                values = machine.values()
                assert (values["ss"], values["esp"]) == (OWN[letter]["ss"], STACK), values

    turns = "ab"
    look_at_every_int(100)
    for k in range(9, 21):
        machine.go()
        machine.wait_log(f"n={1 << k} ")
        machine.halt()
        machine.run_to("gate")
        running = machine.values()
        this, other = "ab" if running["esp"] == frame_end("a") - PUSHED_BY_INT else "ba"
        for letter in "ab":
            saved = machine.frame(letter)
            assert (saved["ss"], saved["esp"]) == (OWN[letter]["ss"], STACK), f"n={1 << k}"
        mine, theirs = count(running), count(machine.frame(other))
        assert mine == theirs + (this == "a"), f"n={1 << k}"
        logged = int(machines.fields(machine.log()[-1])["n"])
        assert logged < mine + theirs <= 2 * logged, f"n={1 << k}"
    turns = other + this
    look_at_every_int(100)


# ---- checkpoints

CHECKPOINTS = ["ckpt_frames", "ckpt_tss", "ckpt_iret", "ckpt_int", "ckpt_switched"]


def test_every_magic_breakpoint_of_the_program_has_its_name_right_behind_it():
    places = {match.end() + COM_START for match in re.finditer(rb"\x87\xdb", COM.read_bytes())}
    named = {offset: name for name, offset in SYMBOLS.items() if name.startswith("ckpt_")}
    assert places == named.keys()
    assert set(CHECKPOINTS) <= set(named.values())


def test_bochs_stops_at_the_checkpoints_in_order_until_the_pace_is_beyond_stopping():
    run = machines.bochs(["c"] * 1000, until="n=65536 ")
    stops = re.findall(r"^\(0\) \[0x0*1([0-9a-f]{4})\]", run.out, re.M)
    names = {SYMBOLS[name]: name for name in CHECKPOINTS}
    hit = [names.get(int(offset, 16), offset) for offset in stops]
    assert hit[:3] == CHECKPOINTS[:3]
    assert hit[3:] == (CHECKPOINTS[3:] * 500)[:len(hit) - 3]
    assert 40 < len(hit) < 1000


def test_at_full_speed_the_gate_has_no_breakpoint(machine):
    machine.run_to("proc_a_int")
    assert idt(machine)[SWITCH_VECTOR][1] == SYMBOLS["gate_with_stop"]
    machine.go()
    machine.wait_log("n=65536 ")
    machine.halt()
    assert idt(machine)[SWITCH_VECTOR][1] == SYMBOLS["gate"]


# ---- NMI

def test_an_nmi_at_any_instruction_of_the_way_is_counted_and_does_no_harm():
    with DebuggedQemu() as machine:
        machine.run_to("proc_a_int")
        machine.run_to("proc_b_int")
        machine.write(linear("switches_left"), (1000).to_bytes(4, "little"))  # no look is due,
        machine.hmp("o /b 0x21 0xff")  # and no alarm asks for a look
        instructions = sent = 0
        arrived = False
        while not arrived:
            this, other = "ba" if sent % 2 == 0 else "ab"
            theirs = machine.frame(other)
            mine = machine.values()
            for _ in range(instructions):
                machine.step()
            arrived = machine.values()["cs"] == OWN[other]["cs"]
            machine.hmp("nmi")
            sent += 1
            machine.run_to(f"proc_{other}_int")
            where = f"after {instructions} instructions"
            saved, found = machine.frame(this), machine.values()
            for name in (*GENERAL, "esp", "ss", "ds", "es", "fs", "gs", "cs"):
                assert saved[name] == mine[name], f"{name}, {where}"
            assert saved["eip"] == mine["eip"] + 2, where
            assert count(found) == count(theirs) + 1, where
            for name in ("eax", "ebx", "ecx", "edx", "ebp", "esp", "ss", "ds", "es", "fs", "gs"):
                assert found[name] == theirs[name], f"{name}, {where}"
            assert machine.word("nmis") == sent, where
            instructions += 1
        assert sent > 20
        machine.write(linear("switches_left"), (1).to_bytes(4, "little"))
        machine.go()
        machine.wait_log(f"stray nmi={sent} spurious=0")
        machine.wait_log("switch n=65536 ")
        assert not [line for line in machine.log() if line.startswith(("fault", "panic"))]

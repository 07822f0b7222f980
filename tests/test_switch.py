"""Two procs in ring 3, and nothing but int 0x30 between them: on QEMU and on Bochs."""

import re
import struct

import machines
import pytest
from debuggers import (BASE, BOTH, COM, COM_START, FRAME_BYTES, GENERAL, NAMES, PUSHED_BY_INT,
                       SYMBOLS, Qemu, count, linear, patched)

A_CODE, A_DATA, A_SCREEN, B_CODE, B_DATA, B_SCREEN = 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f
A_LDT, B_LDT = 0x20, 0x28
STACK = 256  # a proc's esp, whenever it is at its int
SWITCH_VECTOR = 0x30
MILLION = 1 << 20  # the first line of the log beyond

# Access bytes as Intel has them, without "accessed" and "busy", which the CPU sets.
CODE, DATA, TSS, LDT = 0x9a, 0x92, 0x89, 0x82
RING_3 = 0x60


def rows(row):
    return 0xb8000 + row * 160, 4 * 160


# selector: linear base, size, access byte. What is not here is in no table.
GDT = {
    0x08: (BASE, 0x10000, CODE),
    0x10: (BASE, 0x10000, DATA),
    0x18: (linear("tss"), 104, TSS),
    A_LDT: (linear("proc_a_ldt"), 3 * 8, LDT),
    B_LDT: (linear("proc_b_ldt"), 6 * 8, LDT),
    0x30: (0xb8000, 80 * 25 * 2, DATA),
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
    assert (values["eip"], values["esp"], values["eflags"]) == (0, STACK, 2)


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
    """selector: (base, size, access byte, flags), without entries that no one can load."""
    _, base, limit, _ = machine.registers()[register]
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
                # An end is where the next thing starts; bytes and dwords are no places.
                if BASE + offset in ranges[selector] and not name.endswith(("_end", "_bytes", "_dwords")):
                    assert name.startswith(f"proc_{letter}_"), f"{name} lies in {selector:x}"


def idt(machine):
    """vector: (selector, offset, access byte)"""
    _, base, limit, _ = machine.registers()["idtr"]
    raw = machine.read(base, limit + 1)
    assert len(raw) % 8 == 0, "the limit is a byte too long or too short"
    gates = (struct.unpack_from("<HHHH", raw, place) for place in range(0, len(raw), 8))
    return [(selector, low | high << 16, access >> 8) for low, selector, access, high in gates]


def test_int_0x30_is_the_only_gate_for_ring_3_and_interrupts_stay_off(machine):
    machine.run_to("proc_a_int")
    gates = idt(machine)
    assert len(gates) == SWITCH_VECTOR + 1
    for vector, (selector, _, access) in enumerate(gates):
        dpl_3 = RING_3 if vector == SWITCH_VECTOR else 0
        assert (selector, access) == (0x08, 0x8e | dpl_3), f"vector {vector:02x}"
    assert len({offset for _, offset, _ in gates}) == len(gates), "two vectors share an entry point"
    assert not machine.values()["eflags"] & 0x200


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
    assert boot == f"boot prog=p_proc base={BASE:08x} {places}"
    expected = ["switch n=1 from=A to=B esp0=%08x" % frame_end("b")]
    expected += [f"switch n={1 << k} from=B to=A esp0=%08x" % frame_end("a") for k in range(1, 21)]
    assert switches[:21] == expected


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


# ---- what is no int 0x30 never gets to the switch

def ring_3_fault(name, code, vector, error=0, eip=0, unseen_by_qemu=None):
    return pytest.param(code, vector, error, eip, unseen_by_qemu, id=name)


LIMITS, TYPES, NULL = "segment limits", "what a segment may be used for", "null selectors"
FAULTS = [
    ring_3_fault("div by 0", "f7 f1", "00 #DE"),
    ring_3_fault("ud2", "0f 0b", "06 #UD"),
    ring_3_fault("fninit", "db e3", "07 #NM"),
    ring_3_fault("fwait", "9b", "07 #NM"),
    ring_3_fault("cli", "fa", "0d #GP"),
    ring_3_fault("hlt", "f4", "0d #GP"),
    ring_3_fault("in", "e4 64", "0d #GP"),
    ring_3_fault("mov cr0", "0f 22 c0", "0d #GP"),
    ring_3_fault("int3", "cc", "0d #GP", 0x03 * 8 + 2),
    ring_3_fault("int 8", "cd 08", "0d #GP", 0x08 * 8 + 2),
    ring_3_fault("int 0x0d", "cd 0d", "0d #GP", 0x0d * 8 + 2),
    ring_3_fault("int 0x2f", "cd 2f", "0d #GP", 0x2f * 8 + 2),
    ring_3_fault("int 0x31", "cd 31", "0d #GP", 0x31 * 8 + 2),
    ring_3_fault("int 0xff", "cd ff", "0d #GP", 0xff * 8 + 2),
    ring_3_fault("push, pop ds: ring 0's data", "6a 10 1f", "0d #GP", 0x10, eip=2),
    ring_3_fault("push, pop ss: ring 0's data", "6a 10 17", "0d #GP", 0x10, eip=2),
    ring_3_fault("push, pop es: beyond the GDT", "6a 3b 07", "0d #GP", 0x38, eip=2),
    ring_3_fault("push, pop es: B's data", "6a 27 07", "0d #GP", 0x24, eip=2),
    ring_3_fault("push, pop es: B's window", "6a 2f 07", "0d #GP", 0x2c, eip=2),
    ring_3_fault("push, pop es: B's LDT", "6a 2b 07", "0d #GP", 0x28, eip=2),
    ring_3_fault("lcall to B's code", "9a 00 00 00 00 1f 00", "0d #GP", 0x1c),
    ring_3_fault("lcall to ring 0", "9a 00 00 00 00 08 00", "0d #GP", 0x08),
    ring_3_fault("lcall to the TSS", "9a 00 00 00 00 18 00", "0d #GP", 0x18),
    ring_3_fault("read behind own data", "a0 00 01 00 00", "0d #GP", unseen_by_qemu=LIMITS),
    ring_3_fault("read at data's edge", "a1 fd 00 00 00", "0d #GP", unseen_by_qemu=LIMITS),
    ring_3_fault("read behind own window", "65 a0 80 02 00 00", "0d #GP", unseen_by_qemu=LIMITS),
    ring_3_fault("push above own stack", "83 c4 04 6a 00", "0c #SS", eip=3, unseen_by_qemu=LIMITS),
    ring_3_fault("read behind own code", "2e a0 %02x 00 00 00" % SYMBOLS["proc_a_code_bytes"], "0d #GP",
                 unseen_by_qemu=LIMITS),
    ring_3_fault("write own code", "2e 80 0d 00 00 00 00 00", "0d #GP", unseen_by_qemu=TYPES),
    ring_3_fault("read through null", "64 a0 00 00 00 00", "0d #GP", unseen_by_qemu=NULL),
]


@pytest.mark.parametrize("code, vector, error, eip, unseen_by_qemu", FAULTS)
@pytest.mark.parametrize("emulator", BOTH, ids=NAMES)
def test_an_exception_never_gets_to_the_switch_but_says_what_it_is(
        tmp_path, emulator, code, vector, error, eip, unseen_by_qemu):
    room = SYMBOLS["proc_a_int"] - SYMBOLS["proc_a_code"]
    code = bytes.fromhex(code).ljust(room, b"\x90")
    floppy = patched(tmp_path / "floppy.img", {SYMBOLS["proc_a_code"]: code})
    with emulator(floppy) as machine:
        reached = machine.run_to("halt", "gate")
        if reached == "gate" and unseen_by_qemu and emulator is Qemu:
            pytest.xfail(f"QEMU's TCG does not check {unseen_by_qemu}")
        number, name = vector.split()
        line = f"panic vector={number} name={name} error={error:04x} cs:eip=0007:{eip:08x}"
        assert reached == "halt"
        assert machine.log()[1:] == [line]
        cells = machine.read(0xb8000, 4000)
        rows = [cells[start:start + 160] for start in range(0, 4000, 160)]
        shown = [row for row in rows if line.encode() in row[::2]]
        assert len(shown) == 1
        assert set(shown[0][1::2]) == {0x4f}, "white on red"


def test_an_nmi_while_a_frame_is_the_stack_leaves_everything_else_alone():
    with Qemu() as machine:
        machine.run_to("proc_b_int")
        machine.run_to("gate")
        while machine.values()["esp"] > SYMBOLS["proc_b"]:
            machine.step()
        proc_b, proc_a_end = linear("proc_b"), linear("proc_a_end")
        place = machine.values()["eip"]

        def everything_else():
            tables_and_frame_a = machine.read(linear("gdt"), proc_a_end - linear("gdt"))
            next_show_name = machine.read(proc_a_end, 12)
            return tables_and_frame_a, next_show_name, machine.read(proc_b, FRAME_BYTES + 12)

        before = everything_else()
        machine.hmp("nmi")
        machine.run_to("halt")
        assert machine.log()[-1] == f"panic vector=02 name=NMI error=0000 cs:eip=0008:{place:08x}"
        assert everything_else() == before

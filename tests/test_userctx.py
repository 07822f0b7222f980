"""USERCTX: ring 3 as a function that C calls: run(&context). On QEMU and on Bochs.

The debugger plays C's part: at run it writes into the context, and when run has
returned it reads what is there.
"""

import random
import re
import struct
import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, BOTH, NAMES, DebuggedBochs, DebuggedQemu, patched
from ringside.emulators.machines import BUILD, ROOT

ELF, COM = BUILD / "userctx.elf", BUILD / "userctx.com"
NAMED = machines.symbols(ELF)

# programs/userctx/context.h, from the lowest address up; headroom is below it.
GENERAL = "eax ecx edx ebx esp ebp esi edi".split()
CONTEXT = ("gs fs es ds edi esi ebp pusha_esp ebx edx ecx eax trap_num error_code "
           "eip cs eflags esp ss fsbase gsbase").split()
HEADROOM_BYTES = 80
FRAME_BYTES = 4 * (CONTEXT.index("ss") + 1)
DATA_SELECTORS = "ds", "es", "fs", "gs"
SELECTORS = "cs", "ss", *DATA_SELECTORS
ENTRY = BASE + 0x100
CALL, ALARM = 0x100, 0x20
CALLERS = [name for name in GENERAL if name != "esp"]  # run keeps more than C asks for

CODE, DATA, FS, GS = 0x07, 0x0f, 0x33, 0x3b
LDTS = {"a": 0x40, "b": 0x48}
WINDOWS = {"a": 0xb8000 + 1 * 160, "b": 0xb8000 + 19 * 160}
DATA_BYTES, WINDOW_BYTES = 256, 4 * 160
STORED = 64  # where our user stores its registers, in its data
ALWAYS, IF, DF = 0x002, 0x200, 0x400
FLAGS = 0x001 | 0x004 | 0x010 | 0x040 | 0x080 | DF | 0x800 | 0x4000 | 0x40000 | 0x200000


@pytest.fixture(scope="session")
def assemble(tmp_path_factory):
    """The bytes of some instructions."""
    folder = tmp_path_factory.mktemp("as")

    def assemble(source):
        subprocess.run(["as", "--32", "-o", folder / "o", "-"], check=True, text=True, input=source + "\n")
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "o", folder / "bin"], check=True)
        return (folder / "bin").read_bytes()
    return assemble


# Stores all general registers, adds 10 to each, calls; and again.
STORE_AND_ADD = "\n".join(
    ["1:", *(f"mov %{name}, {STORED + 4 * i}" for i, name in enumerate(GENERAL)),
     *(f"add $10, %{name}" for name in GENERAL), "int $0x30", "jmp 1b"])


class Userctx:
    """A machine with USERCTX, and C's part to play."""

    def __init__(self, machine):
        self.machine = machine
        machine.symbols = NAMED

    def __getattr__(self, name):
        return getattr(self.machine, name)

    def place_of(self, letter):
        return self.linear("player_" + letter) + HEADROOM_BYTES

    def context(self, letter):
        raw = self.read(self.place_of(letter), 4 * len(CONTEXT))
        words = dict(zip(CONTEXT, struct.unpack(f"<{len(CONTEXT)}I", raw)))
        return {name: value & 0xffff if name in SELECTORS else value for name, value in words.items()}

    def write_context(self, letter, **values):
        for name, value in values.items():
            self.write(self.place_of(letter) + 4 * CONTEXT.index(name), struct.pack("<I", value))

    def run(self):
        """To the next call of run: whose context it is."""
        self.run_to("run")
        eax = BASE + self.values()["eax"]
        return {self.place_of(letter): letter for letter in "ab"}[eax]

    def back(self):
        """From the beginning of run to where it returns to."""
        self.run_to(self.caller())

    def caller(self):
        """At the beginning of a function: where it returns to."""
        return BASE + self.word(BASE + self.values()["esp"])

    def run_to(self, *places):
        # QEMU's clock, as it is set here, leaps to the next alarm whenever the debugger stops.
        if isinstance(self.machine, DebuggedQemu):
            self.hmp("o /b 0x21 0xff")
        return self.machine.run_to(*places)

    def data(self, letter):
        return self.read(self.linear(f"proc_{letter}_data"), DATA_BYTES)

    def stored(self, letter):
        return dict(zip(GENERAL, struct.unpack_from("<8I", self.data(letter), STORED)))


@pytest.fixture(params=BOTH, ids=NAMES)
def start(request, tmp_path):
    """Boots USERCTX, with other code for its procs if it is given."""
    running = []

    def start(**code):
        changes = {NAMED[f"proc_{letter}_code"]: data for letter, data in code.items()}
        for letter, data in code.items():
            assert len(data) <= NAMED[f"proc_{letter}_code_bytes"]
        floppy = patched(tmp_path / "floppy.img", changes or {}, "userctx")
        running.append(request.param(floppy))
        running[-1].run_to(ENTRY)   # before its interrupts are masked: the BIOS needs the floppy's
        return Userctx(running[-1])
    start.emulator = request.param
    yield start
    for machine in running:
        machine.close()


# ---- run: there and back

def test_every_register_goes_there_and_comes_back(start, assemble):
    user = assemble(STORE_AND_ADD)
    pc = start(a=user, b=user)
    assert pc.run() == "a"
    index = {name: i for i, name in enumerate(GENERAL)}
    pc.write_context("a", **index)
    before = pc.context("a")
    pc.back()
    assert pc.stored("a") == index
    after = pc.context("a")
    assert {name: after[name] for name in GENERAL} == {name: i + 10 for name, i in index.items()}
    assert (after["trap_num"], after["error_code"]) == (CALL, 0)
    assert after["eip"] == user.index(b"\xcd\x30") + 2
    assert all(after[name] == before[name] for name in ("fsbase", "gsbase"))


@pytest.mark.parametrize("esp", [7, 0, 0xfffffffe])
def test_nothing_is_pushed_on_the_users_stack(start, assemble, esp):
    pc = start(a=assemble("int $0x30"))
    pc.run()
    pc.write(pc.linear("proc_a_data"), bytes(range(DATA_BYTES)))
    pc.write_context("a", esp=esp)
    pc.back()
    assert (pc.context("a")["trap_num"], pc.context("a")["esp"]) == (CALL, esp)
    assert pc.data("a") == bytes(range(DATA_BYTES))


def test_two_contexts_take_turns_and_neither_sees_the_others_values(start, assemble):
    values = random.Random(6)
    user = assemble(STORE_AND_ADD)
    pc = start(a=user, b=user)
    for n in range(12):
        for letter, other in ("ab", "ba"):
            assert pc.run() == letter
            others = pc.context(other)
            given = {name: values.getrandbits(32) for name in GENERAL}
            pc.write_context(letter, **given)
            pc.back()
            assert pc.stored(letter) == given, f"{letter}, round {n}"
            found = pc.context(letter)
            assert {name: found[name] for name in GENERAL} == \
                {name: value + 10 & 0xffffffff for name, value in given.items()}, f"{letter}, round {n}"
            assert pc.context(other) == others, f"{letter}, round {n}"


def test_flags_come_back_and_c_never_sees_a_users_direction_flag(start, assemble):
    values = random.Random(7)
    user = assemble("1: int $0x30; jmp 1b")
    pc = start(a=user, b=user)
    for n in range(12):
        letter = pc.run()
        flags = values.getrandbits(22) & FLAGS | ALWAYS | IF | (DF if n < 2 else 0)
        pc.write_context(letter, eflags=flags)
        pc.back()
        assert pc.context(letter)["eflags"] == flags
        assert not pc.values()["eflags"] & (DF | IF)


def test_the_callers_registers_are_as_they_were(start, assemble):
    values = random.Random(8)
    pc = start(b=assemble(STORE_AND_ADD))
    pc.run()
    pc.back()
    assert pc.run() == "b"
    mine = {name: values.getrandbits(32) for name in CALLERS if name != "eax"}
    pc.set(**mine)
    before = pc.values()
    pc.write_context("b", **{name: values.getrandbits(32) for name in GENERAL})
    pc.back()
    after = pc.values()
    assert {name: after[name] for name in mine} == mine
    assert after["esp"] == before["esp"] + 4, "the return address is popped, and no more"
    assert [after[name] for name in ("cs", "ss", "ds", "es")] == [0x08, 0x10, 0x10, 0x10]


def test_esp0_is_the_end_of_the_frame_in_the_context(start):
    pc = start()
    for letter in "abab":
        assert pc.run() == letter
        end = pc.place_of(letter) + FRAME_BYTES - BASE
        pc.run_to("run_iret")
        assert pc.word("tss", 4) == end
        assert pc.values()["esp"] == end - 5 * 4, "five words for iret"
        pc.run_to("gate", "ckpt_int")
        assert pc.values()["esp"] == end - 5 * 4, "five words by int"


def test_a_context_leads_to_its_two_bases(start, assemble):
    values = random.Random(9)
    user = assemble("1: int $0x30; jmp 1b")
    pc = start(a=user, b=user)
    for _ in range(4):
        letter = pc.run()
        fsbase, gsbase = values.getrandbits(24), values.getrandbits(24)
        pc.write_context(letter, eip=0, fsbase=fsbase, gsbase=gsbase)
        pc.run_to(f"proc_{letter}_code")
        found = pc.registers()
        assert found["fs"][:3] == (FS, fsbase, DATA_BYTES - 1)
        assert found["gs"][:3] == (GS, gsbase, WINDOW_BYTES - 1)
        pc.run_to("gate", "ckpt_int")


# What a data segment register may hold: null (iret clears the RPL of that), its data, code,
# and the two with a base.
KEPT = [0, DATA, DATA & ~3, CODE, FS, GS]


def test_a_user_keeps_what_it_has_in_its_segment_registers(start, assemble):
    values = random.Random(11)
    load = "; ".join(f"mov %{general}, %{name}" for general, name in
                     zip(("eax", "ecx", "edx", "ebx"), DATA_SELECTORS))
    store = "; ".join(f"mov %{name}, %{general}" for general, name in
                      zip(("eax", "ecx", "edx", "ebx"), DATA_SELECTORS))
    user = assemble(f"1: {load}; int $0x30; {store}; int $0x30; jmp 1b")
    pc = start(a=user, b=user)
    given = {}
    for n in range(8):
        for letter in "ab":
            assert pc.run() == letter
            given[letter] = [values.choice(KEPT) for _ in DATA_SELECTORS]
            pc.write_context(letter, **dict(zip(("eax", "ecx", "edx", "ebx"), given[letter])))
            pc.back()
            found = pc.context(letter)
            assert [found[name] for name in DATA_SELECTORS] == given[letter], f"{letter}, round {n}"
        for letter in "ab":
            assert pc.run() == letter
            pc.back()
            found = pc.context(letter)
            stored = [found[name] & 0xffff for name in ("eax", "ecx", "edx", "ebx")]
            assert stored == given[letter], f"{letter}, round {n}"


def test_nothing_is_lost_where_contexts_interleave(start, assemble):
    """All that a user has, at random, and alive in ring 3: what is in the CPU there."""
    values = random.Random(12)
    user = assemble("1: int $0x30; jmp 1b")
    pc = start(a=user, b=user)
    for n in range(10):
        for letter, other in ("ab", "ba"):
            assert pc.run() == letter
            others = pc.context(other)
            given = {name: values.getrandbits(32) for name in GENERAL}
            given.update({name: values.choice(KEPT) for name in DATA_SELECTORS})
            given.update(eip=0, eflags=values.getrandbits(22) & FLAGS | ALWAYS | IF)
            pc.write_context(letter, **given)
            caller = pc.caller()
            pc.run_to(f"proc_{letter}_code")
            in_ring_3 = pc.values()
            assert {name: in_ring_3[name] for name in given} == given, f"{letter}, round {n}"
            pc.run_to(caller)
            found = pc.context(letter)
            assert {name: found[name] for name in given} == {**given, "eip": 2}, f"{letter}, round {n}"
            assert pc.context(other) == others, f"{letter}, round {n}"


# ---- every other way in

TRAPS = {
    "int3": ("int3", 3, 0, 1),
    "divide error": ("xor %ecx, %ecx; div %ecx", 0, 0, 2),
    "hlt": ("hlt", 13, 0, 0),
    "cli": ("cli", 13, 0, 0),
    "out": ("out %al, $0x80", 13, 0, 0),
    "int without a door": ("int $0x21", 13, 0x10a, 0),
    "int beyond the table": ("int $0x31", 13, 0x18a, 0),
    "ring 0's data": ("mov $0x10, %eax; mov %eax, %ds", 13, 0x10, 5),
    "the other's table": ("mov $0x48, %eax; mov %eax, %es", 13, 0x48, 5),
    "a stack of ring 0": ("mov $0x10, %eax; mov %eax, %ss", 13, 0x10, 5),
    "no instruction": ("ud2", 6, 0, 0),
    "FPU": ("fld1", 7, 0, 0),
    "single step": ("push $0x302; popf; nop", 1, 0, 7),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("source, trap_num, error_code, eip", TRAPS.values(), ids=TRAPS)
def test_a_trap_is_a_return_from_run_with_its_number_and_code(
        start, assemble, source, trap_num, error_code, eip):
    pc = start(a=assemble(source))
    pc.run()
    pc.write_context("a", trap_num=0xdead, error_code=0xdead)
    before = pc.values()
    pc.back()
    after = pc.context("a")
    assert (after["trap_num"], after["error_code"], after["eip"]) == (trap_num, error_code, eip)
    assert (after["edi"], after["esi"], after["esp"]) == (0, 0, DATA_BYTES)
    assert pc.values()["esp"] == before["esp"] + 4


LIMITS = {
    "behind its data": "mov 256, %al",
    "behind its code": "mov %cs:0x1000, %al",
    "behind its window": "mov %gs:640, %al",
    "behind its fs": "mov %fs:256, %al",
    "into its code": "mov %al, %cs:0",
}


@pytest.mark.parametrize("source", LIMITS.values(), ids=LIMITS)
def test_a_user_cannot_leave_its_segments(start, assemble, source):
    if start.emulator is DebuggedQemu:
        pytest.xfail("QEMU's TCG checks no limits and no types")
    pc = start(a=assemble(source))
    pc.run()
    pc.back()
    assert (pc.context("a")["trap_num"], pc.context("a")["error_code"]) == (13, 0)


def test_a_fault_ends_the_proc_and_the_other_plays_on(start, assemble):
    pc = start(a=assemble("hlt"))
    pc.go()
    pc.wait_log("n=64 ")
    log = pc.log()
    assert log[1].startswith("fault proc=A vector=0d name=#GP error=0000 means=\"no selector\" "
                             "cs:eip=0007:00000000 ss:esp=000f:00000100 bytes=\"f4 ")
    assert log[2:4] == ["end proc=A alive=B", "switch n=1 from=B to=B esp0=" + log[3][-8:]]


def test_int3_is_told_and_the_user_goes_on_behind_it(start, assemble):
    pc = start(a=assemble("1: int3; int $0x30; jmp 1b"))
    pc.go()
    pc.wait_log("n=64 ")
    log = pc.log()
    assert "trap n=1 proc=A vector=03 name=#BP cs:eip=0007:00000001" in log
    told = [int(machines.fields(line)["n"]) for line in log if line.startswith("trap ")]
    assert told == [1 << place for place in range(len(told))], "at powers of two alone"
    assert not any(line.startswith(("fault", "end")) for line in log)


def test_who_never_calls_is_ended_by_the_alarm(start, assemble):
    pc = start(a=assemble("1: jmp 1b"))
    pc.run()
    pc.machine.run_to(BASE + pc.word(BASE + pc.values()["esp"]))
    assert (pc.context("a")["trap_num"], pc.context("a")["error_code"]) == (ALARM, 0)
    pc.go()
    pc.wait_log("fault proc=A vector=20 name=IRQ0 error=none .*cs:eip=0007:00000000")
    pc.wait_log("end proc=A alive=B")


BEYOND = NAMED["proc_a_code_bytes"]
REFUSED = {  # what the CPU refuses in ring 0: error code
    "gs beyond the table": ({"gs": 0x57}, 0x54),
    "fs: ring 0's table": ({"fs": 0x43}, 0x40),
    "es beyond its own table": ({"es": 0x17}, 0x14),
    "ds: the TSS": ({"ds": 0x18}, 0x18),
    "ss: code": ({"ss": CODE}, 0x04),
    "cs: data": ({"cs": DATA}, 0x0c),
    "eip behind the code": ({"eip": BEYOND}, 0),
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("bad, error_code", REFUSED.values(), ids=REFUSED)
def test_what_the_cpu_refuses_in_run_is_a_trap_of_the_user(start, bad, error_code):
    if start.emulator is DebuggedQemu and "eip" in bad:
        pytest.xfail("QEMU's TCG checks no limits")
    values = random.Random(13)
    pc = start()
    pc.run()
    given = {name: values.getrandbits(32) for name in GENERAL}
    pc.write_context("a", **given, **bad)
    expected = {**pc.context("a"), "trap_num": 13, "error_code": error_code}
    before = pc.values()
    around = pc.read(pc.linear("player_a") - 64, 64), pc.context("b")
    pc.back()
    after = pc.context("a")
    assert {**after, "pusha_esp": 0} == {**expected, "pusha_esp": 0}, "nothing is lost"
    assert (pc.read(pc.linear("player_a") - 64, 64), pc.context("b")) == around
    expected = {name: before[name] for name in (*CALLERS, "ds", "es")}
    assert {name: pc.values()[name] for name in expected} == expected
    pc.go()
    pc.wait_log("fault proc=A vector=0d .*while=restore")
    pc.wait_log("end proc=A alive=B")
    pc.wait_log("n=64 ")
    assert not any(line.startswith("panic") for line in pc.log())


# ---- contexts that C must not run

# name: what is wrong, and what user_context_error says to it
ERRORS = {
    "cs of ring 0": ({"cs": 0x08}, "cs: RPL 0"),
    "cs of ring 0, dressed up": ({"cs": 0x0b}, "cs: 000b is not the user's"),
    "cs null": ({"cs": 0}, "cs: RPL 0"),
    "cs of ring 1": ({"cs": CODE & ~3 | 1}, "cs: RPL 1"),
    "ss of ring 0": ({"ss": 0x10}, "ss: RPL 0"),
    "ss not its stack": ({"ss": FS}, "ss: 0033 is not the user's"),
    "ds of ring 0": ({"ds": 0x10}, "ds: RPL 0"),
    "ds of ring 0, dressed up": ({"ds": 0x13}, "ds: 0013 is not the user's"),
    "es of ring 0": ({"es": 0x28}, "es: RPL 0"),
    "es beyond its table": ({"es": 0x17}, "es: 0017 is not the user's"),
    "fs with RPL 2": ({"fs": FS & ~3 | 2}, "fs: RPL 2"),
    "fs the other's table": ({"fs": 0x4b}, "fs: 004b is not the user's"),
    "gs of ring 0": ({"gs": 0x28}, "gs: RPL 0"),
    "gs the TSS": ({"gs": 0x1b}, "gs: 001b is not the user's"),
    "IOPL 1": ({"eflags": ALWAYS | IF | 0x1000}, "eflags: IOPL 1"),
    "IOPL 2": ({"eflags": ALWAYS | IF | 0x2000}, "eflags: IOPL 2"),
    "IOPL 3": ({"eflags": ALWAYS | IF | 0x3000}, "eflags: IOPL 3"),
    "VM": ({"eflags": ALWAYS | IF | 0x20000}, "eflags: VM"),
    "NT": ({"eflags": ALWAYS | IF | 0x4000}, "eflags: NT"),
    "no interrupts": ({"eflags": ALWAYS}, "eflags: IF is clear"),
    "eip behind its code": ({"eip": BEYOND}, "eip: outside the code"),
    "eip far behind": ({"eip": 0xffffffff}, "eip: outside the code"),
    "data one byte on": ({"fsbase": BASE + NAMED["proc_a_data"] + 1}, "fsbase: not the user's data"),
    "data of the other": ({"fsbase": BASE + NAMED["proc_b_data"]}, "fsbase: not the user's data"),
    "data beyond 16 MiB": ({"fsbase": BASE + NAMED["proc_a_data"] | 1 << 24}, "fsbase: not the user's data"),
    "window of the other": ({"gsbase": WINDOWS["b"]}, "gsbase: not the user's window"),
}
FINE = {
    "null": {"ds": 0, "es": 1, "fs": 2, "gs": 3},
    "its code as data": {"ds": CODE, "es": CODE, "fs": CODE, "gs": CODE},
    "each other's": {"ds": FS, "es": GS, "fs": GS, "gs": DATA},
    "all flags that are its own": {"eflags": FLAGS & ~0x4000 | ALWAYS | IF},
    "its last byte": {"eip": BEYOND - 1},
    "any stack": {"esp": 7},
}


def check(pc, **values):
    """Writes into A's context before it is checked. What the check says."""
    pc.run_to("user_context_error")
    assert BASE + pc.values()["eax"] == pc.place_of("a")
    pc.write_context("a", **values)
    pc.back()
    says = pc.values()["eax"]
    return pc.read(BASE + says, 64).split(b"\0")[0].decode() if says else None


@pytest.mark.sample(6)
@pytest.mark.parametrize("bad, error", ERRORS.values(), ids=ERRORS)
def test_a_context_with_a_mistake_is_refused_by_name_and_never_runs(start, bad, error):
    pc = start()
    assert check(pc, **bad) == error
    assert pc.run() == "b"
    pc.go()
    pc.wait_log("n=64 ")
    log = pc.log()
    assert log[1] == f'refused proc=A context="{error}"'
    assert log[2].startswith("switch n=1 from=B to=B ")
    assert not any(line.startswith(("fault", "end", "panic")) for line in log)


@pytest.mark.sample(4)
@pytest.mark.parametrize("good", FINE.values(), ids=FINE)
def test_a_context_is_not_refused_for_what_a_user_may_have(start, good):
    pc = start()
    assert check(pc, **good) is None
    assert pc.run() == "a"


def test_the_screen_says_what_was_refused_and_a_new_start_mends_it(tmp_path):
    with DebuggedQemu(machines.floppy_that_starts("userctx", tmp_path / "floppy.img")) as machine:
        machine.run_to(ENTRY)
        pc = Userctx(machine)
        check(pc, eflags=ALWAYS | IF | 0x3000)
        assert pc.run() == "b"
        pc.back()
        screen = "\n".join(pc.screen())
        assert "refused: eflags: IOPL 3" in pc.screen()[3] and "proc A has ended" in screen
        pc.press("r")
        while pc.run() != "a":
            assert pc.context("b")["eip"], "B plays on alone"
        assert pc.context("a")["eflags"] == ALWAYS | IF


def test_if_both_are_refused_the_machine_stops(start):
    pc = start()
    check(pc, cs=8)
    pc.run_to("user_context_error")
    pc.write_context("b", ss=0x10)
    pc.go()
    pc.wait_log('refused proc=B context="ss: RPL 0"')
    pc.wait_log('halt reason="no proc is left"')


# ---- ring 0's own traps

FRAME = "gs fs es ds edi esi ebp pusha_esp ebx edx ecx eax trap_num error_code eip cs eflags".split()


@pytest.fixture
def trap_in_ring_0(start):
    """(machine, registers before it, the frame's place): ring 0 has executed ud2."""
    values = random.Random(10)
    pc = start()
    pc.run()
    place = NAMED["proc_b_data"] + 128
    pc.write(BASE + place, b"\x0f\x0b")
    pc.set(eip=place, **{name: values.getrandbits(32) for name in GENERAL if name != "esp"})
    before = pc.values()
    pc.run_to("trap_handler")
    return pc, before, BASE + pc.values()["eax"]


def test_a_trap_from_ring_0_builds_a_frame_and_goes_on_as_it_says(trap_in_ring_0):
    pc, before, place = trap_in_ring_0
    frame = dict(zip(FRAME, struct.unpack("<17I", pc.read(place, 68))))
    for name in (*GENERAL, "eip", "eflags"):
        if name != "esp":
            assert frame[name] & ~0x10000 == before[name] & ~0x10000, name  # RF is the CPU's
    for name in ("cs", *DATA_SELECTORS):
        assert frame[name] & 0xffff == before[name], name
    assert (frame["trap_num"], frame["error_code"]) == (6, 0)
    assert place + 68 == BASE + before["esp"], "no stack is changed"

    # trap_handler comes back, having written eip and ecx.
    pc.write(place + 4 * FRAME.index("eip"), struct.pack("<I", NAMED["run"]))
    pc.write(place + 4 * FRAME.index("ecx"), struct.pack("<I", 0x5eed))
    at_handler = pc.values()
    pc.set(eip=pc.word(BASE + at_handler["esp"]), esp=at_handler["esp"] + 4)
    pc.run_to("run")
    after = pc.values()
    expected = {**before, "ecx": 0x5eed}
    for name in (*GENERAL, *DATA_SELECTORS):
        assert after[name] == expected[name], name


def test_what_ring_0_cannot_mend_is_a_panic(trap_in_ring_0):
    pc, before, _ = trap_in_ring_0
    pc.go()
    pc.wait_log(f"panic vector=06 name=#UD .*cs:eip=0008:{before['eip']:08x} "
                f"ss:esp=0010:{before['esp']:08x} .*eax={before['eax']:08x} ")


def test_without_a_stack_ring_0_panics_in_a_task_of_its_own(start):
    if start.emulator is DebuggedQemu:
        pytest.xfail("QEMU's TCG checks no limits")
    pc = start()
    pc.run()
    pc.set(esp=4)
    pc.go()
    pc.wait_log("panic vector=08 name=#DF .*cs:eip=0008:")


# ---- what each user can reach

def table(machine, register):
    """selector: (base, size, access byte) of what can be loaded."""
    held = machine.registers()[register]
    base, limit = held.base, held.limit
    raw = machine.read(base, limit + 1)
    assert len(raw) % 8 == 0, "the limit is a byte too long or too short"
    entries = {}
    for place in range(8 if register == "gdtr" else 0, len(raw), 8):
        low, mid, high, access, flags, top = struct.unpack_from("<HHBBBB", raw, place)
        base, limit = mid | high << 16 | top << 24, low | (flags & 15) << 16
        access &= ~(2 if access & 0x1f == 0x0b else 1 if access & 0x10 else 0)
        entries[place | access >> 5 & 3 | (4 if register == "ldtr" else 0)] = (base, limit + 1, access)
    return entries


@pytest.mark.parametrize("letter", "ab")
def test_a_user_can_name_its_own_segments_and_no_other(start, letter):
    pc = start()
    pc.run_to(f"proc_{letter}_code")
    registers = pc.registers()
    own_data = (pc.linear(f"proc_{letter}_data"), DATA_BYTES, 0xf2)
    code = (pc.linear(f"proc_{letter}_code"), NAMED[f"proc_{letter}_code_bytes"], 0xfa)
    window = (WINDOWS[letter], WINDOW_BYTES, 0xf2)
    assert registers["ldtr"].selector == LDTS[letter]
    assert table(pc, "ldtr") == {CODE: code, DATA: own_data}
    ring_3 = {selector: entry for selector, entry in table(pc, "gdtr").items() if entry[2] & 0x60}
    assert ring_3 == {FS: own_data, GS: window}


@pytest.mark.parametrize("letter", "ab")
def test_a_user_starts_with_nothing_that_it_was_not_promised(start, letter):
    pc = start()
    pc.run_to(f"proc_{letter}_code")
    values = pc.values()
    assert pc.registers()["cpl"] == 3
    assert {name: values[name] for name in GENERAL} == {**dict.fromkeys(GENERAL, 0), "esp": DATA_BYTES}
    assert (values["eip"], values["eflags"]) == (0, ALWAYS | IF)
    assert {name: values[name] for name in ("cs", "ss", "ds", "es", "fs", "gs")} == \
        {"cs": CODE, "ss": DATA, "ds": DATA, "es": DATA, "fs": FS, "gs": GS}


def test_int_0x30_int3_and_into_are_the_only_doors(start):
    pc = start()
    pc.run_to("proc_a_code")
    base, limit = pc.registers()["idtr"]
    assert limit + 1 == 8 * 0x31
    gates = [gate for gate, in struct.iter_unpack("<8s", pc.read(base, limit + 1))]
    assert [vector for vector, gate in enumerate(gates) if gate[5] & 0x60] == [3, 4, 0x30]


# ---- the program

def test_the_log_is_as_every_programs(start):
    pc = start()
    pc.go()
    pc.wait_log("n=65536 ")
    boot, *switches = pc.log()
    places = " ".join(f"{name}={NAMED[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog=userctx base={BASE:08x} {places} version={machines.VERSION}"
    shape = [re.sub(r"esp0=\w{8}$", "", line) for line in switches[:17]]
    assert shape == ["switch n=1 from=A to=B "] + [f"switch n={1 << k} from=B to=A " for k in range(1, 17)]
    ends = {letter: f"esp0={pc.place_of(letter) + FRAME_BYTES - BASE:08x}" for letter in "ab"}
    assert all(line.endswith(ends[line[line.index("from=") + 5].lower()]) for line in switches)


def test_both_procs_count_their_turns(start):
    pc = start()
    for n in range(1, 4):
        for letter in "ab":
            assert pc.run() == letter
            pc.back()
            assert (pc.context(letter)["esi"], pc.context(letter)["edi"]) == (n, 0)


def test_keys_and_screen_are_p_procs(tmp_path):
    floppy = machines.floppy_that_starts("userctx", tmp_path / "floppy.img")
    with machines.Qemu(floppy) as pc:
        pc.wait_log("n=1 ")
        pc.key(" ")
        pc.wait_screen("held")
        pc.key(" ")
        pc.wait_screen(r"switches +2 ")
        panel = "\n".join(pc.screen()[5:19])
        for letter in "ab":
            raw = pc.memory(BASE + NAMED["player_" + letter] + HEADROOM_BYTES, 4 * len(CONTEXT))
            for name, value in zip(CONTEXT, struct.unpack(f"<{len(CONTEXT)}I", raw)):
                digits = 4 if name in (*SELECTORS, "trap_num", "error_code") else 8
                name = {"error_code": "error", "pusha_esp": "esp"}.get(name, name)
                assert re.search(rf"\b{name} +{value & (1 << 4 * digits) - 1:0{digits}x}\b", panel), f"{letter}: {name}"
        assert f"0010:{machines.fields(pc.log()[-1])['esp0']}" in panel
        assert re.search(r"count +1 ", pc.screen()[2]) and re.search(r"count +1 ", pc.screen()[20])
        pc.key("1", " ", " ")
        pc.wait_log("fault proc=A vector=00 name=#DE")
        pc.wait_screen("proc A has ended")
        pc.key("r", " ")
        pc.wait_screen("context of A")
        pc.key("f")
        pc.wait_log("n=65536 ")
        pc.key("q")
        pc.wait_log("quit")


@pytest.mark.parametrize("segment", [0x0812, 0x5abc], ids=hex)
def test_it_works_at_any_segment(tmp_path, segment):
    base, com = segment << 4, COM.read_bytes()
    with DebuggedQemu(machines.floppy_that_starts("userctx", tmp_path / "floppy.img")) as machine:
        machine.symbols = NAMED
        machine.run_to(BASE + 0x100)
        machine.write(BASE + 0x100, b"\xf4" * len(com))
        machine.write(base + 0x100, com)
        machine.set(cs=segment, ds=segment, es=segment, ss=segment)
        machine.run_to(base + NAMED["proc_b_int"])
        assert machine.registers()["fs"].base == base + NAMED["proc_b_data"]
        machine.go()
        machine.wait_log("n=1024 ")
        assert f"base={base:08x} " in machine.log()[0]


# ---- what its page says

PAGE = (ROOT / "programs/userctx/README.md").read_text()


def test_every_magic_breakpoint_has_its_name_and_stands_in_the_page():
    places = {match.end() + 0x100 for match in re.finditer(rb"\x87\xdb", COM.read_bytes())}
    named = {offset: name for name, offset in NAMED.items() if name.startswith("ckpt_")}
    assert places == named.keys()
    assert sorted(named.values()) == sorted(re.findall(r"^\| `(ckpt_\w+)`", PAGE, re.M))


@pytest.mark.parametrize("letter, other", ["ab", "ba"])
def test_a_switch_costs_what_the_page_says(tmp_path, letter, other):
    with DebuggedBochs(machines.floppy_that_starts("userctx", tmp_path / "floppy.img")) as machine:
        machine.symbols = NAMED
        machine.send("c")
        machine.wait_log("n=4096 ")
        machine.halt()
        machine.run_to(f"proc_{letter}_int")
        while machine.word("switches_left") == 1:
            machine.run_to(f"proc_{letter}_int")
        parts = {"in": range(NAMED["gate"], NAMED["fault_vectors"]), "run": range(NAMED["run"], NAMED["gate_with_stop"])}
        count = {"in": 1, "C": 0, "run": 0}  # int is the first
        machine.step()
        while machine.values()["cs"] != CODE:
            eip = machine.values()["eip"]
            count[next((name for name, part in parts.items() if eip in part), "C")] += 1
            machine.step()
        assert machine.word("switches_left"), "a look was due: not the usual path"
        assert machine.registers()["ldtr"].selector == LDTS[other]
    promised = re.search(r"^(\d+) instructions from A's `int`.*?(\d+) .*?(\d+) .*?(\d+) ", PAGE, re.M | re.S).groups()
    assert (sum(count.values()), *count.values()) == tuple(map(int, promised))
    assert sum(count.values()) <= 40


def test_sizes_are_what_the_page_says():
    assert f"{4 * len(CONTEXT)} bytes" in PAGE and f"{HEADROOM_BYTES} bytes" in PAGE


def test_the_page_lists_every_error_of_a_context():
    said = set(re.findall(r"^\| `(.+?)` \|", PAGE.split("## What is refused")[1].split("\n## ")[0], re.M))
    shape = {re.sub(r"^(cs|ss|ds|es|fs|gs): ", "cs: ",
                    re.sub(r"(RPL|IOPL) \d", r"\1 0", re.sub(r"\b[0-9a-f]{4} is", "0013 is", error)))
             for _, error in ERRORS.values()}
    assert {re.sub(r"^(cs|ss|ds|es|fs|gs): ", "cs: ", re.sub(r"(RPL|IOPL) \d", r"\1 0", error)) for error in said} == shape

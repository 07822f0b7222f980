"""PAGED: an address space for each thread, on QEMU and on Bochs, point by point."""

import random
import re
import struct

from ringside.attacks import isolation
from ringside.costs import designs
from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, NAMES, frame
from test_kstack import TRACED

ELF = machines.BUILD / "paged.elf"
SYMBOLS = machines.symbols(ELF)
README = (machines.ROOT / "programs/paged/README.md").read_text()
QEMU, BOCHS = debuggers.knowing("paged")

PAGE, RING_0, POOL, SCREEN = 0x1000, 0xffff0000, 0xfffd0000, 0xfffef000
CODE, DATA, LATER, WINDOW, STACK, STACK_END = (0x8048000, 0x8049000, 0x804b000, 0x804d000, 0x804f000, 0x8050000)
HOLE, GUARD = 0x804a000, 0x804e000
ASKED, TURNS, SECRET = DATA, DATA + 4, DATA + 16
USER_CODE, USER_DATA = 0x33, 0x3b
PRESENT, WRITABLE, USER, GLOBAL, ADDRESS = 1, 2, 4, 0x100, 0xfffff000
WP, PGE = 1 << 16, 1 << 7
HIDES = 0x1000  # of CR3
IF = 0x200
SECRETS = {"a": b"what only A knows\0", "b": b"B's own secret\0"}


@pytest.fixture(scope="module")
def floppy(tmp_path_factory):
    return machines.floppy_that_starts("paged", tmp_path_factory.mktemp("paged") / "floppy.img")


@pytest.fixture(params=(QEMU, BOCHS), ids=NAMES)
def machine(request, floppy):
    with request.param(floppy) as machine:
        yield machine


def thread(machine, letter):
    words = struct.unpack("<4I", machine.physical_memory(BASE + SYMBOLS[f"thread_{letter}"], 16))
    return dict(zip(("stack_end", "esp", "space", "esp0"), words))


def running(machine):
    current, = struct.unpack("<I", machine.physical_memory(BASE + SYMBOLS["current"], 4))
    return {machine.linear("thread_a"): "a", machine.linear("thread_b"): "b"}[current]


def turn_of(machine, letter, place="thread_int"):
    for _ in range(10):
        machine.run_to(place)
        if running(machine) == letter:
            return
    raise machines.Missing(f"{letter} did not get its turn at {place}")


def entries(machine, physical):
    return struct.unpack("<1024I", machine.physical_memory(physical, PAGE))


def space(machine, directory):
    """{page: (physical, rights)} of all that a directory leads to, as the CPU goes there."""
    found = {}
    for high, upper in enumerate(entries(machine, directory)):
        if upper & PRESENT:
            for low, lower in enumerate(entries(machine, upper & ADDRESS)):
                if lower & PRESENT:
                    found[high << 22 | low << 12] = lower & ADDRESS, upper & lower & (WRITABLE | USER)
    return found


def of_ring_0(pool):
    """What each space has of ring 0, by addresses alone."""
    end, data = (RING_0 + SYMBOLS[name] for name in ("bss_end", "data_start"))
    found = {page: (BASE + page - RING_0, WRITABLE if page >= data else 0) for page in range(RING_0, end, PAGE)}
    found[SCREEN] = 0xb8000, WRITABLE
    return found | {POOL + n * PAGE: (pool + n * PAGE, WRITABLE) for n in range(19)}


# ---- the spaces

def test_a_space_holds_what_the_readme_lists_and_nothing_else(machine):
    machine.run_to("thread_code")
    pool = thread(machine, "a")["space"] - 4 * PAGE
    found = {letter: space(machine, thread(machine, letter)["space"]) for letter in "ab"}
    ring_3 = {letter: {page: what for page, what in pages.items() if what[1] & USER} for letter, pages in found.items()}
    for letter in "ab":
        assert {page: rights for page, (_, rights) in ring_3[letter].items()} == {
            CODE: USER, DATA: USER | WRITABLE, WINDOW: USER | WRITABLE, STACK: USER | WRITABLE}
        rest = {page: what for page, what in found[letter].items() if page not in ring_3[letter]}
        assert rest == of_ring_0(pool)
    assert ring_3["a"][CODE] == ring_3["b"][CODE]
    own = [what[0] for letter in "ab" for page, what in ring_3[letter].items() if page != CODE]
    assert len(set(own)) == 6, "a page of one is a page of the other"
    assert all(pool < physical < pool + 19 * PAGE for physical in own)


def test_the_same_address_has_other_content_and_the_screen_shows_where_both_lie(machine):
    machine.run_to("look_end")
    screen = {}
    for letter, column in (("a", 2), ("b", 42)):
        physical = space(machine, thread(machine, letter)["space"])[DATA][0]
        assert machine.physical_memory(physical, 64)[16:].startswith(SECRETS[letter])
        screen[letter] = physical + 16
    for letter in "abab":
        turn_of(machine, letter)
        assert machine.read(SECRET, 32).startswith(SECRETS[letter])
        assert machine.read(CODE, 4) == machine.read(CODE, 4)
    machine.run_to("look_end")
    rows = [line[:80] for line in rows_of(machine)]
    for letter, column in (("a", 2), ("b", 42)):
        half = [row[column:column + 16].rstrip() for row in rows[6:18]]
        assert half[7:10] == [f"cr3    {thread(machine, letter)['space']:08x}", f"linear {SECRET:08x}",
                              f"lies   {screen[letter]:08x}"]
    assert "08049010 what only A knows" in rows[3] and "08049010 B's own secret" in rows[21]


def rows_of(machine):
    raw = machine.read(SCREEN, 4000)
    return [raw[row:row + 160:2].decode("cp437") for row in range(0, 4000, 160)]


def test_a_window_is_a_page_in_which_nothing_else_lies(machine):
    machine.run_to("look_end")
    for letter, row in (("a", 1), ("b", 19)):
        page = machine.physical_memory(space(machine, thread(machine, letter)["space"])[WINDOW][0], PAGE)
        assert not any(page[640:]), "beyond the window's four rows"
        assert page[160 * 1 + 6:160 * 1 + 16:2].decode() == "count"


def test_ring_0_may_not_write_to_its_code(machine):
    """Since CR0.WP; without it, pages that are read-only are so for ring 3 alone."""
    machine.run_to("schedule_in")
    assert machine.registers()["cr0"] & WP
    code = b"\xc6\x05" + struct.pack("<I", machine.linear("gate")) + b"\x90"  # movb $0x90, gate
    machine.write(machine.linear("schedule_in"), code)
    machine.run_to("halt")
    panic = machines.fields([line for line in machine.log() if line.startswith("panic")][0])
    assert (panic["vector"], panic["error"], panic["means"]) == ("0e", "0003", "write, ring 0, present")


@pytest.mark.parametrize("model, can", [("486", False), ("pentium", False), ("pentium2", True)])
def test_ring_0_is_global_where_the_cpu_can(floppy, model, can):
    with QEMU(floppy, cpu=model) as machine:
        machine.run_to("thread_code")
        registers = machine.registers()
        assert bool(registers["cr4"] & PGE) == can
        assert registers["cr0"] & WP
        upper = entries(machine, registers["cr3"])[1023]
        lower = entries(machine, upper & ADDRESS)
        assert {bool(entry & GLOBAL) for entry in lower if entry & PRESENT} == {can}
        mine = entries(machine, entries(machine, registers["cr3"])[CODE >> 22] & ADDRESS)
        assert not any(entry & GLOBAL for entry in mine)


# ---- the switch

def test_cr3_is_loaded_when_the_space_changes_and_only_then(floppy):
    loads = {}
    with BOCHS(floppy) as machine:
        machine.go()
        machine.wait_log("n=4096 ", 60)
        machine.halt()
        for case in ("both", "alone"):
            if case == "alone":
                machine.press("1")
                machine.run_to("report_end")
                machine.go()
                machine.wait_log("from=B to=B", 60)
                machine.halt()
            turn_of(machine, "b")
            while machine.word("switches_left") < 3:
                turn_of(machine, "b")
            machine.cmd("trace on")
            out = machines.Bochs.run_to(machine, machine.linear("thread_int") + 2)
            machine.cmd("trace off")
            loads[case] = len(re.findall(r"mov cr3, e", out)), len(re.findall(TRACED, out, re.M))
    assert {case: loaded for case, (loaded, _) in loads.items()} == {"both": 1, "alone": 0}
    said = [int(number) for number in re.search(r"\*\*(\d+) instructions\*\*.*?(\d+) if", README, re.S).groups()]
    assert [loads[case][1] for case in ("both", "alone")] == said


def test_between_the_stacks_the_space_has_changed(machine):
    for this, other in ("ab", "ba", "ab"):
        turn_of(machine, this)
        machine.run_to("switch_stacks")
        assert machine.registers()["cr3"] == thread(machine, this)["space"]
        machine.run_to("schedule_in")
        assert machine.registers()["cr3"] == thread(machine, other)["space"]
        assert machine.word("tss", 4) == thread(machine, this)["stack_end"]
        machine.run_to("leave_ring0")
        assert machine.word("tss", 4) == thread(machine, other)["stack_end"]


def test_a_new_thread_finds_flat_segments_and_zeroes(machine):
    for letter in "ab":
        turn_of(machine, letter, "thread_code")
        values, registers = machine.values(), machine.registers()
        assert {name: values[name] for name in debuggers.GENERAL} == dict.fromkeys(debuggers.GENERAL, 0)
        assert [values[name] for name in ("cs", "ss", "ds", "es", "fs", "gs")] == [USER_CODE] + 3 * [USER_DATA] + [0, 0]
        assert (values["eip"], values["esp"], values["eflags"]) == (CODE, STACK_END, IF | 2)
        assert [(registers[name].base, registers[name].limit) for name in ("cs", "ds", "ss")] == 3 * [(0, 0xffffffff)]


# ---- page faults

def fault_of(machine, key):
    machine.press(str(key))
    machine.run_to("report_end")
    turn_of(machine, "b")
    machine.run_to("look_end")
    return machines.fields([line for line in machine.log() if line.startswith("fault")][-1])


@pytest.mark.sample(3)
@pytest.mark.parametrize("key, error, means, cr2, walk", [
    (1, 5, "read, ring 3, present", RING_0, r"directory 03ff \w+ PW- refuses, table 03f0 \w+ P--"),
    (2, 7, "write, ring 3, present", CODE, r"directory 0020 \w+ PWU, table 0048 \w+ P-U refuses"),
    (4, 6, "write, ring 3, absent", STACK - 4, r"directory 0020 \w+ PWU, table 004e 00000000 --- refuses"),
    (5, 4, "read, ring 3, absent", 0, "directory 0000 00000000 --- refuses, no table"),
    (7, 4, "read, ring 3, absent", HOLE, r"directory 0020 \w+ PWU, table 004a 00000000 --- refuses"),
])
def test_a_mistake_is_told_as_a_page_walk_and_ends_its_thread_alone(machine, key, error, means, cr2, walk):
    machine.run_to("thread_int")
    fault = fault_of(machine, key)
    assert (fault["vector"], fault["name"], fault["error"], fault["means"]) == ("0e", "#PF", f"{error:04x}", means)
    assert fault["cr2"] == f"{cr2:08x}"
    assert re.fullmatch(walk, fault["walk"]), fault["walk"]
    assert fault["cs:eip"] == f"0033:{machine.linear(f'thread_fault_{key}'):08x}"
    assert machine.log()[-1].startswith(("end proc=A alive=B", "switch"))
    report = [row[2:38].rstrip() for row in rows_of(machine)[6:18]]
    space_of_a = thread(machine, "a")["space"]
    assert report[1:3] == ["#PF: page fault", f"0x0e cr2 {cr2:08x}, cr3 {space_of_a:08x}"]
    assert report[7:9] == [f"└{fault['walk'].split(', ')[0]}", f" └{fault['walk'].split(', ')[1]}"]
    assert report[6] == f" error {error:04x}: {means}" and report[9].split()[0] in ("The", "A", "Nothing", "May")
    assert report[11].startswith("TSS  ss0:esp0"), "two rows of words, and not more"


@pytest.mark.parametrize("key, lines", [
    (3, [f"trap n=1 proc=A vector=03 name=#BP cs:eip=0033:{DATA + 65:08x}"]),
    (6, [f'say proc=A at={SECRET:08x} phys=PHYSICAL text="what only A knows"',
         f'say proc=B at={SECRET:08x} phys=PHYSICAL text="B\'s own secret"']),
    (8, [f"refused proc=A text={RING_0 + 0x100:08x} why=\"it is ring 0's\""]),
    (9, [f"page proc=A at={LATER:08x} phys=PHYSICAL"]),
])
def test_what_a_thread_survives(machine, key, lines):
    machine.run_to("thread_int")
    machine.press(str(key))
    for _ in range(2):
        machine.run_to("look_end")
    for letter in "abab":
        turn_of(machine, letter)
    told = [re.sub(r"phys=\w{8}", "phys=PHYSICAL", line) for line in machine.log()
            if not line.startswith(("boot", "switch", "pages"))]
    assert sorted(told) == sorted(lines)
    if key == 6:
        assert len(set(re.findall(r"phys=(\w+)", "\n".join(machine.log())))) == 2


def test_the_page_that_comes_later_is_empty_and_the_threads_own(machine):
    machine.run_to("thread_code")
    was_there = space(machine, thread(machine, "a")["space"])
    machine.press("9")
    machine.run_to("page_fault_mended")
    turn_of(machine, "a")
    page = machine.read(LATER, PAGE)
    assert page == struct.pack("<I", 1) + bytes(PAGE - 4)
    now = space(machine, thread(machine, "a")["space"])
    assert set(now) - set(was_there) == {LATER}
    assert LATER not in space(machine, thread(machine, "b")["space"])
    turn_of(machine, "b")
    machine.press("9")
    turn_of(machine, "a")
    assert machine.word(LATER) == 2, "touched once more, it is not made new"


# ---- pointers from ring 3

GOOD, REFUSED = 0, 0xffffffff
POINTERS = [
    (SECRET, GOOD, "what only A knows"),
    (DATA + PAGE - 4, REFUSED, "there is no page"),         # the data are no text that ends before the hole
    (0, REFUSED, "there is no page"),
    (HOLE, REFUSED, "there is no page"),
    (GUARD, REFUSED, "there is no page"),
    (LATER, GOOD, ""),                                      # there as soon as ring 0 touches it
    (CODE, GOOD, None),
    (0xffbfffff, REFUSED, "there is no page"),
    (0xffc00000, REFUSED, "it is ring 0's"),
    (POOL, REFUSED, "it is ring 0's"),
    (RING_0 + 0x100, REFUSED, "it is ring 0's"),
    (0xffffffff, REFUSED, "it is ring 0's"),
]


def test_ring_0_checks_every_pointer_and_survives_the_bad_ones(machine):
    turn_of(machine, "a")
    machine.write(DATA + PAGE - 4, b"abcd")
    for pointer, result, words in POINTERS:
        machine.write(TURNS, b"\xcd\x31")       # int $0x31, in memory that may be executed
        machine.set(eax=pointer, eip=TURNS)
        machine.run_to(TURNS + 2)
        assert machine.values()["eax"] == result, hex(pointer)
        told = machines.fields(machine.log()[-1])
        if words is not None:
            assert told["text" if result == GOOD else "why"] == words, hex(pointer)
        assert int(told["at" if result == GOOD else "text"], 16) == pointer


# ---- all pages

def test_every_page_does_to_ring_3_what_its_directory_says():
    """A sample; make test-pages tries all of them."""
    found = list(isolation.verdicts(isolation.SAMPLE))
    assert [(name, hide, wrong) for name, hide, _, wrong in found] == [
        (name, hide, []) for name in NAMES for hide in (False, True)]


# ---- ring 0 hidden

def hidden(machine):
    machine.press("k")
    machine.run_to("hide_ring0")
    machine.run_to("look_end")


def test_while_ring_0_is_hidden_two_pages_of_it_are_left(machine):
    machine.run_to("thread_int")
    hidden(machine)
    for letter in "abab":
        turn_of(machine, letter)
        registers = machine.registers()
        assert registers["cr3"] == thread(machine, letter)["space"] | HIDES
        assert not registers["cr4"] & PGE
        found = space(machine, registers["cr3"])
        assert {page: what for page, what in found.items() if not what[1] & USER} == {
            RING_0: (BASE, 0), RING_0 + SYMBOLS["data_start"]: (BASE + SYMBOLS["data_start"], WRITABLE)}
        whole = space(machine, thread(machine, letter)["space"])
        assert {page: what for page, what in found.items() if what[1] & USER} == {
            page: what for page, what in whole.items() if what[1] & USER}
        assert machine.word("tss", 4) == machine.linear("entry_stack_end")
        machine.run_to("schedule")
        assert machine.registers()["cr3"] == thread(machine, letter)["space"]
        assert machine.values()["esp"] < thread(machine, letter)["stack_end"]
    machine.press("k")
    machine.run_to("hide_ring0")
    for letter in "ab":
        turn_of(machine, letter)
        assert machine.registers()["cr3"] == thread(machine, letter)["space"]


def test_hidden_or_not_the_same_registers_come_back_and_the_same_mistakes_end(machine):
    machine.run_to("thread_int")
    hidden(machine)
    turn_of(machine, "a")
    values = dict(eax=1, ebx=2, ecx=3, edx=4, esi=5, edi=6, ebp=7)
    machine.set(**values)
    before = machine.values()
    machine.run_to("thread_turn")
    while running(machine) != "a":
        machine.run_to("thread_turn")
    assert machine.values() == {**before, "eip": machine.linear("thread_turn"), "eflags": machine.values()["eflags"]}
    machine.set(**dict.fromkeys(values, 0))
    fault = fault_of(machine, 1)
    assert (fault["error"], fault["cr2"]) == ("0005", f"{RING_0:08x}")
    machine.press("6")
    machine.run_to("say")
    machine.run_to("say")
    machine.go()
    machine.wait_log("n=128 ", 60)
    assert [line for line in machine.log() if "say proc=A" in line]


def test_a_frame_that_iret_refuses_ends_its_thread_hidden_or_not(machine):
    for hide in (False, True):
        machine.run_to("thread_int")
        if hide:
            hidden(machine)
        turn_of(machine, "b")
        machine.run_to("schedule")  # where all of ring 0 is there to be changed
        stack_end = thread(machine, "a")["stack_end"]
        machine.write(stack_end - 16, struct.pack("<I", 0))  # cs
        machine.run_to("report_end")
        turn_of(machine, "b")
        fault = machines.fields([line for line in machine.log() if line.startswith("fault")][-1])
        assert (fault["vector"], fault["while"]) == ("0d", "restore")
        assert fault["cs:eip"] == f"0000:{machine.linear('thread_int') + 2:08x}"
        assert fault["ss:esp"] == f"{USER_DATA:04x}:{STACK_END:08x}"
        machine.press("r")
        turn_of(machine, "a")


# ---- ends, keys, surroundings

def test_when_both_have_ended_their_spaces_are_made_new(machine):
    turn_of(machine, "b")
    machine.run_to("look_end")
    for letter in "ab":
        turn_of(machine, letter)
        machine.write(ASKED, struct.pack("<I", 2 + 4))     # key 5's
    machine.run_to("look_while_halted")
    assert machine.registers()["cr3"] == thread(machine, "a")["space"] - 4 * PAGE, "neither of theirs"
    machine.press("r")
    machine.go()
    machine.wait_log("n=64 ", 60)
    assert [line.split()[0] for line in machine.log() if line.startswith(("start", "panic"))] == ["start", "start"]


@pytest.mark.parametrize("key", "89k")
def test_other_programs_know_no_more_keys(tmp_path, key):
    for program in ("p_proc", "kstack", "hwtask"):
        qemu, _ = debuggers.knowing(program)
        with qemu(machines.floppy_that_starts(program, tmp_path / "floppy.img")) as machine:
            machine.press(key)
            machine.go()
            machine.wait_log("n=16 ", 60)
            assert not [line for line in machine.log() if not line.startswith(("boot", "switch"))]


@pytest.mark.parametrize("segment", [0x1234, 0x2fff, 0x3000])
def test_it_works_at_any_segment_and_on_memory_that_holds_anything(floppy, segment):
    """Where no page begins, ring 0 plays in a copy."""
    base, entry = segment << 4, BASE + debuggers.COM_START
    com = (machines.BUILD / "paged.com").read_bytes()
    with QEMU(floppy) as machine:
        machine.base = BASE
        machine.run_to(entry)
        machine.write(entry, b"\xf4" * len(com))
        machine.write(base + debuggers.COM_START, random.Random(5).randbytes(0x38000))
        machine.write(base + debuggers.COM_START, com)
        machine.set(cs=segment, ds=segment, es=segment, ss=segment)
        machine.base = QEMU.base
        for letter in "ab":
            machine.run_to("thread_int")
            assert machine.read(SECRET, 32).startswith(SECRETS[letter])
        physical = space(machine, machine.registers()["cr3"])[RING_0][0]
        assert (physical == base) == (base % PAGE == 0) and physical % PAGE == 0
        machine.go()
        machine.wait_log("n=4096 ", 60)


def test_too_little_memory_is_said(floppy):
    with QEMU(floppy) as machine:
        machine.base = BASE
        machine.run_to(BASE + debuggers.COM_START)
        machine.write(0x413, struct.pack("<H", 64 + 215))
        machine.go()
        machine.wait_screen("PAGED wants 216 KiB of memory")
        assert machine.log() == ['boot prog=paged stays-out="too little memory" paragraphs=000035c0']


def test_every_magic_breakpoint_has_its_name_right_behind_it_and_the_readme_lists_it():
    com = (machines.BUILD / "paged.com").read_bytes()
    places = {match.end() + debuggers.COM_START for match in re.finditer(rb"\x87\xdb", com)}
    named = {name: offset for name, offset in SYMBOLS.items() if name.startswith("ckpt_")}
    assert places == set(named.values())
    assert sorted(named) == sorted(re.findall(r"^\| `(ckpt_\w+)`", README, re.M))


def test_all_of_a_thread_lies_in_its_frame_on_its_kernel_stack(machine):
    turn_of(machine, "a")
    machine.set(ebx=0x1234)
    turn_of(machine, "b")
    stack_end = thread(machine, "a")["stack_end"]
    words = frame(machine.read(stack_end - debuggers.FRAME_BYTES, debuggers.FRAME_BYTES))
    assert (words["ebx"], words["cs"], words["ss"], words["esp"]) == (0x1234, USER_CODE, USER_DATA, STACK_END)
    assert words["eip"] == machine.linear("thread_int") + 2


def test_the_program_and_its_page_can_be_read_in_one_sitting():
    """Its lines as docs/costs.md counts them, and all of the page."""
    sources = [path.relative_to(machines.ROOT) for path in (machines.ROOT / "programs/paged").glob("*.[chS]")]
    assert designs.source_lines(sources) + len(README.splitlines()) <= 900

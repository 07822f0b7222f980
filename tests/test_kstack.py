"""KSTACK: a kernel stack for each thread, on QEMU and on Bochs, point by point."""

import random
import re
import struct
import subprocess

from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
import test_registers
from ringside.emulators.debuggers import BASE, FRAME_BYTES, GENERAL, NAMES, frame, patched
from ringside.emulators import versions
from trees import copy_sources

SYMBOLS = machines.symbols(machines.BUILD / "kstack.elf")
README = (machines.ROOT / "programs/kstack/README.md").read_text()

USER_CODE, USER_DATA, TLS_1, TLS_2 = 0x33, 0x3b, 0x43, 0x4b
BEYOND_GDT = 0x60
WINDOWS = {"a": 0x53, "b": 0x5b}
TLS_BYTES, USER_BYTES, KSTACK_BYTES = 16, 256, 1024
TLS_ACCESS = 0xf2  # present, DPL 3, read/write
POISON = 0xdefaced0
ASKED = 4  # in TLS_1
SHOW_THE_TIME = 7  # beyond the six mistakes
CLOCK_PORTS = {0x70, 0x71}
PORTS = 0x10000
TSS_BYTES = 104
IF = 0x200

# struct switched and struct new_stack (programs/kstack/thread.h), from the saved esp up.
SWITCHED = "eflags edi esi ebp pusha_esp ebx edx ecx eax resume".split()
SWITCHED_BYTES = 4 * len(SWITCHED)
NEW_STACK_BYTES = SWITCHED_BYTES + 2 * 4 + FRAME_BYTES


class Kstack:
    """What both machines know of KSTACK."""

    symbols = SYMBOLS

    def thread(self, letter):
        """stack_end, esp, tls, ports: a thread's state outside of its kernel stack."""
        words = struct.unpack("<5I", self.read(self.linear(f"thread_{letter}"), 20))
        assert [word >> 24 for word in words[2:4]] == [TLS_ACCESS] * 2
        return {"stack_end": words[0], "esp": words[1], "ports": words[4],
                "tls": [(word & 0xffffff) - BASE for word in words[2:4]]}

    def running(self):
        return {SYMBOLS["thread_a"]: "a", SYMBOLS["thread_b"]: "b"}[self.word("current")]

    def turn_of(self, letter, place="thread_int"):
        """To a place in ring 3, in a thread's turn."""
        for _ in range(10):
            self.run_to(place)
            if self.running() == letter:
                return
        raise machines.Missing(f"{letter} did not get its turn at {place}\n{self._evidence()}")

    def switched(self, esp):
        return dict(zip(SWITCHED, struct.unpack("<10I", self.read(BASE + esp, SWITCHED_BYTES))))

    def bases(self):
        """Of TLS_1 and TLS_2, as the GDT has them."""
        table = self.linear("gdt")
        found = []
        for selector in (TLS_1, TLS_2):
            _, low, mid, _, _, top = struct.unpack("<HHBBBB", self.read(table + (selector & ~7), 8))
            found.append(low | mid << 16 | top << 24)
        return found

    def open_ports(self):
        bitmap = self.read(self.linear("io_bitmap"), PORTS // 8)
        return {8 * place + bit for place, byte in enumerate(bitmap) if byte != 0xff
                for bit in range(8) if not byte >> bit & 1}

    def ask(self, letter, number):
        """Asks a thread to make its mistake 1 to 6, or to show the time."""
        self.write(BASE + self.thread(letter)["tls"][0] + ASKED,
                   struct.pack("<I", debuggers.ASK_MISTAKE + number - 1))


class KQemu(Kstack, debuggers.DebuggedQemu):
    pass


class KBochs(Kstack, debuggers.DebuggedBochs):
    pass


EMULATORS = pytest.mark.parametrize("emulator", (KQemu, KBochs), ids=NAMES)


@pytest.fixture(scope="module")
def floppy(tmp_path_factory):
    return patched(tmp_path_factory.mktemp("kstack") / "floppy.img", {}, "kstack")


@pytest.fixture(params=(KQemu, KBochs), ids=NAMES)
def machine(request, floppy):
    with request.param(floppy) as machine:
        yield machine


def other(letter):
    return {"a": "b", "b": "a"}[letter]


# ---- a thread

def in_file(name, size):
    """A variable as the program's file has it, before anything runs."""
    com = (machines.BUILD / "kstack.com").read_bytes()
    place = SYMBOLS["data_in_file"] + SYMBOLS[name] - SYMBOLS["data_start"] - debuggers.COM_START
    return com[place:place + size]


def test_a_saved_esp_is_poison_until_there_is_something_to_save(machine):
    for letter in "ab":
        assert struct.unpack_from("<I", in_file(f"thread_{letter}", 8), 4) == (POISON,)
    machine.run_to("thread_code")
    assert machine.running() == "a"
    assert machine.thread("a")["esp"] == POISON
    for this in "abab":
        machine.turn_of(this)
        waits = machine.thread(other(this))
        assert machine.thread(this)["esp"] == POISON
        assert waits["stack_end"] - KSTACK_BYTES < waits["esp"] < waits["stack_end"]


def test_all_else_of_a_thread_lies_on_its_kernel_stack(machine):
    """Every other stack of ring 0 is overwritten, and its own below esp: it does not notice."""
    machine.turn_of("a")
    before = machine.values()
    machine.turn_of("b")
    asleep = machine.thread("a")
    used = machine.read(BASE + asleep["esp"], asleep["stack_end"] - asleep["esp"])
    registers = frame(used[-FRAME_BYTES:])
    assert (registers["cs"], registers["ss"], registers["esp"]) == (USER_CODE, USER_DATA, USER_BYTES)
    assert SYMBOLS["thread_code"] + registers["eip"] == SYMBOLS["thread_int"] + 2
    for end, size in ((asleep["esp"], KSTACK_BYTES - len(used)),
                      (machine.thread("b")["stack_end"], KSTACK_BYTES),
                      (SYMBOLS["ring0_stack_end"], 2048)):
        machine.write(BASE + end - size, bytes([0xcc]) * size)
    machine.turn_of("a")
    assert machine.values() == {**before, "eflags": machine.values()["eflags"]}


def test_kernel_stacks_lie_apart_and_are_never_used_up(machine):
    machine.go()
    machine.wait_log("n=1024 ", 60)
    machine.halt()
    machine.turn_of("a")
    machine.ask("a", 1)  # a report is written on the stack of the thread that it is about
    machine.run_to("report_end")
    machine.turn_of("b")
    machine.press("r")
    machine.turn_of("a")
    ends = [machine.thread(letter)["stack_end"] for letter in "ab"]
    assert abs(ends[0] - ends[1]) >= KSTACK_BYTES
    for end in ends:
        assert end % 4 == 0
        assert not any(machine.read(BASE + end - KSTACK_BYTES, 512)), "more than half was used"


# ---- schedule out, schedule in

def test_schedule_out_leaves_a_resume_address_registers_and_flags(machine):
    for n, this in enumerate("ababab"):
        machine.run_to("switch_stacks")
        assert machine.running() == this
        before = machine.values()
        machine.run_to("enter_stack")
        esp = machine.thread(this)["esp"]
        assert machine.values()["esp"] == esp == before["esp"] - SWITCHED_BYTES + 4
        saved = machine.switched(esp)
        assert saved.pop("pusha_esp") == before["esp"]
        assert saved.pop("resume") == machine.word(BASE + before["esp"])
        assert saved == {name: before[name] for name in saved}, f"switch {n}"
        assert not saved["eflags"] & IF
        assert saved["eax"] == SYMBOLS[f"thread_{this}"]


def test_schedule_out_closes_the_ports_and_takes_the_others_tls_and_leaves_esp0(machine):
    for this in "abab":
        machine.turn_of(this)
        assert machine.bases() == [BASE + place for place in machine.thread(this)["tls"]]
        machine.run_to("switch_stacks")
        assert machine.bases() == [BASE + place for place in machine.thread(other(this))["tls"]]
        assert machine.open_ports() == set()
        assert machine.word("tss", 4) == machine.thread(this)["stack_end"]


def test_schedule_in_gives_esp0_and_ports_to_the_thread_that_knows_itself(machine):
    for n, this in enumerate("ababab"):
        machine.run_to("schedule_in")
        values, thread = machine.values(), machine.thread(this)
        assert values["eax"] == SYMBOLS[f"thread_{this}"], f"switch {n}"
        assert thread["stack_end"] - KSTACK_BYTES < values["esp"] < thread["stack_end"]
        machine.run_to("leave_ring0")
        assert machine.word("tss", 4) == thread["stack_end"]
        assert machine.open_ports() == (CLOCK_PORTS if this == "a" else set())


def test_new_and_old_threads_come_in_by_the_same_three_instructions(machine):
    machine.run_to("schedule_away")
    for n, this in enumerate("ababab"):
        machine.run_to("enter_stack")
        resume = machine.switched(machine.thread(this)["esp"])["resume"]
        expected = machine.thread(this)["esp"] + SWITCHED_BYTES
        for _ in range(4):  # mov, popf, popa, ret
            machine.step()
        values = machine.values()
        assert values["eip"] == resume
        assert values["esp"] == expected
        assert (resume == SYMBOLS["first_schedule"]) == (n < 2), f"switch {n}"


@EMULATORS
def test_schedule_refuses_to_work_with_interrupts_on(tmp_path, emulator):
    """Its gate made a trap gate, which leaves IF as it was in ring 3: on."""
    place = SYMBOLS["idt_gate"] - SYMBOLS["data_start"] + SYMBOLS["data_in_file"]
    assert in_file("idt_gate", 8)[5] == 0xee
    image = patched(tmp_path / "floppy.img", {place + 5: b"\xef"}, "kstack")
    with emulator(image) as machine:
        machine.run_to("halt")
        assert machine.log()[1:] == ['panic check="schedule: interrupts are on"']


# ---- a new thread

def test_a_new_threads_stack_is_prepared_as_if_it_had_been_here_before(machine):
    machine.run_to("ckpt_stacks")
    for letter in "ab":
        thread = machine.thread(letter)
        esp, end = thread["esp"], thread["stack_end"]
        assert end - esp == NEW_STACK_BYTES
        assert machine.switched(esp) == {
            **dict.fromkeys(SWITCHED, 0), "eflags": 2, "ebp": esp + SWITCHED_BYTES,
            "eax": SYMBOLS[f"thread_{letter}"], "resume": SYMBOLS["first_schedule"]}
        trace_end = struct.unpack("<2I", machine.read(BASE + esp + SWITCHED_BYTES, 8))
        assert trace_end == (POISON, POISON)


@pytest.mark.parametrize("letter", "ab")
def test_a_new_thread_finds_two_arguments_and_its_segments_and_zeroes(machine, letter):
    machine.turn_of(letter, "thread_code")
    registers, values = machine.registers(), machine.values()
    assert registers["cpl"] == 3
    assert {name: values[name] for name in GENERAL} == {
        **dict.fromkeys(GENERAL, 0), "ecx": WINDOWS[letter], "edx": int(letter == "a")}
    assert {name: values[name] for name in ("cs", "ss", "ds", "es", "fs", "gs")} == {
        "cs": USER_CODE, "ss": USER_DATA, "ds": USER_DATA, "es": USER_DATA, "fs": TLS_1, "gs": TLS_2}
    assert (values["eip"], values["eflags"]) == (0, IF | 2)
    assert values["esp"] == (USER_BYTES if letter == "a" else 2 * USER_BYTES)
    for name, place in zip(("fs", "gs"), machine.thread(letter)["tls"]):
        assert (registers[name].base, registers[name].limit) == (BASE + place, TLS_BYTES - 1)
        itself = machine.word(registers[name].base)
        assert registers["ds"].base + itself == registers[name].base


@EMULATORS
def test_the_two_threads_find_different_words_at_fs_0_and_gs_0(tmp_path, emulator):
    """In place of theirs: mov %fs:0, %eax; mov %gs:0, %ebx; int $0x30; jmp back."""
    code = bytes.fromhex("64 a1 00 00 00 00  65 8b 1d 00 00 00 00  cd 30  eb ef")
    place = SYMBOLS["thread_code"]
    with emulator(patched(tmp_path / "floppy.img", {place: code}, "kstack")) as machine:
        for letter in "abab":
            machine.turn_of(letter, BASE + place + code.index(b"\xcd\x30"))
            values = machine.values()
            own = 0 if letter == "a" else USER_BYTES
            assert (values["eax"], values["ebx"]) == (own, own + TLS_BYTES)


def test_a_selector_that_is_not_its_rows_place_is_found_when_the_program_is_built(tmp_path):
    tree = tmp_path / "tree"
    copy_sources(tree)
    rows = tree / "programs/kstack/thread_segments.h"
    rows.write_text(rows.read_text().replace("SEG(0x40,  TLS_1", "SEG(0x48,  TLS_1"))
    run = subprocess.run(["make", "-s", "build/programs/kstack/kstack.S.o"], cwd=tree, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode != 0
    assert "a segment's row is not at its place" in run.stdout


def test_it_works_at_any_segment_and_on_memory_that_holds_anything(floppy):
    """At such a one that 64 KiB end between A's data and B's."""
    segment = (0x60000 - SYMBOLS["user_data"] - USER_BYTES + 15) >> 4
    base = segment << 4
    entry = BASE + debuggers.COM_START
    com = (machines.BUILD / "kstack.com").read_bytes()
    with KQemu(floppy) as machine:
        machine.run_to(entry)
        machine.write(entry, b"\xf4" * len(com))
        machine.write(base + debuggers.COM_START, random.Random(5).randbytes(0xf000))
        machine.write(base + debuggers.COM_START, com)
        machine.set(cs=segment, ds=segment, es=segment, ss=segment)
        for letter in "ab":
            machine.run_to(base + SYMBOLS["thread_int"])
            registers = machine.registers()
            user = base + SYMBOLS["user_data"]
            assert registers["ds"].base == user
            assert registers["fs"].base == user + (USER_BYTES if letter == "b" else 0)
            assert registers["gs"].base == registers["fs"].base + TLS_BYTES
        machine.go()
        machine.wait_log("n=16384 ", 60)
        assert machine.log()[0].startswith(f"boot prog=kstack base={base:08x} ")


# ---- ports

def test_the_io_bitmap_is_whole_denies_all_at_first_and_is_terminated(machine):
    machine.run_to("ckpt_tss")
    tr = machine.registers()["tr"]
    assert (tr.base, tr.limit) == (machine.linear("tss"), TSS_BYTES + PORTS // 8)
    assert machine.word("tss", TSS_BYTES - 2, 2) == TSS_BYTES
    assert machine.linear("io_bitmap") == tr.base + TSS_BYTES
    assert machine.read(tr.base + TSS_BYTES, PORTS // 8 + 1) == bytes([0xff]) * (PORTS // 8 + 1)


def test_the_last_port_can_be_opened_since_a_byte_follows_its_own(machine):
    machine.turn_of("a")
    machine.write(machine.linear("io_bitmap") + PORTS // 8 - 1, b"\x7f")
    machine.write(machine.linear("thread_int"), b"\xec")  # in (%dx), %al
    machine.set(edx=PORTS - 1)
    machine.step()
    assert machine.values()["cs"] == USER_CODE


@pytest.mark.parametrize("code", ["e4 6f", "e4 72", "e4 77", "66 e5 71", "66 e5 6f", "e4 60"])
def test_the_neighbours_of_an_open_port_stay_closed(machine, code):
    machine.turn_of("a")
    machine.write(machine.linear("thread_int"), bytes.fromhex(code))
    machine.run_to("report_end")
    machine.run_to("thread_turn")
    assert machine.running() == "b"
    end, fault = machine.log()[-1], machine.log()[-2]
    assert re.match(rf'fault proc=A vector=0d name=#GP error=0000 .*bytes="{code}', fault)
    assert end == "end proc=A alive=B"


def clock(machine):
    """What stands in A's window where the time is."""
    row = machine.read(0xb8000 + 3 * 160, 160)[::2].decode("cp437")
    return row[9:17]


def test_the_owner_of_the_clock_may_show_the_time_again_and_again_and_the_other_may_not(machine):
    for n in range(3):
        machine.turn_of("b")
        machine.turn_of("a", "thread_clock")
    machine.run_to("thread_int")
    hours, minutes, seconds = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", clock(machine)).groups()
    assert int(hours) < 24 and int(minutes) < 60 and int(seconds) < 60
    machine.turn_of("b")
    machine.ask("b", SHOW_THE_TIME)
    machine.turn_of("b", "thread_clock")
    machine.run_to("report_end")
    for _ in range(4):
        machine.run_to("thread_int")
        assert machine.running() == "a"
    fault, end = machine.log()[-3:-1] if "switch" in machine.log()[-1] else machine.log()[-2:]
    assert fault.startswith("fault proc=B vector=0d name=#GP error=0000 ")
    assert 'bytes="e6 70 ' in fault  # out %al, $0x70
    assert end == "end proc=B alive=A"
    assert machine.open_ports() == CLOCK_PORTS


def test_the_time_is_the_time_of_the_clock(floppy):
    with machines.Qemu(floppy, extra=("-rtc", "base=2026-11-20T12:34:50,clock=vm")) as pc:
        pc.wait_screen(r"time  12:34:5\d ")


# ---- what is refused

PORTS_END = 0xffffffff
PORTS_POINTER, TLS_POINTERS = 16, 32  # in struct thread
MAKE_THREAD_A = "look_start"  # threads_start calls it first, before any thread is made


def words(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def give_ports(machine, letter, *ports):
    """Another list of ports, at the bottom of the thread's kernel stack, which is never used."""
    machine.write(machine.linear(f"stack_{letter}"), words(*ports))
    machine.write(machine.linear(f"thread_{letter}") + PORTS_POINTER, words(SYMBOLS[f"stack_{letter}"]))


def give_tls(machine, letter, which, place):
    machine.write(machine.linear(f"thread_{letter}") + TLS_POINTERS + 4 * which, words(place))


def plays_alone(machine, letter):
    for _ in range(6):
        machine.run_to("thread_int")
        assert machine.running() == letter
    assert machine.word("tss", 4) == machine.thread(letter)["stack_end"]
    assert machine.open_ports() == (CLOCK_PORTS if letter == "a" else set())


@pytest.mark.sample(5)
@pytest.mark.parametrize("letter", "ab")
@pytest.mark.parametrize("ports, why", [
    ((0x10000, PORTS_END), "65536: there is no such port"),
    ((0x70, 0x71, PORTS_END - 1, PORTS_END), "4294967294: there is no such port"),
    ((0x70, 0x10008, 0x71, PORTS_END), "65544: there is no such port"),
    ((0x70,) * 9 + (PORTS_END,), "no end after 8"),
    ((0x10000,) * 64, "no end after 8"),
], ids=["first-beyond", "last", "in-the-middle", "nine", "without-end"])
def test_a_list_of_ports_out_of_range_is_refused_by_name(machine, letter, ports, why):
    machine.run_to(MAKE_THREAD_A)
    give_ports(machine, letter, *ports)
    plays_alone(machine, other(letter))
    boot, refused, *more = machine.log()
    assert refused == f'refused thread={letter.upper()} ports="{why}"'
    assert all(line.startswith("switch ") for line in more)
    assert machine.read(machine.linear("io_bitmap") + PORTS // 8, 1) == b"\xff"
    assert not any(machine.read(machine.linear(f"thread_{letter}") + 8, 8)), "it has been prepared"


def test_eight_ports_and_the_last_one_of_all_are_not_refused(machine):
    ports = [0, 7, 8, 0x70, 0x71, 0x3f8, 0x8000, 0xffff]
    machine.run_to(MAKE_THREAD_A)
    give_ports(machine, "a", *ports, PORTS_END)
    for letter in "abab":
        machine.turn_of(letter)
        assert machine.open_ports() == (set(ports) if letter == "a" else set())


@pytest.mark.sample(6)
@pytest.mark.parametrize("which, name", [(0, "fs"), (1, "gs")])
@pytest.mark.parametrize("letter", "ab")
@pytest.mark.parametrize("offset", [-1, USER_BYTES - TLS_BYTES + 1, 0x10000, -0x7000_0000],
                         ids=["below", "over-the-end", "64-kib-on", "far-away"])
def test_a_tls_that_is_not_in_the_threads_data_is_refused_by_name(machine, letter, which, name, offset):
    own = SYMBOLS["user_data"] + (USER_BYTES if letter == "b" else 0)
    place = own + offset & 0xffffffff
    machine.run_to(MAKE_THREAD_A)
    give_tls(machine, letter, which, place)
    plays_alone(machine, other(letter))
    assert machine.log()[1] == \
        f'refused thread={letter.upper()} tls="{name} {place:08x}: not in the thread\'s data"'


def test_a_tls_may_be_the_last_of_the_threads_data(machine):
    machine.run_to(MAKE_THREAD_A)
    place = SYMBOLS["user_data"] + USER_BYTES - TLS_BYTES
    give_tls(machine, "a", 1, place)
    machine.turn_of("a", "thread_code")
    assert machine.bases()[1] == BASE + place
    assert machine.word(BASE + place) == USER_BYTES - TLS_BYTES


@EMULATORS
def test_a_floppy_with_a_bad_list_says_so_in_the_log_and_on_the_screen(tmp_path, emulator):
    """The clock's second port becomes 65536, as a number too large for the CPU."""
    place = SYMBOLS["clock_ports"]
    com = (machines.BUILD / "kstack.com").read_bytes()
    assert com[place - debuggers.COM_START:][:12] == words(0x70, 0x71, PORTS_END)
    with emulator(patched(tmp_path / "floppy.img", {place + 4: words(0x10000)}, "kstack")) as machine:
        plays_alone(machine, "b")
        assert machine.log()[1] == 'refused thread=A ports="65536: there is no such port"'
        rows = [bytes(machine.read(0xb8000 + 160 * row, 160)[::2]).decode("cp437") for row in range(25)]
        assert "not started, ports 65536: there is no such port" in rows[3]
        assert rows[6][2:38].rstrip() == " thread A was refused"
        assert rows[6][42:59] == "kernel stack of B"
        # Keys try to start it, and it is refused again.
        for key in "1r":
            machine.press(key)
            plays_alone(machine, "b")
        assert [line for line in machine.log() if line.startswith(("refused", "fault"))] == [
            'refused thread=A ports="65536: there is no such port"'] * 3
        # With a good list it may play.
        machine.write(BASE + place + 4, words(0x71))
        machine.press("r")
        machine.turn_of("a", "thread_code")
        for letter in "baba":
            machine.turn_of(letter)
            assert machine.open_ports() == (CLOCK_PORTS if letter == "a" else set())


def test_a_mistake_is_asked_only_of_who_plays(machine):
    """A's TLS would be where ring 0 has its own data: nothing is written there."""
    machine.run_to(MAKE_THREAD_A)
    give_tls(machine, "a", 0, SYMBOLS["stack_a"])
    plays_alone(machine, "b")
    machine.press("1")
    plays_alone(machine, "b")
    assert machine.word("stack_a", ASKED) == 0


def test_when_both_are_refused_the_game_is_over_before_it_begins(machine):
    machine.run_to(MAKE_THREAD_A)
    for letter in "ab":
        give_ports(machine, letter, 0x10000, PORTS_END)
    machine.run_to("look_while_halted")
    assert machine.log()[1:] == [
        'refused thread=A ports="65536: there is no such port"',
        'refused thread=B ports="65536: there is no such port"',
        'halt reason="no thread was started"']


def test_the_readme_shows_refusals_as_they_are():
    shown = re.findall(r'^ +(refused .*)$', README, re.M)
    source = (machines.ROOT / "programs/kstack/check.c").read_text()
    assert len(shown) == 3
    for line in shown:
        what, why = re.fullmatch(r'refused thread=[AB] (ports|tls)="(.*)"', line).groups()
        pattern = re.sub(r"\b\d+\b|\b[0-9a-f]{8}\b|\b[fg]s\b", "#", why)
        assert pattern in re.sub(r"%[sd8]", "#", source), line


# ---- what survives

@pytest.fixture
def players(tmp_path):
    return patched(tmp_path / "floppy.img", {SYMBOLS["thread_code"]: test_registers.PLAYER}, "kstack")


@pytest.mark.sample(2)
@pytest.mark.parametrize("emulator, rounds", [(KQemu, 100), (KBochs, 40)], ids=NAMES)
def test_all_registers_and_flags_survive_and_show_nothing_of_the_other_thread(players, emulator, rounds):
    values = random.Random(4)
    back = BASE + SYMBOLS["thread_code"] + test_registers.BACK
    selectors = (0, USER_CODE, USER_DATA, TLS_1, TLS_2, *WINDOWS.values())
    before = {}
    with emulator(players) as machine:
        for n in range(rounds):
            for letter in "ab":
                machine.turn_of(letter, back)
                if n:
                    found = machine.registers()
                    assert not test_registers.differences(found, before[letter], machine.stray_flags), f"{letter}, round {n}"
                for register in ("ds", "es", "fs", "gs"):
                    test_registers.set_selector(machine, register, values.choice(selectors))
                flags = values.getrandbits(22) & test_registers.FLAGS | test_registers.ALWAYS | IF
                test_registers.set_flags(machine, flags)
                machine.set(**{name: values.getrandbits(32) for name in GENERAL})
                before[letter] = test_registers.back_at_int(machine)
                assert before[letter]["eflags"] == flags


def test_ring_0_never_sees_a_threads_direction_flag(machine):
    machine.turn_of("a")
    machine.write(machine.linear("thread_int"), bytes.fromhex("fd cd 30"))  # std; int 0x30
    machine.run_to("gate")
    assert machine.values()["eflags"] & test_registers.DF
    machine.run_to("schedule")
    assert not machine.values()["eflags"] & test_registers.DF


def test_over_many_switches_no_kernel_stack_moves(machine):
    machine.turn_of("b")
    machine.turn_of("a")
    esp = {"b": machine.thread("b")["esp"]}
    machine.turn_of("b")
    esp["a"] = machine.thread("a")["esp"]
    machine.go()
    machine.wait_log("n=16384 ", 60)
    machine.halt()
    for letter in "abab":
        machine.turn_of(letter)
        assert machine.thread(other(letter))["esp"] == esp[other(letter)]
        assert machine.values()["esp"] == (USER_BYTES if letter == "a" else 2 * USER_BYTES)


# ---- faults

def test_a_fault_ends_one_thread_and_its_kernel_stack_is_used_again(machine):
    for n in range(3):
        machine.turn_of("a")
        machine.ask("a", 1 + n)
        machine.run_to("report_end")
        assert machine.running() == "a"
        machine.turn_of("b")
        assert machine.log()[-1] == "end proc=A alive=B" or "switch" in machine.log()[-1]
        assert machine.thread("a")["esp"] == POISON
        assert machine.open_ports() == set()
        machine.press("r")
        machine.run_to("thread_int")
        machine.turn_of("a", "thread_code")
        values, thread = machine.values(), machine.thread("a")
        assert {name: values[name] for name in GENERAL} == {
            **dict.fromkeys(GENERAL, 0), "ecx": WINDOWS["a"], "edx": 1}
        assert machine.word("tss", 4) == thread["stack_end"]
        assert machine.open_ports() == CLOCK_PORTS
    for letter in "babab":
        machine.turn_of(letter)
    assert len([line for line in machine.log() if line.startswith("fault ")]) == 3


def test_a_thread_that_never_yields_is_ended_by_the_alarm(machine):
    machine.turn_of("a")
    machine.ask("a", 6)
    machine.go()
    machine.wait_log("fault proc=A vector=20 name=IRQ0 ", 60)
    machine.wait_log("end proc=A alive=B")


def test_what_ring_3_cannot_get_back_is_its_own_fault(machine):
    """A selector that turns bad in its frame while the thread waits."""
    machine.turn_of("b")
    machine.run_to("schedule")
    machine.write(BASE + machine.thread("a")["stack_end"] - FRAME_BYTES, struct.pack("<I", BEYOND_GDT))
    machine.turn_of("b")
    fault, end = [line for line in machine.log() if not line.startswith("switch")][-2:]
    assert fault.startswith("fault proc=A vector=0d name=#GP error=0060 ")
    assert fault.endswith(" while=restore")
    assert end == "end proc=A alive=B"


def test_a_poisoned_kernel_stack_ends_in_a_double_fault_and_not_somewhere_in_memory(floppy):
    """On Bochs alone: QEMU's TCG does not check where segments end."""
    with KBochs(floppy) as machine:
        machine.turn_of("a")
        machine.write(machine.linear("tss") + 4, struct.pack("<I", POISON))
        machine.run_to("halt")
        assert machine.log()[-2].startswith("panic vector=08 name=#DF ")


def test_when_none_is_left_the_game_is_over(machine):
    machine.turn_of("b")
    for letter in "ab":
        machine.ask(letter, 1)
    machine.run_to("look_while_halted")
    assert machine.log()[-1] == 'halt reason="no proc is left"'


def test_an_end_is_no_switch(machine):
    """The log counts those that yield: after A's end, its number is what it was."""
    machine.turn_of("b")
    machine.turn_of("a")
    machine.ask("a", 1)
    machine.run_to("report_end")
    left = machine.word("switches_left"), machine.word("switches", size=8)
    machine.run_to("thread_int")
    assert machine.running() == "b"
    assert (machine.word("switches_left"), machine.word("switches", size=8)) == left


# ---- log, keys, screen

def test_the_log_says_where_all_is_and_who_plays(machine):
    machine.go()
    machine.wait_log("n=4096 ", 60)
    machine.halt()
    boot, *switches = machine.log()
    places = " ".join(f"{name}={SYMBOLS[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog=kstack base={BASE:08x} {places} version={machines.VERSION}"
    ends = {letter: "%08x" % machine.thread(letter)["stack_end"] for letter in "ab"}
    assert switches[:13] == [f"switch n=1 from=A to=B esp0={ends['b']}"] + [
        f"switch n={1 << k} from=B to=A esp0={ends['a']}" for k in range(1, 13)]


def test_a_key_has_b_try_the_clock_and_another_starts_it_anew(floppy):
    with machines.Qemu(floppy) as pc:
        pc.wait_log("n=2 ")
        pc.key("7")
        pc.wait_log("end proc=B alive=A")
        shown = pc.wait_screen(r"time  (\d\d:\d\d:\d\d) ").group(1)
        pc.wait_screen(rf"time  (?!{shown})\d\d:\d\d:\d\d ")
        assert "proc B has ended" in "\n".join(pc.screen())
        pc.key("r")
        pc.wait_screen(r"kernel stack of B")
        pc.key("f")
        assert pc.wait_log("n=65536 from=(.) to=(.)", 60).groups() in (("A", "B"), ("B", "A"))


@pytest.mark.parametrize("program", ["p_proc", "userctx"])
def test_other_programs_know_no_seventh_mistake(tmp_path, program):
    with debuggers.DebuggedBochs(patched(tmp_path / "floppy.img", {}, program)) as machine:
        machine.symbols = machines.symbols(machines.BUILD / f"{program}.elf")
        machine.press("7")
        machine.go()
        machine.wait_log("n=64 ", 60)
        assert not any(line.startswith("fault") for line in machine.log())


def test_the_panel_shows_both_kernel_stacks(floppy):
    with KQemu(floppy) as machine:
        machine.turn_of("b")
        machine.turn_of("a")
        asleep, awake = machine.thread("b"), machine.thread("a")
        saved = machine.switched(asleep["esp"])
        screen = machine.screen()
        left, right = ([row[column:column + 36].rstrip() for row in screen[6:18]] for column in (2, 42))
        assert left[0] == "kernel stack of A         iret next"
        assert right[0] == "kernel stack of B         just saved"
        assert left[10] == f"esp {POISON:08x}  end {awake['stack_end']:08x} ← esp0"
        assert right[10] == f"esp {asleep['esp']:08x}  end {asleep['stack_end']:08x}"
        assert [row[29:] for row in right[7:10]] == [
            f"to {saved['resume']:04x}", f"is {saved['eax']:04x}", f"fl {saved['eflags']:04x}"]
        assert [row[29:] for row in left[7:10]] == ["to ----", "is ----", "fl ----"]
        fs, gs = machine.bases()
        assert left[11] == f"TSS  ss0:esp0  0010:{awake['stack_end']:08x}"
        assert right[11] == f"fs {fs:08x} gs {gs:08x} ports 70-71"
        words = frame(machine.read(BASE + asleep["stack_end"] - FRAME_BYTES, FRAME_BYTES))
        assert right[3] == f"esp    {words['esp']:08x} ecx {words['ecx']:08x} es {words['es']:04x}"


# ---- numbers

PARTS = ("gate", "schedule", "switch_stacks", "schedule_in", "leave_ring0")
TRACED = r"^\(0\)\.\[\d+\] \[\w+\] (\w+):(\w+) \("  # a line of Bochs' trace: cs, eip


def by_part(steps):
    """How many of the instructions lie in which function; the int is the gate's."""
    counted = dict.fromkeys(PARTS, 0)
    starts = sorted((SYMBOLS[part], part) for part in PARTS)
    for cs, eip in steps:
        inside = [part for start, part in starts if start <= int(eip, 16)]
        counted["gate" if int(cs, 16) == USER_CODE else inside[-1]] += 1
    return counted


def number(pattern):
    return int(re.search(pattern, README).group(1))


def test_a_switch_takes_as_many_instructions_as_the_readme_says(floppy):
    counted = {}
    with KBochs(floppy) as bochs:
        bochs.go()
        bochs.wait_log("n=4096 ", 60)
        bochs.halt()
        for case in ("a", "b", "a without ports"):
            if case not in "ab":
                bochs.write(bochs.linear("thread_a") + 16, struct.pack("<I", bochs.thread("b")["ports"]))
            bochs.turn_of(case[0])
            while bochs.word("switches_left") == 1:  # a look is due: not the usual path
                bochs.turn_of(case[0])
            bochs.cmd("trace on")
            out = machines.Bochs.run_to(bochs, bochs.linear("thread_int") + 2)
            bochs.cmd("trace off")
            counted[case] = by_part(re.findall(TRACED, out, re.M))
    totals = {case: sum(parts.values()) for case, parts in counted.items()}
    less = versions.shorter("kstack")
    assert totals == {"a": number(r"\*\*(\d+) instructions\*\* from A's `int`") - less,
                      "b": number(r"and (\d+) from B's") - less,
                      "a without ports": number(r"be\s+(\d+) if A had no ports") - less}
    assert max(totals.values()) <= 70
    rows = re.findall(r"^\| .*?`(\w+)`[^`|]*\| (\d+) \| (\d+) \|$", README, re.M)
    assert len(rows) == len(PARTS)
    for part, *numbers in rows:
        fewer = less * (part == "schedule_in")
        assert [counted[case][part] for case in "ab"] == [int(n) - fewer for n in numbers], part


def test_a_thread_has_as_many_bytes_of_state_as_the_readme_says(machine):
    machine.turn_of("b")
    machine.turn_of("a")
    asleep = machine.thread("b")
    assert asleep["stack_end"] - asleep["esp"] == number(r"(\d+) bytes in use while it waits")
    assert number(r"kernel stack of (\d+) bytes") == KSTACK_BYTES
    assert number(r"(\d+) bytes of `struct thread`") == 20
    assert number(r"two TLS of (\d+) bytes") == TLS_BYTES
    assert number(r"I/O bitmap of (\d+) bytes") == PORTS // 8 + 1


# ---- checkpoints

def test_every_magic_breakpoint_has_its_name_right_behind_it_and_the_readme_lists_it():
    com = (machines.BUILD / "kstack.com").read_bytes()
    places = {match.end() + debuggers.COM_START for match in re.finditer(rb"\x87\xdb", com)}
    named = {name: offset for name, offset in SYMBOLS.items() if name.startswith("ckpt_")}
    assert places == set(named.values())
    assert sorted(named) == sorted(re.findall(r"^\| `(ckpt_\w+)`", README, re.M))

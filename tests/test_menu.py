"""MENU.COM: lists the programs on the floppy, and starts one through the boot sector."""

import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, BOTH, NAMES, DebuggedQemu
from fat12 import DIRECTORY, LABEL, LONG_NAME, Floppy
from ringside.emulators.machines import BUILD

NAMED = machines.symbols(BUILD / "menu.elf")
COM = (BUILD / "menu.com").read_bytes()
BOOT_SECTOR = 0x7c00
NAME = machines.sym("name", BUILD / "boot.elf")
ENTRY = BASE + 0x100
SHIFTS = 0x417
FIRST_ROW, ROWS = 4, 18

# The BIOS' queue of keys: scan code, character.
QUEUE, QUEUE_HEAD, QUEUE_TAIL = 0x41e, 0x41a, 0x41c
KEYS = {"up": 0x4800, "down": 0x5000, "home": 0x4700, "end": 0x4f00, "enter": 0x1c0d,
        "keypad enter": 0xe00d, "escape": 0x011b,
        "0": 0x0b30, **{str(n): n + 1 << 8 | ord("0") + n for n in range(1, 10)}}

# Says on port 0xe9 where it is and in which drive, and stops.
READERS_OWN = """
    .code16
    mov $text, %si
1:  lodsb
    out %al, $0xe9
    cmp $10, %al
    jne 1b
    hlt
text: .ascii "hello from=reader\\n"
"""


@pytest.fixture(scope="session")
def hello(tmp_path_factory):
    """A program that a reader has written."""
    folder = tmp_path_factory.mktemp("hello")
    subprocess.run(["as", "--32", "-o", folder / "o", "-"], check=True, text=True, input=READERS_OWN)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x100", "-e", "0x100", "--oformat", "binary",
                    "-o", folder / "hello.com", folder / "o"], check=True)
    return (folder / "hello.com").read_bytes()


@pytest.fixture
def floppy(tmp_path):
    """The floppy with MENU as its first program, to be changed."""
    return Floppy(machines.floppy_that_starts("menu", tmp_path / "floppy.img"))


@pytest.fixture(params=BOTH, ids=NAMES)
def boot(request, tmp_path):
    """A floppy's menu, drawn for the first time."""
    running = []

    def boot(floppy):
        running.append(request.param(floppy.save(tmp_path / "floppy.img")))
        running[0].symbols = {**NAMED, "halt": 0}  # it never halts
        running[0].run_to("drawn")
        return running[0]
    yield boot
    for machine in running:
        machine.close()


def rows(machine):
    raw = machine.read(0xb8000, 25 * 160)
    return [raw[row * 160:row * 160 + 160:2].decode("cp437") for row in range(25)]


def listed(machine):
    """The list as it is drawn: (name, size) of each row."""
    found = [row.split() for row in rows(machine)[FIRST_ROW:FIRST_ROW + ROWS] if row.strip()]
    return [(words[-3], int(words[-2])) for words in found]


def bar(machine):
    """The row of the list that is marked."""
    attributes = machine.read(0xb8000, 25 * 160)[1::160]
    marked = [row for row in range(FIRST_ROW, FIRST_ROW + ROWS) if attributes[row] == 0x70]
    assert len(marked) == 1
    return marked[0] - FIRST_ROW


def press(machine, *keys, base=BASE):
    """Keys, one by one; out: the name with which the boot sector is entered, if it is."""
    for key in keys:
        machine.write(QUEUE, KEYS[key].to_bytes(2, "little"))
        machine.write(QUEUE_HEAD, (0x1e).to_bytes(2, "little") + (0x20).to_bytes(2, "little"))
        if machine.run_to(base + NAMED["drawn"], BOOT_SECTOR) == BOOT_SECTOR:
            return machine.read(NAME, 11)
    return None


def programs(floppy):
    """The names, of eleven bytes, that the list has to show."""
    names = [bytes(floppy.data[at:at + 11]) for at in floppy.entries()
             if floppy.data[at] and not floppy.data[at + 11] & LABEL]
    return [name for name in names if name.endswith(b"COM") and name != b"MENU    COM"]


def shown(floppy):
    """As the list has to show them."""
    return [(f"{name[:8].decode().rstrip()}.COM", floppy.get(name, "size")) for name in programs(floppy)]


# ---- the list

def test_it_lists_every_program_but_itself(boot, floppy):
    assert {b"P_PROC  COM", b"USERCTX COM"} <= set(programs(floppy))
    assert listed(boot(floppy)) == shown(floppy)


def test_a_readers_own_program_is_there_and_what_is_none_is_not(boot, floppy, hello):
    before = shown(floppy)
    floppy.write(b"HELLO   COM", hello)
    floppy.write(b"MENU2   COM", b"\xf4")
    floppy.write(b"A       COM", b"\xf4" * 61440)
    for name in (b"README  TXT", b"LABEL   COM", b"FOLDER  COM", b"LONG    COM", b"GONE    COM", b"CO      MCO"):
        floppy.write(name, b"\xf4")
    floppy.set(b"LABEL   COM", attributes=LABEL)
    floppy.set(b"FOLDER  COM", attributes=DIRECTORY)
    floppy.set(b"LONG    COM", attributes=LONG_NAME)
    floppy.set(b"GONE    COM", name=b"\xe5ONE    COM")
    assert listed(boot(floppy)) == before + [("HELLO.COM", len(hello)), ("MENU2.COM", 1), ("A.COM", 61440)]


def test_a_long_list_moves_with_the_bar(boot, floppy):
    for n in range(30):
        floppy.write(b"P%02d     COM" % n, b"\xf4")
    machine = boot(floppy)
    names = [name for name, _ in listed(machine)]
    assert len(names) == ROWS
    press(machine, "end")
    names = [name for name, _ in listed(machine)]
    assert (names[-1], bar(machine)) == ("P29.COM", ROWS - 1)
    press(machine, "down", *["up"] * ROWS)
    assert (listed(machine)[0][0], bar(machine)) == ("P11.COM", 0)
    press(machine, "home")
    assert (listed(machine)[0], bar(machine)) == (shown(floppy)[0], 0)


def test_a_floppy_without_programs_says_so_and_enter_does_nothing(boot, floppy):
    for at in floppy.entries():
        if floppy.data[at + 8:at + 11] == b"COM" and floppy.data[at:at + 4] != b"MENU":
            floppy.data[at] = 0xe5
    machine = boot(floppy)
    assert listed(machine) == []
    assert "There is no program on this floppy but this menu." in rows(machine)[2]
    assert press(machine, "enter", "down", "1", "enter") is None
    assert listed(machine) == []


# ---- the choice

@pytest.mark.sample(3)
@pytest.mark.parametrize("keys, place", [
    (["enter"], 0),
    (["down", "enter"], 1),
    (["down", "up", "up", "enter"], 0),
    (["2", "enter"], 1),
    (["end", "home", "escape", "0", "keypad enter"], 0),
], ids=lambda keys: "-".join(keys) if isinstance(keys, list) else "")
def test_keys_choose_and_enter_starts(boot, floppy, keys, place):
    machine = boot(floppy)
    assert press(machine, *keys) == programs(floppy)[place]


def test_the_boot_sector_gets_the_machine_as_it_wants_it(boot, floppy):
    machine = boot(floppy)
    sector = machine.read(BOOT_SECTOR, 512)
    second = programs(floppy)[1]
    press(machine, "2")
    machine.write(SHIFTS, b"\x23")  # both Shift keys, Num Lock
    assert press(machine, "enter") == second
    values = machine.values()
    assert (values["cs"], values["eip"], values["edx"] & 0xff) == (0, BOOT_SECTOR, 0)
    assert not values["eflags"] & 0x200, "Shift would be noted again"
    assert machine.read(SHIFTS, 1) == b"\x20"
    at = NAME - BOOT_SECTOR
    now = machine.read(BOOT_SECTOR, 512)
    assert now[:at] + now[at + 11:] == sector[:at] + sector[at + 11:], "but for the name it is as it was"
    assert machine.read(0x449, 1) == b"\x03", "text mode"
    assert set(machine.read(0xb8000, 4000)[::2]) == {0x20}, "a clean screen"


@pytest.mark.parametrize("program, pattern", [
    (b"P_PROC  COM", "boot prog=p_proc"), (b"USERCTX COM", "boot prog=userctx"),
    (b"HELLOYOUCOM", "hello from=reader")], ids=["p_proc", "userctx", "a readers own"])
def test_what_is_chosen_runs(boot, floppy, hello, program, pattern):
    floppy.write(b"HELLOYOUCOM", hello)
    machine = boot(floppy)
    place = programs(floppy).index(program)
    assert press(machine, *["down"] * place, "enter") == program
    machine.go()
    machine.wait_log(pattern)
    boot_line, start_line, *_ = machine.log()
    assert boot_line == f"boot prog=menu base={BASE:08x} programs={len(programs(floppy))}"
    assert start_line == "start file=" + shown(floppy)[place][0]


# ---- where, and without what

def test_it_works_at_any_segment(floppy, tmp_path):
    segment = 0x5abc
    base = segment << 4
    with DebuggedQemu(floppy.save(tmp_path / "floppy.img")) as machine:
        machine.symbols = {**NAMED, "halt": 0}
        machine.run_to(ENTRY)
        machine.write(ENTRY, b"\xf4" * len(COM))
        machine.write(base + 0x100, COM)
        machine.set(cs=segment, ds=segment, es=segment, ss=segment)
        machine.run_to(base + NAMED["drawn"])
        assert listed(machine) == shown(floppy)
        assert press(machine, "2", "enter", base=base) == programs(floppy)[1]
        assert machine.log()[0].startswith(f"boot prog=menu base={base:08x} ")


def test_memory_and_registers_may_hold_anything(floppy, tmp_path):
    with DebuggedQemu(floppy.save(tmp_path / "floppy.img")) as machine:
        machine.symbols = {**NAMED, "halt": 0}
        machine.run_to(ENTRY)
        start = ENTRY + len(COM)
        machine.write(start, b"\xa5" * (BASE + 0xf800 - start))
        machine.set(eax=0xa5a5a5a5, ebx=0xa5a5a5a5, ecx=0xa5a5a5a5, esi=0xa5a5a5a5, edi=0xa5a5a5a5,
                    ebp=0xa5a5a5a5, fs=0xa5a5, gs=0xa5a5)
        machine.set(eflags=machine.values()["eflags"] | 0x400)
        machine.run_to("drawn")
        assert listed(machine) == shown(floppy)


def test_without_a_boot_sector_it_says_what_to_do(floppy, tmp_path):
    with DebuggedQemu(floppy.save(tmp_path / "floppy.img")) as machine:
        machine.symbols = {**NAMED, "halt": 0}
        machine.run_to(ENTRY)
        machine.write(BOOT_SECTOR, b"\xeb\x3c\x90MSDOS5.0".ljust(512, b"\0"))
        machine.go()
        machine.wait_screen("not booted from one of Ringpong's")
        machine.key("\n")
        machine.wait_exit()  # a key restarts the machine, which ends it here


def test_windows_may_have_written_its_own_name_into_the_boot_sector(boot, floppy):
    floppy.data[3:11] = b"\x29\xb5\x14\x5e\x0fIHC"
    assert listed(boot(floppy)) == shown(floppy)


def test_real_keys_choose_too(floppy, tmp_path):
    with machines.Qemu(floppy.save(tmp_path / "floppy.img")) as machine:
        machine.wait_log("boot prog=menu")
        machine.wait_screen("KSTACK.COM +[0-9]+ bytes")
        machine.key("down", "\n")
        machine.wait_log("boot prog=kstack")
        machine.wait_log("n=1 ")

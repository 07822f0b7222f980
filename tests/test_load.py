"""The program works wherever it is loaded and whatever it finds there."""

import random

import pytest

from ringside.emulators import machines
from ringside.emulators.debuggers import BASE, COM, COM_START, GENERAL, SYMBOLS, DebuggedBochs, DebuggedQemu

ENTRY = BASE + COM_START
BOOT_SECTOR = 0x7c00
MOTORS = 0x43f  # what the BIOS knows of them
FREE = 0x600  # a place that neither the BIOS nor the program uses
NT_AND_IOPL = 0x7000
DF = 0x400


@pytest.fixture
def entry():
    """The program is loaded and its first instruction is next."""
    with DebuggedQemu() as machine:
        machine.run_to(ENTRY)
        yield machine


def plays_on(machine, base=BASE):
    """From here on, the log is that of a program at this base, over 65536 switches."""
    machine.go()
    machine.wait_log("n=131072 ")
    boot, *switches = machine.log()
    places = " ".join(f"{name}={SYMBOLS[name]:08x}" for name in ("gdt", "idt", "tss"))
    assert boot == f"boot prog=p_proc base={base:08x} {places} version={machines.VERSION}"
    expected = [f"switch n=1 from=A to=B esp0={SYMBOLS['proc_b_end']:08x}"]
    expected += [f"switch n={1 << k} from=B to=A esp0={SYMBOLS['proc_a_end']:08x}" for k in range(1, 18)]
    assert switches[:18] == expected


# ---- where

@pytest.mark.parametrize("segment", [0x0812, 0x2345, 0x5abc], ids=hex)
def test_it_works_at_any_segment(entry, segment):
    base = segment << 4
    com = COM.read_bytes()
    entry.write(ENTRY, b"\xf4" * len(com))
    entry.write(base + COM_START, com)
    entry.set(cs=segment, ds=segment, es=segment, ss=segment)
    for letter in "ab":
        entry.run_to(base + SYMBOLS[f"proc_{letter}_int"])
        registers = entry.registers()
        assert registers["cs"].base == base + SYMBOLS[f"proc_{letter}_code"]
        assert registers["ds"].base == registers["ss"].base == base + SYMBOLS[f"proc_{letter}_data"]
        assert registers["gs"].base in (0xb8000 + 1 * 160, 0xb8000 + 19 * 160)
    plays_on(entry, base)


# ---- what it finds there

def test_flags_of_the_loader_reach_no_proc(entry):
    entry.set(eflags=NT_AND_IOPL | DF | 0x240ad7)
    for letter in "ab":
        entry.run_to(f"proc_{letter}_code")
        assert entry.values()["eflags"] == 0x202
    plays_on(entry)


def test_registers_of_the_loader_reach_no_proc(entry):
    values = random.Random(4)
    entry.set(**{name: values.getrandbits(32) for name in GENERAL}, fs=0xabcd, gs=0x1234)
    entry.set(esp=0xdead0000 | entry.values()["esp"])
    for letter in "ab":
        entry.run_to(f"proc_{letter}_code")
        found = entry.values()
        assert {name: found[name] for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert found["fs"] == 0
    plays_on(entry)


def test_memory_behind_the_file_may_hold_anything(entry):
    start = COM_START + COM.stat().st_size
    entry.write(BASE + start, random.Random(5).randbytes(0xf800 - start))
    plays_on(entry)


# ---- what earlier programs have left on

def test_a_breakpoint_that_a_debugger_has_left_armed_stops_no_one():
    """DR0 at the gate, DR7 with its global enable bit: in ring 0 the #DB would be a panic. In Bochs: QEMU 7.2 aborts."""
    place = 0xff00  # in the program's segment, unused
    at_the_gate = (BASE + SYMBOLS["gate"]).to_bytes(4, "little")
    arm = b"\x66\xb8" + at_the_gate + b"\x0f\x23\xc0"                               # mov $gate, %eax; mov %eax, %dr0
    arm += b"\x66\xb8" + (0x402).to_bytes(4, "little") + b"\x0f\x23\xf8"             # mov $0x402, %eax; mov %eax, %dr7
    arm += b"\xe9" + (COM_START - place - len(arm) - 3 & 0xffff).to_bytes(2, "little")  # jmp start
    with DebuggedBochs() as machine:
        machine.run_to(ENTRY)
        machine.write(BASE + place, arm)
        machine.set(eip=place)
        machine.run_to("gate")
        machine.go()
        machine.wait_log("switch n=2 ")
        assert not [line for line in machine.log() if line.startswith(("panic", "fault", "trap"))]


def test_a_bios_that_lets_interrupts_in_does_not_reach_lgdt(entry):
    """int 10h comes back with IF set, as some BIOSes do: from mov to cr0 on an interrupt would find no IDT."""
    hook = b"\x55\x89\xe5\x81\x4e\x06\x00\x02\x5d\xcf"  # push bp; mov sp, bp; orw $IF, 6(bp); pop bp; iret
    entry.write(FREE, hook)
    entry.write(0x10 * 4, FREE.to_bytes(4, "little"))
    entry.run_to("enter_protected_mode")
    code = entry.read(BASE + SYMBOLS["enter_protected_mode"], 0x200)
    entry.run_to(BASE + SYMBOLS["enter_protected_mode"] + code.index(b"\x66\x0f\x01\x16"))  # lgdtl
    assert not entry.values()["eflags"] & 0x200


def test_the_motor_of_the_floppy_is_off_when_the_game_has_begun(entry):
    """The BIOS' clock tick, which would have stopped it, no longer comes."""
    def control():
        return int(entry.hmp("i /b 0x3f2").split("=")[1], 0)

    entry.write(MOTORS, bytes([entry.read(MOTORS, 1)[0] | 1]))  # as older BIOSes have it
    assert control() & 0xf0
    entry.run_to("gate")
    assert entry.read(MOTORS, 1)[0] & 0x0f == 0
    assert not control() & 0xf0


# ---- address line 20

def a20(machine):
    return "A20=1" in machine.hmp("info registers")


CLOSE_BY_PORT_92 = ["o /b 0x92 0"]
CLOSE_BY_KEYBOARD = ["o /b 0x64 0xd1", "o /b 0x60 0xdd"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("machine, close, bios, keyboard", [
    pytest.param("pc", CLOSE_BY_PORT_92, True, True, id="by the BIOS"),
    pytest.param("pc", CLOSE_BY_PORT_92, False, True, id="by the keyboard controller"),
    pytest.param("pc", CLOSE_BY_PORT_92, False, False, id="by port 92"),
    pytest.param("isapc", CLOSE_BY_KEYBOARD, False, True, id="where there is no port 92"),
])
def test_a_closed_a20_is_opened(machine, close, bios, keyboard):
    with DebuggedQemu(machine=machine) as guest:
        guest.run_to(BOOT_SECTOR)
        for command in close:
            guest.hmp(command)
        if not bios:  # int 15h does nothing but return
            guest.write(FREE, b"\xcf")
            guest.write(0x15 * 4, FREE.to_bytes(4, "little"))
        guest.run_to(ENTRY)
        if not keyboard:  # the byte that would open it, out %al, $0x60, is not sent
            start, end = (BASE + SYMBOLS[name] for name in ("open_a20", "keyboard_ready"))
            code = guest.read(start, end - start)
            assert code.count(b"\xe6\x60") == 1
            guest.write(start, code.replace(b"\xe6\x60", b"\x90\x90"))
        assert not a20(guest)
        guest.run_to("proc_a_int")
        assert a20(guest)
        plays_on(guest)


def test_an_a20_that_stays_shut_is_said_on_the_screen(entry):
    """No machine at hand has one: the test of A20 is made to fail, each time."""
    while entry.run_to("test_a20", "stop_in_real_mode") == "test_a20":
        registers = entry.registers()
        back = entry.word(registers["ss"].base + registers["esp"], size=2)
        entry.set(eip=back, esp=registers["esp"] + 2, eflags=registers["eflags"] | 1)
    entry.go()
    entry.wait_screen("cannot open address line A20")
    assert not entry.log()
    entry.key("ret")
    entry.wait_exit()  # the restart; machines.Qemu does not let it


# ---- protected mode is on already

def pretend_protected_mode(machine):
    machine.run_to("enter_protected_mode")
    for _ in range(4):
        registers = machine.registers()
        instruction = machine.read(registers["cs"].base + registers["eip"], 3)
        machine.step()
        if instruction == bytes.fromhex("0f01e0"):  # smsw %ax
            machine.set(eax=machine.values()["eax"] | 1)
            return
    raise AssertionError("no smsw at the start of enter_protected_mode")


def test_a_cpu_in_protected_mode_is_refused(entry):
    pretend_protected_mode(entry)
    entry.go()
    entry.wait_screen("the CPU is there already:")
    entry.wait_screen("Start without it, or boot the floppy")
    assert not entry.log()
    entry.key("ret")
    entry.wait_exit()


def test_under_dos_it_ends_as_a_dos_program(entry):
    entry.write(BASE, b"\xcd\x20")
    entry.write(FREE, b"\xeb\xfe")
    entry.write(0x20 * 4, FREE.to_bytes(4, "little"))
    pretend_protected_mode(entry)
    entry.run_to(FREE)
    assert "the CPU is there already" in "".join(entry.screen())
    assert not entry.log()

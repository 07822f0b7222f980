"""A proc's exception ends that proc and says why; ring 0's own ends the game and says all it knows.

What the exceptions themselves are, one by one: test_attacks.py.
"""

import re

from ringside.emulators import machines, versions
import pytest
from ringside.emulators.debuggers import (BASE, BOTH, GENERAL, NAMES, SEGMENTS, SYMBOLS, DebuggedBochs, count, knowing,
                                          linear, patched)

UD2 = b"\x0f\x0b"
LOOP = b"\xeb\xfe"
ROW = 160
RING0_DATA, TSS = 0x10, 0x18
LDT_OF_PROC = 12  # in struct proc
SS0 = 8           # in the TSS
ESP0 = 4
RF = 0x10000      # QEMU 7.2 leaves it to the guest
STACK_WORDS = 24  # in the report

EMULATORS = pytest.mark.parametrize("emulator", BOTH, ids=NAMES)


def with_code(tmp_path, **codes):
    """The floppy with other code for procs: a=..., b=..."""
    return patched(tmp_path / "floppy.img", {SYMBOLS[f"proc_{letter}_code"]: code for letter, code in codes.items()})


def screen(machine):
    text = machine.read(0xb8000, 4000)[::2].decode("cp437")
    return [text[start:start + 80] for start in range(0, 2000, 80)]


def without_switches(machine):
    return [line for line in machine.log() if not line.startswith(("boot", "switch"))]


def fault_line(letter, cs, ss, bytes_):
    return (f'fault proc={letter} vector=06 name=#UD error=none means="" cs:eip={cs:04x}:00000000 '
            f'ss:esp={ss:04x}:00000100 bytes="{bytes_}')


# ---- a proc's

@EMULATORS
def test_proc_a_plays_on_when_b_has_ended(tmp_path, emulator):
    with emulator(with_code(tmp_path, b=UD2)) as machine:
        machine.run_to("report_end")
        for _ in range(3):
            machine.run_to("proc_a_int")
        fault, end = without_switches(machine)
        assert fault.startswith(fault_line("B", 0x1f, 0x27, "0f 0b "))
        assert end == "end proc=B alive=A"
        before = count(machine.values())
        machine.run_to("proc_a_int")
        assert count(machine.values()) == before + 1
        rows = screen(machine)
        assert "ended by #UD, invalid opcode" in rows[21]
        assert "ended" not in rows[3]
        panel = [(row[:40], row[40:]) for row in rows[6:18]]
        assert "frame of A" in panel[0][0]
        assert "proc B has ended" in panel[0][1]
        assert "cs:eip 001f:00000000" in panel[3][1]
        machine.go()
        machine.wait_log("switch n=65536 from=A to=A ")
        machine.halt()
        assert len(without_switches(machine)) == 2


@EMULATORS
def test_with_no_proc_left_the_machine_says_so_and_halts(tmp_path, emulator):
    with emulator(with_code(tmp_path, a=UD2, b=UD2)) as machine:
        machine.run_to("look_while_halted")
        machine.run_to("sleep")
        fault_a, end_a, fault_b, end_b, halt = without_switches(machine)
        assert fault_a.startswith(fault_line("A", 0x07, 0x0f, "0f 0b "))
        assert fault_b.startswith(fault_line("B", 0x1f, 0x27, "0f 0b "))
        assert (end_a, end_b) == ("end proc=A alive=B", "end proc=B alive=none")
        assert halt == 'halt reason="no proc is left"'
        rows = screen(machine)
        assert "No proc is left." in "\n".join(rows)
        assert "ended by #UD" in rows[3]
        assert "ended by #UD" in rows[21]


# What each of the six mistakes is: vector, error code, where in its eight bytes.
MISTAKES = ["00 none 2", "0d 0000 0", "0d 010a 2", "0d 0010 5", "07 none 0", "20 none 0"]


def test_keys_1_to_6_make_proc_a_err_and_r_starts_it_anew(qemu):
    qemu.wait_log("switch n=1 ")
    qemu.key("f")
    seen = 0
    for key, mistake in enumerate(MISTAKES, 1):
        vector, error, offset = mistake.split()
        place = SYMBOLS["proc_a_mistakes"] - SYMBOLS["proc_a_code"] + 8 * (key - 1) + int(offset)
        qemu.key(str(key))
        qemu.wait_log("end proc=A alive=B", since=seen)
        qemu.wait_screen("proc A has ended")
        seen = len(qemu.log())
        fault = machines.fields([line for line in qemu.log() if line.startswith("fault")][-1])
        assert (fault["vector"], fault["error"]) == (vector, error), key
        assert fault["cs:eip"] == f"0007:{place:08x}", key
    qemu.key("r")
    qemu.wait_screen("frame of A")
    assert "ended" not in qemu.screen()[3]
    qemu.wait_screen(r"proc A, ring 3.*\n.*count +[1-9]")


def test_the_alarm_goes_off_after_about_a_second(tmp_path):
    with DebuggedBochs(with_code(tmp_path, a=LOOP)) as machine:
        times = []
        for place in ("proc_a_code", "report_end"):
            machine.run_to(place)
            times.append(int(re.findall(r"^Next at t=(\d+)", machine.text, re.M)[-1]))
        seconds = (times[1] - times[0]) / 1e6  # a microsecond is one instruction
        assert 0.8 < seconds < 1.2


# ---- ring 0's own

def panic_line(machine):
    machine.run_to("halt")
    panic, stack = without_switches(machine)
    assert panic.startswith("panic ")
    assert stack.startswith("stack ")
    return machines.fields(panic), machines.fields(stack)["words"].split()


@EMULATORS
def test_ring_0s_own_fault_is_told_with_all_registers_and_the_stack(emulator):
    with emulator() as machine:
        machine.run_to("proc_a_int")
        machine.write(linear("switches_left"), (9).to_bytes(4, "little"))  # by the usual path
        machine.write(linear("proc_b_end") + LDT_OF_PROC, RING0_DATA.to_bytes(2, "little"))
        machine.run_to("switch_to_next")
        back = int.from_bytes(machine.read(machines.BASE + machine.values()["esp"], 4), "little")
        machine.run_to(machines.BASE + back)  # lldt
        marks = {name: 0x1234567 * number for number, name in enumerate(GENERAL, 1) if name != "eax"}
        machine.set(**marks)
        before = machine.values()
        stack = machine.read(machines.BASE + before["esp"], 4 * STACK_WORDS)
        words = [stack[i:i + 4][::-1].hex() for i in range(0, len(stack), 4)]
        found, shown = panic_line(machine)

        assert (found["vector"], found["name"], found["error"]) == ("0d", "#GP", "0010")
        assert found["means"] == "GDT 0x10 (RING0_DATA)"
        assert found["cs:eip"] == f"0008:{back:08x}"
        assert found["ss:esp"] == f"0010:{before['esp']:08x}"
        for name in GENERAL:
            assert found[name] == f"{before[name]:08x}", name
        for name in set(SEGMENTS) - {"cs", "ss"}:
            assert found[name] == f"{before[name]:04x}", name
        assert int(found["eflags"], 16) & ~RF == before["eflags"] & ~RF
        assert shown == words[:len(shown)]
        assert shown

        text = "\n".join(screen(machine))
        assert "Ring 0 itself has failed. The machine stops here." in text
        assert "#GP, vector 0x0d: general protection" in text
        assert "error 0010: GDT 0x10 (RING0_DATA)" in text
        for name in GENERAL:
            assert f"{name} {found[name]}" in text
        assert f"cs:eip {found['cs:eip']}" in text
        for start in range(0, len(shown), 8):
            assert " ".join(shown[start:start + 8]) in text


@pytest.mark.parametrize("emulator, offset, value", [
    (DebuggedBochs, SS0, TSS), (DebuggedBochs, SS0, 0), (DebuggedBochs, ESP0, 0x20000), (DebuggedBochs, ESP0, 8),
    (BOTH[0], SS0, TSS)],
    ids=["bochs-ss0 no stack", "bochs-ss0 null", "bochs-esp0 beyond", "bochs-esp0 without room", "qemu-ss0 no stack"])
def test_without_a_stack_for_ring_0_there_is_a_report_and_no_reboot(emulator, offset, value):
    """QEMU does not check where esp0 is, so there it is the ss0 only."""
    with emulator() as machine:
        machine.run_to("proc_a_int")
        before = machine.values()
        machine.write(linear("tss") + offset, value.to_bytes(4, "little"))
        found, words = panic_line(machine)
        assert (found["vector"], found["name"], found["error"]) == ("08", "#DF", "0000")
        assert found["cs:eip"] == f"0007:{before['eip']:08x}"
        assert found["ss:esp"] == f"000f:{before['esp']:08x}"
        for name in GENERAL:
            assert found[name] == f"{before[name]:08x}", name
        assert words == [], "it is not ring 0's stack"
        text = "\n".join(screen(machine))
        assert "#DF, vector 0x08: double fault" in text
        assert "reboot" not in text
        assert len([line for line in machine.log() if line.startswith("boot")]) == 1


# ---- virtual-8086 mode, where cs has no RPL

PROGRAMS = ("p_proc", "kstack", "userctx", "timer", "callgate", "hwtask", "hwjump")
VM = 0x20000
UNUSED = 0xffe0     # in the program's 64 KiB
PIC_1_DATA = 0x21
INTO_V86 = (0, 0, 0, 0, BASE >> 4, UNUSED, VM | 0x202, BASE >> 4, UNUSED)   # gs fs ds es ss esp eflags cs eip


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_proc_that_asks_for_virtual_8086_mode_ends_and_the_other_plays_on(program, tmp_path):
    """Older QEMUs' iret sets VM in any ring. cs is 1000 there: a proc's exception must not pass for ring 0's own."""
    v86 = versions.holds("qemu-iret-sets-vm")
    qemu, _ = knowing(program)
    with qemu(machines.floppy_that_starts(program, tmp_path / "floppy.img")) as machine:
        code = next(name for name in ("proc_a_code", "thread_code") if name in machine.symbols)
        machine.run_to(code)
        iret = b"".join(b"\x68" + word.to_bytes(4, "little") for word in INTO_V86) + b"\xcf"
        before = machine.read(machine.linear(code), len(iret))
        machine.write(machine.linear(code), iret)
        machine.write(BASE + UNUSED, b"\xf4")  # hlt
        machine.hmp(f"o /b {PIC_1_DATA:#x} 0xff")  # no alarm, no tick: the hlt comes first
        for _ in INTO_V86 + ("iret",):
            machine.step()
        assert bool(machine.values()["eflags"] & VM) == v86
        machine.write(machine.linear(code), before)  # KSTACK's threads share it
        machine.go()
        machine.wait_log("end proc=A alive=B")
        fault = without_switches(machine)[0]
        error = 0 if v86 else BASE >> 4     # else the CPU takes cs for a selector
        assert fault.startswith(f"fault proc=A vector=0d name=#GP error={error:04x} ")
        place = f"cs:eip={BASE >> 4:04x}:{UNUSED:08x} ss:esp={BASE >> 4:04x}:{UNUSED:08x}"
        assert (place in fault) == v86
        machine.wait_log("switch n=.* from=B to=B")
        assert not [line for line in machine.log() if line.startswith(("panic", "halt"))]


def test_the_report_of_a_broken_stack_segment_names_what_it_can(tmp_path):
    """HWTASK: a failed task switch leaves ss half loaded in QEMU; the report is read by ss and ds alike."""
    qemu, _ = knowing("hwtask")
    with qemu(machines.floppy_that_starts("hwtask", tmp_path / "floppy.img")) as machine:
        machine.run_to("proc_a_code")
        ldt = machine.word("proc_a_tss", 96, 2)
        machine.write(machine.linear("proc_b_tss") + 96, ldt.to_bytes(2, "little"))
        machine.go()
        if versions.holds("qemu-lost-after-a-failed-switch"):
            with pytest.raises(machines.Missing):
                machine.wait_log("^(panic|fault) ", timeout=3)
            return
        machine.wait_log("^(panic|fault) ")
        text = [line for line in machine.log() if line.startswith(("panic", "fault"))][0]
        assert re.search(r" name=(#?[A-Z0-9]+|unknown) ", text) and text.isascii()

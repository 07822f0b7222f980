"""A proc gets back all of its registers, and nothing of any other's.

On the floppy that ships, our own code replaces the two procs: it executes int 0x30 for
ever, and a debugger plays the rest of their part. It gives them random values, and
compares these when they come back.
"""

import random

import pytest
from ringside.emulators.debuggers import GENERAL, NAMES, SEGMENTS, SYMBOLS, DebuggedBochs, DebuggedQemu, patched

INT, BACK = 0, 2  # offsets in our proc
PLAYER = bytes.fromhex("cd30 ebfc")  # int $0x30; jmp back to it
# Single instructions behind it, for the debugger to start: selectors come from eax.
TOOLS = {"ds": "8ed8", "es": "8ec0", "fs": "8ee0", "gs": "8ee8", "popf": "9d", "ud2": "0f0b"}
TOOL_PLACES = {name: len(PLAYER) + 2 * i for i, name in enumerate(TOOLS)}
PLAYER += b"".join(bytes.fromhex(code).ljust(2, b"\x90") for code in TOOLS.values())

# What ring 3 can set and nothing punishes at once: CF PF AF ZF SF DF OF NT AC ID.
FLAGS = 0x001 | 0x004 | 0x010 | 0x040 | 0x080 | 0x400 | 0x800 | 0x4000 | 0x40000 | 0x200000
ALWAYS = 0x202  # and IF, which ring 3 cannot change
DF = 0x400
# Null, own code, own data, own window. (iret turns the other nulls, 1-3, into 0.)
SELECTORS = {"a": (0, 0x07, 0x0f, 0x17), "b": (0, 0x1f, 0x27, 0x2f)}

EMULATORS = pytest.mark.parametrize("emulator, rounds", [(DebuggedQemu, 300), (DebuggedBochs, 120)], ids=NAMES)


@pytest.fixture
def floppy(tmp_path):
    places = [SYMBOLS["proc_a_code"], SYMBOLS["proc_b_code"]]
    return patched(tmp_path / "floppy.img", dict.fromkeys(places, PLAYER))


def use(machine, tool):
    """Lets the running proc execute one of its tools."""
    machine.set(eip=TOOL_PLACES[tool])
    machine.step()
    machine.set(eip=INT)


def set_selector(machine, register, selector):
    eax = machine.values()["eax"]
    machine.set(eax=selector)
    use(machine, register)
    machine.set(eax=eax)


def set_flags(machine, flags):
    registers = machine.registers()
    esp = registers["esp"] - 4
    machine.write(registers["ss"].base + esp, flags.to_bytes(4, "little"))
    machine.set(esp=esp)
    use(machine, "popf")


def turn_of(machine, letter):
    """To the moment in which a proc has come back from ring 0."""
    machine.run_to(machine.linear(f"proc_{letter}_code") + BACK)


def back_at_int(machine):
    """What a proc will have in its registers when it comes back from its next int."""
    machine.set(eip=INT)
    return machine.registers() | {"eip": BACK}


def differences(found, expected, stray_flags=0):
    """Registers that are not as they were; a null selector's base and limit do not count."""
    found = {**found, "eflags": found["eflags"] & ~stray_flags}
    expected = {**expected, "eflags": expected["eflags"] & ~stray_flags}

    def visible(registers, name):
        value = registers[name]
        return value if name not in SEGMENTS else value[:3] if value.selector else value.selector
    return {name: (visible(found, name), visible(expected, name))
            for name in (*GENERAL, "esp", "eip", "eflags", *SEGMENTS)
            if visible(found, name) != visible(expected, name)}


def start(machine):
    """Both procs have had a turn. What each had in its registers then."""
    before = {}
    for letter in "ab":
        turn_of(machine, letter)
        before[letter] = back_at_int(machine)
    return before


@pytest.mark.sample(2)
@EMULATORS
def test_general_registers_and_flags_come_back_and_show_nothing_of_the_other_proc(
        floppy, emulator, rounds):
    values = random.Random(2)
    with emulator(floppy) as machine:
        before = start(machine)
        for n in range(rounds):
            for letter in "ab":
                turn_of(machine, letter)
                assert not differences(machine.registers(), before[letter], machine.stray_flags), f"{letter}, round {n}"
                flags = values.getrandbits(22) & FLAGS | ALWAYS
                set_flags(machine, flags)
                machine.set(**{name: values.getrandbits(32) for name in GENERAL})
                before[letter] = back_at_int(machine)
                assert before[letter]["eflags"] == flags


@EMULATORS
def test_segment_registers_come_back_whatever_selector_they_hold(floppy, emulator, rounds):
    values = random.Random(3)
    with emulator(floppy) as machine:
        before = start(machine)
        for n in range(rounds // 5):
            for letter in "ab":
                turn_of(machine, letter)
                assert not differences(machine.registers(), before[letter], machine.stray_flags), f"{letter}, round {n}"
                for register in ("ds", "es", "fs", "gs"):
                    selector = values.choice(SELECTORS[letter])
                    set_selector(machine, register, selector)
                    assert machine.values()[register] == selector
                before[letter] = back_at_int(machine)


@EMULATORS
def test_c_never_sees_a_procs_direction_flag(floppy, emulator, rounds):
    with emulator(floppy) as machine:
        start(machine)
        for letter in "ab":
            turn_of(machine, letter)
            set_flags(machine, ALWAYS | DF)
            assert machine.values()["eflags"] & DF
            machine.run_to("switch_to_next")
            assert not machine.values()["eflags"] & DF
        turn_of(machine, "a")
        machine.set(eip=TOOL_PLACES["ud2"])
        machine.run_to("fault")
        assert not machine.values()["eflags"] & DF

"""Breakpoints of the debug registers, as model.py has all else: Intel's manual (SDM), vol. 3B, 17.2 and 17.3.1.

A recording has no debug registers. They are known once mov has written them (judge.py): dr0 to dr3, dr6, dr7;
and then DR6 by what has happened since. That one has been met by an access
shows in the accesses of a recording, and the #DB is a step of its own there (Bochs: see TRAP_LATE).
Not modelled: breakpoints at ports.
"""

from collections.abc import Iterable
import re

from ringside.judge.account import Account
from ringside.judge.cpu import Cpu
from ringside.judge.decode import Instruction
from ringside.judge.facts import DB, Fault, GP, RF, Stuck
from ringside.judge.states import Values
from ringside.recorder.recording import State, Step

# 17.2.4: what an address is a breakpoint for, and its length, in DR7.
EXECUTED, WRITTEN, ACCESSED = 0, 1, 3
LENGTHS = (1, 2, 8, 4)
ARMED = 0xFF        # DR7: L0, G0 to L3, G3
GD = 1 << 13        # DR7: no access to debug registers
B_ALL, BD, BS, BT = 15, 1 << 13, 1 << 14, 1 << 15       # DR6, 17.2.3: B0 to B3, and other reasons
ADDRESSES = ("dr0", "dr1", "dr2", "dr3")
KNOWN = (*ADDRESSES, "dr6", "dr7")
WRITES = re.compile(r"mov %(e..),%db([0-367])$")


def written(step: Step, before: State, after: State) -> Values:
    """What a mov in ring 0 has told of a debug register. One that is refused is no step to the next instruction."""
    found = WRITES.match(step["text"])
    goes_on = found and after["eip"] == before["eip"] + len(step["bytes"]) // 2
    return {f"dr{found[2]}": before[found[1]]} if found and goes_on and before["cpl"] == 0 else {}


def hits(values: Values, linear: int, size: int, kinds: Iterable[int]) -> int:
    """B0 to B3: which of the registers name these bytes, for something of these kinds."""
    control, found = values.get("dr7", 0), 0
    for number, name in enumerate(ADDRESSES):
        if control >> 2 * number & 3 and control >> 16 + 4 * number & 3 in kinds and name in values:
            length = LENGTHS[control >> 18 + 4 * number & 3]
            start = values[name] & -length
            found |= (linear < start + length and start < linear + size) << number
    return found


def asked(cpu: Account, linear: int, size: int, kinds: Iterable[int]) -> int:
    """The same; the model relies on the bits that alone make the difference."""
    found = hits(cpu.before, linear, size, kinds)
    for field in KNOWN:
        if field in cpu.before and field != "dr6":
            for bit in range(32):
                if bool(hits({**cpu.before, field: cpu.before[field] ^ 1 << bit}, linear, size, kinds)) != bool(found):
                    cpu.rely(field, 1 << bit)
    return found


def met(values: Values, place: int, previous: Step | None) -> bool:
    """Whether the instruction at a linear address meets one, or follows one that has: cheaply."""
    if not values.get("dr7", 0) & ARMED:
        return False
    return bool(hits(values, place & 0xFFFFFFFF, 1, (EXECUTED,)) or behind(values, previous))


def note(cpu: Account, why: int) -> None:
    """17.2.3: DR6 says why there is a #DB, and may forget B0 to B3 of the one before; 17.2.4: GD is clear in its handler."""
    for field, value in (("dr6", cpu.before.get("dr6", 0) & ~B_ALL | why), ("dr7", cpu.before.get("dr7", 0) & ~GD)):
        if field in cpu.before:
            cpu.debug[field] = value
            cpu.unspecified[field] = 0xFFFFFFFF     # until mov reads it


def at_instruction(cpu: Cpu) -> None:
    """17.3.1.1: before all else. RF stays as it is in the eflags pushed, which is no other fault's way."""
    if "dr7" not in cpu.before:
        return
    found = asked(cpu, cpu.before["cs.base"] + cpu.before["eip"] & 0xFFFFFFFF, 1, (EXECUTED,))
    if not found:
        return
    if cpu.get("eflags", RF):
        cpu.need("breakpoint-instruction", True, Fault(DB), "RF = 1")
        return
    cpu.why_debug = found
    cpu.need("breakpoint-instruction", False, Fault(DB))


def behind(values: Values, step: Step | None) -> int:
    """17.3.1.2: B0 to B3, if the step before has read or written what a register names, as its accesses tell."""
    found = 0
    for kind, linear, size, _ in (step or {}).get("accesses") or ():
        found |= hits(values, linear, size, (WRITTEN, ACCESSED) if kind == "write" else (ACCESSED,))
    return found


def debug_register(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, MOV, debug registers."""
    cpu.need("privileged", cpu.cpl == 0, Fault(GP, 0), f"CPL {cpu.cpl}")
    if "dr7" in cpu.before:
        free = not cpu.get("dr7", GD)
        cpu.why_debug = 0 if free else BD
        cpu.need("breakpoint-access", free, Fault(DB), "GD = 0")
    name, general = str(code.register), code.source
    if name not in cpu.before or general is None:
        raise Stuck()
    if code.name == "write debug":
        cpu.set(name, cpu.get(general), "debug-register")
    elif name == "dr6":
        bits = cpu.before[name] & B_ALL | BD | BS
        cpu.rely(name, BD | BS)
        cpu.set(general, cpu.before[name], "debug-status", bits)
        cpu.unspecified[general] = 0xFFFFFFFF & ~bits
    elif name == "dr7":
        raise Stuck()
    else:
        cpu.set(general, cpu.get(name), "debug-register")
    cpu.set("eip", after, "eip")
    cpu.kind = f"mov {'to' if code.name == 'write debug' else 'from'} %{name}"

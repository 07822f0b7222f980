"""What a proc may not do: the same for every program whose procs are in ring 3.

    attacked(program, attack, path)    the floppy that starts the program; A attacks
    ended(machine, attack)             waits until A has ended for it, and B plays on
"""

import collections

import machines
import pytest
from debuggers import patched

Attack = collections.namedtuple("Attack", "name code vector error eip unseen_by_qemu")

LIMITS, TYPES, NULL = "segment limits", "what a segment may be used for", "null selectors"
DATA_BYTES, WINDOW_BYTES = 256, 640


def _attack(name, code, vector, error=0, eip=0, unseen_by_qemu=None):
    return Attack(name, bytes.fromhex(code), vector, error, eip, unseen_by_qemu)


ATTACKS = [
    _attack("div by 0", "f7 f1", "00 #DE"),
    _attack("ud2", "0f 0b", "06 #UD"),
    _attack("fninit", "db e3", "07 #NM"),
    _attack("cli", "fa", "0d #GP"),
    _attack("hlt", "f4", "0d #GP"),
    _attack("in", "e4 64", "0d #GP"),
    _attack("mov cr0", "0f 22 c0", "0d #GP"),
    _attack("int 8", "cd 08", "0d #GP", 0x08 * 8 + 2),
    _attack("int 0x20", "cd 20", "0d #GP", 0x20 * 8 + 2),
    _attack("int 0x31", "cd 31", "0d #GP", 0x31 * 8 + 2),
    _attack("ds: ring 0's data", "6a 10 1f", "0d #GP", 0x10, eip=2),
    _attack("ss: ring 0's data", "6a 10 17", "0d #GP", 0x10, eip=2),
    _attack("es: B's data", "6a 27 07", "0d #GP", 0x24, eip=2),
    _attack("es: B's window", "6a 2f 07", "0d #GP", 0x2c, eip=2),
    _attack("lcall to B's code", "9a 00 00 00 00 1f 00", "0d #GP", 0x1c),
    _attack("lcall to ring 0", "9a 00 00 00 00 08 00", "0d #GP", 0x08),
    _attack("lcall to the TSS", "9a 00 00 00 00 18 00", "0d #GP", 0x18),
    _attack("ljmp to #DF's task", "ea 00 00 00 00 20 00", "0d #GP", 0x20),
    _attack("iret with NT set", "68 00 40 00 00 9d cf", "0a #TS", eip=6),
    _attack("read behind own data", "a0 00 01 00 00", "0d #GP", unseen_by_qemu=LIMITS),
    _attack("read behind own window", "65 a0 80 02 00 00", "0d #GP", unseen_by_qemu=LIMITS),
    _attack("push above own stack", "83 c4 04 6a 00", "0c #SS", eip=3, unseen_by_qemu=LIMITS),
    _attack("write own code", "2e 80 0d 00 00 00 00 00", "0d #GP", unseen_by_qemu=TYPES),
    _attack("read through null", "64 a0 00 00 00 00", "0d #GP", unseen_by_qemu=NULL),
]


def attacked(program, attack, path):
    symbols = machines.symbols(machines.BUILD / f"{program}.elf")
    patched(path, {symbols["proc_a_code"]: attack.code + b"\xeb\xfe"}, program)  # jmp .
    return machines.booting(program, path, path)


def ended(machine, attack):
    number, name = attack.vector.split()
    if attack.unseen_by_qemu and "Qemu" in type(machine).__name__:
        pytest.xfail(f"QEMU's TCG does not check {attack.unseen_by_qemu}")
    machine.wait_log("^end ")
    fault, end = [line for line in machine.log() if line.startswith(("fault", "end"))][:2]
    found = machines.fields(fault)
    assert (found["proc"], found["vector"], found["name"]) == ("A", number, name)
    assert (found["error"], found["cs:eip"]) == (f"{attack.error:04x}", f"0007:{attack.eip:08x}")
    assert end == "end proc=A alive=B"
    machine.wait_log("^switch n=16 from=B to=B ")

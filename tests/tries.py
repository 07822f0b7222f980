"""What a proc may not do: the same for every program whose procs are in ring 3.

    floppy("timer", path)                 for the emulator to boot
    judged(machine, seen_by(emulator))    what the log says of each, in one run
    expected(attack)                      what it must say

QEMU's TCG does not check segment limits, write access and null selectors: those attacks
are left to Bochs.
"""

import collections

import machines
from debuggers import patched

Attack = collections.namedtuple("Attack", "name code vector error eip unseen_by_qemu")

LIMITS, TYPES, NULL = "segment limits", "what a segment may be used for", "null selectors"


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


AT_A_LOOK = "pace_wants_picture"  # ring 0's C, at each switch that is looked at
PACE = 5                           # 32 switches a second: each is looked at


def _restart(machine):
    """Ring 0 does what it does at the key r: a call from here, and back."""
    machine.run_to(AT_A_LOOK)
    values, registers = machine.values(), machine.registers()
    esp = values["esp"] - 4
    machine.write(registers["ss"].base + esp, values["eip"].to_bytes(4, "little"))
    machine.set(esp=esp, eip=machine.symbols["procs_restart"])


# What proc A is replaced by: it jumps where the second word of its data says, and there
# the attacks stand, one behind the other. (Bochs would not notice code that is changed
# under way.)
WHERE = 8
JUMP = bytes([0xff, 0x25, WHERE, 0, 0, 0])
FOREVER = b"\xeb\xfe"


def _places():
    place, places = len(JUMP), {}
    for attack in ATTACKS:
        places[attack.name] = place
        place += len(attack.code) + len(FOREVER)
    return places


PLACES = _places()


def floppy(program, path):
    """The floppy that starts a program whose proc A can do all this."""
    symbols = machines.symbols(machines.BUILD / f"{program}.elf")
    code = JUMP + b"".join(attack.code + FOREVER for attack in ATTACKS)
    assert len(code) <= symbols["proc_a_code_bytes"]
    return patched(path, {symbols["proc_a_code"]: code}, program)


def judged(machine, attacks):
    """Attack after attack by proc A, B playing all the while. Gives {name: what the log
    has said}."""
    machine.run_to(machine.linear("proc_a_code"))
    machine.write(machine.linear("pace"), bytes([PACE]))
    machine.write(machine.linear("by_hand"), b"\1")
    found = {}
    for attack in attacks:
        if found:
            _restart(machine)
            machine.run_to(AT_A_LOOK)  # back, and A has not run yet
        machine.write(machine.linear("proc_a_data") + WHERE, PLACES[attack.name].to_bytes(4, "little"))
        for _ in range(6):
            machine.run_to(AT_A_LOOK)
            if len(ends := _ends(machine)) > len(found):
                break
        found[attack.name] = ends[-1] if len(ends) > len(found) else "nothing has ended"
    for _ in range(3):
        machine.run_to(AT_A_LOOK)
    return found


def _ends(machine):
    lines = [line for line in machine.log() if line.startswith(("fault", "end"))]
    return [_summary(*lines[i:i + 2]) for i in range(0, len(lines) - 1, 2)]


def _summary(fault, end):
    found = machines.fields(fault)
    return " ".join([*(found[key] for key in ("proc", "vector", "name", "error", "cs:eip")), end])


def expected(attack):
    return f"A {attack.vector} {attack.error:04x} 0007:{PLACES[attack.name] + attack.eip:08x} end proc=A alive=B"


def seen_by(emulator):
    """The attacks that an emulator knows to be some."""
    return [attack for attack in ATTACKS if not (attack.unseen_by_qemu and emulator.__name__ == "Qemu")]

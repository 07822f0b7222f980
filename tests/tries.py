"""The attacks of lab/attacks.py in programs that are not P_PROC: does the log say of each
what it must, and does B play on?

    tried("timer", emulator, path)    [(attack, what the log has said, what it must say)]

All attacks of the table but those that change P_PROC's frames. Their code lies in memory
that no program uses. While A is out, a debugger points A's code segment at the next one
and lets ring 0 do what it does at the key r.
"""

import machines
import programs
from attacks import EXCEPTIONS, assembled, layout, stride, table

P_PROC = programs.named("p_proc")  # whose procs these programs have, too
CODE_BYTES, STRIDE = layout(P_PROC)["CODE_BYTES"], stride(P_PROC)
CODES_AT = 0x200000
A_CODE_ACCESS, SEGMENT_32BIT = 0xfb, 0x40
AT_A_LOOK = "pace_wants_picture"  # ring 0's C, at each switch that is looked at
PACE = 5                           # 32 switches a second: each is looked at
DIVIDES_BY_ZERO = 2                # a proc is asked for its first mistake
ALARM = 0x20
SAMPLE = {"bochs": 1, "qemu": 8}   # QEMU tries every eighth: that is enough for a second opinion
# A task whose eip is beyond its code has #GP: so in QEMU, too, but with the eip of the task before.
OTHERWISE = {("int 0x30 as the last instruction", "hwtask", "qemu")}
TURNS = 12                         # more than any attack wants


def known(program, emulator):
    """What can be tried: in TIMER nobody yields, and nobody is ended for that."""
    for attack in table(P_PROC):
        expected = attack.on(emulator)
        alone = attack.made or attack.bent or attack.harmful and emulator == "qemu"
        yields = "int $0x30" in attack.code or expected.vector == ALARM
        if not alone and not (program == "timer" and yields) and (attack.name, program, emulator) not in OTHERWISE:
            yield attack


def _end(lines, program):
    """What a fault's line and the one behind it say, but for what differs by program: a
    task that cannot go on has its exception in ring 3, where P_PROC's iret has it."""
    fault, end = (machines.fields(line) for line in lines)
    restoring = "while" in fault and program != "hwtask"
    return " ".join([fault["proc"], fault["vector"], fault["name"], fault["error"], fault["cs:eip"],
                     *["restoring"] * restoring, "alive=" + end["alive"]])


def _expected(attack, code, emulator, program, said):
    expected = attack.on(emulator)
    at = code.eip(expected.at)
    eip = said.split()[4] if at is None and len(said.split()) > 4 else f"0007:{at or 0:08x}"
    restoring = expected.restoring and program != "hwtask"
    return " ".join(["A", f"{expected.vector:02x}", EXCEPTIONS[expected.vector][0], f"{expected.error:04x}", eip,
                     *["restoring"] * restoring, "alive=B"])


def _restart(machine):
    """The game stands at a look. Ring 0 does what it does at the key r: a call, and back."""
    values, registers = machine.values(), machine.registers()
    esp = values["esp"] - 4
    machine.write(registers["ss"].base + esp, values["eip"].to_bytes(4, "little"))
    machine.set(esp=esp, eip=machine.symbols["procs_restart"])
    machine.run_to(AT_A_LOOK)


def _boot(emulator, image, codes):
    if emulator.__name__ == "Qemu":
        return emulator(image, extra=("-device", f"loader,file={codes},addr={CODES_AT:#x},force-raw=on"))
    return emulator(image, options=(f"optramimage1: file={codes}, address={CODES_AT:#x}",))


def tried(program, emulator, path):
    attacks = list(known(program, emulator.__name__.lower()))[::SAMPLE[emulator.__name__.lower()]]
    codes = assembled(P_PROC, attacks)
    (path / "codes").write_bytes(b"".join(code.data for code in codes))
    image = machines.floppy_that_starts(program, path / "floppy.img")
    results = []
    with _boot(emulator, image, path / "codes") as machine:
        machine.run_to(machine.linear("proc_a_code"))
        machine.write(machine.linear("pace"), bytes([PACE]))
        machine.write(machine.linear("by_hand"), b"\1")
        machine.write(machine.linear("proc_a_data"), DIVIDES_BY_ZERO.to_bytes(4, "little"))
        seen = 0

        def end():
            """To the next end, unless it does not come."""
            nonlocal seen
            for _ in range(TURNS):
                machine.run_to(AT_A_LOOK)
                lines = [line for line in machine.log() if line.startswith(("fault", "end", "panic"))]
                if len(lines) >= seen + 2:
                    seen += 2
                    return _end(lines[seen - 2:seen], program)
            return "goes on for ever"

        assert end().startswith("A 00 #DE")
        for number, (attack, code) in enumerate(zip(attacks, codes)):
            at = CODES_AT + number * STRIDE
            row = (CODE_BYTES - 1).to_bytes(2, "little") + at.to_bytes(3, "little")
            machine.write(machine.linear("proc_a_ldt"), row + bytes([A_CODE_ACCESS, SEGMENT_32BIT, at >> 24]))
            _restart(machine)
            said = end()
            results.append((attack.name, said, _expected(attack, code, emulator.__name__.lower(), program, said)))
            if said == "goes on for ever":
                break
    return results

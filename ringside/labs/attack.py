"""Code of a student's in ring 3, against a ring 0: does its number get where ring 3 may not write?

    assembled = code(text, folder)
    written(image, assembled, number)       whether the number (variants.py) stands on the screen outside the procs' windows
"""

import pathlib

from ringside.emulators import machines
from ringside.labs.handin import LARGEST, Refused, jailed, made
from ringside.laws import beginning, looks, reach

LAWS = {
    "X1": "from ring 3 alone, your number gets into ring 0's part of the screen of the broken program",
    "X2": "the same code does not do it to the program that you hand in",
}
STEPS = 500_000     # before a ring 0 ends who does not ask
SCREEN, SCREEN_BYTES = 0xb8000, 80 * 25 * 2


def code(text: str, folder: pathlib.Path) -> bytes:
    """The bytes of an exploit: its .text, placed at 0. It is a stranger's text, as all that is handed in."""
    place = folder / "exploit"
    place.mkdir()
    (place / "exploit.s").write_text(text)
    done = jailed(place, ["sh", "-c", "as --32 -o exploit.o exploit.s && objcopy -O binary -j .text exploit.o exploit.bin"])
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["no message"]
        raise Refused(f"the exploit does not assemble: {said[-1]}")
    return made(place / "exploit.bin", LARGEST)


def written(image: machines.Path, exploit: bytes, number: str) -> bool:
    """In Bochs, because limits matter: QEMU without KVM does not look at them."""
    entry = beginning.first_of_ring_3(image)
    with looks.EMULATORS["bochs"](image) as machine:
        machine.run_to(entry)
        registers = machine.registers()
        own = registers["cs"]
        if len(exploit) > own.limit + 1:
            raise Refused(f"the exploit has {len(exploit)} bytes; the code segment holds {own.limit + 1}")
        tables = reach.Tables(machine.read, registers)
        windows = [entry.span for table in (tables.gdt[1:], *tables.ldts()) for entry in table
                   if entry.present and entry.memory and not entry.code and entry.dpl == 3
                   and SCREEN <= entry.base < SCREEN + SCREEN_BYTES and entry.limit < SCREEN_BYTES // 2]
        machine.write(own.base, exploit)
        machine.set(eip=0)
        try:
            machine.cmd(f"s {STEPS}", looks.LIMIT)
        except machines.Missing:    # ring 0 has halted for ever, which Bochs waits for
            machine.stop()
        raw = bytearray(machine.read(SCREEN, SCREEN_BYTES))
        for start, end in windows:
            raw[start - SCREEN:end - SCREEN] = bytes(end - start)
    return number.encode() in bytes(raw[::2])

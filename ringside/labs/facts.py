"""What questions are asked about: the first way in of a student's own program, as Bochs shows it.

    facts = of(image)
    value(facts, "pushed[3]")       the answer to a question, as a number
"""

from typing import Any

from ringside.emulators import machines
from ringside.laws import beginning, looks, reach

Facts = dict[str, Any]

STEPS_TO_INT = 500
PUSHED_BYTES = 20


def of(image: machines.Path) -> Facts:
    entry = beginning.first_of_ring_3(image)
    with looks.EMULATORS["bochs"](image) as machine:
        machine.run_to(entry)
        first = machine.registers()
        tables = reach.Tables(machine.read, first)
        door = reach.door(tables)
        for _ in range(STEPS_TO_INT):
            before = machine.registers()
            if machine.read(before["cs"].base + before["eip"], 1)[0] == reach.INT:
                break
            machine.step()
        machine.step()
        after = machine.registers()
        raw = machine.read(after["ss"].base + after["esp"], PUSHED_BYTES)
        pushed = [int.from_bytes(raw[at:at + 4], "little") for at in range(0, PUSHED_BYTES, 4)]
    segments = {name: before[name].selector for name in ("cs", "ss", "ds", "es", "fs", "gs")}
    return {"door": door, "esp0": tables.tss_word(reach.ESP0_PLACE), "ss0": tables.tss_word(reach.SS0_PLACE) & 0xffff,
            "esp": before["esp"], "eip": before["eip"], "eflags": before["eflags"], **segments,
            "tr": first["tr"].selector, "ldtr": first["ldtr"].selector, "ring0_cs": after["cs"].selector,
            "after_esp": after["esp"], "after_eip": after["eip"], "after_eflags": after["eflags"],
            "pushed": pushed, "tss": first["tr"].base, "gdt_limit": first["gdtr"].limit, "idt_limit": first["idtr"].limit}


def value(facts: Facts, expression: str) -> int:
    """Of an expression in a lab.toml, which is ours."""
    return int(eval(expression, {"__builtins__": {}}, facts))

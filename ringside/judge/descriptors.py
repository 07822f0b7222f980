"""Selectors, descriptors and error codes: what model.py and tasks.py have in common.

The manual is Intel's Software Developer's Manual, SDM for short.
"""

from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import Fault

# Types of system segments and of gates, vol. 3A, 3.5, table 3-2; with bit 3 the 32-bit ones.
CALL_GATES = (0x04, 0x0C)
TASK_GATE = 0x05
TSS_TYPES = (0x01, 0x03, 0x09, 0x0B)
TSS_BUSY, TSS_32 = 0x02, 0x08
TI = 4  # in a selector: table indicator


def is_null(selector: int) -> bool:
    """Vol. 3A, 3.4.2: index 0 of the GDT, whatever the RPL."""
    return selector & ~3 == 0


def error_code(selector: int, external: int = 0) -> int:
    """Vol. 3A, 6.13: the selector, with EXT where its RPL was."""
    return selector & 0xFFFC | external


def gate_error(vector: int, external: int) -> int:
    return vector << 3 | 2 | external


def descriptor_of(cpu: Cpu, selector: int, in_table: str, read: str, fault: Fault) -> Descriptor:
    """Vol. 3A, 3.5.1: the descriptor of a selector; TI says whether in GDT or LDT.
    in_table, read: the rules on whose behalf."""
    table = "gdtr"
    if selector & TI:
        table = "ldtr"
        is_there = not is_null(cpu.now("ldtr.selector"))
        cpu.bound("ldtr.selector", 0xFFFC, 0 if is_there else 0x08)
        cpu.need(in_table, is_there, fault, "there is an LDT")
    cpu.need_within(in_table, selector & ~7 | 7, f"{table}.limit", fault)
    linear = cpu.get(f"{table}.base") + (selector & ~7)
    return Descriptor(cpu, linear, cpu.read(linear, 8, read, rely=0))

"""Numbers of the CPU in words: descriptors, gates, error codes, frames."""

from ringside.why.log import name
from ringside.why.machine import Descriptor

SYSTEM = {0x01: "16-bit TSS", 0x02: "LDT", 0x03: "busy 16-bit TSS", 0x04: "16-bit call gate", 0x05: "task gate",
          0x06: "16-bit interrupt gate", 0x07: "16-bit trap gate", 0x09: "TSS", 0x0B: "busy TSS", 0x0C: "call gate",
          0x0E: "interrupt gate", 0x0F: "trap gate"}
GATES = (0x04, 0x05, 0x06, 0x07, 0x0C, 0x0E, 0x0F)
FLAGS = {1 << 8: "TF", 1 << 9: "IF", 1 << 10: "DF", 1 << 14: "NT", 1 << 17: "VM"}

NOTHING = -1    # for a vector: the CPU goes on with what is wrong


def kind(descriptor: Descriptor) -> str:
    """What it is: "code, DPL 3", "TSS, DPL 0, not present"."""
    if descriptor.raw == 0:
        return "all zeros: empty"
    if descriptor.type & 0x10 == 0:
        what = SYSTEM.get(descriptor.type, f"a reserved system type {descriptor.type:x}")
    elif descriptor.is_code:
        what = ("conforming " if descriptor.is_conforming else "") + "code"
    else:
        what = "data" if descriptor.is_stack else "read-only data"
    return f"{what}, DPL {descriptor.dpl}" + ("" if descriptor.present else ", not present")


def spell(descriptor: Descriptor) -> str:
    """All eight bytes, taken to pieces."""
    said = f"{descriptor.raw & 0xFFFFFFFF:08x} {descriptor.raw >> 32:08x}: {kind(descriptor)}"
    if descriptor.raw == 0:
        return said
    if descriptor.type in GATES:
        return said + f", selector {descriptor.selector:04x}, offset {descriptor.offset:08x}"
    return said + (f", base {descriptor.base:08x}, limit {descriptor.limit:08x}"
                   + (f", G={descriptor.raw >> 55 & 1}, D/B={descriptor.raw >> 54 & 1}" if descriptor.type & 0x10 else ""))


def entry(selector: int) -> str:
    """GDT entry 2."""
    return f"{'LDT' if selector & 4 else 'GDT'} entry {selector >> 3}"


def page_rights(code: int) -> str:
    """Why, as the error code of #PF says it."""
    return ("refused by the rights of a page that is present" if code & 1 else "the page is not present") + (
        ", a reserved bit is set" if code & 8 else "") + (", instruction fetch" if code & 16 else "")


def error(vector: int, code: int) -> str:
    """An error code, taken to pieces (vol. 3A, 6.13; of #PF, 4.7)."""
    if vector == 14:
        return f"{'write' if code & 2 else 'read'} from ring {'3' if code & 4 else '0-2'}, {page_rights(code)}"
    if code == 0:
        return "no selector to blame (error code 0)"
    external = ", EXT: on the way to an interrupt or exception" if code & 1 else ""
    if code & 2:
        return f"IDT entry {code >> 3:#04x}{external}"
    return f"selector {code & ~3:04x}: {entry(code)}{external}"


def named(vector: int, code: int | None = None) -> str:
    """An exception with its error code, taken to pieces in few words: #GP(006b: IDT 0x0d, EXT)."""
    if vector == NOTHING:
        return "nothing is refused"
    said = name(vector, code)
    if code is None or not code or vector == 14 or not said.endswith(")"):
        return said
    where = f"IDT {code >> 3:#04x}" if code & 2 else f"{'LDT' if code & 4 else 'GDT'} {code >> 3}"
    return f"{said[:-1]}: {where}{', EXT' if code & 1 else ''})"


def flags(value: int) -> str:
    """IF, NT, IOPL 3."""
    return " ".join([*(word for bit, word in FLAGS.items() if value & bit), f"IOPL {value >> 12 & 3}"])

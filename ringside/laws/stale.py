"""P8: does ring 3 reach a page as the tables have it, or as the CPU still knows it from before?

    findings = look(image, wanted, elf, base)       in another run of Bochs, which keeps a TLB as a CPU does

Behind each way out to ring 3 its first instructions are followed, and each access to memory is compared
with the page tables of that moment. An entry of the TLB that a kernel should have had removed, by invlpg or
by loading CR3, is used where the tables lead nowhere, elsewhere, or not for ring 3.
"""

from collections.abc import Iterator
import re

from ringside.emulators.anybochs import AnyBochs
from ringside.emulators.image import Image
from ringside.laws.laws import Finding
from ringside.recorder import listing, pages
from ringside.recorder.crossings import Names

LAW = "P8"
AHEAD = 24          # instructions behind each
ACCESS = re.compile(r"\[CPU0 (RD|WR|RW)\]: LIN 0x(\w+) PHY 0x(\w+) ")
NEXT = re.compile(r"^\(0\) \[[^]]*\] ([0-9a-f]{4}):([0-9a-f]+) ", re.M)
RIGHTS = pages.PRESENT | pages.USER


def look(image: Image, wanted: listing.Wanted, names: Names) -> list[Finding]:
    """Raises listing.NoneFound, image.Unusable, or machines.Missing. The first finding is enough."""
    lines = listing.found(image, wanted, names.elf, names.base).lines
    with AnyBochs(image, wanted.memory) as machine:
        for number, line in enumerate(lines):
            if line.kind in listing.WAYS_OUT and machine.to(line.tick):
                for said, where in followed(machine, names):
                    return [Finding(LAW, said, number, where)]
    return []


def followed(machine: AnyBochs, names: Names) -> Iterator[tuple[str, str]]:
    """What is wrong, and where: of the first instructions of ring 3 behind a way out."""
    raw = machine.registers()
    if raw["cpl"] != 3 or not raw["cr0"] & pages.PG:
        return
    machine.cmd("trace-mem on")
    eip = raw["eip"]
    for _ in range(AHEAD):
        place = raw["cs"].base + eip & 0xFFFFFFFF
        said = machine.stopped(machine.cmd("s"))
        leads = NEXT.findall(said)
        if not leads or int(leads[-1][0], 16) & 3 != 3:
            break       # the access may be ring 0's
        for way, linear, physical in ACCESS.findall(said):
            if wrong := compared(machine, raw, int(linear, 16) & 0xFFFFFFFF, int(physical, 16)):
                verb = "reads" if way == "RD" else "writes"
                yield (f"ring 3 {verb} at {int(linear, 16) & 0xFFFFFFFF:08x} by an entry that the TLB still has, at physical "
                       f"{int(physical, 16):08x}, but {wrong}: no invlpg, no load of CR3 came between",
                       names.symbol(place))
        eip = int(leads[-1][1], 16)
    machine.cmd("trace-mem off")


def compared(machine: AnyBochs, raw: dict[str, int], linear: int, physical: int) -> str:
    """What the tables have instead of that; "" if they have the same."""
    def read(address: int, size: int) -> int:
        words = re.findall(r"\t0x([0-9a-f]+)", machine.cmd(f"xp /{size // 4}wx {address:#x}"))
        return sum(int(word, 16) << 32 * place for place, word in enumerate(words))

    found = list(pages.walk(linear, raw["cr3"], raw["cr4"], read))
    last = found[-1]
    here = f"its {last.name} at {last.physical:08x} is {last.value:08x}"
    leads = pages.physical_of(linear, found)
    if leads is None:
        return f"{here}, not present"
    if any(entry.name != "PDPTE" and entry.value & RIGHTS != RIGHTS for entry in found):
        return f"{here}, not for ring 3"
    return f"{here}, which leads to {leads:08x}" if leads != physical else ""

"""The three MSRs of sysenter, bent from outside before SYSENTER uses them; and what comes of it.

    MSRS                what is tried
    Bent.on(emulator)   what the log must say first, a pattern; None: the game goes on
    wrong(emulator, bent, floppy)   what is not so, in an emulator with a floppy that starts SYSENTER

The CPU checks hardly anything of what stands there when sysenter reads it: a wrong value shows later,
or somewhere else. `intel` says what the manual has to come of it, `qemu` what TCG does instead and
`why`. Tried with QEMU 7.2 and Bochs 2.7; where another version does otherwise, a test fails.
"""

import dataclasses
import pathlib
import re

from ringside.emulators import debuggers

CS, ESP, EIP = 0x174, 0x175, 0x176      # Intel, volume 4, table 2-2
OF_NO_CS = "fault proc=A vector=0d name=#GP error=0000 .* while=restore$"


@dataclasses.dataclass(frozen=True)
class Bent:
    name: str
    msr: int
    value: int
    intel: str | None
    qemu: str | None = ""
    why: str = ""
    key: str = ""       # and A makes that mistake

    def on(self, emulator: str) -> str | None:
        return self.qemu if emulator == "qemu" and self.why else self.intel


MSRS = (
    Bent("CS: 0", CS, 0, OF_NO_CS),
    Bent("CS: an RPL and nothing else", CS, 3, OF_NO_CS, "panic vector=0d name=#GP error=0000 ",
         "TCG compares all 32 bits with 0, the manual bits 15 to 2 (vol. 2, SYSENTER, SYSEXIT)"),
    Bent("CS: RPL 3", CS, 0x33, None),
    Bent("CS: bits beyond the selector", CS, 0x10030, None),
    Bent("CS: rows that are others", CS, 0x08, None),
    Bent("CS: rows that are others, and an interrupt of ring 3", CS, 0x08,
         r"fault proc=A vector=0d name=#GP error=0018 means=.GDT 0x18 \(TSS\). .* while=restore$", key="6"),
    Bent("CS: beyond the GDT, and an interrupt of ring 0", CS, 0x1230, "panic vector=0d name=#GP error=1230 "),
    Bent("ESP: 0", ESP, 0, "panic vector=08 name=#DF .* cs:eip=0030:"),
    Bent("ESP: the end of ring 3's stack", ESP, 0x08050000, "panic vector=0e name=#PF error=0000 .* cs:eip=0030:"),
    Bent("EIP: 0", EIP, 0, "panic vector=0e name=#PF error=0000 .* cs:eip=0030:00000000 "),
    Bent("EIP: a page without code", EIP, 0xfffd0000 - 0x1000, "panic vector=0e name=#PF error=0000 .* cs:eip=0030:fffcf000 "),
)
PLAYS_ON = "switch n=2048 "


def wrong(emulator: str, bent: Bent, floppy: pathlib.Path) -> list[str]:
    kinds = dict(zip(debuggers.NAMES, debuggers.knowing("sysenter")))
    with kinds[emulator](floppy) as machine:    # type: ignore[call-arg]
        machine.run_to("ckpt_wrmsr")
        while machine.values()["ecx"] != bent.msr:
            machine.step()
            machine.run_to("ckpt_wrmsr")
        machine.set(eax=bent.value)
        if bent.key:
            machine.press(bent.key)
        machine.go()
        machine.wait_log(f"^(fault |panic |{PLAYS_ON})")
        found = next(line for line in machine.log() if re.match(f"fault |panic |{PLAYS_ON}", line))
        return [] if re.match(bent.on(emulator) or PLAYS_ON, found) else [found]

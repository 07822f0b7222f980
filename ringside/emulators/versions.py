"""In what the versions of the tools differ: a table, each row with its reason.

    version("qemu")             (7, 2, 22): as the tool itself says it
    holds("int-lock")           whether that row of DIFFERENCES holds for the tool at hand
    bochs_debugger()            the arguments that start Bochs' debugger
    shorter("kstack")           by how many instructions its switch is shorter than on the pages
    as_bochs_2_says(text)       what Bochs' debugger prints, in all versions the same
    one_spelling(text)          an instruction as objdump writes it, in all versions the same

Nothing else asks for a version: programs and tests ask for a row. tests/test_versions.py looks
whether each row is so with the tools at hand where it holds, and not so where it does not. So
a row that is never needed is an error, and so is one that is missing.

ringside/emulators/versions.py, run by itself, prints all versions.

Where no version was tried between two that differ, a row holds from the newer one on.
"""

import dataclasses
import functools
import re
import subprocess
from typing import NamedTuple

Version = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Something that is not the same in all versions of a tool."""
    name: str
    tool: str
    since: Version              # the first version that has it
    before: Version | None      # the first that has it no more
    what: str                   # how such versions differ from the others
    reason: str


class Tool(NamedTuple):
    command: list[str]
    pattern: str                # of its version, in what the command prints


TOOLS = {
    "gcc": Tool(["gcc", "-dumpfullversion"], r"([\d.]+)"),
    "clang": Tool(["clang", "--version"], r"clang version ([\d.]+)"),
    "qemu": Tool(["qemu-system-i386", "--version"], r"version ([\d.]+)"),
    "bochs": Tool(["bochs", "--help"], r"Bochs x86 Emulator ([\d.]+)"),
    "gdb": Tool(["gdb", "--version"], r"^GNU gdb .*?([\d.]+)$"),
    "binutils": Tool(["objdump", "--version"], r"^GNU objdump .*?([\d.]+)$"),
    "python": Tool(["/usr/bin/python3", "--version"], r"Python ([\d.]+)"),
}

DIFFERENCES = (
    Difference("qemu-pushes-rf", "qemu", (10, 0), None,
               "an interrupt of the hardware pushes eflags with RF set",
               "TCG sets RF for all that is no int n; the manual wants that of faults alone, and within a repeated "
               "instruction"),
    Difference("qemu-lock-int", "qemu", (0,), (10, 0),
               "int n with the prefix lock is executed as if it had none",
               "TCG did not ask for lock where an instruction writes nothing; it does since, and #UD comes"),
    Difference("qemu-cr1-is-cr0", "qemu", (0,), (10, 0),
               "an access to cr1 from ring 3 is #GP, and no #UD",
               "TCG asked for ring 0 first; the manual does not say which of the two comes first"),
    Difference("qemu-no-int1", "qemu", (0,), (10, 0),
               "int1 is #UD", "TCG did not have it"),
    Difference("qemu-caches-of-all", "qemu", (10, 0), None,
               "invd and wbinvd do nothing, in ring 3 as well",
               "TCG has no caches to write back, and asks for ring 0 there no more"),
    Difference("qemu-iret-sets-vm", "qemu", (0,), (10, 0),
               "an iret of ring 3 sets VM, and so enters virtual-8086 mode",
               "TCG did not ask for ring 0 first; it does since, as vol. 2A, IRET, Operation has it"),
    Difference("qemu-ring3-stack-as-ring0", "qemu", (0,), (10, 0),
               "what iret, far ret, far call and int pop and push on ring 3's own stack, they may on a page of ring 0's",
               "TCG made those accesses as if ring 0 did; the manual knows of no such exception"),
    Difference("qemu-no-task-trap", "qemu", (0,), (11, 0),
               "a task whose TSS has T set begins without a #DB",
               "TCG did not look at T; it does since, as vol. 3A, 9.3.1.5 has it"),
    Difference("qemu-lost-after-a-failed-switch", "qemu", (11, 0), None,
               "after a task switch that failed on the new LDT, lss in ring 0's handler is #GP(the old ss), again and again",
               "TCG leaves ss with the new selector and nothing behind it, with CPL 0, and then refuses to load another; "
               "on a PC ss is not valid there either, but lss does not ask for the old one"),
    Difference("bochs-old-models", "bochs", (3, 0), None,
               "it has the CPU models i386 and i486dx4",
               "the older ones begin with the Pentium"),
    Difference("bochs-bios-edx", "bochs", (3, 1), None,
               "int 10h with ah = 0 does not give edx back",
               "the BIOS of its VGA is another; no BIOS has promised edx"),
    Difference("bochs-no-optramimage", "bochs", (3, 1), None,
               "optramimage in its configuration puts nothing into memory",
               "memory is cleared later, it seems; the debugger has loadmem instead, since 3.0, right for a page at a time"),
    Difference("bochs-absent-stack-np", "bochs", (0,), (3, 1),
               "an iret to a stack that is not present is #NP, and no #SS",
               "IRET's pseudo-code and interrupt 12 in vol. 3A, 6.15 say #SS, IRET's list of exceptions says #NP"),
    Difference("gcc-kstack", "gcc", (16, 0), None,
               "a switch of KSTACK takes an instruction less",
               "the pages count what gcc 12 makes of its C half"),
    Difference("objdump-wide-selectors", "binutils", (2, 41), None,
               "lldt %eax and ltr %eax, where older ones write %ax",
               "the operand's size is a prefix's; the CPU takes 16 bits of it all the same"),
    Difference("objdump-names-the-bad", "binutils", (2, 41), None,
               "lcall (bad), where older ones write (bad) alone",
               "the opcode is a far call's, but it has no form with a register, so there is no such instruction"),
    Difference("bochs-debugger", "bochs", (3, 0), None,
               "its debugger starts only with the argument -debugger",
               "one program is both: with and without its debugger; older ones refuse that argument"),
)


@functools.lru_cache(None)
def version(tool: str) -> Version:
    command, pattern = TOOLS[tool]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = re.search(pattern, run.stdout, re.M)
    if not told:
        raise FileNotFoundError(f"{' '.join(command)} does not tell its version: {run.stdout}")
    return tuple(int(number) for number in told[1].strip(".").split("."))


def row(name: str) -> Difference:
    found, = (difference for difference in DIFFERENCES if difference.name == name)
    return found


def holds(name: str) -> bool:
    asked = row(name)
    here = version(asked.tool)
    return asked.since <= here and (asked.before is None or here < asked.before)


def one_spelling(text: str) -> str:
    """lldt and ltr take 16 bits, however wide the register is called: %ax. What is bad has no name."""
    return re.sub(r"^(lldt|ltr) +%e", r"\1 %", re.sub(r"^.+\(bad\)$", "(bad)", text))


def shorter(program: str) -> int:
    """By how many instructions a switch is shorter here than on the pages."""
    return int(program == "kstack" and holds("gcc-kstack"))


def as_bochs_2_says(text: str) -> str:
    """What Bochs' debugger prints: 3.0 has ldt in small letters, 3.1 offsets of sixteen digits."""
    return re.sub(r"\+0+(?=[0-9a-f]+\))", "+", re.sub(r"\bldt\[", "LDT[", text))


def bochs_debugger() -> tuple[str, ...]:
    return ("-debugger",) if holds("bochs-debugger") else ()


if __name__ == "__main__":
    print(", ".join(f"{tool} {'.'.join(map(str, version(tool)[:2]))}" for tool in TOOLS))

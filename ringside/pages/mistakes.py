"""The six mistakes behind the keys 1 to 6: proc A makes them, and ring 0 reports.

usage: scripts/ringside mistakes [--bochs] [N ...]

  N        1 to 6; all unless given
  --bochs  in Bochs; else in QEMU, with its keyboard

For each: its source, the lines of the log, and the report as it stands on the screen.
What is wrong with each, and why the CPU minds: docs/faults.md.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators.machines import ROOT

NUMBERS = range(1, 7)
SOURCE = ROOT / "ring3/mistakes.h"
MISTAKE_BYTES = int(re.search(r"#define MISTAKE_BYTES\s+(\d+)", (ROOT / "ring3/ask.h").read_text())[1])
INT3 = b"\xcc"
TURNS = 12  # after so many a proc that plays on is left alone
NO_END = f"... and no end in {TURNS} turns"

# Where things stand (show/layout.h, panel.c): the half of ring 0's panel that has a
# proc's frame, or the report on its end; the rows of its window.
HALVES = {"a": slice(2, 38), "b": slice(42, 78)}
REPORT_ROWS = slice(6, 17)
COUNT_ROW = {"a": 2, "b": 20}
END_ROW = {"a": 3, "b": 21}

# What stands on the screen, and in the log, after an end.
Report = collections.namedtuple("Report", "fault end why lines")


def source(number):
    """The lines of a mistake, without the padding."""
    text = SOURCE.read_text().split("PROC(mistakes):\n")[1].split("\t.org")[0]
    return text.split("\t.balign\tMISTAKE_BYTES, INT3\n")[number - 1].strip("\n")


def report_on(rows, letter, log):
    """What is told of a proc's end, given the screen's 25 rows and the log."""
    lines = [row[HALVES[letter]].rstrip() for row in rows[REPORT_ROWS]]
    last = max(n for n, line in enumerate(log) if line.startswith(f"fault proc={letter.upper()} "))
    return Report(log[last], log[last + 1], rows[END_ROW[letter]][1:-1].strip(), lines)


def in_bochs(numbers=NUMBERS, emulator=debuggers.DebuggedBochs):
    """{number: Report}, each made while a debugger stands by: the same in every run."""
    found = {}
    with emulator() as machine:
        machine.run_to("proc_b_int")
        for number in numbers:
            machine.press(str(number))
            machine.run_to("proc_end")
            machine.run_to("gate")
            text = machine.read(0xb8000, 4000)[::2].decode("cp437")
            found[number] = report_on([text[at:at + 80] for at in range(0, 2000, 80)], "a", machine.log())
    return found


def in_qemu(numbers=NUMBERS):
    """The same at full speed, by the keys of QEMU's keyboard."""
    found = {}
    with machines.Qemu() as machine:
        machine.wait_log("switch n=1 ")
        machine.key("f")
        for number in numbers:
            lines = len(machine.log())
            machine.key(str(number))
            machine.wait_log("^end proc=A", since=lines)
            found[number] = settled(machine)
    return found


def assembled(code):
    """The bytes of a few instructions; selectors may go by their names."""
    symbols = machines.symbols()
    text = re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda name: str(symbols[name[0]]), code.replace(";", "\n")) + "\n"
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        there = pathlib.Path(folder)
        (there / "code.s").write_text(text)
        subprocess.run(["as", "--32", "-o", there / "code.o", there / "code.s"], check=True, timeout=20)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", there / "code.o", there / "code"], check=True, timeout=20)
        return (there / "code").read_bytes()


def changed(number, code):
    """The log of A, which makes this mistake with other instructions in place of its own, in Bochs."""
    raw = assembled(code)
    if len(raw) > MISTAKE_BYTES:
        raise machines.Missing(f"{code}: {len(raw)} bytes, and a mistake has {MISTAKE_BYTES}")
    with debuggers.DebuggedBochs() as machine:
        machine.run_to("proc_b_int")
        lines = len(machine.log())
        machine.write(machine.linear("proc_a_mistakes") + (number - 1) * MISTAKE_BYTES, raw.ljust(MISTAKE_BYTES, INT3))
        machine.press(str(number))
        ended = False
        for _ in range(TURNS):
            if machine.run_to("proc_end", "gate") == "proc_end":
                machine.run_to("gate")
                ended = True
                break
        said = [line for line in machine.log()[lines:] if not line.startswith("switch ")]
        return said if ended else [*said, NO_END]


def settled(machine):
    """The report once it is drawn: the line in the log may come before a picture's end, its number of switches does not
    come before the end of the picture ahead of it."""
    for _ in range(2):
        shown = re.search(r"switches +(\d+)", "\n".join(machine.screen()))[1]
        machine.wait_screen(rf"switches +(?!{shown}\b)\d")
    return report_on(machine.screen(), "a", machine.log())


# ---- what a page says of it (scripts/ringside docs)

def field(report, name):
    return machines.fields(report.fault)[name]


def error_bits(report):
    """An error code, bit by bit (Intel, volume 3, section 6.13)."""
    error = int(field(report, "error"), 16)
    index, table, idt, ext = error >> 3, error >> 2 & 1, error >> 1 & 1, error & 1
    if idt:
        what, where = f"{index}, vector {index:#04x}", "1, the index is that of a gate in the IDT"
        which = f"{table}, means nothing as IDT is 1"
    elif index or table:
        what, where = f"{index}, so selector {error & ~3:#06x}", "0, the index is that of a descriptor"
        which = f"{table}, in the {'LDT' if table else 'GDT'}"
    else:
        what, where, which = "0, no selector", "0", "0"
    return f"""
error code  {error:04x}
            in binary {error:016b}
                      └─────┬─────┘│││
                            │      ││└─ EXT: {ext}, {'not ' * ext}by the program's own doing
                            │      │└── IDT: {where}
                            │      └─── TI: {which}
                            └────────── index: {what}
"""


def found_at(report):
    """The instruction at cs:eip, by its place in the program, as objdump reads it."""
    offset = machines.sym("proc_a_code") + int(field(report, "cs:eip").split(":")[1], 16)
    listing = subprocess.run(["objdump", "-d", str(machines.PROGRAM), f"--start-address={offset}",
                              f"--stop-address={offset + 8}"], check=True, capture_output=True, text=True).stdout
    line = re.search(rf"^ +{offset:x}:\t([0-9a-f ]+?) *\t(.*)$", listing, re.M)
    return f"{offset:08x}  {line[1]:12} {' '.join(line[2].split('<')[0].split())}"


# What ring 3 may ask the CPU: mnemonic, code, where in A's data the answer goes.
QUESTIONS = [
    ("sgdt", "0f 01 05 08 00 00 00"),               # sgdt 8
    ("sidt", "0f 01 0d 10 00 00 00"),               # sidt 16
    ("sldt", "0f 00 05 18 00 00 00"),               # sldt 24
    ("str", "0f 00 0d 1c 00 00 00"),                # str 28
    ("smsw", "0f 01 25 20 00 00 00"),               # smsw 32
    ("rdtsc", "0f 31 a3 24 00 00 00 0f 31 a3 28 00 00 00"),  # twice; eax to 36, 40
    ("mov $A_DATA", "b9 0f 00 00 00"),
    ("lar", "0f 02 d1 89 15 2c 00 00 00"),          # lar %ecx, %edx; to 44
    ("lsl", "0f 03 d1 89 15 30 00 00 00"),          # lsl %ecx, %edx; to 48
    ("mov $RING0_DATA", "b9 10 00 00 00"),
    ("lar of ring 0", "0f 02 d1 0f 94 05 34 00 00 00"),  # setz 52
    ("lsl of ring 0", "0f 03 d1 0f 94 05 35 00 00 00"),  # setz 53
]


def answers(directory, emulator=debuggers.DebuggedBochs):
    """What A is told when it asks, byte by byte as it lies in A's data; from a floppy whose A does nothing else."""
    code = bytes.fromhex(" ".join(code for _, code in QUESTIONS))
    place = debuggers.SYMBOLS["proc_a_code"]
    floppy = debuggers.patched(pathlib.Path(directory) / "floppy.img", {place: code + bytes.fromhex("cd 30")})
    with emulator(floppy) as machine:
        machine.run_to(machines.BASE + place + len(code))
        return machine.read(debuggers.linear("proc_a_data"), 64)


def answers_table(raw):
    def number(at, size):
        return int.from_bytes(raw[at:at + size], "little")

    def refused(at):
        return "nothing" if not raw[at] else "an answer"
    rate = number(40, 4) - number(36, 4)
    told = "two numbers, the second larger" if rate > 0 else "the same number twice"
    return f"""
| instruction | told A | which is |
|---|---|---|
| `sgdt` | `{number(10, 4):08x}`, limit `{number(8, 2):04x}` | where the GDT is, a linear address |
| `sidt` | `{number(18, 4):08x}`, limit `{number(16, 2):04x}` | where the IDT is |
| `sldt` | `{number(24, 2):04x}` | the selector of A's LDT |
| `str` | `{number(28, 2):04x}` | the selector of the TSS |
| `smsw` | `{number(32, 2):04x}` | the lower half of CR0: PE, and the bits that keep the FPU off |
| `rdtsc` | {told} | a clock that counts the CPU's own ticks |
| `lar` of A's data | `{number(44, 4):08x}` | access byte and size bit of the descriptor |
| `lsl` of A's data | `{number(48, 4):08x}` | the limit of the segment |
| `lar` of ring 0's data | {refused(52)} | ZF is 0: not for ring 3 |
| `lsl` of ring 0's data | {refused(53)} | ZF is 0 |
"""


# ---- for a terminal

def show(number, report):
    print(f"──── key {number} " + "─" * 60 + "\n")
    print(source(number).expandtabs(8) + "\n")
    print(report.fault)
    print(report.end + "\n")
    print(f"    proc A's window: {report.why}\n")
    print("\n".join(f"    │ {line:36} │" for line in report.lines) + "\n")


def main(arguments):
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return 0
    emulator = in_bochs if "--bochs" in arguments else in_qemu
    words = [word for word in arguments if word != "--bochs"]
    if wrong := [word for word in words if word not in map(str, NUMBERS)]:
        print(f"scripts/ringside mistakes: no mistake {wrong[0]}; there are: 1 to 6", file=sys.stderr)
        return 2
    tool = "bochs" if emulator is in_bochs else "qemu-system-i386"
    if subprocess.run(["sh", str(ROOT / "scripts" / "need"), tool]).returncode:
        return 1
    try:
        for number, report in emulator([int(word) for word in words] or NUMBERS).items():
            show(number, report)
    except machines.Missing as error:
        raise SystemExit(f"scripts/ringside mistakes: {error}") from None
    return 0

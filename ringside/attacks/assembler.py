"""From the assembly of attacks to bytes, in one go.

    assembled(program, attacks)    the Code of each, and where in it the exception must happen
"""

import dataclasses
import re
import subprocess
import tempfile

from ringside.attacks.attack import BEGIN, END, HERE
from ringside.attacks import flat
from ringside.emulators import machines
from ringside.emulators.debuggers import COM_START

PAGE_BYTES = 0x1000
UD2 = b"\x0f\x0b"


def layout(program):
    at = flat.layout(program) if program.pages else {"CODE_AT": 0}
    return {**at, "CODE_BYTES": program.place(program.code_bytes), "DATA_BYTES": program.data_bytes,
            "WINDOW_BYTES": 640, "ASKED": program.asked, "BEYOND_GDT": program.gdt_bytes()}


@dataclasses.dataclass(frozen=True)
class Code:
    data: bytes     # as long as A's code segment, and then up to the next one's
    here: int
    end: int
    begin: int

    def eip(self, at):
        return {HERE: self.here, END: self.end, BEGIN: self.begin}.get(at, at)


def stride(program):
    """From one attack's code to the next one's."""
    if program.pages:
        return PAGE_BYTES
    return 512 if layout(program)["CODE_BYTES"] < 448 else 1024


def _front(program):
    """In front of an attack in A's code segment: the way there, and what B needs."""
    lines = ["7:"]
    if program.front:
        start, end = (program.place(text) for text in (program.front, f"{program.front}_bytes"))
        there = program.com.read_bytes()[start - COM_START:][:end]
        lines += [".byte 0xe9", ".long 5f - . - 4", ".byte " + ", ".join(map(str, there[5:])), "5:"]
    return [*lines, program.prelude.replace(";", "\n")]


def _source(program, attacks):
    words = {**program.selectors(), **layout(program)}
    lines = [f".set {name}, {value:#x}" for name, value in words.items()]
    for number, attack in enumerate(attacks):
        code = attack.code
        if "9:" not in code:
            before, _, last = code.rpartition(";")
            labels, last = re.fullmatch(r"((?:\s*\d+:)*)(.*)", last).groups()
            code = f"{before};{labels} 9: {last}"
        lines += [f".org {number * stride(program)}", *_front(program), "6:", code.replace(";", "\n"), "8:",
                  ".pushsection .places", ".word 9b - 7b, 8b - 7b, 6b - 7b", ".popsection"]
    return "\n".join(lines) + f"\n.org {len(attacks) * stride(program)}\n"


def assembled(program, attacks):
    """Their Codes, assembled in one go."""
    compiler, _, *flags = (machines.BUILD / "how").read_text().split()
    target = [flag for flag in flags if flag.startswith(("-m32", "-target", "i386"))]
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        source, binary, places = (f"{folder}/{name}" for name in ("attacks.s", "attacks.o", "places"))
        with open(source, "w") as file:
            file.write(_source(program, attacks))
        for command in ([compiler, *target, "-c", source, "-o", binary],
                        ["objcopy", "-O", "binary", "-j", ".text", binary, f"{folder}/text"],
                        ["objcopy", f"--dump-section=.places={places}", binary, "/dev/null"]):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                raise SystemExit(f"{command[0]}: {run.stderr}")
        text = open(f"{folder}/text", "rb").read()
        numbers = open(places, "rb").read()
    codes = []
    for number in range(len(attacks)):
        here, end, begin = (int.from_bytes(numbers[6 * number + i:6 * number + i + 2], "little") for i in (0, 2, 4))
        start = number * stride(program)
        codes.append(Code(padded(program, text[start:start + end]), here, end, begin))
    return codes


def padded(program, code):
    """Code with ud2 behind it, as far as any attack may come."""
    code_bytes, size = layout(program)["CODE_BYTES"], stride(program)
    code += UD2 * code_bytes
    return (code[:code_bytes] + UD2 * size)[:size]

"""Tries every page of PAGED's ring 3: what it may read and write is what its directory says.

usage: scripts/ringside isolation [--sample]

In QEMU and in Bochs, with ring 0 in the space and with ring 0 hidden, thread A reads and then writes
a byte of each of the 2^20 pages (--sample: of all that are near something, and of one in 997). A handler
of ours answers the page faults: it gives ring 3 the error code, and CR2, and goes on behind the
instruction. Each result is held against the directory and the tables, as they lie in memory: not present,
present but ring 0's, read-only, or allowed. Ends with 1 if one differs.
"""

import argparse
from collections.abc import Iterator
import struct
import sys
import tempfile
import time
from typing import NamedTuple

from ringside.emulators import debuggers, machines
from ringside.emulators.debuggers import Handles

PAGE, PAGES = 0x1000, 1 << 20
PRESENT, WRITABLE, USER, ADDRESS = 1, 2, 4, 0xfffff000
FAULT_PRESENT, FAULT_WRITE, FAULT_USER = 1, 2, 4
ALLOWED = 0xffffffff    # in place of an error code
VECTOR_PF, GATE_BYTES = 14, 8

# In A's data, which it may execute; and in the page with ring 0's ways in, which is always there.
CODE, RESULTS, RESULTS_END = 0x08049100, 0x08049400, 0x0804a000
HANDLER = 0x0c00

# pop %edx; mov %cr2, %ecx; addl $2, (%esp); iret
ANSWER = bytes.fromhex("5a 0f20d1 83042402 cf")
PATIENT = b"\xb0\x01\xc3"  # mov $true, %al; ret: A takes its time
# esi: the first page; ebx: how many; ebp: bytes from one to the next; edi: where results go. What is
# not simply "not present" is noted: address (1 more for a write), error code.
PROBE = bytes.fromhex(
    "31c9 83caff 8a06"              # 1: xor %ecx, %ecx; or $-1, %edx; mov (%esi), %al
    "83fa04 7504 39f1 7408"         # cmp $4, %edx; jne 2f; cmp %esi, %ecx; je 3f
    "8937 895704 83c708"            # 2: mov %esi, (%edi); mov %edx, 4(%edi); add $8, %edi
    "31c9 83caff 8806"              # 3: xor %ecx, %ecx; or $-1, %edx; mov %al, (%esi)
    "83fa06 7504 39f1 740a"         # cmp $6, %edx; jne 4f; cmp %esi, %ecx; je 5f
    "8937 ff07 895704 83c708"       # 4: mov %esi, (%edi); incl (%edi); mov %edx, 4(%edi); add $8, %edi
    "01ee 4b 75c9"                  # 5: add %ebp, %esi; dec %ebx; jnz 1b
)
END = CODE + len(PROBE)


class Range(NamedTuple):
    first: int
    count: int
    step: int = 1


ALL = (Range(0, PAGES),)
SAMPLE = (Range(0, 64), Range(0x8040, 32), Range(0xb8, 8), Range(0xfff00, 256), Range(11, PAGES // 997, 997))

Results = dict[tuple[int, str], int]    # (page, "read" or "write"): error code, or ALLOWED


def said(machine: Handles, directory: int) -> Results:
    """What directory and tables say of each page that is there; of all others: not present."""
    found: Results = {}
    for high, upper in enumerate(entries(machine, directory)):
        if not upper & PRESENT:
            continue
        for low, lower in enumerate(entries(machine, upper & ADDRESS)):
            if lower & PRESENT:
                rights, page = upper & lower, high << 10 | low
                found[page, "read"] = ALLOWED if rights & USER else FAULT_USER | FAULT_PRESENT
                found[page, "write"] = ALLOWED if rights & USER and rights & WRITABLE else \
                    FAULT_USER | FAULT_PRESENT | FAULT_WRITE
    return found


def entries(machine: Handles, place: int) -> tuple[int, ...]:
    return struct.unpack("<1024I", machine.physical_memory(place & ADDRESS, PAGE))


def tried(machine: Handles, ranges: tuple[Range, ...], timeout: float) -> Results:
    """What has come of reading and writing those pages; those that are simply not there are left out."""
    found: Results = {}
    for one in ranges:
        machine.set(esi=one.first * PAGE, ebx=one.count, ebp=one.step * PAGE, edi=RESULTS, eip=CODE)
        machine.run_to(END, timeout=timeout)
        end = machine.values()["edi"]
        assert end < RESULTS_END, "more results than there is room for"
        raw = machine.read(RESULTS, end - RESULTS) if end > RESULTS else b""
        for address, error in struct.iter_unpack("<2I", raw):
            found[address // PAGE, "write" if address % PAGE else "read"] = error
    return found


def prepared(machine: Handles, hide: bool) -> int:
    """A is about to probe. Its directory's physical address."""
    assert machine.symbols["entry_code_end"] < HANDLER, "the handler has no room in the page of the ways in"
    machine.run_to("ckpt_spaces")   # before the alarm has come for the first time
    machine.write(machine.linear("watchdog_is_patient"), PATIENT)
    machine.run_to("thread_int")
    if hide:
        machine.press("k")
        machine.run_to("hide_ring0")
        machine.run_to("thread_int")
    machine.run_to("schedule")      # all of ring 0 is there to be changed
    machine.write(machine.base + HANDLER, ANSWER)
    machine.write(machine.linear("idt") + VECTOR_PF * GATE_BYTES, struct.pack("<H", HANDLER))
    machine.run_to("thread_int")
    machine.write(CODE, PROBE)
    return machine.registers()["cr3"]


def verdicts(ranges: tuple[Range, ...], timeout: float = 60) -> Iterator[tuple[str, bool, int, list[str]]]:
    """(emulator, ring 0 hidden, how many pages, what is not so), for each."""
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        image = machines.floppy_that_starts("paged", f"{folder}/floppy.img")
        for kind, name in zip(debuggers.knowing("paged"), debuggers.NAMES):
            for hide in (False, True):
                with kind(image) as machine:    # type: ignore[call-arg]
                    directory = prepared(machine, hide)
                    expected = said(machine, directory)
                    found = tried(machine, ranges, timeout)
                    pages = {one.first + n * one.step for one in ranges for n in range(one.count)}
                    expected = {key: what for key, what in expected.items() if key[0] in pages}
                    wrong = [f"{way} {page * PAGE:08x}: {words(found.get((page, way)))}, not {words(expected.get((page, way)))}"
                             for page, way in sorted({**expected, **found})
                             if expected.get((page, way)) != found.get((page, way))]
                yield name, hide, len(pages), wrong


def words(error: int | None) -> str:
    if error is None:
        return "not present"
    return "allowed" if error == ALLOWED else f"error {error:04x}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--sample", action="store_true")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if not (machines.BUILD / "paged.elf").exists():
        print("isolation: no build/paged.elf: it is built by: make", file=sys.stderr)
        return 1
    code = 0
    started = time.monotonic()
    for name, hide, pages, wrong in verdicts(SAMPLE if options.sample else ALL, timeout=600):
        print(f"{name}, ring 0 {'hidden' if hide else 'in the space'}: {pages} pages read and written, "
              f"{len(wrong)} not as the directory says; {time.monotonic() - started:.0f} s", flush=True)
        print("".join(f"    {what}\n" for what in wrong[:20]), end="")
        code |= bool(wrong)
    return code

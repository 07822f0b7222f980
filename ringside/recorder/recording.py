"""Recordings: what the CPU did, instruction by instruction, as JSON.

    {
      "format": "ringpong recording", "version": 4,
      "emulator": "bochs" | "qemu",
      "program": "p_proc",              its name on the floppy
      "base": 65536,                    linear address of its offset 0
      "symbols": {"gate": 296, ...},    its names, as offsets
      "frames": {"A": {"offset": 21364, "words": ["gs", ...]}, "B": ...},
                                        where what is saved of each proc lies, and what
                                        its words are; and whatever else is saved
      "crossings": {"image", "kind", "listed", "iomap", "in_service", "quiet"},
                                        only of another kernel (crossings.py): then symbols are those
                                        of its ELF file, if there is one, and frames are empty. iomap:
                                        where in the TSS it begins, or null; in_service: of the PICs, at
                                        the last arrivals in ring 3; quiet: the same when no more came
      "state": {...},                   before the first step
      "steps": [STEP, ...]
    }

A STEP is one instruction, or an interrupt of the hardware's in front of one:

    "bytes"     as they lie in memory, hexadecimal
    "text"      the instruction, as the assembler writes it
    "symbol"    where it stands: "gate+3"
    "source"    file and line: "p_proc.S:212"
    "repeats"   iterations of a string instruction, if it is one: they are one step
    "folded"    what was called and not recorded, if so: "int 0x10" of the BIOS, or
                a function that has to do with screen, log and pace alone
    "interrupt" the vector, if hardware has interrupted: the step is the way in alone, up
                to where the handler's first instruction is next. bytes is empty, text
                "interrupt 0x20"; symbol and source are those of the instruction that has
                not begun
    "gap"       instructions that were not recorded, if the step stands for them, between two crossings
                of another kernel: of all else it has only changes
    "accesses"  memory accesses the CPU made inside it, in order, each
                ["read" | "write", linear address, bytes, value]; null where the
                emulator cannot tell (QEMU), or where the step stands for many
    "walks"     if paging is on, and the emulator tells it: entries of page tables that the CPU
                read or wrote inside it, in order, each ["read" | "write", physical address,
                bytes, value]; none of a page whose translation it still knew
    "ended"     what is known, if the machine ended at that instruction: then nothing was different, and
                the accesses of another kernel's are those up to there
    "changes"   what of the state was different after it: the new values

A STATE has numbers for eax ecx edx ebx esp ebp esi edi eip eflags cr0 cpl, and

    cs ss ds es fs gs tr ldtr   {"selector", "base", "limit", "type", "dpl",
                                "attributes"}: what the CPU keeps of the descriptor.
                                type is the S bit and the 4 type bits (0x1b: code,
                                read, accessed); attributes are bits 8-23 of the
                                descriptor's upper half
    gdtr idtr                   {"base", "limit"}
    gdt idt ldt                 the tables' contents: arrays of 64-bit descriptors, as
                                strings of 16 hexadecimal digits; ldt is the one that
                                LDTR selects, and empty if that is none
    tss                         {"ss0", "esp0"}
    frames                      {"A": [17 words], "B": [17 words]}: what is saved of each
                                proc; the head's frames say where, and what the words
                                are: gs first, ss last, unless the program has contexts,
                                or tasks: then it is their whole TSSs, 26 words, and
                                those of ring 0's own tasks, too: "ring 0" and "#DF"
    stack                       {"linear": address of the first word, "words": [16]},
                                8 below ss:esp, and 8 from there on

and once paging is on

    cr2 cr3 cr4                 numbers
    pages                       {"1c004": entry}: of page tables, by physical address in
                                hexadecimal, those that lead to the instruction, the stack,
                                tables and TSS, to cr2, and to what the step accessed

All numbers are decimal in JSON; addresses are linear unless they are called
offsets. Equal runs give equal recordings, to the bit.
"""

from collections.abc import Iterator
import json
import os
from typing import Any, NamedTuple

from ringside.emulators.registers import NUMBERS, SELECTORS

Path = str | os.PathLike[str]

FORMAT = "ringpong recording"
VERSION = 4
READ = (3, 4)       # versions; 3 had neither pages nor gaps

SELECTOR_KEYS = {"selector", "base", "limit", "type", "dpl", "attributes"}
STATE_KEYS = {*NUMBERS, *SELECTORS, "gdtr", "idtr", "gdt", "idt", "ldt", "tss", "frames", "stack"}
STEP_KEYS = {"bytes", "text", "symbol", "source", "accesses", "changes"}
PAGING = {"cr2", "cr3", "cr4"}
STATE_OPTIONS = {*PAGING, "pages"}
STEP_OPTIONS = {"repeats", "folded", "ended", "interrupt", "walks", "gap"}
HEAD_KEYS = {"format", "version", "emulator", "program", "base", "symbols", "frames", "state", "steps"}
HEAD_OPTIONS = {"crossings"}

# What JSON gives: plain dictionaries, whose keys the head of this file lists. A memory access is
# [kind, linear address, bytes, value].
State = dict[str, Any]
Step = dict[str, Any]
Recording = dict[str, Any]
Access = list[Any]


class Walked(NamedTuple):
    """A step, and the whole states around it."""
    number: int
    before: State
    step: Step
    after: State


class BadRecording(Exception):
    """What is wrong, and where: file, line or step."""


def save(recording: Recording, path: Path) -> None:
    """One line for each step, so that two recordings can be compared with diff."""
    head = {key: value for key, value in recording.items() if key != "steps"}
    with open(path, "w") as file:
        file.write(json.dumps(head, separators=(",", ":"))[:-1] + ',"steps":[\n')
        file.write(",\n".join(json.dumps(step, separators=(",", ":")) for step in recording["steps"]))
        file.write("\n]}\n")


def load(path: Path) -> Recording:
    """The recording in a file, checked; else BadRecording."""
    try:
        with open(path) as file:
            recording: Recording = json.load(file)
    except OSError as error:
        raise BadRecording(f"{path}: {error.strerror}; recordings are made by: make record") from None
    except ValueError as error:
        line = getattr(error, "lineno", "?")
        raise BadRecording(f"{path}:{line}: not a whole recording (cut short?): {error}; "
                           f"make it again: make record") from None
    check(recording, path)
    return recording


def check(recording: Recording, path: Path = "recording") -> None:
    """Raises BadRecording if a recording is not as the head of this file says."""
    def demand(true: bool, where: int, what: str) -> None:
        if not true:
            raise BadRecording(f"{path}:{where}: {what}")

    def check_values(values: State, where: int) -> None:
        for key, value in values.items():
            if key in NUMBERS or key in PAGING:
                demand(type(value) is int, where, f"{key} is not a number")
            elif key in SELECTORS:
                demand(type(value) is dict and set(value) == SELECTOR_KEYS, where,
                       f"{key}: expected {', '.join(sorted(SELECTOR_KEYS))}")
            else:
                demand(key in STATE_KEYS | STATE_OPTIONS, where, f"unknown key {key} in a state")

    demand(type(recording) is dict and recording.get("format") == FORMAT, 1,
           f'not a recording: "format" is not "{FORMAT}"')
    demand(recording.get("version") in READ, 1,
           f"a recording of version {recording.get('version')}, this program reads {READ[0]} to {READ[-1]}; "
           f"make it again: make record")
    demand(HEAD_KEYS <= set(recording) <= HEAD_KEYS | HEAD_OPTIONS, 1, f"expected the keys {', '.join(sorted(HEAD_KEYS))}")
    demand(STATE_KEYS <= set(recording["state"]) <= STATE_KEYS | STATE_OPTIONS, 1, "the first state is not complete")
    check_values(recording["state"], 1)
    for number, step in enumerate(recording["steps"]):
        line = number + 2
        demand(type(step) is dict and STEP_KEYS <= set(step) <= STEP_KEYS | STEP_OPTIONS, line,
               f"step {number}: expected the keys {', '.join(sorted(STEP_KEYS))}")
        check_values(step["changes"], line)
        for access in step["accesses"] or ():
            demand(len(access) == 4 and access[0] in ("read", "write"), line,
                   f"step {number}: not a memory access: {access}")


def walk(recording: Recording) -> Iterator[Walked]:
    """Gives (number, state before, step, state after) for each step, with whole states."""
    before = recording["state"]
    for number, step in enumerate(recording["steps"]):
        after = {**before, **step["changes"]}
        yield Walked(number, before, step, after)
        before = after


def turns(recording: Recording) -> list[int]:
    """How many instructions there were in ring 3 before each interrupt, since the one before it."""
    found = [0]
    for _, before, step, _ in walk(recording):
        if "interrupt" in step:
            found.append(0)
        else:
            found[-1] += before["cpl"] == 3
    return found[:-1]

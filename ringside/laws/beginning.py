"""Where ring 3 begins: found by the state of the CPU alone.

    entry = first_of_ring_3(image)      a linear address; NoRing3 says what the kernel does instead
"""

import re

from ringside.emulators import machines
from ringside.laws import looks, spaces

PROGRAM_START = 0x10100     # where the boot sector enters a program
STEPS_TO_RING_3 = 200_000
CHUNK = 500                 # instructions between two looks, behind ltr
CHUNK_TO_LTR = 4000         # and before it
RESET_LIMIT = 0xffff        # of TR, until ltr


class NoRing3(Exception):
    """The kernel never gets there; the message says what it does instead."""


# A line of Bochs' trace: the physical address, cs and eip.
_TRACED = re.compile(r"^\(0\)\.\[\d+\] \[(?:0x)?([0-9a-f]+)\] ([0-9a-f]{4}):([0-9a-f]+)", re.M)


_before_ltr = 0     # chunks, of the last program whose ring 3 was found: most hand-ins take as long


def first_of_ring_3(image: machines.Path, model: str = "") -> int:
    """The linear address of ring 3's first instruction. model: of Bochs' CPU, if it is another than usual."""
    global _before_ltr
    for chunks in (_before_ltr, None):
        if chunks != 0:
            before = _chunks_before_ltr(image, model) if chunks is None else chunks
            if found := _behind(image, model, before):
                _before_ltr = before
                return found
    raise NoRing3(f"{STEPS_TO_RING_3} instructions after ltr it is still in ring 0")


def _chunks_before_ltr(image: machines.Path, model: str) -> int:
    """No way in without a TSS: up to ltr, nothing need be looked at."""
    with looks.AskedBochs(image, model) as machine:
        begun = _begun(machine)
        for chunks in range(STEPS_TO_RING_3 // CHUNK_TO_LTR):
            _steps(machine, begun, CHUNK_TO_LTR)
            if machine.sreg()["tr"].limit != RESET_LIMIT:
                return chunks
    raise NoRing3(f"{STEPS_TO_RING_3} instructions after its start it has executed no ltr")


def _behind(image: machines.Path, model: str, chunks: int) -> int | None:
    """Ring 3's first instruction, if that comes behind so many chunks, and ltr in the next of them."""
    with looks.AskedBochs(image, model) as machine:
        begun = _begun(machine)
        if chunks:
            _steps(machine, begun, CHUNK_TO_LTR * chunks)
        machine.cmd("trace on")
        for place in range(STEPS_TO_RING_3 // CHUNK):
            loaded = machine.sreg()["tr"].limit != RESET_LIMIT
            if loaded != bool(place) and place in (0, CHUNK_TO_LTR // CHUNK):
                return None
            for physical, selector, offset in _TRACED.findall(_steps(machine, begun, CHUNK)):
                if int(selector, 16) & 3 == 3:
                    # With pages segments are flat, as far as the laws are tried.
                    return int(offset if spaces.on(machine.registers()) else physical, 16)
    return None


def _begun(machine: looks.AskedBochs) -> int:
    """At the program's start; the machine's time."""
    try:
        machine.run_to(PROGRAM_START, timeout=looks.LIMIT)
    except machines.Missing:
        raise NoRing3("the boot sector does not start the program") from None
    return machine.time()


def _steps(machine: looks.AskedBochs, begun: int, count: int) -> str:
    """Some instructions; what Bochs says of them. begun: the machine's time at the program's start."""
    try:
        out = machine.cmd(f"s {count}", looks.LIMIT)
    except machines.Missing as missing:
        said = str(missing).partition("\n")[0]
        raise NoRing3(said if "halts at" in said else "it halts in ring 0 before ring 3 is reached") from None
    if machine.time() - begun > looks.MACHINE_LIMIT:
        seconds = looks.MACHINE_LIMIT // looks.TICKS
        raise NoRing3(f"{seconds} seconds after its start, by the machine's clock, it is still in ring 0")
    if "shutdown" in out.lower():
        raise NoRing3("a fault in a fault in a fault: the CPU shuts down before ring 3 is reached")
    return out

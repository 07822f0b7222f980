"""A CPU that executes what is no code of the kernel: where did the last gate send it?

why(log, machine, symbols)      a sentence; "" if nothing of the kind is seen
"""

from ringside.why import ways_in
from ringside.why.log import Log
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refused
from ringside.why.source import Symbols


def inside(symbols: Symbols, address: int) -> bool:
    """Is it in a section of code?"""
    return any(address in code for code in symbols.code)


def why(log: Log, machine: Machine, symbols: Symbols) -> str:
    """Only where an ELF says what is code."""
    state = machine.state
    linear = state.segments["cs"].base + state["eip"] & 0xFFFFFFFF
    if not symbols.code or inside(symbols, linear) or state.segments["cs"].base or state.v86:
        return ""
    said = f"eip = {state['eip']:08x} lies in no section of code of the ELF: the CPU executes what is no code"
    if not log.events:
        return said
    event = log.events[-1]
    try:
        selector, offset = ways_in.interrupt(Machine(event.state, machine.physical, machine.memory), event.vector, event.software)
    except (Refused, Unknown, Unmapped):
        return said
    if inside(symbols, offset):
        return said + f"; {event} was the last that went through a gate, and its handler {selector:04x}:{offset:08x} is code"
    said += f"; the gate of {event} sent it to {selector:04x}:{offset:08x}, which is none either"
    for other, what in ((offset >> 16 | (offset & 0xFFFF) << 16, "the halves of the offset are swapped"), *(
            (offset & 0xFFFF | code.start & 0xFFFF0000, "the upper half of the offset is lost") for code in symbols.code
            if not offset >> 16)):
        if inside(symbols, other):
            return said + f"; {other:08x} is: {what} in the gate"
    return said

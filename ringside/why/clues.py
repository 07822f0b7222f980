"""What else the machine shows about a check that failed: the mistake behind it, where the numbers give it away.

refine(context, refusal)    the refusal, with a clause more if a clue is found; never another one
"""

import collections.abc

from ringside.why import frames, hidden, late, tables, unloaded
from ringside.why.context import Context
from ringside.why.log import Event
from ringside.why.machine import Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal, refuse

Walk = collections.abc.Callable[[], object]
EXT, WORD = 1, 4
STACK_FAULTS = (10, 12)     # which of the two, emulators do not agree on


def agrees(refusal: Refusal, event: Event, strict: bool = False) -> bool:
    """Is it the exception that was seen? EXT aside, which QEMU does not set. strict: Bochs has seen it."""
    same = refusal.vector == event.vector or not strict and {refusal.vector, event.vector} <= set(STACK_FAULTS)
    return same and (refusal.vector == 14 or refusal.error & ~EXT == event.error & ~EXT)


def fetch(machine: Machine) -> None:
    """eip beyond cs' limit."""
    state = machine.state
    cs = state.segments["cs"]
    if state.v86 and state["eip"] > hidden.LAST_8086:
        raise hidden.beyond_64_kib(state)
    if state["eip"] > cs.limit:
        raise refuse("cs-limit", f"eip = {state['eip']:08x} is beyond the limit {cs.limit:#x} of cs = {cs.selector:04x}", 13, 0,
                     "vol. 3A, 5.3", [])


def stack(machine: Machine) -> None:
    """A push or pop beyond ss' limit."""
    ss, esp = machine.state.segments["ss"], machine.state["esp"]
    for first in (esp - WORD, esp):
        if first & (0xFFFFFFFF if ss.big else 0xFFFF) > ss.limit - WORD + 1:
            raise refuse("stack-limit", f"the stack, ss:esp = {ss.selector:04x}:{esp:08x}, is beyond the limit {ss.limit:#x} of "
                         "its segment", 12, 0,
                         "vol. 3A, 5.3", [f"ss = {ss.selector:04x}, base {ss.base:08x}, limit {ss.limit:08x}"],
                         "set the limit of the stack's segment, and G in its descriptor, so that it takes in the stack")


def refine(context: Context, refusal: Refusal) -> Refusal:
    """Asks each clue in turn; the first that is found ends it."""
    for clue in (late.a20, unloaded.clue, tables.narrow, frames.no_far_jump, frames.real_mode, frames.stale_cs,
                 tables.lost_gdt, tables.lost_idt, tables.lost_tss, tables.gate, frames.clue, tables.gdt_order, tables.limit,
                 *late.CLUES):
        try:
            if clue(context, refusal):
                return refusal
        except (Unknown, Unmapped):
            continue
    return refusal

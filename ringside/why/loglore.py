"""What a log alone gives away: the error code names a selector, and only one word of the machine can have held it.

narrow(machine, event, before)      a Refusal whose check is not always known; None
"""

from ringside.why import words
from ringside.why.log import Event
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal

UNKNOWN = "which of the checks it was, only the descriptor shows, and a log does not have it"
INT = "vol. 3A, 6.12.1"


def narrow(machine: Machine, event: Event, before: Event | None) -> Refusal | None:
    """Only for what was refused on the way into an interrupt: the words that are read there are few."""
    if not before or before.exception or before.state.place() != event.state.place():
        return None
    state, selector = machine.state, event.error & ~7
    tr, limit = state.segments["tr"], state["gdt.limit"]
    way = f"on the way into {before}"
    beyond = f": beyond GDTR's limit {limit:#x}" if not event.error & 4 and (selector | 7) > limit else ""
    if event.vector == 10 and tr.selector & ~3 == 0:
        return Refusal("tr-not-loaded", f"TR = {tr.selector:04x}: no TSS was ever loaded with ltr, {way}", 10, event.error, INT)
    if event.vector == 10 and selector == tr.selector & ~7:
        return Refusal("tss-limit", f"the TSS' limit {tr.limit:#x} is too small for the stack's words, {way}", 10, event.error,
                       INT)
    if event.vector in (10, 12) and event.error & ~3:
        return Refusal("tss-ss0", f"TSS.ss0 is selector {event.error & ~3:04x} (RPL not known), read {way}{beyond}",
                       event.vector, event.error, INT,
                       [f"refused for one of: not within the table, RPL, DPL or type not those of a ring-0 stack, not present; "
                        f"{UNKNOWN}"] if not beyond else [],
                       certain=bool(beyond))
    if event.vector == 10:
        return Refusal("tss-ss0-null", f"TSS.ss0 is null, {way}", 10, event.error, INT)
    if event.vector in (11, 13) and event.error & 2:
        vector = event.error >> 3
        if 8 * vector + 7 > state["idt.limit"]:
            return Refusal("idt-limit", f"vector {vector:#x} is beyond the IDT's limit {state['idt.limit']:#x}", event.vector,
                           event.error, INT)
        if event.vector == 11:
            return Refusal("gate-not-present", f"gate {vector:#x} of the IDT is not present", 11, event.error, INT)
        return Refusal("gate", f"gate {vector:#x} of the IDT is refused, {way}", 13, event.error, INT,
                       [f"for one of: empty, not the type of a gate, or its DPL is below ring {state.cpl}; {UNKNOWN}"],
                       certain=False)
    if event.vector in (11, 13) and selector:
        return Refusal("gate-selector", f"the gate names selector {selector:04x} ({words.entry(selector)}), which is refused as "
                       f"a handler's code segment, {way}{beyond}",
                       event.vector, event.error, INT, certain=bool(beyond))
    return None

"""Clues in the tables: is what GDTR, IDTR and TR point to such a table at all, and what lies beside it?"""

import typing

from ringside.why import words
from ringside.why.context import Context
from ringside.why.log import State
from ringside.why.machine import Descriptor, Machine, Unmapped
from ringside.why.refusal import Refusal

SMALL_BASE = 1 << 24     # what a 16-bit lgdt or lidt leaves
BIOS = range(0xE0000, 0x100000)
TSS_WORDS = 0x68


def is_gdt(machine: Machine) -> bool:
    """Does a code segment of ring 0 lie there?"""
    limit = min(machine.state["gdt.limit"], 0xFFF)
    for selector in range(8, limit + 1, 8):
        found = machine.descriptor(selector)
        if found and found.is_code and found.present and found.dpl == 0 and found.limit >= 0xFFF:
            return True
    return False


def bases(machine: Machine) -> set[int]:
    """Where segments of ring 0 begin: symbols of a kernel that is not flat count from there."""
    found = {0, machine.state.segments["cs"].base if not machine.state.cpl else 0}
    for number in range(1, min((machine.state["gdt.limit"] + 1) // 8, 64)):
        entry = machine.descriptor(8 * number)
        if entry and entry.type & 0x10 and entry.dpl == 0 and entry.present:
            found.add(entry.base)
    return found


def elsewhere(context: Context, base: int, *names: str) -> str:
    """The symbol that should lie at the base of a table; "" if there is none, or it does."""
    known = context.symbols.called(*names)
    try:
        skipped = bases(context.machine)
    except Unmapped:
        skipped = {0}
    if not known or any(address + skip & 0xFFFFFFFF == base for _, address in known for skip in skipped):
        return ""
    return ", ".join(f"{name} is at {address:08x}" for name, address in known[:2])


def lost_gdt(context: Context, refusal: Refusal) -> bool:
    """GDTR points to no GDT."""
    machine = context.machine
    base, limit = machine.state["gdt.base"], machine.state["gdt.limit"]
    if refusal.vector == 14 or "idt" in refusal.key or refusal.key.startswith("gate-"):
        return False
    if is_gdt(machine):
        return False
    symbol = elsewhere(context, base, "gdt")
    refusal.says = (f"GDTR.base = {base:08x} (limit {limit:#x}): no GDT lies there, none of its entries is a code segment of "
                    "ring 0"
                    + (f"; {symbol}" if symbol else "") + f"; so {refusal.says}")
    refusal.key, refusal.fix = "gdt-base", "lgdt reads six packed bytes: limit, then the linear address of the table"
    if base % 0x10000 == 0 and base >> 16 and not symbol:
        refusal.fix += " (the lower half of this base is 0: is the struct packed?)"
    return True


def of_firmware(state: State) -> bool:
    """IDTR as reset and the BIOS leave it."""
    base, limit = state["idt.base"], state["idt.limit"]
    return base in BIOS or base == 0 and limit in (0, 0x3FF, 0xFFFF)


def gates(machine: Machine) -> int:
    """How many gates with a code segment lie in the IDT."""
    count = 0
    for vector in range(min(machine.state["idt.limit"] + 1, 0x800) // 8):
        gate = machine.gate(vector)
        if gate.present and gate.type in (6, 7, 14, 15, 5):
            code = machine.descriptor(gate.selector)
            count += code is not None and (code.is_code or gate.type == 5)
    return count


def lost_idt(context: Context, refusal: Refusal) -> bool:
    """IDTR points to no IDT, or was never loaded."""
    machine, state = context.machine, context.machine.state
    base, limit = state["idt.base"], state["idt.limit"]
    before = context.before
    if not (refusal.key.startswith(("gate-", "idt-limit", "handler")) or refusal.key == "real-mode"):
        return False
    here = f"IDTR: base {base:08x}, limit {limit:#x}"
    if of_firmware(state):
        refusal.key = "idt-not-loaded"
        refusal.says = f"{here}, as the firmware has left it: lidt was never executed, no IDT is loaded; so {refusal.says}"
        refusal.fix = "fill an IDT and load it with lidt before interrupts are switched on and int is used"
        if before and not before.exception and not before.software:
            refusal.key = "interrupts-before-idt"
            refusal.says = f"{before} came, with IF set, before an IDT was loaded. {refusal.says}"
        return True
    symbol = elsewhere(context, base, "idt")
    if overwritten(context, refusal):
        return True
    if refusal.key.startswith("gate-selector") or refusal.key == "gate-dpl":
        return False
    if not gates(machine):
        refusal.key = "idt-base"
        refusal.says = f"IDTR.base = {base:08x} (limit {limit:#x}): no IDT lies there" + (f"; {symbol}" if symbol
                                                                                          else "") + f"; so {refusal.says}"
        refusal.fix = "lidt reads six packed bytes: limit, then the linear address of the table itself"
        return True
    return False


def overwritten(context: Context, refusal: Refusal) -> bool:
    """The same IDT had a gate for this vector that was good, and that the CPU has gone through."""
    state, before = context.machine.state, context.before
    vector = before.vector if before and not before.exception else context.event.vector
    for event, behind in zip(context.past, [*context.past[1:], context.event]):
        there = event.state
        if event.vector != vector or not there.protected or behind.state.moment() == there.moment() or event is before:
            continue
        if (there["idt.base"], there["idt.limit"]) == (state["idt.base"], state["idt.limit"]):
            refusal.key = "idt-overwritten"
            refusal.says = (f"the IDT has been overwritten: vector {vector:#04x} went through its gate before, under the same "
                            f"IDTR (base {state['idt.base']:08x}, limit {state['idt.limit']:#x}); now {refusal.says}")
            refusal.fix = "look for what writes there: --who names the last that did"
            return True
    return False


def plausible_stack(machine: Machine, selector: int, ring: int) -> bool:
    """A selector of that ring's stack."""
    if selector & ~3 == 0 or selector > 0xFFFF or selector & 3 != ring:
        return False
    found = machine.descriptor(selector)
    return found is not None and found.is_stack and found.dpl == ring


def has_stack(machine: Machine, tss: int) -> bool:
    """Does a TSS with a ring-0 stack lie there?"""
    try:
        return plausible_stack(machine, machine.read(tss + 8), 0)
    except Unmapped:
        return False


def lost_tss(context: Context, refusal: Refusal) -> bool:
    """TR points to no TSS, or its words are swapped."""
    machine, tr = context.machine, context.machine.state.segments["tr"]
    if not refusal.key.startswith(("tss-", "esp0", "esp1", "esp2")) or refusal.key in ("tss-ldt", "tss-busy"):
        return False
    if refusal.key == "tss-limit":
        return False
    # A kernel may copy its TSS; so the symbol counts only if a TSS lies there, and none where TR points.
    symbol = elsewhere(context, tr.base, "tss")
    there = any(has_stack(machine, address) for _, address in context.symbols.called("tss"))
    if not there or has_stack(machine, tr.base):
        symbol = ""
    if symbol or tr.base < 0x1000 < tr.limit:
        swapped = tr.base < 0x1000 <= tr.limit
        refusal.key = "tss-base"
        refusal.says = (f"the TSS' base in its descriptor is wrong: TR.base = {tr.base:08x}, limit {tr.limit:#x}"
                        + (" (base and limit are swapped)" if swapped else "") + (f"; {symbol}" if symbol
                                                                                  else "") + f"; so {refusal.says}")
        refusal.fix = "the base is spread over bytes 2, 3, 4 and 7 of the descriptor; it is a linear address"
        return True
    for ring in (0, 1, 2) if tr.type & 8 else ():
        if f"ss{ring}" in refusal.key or f"esp{ring}" in refusal.key:
            esp, ss = machine.read(tr.base + 8 * ring + 4), machine.read(tr.base + 8 * ring + 8)
            if plausible_stack(machine, esp, ring) and not plausible_stack(machine, ss, ring):
                refusal.key = "tss-layout"
                refusal.says += f"; esp{ring} = {esp:08x} is ring {ring}'s data selector: ss{ring} and esp{ring} are swapped"
                refusal.fix = "the TSS begins with link, esp0, ss0, in this order"
                return True
    for base in bases(machine) - {0}:
        if refusal.key == "tss-ss0-null" and plausible_stack(machine, machine.read(base + tr.base + 8, 2), 0):
            refusal.key = "tss-base"
            refusal.says = (f"TR.base = {tr.base:08x} is not linear: a TSS lies at {base + tr.base:08x}, so the descriptor has "
                            f"the TSS' offset without the base {base:08x} of its segment; so {refusal.says}")
            refusal.fix = "add the segment's base to the TSS' offset in its descriptor"
            return True
    try:
        whole = machine.bytes(tr.base, TSS_WORDS)
    except Unmapped:
        return False
    if not any(whole):
        refusal.key = "tss-base"
        refusal.says = (f"TR.base = {tr.base:08x}: only zeros lie there, so the TSS' base is wrong or it was never filled in; "
                        f"{refusal.says}")
        return True
    return False


def narrow(context: Context, refusal: Refusal) -> bool:
    """lgdt or lidt with a 16-bit operand takes 24 bits of the base."""
    for name in ("gdt", "idt"):
        base = context.machine.state[f"{name}.base"]
        if refusal.key == f"{name}-unmapped" and base < SMALL_BASE and f"\tl{name}w" in context.symbols.listing:
            upper = name.upper()
            refusal.key, refusal.fix = f"l{name}-operand-size", f"use l{name} with a 32-bit operand: l{name}l"
            refusal.says = (f"{upper}R.base = {base:08x} has lost bits 24 to 31: the kernel loads it with a 16-bit operand "
                            f"(l{name}w); so {refusal.says}")
            return True
    return False


def gate(context: Context, refusal: Refusal) -> bool:
    """What is behind a gate that is refused."""
    machine = context.machine
    before = context.before
    vector = before.vector if before and not before.exception else -1
    if refusal.key in ("gate-missing", "gate-dpl") and vector >= 0x10 and vector % 16 < 10 and vector // 16 < 10:
        other = int(f"{vector:x}")
        found = machine.gate(other) if 8 * other + 7 <= machine.state["idt.limit"] else None
        if found and found.type in (14, 15) and found.dpl == 3:
            refusal.key = "gate-wrong-vector"
            refusal.says += f"; entry {other} ({other:#x}) has the gate: {vector:#x} was written as {other}, without 0x"
            refusal.fix = f"put the gate into entry {vector:#x}"
            return True
    if refusal.key == "gate-selector" and vector >= 0:
        names = machine.descriptor(machine.gate(vector).selector)
        if names and names.type in (1, 3, 9, 11):
            refusal.key = "gate-type-of-task"
            refusal.says += "; the gate's type is that of an interrupt gate: a TSS wants a task gate (type 5)"
            refusal.fix = "a task gate's type byte is 0x85"
            return True
    return False


def neighbours(machine: Machine, selector: int) -> typing.Iterator[tuple[int, Descriptor]]:
    """The entries beside a selector, with their selectors."""
    for near in ((selector & ~7) + 8, (selector & ~7) - 8):
        found = machine.descriptor(near) if near >= 8 else None
        if found:
            yield near, found


def gdt_order(context: Context, refusal: Refusal) -> bool:
    """Code where data is wanted and, beside it, the reverse."""
    if refusal.key not in ("far-type", "iret-cs-type"):
        return False
    machine, selector = context.machine, refusal.error & ~3
    mine = machine.descriptor(selector)
    for near, found in neighbours(machine, selector):
        if mine and mine.type & 0x10 and found.is_code and found.dpl == mine.dpl:
            refusal.key = "gdt-order"
            refusal.says += (f"; {words.entry(near)}, beside it, is {words.kind(found)}: code and data are in the other order in "
                             "the GDT")
            refusal.fix = "swap the two entries, or the selectors" + (
                "; sysenter and sysexit want kernel code, kernel data, user code, user data"
                if "sysexit" in context.symbols.listing else "")
            return True
    return False


def limit(context: Context, refusal: Refusal) -> bool:
    """What lies just beyond a limit."""
    machine, state = context.machine, context.machine.state
    if refusal.key == "idt-limit":
        count = state["idt.limit"] + 1
        if count in (255, 256, 257, 48, 49):
            refusal.says += f"; {state['idt.limit']} looks like a count of gates: the limit counts bytes"
            return True
    if refusal.key.endswith("-limit") and refusal.vector == 13 and refusal.error and not refusal.error & 6:
        at = state["gdt.base"] + refusal.error
        found = Descriptor(machine.read(at, 8), at)
        if found.present and refusal.error < state["gdt.limit"] + 0x20:
            refusal.says += f"; behind the limit lies {words.kind(found)}: GDTR's limit leaves it out"
            return True
    return False

"""The pseudo-code of an interrupt (Intel SDM vol. 2A, INT n; vol. 3A, 6.12.1), walked on a machine that stands still.

interrupt(machine, vector, software, ...)   raises Refused with the first check that fails;
                                            else (selector, offset) of the handler
"""

from ringside.why import words
from ringside.why.log import WITH_ERROR_CODE
from ringside.why.machine import Descriptor, Machine, Unmapped
from ringside.why.refusal import described, descriptor_of, refuse

INT, DELIVERY, STACK, TSS = "vol. 2A, INT n, Operation", "vol. 3A, 6.12", "vol. 3A, 6.12.1", "vol. 3A, 7.2.1"


def gate_line(vector: int, gate: Descriptor) -> str:
    """Evidence: a gate."""
    return f"IDT entry {vector:#04x} at {gate.at:08x} = {words.spell(gate)}"


def interrupt(machine: Machine, vector: int, software: bool, exception: bool = False) -> tuple[int, int]:
    """software: by int n, which the gate's DPL binds. exception: an error code is pushed if the vector has one."""
    state, external = machine.state, 0 if software else 1
    gate_error = vector << 3 | 2 | external
    base, limit = state["idt.base"], state["idt.limit"]
    idtr = f"IDTR: base {base:08x}, limit {limit:04x}"
    if not state.protected:
        if 4 * vector + 3 <= limit:
            return machine.read(base + 4 * vector + 2, 2), machine.read(base + 4 * vector, 2)
        raise refuse("real-mode", f"vector {vector:#04x} in real mode is beyond IDTR's limit {limit:#x}: the table at {base:08x} "
                     "has 4 bytes for each "
                     "vector", 13, 0, "vol. 3A, 20.1.4", [idtr], "load no IDT before protected mode is on, or one that real mode "
                     "can use")
    if 8 * vector + 7 > limit:
        raise refuse("idt-limit", f"vector {vector:#04x} is beyond the IDT's limit: its gate would end at {8 * vector + 7:#x}, "
                     f"IDTR.limit is {limit:#x}", 13, gate_error, INT, [idtr],
                     "make the limit 8 bytes for each gate, minus 1: 0x7ff for 256 gates")
    try:
        gate = machine.gate(vector)
    except Unmapped as hole:
        raise refuse("idt-unmapped", f"gate {vector:#04x} cannot be read: IDTR.base = {base:08x} is not mapped", 14, 0, INT,
                     [idtr, str(hole)],
                     "load IDTR with the linear address by which the IDT is mapped in every address space") from None
    line, bad = gate_line(vector, gate), f"gate {vector:#04x} of the IDT"
    if gate.raw == 0:
        raise refuse("gate-missing", f"{bad} is missing: all its bytes are 0", 13, gate_error, INT, [line, idtr],
                     f"put a gate for vector {vector:#04x} into the IDT")
    if gate.type not in (5, 6, 7, 14, 15):
        raise refuse("gate-type", f"{bad} has type {gate.type:#04x}, {words.SYSTEM.get(gate.type, 'no gate')}; an IDT takes "
                     "interrupt gates (0xe), trap gates (0xf) and task gates (5)", 13, gate_error, INT, [line, idtr],
                     "an interrupt gate's type byte is 0x8e, with DPL 3 0xee")
    if software and gate.dpl < state.cpl:
        raise refuse("gate-dpl", f"{bad} has DPL {gate.dpl}; int {vector:#04x} from ring {state.cpl} needs a gate with DPL "
                     f"{state.cpl}",
                     13, gate_error, INT, [line], "give the gate of a system call DPL 3: type byte 0xee or 0xef")
    if not gate.present:
        raise refuse("gate-not-present", f"{bad} is not present: P is 0", 11, gate_error, INT, [line],
                     "set bit 7 of the gate's type byte")
    if gate.type == 5:
        from ringside.why import tasks
        tasks.switch(machine, gate.selector, f"the task gate {vector:#04x} names {gate.selector:04x}", "task-gate", external,
                     [line])
        return gate.selector, 0
    code = handler(machine, vector, gate, line, external)
    inner = not code.is_conforming and code.dpl < state.cpl
    size = 4 if gate.type & 8 else 2
    room = size * (3 + 2 * inner + (exception and vector in WITH_ERROR_CODE))
    if state.v86:
        room += 4 * size
    if inner:
        new_stack(machine, code.dpl, room, external)
    else:
        same_stack(machine, room, external)
    if gate.offset > code.limit:
        raise refuse("handler-offset", f"the handler of vector {vector:#04x}, {gate.selector:04x}:{gate.offset:08x}, is beyond "
                     f"its segment's limit {code.limit:#x}", 13, external, INT, [line, described(gate.selector, code)])
    return gate.selector, gate.offset


def handler(machine: Machine, vector: int, gate: Descriptor, line: str, external: int) -> Descriptor:
    """The code segment that a gate names."""
    selector, cpl = gate.selector, machine.state.cpl
    who, error = f"gate {vector:#04x} names selector {selector:04x}", selector & ~3 | external
    if selector & ~3 == 0:
        raise refuse("gate-selector-null", f"{who}, which is null (entry 0 of the GDT)", 13, external, INT, [line],
                     "a selector is the index times 8: entry 1 is 0008")
    code = descriptor_of(machine, selector, who, "gate-selector", 13, INT, external)
    evidence = [line, described(selector, code)]
    if not code.is_code:
        raise refuse("gate-selector", f"{who}: {words.entry(selector)} is no code segment: {words.kind(code)}", 13, error, INT,
                     evidence,
                     "name the kernel's code segment in the gate")
    if code.dpl > cpl:
        raise refuse("gate-selector-dpl",
                     f"{who}: its DPL {code.dpl} is above CPL {cpl}: an interrupt cannot go to an outer ring",
                     13, error, INT, evidence, "name a code segment of ring 0 in the gate")
    if not code.present:
        raise refuse("gate-selector-not-present", f"{who}: {words.entry(selector)} is not present", 11, error, INT, evidence)
    return code


def new_stack(machine: Machine, ring: int, room: int, external: int) -> None:
    """INTER-PRIVILEGE-LEVEL-INTERRUPT: the stack of the new ring, from the TSS."""
    tr = machine.state.segments["tr"]
    here = f"TR: selector {tr.selector:04x}, base {tr.base:08x}, limit {tr.limit:04x}, type {tr.type:x}"
    here += " (a TSS of 16 bits)" if tr.type in (1, 3) else ""
    why = f"ring {ring}'s stack must be read from the TSS"
    if tr.selector & ~3 == 0:
        raise refuse("tr-not-loaded", f"TR = {tr.selector:04x}: no TSS was ever loaded with ltr; {why}", 10, external, STACK,
                     [here],
                     "build a TSS, put its descriptor into the GDT, and load its selector with ltr")
    if tr.type not in (1, 3, 9, 11):
        raise refuse("tr-type", f"TR = {tr.selector:04x} is of type {tr.type:x}, no TSS; {why}", 10, external, STACK, [here])
    # A TSS of 16 bits has sp0 and ss0 at 2 and 4 (vol. 3A, 7.6).
    size, least = (4, 0x67) if tr.type & 8 else (2, 0x2B)
    pointer, name = "esp" if size == 4 else "sp", f"ss{ring}"
    place = size * (1 + 2 * ring)
    if place + 2 * size - 1 > tr.limit:
        raise refuse("tss-limit", f"the TSS' limit {tr.limit:#x} is too small: {name} and {pointer}{ring} end at "
                     f"{place + 2 * size - 1:#x}, a TSS at {least:#x}",
                     10, tr.selector & ~3 | external, TSS, [here], f"the limit is sizeof of the struct minus 1: {least:#x} at "
                     "least")
    try:
        esp, ss = machine.read(tr.base + place, size), machine.read(tr.base + place + size, 2)
    except Unmapped as hole:
        raise refuse("tss-unmapped", f"{name} cannot be read: the TSS' base {tr.base:08x} is not mapped", 14, 0, TSS,
                     [here, str(hole)],
                     "the TSS descriptor's base is a linear address that is mapped in every address space") from None
    evidence = [f"TSS at {tr.base:08x}: {pointer}{ring} (+{place:#x}) = {esp:0{2 * size}x}, {name} (+{place + size:#x}) = "
                f"{ss:04x}", here]
    who, error = f"TSS.{name} = {ss:04x}", ss & ~3 | external
    if ss & ~3 == 0:
        raise refuse(f"tss-{name}-null", f"{who} is null; ring {ring} needs a stack segment", 10, external, STACK, evidence,
                     f"set {name} of the TSS to ring {ring}'s data selector")
    try:
        stack = descriptor_of(machine, ss, who, f"tss-{name}", 10, STACK, external)
    except Exception as refused:
        if hasattr(refused, "refusal"):
            refused.refusal.bytes[:0] = evidence
        raise
    evidence[1:1] = [described(ss, stack)]
    if ss & 3 != ring:
        raise refuse(f"tss-{name}-rpl", f"{who} has RPL {ss & 3}; ring {ring}'s stack needs RPL {ring}", 10, error, STACK,
                     evidence,
                     f"the last two bits of {name} are the ring: {ring}")
    if stack.dpl != ring:
        raise refuse(f"tss-{name}-dpl", f"{who}: its descriptor, {words.entry(ss)}, has DPL {stack.dpl}; a ring-{ring} stack "
                     f"needs DPL {ring}",
                     10, error, STACK, evidence, f"set {name} to a data segment of ring {ring}")
    if not stack.is_stack:
        raise refuse(f"tss-{name}-type", f"{who}: {words.entry(ss)} is no data segment that can be written: {words.kind(stack)}",
                     10, error, STACK, evidence, f"set {name} to ring {ring}'s data segment")
    if not stack.present:
        raise refuse(f"tss-{name}-not-present", f"{who}: {words.entry(ss)} is not present", 12, error, STACK, evidence,
                     "set P in the descriptor")
    mask = 0xFFFFFFFF if stack.big else 0xFFFF
    lowest = esp - room & mask
    if lowest + room - 1 > stack.limit:
        raise refuse(f"esp{ring}-limit", f"TSS.esp{ring} = {esp:08x} is beyond the limit {stack.limit:#x} of its segment "
                     f"ss{ring} = {ss:04x}: {room} bytes do not fit below it", 12, error, STACK, evidence,
                     f"esp{ring} is an offset in {name}'s segment: subtract the segment's base {stack.base:08x}")
    pushable(machine, stack.base + lowest, room, f"TSS.esp{ring} = {esp:08x}", f"esp{ring}-unmapped", evidence)


def same_stack(machine: Machine, room: int, external: int) -> None:
    """INTRA-PRIVILEGE-LEVEL-INTERRUPT: the stack in use."""
    state = machine.state
    ss, esp = state.segments["ss"], state["esp"]
    mask = 0xFFFFFFFF if ss.big else 0xFFFF
    lowest = (esp & mask) - room & mask
    evidence = [f"ss:esp = {ss.selector:04x}:{esp:08x}, limit {ss.limit:08x}"]
    if lowest + room - 1 > ss.limit:
        raise refuse("stack-limit", f"the stack, ss:esp = {ss.selector:04x}:{esp:08x}, is beyond its segment's limit "
                     f"{ss.limit:#x}: {room} bytes cannot be pushed", 12, external, STACK, evidence)
    pushable(machine, ss.base + lowest, room, f"esp = {esp:08x}", "stack-unmapped", evidence)


def pushable(machine: Machine, linear: int, room: int, who: str, key: str, evidence: list[str]) -> None:
    """The page tables let ring 0 push there."""
    try:
        machine.writable(linear, room)
    except Unmapped as hole:
        write = hole.walk.physical is not None
        what = "the page below it is read-only" if write else "the page below it is not mapped"
        raise refuse(key, f"{who}: {what}, so the CPU cannot push there", 14, 3 if write else 2,
                     "vol. 3A, 4.7", [str(hole), *evidence],
                     "the stack must be mapped, writable, in every address space") from None

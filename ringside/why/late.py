"""What the CPU has let pass, and what it refuses later because of it: the mistake, by the marks that it leaves.

CLUES               for clues.refine: each has a refusal, and puts the mistake in front of it
executes(log, machine, symbols)     of a CPU that executes on where nothing is refused: a Refusal, None without a mark
"""

from ringside.why import frames, instructions, late_tasks, ways_in, ways_out, wild, words
from ringside.why.context import Context
from ringside.why.log import NONE, Event, Log
from ringside.why.machine import Descriptor, Machine, Unknown, Unmapped
from ringside.why.refusal import Refusal, Refused
from ringside.why.source import Symbols

GATES_16, CALL_GATES = (6, 7), (4, 12)
WORD, ESP0 = 4, 4
OUTER, RF, INT_BYTES = 3, 1 << 16, 2
WHOLE = 0xFFFFFFFF
GDT, LDT = 0, 4         # selectors of the tables
HIGHEST = 0xFFFF0000    # a stack that began at 0 goes down from the end of memory
SMALL = 0xFFFF
NEAR = 0x100            # bytes of a routine


def behind(refusal: Refusal, key: str, says: str, fix: str) -> bool:
    """Puts the mistake in front of what was refused."""
    refusal.key, refusal.says, refusal.fix = key, f"{says}; so {refusal.says}", fix
    return True


def a20(context: Context, refusal: Refusal) -> bool:
    """QEMU's log says so."""
    state = context.machine.state
    if not state.protected or state.numbers.get("a20", 1):
        return False
    return behind(refusal, "a20-shut", "A20 is shut in protected mode: of each address bit 20 is 0, so that 00100000 is "
                  "00000000 and what is written there overwrites the other",
                  "open A20 before protected mode, and test that it is open")


def sizes(context: Context, refusal: Refusal) -> bool:
    """D of the code, B of the stack: of two segments for one kernel, one is for 16 bits."""
    state = context.machine.state
    cs, ss = state.segments["cs"], state.segments["ss"]
    if not state.protected or state.v86 or state.cpl or cs.big == ss.big or cs.base == cs.selector << 4:
        return False
    if ss.big:
        says = (f"cs = {cs.selector:04x}: its descriptor lacks the D bit, and that of ss has B: 32-bit code runs as 16-bit code")
        return behind(refusal, "code-d-bit", says, "set D in the code segment's descriptor: flags 0xc, or 0x4 without G")
    if ss.limit <= SMALL:
        return False
    says = (f"ss = {ss.selector:04x}: its descriptor lacks the B bit, though its limit is {ss.limit:#x}: push and pop use sp, "
            f"the lower half of esp = {state['esp']:08x}")
    return behind(refusal, "stack-b-bit", says, "set B in the stack segment's descriptor")


def gate_16(context: Context, refusal: Refusal) -> bool:
    """An iret of 32 bits behind a gate of the 286."""
    came = next((event for event in reversed(context.past) if not event.exception or event.old == NONE), None)
    if instructions.Code(context.machine).name != "iret" or came is None:
        return False
    gate = context.machine.gate(came.vector)
    if gate.type not in GATES_16:
        return False
    says = (f"gate {came.vector:#04x} of the IDT has the 286's type {gate.type}: it pushes words of 16 bits, and this iret pops "
            "words of 32")
    return behind(refusal, "gate-16-bit", says, "give the gate type 0xe")


def call_gate(context: Context, refusal: Refusal) -> bool:
    """A far ret that takes other words off than the gate has put there."""
    machine = context.machine
    code = instructions.Code(machine)
    gate = gate_of(machine) if code.name == "ret far" else None
    if gate is None:
        return False
    released, count = code.decoded.immediate or 0, gate.raw >> 32 & 31
    if gate.type == CALL_GATES[0]:
        says = (f"the call gate at {gate.at:08x} has the 286's type 4: it pushes words of 16 bits, and this far ret pops words "
                "of 32")
        return behind(refusal, "callgate-16-bit", says, "give the call gate type 0xc")
    if count * WORD == released:
        return False
    says = (f"the call gate at {gate.at:08x} copies {count} words of parameters, and this far ret releases {released} bytes, "
            f"which are {released // WORD}")
    return behind(refusal, "callgate-words", says, f"let the gate count {released // WORD}: in words, not bytes")


def gate_of(machine: Machine) -> Descriptor | None:
    """The call gate whose code this is: that which leads nearest in front of eip."""
    state = machine.state
    found = []
    for _, base, limit in (machine.table(GDT), machine.table(LDT)):
        for at in range(base, base + limit - 6, 8):
            gate = Descriptor(machine.read(at, 8), at)
            if gate.present and gate.type in CALL_GATES and gate.offset & mask(gate) <= state["eip"] & mask(gate):
                found.append(((state["eip"] - gate.offset) & mask(gate), gate))
    away, nearest = min(found, key=lambda one: one[0], default=(NEAR, None))
    return nearest if away < NEAR else None


def mask(gate: Descriptor) -> int:
    """A gate of the 286 has 16 bits of offset."""
    return 0xFFFFFFFF if gate.type & 8 else SMALL


def esp0(context: Context, refusal: Refusal) -> bool:
    """Ring 0's stack is at the end of memory, because it began at 0."""
    machine, state = context.machine, context.machine.state
    tr = state.segments["tr"]
    if state.cpl or not tr.selector & ~3 or not tr.type & 8 or state.segments["ss"].base or state["esp"] < HIGHEST:
        return False
    if machine.read(tr.base + ESP0):
        return False
    says = (f"TSS.esp0 = 00000000 was never set: the way in pushed from the end of the address space down, and esp = "
            f"{state['esp']:08x} is no stack")
    return behind(refusal, "esp0-zero", says, "set esp0 to the end of a kernel stack before ring 3 is entered")


def near_ret(context: Context, refusal: Refusal) -> bool:
    """A far ret in a ring whose code this is not: a near ret of an inner ring has led there."""
    machine = context.machine
    gate = gate_of(machine) if instructions.Code(machine).name == "ret far" else None
    code = machine.descriptor(gate.selector) if gate else None
    if gate is None or code is None or code.is_conforming or code.dpl <= machine.state.cpl:
        return False
    for skip in range(-2 * WORD, WORD, WORD):
        found = ways_out.frame(machine, WORD, 2, skip)
        if len(found) == 2 and frames.is_code(machine, found[1]) and found[1] & 3 == code.dpl \
                and abs(found[0] - machine.state["eip"]) < NEAR:
            says = (f"ring {machine.state.cpl} executes the code of ring {code.dpl}, to which the call gate at "
                    f"{gate.at:08x} leads: "
                    f"a near ret has taken {found[0]:08x} alone from the words of a call gate, and left cs = {found[1]:04x}")
            return behind(refusal, "ret-for-lret", says, "end what a call gate leads to with lret")
    return False


def overwritten(context: Context, refusal: Refusal) -> bool:
    """A frame that the CPU has pushed for ring 3, and whose esp or ss is another by now."""
    machine = context.machine
    found = ways_out.frame(machine, WORD, 5)
    if instructions.Code(machine).name != "iret" or not refusal.key.startswith("iret-ss") or len(found) < 5:
        return False
    eip, cs, flags, esp, ss = found
    for came in reversed(context.past):
        state = came.state
        if state.cpl != OUTER or state.v86 or state.segments["cs"].selector != cs or (state["efl"] ^ flags) & ~RF \
                or not 0 <= eip - state["eip"] <= INT_BYTES:
            continue
        pushed = {"esp": state["esp"], "ss": state.segments["ss"].selector}
        name, now = next(((name, now) for name, now in (("ss", ss), ("esp", esp)) if pushed[name] != now), ("", 0))
        if not name:
            return False
        return behind(refusal, "frame-overwritten", f"the frame's {name} has been overwritten: {came} of ring 3 pushed it as "
                      f"{pushed[name]:08x}, with the eip, cs and eflags that lie here still, and now it is {now:08x}",
                      "look at what lies around esp0: --who names the instruction that has written there")
    return False


CLUES = (overwritten, sizes, gate_16, near_ret, call_gate, esp0, *late_tasks.CLUES)


# ---- nothing is refused, and what runs is not what should

def executes(log: Log, machine: Machine, symbols: Symbols) -> Refusal | None:
    """Of a machine that stands still, as it is."""
    try:
        return (wrong_offset(log, machine, symbols) or ring_3s_code(log, machine) or rest_of_frame(machine)
                or late_tasks.falls_through(log, machine, symbols))
    except (Unknown, Unmapped, Refused):
        return None


def wrong_offset(log: Log, machine: Machine, symbols: Symbols) -> Refusal | None:
    """A gate sent the CPU to what is no code, and its offset is another one's, badly put together."""
    said = wild.why(log, machine, symbols)
    _, found, what = said.rpartition(" is: ")
    if not found:
        return None
    event = log.events[-1]
    before = Machine(event.state, machine.physical, machine.memory)
    selector, offset = ways_in.interrupt(before, event.vector, event.software)
    at = event.state["idt.base"] + 8 * event.vector
    gate = machine.gate(event.vector)
    says = (f"gate {event.vector:#04x} of the IDT leads to {selector:04x}:{offset:08x}, which is no code: {what}; so "
            f"{said.partition('; the gate of')[0]}")
    return Refusal("gate-offset", says, words.NOTHING, 0, "vol. 3A, 6.11",
                   [f"gate {event.vector:#04x} at {at:08x} = {gate.raw:016x}"],
                   "put bits 0 to 15 of the handler's address into the gate's first word, bits 16 to 31 into its last")


def ring_3s_code(log: Log, machine: Machine) -> Refusal | None:
    """Ring 0 runs where ring 3 was when it was last interrupted."""
    state = machine.state
    came = next((event.state for event in reversed(log.events) if event.state.cpl == 3 and not event.state.v86), None)
    if state.cpl or came is None or not state.protected:
        return None
    here, there = (one.segments["cs"].base + one["eip"] for one in (state, came))
    if abs(here - there) > NEAR:
        return None
    cs = state.segments["cs"]
    says = (f"ring 0 executes the code of ring 3, at {cs.selector:04x}:{state['eip']:08x}, near where ring 3 was when it was "
            f"interrupted ({came['eip']:08x}): a handler has ended with ret, which takes eip alone from the frame, and not iret")
    return Refusal("ret-for-iret", says, words.NOTHING, 0, "vol. 2A, IRET, Operation",
                   [f"esp = {state['esp']:08x}: cs, eflags, esp and ss of a frame may still lie there"],
                   "end the handler with iret; a function of C cannot be a handler by itself")


def swapped(events: list[Event], symbols: Symbols) -> tuple[Event, Refusal] | None:
    """Ring 3 runs where no code is, and its stack is in code: the first of these events that shows it."""
    for event in events:
        state = event.state
        eip, esp = state.segments["cs"].base + state["eip"], state.segments["ss"].base + state["esp"]
        if state.cpl != OUTER or state.v86 or wild.inside(symbols, eip & WHOLE) or not wild.inside(symbols, esp & WHOLE):
            continue
        says = (f"eip and esp of ring 3 are swapped: eip = {state['eip']:08x} lies in no section of code of the ELF, and esp = "
                f"{state['esp']:08x} does ({symbols.line(esp)}); sysexit takes eip from edx, and esp from ecx")
        return event, Refusal("sysexit-registers", says, words.NOTHING, 0, "vol. 2B, SYSEXIT",
                              [f"seen at {event}: eip {state['eip']:08x}, esp {state['esp']:08x}"],
                              "in front of sysexit edx is ring 3's eip, and ecx its esp")
    return None


def rest_of_frame(machine: Machine) -> Refusal | None:
    """Ring 0 executes, and at its esp lies what a ret has left of a frame for an outer ring."""
    state = machine.state
    found = ways_out.frame(machine, WORD, 5, -WORD)
    if state.cpl or not state.protected or len(found) < 5:
        return None
    eip, cs, flags, _, ss = found
    if not frames.is_code(machine, cs) or not cs & 3 or not frames.is_flags(flags) or not frames.is_stack(machine, ss) \
            or ss & 3 != cs & 3 or not 0 <= state["eip"] - eip < NEAR:
        return None
    says = (f"ring 0 executes the code of ring {cs & 3}, at {state.segments['cs'].selector:04x}:{state['eip']:08x}: esp = "
            f"{state['esp']:08x} points to the rest of a frame, cs = {cs:04x}, eflags = {flags:08x}, esp and ss = "
            f"{ss:04x}, of which a ret has taken eip = {eip:08x} alone, and no iret the rest")
    return Refusal("ret-for-iret", says, words.NOTHING, 0, "vol. 2A, IRET, Operation",
                   [f"frame at {state['esp'] - WORD:08x}: {' '.join(f'{word:08x}' for word in found)}"],
                   "end the way out with iret")

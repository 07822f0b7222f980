"""An instruction that the CPU has refused, walked on a machine that stands still.

at(machine)              the Code at cs:eip
check(machine, code)     raises Refused, Unmapped or Unknown; returns if nothing is wrong as far as this knows
"""

import typing

from ringside.judge.decode import decode
from ringside.why import ways_in, ways_out, words
from ringside.why.machine import Machine, Unmapped
from ringside.why.refusal import described, descriptor_of, refuse

LONGEST = 15
NOT_BACK = "which did not come back behind it"
SYSENTER, SYSEXIT = b"\x0f\x34", b"\x0f\x35"


class Code:
    """Bytes at cs:eip, and what they say."""

    def __init__(self, machine: Machine) -> None:
        """Reads the code; raises Unmapped if not even its first byte is there."""
        cs = machine.state.segments["cs"]
        self.linear = cs.base + machine.state["eip"] & 0xFFFFFFFF
        self.wide = cs.big and not machine.state.v86
        try:
            self.bytes = machine.bytes(self.linear, LONGEST)
        except Unmapped as hole:
            if hole.linear == self.linear:
                raise
            self.bytes = machine.bytes(self.linear, hole.linear - self.linear)
        self.decoded = decode((self.bytes + bytes(LONGEST)).hex(), self.wide)

    def interrupt(self) -> int | None:
        """The vector of int n, int3 and into; else None."""
        if self.name == "int":
            return int(self.decoded.immediate)
        return {"int3": 3, "into": 4}.get(self.name)

    @property
    def name(self) -> str:
        """As the judge's decoder names it, and the two that it does not know."""
        return {SYSENTER: "sysenter", SYSEXIT: "sysexit"}.get(self.bytes[:2], self.decoded.name or "")


def operand(machine: Machine, code: typing.Any, size: int) -> int:
    """Of rm: a register, or memory."""
    if code.memory is None:
        return machine.state[code.source] & (1 << 8 * size) - 1
    offset = code.memory.offset(lambda register: machine.state[register])
    return machine.read(machine.state.segments[code.memory.segment].base + offset, size)


def check(machine: Machine, code: Code) -> None:
    """Walks what the instruction does, by its kind."""
    name, decoded, state = code.name, code.decoded, machine.state
    if state.v86:
        monitored(machine, code)
    if state.v86 or not state.protected:
        return
    if name == "iret":
        ways_out.back(machine, decoded.size, True)
    elif name == "ret far":
        ways_out.back(machine, decoded.size, False, decoded.immediate)
    elif name == "int":
        ways_in.interrupt(machine, decoded.immediate, True)
    elif name in ("load segment", "pop segment", "load far pointer"):
        load(machine, code)
    elif name in ("ltr", "lldt"):
        load_system(machine, name, operand(machine, decoded, 2))
    elif name in ("call far", "jmp far"):
        far(machine, code)
    elif name in ("sysenter", "sysexit"):
        system(machine, name)
    elif name in ("privileged", "lgdt", "lidt", "clts", "write control") and state.cpl:
        raise refuse("privileged-instruction", f"the instruction is privileged: only ring 0 may execute it, and this is ring "
                     f"{state.cpl} (CPL {state.cpl})",
                     13, 0, "vol. 3A, 5.9", [cs_line(machine)], "run this code in ring 0, or ask the kernel by a system call")
    elif name in ("cli", "sti", "in", "out") and state.cpl > state["efl"] >> 12 & 3:
        ports(machine, code)
    elif decoded.memory and name in ("read", "write", "div"):
        data(machine, code)


def monitored(machine: Machine, code: Code) -> None:
    """vol. 3A, 20.2.8: what an 8086 task leaves to its monitor."""
    iopl = machine.state["efl"] >> 12 & 3
    pushf = code.bytes[:1] == b"\x9c"
    if code.name == "privileged" or iopl < 3 and (code.name in ("int", "iret", "cli", "sti", "popf") or pushf):
        name = "pushf" if pushf else "it" if code.name == "privileged" else code.name
        if code.name == "int":
            name = f"int {code.decoded.immediate:#04x}"
        says = f"in virtual-8086 mode with IOPL {iopl}, {name} is left to the monitor, the handler of #GP, {NOT_BACK}"
        raise refuse("v86-monitor", says, 13, 0, "vol. 3A, 20.2.8", [cs_line(machine)],
                     "the monitor does what the instruction would do, and moves the frame's eip behind it")


def cs_line(machine: Machine) -> str:
    """Evidence: ring and IOPL."""
    state = machine.state
    return f"cs = {state.segments['cs'].selector:04x}, CPL {state.cpl}, eflags {state['efl']:08x}: {words.flags(state['efl'])}"


def ports(machine: Machine, code: Code) -> None:
    """cli, sti, in and out: IOPL, then the I/O map (vol. 1, 18.5)."""
    state, name = machine.state, code.name
    says = f"{name} in ring {state.cpl} with IOPL {state['efl'] >> 12 & 3}: IOPL is too low"
    if name in ("cli", "sti"):
        raise refuse("iopl", says, 13, 0, f"vol. 2A, {name.upper()}", [cs_line(machine)], "raise IOPL in the frame's eflags, or "
                     "leave it to ring 0")
    number = code.decoded.immediate if code.decoded.has_immediate else state["edx"] & 0xFFFF
    tr = state.segments["tr"]
    place = machine.read(tr.base + 0x66, 2)
    line = f"TSS at {tr.base:08x}, limit {tr.limit:x}: I/O map base (+0x66) = {place:04x}"
    at = place + number // 8
    if at + 1 > tr.limit:
        raise refuse("io-map-limit", f"{says}, and port {number:#x}'s bit of the I/O map is beyond the TSS' limit: byte "
                     f"{at + 1:#x}, limit {tr.limit:#x}",
                     13, 0, "vol. 1, 18.5.2", [cs_line(machine), line], "enlarge the TSS' limit so that it takes in the map and "
                     "a byte of ones behind it")
    found = machine.read(tr.base + at, 2) >> number % 8 & (1 << code.decoded.size) - 1
    if found:
        raise refuse("io-map", f"{says}, and the bit of port {number:#x} in the TSS' I/O map is 1: closed", 13, 0,
                     "vol. 1, 18.5.2",
                     [cs_line(machine), line, f"byte +{at:#x} = {machine.read(tr.base + at, 1):02x}"], "a port is open where its "
                     "bit is 0")


def load(machine: Machine, code: Code) -> None:
    """mov, pop and lds into a segment register: vol. 2B, MOV."""
    decoded, state = code.decoded, machine.state
    register = decoded.register
    if code.name == "pop segment":
        selector = ways_out.frame(machine, decoded.size, 1)[0] & 0xFFFF
    elif code.name == "load far pointer":
        selector = operand(machine, decoded, decoded.size + 2) >> 8 * decoded.size
    else:
        selector = operand(machine, decoded, 2)
    who, place, error, ring = f"{register} = {selector:04x}", "vol. 2B, MOV, Operation", selector & ~3, state.cpl
    if selector & ~3 == 0:
        if register == "ss":
            raise refuse("load-ss-null", f"{who} is null", 13, 0, place, [])
        return
    found = descriptor_of(machine, selector, who, "load", 13, place)
    line = [described(selector, found)]
    if register == "ss":
        if selector & 3 != ring or found.dpl != ring or not found.is_stack:
            raise refuse("load-ss", f"{who} has RPL {selector & 3} and {words.entry(selector)} is {words.kind(found)}; ring "
                         f"{ring}'s stack needs data that can be written, RPL and DPL {ring}", 13, error, place, line)
    elif not found.is_readable:
        raise refuse("load-type", f"{who}: {words.entry(selector)} is {words.kind(found)}, which cannot be read", 13, error,
                     place, line)
    elif not found.is_conforming and found.dpl < max(ring, selector & 3):
        raise refuse("load-dpl", f"{who} has RPL {selector & 3}, and {words.entry(selector)} has DPL {found.dpl}; CPL is {ring}: "
                     "the DPL must not be below "
                     "either", 13, error, place, line, "give the user's data segment DPL 3 (access byte 0xf2), or load another "
                     "selector")
    if not found.present:
        raise refuse("load-not-present", f"{who}: {words.entry(selector)} is not present", 12 if register == "ss" else 11, error,
                     place, line)


def load_system(machine: Machine, name: str, selector: int) -> None:
    """ltr and lldt."""
    who, place, error = f"{name} {selector:04x}", f"vol. 2A, {name.upper()}", selector & ~3
    wanted, what = ((1, 9), "a TSS that is not busy (type 9)") if name == "ltr" else ((2,), "an LDT (type 2)")
    if selector & ~3 == 0:
        if name == "ltr":
            raise refuse("ltr-null", f"{who}: the selector is null", 13, 0, place, [])
        return
    found = descriptor_of(machine, selector, who, name, 13, place)
    line = [described(selector, found)]
    if found.type not in wanted:
        busy = found.type in (3, 11)
        raise refuse("tss-busy" if busy else f"{name}-type",
                     f"{who}: {words.entry(selector)} has type {found.type:#x}, {words.kind(found)}; {name} needs {what}", 13,
                     error, place, line,
                     "the TSS descriptor's access byte is 0x89; ltr itself sets busy" if name == "ltr" else "")
    if not found.present:
        raise refuse(f"{name}-not-present", f"{who}: {words.entry(selector)} is not present", 11, error, place, line)


def far(machine: Machine, code: Code) -> None:
    """Far call and jmp: to code, through a call gate, or to a task."""
    from ringside.why import tasks
    decoded, cpl = code.decoded, machine.state.cpl
    if decoded.memory:
        pointer = operand(machine, decoded, decoded.size + 2)
        selector, offset = pointer >> 8 * decoded.size, pointer & (1 << 8 * decoded.size) - 1
    else:
        selector, offset = decoded.selector, decoded.immediate
    verb = "far call" if code.name == "call far" else "far jmp"
    who, error = f"{verb} to {selector:04x}:{offset:08x}", selector & ~3
    place = f"vol. 2A, {'CALL' if 'call' in verb else 'JMP'}, Operation"
    if selector & ~3 == 0:
        raise refuse("far-null", f"{who}: the selector is null", 13, 0, place, [])
    found = descriptor_of(machine, selector, who, "far", 13, place)
    line = [described(selector, found)]
    if found.type in (1, 3, 9, 11, 5):
        tasks.switch(machine, found.selector if found.type == 5 else selector, who, "task", 0, line)
    elif found.type in (4, 12):
        call_gate(machine, who, selector, line)
    elif not found.is_code:
        raise refuse("far-type", f"{who}: {words.entry(selector)} is no code segment: {words.kind(found)}", 13, error, place,
                     line,
                     "mend the selector, or the order of the GDT")
    elif found.is_conforming and found.dpl > cpl or not found.is_conforming and (found.dpl != cpl or selector & 3 > cpl):
        raise refuse("far-dpl", f"{who}: the code segment has DPL {found.dpl}, and CPL is {cpl}: without a call gate the ring "
                     "stays the same",
                     13, error, place, line, "name a call gate's selector in the far call")
    elif not found.present:
        raise refuse("far-not-present", f"{who}: {words.entry(selector)} is not present", 11, error, place, line)
    elif offset > found.limit:
        raise refuse("far-limit", f"{who}: the offset is beyond the code segment's limit {found.limit:#x} (G is "
                     f"{found.raw >> 55 & 1}: it counts "
                     f"{'pages' if found.raw >> 55 & 1 else 'bytes'})", 13, 0, place, line, "set G in the descriptor (flags "
                     "nibble 0xc)")


def call_gate(machine: Machine, who: str, selector: int, line: list[str]) -> None:
    """vol. 3A, 5.8.4."""
    cpl, place, gate = machine.state.cpl, "vol. 3A, 5.8.4", machine.descriptor(selector)
    assert gate is not None
    if gate.dpl < max(cpl, selector & 3):
        raise refuse("callgate-dpl", f"{who}: the call gate has DPL {gate.dpl}, and CPL is {cpl}: the gate's DPL must not be "
                     "below it", 13,
                     selector & ~3, place, line, f"give the call gate DPL {max(cpl, selector & 3)}")
    if not gate.present:
        raise refuse("callgate-not-present", f"{who}: the call gate is not present", 11, selector & ~3, place, line)
    target, said = gate.selector, f"the call gate {selector:04x} names selector {gate.selector:04x}"
    if target & ~3 == 0:
        raise refuse("callgate-selector", f"{said}, which is null", 13, 0, place, line)
    code = descriptor_of(machine, target, said, "callgate", 13, place)
    line = [*line, described(target, code)]
    if not code.is_code or code.dpl > cpl:
        raise refuse("callgate-selector", f"{said}: {words.entry(target)} is no code segment of this or an inner ring: "
                     f"{words.kind(code)}", 13,
                     target & ~3, place, line, "name a code segment in the call gate")
    if not code.present:
        raise refuse("callgate-code-not-present", f"{said}: {words.entry(target)} is not present", 11, target & ~3, place, line)
    if not code.is_conforming and code.dpl < cpl:
        ways_in.new_stack(machine, code.dpl, 16 + 4 * (gate.raw >> 32 & 0x1F), 0)


def system(machine: Machine, name: str) -> None:
    """sysenter and sysexit: all that they check in these modes is the MSR, and the ring."""
    if name == "sysexit" and machine.state.cpl:
        raise refuse("privileged-instruction", f"sysexit in ring {machine.state.cpl}", 13, 0, "vol. 2B, SYSEXIT",
                     [cs_line(machine)])
    raise refuse("sysenter-cs", f"{name} is refused for one reason: MSR 0x174, IA32_SYSENTER_CS, is null: never set", 13, 0,
                 f"vol. 2B, {name.upper()}", [cs_line(machine)], "write the kernel's code selector into MSR 0x174 with wrmsr")


def data(machine: Machine, code: Code) -> None:
    """vol. 3A, 5.3 to 5.5."""
    memory, state = code.decoded.memory, machine.state
    assert memory, "an instruction with no operand in memory has no data to check"
    segment = state.segments[memory.segment]
    offset = memory.offset(lambda register: state[register])
    line = [f"{memory.segment} = {segment.selector:04x}, base {segment.base:08x}, limit {segment.limit:08x}"]
    vector = 12 if memory.segment == "ss" else 13
    if segment.selector & ~3 == 0 and memory.segment not in ("cs", "ss"):
        raise refuse("segment-null", f"an access through {memory.segment}, which is null", 13, 0, "vol. 3A, 5.4.1", line,
                     f"load {memory.segment} at the handler's entry")
    if offset + code.decoded.size - 1 > segment.limit:
        raise refuse("segment-limit",
                     f"an access at {memory.segment}:{offset:08x}, beyond the segment's limit {segment.limit:#x}", vector, 0,
                     "vol. 3A, 5.3", line)

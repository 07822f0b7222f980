"""The pseudo-code of iret and far ret (Intel SDM vol. 2A, IRET; vol. 2B, RET), walked on a machine that stands still.

back(machine, size, with_flags, skip)   raises Refused with the first check that fails
frame(machine, size, count)             the words at ss:esp
"""

from ringside.why import words
from ringside.why.machine import Descriptor, Machine, Unmapped
from ringside.why.refusal import Refused, described, descriptor_of, refuse

NT, VM = 1 << 14, 1 << 17
IRET_WORDS, RET_WORDS = ("eip", "cs", "eflags", "esp", "ss"), ("eip", "cs", "esp", "ss")


def frame(machine: Machine, size: int = 4, count: int = 5, skip: int = 0) -> list[int]:
    """Words from ss:esp upwards; fewer where memory ends."""
    ss, esp = machine.state.segments["ss"], machine.state["esp"]
    mask, found = 0xFFFFFFFF if ss.big else 0xFFFF, []
    for number in range(count):
        try:
            found.append(machine.read(ss.base + (esp + skip + size * number & mask), size))
        except Unmapped:
            break
    return found


def spell(machine: Machine, size: int, with_flags: bool, skip: int) -> str:
    """The frame with a name for each word."""
    names = IRET_WORDS if with_flags else RET_WORDS
    inner = 3 if with_flags else 2
    found = frame(machine, size, inner)
    if len(found) < 2 or found[1] > 0xFFFF or found[1] & 3 != machine.state.cpl:    # else esp and ss are not popped
        found += frame(machine, size, 2, inner * size + skip)
    return f"frame at esp {machine.state['esp']:08x}: " + ", ".join(
        f"{name} {value:0{2 * size}x}" + (f" ({words.flags(value)})" if name == "eflags" else "") for name,
        value in zip(names, found))


def back(machine: Machine, size: int, with_flags: bool, skip: int = 0) -> None:
    """skip: the parameters' bytes that a far ret releases."""
    state, cpl = machine.state, machine.state.cpl
    verb = "iret" if with_flags else "far ret"
    place = "vol. 2A, IRET, Operation" if with_flags else "vol. 2B, RET, Operation"
    if with_flags and state["efl"] & NT:
        task_return(machine)
        return
    count = 3 if with_flags else 2
    popped = frame(machine, size, count)
    if len(popped) < count:
        esp = state["esp"]
        machine.read(state.segments["ss"].base + esp, 4 * count)  # raises Unmapped
    eip, cs, eflags = popped[0], popped[1] & 0xFFFF, popped[2] if with_flags else 0
    evidence = [spell(machine, size, with_flags, skip)]
    if eflags & VM and cpl == 0 and size == 4:
        if eip > 0xFFFF:
            raise refuse("v86-eip", f"the frame's eip {eip:08x} is beyond 64 KiB, the limit of virtual-8086 mode", 13, 0, place,
                         evidence)
        return
    who, error = f"the frame's cs = {cs:04x}", cs & ~3
    if cs & ~3 == 0:
        raise refuse("iret-cs-null", f"{who} is null", 13, 0, place, evidence)
    code = descriptor_of_frame(machine, cs, who, f"{verb.split()[-1]}-cs", place, evidence)
    evidence.append(described(cs, code))
    if not code.is_code:
        raise refuse("iret-cs-type", f"{who}: {words.entry(cs)} is no code segment: {words.kind(code)}", 13, error, place,
                     evidence,
                     "mend the selector in the frame, or the order of the GDT")
    if cs & 3 < cpl:
        raise refuse("iret-cs-inward", f"{who} has RPL {cs & 3}: from ring {cpl} {verb} cannot go to an inner ring", 13, error,
                     place, evidence)
    if code.is_conforming and code.dpl > cs & 3 or not code.is_conforming and code.dpl != cs & 3:
        blame = "its RPL is too small" if cs & 3 < code.dpl else "the descriptor's DPL is too small"
        raise refuse("iret-cs-rpl" if cs & 3 < code.dpl else "user-code-dpl",
                     f"{who} has RPL {cs & 3}, but its descriptor, {words.entry(cs)}, has DPL {code.dpl}: {blame}; they must be "
                     "equal",
                     13, error, place, evidence,
                     f"put {cs | 3:04x} into the frame" if cs & 3 < code.dpl else "give the user's code segment DPL 3: access "
                     "byte 0xfa")
    if not code.present:
        raise refuse("iret-cs-not-present", f"{who}: {words.entry(cs)} is not present", 11, error, place, evidence)
    if cs & 3 > cpl:
        outer(machine, size, count * size + skip, cs & 3, place, evidence)
    if eip > code.limit:
        raise refuse("iret-eip", f"the frame's eip {eip:08x} is beyond the limit {code.limit:#x} of its cs {cs:04x}", 13, 0,
                     place, evidence)


def outer(machine: Machine, size: int, skip: int, ring: int, place: str, evidence: list[str]) -> None:
    """RETURN-TO-OUTER-PRIVILEGE-LEVEL: esp and ss."""
    found = frame(machine, size, 2, skip)
    if len(found) < 2:
        machine.read(machine.state.segments["ss"].base + machine.state["esp"] + skip, 2 * size)  # raises Unmapped
    ss = found[1] & 0xFFFF
    who, error = f"the frame's ss = {found[1]:04x}", ss & ~3
    if ss & ~3 == 0:
        raise refuse("iret-ss-null", f"{who} is null; ring {ring} needs a stack segment", 13, 0, place, evidence)
    stack = descriptor_of_frame(machine, ss, who, "iret-ss", place, evidence)
    evidence.append(described(ss, stack))
    if ss & 3 != ring:
        raise refuse("iret-ss-rpl", f"{who} has RPL {ss & 3}; it must have the RPL of cs, {ring}", 13, error, place, evidence,
                     f"ss of ring {ring} is a selector with RPL {ring}, such as {ss & ~3 | ring:04x} if that is ring {ring}'s "
                     "data")
    if not stack.is_stack:
        raise refuse("iret-ss-type", f"{who}: {words.entry(ss)} is no data segment that can be written: {words.kind(stack)}",
                     13, error, place, evidence)
    if stack.dpl != ring:
        raise refuse("iret-ss-dpl",
                     f"{who}: its descriptor, {words.entry(ss)}, has DPL {stack.dpl}; ring {ring} needs DPL {ring}",
                     13, error, place, evidence, f"give the user's data segment DPL {ring}")
    if not stack.present:
        raise refuse("iret-ss-not-present", f"{who}: its descriptor, {words.entry(ss)}, is not present", 12, error, place,
                     evidence)


def descriptor_of_frame(machine: Machine, selector: int, who: str, key: str, place: str, evidence: list[str]) -> Descriptor:
    """The descriptor of a selector in the frame, which is evidence then."""
    try:
        return descriptor_of(machine, selector, who, key, 13, place)
    except Refused as refused:
        refused.refusal.bytes[:0] = evidence
        raise


def task_return(machine: Machine) -> None:
    """TASK-RETURN: NT is set, so that iret goes to the task in the TSS' back link."""
    from ringside.why import tasks
    tr = machine.state.segments["tr"]
    if tr.selector & ~3 == 0:
        raise refuse("tr-not-loaded",
                     "NT is set, so this iret is a task return, and TR is null: no TSS was ever loaded with ltr", 10, 0,
                     "vol. 2A, IRET, Operation", [f"TR: selector {tr.selector:04x}, base {tr.base:08x}"],
                     "load the first task's TSS with ltr")
    link = machine.read(tr.base, 2)
    who = f"NT is set in eflags ({machine.state['efl']:08x}), so this iret is a task return: to the TSS' back link {link:04x}"
    tasks.switch(machine, link, who, "nt-set", 0, [f"TSS at {tr.base:08x}: back link (+0) = {link:04x}"], wants_busy=True)

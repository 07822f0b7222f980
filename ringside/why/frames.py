"""Clues in the frame of an iret or far ret that is refused: a word too many or too few, or words in another order."""

from ringside.why import instructions, ways_out
from ringside.why.context import Context
from ringside.why.log import WITH_ERROR_CODE
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal

ALWAYS, NEVER = 0x2, 0xFFC08028  # bits of eflags that are 1, and 0
WORD = 4


def is_flags(value: int) -> bool:
    """Could this be eflags? Bit 1 is 1 in each, and the reserved bits are 0."""
    return bool(value & ALWAYS) and not value & NEVER


def is_code(machine: Machine, value: int) -> bool:
    """A selector of a code segment, with the RPL of its DPL."""
    if value > 0xFFFF or value & ~3 == 0:
        return False
    found = machine.descriptor(value)
    return found is not None and found.is_code and found.dpl == value & 3


def is_stack(machine: Machine, value: int) -> bool:
    """A selector of data that can be written, with the RPL of its DPL."""
    if value > 0xFFFF or value & ~3 == 0:
        return False
    found = machine.descriptor(value)
    return found is not None and found.is_stack and found.dpl == value & 3


def looks(machine: Machine, shift: int) -> bool:
    """Does a frame lie so many bytes above esp?"""
    found = ways_out.frame(machine, WORD, 5, shift)
    if len(found) < 3 or found[2] >> 17 & 1:
        return len(found) >= 3 and is_flags(found[2]) and found[0] < 0x10000
    if not is_code(machine, found[1]) or not is_flags(found[2]):
        return False
    return found[1] & 3 == machine.state.cpl or len(found) == 5 and is_stack(machine, found[4]) and found[4] & 3 == found[1] & 3


def clue(context: Context, refusal: Refusal) -> bool:
    """What is wrong with the frame itself: size, order, a shift, VM."""
    machine = context.machine
    code = instructions.Code(machine)
    if code.name == "ret far":
        return far_ret(machine, code, refusal)
    if code.name != "iret" or refusal.key.startswith(("tss", "nt-set")):
        return False
    if code.decoded.size == 2 and code.wide:
        refusal.key = "iret-16-bit"
        refusal.says = f"this iret has a 16-bit operand (iretw): it pops words of 16 bits from a frame of 32; so {refusal.says}"
        refusal.fix = "write iretl, or iret in code that is assembled for 32 bits"
        return True
    found = ways_out.frame(machine, WORD, 5)
    if len(found) == 5 and is_flags(found[1]) and is_code(machine, found[2]):
        return order(refusal, f"cs = {found[1]:08x} looks like eflags, and eflags = {found[2]:08x} is a code selector: the two "
                     "are swapped")
    if len(found) == 5 and is_code(machine, found[1]) and is_stack(machine, found[3]) and not is_stack(machine, found[4]):
        return order(refusal, f"esp = {found[3]:08x} is a data selector, and ss = {found[4]:08x} is none: the two are swapped")
    for shift in (4, -4, 8, -8):
        if looks(machine, shift):
            return shifted(context, refusal, shift)
    return virtual_8086(machine, refusal)


def virtual_8086(machine: Machine, refusal: Refusal) -> bool:
    """Nine words of 16 bits, with a cs that is no selector: a frame for an 8086 task, without VM."""
    found = ways_out.frame(machine, WORD, 9)
    if len(found) < 9 or not is_flags(found[2]) or any(word > 0xFFFF for number, word in enumerate(found) if number != 2):
        return False
    if found[1] <= machine.state["gdt.limit"] or found[1] << 4 >= 1 << 20:
        return False
    refusal.says += ("; nine words of 16 bits lie here, as for a return to an 8086 task (eip, cs, eflags, esp, ss, es, ds, fs, "
                     f"gs), but eflags = {found[2]:08x} lacks VM")
    refusal.key, refusal.fix = "v86-vm-flag", "set VM (bit 17) in the frame's eflags"
    return True


def real_mode(context: Context, refusal: Refusal) -> bool:
    """A selector that is loaded, and was a segment register's value in real mode: it was never loaded since."""
    if not refusal.key.startswith("load-"):
        return False
    for event in [*context.past, context.event]:
        for name, segment in event.state.segments.items():
            of_real_mode = event.state.protected and not event.state.v86 and segment.base == segment.selector << 4
            if of_real_mode and segment.selector & ~3 == refusal.error & ~3 != 0:
                refusal.says = (f"{name} = {segment.selector:04x} still had its value of real mode (base {segment.base:x}) in "
                                f"protected mode: it was not loaded after the switch; so {refusal.says}")
                refusal.key, refusal.fix = "segment-not-loaded", "load all segment registers after the switch to protected mode"
                return True
    return False


def no_far_jump(context: Context, refusal: Refusal) -> bool:
    """Protected mode is on, and cs still is that of real mode: what runs is taken for 16-bit code."""
    state = context.machine.state
    cs = state.segments["cs"]
    came = context.before
    if not state.protected or state.v86 or cs.base != cs.selector << 4 or cs.big:
        return False
    if came and not came.exception and came.state.place() == state.place():
        return False    # an interrupt on the way there
    if instructions.Code(context.machine).name == "jmp far":
        return False
    refusal.key = "no-far-jump"
    refusal.says = (f"no far jmp followed CR0.PE: cs = {cs.selector:04x} still is that of real mode, so that the code runs as "
                    f"16-bit code; so {refusal.says}")
    refusal.fix = "a far jmp to 32-bit code right behind the mov to CR0 loads cs"
    return True


def stale_cs(context: Context, refusal: Refusal) -> bool:
    """The cs that iret refuses is the one in which ring 0 ran when the interrupt came: it was loaded under another GDT."""
    came = context.before
    if not refusal.key.startswith("iret-cs") or not came:
        return False
    cs = came.state.segments["cs"]
    if not came.state.protected or came.state.v86 or came.state.cpl:
        return False
    if cs.selector & ~3 != refusal.error & ~3 or not cs.selector & ~3:
        return False
    refusal.key = "cs-not-reloaded"
    refusal.says = (f"cs = {cs.selector:04x} was loaded under another GDT, the boot loader's, and not again after lgdt: ring 0 "
                    f"still ran with it when {came} came; so {refusal.says}")
    refusal.fix = "a far jmp after lgdt loads cs"
    return True


def order(refusal: Refusal, says: str) -> bool:
    """Two words in the other order."""
    refusal.key, refusal.says = "iret-frame-order", f"{refusal.says}; {says}"
    refusal.fix = "an iret frame is, from esp upwards: eip, cs, eflags, esp, ss"
    return True


def shifted(context: Context, refusal: Refusal, shift: int) -> bool:
    """What the frame belongs to says whose word it is."""
    count, bottom = abs(shift) // WORD, context.machine.state["esp"]
    came = context.before
    many = f"{count} word{'s' * (count > 1)}"
    entered = f"this way in was {came}, " + ("which pushes an error code" if came.exception and came.vector in WITH_ERROR_CODE
                                             else
                                             "which pushes no error code") if came else "what led in is not known"
    pushes = came is not None and came.exception and came.vector in WITH_ERROR_CODE
    if shift > 0:
        refusal.key = "error-code-left"
        refusal.says = (f"the iret frame lies {shift} bytes higher, at {bottom + shift:08x}: {many} too many "
                        f"{'is' if count == 1 else 'are'} still on the stack "
                        f"({context.machine.read(context.machine.state.segments['ss'].base + bottom):08x}), such as an error "
                        f"code or vector that was not popped ({entered}); so {refusal.says}")
        refusal.fix = "add $4, %esp (or 8, with a vector) in front of iret"
    else:
        refusal.key = "error-code-popped-twice" if pushes else "error-code-popped-without"
        popped = "an error code twice" if pushes else "an error code where there is none"
        if not came:
            popped = "an error code popped twice, or where there is none"
        refusal.says = (f"the iret frame lies {-shift} bytes lower, at {bottom + shift:08x}: {many} too many "
                        f"{'was' if count == 1 else 'were'} popped, {popped} ({entered}); so {refusal.says}")
        refusal.fix = "pop an error code once, and only for exceptions that push one"
    return True


def far_ret(machine: Machine, code: instructions.Code, refusal: Refusal) -> bool:
    """Parameters that it does not take along: ss lies higher."""
    released = code.decoded.immediate
    found = ways_out.frame(machine, WORD, 2 + 8)
    if len(found) < 4 or not is_code(machine, found[1]):
        return False
    for words in range(1, 7):
        place = 3 + words
        if words * WORD != released and place < len(found) and is_stack(machine,
                                                                        found[place]) and found[place] & 3 == found[1] & 3:
            refusal.key = "lret-words"
            refusal.says = (f"far ret releases {released} bytes of parameters, but {words} word{'s' * (words > 1)} of them lie "
                            f"between cs and the outer esp and ss (ss {found[place]:04x}); so {refusal.says}")
            refusal.fix = f"lret ${words * WORD}"
            return True
    return False

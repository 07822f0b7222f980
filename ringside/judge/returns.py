"""iret and far ret, as model.py has all else: Intel's manual (SDM), vol. 2A, IRET; vol. 2B, RET."""

from ringside.judge import tasks
from ringside.judge import virtual8086
from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import ACCESSED, ALL, Fault, FREE, GP, IF, IOPL, NP, NT, Parts, RF, SS, VIF, VIP, VM
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import descriptor_of, error_code, is_null


def iret(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, IRET/IRETD, Operation: PROTECTED-MODE."""
    if cpu.virtual():
        virtual8086.iret(cpu, code)
    elif cpu.get("eflags", NT):
        tasks.return_to_caller(cpu, after)
    else:
        return_far(cpu, code.size, with_flags=True)
    cpu.kind = "iret"


def ret_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2B, RET, Operation: far return."""
    return_far(cpu, code.size, with_flags=False, arguments=code.immediate)
    cpu.kind = "lret"


def return_far(cpu: Cpu, size: int, with_flags: bool, arguments: int = 0) -> None:
    """PROTECTED-MODE-RETURN, RETURN-TO-SAME- and RETURN-TO-OUTER-PRIVILEGE-LEVEL."""
    ring = cpu.cpl
    user = cpu.crossing_as()
    popped = size * (3 if with_flags else 2)
    cpu.stack_has("return-in-stack", popped, size)
    eip = cpu.peek(0, size, "return-popped", rely=0, span=popped, user=user)
    selector = cpu.peek(size, 2, "return-popped", room=size, user=user)
    taken = flags_taken(cpu, size, RF, VIF | VIP | VM) if with_flags else 0
    flags = cpu.peek(2 * size, size, "return-popped", rely=taken, user=user) if with_flags else 0
    to_virtual = flags & VM and ring == 0 and size == 4
    cpu.rely_on_memory(cpu.above(0), size, virtual8086.LAST if to_virtual else ALL)
    if to_virtual:
        virtual8086.go_there(cpu, eip, selector, flags)
        return
    popped += arguments

    new = selector & 3
    bad_code = Fault(GP, error_code(selector))
    cpu.need("return-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    code = descriptor_of(cpu, selector, "return-in-table", "return-read", bad_code)
    cpu.need("return-code", code.is_code(), bad_code, str(code))
    cpu.need("return-inwards", new >= ring, bad_code, f"RPL {new} >= CPL {ring}")
    if code.is_conforming():
        cpu.need("return-dpl", code.dpl_at_most(new), bad_code, f"RPL {new}, conforming, {code}")
    else:
        cpu.need("return-dpl", code.dpl() == new, bad_code, f"RPL {new}, {code}")
    cpu.need("return-present", code.present(), Fault(NP, error_code(selector)), "P = 1")

    if new == ring:
        needs_offset(cpu, eip, code)
        cpu.release(popped, "return-esp")
    else:
        cpu.stack_has("return-in-stack", popped + 2 * size, size)
        cpu.may_read(cpu.above(popped), size, "return-popped")
        ss = cpu.peek(popped + size, 2, "return-popped", room=size, user=user)
        stack = outer_stack(cpu, ss, new)
        needs_offset(cpu, eip, code)
        esp = cpu.peek(popped, size, "return-popped", user=user)
        mask = stack.stack_mask()
        cpu.set("esp", esp & ~mask | esp + arguments & mask, "return-esp")
        cpu.set_segment("ss", ss, stack, "outer-ss", ACCESSED, "accessed-transfer")
    if with_flags:
        take_flags(cpu, flags, taken, ((FREE | RF, "iret-flags"), (IF, "iret-if"), (IOPL | VIF | VIP, "iret-iopl")))
    if new != ring:
        take_segments_away(cpu, new)
    cpu.set_segment("cs", selector, code, "return-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", eip, "return-eip")
    cpu.set("cpl", new, "outer-cpl")
    cpu.route = f"ring {ring} to {new}"


def needs_offset(cpu: Cpu, eip: int, code: Descriptor) -> None:
    cpu.need("return-offset", eip <= code.limit(), Fault(GP, 0), f"{eip:#x} <= {code.limit():#x}")


def outer_stack(cpu: Cpu, selector: int, ring: int) -> Descriptor:
    """RETURN-TO-OUTER-PRIVILEGE-LEVEL: the stack there."""
    bad_stack = Fault(GP, error_code(selector))
    cpu.need("outer-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    stack = descriptor_of(cpu, selector, "outer-in-table", "outer-read", bad_stack)
    cpu.need("outer-rpl", selector & 3 == ring, bad_stack, f"RPL {selector & 3}")
    cpu.need("outer-writable", stack.is_writable_data(), bad_stack, str(stack))
    cpu.need("outer-dpl", stack.dpl() == ring, bad_stack, str(stack))
    cpu.need("outer-present", stack.present(), Fault(SS, error_code(selector)), "P = 1")
    return stack


def flags_taken(cpu: Cpu, size: int, also: int = 0, ring_0: int = 0) -> int:
    """The flags that iret or popf takes from the stack: which of them, depends on the ring."""
    flags = FREE | also | (IF if cpu.iopl_allows() else 0) | (IOPL | ring_0 if cpu.cpl == 0 else 0)
    return flags & (1 << 8 * size) - 1


def take_flags(cpu: Cpu, flags: int, taken: int, rules: Parts) -> None:
    """Those taken are as popped, by the rules of iret or popf; the others stay."""
    for mask, rule in rules:
        cpu.set_flags(flags, mask & taken, rule)
        cpu.keep_flags(mask & ~taken, rule)


def take_segments_away(cpu: Cpu, ring: int) -> None:
    """RETURN-TO-OUTER-PRIVILEGE-LEVEL, last: what the outer ring must not keep."""
    for name in ("es", "fs", "gs", "ds"):
        selector, dpl = cpu.before[f"{name}.selector"], cpu.before[f"{name}.dpl"]
        if is_null(selector):
            cpu.set_null(name, 0, "outer-nulled")
            continue
        conforming = cpu.before[f"{name}.type"] & 0x1C == 0x1C
        if not conforming:
            cpu.bound(f"{name}.dpl", 3, ring - 1 if dpl >= ring else ring)
        elif dpl < ring:
            cpu.rely(f"{name}.type", 0x1C)
        if dpl >= ring or conforming:
            cpu.set(f"{name}.selector", selector, "outer-nulled")
        else:
            cpu.set_null(name, 0, "outer-nulled")

"""Call gates, as model.py has all else: Intel's manual (SDM), vol. 2A, CALL and JMP; vol. 3A, 5.8.3 to 5.8.6."""

from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.descriptors import descriptor_of, error_code, is_null
from ringside.judge.facts import ACCESSED, ALL, Fault, GP, NP, Parts, SS
from ringside.judge.interrupts import ring_stack
from ringside.judge.rules import RPL_OF_CONFORMING, SS_WITHOUT_SELECTOR


def through_gate(cpu: Cpu, selector: int, gate: Descriptor, after: int, calls: bool) -> None:
    """CALL-GATE. The offset of the far pointer is of no consequence."""
    ring = cpu.cpl
    bad_gate = Fault(GP, error_code(selector))
    cpu.need("call-gate-ring", gate.dpl_at_least(max(ring, selector & 3)), bad_gate, f"CPL {ring}, RPL {selector & 3}, {gate}")
    cpu.need("call-gate-present", gate.present(), Fault(NP, error_code(selector)), "P = 1")
    size = 4 if gate.system_type() & 8 else 2
    target = gate.gate_selector()
    bad_code = Fault(GP, error_code(target))
    cpu.need("call-target-not-null", not is_null(target), Fault(GP, 0), f"{target:04x}")
    code = descriptor_of(cpu, target, "call-target-in-table", "call-target-read", bad_code)
    cpu.need("call-target-code", code.is_code(), bad_code, str(code))
    conforming = code.is_conforming()
    if calls or conforming:
        cpu.need("call-target-ring", code.dpl_at_most(ring), bad_code, f"CPL {ring}, {code}")
    else:
        cpu.need("call-target-ring", code.dpl() == ring, bad_code, f"CPL {ring}, by jmp, {code}")
    cpu.need("call-target-present", code.present(), Fault(NP, error_code(target)), "P = 1")

    new = code.dpl() if calls and not conforming else ring
    offset = gate.gate_offset(size)
    if new < ring:
        to_inner_ring(cpu, new, gate, code, offset, after, size)
    else:
        if calls:
            cpu.stack_takes("call-room", 2 * size, size, Fault(SS, 0))
            top = cpu.above(0)
            if offset > code.limit():
                cpu.refused_words = range(top - 2 * size, top)
        needs_offset(cpu, offset, code)
        if calls:
            words = return_address(cpu, after)
            esp = cpu.push(cpu.get("ss.base"), cpu.get("esp"), cpu.stack_mask(), words, size, user=cpu.crossing_as())
            cpu.set("esp", esp, "call-esp")
    rpl = code.dpl() if calls and conforming and cpu.layout.emulator in RPL_OF_CONFORMING else new
    cpu.set_segment("cs", target & ~3 | rpl, code, "call-target-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", offset, "call-target-eip")
    cpu.set("cpl", new, "call-target-cpl")
    cpu.route = f"ring {ring} to {new}"


def needs_offset(cpu: Cpu, offset: int, code: Descriptor) -> None:
    cpu.need("call-target-offset", offset <= code.limit(), Fault(GP, 0), f"{offset:#x} <= {code.limit():#x}")


def return_address(cpu: Cpu, after: int) -> list[tuple[int, Parts]]:
    return [(cpu.get("cs.selector"), [(ALL, "call-push")]), (after, [(ALL, "call-push")])]


def to_inner_ring(cpu: Cpu, ring: int, gate: Descriptor, code: Descriptor, offset: int, after: int, size: int) -> None:
    """MORE-PRIVILEGE: the new ring's stack gets the old one's address, the parameters, and where to return."""
    stack, ss, esp = ring_stack(cpu, ring, external=0)
    count = gate.bits(32, 5)
    room = size * (4 + count)
    base, mask = stack.base(), stack.stack_mask()
    told = 0 if cpu.layout.emulator in SS_WITHOUT_SELECTOR else error_code(ss)
    cpu.new_stack_takes(stack, esp, room, size, Fault(SS, told))
    needs_offset(cpu, offset, code)
    parameters = [cpu.peek(size * place, size, "call-parameters", user=cpu.crossing_as()) for place in range(count)]
    words: list[tuple[int, Parts]] = [
        (cpu.get("ss.selector"), [(ALL, "push-ss")]), (cpu.get("esp"), [(ALL, "push-esp")]),
        *((value, [(ALL, "call-parameters")]) for value in reversed(parameters)), *return_address(cpu, after)]
    esp = cpu.push(base, esp, mask, words, size, user=False)
    cpu.set_segment("ss", ss, stack, "int-ss", ACCESSED, "accessed-transfer")
    cpu.set("esp", esp, "call-esp")

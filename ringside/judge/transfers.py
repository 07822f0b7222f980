"""Far jmp and call, as model.py has all else: Intel's manual (SDM), vol. 2A, JMP and CALL."""

from ringside.judge import callgates
from ringside.judge import tasks
from ringside.judge.cpu import Cpu, Descriptor
from ringside.judge.facts import ACCESSED, ALL, Fault, GP, NP, SS
from ringside.judge.decode import Instruction
from ringside.judge.descriptors import CALL_GATES, TASK_GATE, TSS_TYPES, descriptor_of, error_code, is_null


def jmp_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, JMP, Operation: FAR-JMP, PROTECTED-MODE."""
    transfer_far(cpu, code, after, calls=False)
    cpu.kind = "ljmp"


def call_far(cpu: Cpu, code: Instruction, after: int) -> None:
    """Vol. 2A, CALL, Operation: FAR-CALL, PROTECTED-MODE."""
    transfer_far(cpu, code, after, calls=True)
    cpu.kind = "lcall"


def transfer_far(cpu: Cpu, code: Instruction, after: int, calls: bool) -> None:
    selector, offset = far_pointer(cpu, code)
    cpu.need("far-not-null", not is_null(selector), Fault(GP, 0), f"{selector:04x}")
    target = descriptor_of(cpu, selector, "far-in-table", "far-read", Fault(GP, error_code(selector)))
    kind = target.system_type() if target.is_system() else None
    if kind in (TASK_GATE, *TSS_TYPES):
        tasks.transfer(cpu, selector, target, after, calls)
        return
    if kind in CALL_GATES:
        callgates.through_gate(cpu, selector, target, after, calls)
        return
    far_code(cpu, selector, offset, target, pushes=2 * code.size if calls else 0)
    if calls:
        words = [(cpu.get("cs.selector"), [(ALL, "call-push")]), (after, [(ALL, "call-push")])]
        esp = cpu.push(cpu.get("ss.base"), cpu.get("esp"), cpu.stack_mask(), words, code.size, user=cpu.crossing_as())
        cpu.set("esp", esp, "call-esp")
    ring = cpu.cpl
    cpu.set_segment("cs", selector & ~3 | ring, target, "far-cs", ACCESSED, "accessed-transfer")
    cpu.set("eip", offset, "far-eip")
    cpu.route = f"ring {ring} to {ring}"


def far_pointer(cpu: Cpu, code: Instruction) -> tuple[int, int]:
    """Selector and offset: in the instruction, or in memory, the offset below. If that is not
    recorded, they are believed to be what led there; a TSS's offset is of no consequence."""
    if code.memory is None:
        return code.selector, code.immediate
    if cpu.before["tr.selector"] == cpu.after["tr.selector"]:
        where = "eip", "cs.selector"
    else:
        where = "", "tr.selector"
    pointer = cpu.operand(code.memory, "far-operand", (code.size, where[0]), (2, where[1]))
    return pointer >> 8 * code.size, pointer & (1 << 8 * code.size) - 1


def far_code(cpu: Cpu, selector: int, offset: int, code: Descriptor, pushes: int) -> None:
    """The checks of a code segment that a far jmp or call goes to."""
    ring = cpu.cpl
    bad_code = Fault(GP, error_code(selector))
    cpu.need("far-code", code.is_code(), bad_code, str(code))
    if code.is_conforming():
        cpu.need("far-ring", code.dpl_at_most(ring), bad_code, f"CPL {ring}, conforming, {code}")
    else:
        cpu.need("far-ring", selector & 3 <= ring and code.dpl() == ring, bad_code, f"CPL {ring}, {code}")
    cpu.need("far-present", code.present(), Fault(NP, error_code(selector)), "P = 1")
    if pushes:
        cpu.stack_takes("call-room", pushes, pushes // 2, Fault(SS, 0))
    cpu.need("far-offset", offset <= code.limit(), Fault(GP, 0), f"{offset:#x} <= {code.limit():#x}")

"""What Intel's manual says a CPU does: the model by which recordings are judged.

Each function is a piece of the manual's pseudo-code (Software Developer's Manual, SDM for
short), sentence by sentence, executed on a Cpu (cpu.py):

    cpu.need(rule, holds, fault, why)    a demand; if it is not met, that exception
    cpu.read(linear, size, rule)         memory that the CPU must read
    cpu.set(field, value, rule)          what must be so afterwards

Read interrupt() in interrupts.py first, then returns.py, loads.py and the rest, by subject; which
instruction is which stands here. Rules are names in rules.py. A function that stands for an instruction is given the Cpu, the
instruction as decode.py has it, and the eip of the next one.
"""

from collections.abc import Callable
import re
from typing import NamedTuple

from ringside.judge.breakpoints import at_instruction, debug_register
from ringside.judge.cpu import Cpu
from ringside.judge.facts import Fault, PAGE_FAULT, RF, Stuck, TF, UD
from ringside.judge.decode import Instruction
from ringside.judge.fastcalls import sysenter, sysexit, wrmsr
from ringside.judge.interrupts import deliver, int3, int_n, into, single_step
from ringside.judge.loads import load_far_pointer, mov_segment, pop_segment
from ringside.judge.paging import somewhere
from ringside.judge.reasons import divide, fpu, jmp, other, push, touch, undefined
from ringside.judge.returns import iret, ret_far
from ringside.judge.rights import clear_task_switched, interrupt_flag, popf, port, privileged
from ringside.judge.states import gate_to
from ringside.judge.tables import lldt, load_table, ltr, write_control
from ringside.judge.virtual8086 import UNDEFINED
from ringside.judge.transfers import call_far, jmp_far

Operation = Callable[[Cpu, Instruction, int], None]


class Judged(NamedTuple):
    operation: Operation
    text: str       # regular expression: what the disassembler calls it


# Executed on the model wherever they stand.
JUDGED: dict[str, Judged] = {
    "int": Judged(int_n, "int "), "int3": Judged(int3, "int3"), "into": Judged(into, "into"),
    "iret": Judged(iret, "iret"), "ret far": Judged(ret_far, "lret"),
    "jmp far": Judged(jmp_far, "ljmp"), "call far": Judged(call_far, "lcall"),
    "sysenter": Judged(sysenter, "sysenter"), "sysexit": Judged(sysexit, "sysexit"), "wrmsr": Judged(wrmsr, "wrmsr"),
    "load segment": Judged(mov_segment, "mov[lw]? .*,%[cdefgs]s$"),
    "pop segment": Judged(pop_segment, "pop[lw]? %[cdefgs]s$"),
    "load far pointer": Judged(load_far_pointer, "l[defgs]s "),
    "lgdt": Judged(load_table, "lgdt"), "lidt": Judged(load_table, "lidt"),
    "lldt": Judged(lldt, "lldt"), "ltr": Judged(ltr, "ltr"),
    "write control": Judged(write_control, "mov .*,%cr"), "popf": Judged(popf, "popf"),
    "cli": Judged(interrupt_flag, "cli"), "sti": Judged(interrupt_flag, "sti"),
    "clts": Judged(clear_task_switched, "clts"),
    "privileged": Judged(privileged, "hlt|lmsw|rdmsr|mov %cr"),
    "read debug": Judged(debug_register, "mov %db"), "write debug": Judged(debug_register, "mov .*,%db"),
    "in": Judged(port, "in "), "out": Judged(port, "out "),
    "ud2": Judged(undefined, "ud2"), "fpu": Judged(fpu, "f(?!wait)"),
    "wait": Judged(fpu, "fwait"), "div": Judged(divide, "divl |div %e"),
}
NAMES = {name: re.compile(judged.text) for name, judged in JUDGED.items()}
IN_REAL_MODE = {"load segment", "pop segment", "load far pointer", "lgdt", "lidt", "write control", "popf",
                "cli", "sti", "sysenter", "sysexit"}

# Asked only when there is an exception to explain.
REASONS: dict[str, Operation] = {"read": touch, "write": touch, "push": push, "jmp": jmp,
                                 "undefined": undefined}


def page_fault_somewhere(cpu: Cpu) -> None:
    """Where an instruction that is not modelled seems to have ended."""
    if gate_to(cpu.layout, cpu.before, cpu.after) == PAGE_FAULT and "cr2" in cpu.after and cpu.paging():
        top = cpu.after["ss.base"] + cpu.after["esp"]
        error = next((value for _, value in cpu.memory_after.read(top, 4)), None)
        if error is not None:
            somewhere(cpu, error)


def execute(cpu: Cpu, code: Instruction, after: int) -> None:
    """An instruction; or the exception in its place, or behind it."""
    name = str(code.name)
    operation = JUDGED[name].operation if name in JUDGED else REASONS.get(name, other)
    trap = cpu.get("eflags", TF)
    try:
        if cpu.virtual() and name in UNDEFINED:
            cpu.need("v86-undefined", False, Fault(UD))
        at_instruction(cpu)
        cpu.page(cpu.before["cs.base"] + cpu.before["eip"], max(1, code.length))
        operation(cpu, code, after)
    except Fault as fault:
        deliver(cpu, fault)
        return
    except Stuck as why:
        if why.rule:
            raise
        try:
            page_fault_somewhere(cpu)
        except Fault as fault:
            deliver(cpu, fault)
            return
        if not trap:
            raise
    if operation is not iret and not cpu.in_new_task:
        cpu.set_flags(0, RF, "resume-flag")
    if trap and operation not in (int_n, int3):
        single_step(cpu, cpu.expected["eip"].value if "eip" in cpu.expected else after)

"""Exceptions that name their reason themselves: page faults, single steps, divisions."""

from ringside.why import pagefaults
from ringside.why.log import Event, name
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal

REASONS = {0: "a division by 0, or a quotient too large", 3: "int3", 4: "into", 5: "bound", 6: "no instruction that this CPU has "
           "(or ud2)",
           7: "a floating-point instruction while CR0.TS or CR0.EM is set", 16: "a floating-point error",
           17: "an address that is not aligned"}


def by_kind(machine: Machine, event: Event, delivering: bool) -> Refusal | None:
    """None for all others: there, the instruction is asked."""
    if event.vector == 14:
        return pagefaults.explain(machine, event, delivering)
    if event.vector == 1 and machine.state["efl"] & 0x100:
        return Refusal("tf-set", f"TF is set in eflags ({machine.state['efl']:08x}): the CPU raises #DB after each instruction",
                       1, 0, "vol. 3B, 17.3.1.4",
                       [], "clear TF (bit 8) in the frame's eflags")
    if event.vector in REASONS:
        return Refusal(name(event.vector), REASONS[event.vector], event.vector, 0, "vol. 3A, 6.15", [])
    return None

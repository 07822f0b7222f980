"""The monitor of an 8086 task, which has not come back: where has it looked for the task's instruction?

looked(session, state, refusal)     the session stands behind the #GP, at the monitor's first instruction, and state is that
                                    in front of it; puts what is wrong in front of the refusal
"""

import re

from ringside.why.bochs import Session
from ringside.why.log import State
from ringside.why.refusal import Refusal

KEY = "v86-monitor"
STEPS = 400         # of the monitor's instructions
HALTS = re.compile(r": hlt\b")     # the next instruction: a halted CPU makes no step
BYTES = 4           # of the task's instruction, that may be looked at


def looked(session: Session, state: State, refusal: Refusal) -> None:
    """It reads at eip alone, and never at cs * 16 + eip."""
    eip, at = state["eip"], state.segments["cs"].base + state["eip"]
    if eip == at:
        return
    read: set[int] = set()
    for _ in range(STEPS):
        seen, said = session.step()
        read |= {access.linear for access in seen if not access.write}
        if HALTS.search(said):
            break
    flat, there = (next((place + more for more in range(BYTES) if place + more in read), None) for place in (eip, at))
    if flat is None or there is not None:
        return
    refusal.key = "v86-address"
    refusal.says = (f"the monitor reads at {flat:08x}, which is the task's eip taken for a linear address, and nowhere at "
                    f"{at:08x}, cs * 16 + eip, where the task's instruction lies; so {refusal.says}")
    refusal.fix = "in virtual-8086 mode an address is 16 times the segment register plus the offset"

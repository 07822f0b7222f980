"""What goes wrong between tasks of the CPU's own, and is refused only later: by the marks in their TSSs.

CLUES                           for clues.refine
falls_through(log, machine, symbols)    of a CPU that executes on: a Refusal, None without a mark
"""

from ringside.why import instructions, words
from ringside.why.context import Context
from ringside.why.log import Log
from ringside.why.machine import Descriptor, Machine, Unmapped
from ringside.why.refusal import Refusal
from ringside.why.source import Symbols
from ringside.why.tasks import OF_16, OF_32, Layout

NT, TASK_GATE = 1 << 14, 5
FREE = (1, 9)           # TSSs that are not busy
IRET, LJMP, LJMP_BYTES = 0xCF, 0xEA, 7
PADDING = b"\x90\x00\xcc"
ALIGNED = 16            # bytes between two functions at most
MOST = 256              # entries of the GDT that are looked at


def layout(tss: Descriptor) -> Layout:
    """Of 32 or 16 bits."""
    return OF_32 if tss.type & 8 else OF_16


def eip_of(machine: Machine, tss: Descriptor) -> tuple[int, int, int]:
    """Selector, offset and linear address at which a task goes on."""
    has = layout(tss)
    cs, eip = machine.read(tss.base + has.cs, 2), machine.read(tss.base + has.eip, has.size)
    code = machine.descriptor(cs) if cs & ~3 else None
    return cs, eip, (code.base if code else 0) + eip & 0xFFFFFFFF


def running(machine: Machine) -> Descriptor | None:
    """The TSS that TR names."""
    tr = machine.state.segments["tr"]
    return machine.descriptor(tr.selector) if tr.selector & ~3 else None


def without_ltr(context: Context, refusal: Refusal) -> bool:
    """A task whose back link is null: the CPU wrote TR there when it switched to it."""
    machine, tss = context.machine, running(context.machine)
    if refusal.key != "nt-set" or tss is None or machine.read(tss.base, 2):
        return False
    cs, eip, _ = eip_of(machine, tss)
    if not eip or cs != machine.state.segments["cs"].selector:
        return False        # no switch has led here: the kernel has set NT itself
    selector = machine.state.segments["tr"].selector
    refusal.key = "tr-not-loaded"
    refusal.says = (f"TR was null when the CPU switched to task {selector:04x}, since the back link that it wrote into "
                    f"the TSS is 0000: no TSS was ever loaded with ltr; so {refusal.says}")
    refusal.fix = "load the TSS of the task that runs first with ltr, so that the CPU has a place to store it in"
    return True


def jumped_to(context: Context, refusal: Refusal) -> bool:
    """An iret with NT clear and without a frame, in a task to which a far jmp has led."""
    machine, tss = context.machine, running(context.machine)
    selector = machine.state.segments["tr"].selector
    if tss is None or machine.state["efl"] & NT or instructions.Code(machine).name != "iret" or machine.read(tss.base, 2):
        return False
    for number in range(1, min((machine.state["gdt.limit"] + 1) // 8, MOST)):
        other = machine.descriptor(8 * number)
        if other is None or other.type not in FREE or not other.present:
            continue
        cs, eip, linear = eip_of(machine, other)
        try:
            code = machine.bytes(linear - LJMP_BYTES & 0xFFFFFFFF, LJMP_BYTES)
        except Unmapped:
            continue
        if eip and code[0] == LJMP and int.from_bytes(code[5:], "little") & ~3 == selector & ~3:
            refusal.key = "task-no-link"
            refusal.says = (f"task {selector:04x} was jumped to, not called, by the far jmp in front of "
                            f"{cs:04x}:{eip:08x}, where task {8 * number:04x} was left: a jmp sets neither NT nor the "
                            "back link, so that this iret does not go back to that task and takes a frame from the "
                            f"stack; so {refusal.says}")
            refusal.fix = "lcall to the TSS's selector, or go back with a far jmp as well"
            return True
    return False


CLUES = (without_ltr, jumped_to)


def falls_through(log: Log, machine: Machine, symbols: Symbols) -> Refusal | None:
    """A task of an interrupt goes on behind its iret, and no jmp leads back from there: another function begins."""
    event, tss = (log.events[-1] if log.events else None), running(machine)
    if event is None or tss is None or machine.gate(event.vector).type != TASK_GATE:
        return None
    gate, selector = machine.gate(event.vector), machine.state.segments["tr"].selector
    cs, eip, linear = eip_of(machine, tss)
    if gate.selector & ~3 != selector & ~3 or machine.read(linear - 1, 1) != IRET:
        return None
    behind = min(((address, name) for name, address in symbols.names.items() if linear <= address <= linear + ALIGNED),
                 default=None)
    if behind is None or machine.bytes(linear, behind[0] - linear).strip(PADDING):
        return None
    at = symbols.line(linear - 1)
    says = (f"task {selector:04x}, to which the task gate {event.vector:#04x} leads, goes on behind its iret, at {cs:04x}:"
            f"{eip:08x}{', ' + at if at else ''}, where its last turn has ended: nothing stands there that leads back to its "
            f"beginning, and {behind[1]} begins, which it executes with what lies on its stack")
    return Refusal("task-falls-through", says, words.NOTHING, 0, "vol. 3A, 7.3",
                   [f"TSS at {tss.base:08x}: cs {cs:04x}, eip {eip:08x}"],
                   "a task of an interrupt is a loop: a jmp to its beginning stands behind its iret")

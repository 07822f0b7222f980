"""A page fault: which entry refused which access, and what that access was (Intel SDM vol. 3A, 4.7).

explain(machine, event)    a Refusal
"""

from ringside.recorder.pages import PAE, PRESENT
from ringside.why import words
from ringside.why.log import Event
from ringside.why.machine import Entry, Machine, Unknown
from ringside.why.refusal import Refusal

NEAR = 0x100
PLACE = "vol. 3A, 4.7"
IN_EVERY = "map it in every address space"


def explain(machine: Machine, event: Event, delivering: bool) -> Refusal:
    """The refusal, with the entry that refuses where memory can be read. delivering: the CPU was on the way into a handler."""
    state, error = machine.state, event.error
    address = state["cr2"]
    said = Refusal("page-fault", f"{address:08x}: {words.error(14, error)}", 14, error, PLACE,
                   [f"cr2 = {address:08x}, cr3 = {state['cr3']:08x}"])
    key, what, fix = subject(machine, event, delivering)
    try:
        walk = machine.walk(address)
    except Unknown as why:
        said.key, said.says = key, f"{what}: {words.page_rights(error)}"
        said.bytes.append(f"which entry of the page tables refuses is not known without {why}")
        return said
    said.bytes += [f"{entry.name} at physical {entry.at:08x} = {entry.value:08x}" for entry in walk.entries]
    reason = walk.why(bool(error & 4), bool(error & 2), True)
    wrong = None if state["cr4"] & PAE else tables(machine, address, walk.directory)
    if wrong:
        said.key, said.says, said.fix = wrong[0], f"{wrong[1]} (seen at {what})", wrong[2]
        return said
    said.key, said.fix = key, fix
    if not reason:
        said.says = (f"{what}: the page tables allow that by now; the TLB may have kept an old entry (invlpg or a load of CR3 "
                     "forgets it)")
        return said
    said.says = f"{what}: {reason}"
    if not fix:
        said.key, said.fix = rights(error, reason)
    return said


def rights(error: int, reason: str) -> tuple[str, str]:
    """Key and fix of an access to data or code that is refused."""
    if "lacks U" in reason:
        return ("pde-no-user" if reason.startswith("page directory") else "page-no-user",
                "set U (bit 2) in both the page directory entry and the page table entry")
    if "lacks W" in reason:
        return ("page-read-only" if error & 4 else "wp-read-only",
                "set W (bit 1), or do not write there" + ("" if error & 4 else " (WP binds ring 0)"))
    return "page-not-present", "map the page"


def tables(machine: Machine, address: int, entry: Entry | None) -> tuple[str, str, str] | None:
    """What is wrong with the tables themselves: key, sentence, fix."""
    cr3, end = machine.state["cr3"], machine.memory
    pde = entry.value if entry else None
    low = cr3 & 0xFFF
    if low and pde is not None and not pde & PRESENT and machine.read_physical(cr3 + (address >> 22) * 4) & PRESENT:
        return ("page-directory-alignment",
                f"CR3 = {cr3:08x}: a page directory begins at a page, the lowest 12 bits are no part of its address, so that "
                f"{cr3 & ~0xFFF:08x} is taken for it; this one lies {low:#x} bytes behind that",
                "align the page directory to 4096 bytes")
    if end and cr3 >= end:
        return ("cr3-virtual-address",
                f"CR3 = {cr3:08x} is beyond memory, which ends at {end:08x}: CR3 takes a physical address, this looks "
                "like a virtual one", "load CR3 with the directory's physical address")
    if pde is not None and pde & PRESENT and end and pde & ~0xFFF >= end:
        return ("pde-virtual-address",
                f"the page directory entry {pde:08x} leads beyond memory, which ends at {end:08x}: an entry takes a "
                "physical address, this looks like a virtual one", "enter the page table's physical address")
    return None


def subject(machine: Machine, event: Event, delivering: bool) -> tuple[str, str, str]:
    """What was accessed: (key, in words, fix); fix is "" where the rights decide."""
    state, address = machine.state, machine.state["cr2"]
    linear = state.segments["cs"].base + state["eip"] & 0xFFFFFFFF
    tr = state.segments["tr"]
    if not event.error & 4:
        for name, length in (("gdt", state["gdt.limit"]), ("idt", state["idt.limit"])):
            base = state[f"{name}.base"]
            # The IDT is read on the way into a handler only: an address within it may be a null pointer's, too.
            if base <= address <= base + length and (delivering or name != "idt"):
                return table(name, base, address)
        if tr.selector and tr.base <= address <= tr.base + 0x67:
            return ("tss-unmapped", f"the TSS cannot be read: its base {tr.base:08x} is not mapped",
                    "the TSS descriptor's base is a linear address: " + IN_EVERY)
    if linear <= address < linear + 16 and not event.error & 2:
        return fetch(machine, linear, event)
    stack = state.segments["ss"].base + state["esp"] & 0xFFFFFFFF
    near = abs(address - stack) < NEAR
    user = "ring 3" if event.error & 4 else f"ring {state.cpl}"
    verb = "write to" if event.error & 2 else "read of"
    if near and not event.error & 5:
        return ("stack-unmapped-in-cr3",
                f"the stack of {user} (esp = {state['esp']:08x}), {verb} {address:08x}, under CR3 = {state['cr3']:08x}",
                "the stack: " + IN_EVERY)
    return "page", f"{verb} {address:08x}" + (f" on {user}'s stack (esp = {state['esp']:08x})" if near else f" by {user}"), ""


def table(name: str, base: int, address: int) -> tuple[str, str, str]:
    """GDT or IDT, which the CPU reads by itself."""
    upper = name.upper()
    return (f"{name}-unmapped", f"the {upper} cannot be read: {upper}R.base = {base:08x} is not mapped, access to {address:08x}",
            f"l{name} takes a linear address, not a physical one: {IN_EVERY}")


def fetch(machine: Machine, linear: int, event: Event) -> tuple[str, str, str]:
    """eip itself cannot be fetched."""
    state = machine.state
    what = f"the instruction at eip {state['eip']:08x} itself"
    if event.error & 4:
        return "page", what + " (ring 3)", ""
    before = {before_it(machine, place) for place in (linear, linear & 0x3FFFFFFF)}
    if "cr0" in before:
        return ("identity-map-missing",
                f"{what}, just after paging was switched on: the low address where the code still runs is not mapped "
                "(no identity map)",
                "map the code at its physical address too, until a jump has gone to the higher half")
    if "cr3" in before:
        return ("kernel-unmapped-in-cr3",
                f"{what}, just after CR3 = {state['cr3']:08x} was loaded: the new address space lacks the kernel",
                "map the kernel in every address space")
    return "fetch-unmapped", f"{what}, in ring 0", "the kernel's code: " + IN_EVERY


def before_it(machine: Machine, physical: int) -> str:
    """The control register that the instruction before has written."""
    try:
        code = machine.read_physical(physical - 3, 3).to_bytes(3, "little")
    except (Unknown, OverflowError):
        return ""
    return {0xC0: "cr0", 0xD8: "cr3"}.get(code[2] & 0xF8, "") if code[:2] == b"\x0f\x22" else ""

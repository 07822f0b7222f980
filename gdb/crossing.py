"""From ring to ring: the command crossing.

No stepping, which would take minutes while ring 0 waits: breakpoints stand wherever
the CPU can leave its ring, and wherever it can arrive in the other one.
"""

import copy
import functools

import gdb

import guest
import stub
from command import Command, say
from guest import Cpu
from tables import meaning
from where import Stop

INT, IRET = 0xcd, 0xcf


class Crossing(Command):
    """Run to the next change of ring, and show the CPU before and after it.

    Also which words int has pushed, or iret popped. Stops earlier at a breakpoint, at
    Ctrl-C, and where no crossing will follow: at an exception in ring 0, at the end.
    """

    name = "crossing"

    def run(self, _argument):
        before, end = Cpu(), guest.SYMBOLS["halt"]
        while True:
            is_at_door = before.pc in doors(before)
            places = landings(before) if is_at_door else {*doors(before), *handlers(before), end}
            after = go_on_to(places)
            if after.pc not in places:
                return  # GDB has said why
            if after.cpl != before.cpl:
                break
            if after.pc in handlers(after):
                say(f"An exception in ring 0, vector {handlers(after)[after.pc]:02x}: it changes no ring.")
                return
            if after.pc == end:
                say("The machine halts: no crossing will follow.")
                return
            before = after
        if after.cpl == 3:
            report_way_out(before, after)
        else:
            report_way_in(before if is_at_door else as_pushed(after), after)
        gdb.execute("frame")


def go_on_to(places):
    """The CPU there, or wherever else it has stopped."""
    Stop.silent_at = places
    breakpoints = [gdb.Breakpoint(f"*{place:#x}", internal=True) for place in places]
    for breakpoint in breakpoints:
        breakpoint.silent = True
    try:
        gdb.execute("continue")
    finally:
        Stop.silent_at = ()
        for breakpoint in breakpoints:
            breakpoint.delete()
    if not gdb.selected_thread():
        raise gdb.GdbError("The machine has been switched off.")
    return Cpu()


# ---- where crossings begin and end

def doors(cpu):
    """Where the code of this ring can leave it on purpose: ring 3 by int, ring 0 by iret."""
    return instructions(INT if cpu.cpl == 3 else IRET)


@functools.cache
def instructions(opcode):
    """Where there are such instructions: a line of the source begins with one."""
    found = set()
    address, end = guest.SYMBOLS["start"], guest.SYMBOLS["data_in_file"]
    while address < end:
        line = gdb.find_pc_line(address)
        if line.symtab and guest.word(address) & 0xff == opcode:
            found.add(address)
        address = line.last + 1 if line.last else address + 1
    return found


def handlers(cpu):
    """Where the IDT leads to, and with which vector."""
    if not (cpu.is_protected and stub.is_in_program(cpu.idtr.base)):
        return {}
    # An interrupt that wakes a sleeping ring 0 changes no ring, and is over by itself.
    asleep = guest.SYMBOLS.get("wake")
    return {gate.offset: gate.place // 8 for gate in guest.descriptors(cpu.idtr) if gate.offset != asleep}


def landings(cpu):
    """Where the CPU can be after the int or iret that it stands at."""
    if cpu.cpl == 3:
        return set(handlers(cpu))
    (_, eip, _), (_, cs, _), *_ = popped(cpu)
    return {stub.address(guest.loaded(cs, cpu).base + eip), *handlers(cpu)}


# ---- the words that the CPU moves: (address, value, name), the last one pushed first

def popped(before):
    """By an iret to ring 3."""
    return words(before.sp, ["eip", "cs", "eflags", "esp", "ss"])


def pushed(after):
    """By an int or exception out of ring 3; some exceptions push an error code."""
    count = (guest.esp0() - after.sp) // 4
    return words(after.sp, ["error code", "eip", "cs", "eflags", "esp", "ss"][-count:])


def words(start, names):
    values = guest.words(start, len(names))
    return [(start + 4 * i, value, name) for i, (value, name) in enumerate(zip(values, names))]


def as_pushed(after):
    """The CPU before an exception, as the words tell that it has pushed."""
    before = copy.copy(after)
    values = {name: value for _, value, name in pushed(after)}
    before.eip, before.esp, before.eflags = values["eip"], values["esp"], values["eflags"]
    before.cs, before.ss = guest.loaded(values["cs"], after), guest.loaded(values["ss"], after)
    before.cpl = before.cs.selector & guest.RPL
    return before


# ---- telling

def report_way_in(before, after):
    moved = pushed(after)
    # An exception would come back to the same instruction, int to the one behind it.
    is_exception = (before.eip, "eip") in (word[1:] for word in moved)
    how = f"{'exception ' if is_exception else 'int 0x'}{handlers(after)[after.pc]:02x}"
    say(f"{how} at {guest.where(before.pc)}: ring {before.cpl} -> ring {after.cpl}, out of {proc_of(before)}")
    compare(before, after)
    say(f"The CPU took ss0:esp0 out of the TSS, {after.ss.selector:04x}:{guest.esp0():08x}, "
        f"{meaning(guest.esp0())}, and pushed:")
    show(moved, "<- esp after")


def report_way_out(before, after):
    say(f"iret at {guest.where(before.pc)}: ring {before.cpl} -> ring {after.cpl}, into {proc_of(after)}")
    compare(before, after)
    say("The CPU popped, from the bottom up:")
    show(popped(before), "<- esp before")


def proc_of(cpu):
    proc = guest.running_proc(cpu)
    return f"proc {proc.name}" if proc else "no proc"


def compare(before, after):
    def row(name, text):
        say(f"{name:13}{text(before):38}{text(after)}".rstrip())

    say(f"\n{'':13}{'before':38}after")
    row("CPL", lambda cpu: str(cpu.cpl))
    row("cs:eip", lambda cpu: f"{cpu.cs_eip} {guest.place(cpu.pc)}")
    row("ss:esp", lambda cpu: f"{cpu.ss_esp} {guest.stack_place(cpu)}")
    row("eflags", lambda cpu: cpu.flags)
    row("ds es fs gs", lambda cpu: " ".join(f"{one.selector:04x}" for one in (cpu.ds, cpu.es, cpu.fs, cpu.gs)))
    say()


def show(moved, mark):
    for address, value, name in reversed(moved):
        say(f"  {address:08x}  {value:08x}  {name:12}{mark if address == moved[0][0] else ''}".rstrip())
    say()

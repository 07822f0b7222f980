"""Where the CPU is: what is shown at each stop, the command ring, and what GDB takes for a caller."""

import gdb
import gdb.unwinder

import guest
from command import Command, quietly, say
from guest import Cpu


def describe(cpu):
    """Which world, and where in it."""
    place = guest.place(cpu.pc)
    if not cpu.is_protected:
        return f"real mode   cs:ip {cpu.cs.selector:04x}:{cpu.eip:04x} {place}".rstrip()
    if not cpu.has_tables:
        return f"the BIOS   cs:eip {cpu.cs_eip}"
    proc = guest.running_proc(cpu)
    world = f"ring {cpu.cpl}" + (f", proc {proc.name}" if proc else "")
    return f"{world}   cs:eip {cpu.cs_eip} {place}   ss:esp {cpu.ss_esp}"


class Stop(gdb.Command):
    """Not to be typed: runs at each stop, before GDB shows where it is.

    Tells GDB whether code is 16-bit or 32-bit, as the descriptor in cs has it.
    """

    silent_at = ()

    def __init__(self):
        super().__init__("ringpong-stop", gdb.COMMAND_OBSCURE)
        quietly("define hook-stop\nringpong-stop\nend")

    def invoke(self, _argument, _from_tty):
        if not gdb.selected_thread():
            return  # switched off
        cpu = Cpu()
        wanted = "i386" if cpu.runs_32bit_code else "i8086"
        if gdb.selected_inferior().architecture().name() != wanted:
            quietly(f"set architecture {wanted}")
        if cpu.pc not in self.silent_at:
            say(describe(cpu))


class Assembly(gdb.unwinder.Unwinder):
    """Tells GDB that code written in assembly has no caller.

    Otherwise GDB guesses at callers, and `next` waits for a return that never comes. A
    frame that is its own caller is the end. GDB then suspects a corrupt stack, but says
    so only if there are no frame filters: so this class is also one.
    """

    priority = 0

    class Id:
        sp = pc = gdb.Value(0)

    def __init__(self):
        super().__init__("assembly")
        gdb.unwinder.register_unwinder(None, self)
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        return frames

    def __call__(self, frame):
        eip = frame.read_register("eip")
        line = gdb.find_pc_line(int(eip))
        if line.symtab and line.symtab.filename.endswith(".c"):
            return None
        itself = frame.create_unwind_info(self.Id())
        itself.add_saved_register("eip", eip)
        return itself


class Ring(Command):
    """The CPL, and why: CR0.PE, the RPL in cs, the DPL of ss; cs:eip and ss:esp."""

    name = "ring"

    def run(self, _argument):
        cpu = Cpu()
        if not cpu.is_protected:
            say(f"CPL {cpu.cpl}: real mode has no rings, every instruction may do everything")
            say("  CR0.PE   0")
            say(f"  cs       {cpu.cs.selector:04x}, a paragraph")
        elif not cpu.has_selector_in_cs:
            say(f"CPL {cpu.cpl}: protected mode is on, but cs has not got a selector yet")
            say("  CR0.PE   1")
            say(f"  cs       {cpu.cs.selector:04x}, a paragraph until the far jump")
        else:
            say(f"CPL {cpu.cpl}: {guest.selector(cpu.cs.selector)} is in cs")
            say("  CR0.PE   1, protected mode")
            say(f"  cs       {cpu.cs.selector:04x} {guest.selector(cpu.cs.selector)}: "
                f"its RPL, {cpu.cs.selector & guest.RPL}, is the CPL")
            say(f"  ss       {cpu.ss.selector:04x} {guest.selector(cpu.ss.selector)}: "
                f"its DPL, {cpu.ss.dpl}, also always equals the CPL")
        say(f"  cs:eip   {cpu.cs_eip}   base {cpu.cs.base:08x}   {guest.where(cpu.pc)}".rstrip())
        say(f"  ss:esp   {cpu.ss_esp}   base {cpu.ss.base:08x}   {guest.stack_place(cpu)}".rstrip())
        say(f"  eflags   {cpu.flags}")

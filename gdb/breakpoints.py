"""Where to stop: the commands at and watch, and why not rwatch and awatch."""

import difflib
import re

import gdb

import guest
from command import Command, quietly


class At(Command):
    """Set a breakpoint exactly at a label, in whichever ring its code runs.

    usage: at LABEL|FILE:LINE|*ADDRESS [if CONDITION]

    `break` may choose a place behind the label, where it thinks that a function's body begins.
    A program with pages runs elsewhere before it turns paging on: there is one for that as well.
    """

    name = "at"
    completer = gdb.COMPLETE_SYMBOL

    def run(self, argument):
        place, _, rest = argument.partition(" ")
        if not place:
            raise gdb.GdbError("usage: at LABEL|FILE:LINE|*ADDRESS [if CONDITION]")
        if re.fullmatch(r"[A-Za-z_]\w*", place):
            address = self.address(place)
            place = f"*{address:#x}"
            if address >= guest.FLAT and not guest.Cpu().has_pages:
                gdb.execute(f"break *{address - guest.FLAT:#x} {rest}")
        gdb.execute(f"break {place} {rest}")

    @staticmethod
    def address(label):
        if label in guest.SYMBOLS:
            return guest.SYMBOLS[label]
        try:
            return int(gdb.parse_and_eval(f"&{label}"))  # in the boot sector
        except gdb.error:
            near = ", ".join(difflib.get_close_matches(label, guest.SYMBOLS, 5, 0.5))
            raise gdb.GdbError(f"There is no label {label}" + (f". Near it: {near}" if near else "")) from None


# A watchpoint that GDB's own Python functions set does not come here: stub.py refuses it.
WHY_NOT = """QEMU 7.2 aborts when a watchpoint is hit by an access that int itself makes.
Bochs can watch everything: make bochs, then `watch r` or `watch w`."""


class Watch(Command):
    """Stop when a variable in memory is written to.

    usage: watch EXPRESSION [if CONDITION]

    C's own variables, tss, idt_gate and the screen can be watched; the rest of memory,
    and reading (rwatch, awatch), cannot: QEMU 7.2 aborts when a watchpoint is hit by an
    access that int itself makes. Bochs can watch everything: make bochs.
    """

    name = "watch"
    completer = gdb.COMPLETE_EXPRESSION

    def run(self, argument):
        expression, _, condition = re.sub(r"^-l(ocation)?\s+", "", argument).partition(" if ")
        value = gdb.parse_and_eval(expression)
        if value.address is None:
            raise gdb.GdbError(f"{expression} is not in memory.")
        start, size = int(value.address), value.type.sizeof
        if not is_safe(start, size):
            raise gdb.GdbError(f"{expression}: not in C's variables, tss, idt_gate or the screen.\n{WHY_NOT}")
        quietly(f"monitor watchable {start} {size}")
        watchpoint = gdb.Breakpoint(f"*({value.type} *) {start:#x}", gdb.BP_WATCHPOINT, gdb.WP_WRITE)
        watchpoint.condition = condition or None


def is_safe(start, size):
    """Does int never write there? True of places that cannot hold a stack."""
    screen = range(0xb8000, 0xb8fa0)
    if start in screen:
        return start + size <= screen.stop
    name = guest.place(start).partition("+")[0]
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if not symbol or symbol.addr_class != gdb.SYMBOL_LOC_STATIC and name not in ("tss", "idt_gate"):
        return False
    value = symbol.value()
    return start + size <= int(value.address) + value.type.sizeof


class ReadWatch(Command):
    """Not possible here: `help watch` says why."""

    name = "rwatch"

    def run(self, _argument):
        raise gdb.GdbError(f"{self.name} is not possible here.\n{WHY_NOT}")


class AccessWatch(ReadWatch):
    """Not possible here: `help watch` says why."""

    name = "awatch"

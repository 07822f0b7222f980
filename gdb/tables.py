"""What the CPU looks up by itself: the commands gdt, ldt, idt and tss."""

import contextlib

import gdb

import guest
from command import Command, say
from guest import Cpu, protected_cpu


class Gdt(Command):
    """The GDT, decoded: every segment, and which registers hold it.

    Names and purposes are those of ring0/segments.h and of the program's own.
    """

    name = "gdt"

    def run(self, _argument):
        cpu = protected_cpu()
        say(f"GDTR   base {cpu.gdtr.base:08x}   limit {cpu.gdtr.limit:04x}")
        show_segments(guest.descriptors(cpu.gdtr)[1:], 0, cpu)


class Ldt(Command):
    """The LDT in use, decoded: what a proc may name, and which registers hold it.

    The gate loads the LDT of the proc that is next, right before it leaves ring 0.
    """

    name = "ldt"

    def run(self, _argument):
        cpu = protected_cpu()
        if not cpu.ldtr.selector & ~guest.RPL:
            hint = ": proc A's is loaded between ckpt_tss and ckpt_iret." if guest.procs() else "."
            raise gdb.GdbError("No LDT is in use" + hint)
        say(f"LDTR   {cpu.ldtr.selector:04x} {guest.selector(cpu.ldtr.selector)}   "
            f"base {cpu.ldtr.base:08x}   limit {cpu.ldtr.limit:04x}")
        show_segments(guest.descriptors(cpu.ldtr), guest.TI, cpu)


def show_segments(entries, table_indicator, cpu):
    say("place  selector      base      limit     type         DPL  in            purpose")
    for entry in entries:
        place = entry.place | table_indicator
        if not entry.present:
            say(f"{place:02x}     not present")
            continue
        name, purpose = guest.SEGMENT_ROWS.get(place, ("", ""))
        holders = " ".join(register for register in Cpu.HOLDERS
                           if getattr(cpu, register).selector & ~guest.RPL == place)
        say(f"{place:02x}     {name:12}  {entry.base:08x}  {entry.limit:08x}  {entry.type:11}  "
            f"{entry.dpl}    {holders:12}  {purpose}")


class Idt(Command):
    """The IDT, decoded: where each vector leads, and from which ring int may take it.

    usage: idt [VECTOR, in hexadecimal]

    Gates in a row that lead to places at equal distances share a line.
    """

    name = "idt"

    def run(self, argument):
        table = protected_cpu().idtr
        gates = guest.descriptors(table)
        say(f"IDTR   base {table.base:08x}   limit {table.limit:04x}")
        rows = [[self.chosen(argument, gates)]] if argument else self.rows(gates)
        say("vector  type            DPL  leads to")
        for row in rows:
            self.show(row)

    @staticmethod
    def chosen(argument, gates):
        with contextlib.suppress(ValueError, IndexError):
            return gates[int(argument, 16)]
        raise gdb.GdbError(f"There is no vector {argument}: expected 0 to {len(gates) - 1:x}")

    @staticmethod
    def rows(gates):
        rows = [gates[:2]]
        for gate in gates[2:]:
            *_, before, last = [None, *rows[-1]]
            alike = (gate.type, gate.dpl, gate.selector) == (last.type, last.dpl, last.selector)
            if alike and (not before or gate.offset - last.offset == last.offset - before.offset):
                rows[-1].append(gate)
            else:
                rows.append([gate])
        return rows

    @staticmethod
    def show(row):
        first, last = row[0], row[-1]
        vectors, distance = f"{first.place // 8:02x}", ""
        if len(row) > 1:
            vectors += f"-{last.place // 8:02x}"
            distance = f", each {row[1].offset - first.offset:x} further on"
        leads = (f"{first.selector:04x} {guest.selector(first.selector)}, another task" if first.type == "task gate" else
                 f"{first.selector:04x}:{first.offset:08x} {guest.selector(first.selector)} "
                 f"{guest.place(first.offset)}{distance}")
        say(f"{vectors:6}  {first.type:14}  {first.dpl}    {leads}")


class Tss(Command):
    """The TSS, decoded: the stack that int takes when it comes from ring 3."""

    name = "tss"

    def run(self, _argument):
        tr = protected_cpu().tr
        tss = guest.tss()
        words = {field.name: int(tss[field]) for field in tss.type.fields()}
        if tr.selector:
            say(f"TR     {tr.selector:04x} {guest.selector(tr.selector)}   "
                f"base {tr.base:08x}   limit {tr.limit:04x}")
        else:
            say("TR     not loaded yet: ltr does it, right before ckpt_tss")
        ss0, esp0, bitmap = (words.pop(name) for name in ("ss0", "esp0", "io_bitmap"))
        say(f"ss0    {ss0:08x}   {guest.selector(ss0)}")
        say(f"esp0   {esp0:08x}   {meaning(esp0)}")
        limit = tr.limit if tr.selector else tss.type.sizeof - 1
        closed = "beyond the limit: all are closed to ring 3" if bitmap > limit else "inside"
        say(f"ports  I/O bitmap at {bitmap:04x}, {closed}")
        others = ", ".join(f"{name} {word:08x}" for name, word in words.items() if word)
        say(f"all else, for task switches: {others or 0}")


def meaning(esp0):
    proc = guest.owner(esp0)
    return f"the end of proc {proc.name}'s frame" if proc else guest.place(esp0)

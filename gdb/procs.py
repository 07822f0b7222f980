"""The procs and their frames: the commands frames and who."""

import re

import gdb

import guest
from command import Command, say
from guest import protected_cpu


def all_procs():
    if procs := guest.procs():
        return procs
    raise gdb.GdbError(f"{guest.PROGRAM.upper()} has no procs in frames, as P_PROC has")


class Frames(Command):
    """Both frames word by word: who pushes what, and where esp0 and esp point.

    Drawn like ring0/frame.h, the end on top. While a proc runs, its registers are in
    the CPU, and its frame holds what they were when it last lay there.
    """

    name = "frames"

    def run(self, _argument):
        cpu = protected_cpu()
        procs = all_procs()
        marks = {guest.esp0(): "<- esp0"}
        if cpu.cpl == 0:
            marks[cpu.sp] = "<- esp0, esp" if cpu.sp in marks else "<- esp"
        running = guest.running_proc(cpu)
        titles = [f"proc {proc.name}" + (", running" if running and running.start == proc.start else "")
                  for proc in procs]
        say(" " * 26 + "".join(f"{title:32}" for title in titles).rstrip())
        for pusher, offset, name in reversed(layout()):
            cells = [self.cell(proc.start + offset, name, marks) for proc in procs]
            say(f"{pusher:9} +{offset:02}  {name:11}" + "".join(cells).rstrip())
        if cpu.cpl == 0 and not any(proc.start <= cpu.sp <= proc.end for proc in procs):
            say(f"esp is {cpu.esp:08x}, in no frame: {guest.stack_place(cpu)}")

    @staticmethod
    def cell(address, name, marks):
        value = "" if name == "end" else f"{guest.word(address):08x}"
        return f"{address:08x}  {value:8} {marks.get(address, ''):13}"


def layout():
    """(who pushes it, offset, name) of each word of a frame, from its start up."""
    frame = gdb.lookup_type("struct frame")
    words, pusher = [], "the gate"
    for field in frame.fields():
        pusher = {"edi": "pusha", "eip": "the CPU"}.get(field.name, pusher)
        if field.bitpos % 32 == 0:  # no upper half of a selector's word
            words.append((pusher, field.bitpos // 8, field.name))
    return [*words, ("", frame.sizeof, "end")]


class Who(Command):
    """Which proc runs, which lies saved in its frame, and who is next."""

    name = "who"

    def run(self, _argument):
        cpu = protected_cpu()
        procs = all_procs()
        names = {proc.end: proc.name for proc in procs}
        for proc in procs:
            state = f"saved in its frame, {proc.start:08x}"
            if proc.end == guest.esp0():
                state = self.state(cpu)
            say(f"proc {proc.name}: {state}; next after it: {names.get(proc.next, 'nobody')}")

    @staticmethod
    def state(cpu):
        """Of the proc that esp0 belongs to."""
        if cpu.cpl == 3:
            return "runs"
        functions = callers()
        if any(name.startswith("fault") for name in functions):
            return "an exception is being handled"
        if choice_is_ahead(cpu.pc, functions[0]):
            return "has come in by int; nobody has been chosen yet to go on"
        return "goes on with the next iret"


def callers():
    """The functions that the CPU is in, innermost first."""
    names, frame = [], gdb.newest_frame()
    while frame:
        names.append(frame.name() or "")
        frame = frame.older()
    return names


def choice_is_ahead(address, function):
    """Is esp0 still to be written, here or in what the code from here on calls?"""
    writes = r"call.*<(switch_to_next|watched_switch)>"
    if function == "switch_to_next":
        writes = r"mov .*,[^,]*\((?!%esp)[^,]*\)$"
    architecture = gdb.selected_inferior().architecture()
    while True:
        instruction = architecture.disassemble(address)[0]
        if re.match(writes, instruction["asm"]):
            return True
        if re.match("call|iret|ret|jmp|hlt", instruction["asm"]):
            return False
        address += instruction["length"]

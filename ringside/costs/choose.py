"""How to choose: what each design gives and asks for, a row for each. docs/costs.md shows it.

A new design is a new row in CHOICES, with the name that it has in the table of costs.
"""

import typing

HEAD = ("design", "isolation", "who saves what", "interrupts", "nesting", "ring-0 stack", "who does it today",
        "take it when")


class Choice(typing.NamedTuple):
    design: str
    isolation: str    # by what a proc is kept from ring 0 and from the others
    saved: str        # what the CPU saves, and what code saves
    interrupts: str   # whether they can switch, and where
    nesting: str      # whether ring 0 may be entered again, or stop in the middle
    stack: str        # for each thread or one for all
    today: str        # who works like this
    take: str         # the case it is made for


CHOICES = (
    Choice("P_PROC", "segments: an LDT each", "CPU five words, gate twelve, into the proc's frame",
           "off in ring 0; a device could use the same gate", "none: ring 0 runs to its end", "one for all",
           "seL4 on ia32 enters in this way", "ring 0 never waits: microkernels, hypervisors, small kernels"),
    Choice("TIMER", "segments: an LDT each", "as P_PROC", "the clock switches, at any instruction of ring 3",
           "none", "one for all", "every preemptive kernel has such a clock", "procs cannot be trusted to yield"),
    Choice("CALLGATE", "segments: an LDT each", "CPU four words and the parameter, gate thirteen, into the proc's frame",
           "one may find ring 0, in front of `cli`", "none", "one for all",
           "OS/2 1.x and System V on the 386 did; 64-bit CPUs still can",
           "a right should be a gate in a proc's own LDT"),
    Choice("SYSENTER", "pages: a space for each", "the proc its esp and eip, gate thirteen words, into the proc's frame",
           "off in ring 0", "none", "one for all", "Windows XP and Linux on 32-bit CPUs, for system calls",
           "system calls are many, and no CPU is older than a Pentium II"),
    Choice("HWTASK", "segments: an LDT each", "the CPU, all of it, into a TSS",
           "a task gate in the IDT starts a task of its own", "by the back link: a chain of tasks",
           "ring 0 is a task, with its own", "double-fault handlers of 32-bit kernels",
           "an exception must find a stack that is sure to be good"),
    Choice("HWJUMP", "segments: an LDT each", "the CPU, all of it, into a TSS", "off in ring 0", "none",
           "one for each task", "Linux 1 and 2.0 did; a CPU in 64-bit mode cannot",
           "you want the fewest instructions, and not the least time"),
    Choice("KSTACK", "segments, and a map of ports for each",
           "CPU five words, gate the rest, C its own registers: all on the kernel stack",
           "may come in ring 0 as well", "any depth: ring 0 may stop anywhere", "one for each thread",
           "Linux, the BSDs, xv6, Windows", "ring 0 blocks in the middle of its work: drivers, file systems"),
    Choice("PAGED", "pages: a directory each; segments are flat",
           "as KSTACK; CR3 if the space is another one", "may come in ring 0 as well",
           "any depth: ring 0 may stop anywhere", "one for each thread", "every kernel since the 386",
           "memory is shared out in pages, and no proc may see another's"),
    Choice("USERCTX", "segments: an LDT each", "CPU five words, code the rest, into a struct that C reads",
           "return from `run` like a trap", "none: `run` is a function that returns", "one for each caller of `run`",
           "zCore on bare metal; hosts that run guests (KVM_RUN)", "the kernel should read as a loop around its users"),
    Choice("FNCALL", "none", "code, into a struct that C reads", "only as signals of the host",
           "any depth: a user may itself run users", "one for each caller of `run`",
           "zCore's LibOS, Occlum in an enclave", "a kernel is developed or tested as a program"),
)


def rows() -> "list[list[str]]":
    return [[f"**{choice.design}**", *choice[1:]] for choice in CHOICES]

"""What the pictures of the designs show, a Sketch for each: docs/pictures/design-NAME.svg (design_picture.py draws it).

A new design is a new Sketch. Its parts lie in memory from the highest address down, as they are pushed; tests hold
their sum to what docs/costs.md says is kept of a proc that waits, and the numbers below the picture to its row there.
"""

import typing

CPU, CODE, STAYS = "cpu", "gate", "none"     # who moves the words: looks of ringside/pictures/svg.py


class Part(typing.NamedTuple):
    mover: str
    words: int      # of four bytes
    label: str      # where it fits: at least four words, one line of seventeen letters


class Sketch(typing.NamedTuple):
    name: str                       # as in the table of costs
    caption: "tuple[str, ...]"      # what is special, two lines of at most 46 letters
    outer: str                      # where procs run
    inner: str                      # what lies below them
    way_in: str
    way_out: str
    kept: str                       # what a waiting proc lies in; two of them, A's and B's
    parts: "tuple[Part, ...]"
    pointer: "tuple[str, ...]"      # what moves from A to B, three lines of at most 11 letters
    chooser: "tuple[str, ...]"      # three lines of at most 46 letters: who chooses, and on which stack
    numbers: "tuple[str, str]"      # instructions from A to B, and accesses


FIVE_WORDS = Part(CPU, 5, "5 words")
PUSHED = (Part(CODE, 8, "pusha: 8"), Part(CODE, 4, "push: 4"))
TSS_WORDS = (Part(STAYS, 2, ""), Part(CPU, 16, "registers: 16"), Part(STAYS, 7, "stacks, cr3"), Part(CPU, 1, ""))

SKETCHES = (
    Sketch("P_PROC", ("The CPU pushes into the proc's own frame, and", "ring 0 needs one stack for all."),
           "ring 3", "ring 0", "int 0x30", "iret", "frame", (FIVE_WORDS, *PUSHED), ("TSS.esp0:", "where int", "will push"),
           ("switch.c points esp0 at the end of B's frame.", "It runs on the one ring-0 stack, which is",
            "empty between switches."),
           ("24", "58")),
    Sketch("TIMER", ("As P_PROC, but the clock interrupts A, at any", "instruction. No proc has to yield."),
           "ring 3", "ring 0", "the clock", "iret", "frame", (FIVE_WORDS, *PUSHED), ("TSS.esp0:", "where it", "will push"),
           ("The interrupt is ended; then switch.c points", "esp0 at the end of B's frame. One ring-0", "stack for all."),
           ("25", "58")),
    Sketch("KSTACK", ("A kernel stack for each thread: ring 0 may stop", "anywhere, and go on there later."),
           "ring 3", "ring 0", "int 0x30", "iret", "kernel stack",
           (FIVE_WORDS, *PUSHED, Part(CODE, 4, "C: 4"), Part(CODE, 10, "the switch: 10")),
           ("esp: to the", "other one.", "And esp0"),
           ("schedule.c is left in the middle on A's stack,", "and goes on in the middle on B's. Ports and",
            "thread-local storage change as well."),
           ("66", "102")),
    Sketch("USERCTX", ("Ring 3 is a function: run(&a) returns when A", "traps, and says why."),
           "ring 3", "ring 0", "int 0x30", "iret", "context",
           (Part(STAYS, 2, ""), FIVE_WORDS, Part(CODE, 2, ""), *PUSHED), ("TSS.esp0:", "where int", "will push"),
           ("C calls run(&b) when run(&a) has returned, and", "reads what is in the context. It stays on its", "own stack."),
           ("38", "86")),
    Sketch("CALLGATE", ("As P_PROC, by a call instead of an interrupt:", "the gate copies a parameter, and IF stays set."),
           "ring 3", "ring 0", "lcall", "lret", "frame", (FIVE_WORDS, *PUSHED, Part(CODE, 1, "")),
           ("TSS.esp0:", "where lcall", "will push"),
           ("switch.c points esp0 at the end of B's frame.", "Until cli an interrupt may come, and finds the",
            "proc half in its frame."),
           ("28", "60")),
    Sketch("SYSENTER", ("The CPU reads three MSRs and pushes nothing: A", "says in ecx and edx where it wants to go on."),
           "ring 3", "ring 0", "sysenter", "sysexit", "frame", (Part(CODE, 9, "pushf, pusha: 9"), Part(CODE, 4, "push: 4")),
           ("TSS.esp0,", "which sys-", "enter finds"),
           ("The gate itself points esp0 at the end of B's", "frame, and loads CR3: the segments are flat, and",
            "pages protect."),
           ("23", "34")),
    Sketch("PAGED", ("KSTACK with an address space for each thread:", "pages protect, and ring 0 is in both."),
           "ring 3", "ring 0", "int 0x30", "iret", "kernel stack",
           (FIVE_WORDS, *PUSHED, Part(CODE, 4, "C: 4"), Part(CODE, 10, "the switch: 10")),
           ("CR3: other", "space. esp:", "other stack"),
           ("schedule.c is left in the middle on A's stack,", "and goes on in the middle on B's, where the same",
            "addresses of ring 3's lead elsewhere."),
           ("55", "91")),
    Sketch("HWTASK", ("The CPU saves and loads all by itself: a task", "gate leads to a task that is ring 0."),
           "ring 3", "ring 0", "int 0x30", "iret", "TSS", TSS_WORDS, ("back link:", "iret's way", "to a task"),
           ("Ring 0 is a task with a TSS and a stack of its", "own. It writes B into its back link; iret with", "NT goes there."),
           ("15", "96")),
    Sketch("HWJUMP", ("The CPU's task switch again, in ring 0 this", "time: a far jump from A's task to B's."),
           "ring 3", "ring 0", "int 0x30", "iret", "TSS, stack", (FIVE_WORDS, *TSS_WORDS), ("TR: ljmp", "loads the", "other TSS"),
           ("A's int pushes five words on a ring-0 stack that", "is A's own. ljmp leaves A there, and goes on",
            "in B just behind its ljmp."),
           ("5", "66")),
    Sketch("FNCALL", ("No rings: a function of C's that returns when", "the user calls. All is done by hand."),
           "user", "C", "call", "ret", "context",
           (Part(CODE, 6, "why: 6"), Part(STAYS, 2, ""), Part(CODE, 4, "rip, rflags: 4"), Part(CODE, 32, "registers: 32")),
           ("fs base:", "its TLS has", "C's stack"),
           ("C calls run_fncall(&b) when run_fncall(&a) has", "returned. xchg with a word at fs finds C's stack,",
            "as esp0 does for a CPU."),
           ("96", "–")),
)


def file_of(sketch: Sketch) -> str:
    return f"design-{sketch.name.lower()}.svg"

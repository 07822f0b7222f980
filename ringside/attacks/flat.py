"""Attacks where segments are flat and pages protect: PAGED, SYSENTER.

    layout(program)    addresses, by the names that attacks have for them
    PAGES              attacks on pages, for both
    SAYS, ENTERS       attacks on the doors of one: int 0x31, sysenter

In A's data, from SCRATCH on, all is zero. HOLE, GUARD: pages that are not there. What the other attacks
(table.py) are here, stands in differences.py.
"""

from ringside.attacks.attack import Attack, DB, END, Expected, GP, ON, PRESENT, TS, UD, USER, WRITE, gp, if_it_holds, pf

PAGE = 0x1000
RING0, POOL, SCREEN, LAST = 0xffff0000, 0xfffd0000, 0xfffef000, 0xffffffff
CODE, DATA, HOLE, LATER, WINDOW, GUARD, STACK, STACK_END = (
    0x08048000, 0x08049000, 0x0804a000, 0x0804b000, 0x0804d000, 0x0804e000, 0x0804f000, 0x08050000)
TABLES = RING0 + 0x7000     # GDT, IDT, TSS: flat.ld's data_start
SCRATCH = DATA + 0x100
NAMES = {"CODE_AT": CODE, "DATA_AT": DATA, "HOLE": HOLE, "LATER": LATER, "WINDOW": WINDOW, "GUARD": GUARD, "STACK": STACK,
         "STACK_END": STACK_END, "RING0": RING0, "POOL": POOL, "SCREEN": SCREEN, "SCRATCH": SCRATCH}


def layout(program):
    return {**NAMES, "TABLES": RING0 + program.symbols["data_start"]}


READ, WRITES = USER, USER | WRITE
READ_RING0, WRITE_RING0 = READ | PRESENT, WRITES | PRESENT
RING0_PAGES = {"code": RING0 + 0x1000, "tables": TABLES, "screen": SCREEN, "page tables": POOL}
ABSENT = {"null": 0, "the hole": HOLE, "the guard page": GUARD, "in front of the code": CODE - PAGE,
          "behind the stack": STACK_END, "between": 0x40000000, "the end of memory": LAST & ~3}
READS_FIRST = "TCG reads first, and asks then whether it may write"

A = Attack
PAGES = [
    *(A(f"page: read {name}", f"mov {place:#x}, %eax", pf(READ, place)) for name, place in ABSENT.items()),
    *(A(f"page: write {name}", f"movl $0, {place:#x}", pf(WRITES, place)) for name, place in ABSENT.items()),
    *(A(f"page: run {name}", f"mov ${place:#x}, %eax; jmp *%eax", pf(READ, place, place)) for name, place in ABSENT.items()),
    *(A(f"page: read ring 0's {name}", f"mov {place:#x}, %eax", pf(READ_RING0, place)) for name, place in RING0_PAGES.items()),
    *(A(f"page: write ring 0's {name}", f"movl $-1, {place:#x}", pf(WRITE_RING0, place)) for name, place in RING0_PAGES.items()),
    *(A(f"page: run ring 0's {name}", f"mov ${place:#x}, %eax; jmp *%eax", pf(READ_RING0, place, place))
      for name, place in RING0_PAGES.items()),
    *(A(f"page: {name}, through {register}", f"mov $A_DATA, %eax; mov %eax, %{register}; mov %{register}:RING0, %eax",
        pf(READ_RING0, RING0)) for name, register in (("read ring 0", "fs"), ("read ring 0 as well", "gs"))),
    A("page: read own code", "mov %cs:CODE_AT, %eax; mov CODE_AT, %eax", ON),
    A("page: write own code", "movb $0x90, CODE_AT", pf(WRITE_RING0, CODE)),
    A("page: add to own code", "incl CODE_AT", pf(WRITE_RING0, CODE)),
    A("page: add to ring 0, locked", "9: .byte 0xf0; incl TABLES", pf(WRITE_RING0, TABLES), pf(READ_RING0, TABLES), READS_FIRST),
    A("page: compare and exchange with ring 0", "cmpxchg %edx, TABLES", pf(WRITE_RING0, TABLES), pf(READ_RING0, TABLES),
      READS_FIRST),
    A("page: read across the end of own data", "mov HOLE - 3, %eax", pf(READ, HOLE)),
    A("page: write across the end of own data", "movl $-1, HOLE - 1", pf(WRITES, HOLE)),
    A("page: write across the beginning of own code", "movl $-1, CODE_AT - 2", pf(WRITES, CODE - 2)),
    A("page: the last byte of own data", "incb HOLE - 1; cmpb $1, HOLE - 1; je 1f; hlt; 1: nop", ON),
    A("page: own window", "movl $-1, WINDOW; movl $-1, WINDOW + 0xffc", ON),
    A("page: lods without an end", "mov $-1, %ecx; mov $SCRATCH, %esi; rep lodsb", pf(READ, HOLE)),
    A("page: stos without an end", "mov $-1, %ecx; mov $SCRATCH, %edi; rep stosb", pf(WRITES, HOLE)),
    A("page: stos downwards", "std; mov $-1, %ecx; mov $SCRATCH, %edi; rep stosb", pf(WRITE_RING0, DATA - 1)),
    A("page: movs out of ring 0", "mov $RING0, %esi; mov $SCRATCH, %edi; movsl", pf(READ_RING0, RING0)),
    A("page: movs into ring 0", "mov $SCRATCH, %esi; mov $TABLES, %edi; movsl", pf(WRITE_RING0, TABLES)),
    A("page: cmps with ring 0", "mov $SCRATCH, %esi; mov $POOL, %edi; cmpsl", pf(READ_RING0, POOL)),
    A("page: sgdt into ring 0", "sgdt TABLES", pf(WRITE_RING0, TABLES)),
    A("page: lds out of ring 0", "lds TABLES, %eax", pf(READ_RING0, TABLES + 4), pf(READ_RING0, TABLES),
      "TCG reads the offset first, and the manual says nothing of it"),
    A("page: xlat in ring 0", "mov $RING0, %ebx; xlat", pf(READ_RING0, RING0)),
    A("page: bits far from here", "mov $0x7ffb7800, %eax; bts %eax, SCRATCH", pf(WRITES, SCRATCH + 0x0fff6f00),
      pf(READ, SCRATCH + 0x0fff6f00), READS_FIRST),
    A("page: fnsave into ring 0", "fnsave TABLES", Expected(7)),
    A("page: verr of all segments is no leave to read", "mov $A_DATA, %eax; verw %ax; mov RING0, %eax", pf(READ_RING0, RING0)),

    # ---- the stack
    A("stack: below", "mov $STACK, %esp; push %eax", pf(WRITES, STACK - 4)),
    A("stack: above", "pop %eax", pf(READ, STACK_END)),
    A("stack: across its beginning", "mov $STACK + 2, %esp; push %eax", pf(WRITES, STACK - 2)),
    A("stack: pusha without room", "mov $STACK + 16, %esp; pusha", pf(WRITES, STACK - 4), pf(WRITES, STACK - 16),
      "TCG writes the last of the words first"),
    A("stack: popa without words", "mov $STACK_END - 16, %esp; popa", pf(READ, STACK_END)),
    A("stack: in ring 0, push", "mov $TABLES + 4, %esp; push %eax", pf(WRITE_RING0, TABLES)),
    A("stack: in ring 0, pop", "mov $TABLES, %esp; pop %eax", pf(READ_RING0, TABLES)),
    A("stack: at 0", "xor %esp, %esp; push %eax", pf(WRITES, LAST & ~3)),
    A("stack: call without room", "mov $STACK, %esp; call 8f", pf(WRITES, STACK - 4)),
    A("stack: ret from ring 0", "mov $TABLES, %esp; ret", pf(READ_RING0, TABLES)),
    A("stack: leave to nowhere", "mov $HOLE, %ebp; leave", pf(READ, HOLE)),
    A("stack: enter without room", "mov $STACK, %esp; enter $0x10, $0", pf(WRITES, STACK - 4)),
    A("stack: in own code", "mov $CODE_AT + 0x200, %esp; push %eax", pf(WRITE_RING0, CODE + 0x1fc)),
    A("stack: in own data", "mov $SCRATCH, %esp; push $5; pop %eax; cmp $5, %eax; je 1f; hlt; 1: nop", ON),
    A("stack: in own window", "mov $WINDOW + 640, %esp; push $0x0720; pop %eax", ON),

    # ---- where code may lie
    A("run: own data", "movb $0xf4, SCRATCH; mov $SCRATCH, %eax; jmp *%eax", gp(0, at=SCRATCH)),
    A("run: own stack", "push $0xf4; jmp *%esp", gp(0, at=STACK_END - 4)),
    A("run: across the end of own data", "movb $0xb8, HOLE - 1; mov $HOLE - 1, %eax; jmp *%eax", pf(READ, HOLE, HOLE - 1)),
    A("run: ring 0 by ret", "push $RING0 + 0x1000; ret", pf(READ_RING0, RING0 + 0x1000, RING0 + 0x1000)),
    A("run: ring 0 by lret", "push $A_CODE; push $RING0 + 0x1000; lret", pf(READ_RING0, RING0 + 0x1000, RING0 + 0x1000)),
    A("run: ring 0 by iret", "pushf; push $A_CODE; push $RING0 + 0x1000; iret", pf(READ_RING0, RING0 + 0x1000, RING0 + 0x1000)),
    A("run: ring 0 by ljmp", "ljmp $A_CODE, $RING0 + 0x1000", pf(READ_RING0, RING0 + 0x1000, RING0 + 0x1000)),
    A("run: ring 0 by lcall", "lcall $A_CODE, $RING0 + 0x1000", pf(READ_RING0, RING0 + 0x1000, RING0 + 0x1000)),
    A("run: code that it writes for itself", "movl $0xccc3f490, SCRATCH; mov $SCRATCH, %eax; movb $0xcc, SCRATCH + 1; call *%eax;"
      "9: nop", Expected(6, 0, END, traps=(3,))),
]


def say(name, pointer, told):
    """int 0x31 with a pointer: 0 or -1 comes back, and A goes on."""
    right = "test %eax, %eax; jz 1f" if told == "say" else "inc %eax; jz 1f"
    return A(f"say: {name}", f"mov ${pointer}, %eax; int $0x31; {right}; hlt; 1: nop", Expected(6, 0, END, told=told))


SAYS = [
    say("own data", "SCRATCH", "say"),
    say("own code", "CODE_AT", "say"),
    say("own window", "WINDOW + 0x800", "say"),
    *(say(name, f"{place:#x}", "refused") for name, place in {**RING0_PAGES, **ABSENT}.items()),
    A("say: a text that ends in nowhere", "mov $HOLE, %ecx; 1: dec %ecx; movb $65, (%ecx); cmp $HOLE - 16, %ecx; jne 1b;"
      "mov %ecx, %eax; int $0x31; inc %eax; jz 1f; hlt; 1: nop", Expected(6, 0, END, told="refused")),
    A("say: with bent segments and stack", "mov $SCRATCH, %eax; xor %ecx, %ecx; mov %ecx, %ds; mov %ecx, %es; mov $-1, %esp;"
      "int $0x31; nop", Expected(6, 0, END, told="say")),
    A("say: with all flags", "mov $SCRATCH, %eax; push $0x247ed7 & ~0x100; popf; int $0x31; nop",
      Expected(6, 0, END, told="say")),
    A("later: read", "mov LATER, %eax; test %eax, %eax; jz 1f; hlt; 1: nop", Expected(6, 0, END, told="page")),
    A("later: write its last byte", "incb LATER + 0xfff", Expected(6, 0, END, told="page")),
    A("later: as a stack", "mov $LATER + 0x1000, %esp; push %eax", Expected(6, 0, END, told="page")),
    A("later: by ring 0, which is asked to say it", "mov $LATER, %eax; int $0x31; test %eax, %eax; jz 1f; hlt; 1: nop",
      Expected(6, 0, END, told="page say")),
    A("later: the page behind", "mov LATER + 0x1000, %eax", pf(READ, LATER + PAGE)),
]

ENTERS_LATER = "mov %esp, %ecx; mov $77f - 7b + CODE_AT, %edx"
BACKLINK = Expected(TS, None)   # in the TSS, where a single step's words are pushed: no task's selector
BACK = "mov $1f - 7b + CODE_AT, %edx"


def enters(before, after, stack="mov %esp, %ecx"):
    """sysenter, and what comes behind."""
    return f"{before}; {stack}; {BACK}; sysenter; 1: {after}"


def goes_to(place):
    return f"mov %esp, %ecx; mov ${place:#x}, %edx; sysenter"


def keeps(flag):
    """A bit of eflags is set behind sysenter."""
    return f"pushf; pop %eax; test ${flag:#x}, %eax; jnz 1f; hlt; 1: nop"


ENTERS = [
    A("sysenter: no stack given, none used", enters("nop", "test %esp, %esp; jz 1f; hlt; 1: nop", "xor %ecx, %ecx"), ON),
    A("sysenter: no stack given, then push", enters("nop", "9: push %eax", "xor %ecx, %ecx"), pf(WRITES, LAST & ~3)),
    A("sysenter: ring 0's stack", enters("nop", "9: push %eax", "mov $TABLES + 4, %ecx"), pf(WRITE_RING0, TABLES)),
    *(A(f"sysenter: back to {name}", goes_to(place), pf(READ, place, place)) for name, place in ABSENT.items()),
    *(A(f"sysenter: back to ring 0's {name}", goes_to(place), pf(READ_RING0, place, place))
      for name, place in RING0_PAGES.items()),
    A("sysenter: back into own data", f"movb $0xf4, SCRATCH; {goes_to(SCRATCH)}", gp(0, at=SCRATCH)),
    A("sysenter: back to the middle of an instruction", "mov %esp, %ecx; mov $1f - 7b + CODE_AT + 1, %edx; sysenter;"
      "1: mov $0xf4f4f4f4, %eax", gp(0, at=None)),
    A("sysenter: all other registers come back",
      enters("mov $0x11, %eax; mov $0x22, %ebx; mov $0x33, %esi; mov $0x44, %edi; mov $0x55, %ebp",
             "add %ebx, %eax; add %esi, %eax; add %edi, %eax; add %ebp, %eax; cmp $0xff, %eax; je 1f; hlt; 1: nop"), ON),
    A("sysenter: selectors of A's",
      enters("mov %cs, %eax; mov %eax, %fs; mov $A_DATA, %eax; mov %eax, %gs",
             "mov %fs, %eax; mov %cs, %ebx; cmp %eax, %ebx; je 1f; hlt; 1: mov %gs:SCRATCH, %eax"), ON),
    A("sysenter: with null segments",
      enters("xor %eax, %eax; mov %eax, %ds; mov %eax, %es", "mov %ds, %eax; test %eax, %eax; jz 1f; hlt; 1: nop"), ON),
    A("sysenter: in single step", f"{ENTERS_LATER}; push $0x302; popf; sysenter; 77: 9: nop", DB),
    A("sysenter: NT", f"{ENTERS_LATER}; push $0x4202; popf; sysenter; 77: {keeps(0x4000)}", ON),
    A("sysenter: NT, then iret", f"{ENTERS_LATER}; push $0x4202; popf; sysenter; 77: 9: iret", BACKLINK),
    A("sysenter: DF", enters("std", keeps(0x400)), ON),
    A("sysenter: IF is set behind it", enters("nop", keeps(0x200)), ON),
    A("sysenter, locked", "9: .byte 0xf0; sysenter", UD, *if_it_holds("qemu-lock-int", pf(READ, 0, 0))),
    A("sysenter with 16 bits", f"{ENTERS_LATER}; .byte 0x66; sysenter; 77: nop", ON),
    A("sysenter behind mov ss", f"mov %ss, %eax; {ENTERS_LATER}; mov %eax, %ss; sysenter; 77: nop", ON),
    A("sysexit, to ring 0's code", "mov $RING0 + 0x1000, %edx; mov %esp, %ecx; sysexit", GP),
    *(A(f"wrmsr: SYSENTER_{name}", f"mov ${number:#x}, %ecx; mov $RING0, %eax; wrmsr", GP)
      for name, number in (("CS", 0x174), ("ESP", 0x175), ("EIP", 0x176))),
    A("rdmsr: SYSENTER_EIP", "mov $0x176, %ecx; rdmsr", GP),
    A("ljmp to sysenter's code", "ljmp $0x30, $RING0 + 0x1000", gp(0x30)),
    A("lcall to sysenter's code", "lcall $0x30, $RING0 + 0x1000", gp(0x30)),
    A("sysenter's data as a stack", "mov $0x38, %eax; mov %eax, %ss", gp(0x38)),
    A("sysenter's data, RPL 3", "mov $0x3b, %eax; mov %eax, %ds", gp(0x38)),
    A("iret to sysenter's code", "push $0x202; push $0x30; push $RING0 + 0x1000; iret", gp(0x30)),
]

"""The table of attacks: what proc A may try in P_PROC, a line for each.

TABLE has them all. attack.py says how to read a line; what is different in the other programs
stands in differences.py.
"""

import dataclasses

from ringside.attacks.attack import (ALARM, Attack, BEGIN, BEYOND, BR, Bytes, DB, DE, Expected, GP, GP_VECTOR, NM, NP, ON, STACK,
                                     TS, UD, gp, if_it_holds, refused)

LIMITS = "TCG checks no segment limits"
TYPES = "TCG does not ask what a segment may be used for"
NULL = "TCG lets null selectors be used"
YOUNGER = "QEMU's CPU is younger and has the instruction, but not for ring 3"
WRITES = LIMITS + ": not run there, for it would write over the guest"
CACHES = if_it_holds("qemu-caches-of-all", ON)

# What A finds in its flags: CF PF AF ZF SF OF are the attack's own.
FLAGS = "pushf; pop %ecx; and $~0x8d5, %ecx"


def popf(flags):
    return f"push ${flags:#x}; popf"


def keeps_flags(flags, found):
    """popf of some flags, int 0x30, and a look at what has come of them."""
    return f"{popf(flags)}; int $0x30; {FLAGS}; cmp ${found:#x}, %ecx; je 1f; hlt; 1: nop"


def at_the_end(code, size):
    """The last instruction is the last of the code segment."""
    return f"jmp 1f; .org 7b + CODE_BYTES - {size}; 1: {code}"


A = Attack
TABLE = [
    # ---- privileged instructions, and those that IOPL rules
    A("cli", "cli", GP),
    A("sti", "sti", GP),
    A("hlt", "hlt", GP),
    A("clts", "clts", GP),
    A("lgdt", "lgdt 8", GP),
    A("lidt", "lidt 8", GP),
    A("lldt null", "lldt %ax", GP),
    A("lldt B's", "mov $B_LDT, %eax; lldt %ax", GP),
    A("ltr", "mov $TSS, %eax; ltr %ax", GP),
    A("lmsw", "lmsw %ax", GP),
    A("read cr0", "mov %cr0, %eax", GP),
    A("write cr0", "mov %eax, %cr0", GP),
    A("read cr2", "mov %cr2, %eax", GP),
    A("write cr3", "mov %eax, %cr3", GP),
    A("read cr4", "mov %cr4, %eax", GP),
    A("write cr4", "mov %eax, %cr4", GP),
    A("read dr6", "mov %dr6, %eax", GP),
    A("read dr7", "mov %dr7, %eax", GP),
    A("write dr0", "mov %eax, %dr0", GP),
    A("write dr7: breakpoints", "mov $0xff, %eax; mov %eax, %dr7", GP),
    A("rdmsr", "rdmsr", GP),
    A("wrmsr", "wrmsr", GP),
    A("invd", "invd", GP, *CACHES),
    A("wbinvd", "wbinvd", GP, *CACHES),
    A("invlpg", "invlpg (%eax)", GP),
    A("in: keyboard", "in $0x64, %al", GP),
    A("in: by dx, 32 bits", "mov $0xcf8, %edx; in %dx, %eax", GP),
    A("out: interrupt controller", "mov $0xff, %al; out %al, $0x21", GP),
    A("out: the log", "mov $0xe9, %edx; out %al, %dx", GP),
    A("out: power switch", "mov $0x604, %edx; out %ax, %dx", GP),
    A("out: reset line", "mov $0xfe, %al; out %al, $0x64", GP),
    A("in: the clock", "in $0x71, %al", GP),
    A("out: the clock, behind int 0x30", "int $0x30; mov $0x8a, %al; out %al, $0x70", GP),
    A("in: between the keyboard and the clock, 16 bits", "mov $0x6f, %edx; in %dx, %ax", GP),
    A("in: the clock and beyond, 32 bits", "in $0x70, %eax", GP),
    A("in: beyond the clock", "in $0x72, %al", GP),
    A("in: the last port, 32 bits", "mov $0xfffc, %edx; in %dx, %eax", GP),
    A("in: around the last port", "mov $-1, %edx; in %dx, %ax", GP),
    A("ins", "mov $0x60, %edx; insb", GP),
    A("outs", "mov $0xe9, %edx; outsb", GP),
    A("rep ins", "mov $9, %ecx; mov $0x1f0, %edx; rep insw", GP),
    A("rep outs, no times", "rep outsb", GP),

    # ---- what ring 3 may execute, though it shows more than one might wish
    A("sgdt", "sgdt 8", ON),
    A("sidt", "sidt 8", ON),
    A("sldt", "sldt %ax", ON),
    A("str", "str %ax", ON),
    A("smsw", "smsw %ax", ON),
    A("rdtsc", "rdtsc", ON),
    A("cpuid", "cpuid", ON),
    A("pause", "rep nop", ON),

    # ---- doors that are not there, or not for ring 3
    A("int 1: debug exception", "int $1", gp(1 * 8 + 2)),
    A("int 2: NMI", "int $2", gp(2 * 8 + 2)),
    A("int 8: the task for double faults", "int $8", gp(8 * 8 + 2)),
    A("int 0x0d: with an error code too few", "int $0x0d", gp(0x0d * 8 + 2)),
    A("int 0x20: the alarm", "int $0x20", gp(0x20 * 8 + 2)),
    A("int 0x21: DOS", "int $0x21", gp(0x21 * 8 + 2)),
    A("int 0x2f: the last interrupt", "int $0x2f", gp(0x2f * 8 + 2)),
    A("int 0x31: beyond the IDT", "int $0x31", gp(0x31 * 8 + 2)),
    A("int 0x80: Linux", "int $0x80", gp(0x80 * 8 + 2)),
    A("int 0xff: the last vector", "int $0xff", gp(0xff * 8 + 2)),
    A("sysenter", "sysenter", UD, GP, YOUNGER),
    A("sysexit", "sysexit", UD, GP, YOUNGER),
    A("syscall", "syscall", UD),
    A("sysret", "sysretl", UD),
    A("rsm", "rsm", UD),
    A("vmcall", "vmcall", UD),
    A("vmmcall", "vmmcall", UD),
    A("xgetbv", "xgetbv", UD),
    A("swapgs", ".byte 0x0f, 0x01, 0xf8", UD),
    A("loadall", ".byte 0x0f, 0x04", UD),

    # ---- arithmetic, traps, invalid opcodes
    A("div by 0", "div %ecx", DE),
    A("idiv: the quotient has no room", "mov $1 << 30, %edx; mov $1, %ecx; idiv %ecx", DE),
    A("idiv: the smallest number by -1", "mov $1 << 31, %edx; mov $-1, %ecx; idiv %ecx", DE, None,
      "QEMU 7.2 itself dies of it: not run there", harmful=True),
    A("aam by 0", "aam $0", DE),
    A("bound", "movl $1, 8; movl $2, 12; bound %eax, 8", BR),
    A("ud2", "ud2", UD),
    A("lock nop", "9: .byte 0xf0; nop", UD),
    A("lock on a register", "9: .byte 0xf0; add %eax, %eax", UD),
    A("lock int 0x30", "9: .byte 0xf0; int $0x30", UD, *if_it_holds("qemu-lock-int", ON)),
    A("mov to cs", ".byte 0x8e, 0xc8", UD),
    A("lea of a register", ".byte 0x8d, 0xc0", UD),
    A("lcall of a register", ".byte 0xff, 0xd8", UD),
    A("ljmp of a register", ".byte 0xff, 0xe8", UD),
    A("group 5, number 7", ".byte 0xff, 0xf8", UD),
    A("cr1", ".byte 0x0f, 0x20, 0xc8", UD, *if_it_holds("qemu-cr1-is-cr0", GP)),
    A("0f ff", ".byte 0x0f, 0xff, 0xc0", UD),
    A("15 bytes of instruction", ".byte " + "0x66, " * 14 + "0x90", ON),
    A("16 bytes of instruction", "9: .byte " + "0x66, " * 15 + "0x90", GP),
    A("prefixes without an end", "9: .fill 64, 1, 0x66", GP),
    A("16 bytes of int 0x30", "9: .fill 14, 1, 0x2e; int $0x30", GP),
    A("15 bytes of int 0x30", ".fill 13, 1, 0x2e; int $0x30", ON),

    # ---- the FPU and its like, whose state would be another proc's
    A("fld1", "fld1", NM),
    A("fninit", "fninit", NM),
    A("fnstcw", "fnstcw 8", NM),
    A("fnsave", "fnsave 8", NM),
    A("fwait", "fwait", NM),
    A("emms", "emms", UD, ON, "TCG does not ask CR0 there; what emms resets cannot be seen"),
    A("movd to mm0", "movd %eax, %mm0", UD, NM, "TCG asks CR0.TS first, then EM"),
    A("fxsave", "fxsave 8", UD, NM, "QEMU's CPU is younger and has the instruction"),
    A("ldmxcsr", "ldmxcsr 8", UD),
    A("movups from xmm0", "movups %xmm0, 8", UD),

    # ---- the limits of the data segments
    A("read behind own data", "mov DATA_BYTES, %al", GP, ON, LIMITS),
    A("read across the end of own data", "mov DATA_BYTES - 3, %eax", GP, ON, LIMITS),
    A("read the last byte of own data", "mov DATA_BYTES - 1, %al", ON),
    A("read in front of own data", "mov -4, %eax", GP, ON, LIMITS),
    A("write far behind own data", "movl $0, 0x500000", GP, ON, LIMITS),
    A("write B's data", "movl $-1, DATA_BYTES", GP, ON, WRITES, harmful=True),
    A("read behind own window", "mov %gs:WINDOW_BYTES, %al", GP, ON, LIMITS),
    A("read across the end of own window", "mov %gs:WINDOW_BYTES - 1, %ax", GP, ON, LIMITS),
    A("write ring 0's part of the screen", "movw $0x4f58, %gs:WINDOW_BYTES", GP, ON, WRITES, harmful=True),
    A("read behind own code", "mov %cs:CODE_BYTES, %al", GP, ON, LIMITS),
    A("write own code", "movb $0x90, %cs:0", GP, ON, TYPES),
    A("lods without an end", "mov $-1, %ecx; rep lodsb", GP, ALARM, LIMITS),
    A("stos without an end", "mov $-1, %ecx; mov $8, %edi; rep stosb", GP, ON, WRITES, harmful=True),
    A("lods downwards", "std; mov $12, %ecx; mov $4, %esi; rep lodsb", GP, ON, LIMITS),
    A("movs from code to behind", "mov $0x500000, %edi; movsl %cs:(%esi), %es:(%edi)", GP, ON, LIMITS),
    A("read through null", "mov %fs:0, %al", GP, ON, NULL),
    A("write through null", "xor %eax, %eax; mov %eax, %es; mov $0x600000, %edi; stosb", GP, ON, NULL),
    A("xlat beyond", "mov $0x600000, %ebx; xlat", GP, ON, LIMITS),
    A("cmpxchg beyond", "cmpxchg %edx, 0x600000", GP, ON, LIMITS),
    A("lds beyond", "lds 0x600000, %eax", GP, Expected(6, 0, None), LIMITS),
    A("sgdt beyond", "sgdt 0x600000", GP, ON, LIMITS),
    A("bits beyond", "mov $0x3000000, %eax; bt %eax, 8", GP, ON, LIMITS),

    # ---- the limits of the stack
    A("push above own stack", "mov $0x600000, %esp; push %eax", STACK, ON, LIMITS),
    A("push below own stack", "xor %esp, %esp; push %eax", STACK, ON, WRITES, harmful=True),
    A("pop from above own stack", "mov $DATA_BYTES, %esp; pop %eax", STACK, ON, LIMITS),
    A("pusha without room", "mov $28, %esp; pusha", STACK, ON, WRITES, harmful=True),
    A("read by ebp above own stack", "mov $DATA_BYTES, %ebp; mov (%ebp), %eax", STACK, ON, LIMITS),
    A("leave to nowhere", "mov $0x600000, %ebp; leave", STACK, ON, LIMITS),
    A("enter to nowhere", "mov $0x600000, %esp; enter $0x10, $0", STACK, ON, LIMITS),
    # Not where others of these write: in QEMU it finds 0 there, and begins again.
    A("ret from nowhere", "mov $0x700000, %esp; ret", STACK, ALARM, LIMITS),
    A("lret from nowhere", "mov $0x600000, %esp; lret", STACK, GP, LIMITS + ": it finds a null selector"),
    A("iret from nowhere", "mov $0x600000, %esp; iret", STACK, GP, LIMITS + ": it finds a null selector"),
    A("call without room", "mov $0x600000, %esp; call 8f", STACK, ON, LIMITS),

    # ---- the limit of the code segment
    A("run off the end", at_the_end("nop; 9:", 1), GP, UD, LIMITS),
    A("an instruction across the end", at_the_end("9: .byte 0xb8, 0, 0", 3), GP,
      Expected(6, 0, "CODE_BYTES + 2"), LIMITS),
    A("jmp beyond the end", "jmp 7b + CODE_BYTES + 8", GP, BEYOND, LIMITS),
    A("jmp by a register beyond", "mov $CODE_BYTES + 8, %eax; jmp *%eax", GP, BEYOND, LIMITS),
    A("jcc beyond", "cmp %eax, %eax; je 7b + CODE_BYTES + 8", GP, BEYOND, LIMITS),
    A("call beyond", "call 7b + CODE_BYTES + 8", GP, BEYOND, LIMITS),
    A("ret beyond", "push $CODE_BYTES + 8; ret", GP, BEYOND, LIMITS),
    A("ljmp beyond", "ljmp $A_CODE, $CODE_BYTES + 8", GP),
    A("lret beyond", "push $A_CODE; push $CODE_BYTES + 8; lret", GP, BEYOND, LIMITS),
    A("iret beyond", "pushf; push $A_CODE; push $CODE_BYTES + 8; iret", GP, BEYOND, LIMITS),
    A("int 0x30 as the last instruction", at_the_end("int $0x30", 2), refused(GP_VECTOR, 0, "CODE_BYTES"),
      Expected(6, 0, "CODE_BYTES"), LIMITS),
    A("int3 as the last instruction", at_the_end("int3", 1),
      Expected(GP_VECTOR, 0, "CODE_BYTES", restoring=True, traps=(3,)),
      Expected(6, 0, "CODE_BYTES", traps=(3,)), LIMITS),
    A("an exception at the last byte", at_the_end("9: hlt", 1), GP),

    # ---- far pointers
    A("lds: ring 0's data", "movl $RING0_DATA, 12; lds 8, %eax", gp(0x10)),
    A("les: B's data", "movl $B_DATA, 12; les 8, %eax", gp("B_DATA")),
    A("lfs: B's LDT", "movl $B_LDT, 12; lfs 8, %eax", gp("B_LDT")),
    A("lgs: ring 0's screen", "movl $RING0_SCREEN, 12; lgs 8, %eax", gp(0x28)),
    A("lss: ring 0's data", "movl $RING0_DATA, 12; lss 8, %esp", gp(0x10)),
    A("lss: null", "lss 8, %esp", GP),
    A("pop ds: ring 0's code", "push $RING0_CODE; pop %ds", gp(0x08)),
    A("pop ss: ring 0's data, RPL 3", "push $RING0_DATA + 3; pop %ss", gp(0x10)),
    A("pop es: a selector of ffff", "push $0xffff; pop %es", gp(0xfffc)),
    A("lcall by memory: ring 0", "movl $RING0_CODE, 12; lcall *8", gp(0x08)),
    A("ljmp by memory: the TSS", "movl $TSS, 12; ljmp *8", gp(0x18)),
    A("ljmp, 16 bits: ring 0", "9: .byte 0x66, 0xea, 0, 1, 8, 0", gp(0x08)),
    A("iret, 16 bits: ring 0", "pushw $0x202; pushw $8; pushw $0x100; iretw", gp(0x08)),
    A("iret: ring 0, as an int would have left it",
      "push $RING0_DATA; push $0x6000; push $0x202; push $RING0_CODE; push $0x154; iret", gp(0x08)),
    A("iret: virtual 8086", "push $0; push $0; push $0; push $0; push $0xb800; push $0; push $0x20202;"
      "push $0; push $0; iret", GP, None,
      "TCG lets the iret of any ring set VM, a hole of its own: not run there", harmful=True),
    A("lret: to another stack", "push $RING0_DATA; push $0x6000; push $RING0_CODE; push $0x154; lret", gp(0x08)),

    # ---- flags, and what ring 0 makes of them
    A("popf: IOPL 3", f"{popf(0x3202)}; {FLAGS}; cmp $0x202, %ecx; je 1f; hlt; 1: nop", ON),
    A("popf: IF off", f"{popf(0x002)}; {FLAGS}; cmp $0x202, %ecx; je 1f; hlt; 1: nop", ON),
    A("popf: VM, VIF, VIP, RF", f"{popf(0x1b0202)}; {FLAGS}; cmp $0x202, %ecx; je 1f; hlt; 1: nop", ON),
    A("iret: IOPL 3, IF off", f"push $0x3002; push $A_CODE; push $2f - 7b + CODE_AT; iret; 2: {FLAGS}; cmp $0x202, %ecx;"
      "je 1f; hlt; 1: nop", ON),
    A("TF", f"{popf(0x302)}; nop; 9: nop", DB),
    A("TF, then int 0x30", f"{popf(0x302)}; int $0x30; nop; 9: nop", DB),
    A("TF, mov ss, int 0x30", f"mov %ss, %eax; {popf(0x302)}; mov %eax, %ss; int $0x30; nop; 9: nop", DB),
    A("TF, pop ss, int 0x30", f"push %ss; {popf(0x302)}; pop %ss; int $0x30; nop; 9: nop", DB),
    A("TF, then int3", f"{popf(0x302)}; int3; nop; 9: nop", Expected(1, traps=(3,))),
    A("TF, then ud2", f"{popf(0x302)}; ud2", UD),
    A("TF on an empty loop", f"{popf(0x302)}; jmp .+2; 9: jmp .", DB),
    A("int1", "int1; 9: nop", DB, *if_it_holds("qemu-no-int1", Expected(6, 0, BEGIN))),
    A("DF comes back", keeps_flags(0x602, 0x602), ON),
    A("DF, then an exception", "std; ud2", UD),
    A("DF, then int3", f"std; int3; {FLAGS}; cmp $0x602, %ecx; je 1f; hlt; 1: nop",
      dataclasses.replace(ON, traps=(3,))),
    A("NT comes back", keeps_flags(0x4002, 0x4202), ON),
    A("NT, then iret", f"{popf(0x4202)}; iret", Expected(TS)),
    A("NT, then int 0x30, then iret", f"{popf(0x4202)}; int $0x30; iret", Expected(TS)),
    A("NT, then an exception", f"{popf(0x4202)}; hlt", GP),
    A("NT, then int3, then iret", f"{popf(0x4202)}; int3; iret", Expected(TS, traps=(3,))),
    A("AC comes back and does nothing", f"{keeps_flags(0x40002, 0x40202)}; mov 1, %eax", ON),
    A("ID comes back", keeps_flags(0x200002, 0x200202), ON),
    A("all flags at once", f"{popf(0x247ed7)}; int $0x30; hlt", GP),

    # ---- int 0x30 with everything bent
    A("esp 0 at int 0x30", "xor %esp, %esp; int $0x30; test %esp, %esp; jz 1f; hlt; 1: nop", ON),
    A("esp inside ring 0 at int 0x30", "mov $0x5000, %esp; int $0x30; cmp $0x5000, %esp; je 1f; hlt; 1: nop",
      ON),
    A("esp at the top at int 0x30", "mov $-1, %esp; int $0x30; cmp $-1, %esp; je 1f; hlt; 1: nop", ON),
    A("own window as stack at int 0x30", "mov $A_SCREEN, %eax; mov %eax, %ss; mov $WINDOW_BYTES, %esp; int $0x30;"
      "mov %ss, %eax; cmp $A_SCREEN, %eax; je 1f; hlt; 1: push $0x0720", ON),
    A("null in all segment registers at int 0x30", "xor %eax, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %gs;"
      "int $0x30; mov %ds, %ebx; mov %es, %ecx; or %ecx, %ebx; mov %gs, %ecx; or %ecx, %ebx; mov %fs, %ecx;"
      "or %ecx, %ebx; jz 1f; hlt; 1: nop", ON),
    A("code in all segment registers at int 0x30", "mov %cs, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %fs;"
      "mov %eax, %gs; int $0x30; mov %ds, %ebx; cmp %eax, %ebx; je 1f; hlt; 1: nop", ON),
    A("selectors with RPL 0 at int 0x30", "mov $A_DATA - 3, %eax; mov %eax, %ds; mov %eax, %gs; int $0x30;"
      "mov %gs, %ebx; cmp %eax, %ebx; je 1f; hlt; 1: mov 0, %eax", ON),
    A("wrong wishes in the word that ring 0 asks by", "movl $0x7fffffff, ASKED; int $0x30; int $0x30", ON),
    A("int 0x30 from a far copy of own cs", "ljmp $A_CODE - 3, $1f - 7b + CODE_AT; 1: int $0x30", ON),
    A("only own registers after int 0x30", "int $0x30; or %eax, %ebx; or %ecx, %ebx; or %edx, %ebx; or %esi, %ebx;"
      "or %edi, %ebx; or %ebp, %ebx; jz 1f; hlt; 1: nop", ON),
    A("int3, by its one byte", "int3; nop", dataclasses.replace(ON, traps=(3,))),
    A("int3, by its number", ".byte 0xcd, 3; nop", dataclasses.replace(ON, traps=(3,))),
    A("int 4 without overflow", ".byte 0xcd, 4; nop", dataclasses.replace(ON, traps=(4,))),
    A("into", "mov $0x7fffffff, %eax; inc %eax; into; nop", dataclasses.replace(ON, traps=(4,))),
    A("into without overflow", "xor %eax, %eax; into", ON),
    A("int3 with bent stack", "mov $-1, %esp; int3; nop", dataclasses.replace(ON, traps=(3,))),

    # ---- never yielding
    A("a loop", "1: jmp 1b", ALARM),
    A("a loop of int3", "1: int3; jmp 1b", dataclasses.replace(ALARM, traps=(3,))),
    A("a loop without interrupts", f"{popf(2)}; 1: jmp 1b", ALARM),
    A("a loop in the shadow of mov ss", "mov %ss, %eax; 1: mov %eax, %ss; mov %eax, %ss; jmp 1b", ALARM),
    A("a loop of pop ss", "1: push %ss; pop %ss; jmp 1b", ALARM),
    A("a loop with all flags", f"{popf(0x247ed7 & ~0x100)}; 1: jmp 1b", ALARM),
    A("a loop with its stack nowhere", "mov $-1, %esp; 1: jmp 1b", ALARM),
    A("rep without an end", "1: mov $-1, %ecx; xor %esi, %esi; 9: rep lodsb; jmp 1b", GP, ALARM, LIMITS),
    A("a loop around the end of an instruction's time", "1: mov $64, %ecx; xor %esi, %esi; rep lodsb; jmp 1b", ALARM),
]

# ---- interrupts at any instruction: a gate that lets int n play the hardware

GATE_FOR_RING_3 = 0xee
GATE_ACCESS = 5  # byte


def played(name, number, code, expected, *qemu, gate=None):
    """int number, as if the hardware had asked for it; gate: another's name."""
    made = {Bytes("idt", 8 * number + GATE_ACCESS, 1): GATE_FOR_RING_3}
    if gate:
        made[Bytes("idt", 8 * number, 2)] = gate
    return A(f"interrupt: {name}", code, expected, *qemu, made=made)


SPURIOUS = dataclasses.replace(ON, stray="spurious")
NMI = dataclasses.replace(ON, stray="nmi")
TABLE += [
    played("spurious, first controller", 0x27, "int $0x27", SPURIOUS),
    played("the end of a sleep of ring 0's", 0x28, f"{popf(0x247ed7 & ~0x100)}; int $0x28", ON),
    played("spurious, while ring 0 sleeps", 0x2f, "int $0x2f", ON),
    played("the keyboard's, masked", 0x21, "int $0x21", SPURIOUS),
    played("spurious, with all flags", 0x27, f"{popf(0x247ed7 & ~0x100)}; int $0x27", SPURIOUS),
    played("spurious, with bent stack", 0x27, "mov $-1, %esp; int $0x27", SPURIOUS),
    played("spurious, at the end of the segment", 0x27, at_the_end("int $0x27", 2),
           Expected(GP_VECTOR, 0, "CODE_BYTES", restoring=True, stray="spurious"),
           Expected(6, 0, "CODE_BYTES", stray="spurious"), LIMITS),
    played("one alarm", 0x20, "int $0x20", ON),
    played("too many alarms", 0x20, "1: int $0x20; jmp 1b", ALARM),
    played("NMI", 0x27, "int $0x27", NMI, gate="nmi"),
    played("NMI, with all flags", 0x27, f"{popf(0x247ed7 & ~0x100)}; int $0x27", NMI, gate="nmi"),
    played("NMI at the end of the segment", 0x27, at_the_end("int $0x27", 2),
           Expected(GP_VECTOR, 0, "CODE_BYTES", restoring=True, stray="nmi"),
           Expected(6, 0, "CODE_BYTES", stray="nmi"), LIMITS, gate="nmi"),
]


# ---- bent while A is out

YIELDS = "1: int $0x30; jmp 1b"
WAIT = "mov $0x8000, %ecx; loop ."  # longer than three turns of 10 ms, of which one ends in a look; no flag changes


def bent(name, word, value, expected, *qemu, code=YIELDS):
    """A word of A's frame is changed."""
    return A(f"frame: {name}", code, expected, *qemu, bent={word: value})


def bent_row(name, row, access, expected):
    """The access byte of one of A's descriptors is changed."""
    return A(f"descriptor: {name}", YIELDS, expected, bent={Bytes(row, GATE_ACCESS, 1): access})


for register in ("ds", "es", "fs", "gs"):
    TABLE += [
        bent(f"{register} beyond the GDT", register, "BEYOND_GDT + 3", refused(GP_VECTOR, "BEYOND_GDT")),
        bent(f"{register} beyond the LDT", register, "B_DATA", refused(GP_VECTOR, "B_DATA")),
        bent(f"{register} ring 0's data, RPL 3", register, 0x13, refused(GP_VECTOR, 0x10)),
        bent(f"{register} an LDT", register, "A_LDT + 3", refused(GP_VECTOR, "A_LDT")),
        bent(f"{register} the TSS", register, 0x18, refused(GP_VECTOR, 0x18)),
        # That one ring 0 may load; but iret makes it null.
        bent(f"{register} ring 0's data", register, 0x10, ON, code=f"mov %ds, %eax; mov %eax, %{register};"
             f"1: int $0x30; mov %{register}, %eax; test $0xfffc, %eax; jnz 1b; nop"),
    ]
TABLE += [
    bent("ss null", "ss", 0, refused(GP_VECTOR, 0)),
    bent("ss ring 0's data", "ss", 0x10, refused(GP_VECTOR, 0x10)),
    bent("ss ring 0's data, RPL 3", "ss", 0x13, refused(GP_VECTOR, 0x10)),
    bent("ss with RPL 0", "ss", "A_DATA - 3", refused(GP_VECTOR, "A_DATA")),
    bent("ss own code", "ss", "A_CODE", refused(GP_VECTOR, "A_CODE")),
    bent("ss B's data", "ss", "B_DATA", refused(GP_VECTOR, "B_DATA")),
    bent("ss beyond the GDT", "ss", "BEYOND_GDT + 11", refused(GP_VECTOR, "BEYOND_GDT + 8")),
    bent("cs null", "cs", 0, refused(GP_VECTOR, 0)),
    bent("cs own data", "cs", "A_DATA", refused(GP_VECTOR, "A_DATA")),
    bent("cs B's code", "cs", "B_CODE", refused(GP_VECTOR, "B_CODE")),
    bent("cs ring 0's code, RPL 3", "cs", 0x0b, refused(GP_VECTOR, 0x08)),
    bent("cs an LDT", "cs", "A_LDT", refused(GP_VECTOR, "A_LDT")),
    bent("cs an LDT, RPL 3", "cs", "A_LDT + 3", refused(GP_VECTOR, "A_LDT")),
    bent("cs beyond the GDT", "cs", "BEYOND_GDT + 3", refused(GP_VECTOR, "BEYOND_GDT")),
    bent("eip at the segment's end", "eip", "CODE_BYTES", refused(GP_VECTOR, 0, "CODE_BYTES"),
         Expected(6, 0, "CODE_BYTES"), LIMITS),
    bent("eip far beyond", "eip", "CODE_BYTES + 8", refused(GP_VECTOR, 0, "CODE_BYTES + 8"), BEYOND, LIMITS),
    bent("NT", "eflags", 0x4202, ON, code=f"1: int $0x30; {FLAGS}; cmp $0x202, %ecx; je 1b; nop"),
    bent("TF", "eflags", 0x302, DB, code="1: int $0x30; jmp 2f; 2: 9: jmp 1b"),
    bent_row("own data absent", "A_DATA", 0x73, refused(NP, "A_DATA")),
    bent_row("own data ring 0's", "A_DATA", 0x93, refused(GP_VECTOR, "A_DATA")),
    bent_row("own window absent", "A_SCREEN", 0x73, refused(NP, "A_SCREEN")),
    bent_row("own code absent", "A_CODE", 0x7b, refused(NP, "A_CODE")),
    bent_row("own code ring 0's", "A_CODE", 0x9b, refused(GP_VECTOR, "A_CODE")),
    bent_row("own code no code", "A_CODE", 0xf3, refused(GP_VECTOR, "A_CODE")),
    bent_row("own code a gate", "A_CODE", 0xec, refused(GP_VECTOR, "A_CODE")),
    bent_row("own code no segment at all", "A_CODE", 0x00, refused(GP_VECTOR, "A_CODE")),
]

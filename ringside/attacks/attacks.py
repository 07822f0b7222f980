"""What proc A may try, and what must come of it: a table, one line for each attack.

    table(program)     the attacks, each a story of its own, as they are in a program
    families(program)  the same idea for every vector, or for every selector
    assembled()        the code of any attacks, and where in it the exceptions must happen
    random_codes()     instructions that nobody has thought of

An attack is assembly for proc A, which starts there as a proc of P_PROC starts: with nothing
but its own segments in the segment registers, a whole stack, and zero everywhere else. The
rest of its code segment is ud2. So an attack that is allowed, or in vain, "goes on" to
#UD right behind its last instruction, and whatever it can find out by itself it
finds out before, and hlt is its way of saying that something was wrong.

In a bent attack A only yields, and a debugger changes words of its frame, or of the
tables, while it is out.

Expected is what Intel's manual says, and what Bochs does; where QEMU does not, the line
says what it does, and why. (Where code ends: 8. Where the exception is: 9, by default at the
last instruction. Where the code segment begins: 7.) Numbers that are not the same in every
program are written as its names for them: "A_DATA", "CODE_BYTES + 8". What else is different
in a program stands in DIFFERENT, and the reason. Where a clock takes the turns away, nobody
yields: A waits for it (WAIT), and who never yields plays on.
"""

import dataclasses
import random
import re
import subprocess
import tempfile

from ringside.emulators import machines
from ringside.recorder import programs
from ringside.emulators.debuggers import COM_START
from ringside.emulators import versions

UD2 = b"\x0f\x0b"

EXCEPTIONS = {0: ("#DE", "divide error"), 1: ("#DB", "debug exception"), 3: ("#BP", "breakpoint"),
              4: ("#OF", "overflow"), 5: ("#BR", "bound range exceeded"), 6: ("#UD", "invalid opcode"),
              7: ("#NM", "device not available"), 10: ("#TS", "invalid TSS"),
              11: ("#NP", "segment not present"), 12: ("#SS", "stack fault"),
              13: ("#GP", "general protection"), 0x20: ("IRQ0", "the alarm")}
TS, NP, SS, GP_VECTOR = 10, 11, 12, 13
HERE, END, BEGIN = "here", "end", "begin"


@dataclasses.dataclass(frozen=True)
class Expected:
    """How A ends. at: its eip: a number, HERE, END, BEGIN, None for anywhere."""
    vector: int | None      # None: it does not, but plays on
    error: object = 0
    at: object = HERE
    restoring: bool = False
    traps: tuple = ()       # vectors that it gets past before
    stray: str = ""         # what ring 0 has counted besides: "nmi", "spurious"

    def __str__(self):
        name = EXCEPTIONS[self.vector][0] if self.vector is not None else "plays on"
        text = f"{name}({self.error:04x})" if self.vector in (TS, NP, SS, GP_VECTOR) else name
        if (self.vector, self.at) == (6, END):
            text = "goes on"
        return ("".join(f"trap {vector:02x}, " for vector in self.traps) + (self.stray and self.stray + ", ")
                + text + (", restore" if self.restoring else ""))


@dataclasses.dataclass(frozen=True)
class Attack:
    name: str
    code: str
    expected: Expected
    qemu: Expected | None = None    # what QEMU does instead
    why: str = ""
    made: dict = dataclasses.field(default_factory=dict)    # changed before: (place, offset, size): value
    bent: dict = dataclasses.field(default_factory=dict)    # while A is out; or a word of the frame: value
    harmful: bool = False           # not to be run in QEMU, where it would break the guest: `why` says how
    left_out: str = ""              # not to be run at all: the reason

    def on(self, emulator):
        """What is expected of it in an emulator."""
        return self.qemu if emulator == "qemu" and self.qemu else self.expected


def gp(error=0, **more):
    return Expected(GP_VECTOR, error, **more)


def refused(vector, error, at=HERE):
    """What the CPU does not give back to A."""
    return Expected(vector, error, at, restoring=True)


def means(program, vector, error):
    """An error code in words (Intel, volume 3, section 6.13)."""
    if vector not in (TS, NP, SS, GP_VECTOR):
        return ""
    selector = error & 0xfffc
    if error & 2:
        text = f"IDT 0x{selector >> 3:02x}"
    elif selector:
        symbols = program.symbols
        names = {symbols[name] & ~3: name for name in (*programs.RING0_SEGMENTS, *program.segments)}
        name = names.get(selector)
        text = f"{'LDT' if selector & 4 else 'GDT'} 0x{selector:02x}" + (f" ({name})" if name else "")
    else:
        text = "no selector"
    return text + (" EXT" if error & 1 else "")


ON = Expected(6, 0, END)
GP, UD, DE, NM, DB, BR = gp(), Expected(6), Expected(0), Expected(7), Expected(1), Expected(5)
STACK = Expected(SS)
ALARM = Expected(0x20, at=None)

BEYOND = Expected(6, 0, "CODE_BYTES + 8")

LIMITS = "TCG checks no segment limits"
TYPES = "TCG does not ask what a segment may be used for"
NULL = "TCG lets null selectors be used"
YOUNGER = "QEMU's CPU is younger and has the instruction, but not for ring 3"
WRITES = LIMITS + ": not run there, for it would write over the guest"


def if_it_holds(row, qemu):
    """What QEMU does instead, and why, in the versions for which that row of versions.py holds."""
    return (qemu, versions.row(row).reason) if versions.holds(row) else ()


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
    A("emms", "emms", UD, ON, "TCG does not ask CR0 there; what emms resets, nobody can see"),
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
    A("ret from nowhere", "mov $0x600000, %esp; ret", STACK, ALARM, LIMITS),
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
    A("iret: IOPL 3, IF off", f"push $0x3002; push $A_CODE; push $2f - 7b; iret; 2: {FLAGS}; cmp $0x202, %ecx;"
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
    A("esp in the midst of ring 0 at int 0x30", "mov $0x5000, %esp; int $0x30; cmp $0x5000, %esp; je 1f; hlt; 1: nop",
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
    A("int 0x30 from a far copy of own cs", "ljmp $A_CODE - 3, $1f - 7b; 1: int $0x30", ON),
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
    made = {("idt", 8 * number + GATE_ACCESS, 1): GATE_FOR_RING_3}
    if gate:
        made["idt", 8 * number, 2] = gate
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
    return A(f"descriptor: {name}", YIELDS, expected, bent={(row, GATE_ACCESS, 1): access})


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


# ---- families: the same idea for every vector, or for every selector

def index(selector):
    return selector & ~3


def doors(program):
    """The vectors that ring 3 may ask for."""
    return (3, 4) if program.ticks else (3, 4, 0x30)


def vector(program, number):
    return f"int {number:#04x}", f"int ${number:#x}", gp(8 * number + 2)


def data_load(register):
    def one(program, selector):
        own = index(selector) in (0, *own_segments(program))
        return (f"mov {selector:04x} to {register}", f"mov ${selector:#x}, %eax; mov %eax, %{register}",
                ON if own else gp(index(selector)))
    return one


def stack_load(program, selector):
    own = index(selector) in own_segments(program)[1:] and selector & 3 == 3
    return f"mov {selector:04x} to ss", f"mov ${selector:#x}, %eax; mov %eax, %ss", ON if own else gp(index(selector))


def far(way):
    def one(program, selector):
        return (f"{way} {selector:04x}", f"{way} ${selector:#x}, $8f - 7b",
                ON if index(selector) == own_segments(program)[0] else gp(index(selector)))
    return one


def back(way, flags):
    def one(program, selector):
        # Not to a ring further in; and there is none further out.
        return (f"{way} to {selector:04x}", f"{flags} push ${selector:#x}; push $8f - 7b; {way}",
                ON if selector == own_segments(program)[0] + 3 else gp(index(selector)))
    return one


def question(instruction, first):
    """Of A's own segments, from which one on the answer is yes."""
    def one(program, selector):
        right = "z" if index(selector) in own_segments(program)[first:] else "nz"
        return (f"{instruction.split()[0]} {selector:04x}",
                f"mov ${selector:#x}, %eax; {instruction}; j{right} 1f; hlt; 1: nop", ON)
    return one


def own_segments(program):
    """What A may load: its code, and then what it may write to."""
    selectors = program.selectors()
    return [index(selectors[name]) for name in (program.code, *program.writable)]


FAMILIES = {
    "int n, for every n that is no door": vector,
    **{f"mov to {register}": data_load(register) for register in ("ds", "es", "fs", "gs")},
    "mov to ss": stack_load,
    "ljmp": far("ljmp"),
    "lcall": far("lcall"),
    "lret": back("lret", ""),
    "iret": back("iret", "push $0x202;"),
    "lar": question("lar %eax, %ecx", 0),
    "lsl": question("lsl %eax, %ecx", 0),
    "verr": question("verr %ax", 0),
    "verw": question("verw %ax", 1),
}


def family(program, name):
    """The attacks of a family."""
    selectors = range(program.gdt_bytes() + 0x0c)
    vectors = [number for number in range(256) if number not in doors(program)]
    return [Attack(*FAMILIES[name](program, member)) for member in (vectors if name.startswith("int") else selectors)]


# ---- where a program is not like P_PROC

OF_RING_0 = "a cs of ring 0 in a context is ring 0's own mistake: a panic"
NEIGHBOURS = "code and data are both threads': without them both would end"
OWNER = "A owns the clock's ports"
NO_DOOR, NO_GATE = "there is no gate 0x30", gp(0x30 * 8 + 2)
TICK = "a tick takes the turn away"
PATIENT = "whoever goes on for ever only wastes turns of its own"
TASK_OF_RING_0 = "a cs of ring 0 in a TSS is ring 0's own mistake: a panic"
ENTERED = "the task switch refuses it, in A's task already"
BEFORE = ENTERED + "; TCG shows the eip of the task before"
BETWEEN = ENTERED + "; TCG pushes by an ss that is not loaded yet: not run there"
AT_THE_JUMP = "the task switch refuses it; TCG shows the jump, ring 0's own mistake: not run there"


def entered(vector, in_qemu=True):
    """What the CPU refuses of a task on its way in: the exception is that task's, in ring 3."""
    def fields(attack):
        found = dataclasses.replace(attack.expected, vector=vector, restoring=False)
        return {"expected": found, "qemu": dataclasses.replace(found, at=None) if in_qemu else None,
                "harmful": not in_qemu}
    return fields


def at_the_jump(attack):
    """The same of a task that was left in ring 0: there, it is given its registers back."""
    vector = NP if attack.expected.vector == NP else TS
    return {"expected": dataclasses.replace(attack.expected, vector=vector), "harmful": True}


DIFFERENT = {   # program: {pattern of names: (fields, or what makes them of the attack, reason)}
    "p_proc": {},
    "kstack": {
        "in: the clock": ({"expected": ON}, OWNER),
        "out: the clock, behind int 0x30": ({"expected": ON}, OWNER + ", and they are open at each of its turns"),
        "write B's data": ({"code": "movl $0, 0x180", "expected": ON, "qemu": None, "harmful": False},
                           "the threads' data are one segment: they are neighbours"),
        "stos without an end": ({"code": "mov $-1, %ecx; mov $DATA_BYTES - 8, %edi; rep stosb"},
                                "from the last bytes on, for the rest might be B's; QEMU would write over the guest"),
        "descriptor: own (data|code) .*": ({}, NEIGHBOURS),
    },
    "userctx": {
        "frame: cs (null|an LDT)": ({}, OF_RING_0),
        "descriptor: own window absent": ({}, "each turn begins with this descriptor written anew"),
    },
    "timer": {
        "lock int 0x30": ({"qemu": NO_GATE}, NO_DOOR + ", and TCG does not mind lock there")
        if versions.holds("qemu-lock-int") else ({"qemu": None}, NO_DOOR + ", but lock is looked at first"),
        "15 bytes of int 0x30": ({"code": "9: .fill 13, 1, 0x2e; int $0x30", "expected": NO_GATE}, NO_DOOR),
        "16 bytes of int 0x30": ({"expected": GP}, ""),     # refused before there is a door or none
        "int 0x30 as the last instruction": ({"expected": NO_GATE, "qemu": None}, NO_DOOR),
        "TF, .*int 0x30": (lambda attack: {"code": attack.code.rpartition("; nop;")[0], "expected": NO_GATE}, NO_DOOR),
        "frame: TF": ({"code": "1: jmp 1b"}, TICK),
    },
    "hwtask": {
        "frame: cs (null|an LDT)": ({}, TASK_OF_RING_0),
        "frame: [defg]s ring 0's data": ({"code": YIELDS, "expected": Expected(TS, 0x10), "qemu": Expected(TS, 0x10, None)},
                                         BEFORE),
        "frame: [defg]s .*": (entered(TS), BEFORE),
        "frame: [cs]s .*": (entered(TS, in_qemu=False), BETWEEN),
        "frame: eip .*|int 0x30 as the last instruction": (entered(GP_VECTOR), BEFORE),
        "descriptor: own window absent": (entered(NP), BEFORE),
        "descriptor: own data absent": (entered(SS, in_qemu=False), BETWEEN),
        "descriptor: own code absent": (entered(NP, in_qemu=False), BETWEEN),
        "descriptor: .*": (entered(TS, in_qemu=False), BETWEEN),
    },
    "hwjump": {
        "frame: [defg]s (?!ring 0's data$).*": (at_the_jump, AT_THE_JUMP),
        "descriptor: own (data|window) .*": (at_the_jump, AT_THE_JUMP),
    },
}


def table(program):
    """The attacks as they are in a program."""
    return [resolved(program, different(program, attack)) for attack in TABLE]


def different(program, attack):
    for pattern, (fields, reason) in DIFFERENT[program.name].items():
        if re.fullmatch(pattern, attack.name):
            fields = fields(attack) if callable(fields) else fields
            return dataclasses.replace(attack, **fields or {"left_out": reason}, why=reason)
    return without_yielding(attack) if program.ticks else attack


def without_yielding(attack):
    """Where a clock takes the turns away, A waits for it; and may do so for ever."""
    reasons, fields = [], {}
    if "int $0x30" in attack.code:
        fields["code"] = attack.code.replace(YIELDS, "1: jmp 1b").replace("int $0x30", WAIT)
        reasons.append(TICK)
    for where in ("expected", "qemu"):
        expected = getattr(attack, where)
        if expected and expected.vector == ALARM.vector:
            fields[where] = dataclasses.replace(expected, vector=None)
            reasons.append(PATIENT)
    return dataclasses.replace(attack, **fields, why="; ".join(filter(None, [attack.why, *dict.fromkeys(reasons)])))


def resolved(program, attack):
    """With numbers in place of the program's names."""
    if attack.left_out:
        return attack
    words = {**program.symbols, **program.selectors(), **layout(program)}

    def number(text):
        if type(text) is not str or text in (HERE, END, BEGIN):
            return text
        return sum((-1 if sign == "-" else 1) * (int(term) if term.isdigit() else words[term])
                   for sign, term in re.findall(r"([+-]?) *(\w+)", text))

    def expected(one):
        error = number(one.error) & 0xfffc if type(one.error) is str else one.error
        return dataclasses.replace(one, error=error, at=number(one.at))

    return dataclasses.replace(
        attack, expected=expected(attack.expected), qemu=attack.qemu and expected(attack.qemu),
        made={place: number(value) for place, value in attack.made.items()},
        bent={place: number(value) for place, value in attack.bent.items()})


def layout(program):
    return {"CODE_BYTES": program.place(program.code_bytes), "DATA_BYTES": program.data_bytes,
            "WINDOW_BYTES": 640, "ASKED": program.asked, "BEYOND_GDT": program.gdt_bytes()}


# ---- from assembly to bytes

@dataclasses.dataclass(frozen=True)
class Code:
    data: bytes     # as long as A's code segment, and then up to the next one's
    here: int
    end: int
    begin: int

    def eip(self, at):
        return {HERE: self.here, END: self.end, BEGIN: self.begin}.get(at, at)


def stride(program):
    """From one attack's code to the next one's."""
    return 512 if layout(program)["CODE_BYTES"] < 448 else 1024


def _front(program):
    """In front of an attack in A's code segment: the way there, and what B needs."""
    lines = ["7:"]
    if program.front:
        start, end = (program.place(text) for text in (program.front, f"{program.front}_bytes"))
        there = program.com.read_bytes()[start - COM_START:][:end]
        lines += [".byte 0xe9", ".long 5f - . - 4", ".byte " + ", ".join(map(str, there[5:])), "5:"]
    return [*lines, program.prelude.replace(";", "\n")]


def _source(program, attacks):
    words = {**program.selectors(), **layout(program)}
    lines = [f".set {name}, {value:#x}" for name, value in words.items()]
    for number, attack in enumerate(attacks):
        code = attack.code
        if "9:" not in code:
            before, _, last = code.rpartition(";")
            labels, last = re.fullmatch(r"((?:\s*\d+:)*)(.*)", last).groups()
            code = f"{before};{labels} 9: {last}"
        lines += [f".org {number * stride(program)}", *_front(program), "6:", code.replace(";", "\n"), "8:",
                  ".pushsection .places", ".word 9b - 7b, 8b - 7b, 6b - 7b", ".popsection"]
    return "\n".join(lines) + f"\n.org {len(attacks) * stride(program)}\n"


def assembled(program, attacks):
    """Their Codes, assembled in one go."""
    compiler, _, *flags = (machines.BUILD / "how").read_text().split()
    target = [flag for flag in flags if flag.startswith(("-m32", "-target", "i386"))]
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        source, binary, places = (f"{folder}/{name}" for name in ("attacks.s", "attacks.o", "places"))
        with open(source, "w") as file:
            file.write(_source(program, attacks))
        for command in ([compiler, *target, "-c", source, "-o", binary],
                        ["objcopy", "-O", "binary", "-j", ".text", binary, f"{folder}/text"],
                        ["objcopy", f"--dump-section=.places={places}", binary, "/dev/null"]):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                raise SystemExit(f"{command[0]}: {run.stderr}")
        text = open(f"{folder}/text", "rb").read()
        numbers = open(places, "rb").read()
    codes = []
    for number in range(len(attacks)):
        here, end, begin = (int.from_bytes(numbers[6 * number + i:6 * number + i + 2], "little") for i in (0, 2, 4))
        start = number * stride(program)
        codes.append(Code(padded(program, text[start:start + end]), here, end, begin))
    return codes


def padded(program, code):
    """Code with ud2 behind it, as far as any attack may come."""
    code_bytes, size = layout(program)["CODE_BYTES"], stride(program)
    code += UD2 * code_bytes
    return (code[:code_bytes] + UD2 * size)[:size]


# ---- what nobody has thought of

class Values(random.Random):
    """Random numbers, and a program that they are for."""

    def __init__(self, seed, program):
        super().__init__(seed)
        words = {**program.selectors(), **layout(program)}
        code, data, screen = (words[name] for name in ("A_CODE", "A_DATA", "A_SCREEN"))
        self.code_bytes = words["CODE_BYTES"]
        self.selectors = words["BEYOND_GDT"] + 16
        self.own = (0, 3, code - 3, code, data - 3, data, data, data, screen - 3, screen, screen,
                    *(words[name] for name in program.writable[2:]))
        self.stacks = data, data, screen
        self.ticks = program.ticks


def random_code(values, size):
    """Bytes at random; or instructions that attackers like, with operands at random."""
    code = b""
    if values.random() < 0.4:
        code = values.randbytes(size)
    while len(code) < size:
        pieces = WILD if values.random() < 0.25 else MILD
        code += values.choice(pieces)(values)
    return code[:size]


def _word(number):
    return (number & 0xffffffff).to_bytes(4, "little")


def _own(values):
    return values.choice(values.own)


def _any(values):
    return values.choice((values.randrange(values.selectors), values.randrange(values.selectors), values.randrange(0x10000)))


def _near(values):
    return values.randrange(0x80)


def _far(values):
    return values.choice((values.randrange(values.code_bytes), values.randrange(0x300), values.getrandbits(32)))


def _flags(values):
    return values.getrandbits(22) & (~0 if values.random() < 0.1 else ~0x100)  # TF would end most codes


def _one_of(*hexadecimal):
    return lambda values: bytes.fromhex(values.choice(hexadecimal))


def _mov_to_segment(selector, registers):
    return lambda values: b"\xb8" + _word(selector(values)) + bytes([0x8e, 0xc0 | values.choice(registers) << 3])


def _away(values):
    """int 0x30; or WAIT for a while, so that a tick comes there, or in the midst of what follows."""
    return b"\xb9" + _word(values.randrange(0x3000)) + b"\xe2\xfe" if values.ticks else b"\xcd\x30"


# Instructions that mostly go well, and leave things in a state that ring 0 must bear.
MILD = (
    _away,
    _one_of("cc", "ce", "fd", "fc", "9c", "50", "53", "60", "40", "f7d8", "31c0", "f9"),
    lambda values: b"\x68" + _word(_flags(values)) + b"\x9d",                       # push, popf
    _mov_to_segment(_own, (0, 3, 4, 5)),                                            # es, ds, fs, gs
    _mov_to_segment(lambda values: values.choice(values.stacks), (2,)),        # ss
    lambda values: b"\xbc" + _word(values.choice((_near, _near, _far))(values)),    # mov to esp
    lambda values: bytes([0xb8 | values.choice((0, 1, 2, 3, 5, 6, 7))]) + _word(_near(values)),
    lambda values: b"\xa3" + _word(_near(values)),
    lambda values: b"\xa1" + _word(_near(values)),
    lambda values: b"\x65\xa3" + _word(_near(values)),
    lambda values: values.choice((b"\xeb", b"\x74", b"\x75")) + bytes([values.randrange(12)]),
    _one_of("0f01050a000000", "0f010d0a000000", "0f00c8", "0f00c0", "0f01e0", "0f31"),    # sgdt ... rdtsc
)

# Instructions that mostly do not.
WILD = (
    lambda values: values.randbytes(values.randrange(1, 6)),
    lambda values: b"\xcd" + values.randbytes(1),
    _one_of("f1", "9d", "61", "c9", "58", "07", "17", "1f", "c3", "cb", "cf"),
    _mov_to_segment(_any, range(6)),
    lambda values: b"\x68" + _word(_any(values)) + bytes.fromhex(values.choice(("07", "17", "1f", "0fa1", "0fa9"))),
    lambda values: values.choice((b"\xea", b"\x9a")) + _word(_far(values)) + _own(values).to_bytes(2, "little"),
    lambda values: values.choice((b"\xea", b"\x9a")) + _word(_far(values)) + _any(values).to_bytes(2, "little"),
    lambda values: b"\x68" + _word(_own(values)) + b"\x68" + _word(_near(values)) + b"\xcb",     # lret
    lambda values: b"\x68" + _word(_any(values)) + b"\x68" + _word(_far(values)) + b"\xcb",
    lambda values: (b"\x68" + _word(_flags(values)) + b"\x68" + _word(_own(values)) + b"\x68"
                    + _word(_near(values)) + b"\xcf"),                                          # iret
    lambda values: bytes([values.choice((0xf0, 0x66, 0x67, 0x2e, 0x65, 0xf2, 0xf3))]) * values.randrange(1, 16),
    _one_of("f3a4", "a5", "f3aa", "ab", "f3ac", "6c", "6e", "f3a6"),
    lambda values: values.choice((b"\xeb", b"\x74", b"\xe2")) + values.randbytes(1),
    lambda values: b"\x0f" + values.randbytes(3),
    lambda values: b"\xa3" + _word(_far(values)),
    lambda values: b"\xa1" + _word(_far(values)),
)


def random_codes(program, seed, count):
    values = Values(seed, program)
    front, = assembled(program, [Attack("", "nop", ON)])
    front = front.data[:front.begin]
    return [Code(padded(program, front + random_code(values, values.code_bytes - len(front))), 0, 0, 0)
            for _ in range(count)]

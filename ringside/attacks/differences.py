"""Where the attacks on a program are not those on P_PROC, and why.

    table(program)     the attacks of table.py as they are in a program, and its own (calls.py)

Where a clock ends each turn, no proc yields: A waits for the clock instead (WAIT), and a proc
that never yields plays on.
"""

from collections.abc import Callable
import dataclasses
import re
from typing import Any, NamedTuple

from ringside.attacks.assembler import layout
from ringside.attacks.attack import (ALARM, Attack, BEGIN, END, Expected, GP, GP_VECTOR, HERE, NM, NP, ON, SS, STACK, TS, gp,
                                     refused)
from ringside.attacks import flat
from ringside.attacks.calls import CALLS
from ringside.attacks.table import LIMITS, NULL, TABLE, TYPES, WAIT, YIELDS, at_the_end, popf
from ringside.emulators import versions

Changes = dict[str, Any]

OF_RING_0 = "a cs of ring 0 in a context is ring 0's own mistake: a panic"
NEIGHBOURS = "code and data are both threads': without them both would end"
OWNER = "A owns the clock's ports"
NO_DOOR, NO_GATE = "there is no gate 0x30", gp(0x30 * 8 + 2)
TICK = "a tick takes the turn away"
PATIENT = "a proc that goes on for ever only wastes its own turns"
TASK_OF_RING_0 = "a cs of ring 0 in a TSS is ring 0's own mistake: a panic"
ENTERED = "the task switch refuses it, in A's task already"
BEFORE = ENTERED + "; TCG shows the eip of the task before"
BETWEEN = ENTERED + "; TCG pushes by an ss that is not loaded yet: not run there"
ANOTHER_DOOR = "by this program's own door"
OF_DOORS = {"paged": flat.SAYS, "sysenter": flat.ENTERS}
LCALL = "lcall $CALL_GATE, $0"
CALL = f"push $0; {LCALL}"
STEPPED = "the backlink holds what a single step has pushed there"
STEPS_ON = "sysenter leaves TF set: #DB in ring 0, in front of its first instruction"
STEPS = "a call gate leaves TF set: #DB in ring 0, in front of its first instruction"
COPIES = "the parameter cannot be copied from there; " + LIMITS
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


class Difference(NamedTuple):
    """Without changes the attack is left out."""
    changes: Changes | Callable[[Attack], Changes]     # to fields of the attack; or what makes them of it
    reason: str


BY_PAGES = "segments are flat, and pages are tried instead (flat.py)"
READS_DATA = "its data begin elsewhere"
THEIR_WORDS = "no such word is kept: sysexit makes cs and ss"
FLAT = {
    "read the last byte of own data|ljmp beyond|an exception at the last byte|own window as stack .*|a loop around .*":
        Difference({}, BY_PAGES),
    "descriptor: .*": Difference({}, NEIGHBOURS),
    "read through null": Difference({"qemu": flat.pf(flat.READ, 0)}, NULL),
    "write through null": Difference({"qemu": flat.pf(flat.WRITES, 0x600000)}, NULL),
    "AC comes back and does nothing|selectors with RPL 0 at int 0x30": Difference(
        lambda attack: {"code": re.sub(r"mov [01], %eax", "mov SCRATCH + 1, %eax", attack.code)}, READS_DATA),
}

DIFFERENT = {   # by program, and by a pattern of names
    "p_proc": {},
    "kstack": {
        "in: the clock": Difference({"expected": ON}, OWNER),
        "out: the clock, behind int 0x30": Difference({"expected": ON}, OWNER + ", and they are open at each of its turns"),
        "write B's data": Difference(
            {"code": "movl $0, 0x180", "expected": ON, "qemu": None, "harmful": False},
            "the threads' data are one segment: they are neighbours"),
        "stos without an end": Difference(
            {"code": "mov $-1, %ecx; mov $DATA_BYTES - 8, %edi; rep stosb"},
            "from the last bytes on, for the rest might be B's; QEMU would write over the guest"),
        "descriptor: own (data|code) .*": Difference({}, NEIGHBOURS),
    },
    "userctx": {
        "frame: cs (null|an LDT)": Difference({}, OF_RING_0),
        "descriptor: own window absent": Difference({}, "each turn begins with this descriptor written again"),
    },
    "timer": {
        "lock int 0x30": (Difference({"qemu": NO_GATE}, NO_DOOR + ", and TCG does not mind lock there")
                          if versions.holds("qemu-lock-int") else
                          Difference({"qemu": None}, NO_DOOR + ", but lock is looked at first")),
        "15 bytes of int 0x30": Difference({"code": "9: .fill 13, 1, 0x2e; int $0x30", "expected": NO_GATE}, NO_DOOR),
        "16 bytes of int 0x30": Difference({"expected": GP}, ""),     # refused before there is a door or none
        "int 0x30 as the last instruction": Difference({"expected": NO_GATE, "qemu": None}, NO_DOOR),
        "TF, .*int 0x30": Difference(lambda attack: {"code": attack.code.rpartition("; nop;")[0], "expected": NO_GATE}, NO_DOOR),
        "frame: TF": Difference({"code": "1: jmp 1b"}, TICK),
    },
    "callgate": {
        "lock int 0x30|1[56] bytes of int 0x30": Difference({}, "there is no gate 0x30, and lcall takes no such prefixes"),
        "int 0x30 as the last instruction": Difference({"code": at_the_end(CALL, 9)}, "by lcall; " + LIMITS),
        "TF, then int 0x30": Difference({"code": f"push $0; {popf(0x302)}; {LCALL}; 9: nop"}, STEPS),
        "TF, mov ss, int 0x30": Difference(
            {"code": f"mov %ss, %eax; push $0; {popf(0x302)}; mov %eax, %ss; {LCALL}; 9: nop"}, STEPS),
        "TF, pop ss, int 0x30": Difference({"code": f"push $0; push %ss; {popf(0x302)}; pop %ss; {LCALL}; 9: nop"}, STEPS),
        "esp inside ring 0 at int 0x30": Difference(
            {"code": f"mov $0x5000, %esp; 9: {LCALL}; nop", "expected": STACK, "qemu": ON}, COPIES),
        "esp .* at int 0x30": Difference({"code": f"mov $-1, %esp; 9: {LCALL}; nop", "expected": STACK, "qemu": ON}, COPIES),
        "frame: TF": Difference({"code": f"1: {CALL}; 9: jmp 1b", "expected": refused(1, 0)},
                                "popf would step through ring 0's own way out"),
    },
    "paged": {
        **FLAT,
        "int 0x31: beyond the IDT": Difference({}, "that is a door"),
    },
    "sysenter": {
        **FLAT,
        "lock int 0x30|1[56] bytes of int 0x30": Difference({}, "there is no gate 0x30, and sysenter takes no such prefixes"),
        "frame: [cs]s .*": Difference({}, THEIR_WORDS),
        "sysenter": Difference({"expected": flat.pf(flat.READ, 0, 0), "qemu": None}, "it is the door, and edx is 0"),
        "NT, then (iret|int 0x30, then iret)": Difference({"expected": flat.BACKLINK}, STEPPED),
        "NT, then int3, then iret": Difference({"expected": dataclasses.replace(flat.BACKLINK, traps=(3,))}, STEPPED),
        "sysexit": Difference({"expected": GP, "qemu": None}, "the CPU has it"),
        "fxsave": Difference({"expected": NM, "qemu": None}, "the CPU has it"),
        "TF, then int 0x30": Difference({"code": f"{flat.ENTERS_LATER}; {popf(0x302)}; sysenter; 77: 9: nop"}, STEPS_ON),
        "TF, mov ss, int 0x30": Difference(
            {"code": f"mov %ss, %eax; {flat.ENTERS_LATER}; {popf(0x302)}; mov %eax, %ss; sysenter; 77: 9: nop"}, STEPS_ON),
        "TF, pop ss, int 0x30": Difference(
            {"code": f"{flat.ENTERS_LATER}; push %ss; {popf(0x302)}; pop %ss; sysenter; 77: 9: nop"}, STEPS_ON),
        "frame: TF": Difference(
            {"code": f"1: {flat.ENTERS_LATER}; sysenter; 77: 9: jmp 1b", "expected": refused(1, 0), "qemu": Expected(1)},
            "popf would step through ring 0's own way out; TCG takes sti and what is behind it for one step"),
        "frame: [defg]s ring 0's data": Difference({"expected": Expected(None)}, "sysexit leaves it as it is: flat, as A's own"),
        "only own registers after int 0x30": Difference(
            lambda attack: {"code": re.sub(r"or %e[cd]x, %ebx;", "", attack.code)}, "ecx and edx are where it goes on"),
    },
    "hwtask": {
        "frame: cs (null|an LDT)": Difference({}, TASK_OF_RING_0),
        "frame: [defg]s ring 0's data": Difference(
            {"code": YIELDS, "expected": Expected(TS, 0x10), "qemu": Expected(TS, 0x10, None)}, BEFORE),
        "frame: [defg]s .*": Difference(entered(TS), BEFORE),
        "frame: [cs]s .*": Difference(entered(TS, in_qemu=False), BETWEEN),
        "frame: eip .*|int 0x30 as the last instruction": Difference(entered(GP_VECTOR), BEFORE),
        "descriptor: own window absent": Difference(entered(NP), BEFORE),
        "descriptor: own data absent": Difference(entered(SS, in_qemu=False), BETWEEN),
        "descriptor: own code absent": Difference(entered(NP, in_qemu=False), BETWEEN),
        "descriptor: .*": Difference(entered(TS, in_qemu=False), BETWEEN),
    },
    "hwjump": {
        "frame: [defg]s (?!ring 0's data$).*": Difference(at_the_jump, AT_THE_JUMP),
        "descriptor: own (data|window) .*": Difference(at_the_jump, AT_THE_JUMP),
    },
}


def table(program):
    """The attacks as they are in a program, and those on doors that it alone has."""
    own = [*(CALLS if program.gates else []), *(flat.PAGES if program.pages else []), *OF_DOORS.get(program.name, [])]
    return [resolved(program, attack) for attack in (*(different(program, attack) for attack in TABLE), *own)]


def different(program, attack):
    if program.pages:
        if attack.why.startswith((LIMITS, TYPES)):
            return dataclasses.replace(attack, left_out=BY_PAGES, why=BY_PAGES)
        attack = in_data(attack)
    for pattern, (changes, reason) in DIFFERENT[program.name].items():
        if re.fullmatch(pattern, attack.name):
            attack = by_another_door(program, attack)
            fields = changes(attack) if callable(changes) else changes
            return dataclasses.replace(attack, **fields or {"left_out": reason}, why=reason)
    return without_yielding(attack) if program.ticks else by_another_door(program, attack)


def in_data(attack):
    """What it wants to have at 8 and 12 of its data lies where these are."""
    parts = [part if ".byte" in part else re.sub(r"(?<=[ ,*])(8|12)(?=,|$)", r"SCRATCH + \1", part)
             for part in attack.code.split(";")]
    code = ";".join(parts)
    return attack if code == attack.code else dataclasses.replace(
        attack, code=code, why="; ".join(filter(None, [attack.why, READS_DATA])))


def by_another_door(program, attack):
    """A gives its turn away as that program's procs do."""
    code = attack.code.replace("int $0x30", program.yields)
    if code == attack.code:
        return attack
    return dataclasses.replace(attack, code=code, why="; ".join(filter(None, [attack.why, ANOTHER_DOOR])))


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

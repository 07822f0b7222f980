"""Attacks by the family: the same idea for every vector, or for every selector.

    FAMILIES               their names
    family(program, name)  the attacks of one, in a program
"""

from ringside.attacks.attack import Attack, ON, STACK, gp
from ringside.attacks.table import LIMITS


def index(selector):
    return selector & ~3


def doors(program):
    """The vectors that ring 3 may ask for."""
    others = {"idt_gate": 0x30, "idt_say": 0x31}
    found = [number for name, number in others.items() if name in program.symbols]
    return (3, 4) if program.ticks or program.gates else (3, 4, *found)


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
        if index(selector) in gates(program):
            # No jump leads to another ring; a call finds no parameter on its empty stack.
            return (f"{way} {selector:04x}", f"{way} ${selector:#x}, $0",
                    *([STACK, ON, LIMITS] if way == "lcall" else [gp(index(program.symbols["RING0_CODE"]))]))
        return (f"{way} {selector:04x}", f"{way} ${selector:#x}, $8f - 7b + CODE_AT",
                ON if index(selector) == own_segments(program)[0] else gp(index(selector)))
    return one


def back(way, flags):
    def one(program, selector):
        # Not to a ring further in; and there is none further out.
        return (f"{way} to {selector:04x}", f"{flags} push ${selector:#x}; push $8f - 7b + CODE_AT; {way}",
                ON if selector == own_segments(program)[0] + 3 else gp(index(selector)))
    return one


def question(instruction, first):
    """Of A's own segments, from which one on the answer is yes."""
    def one(program, selector):
        known = own_segments(program)[first:] + (gates(program) if instruction.startswith("lar") else [])
        right = "z" if index(selector) in known else "nz"
        return (f"{instruction.split()[0]} {selector:04x}",
                f"mov ${selector:#x}, %eax; {instruction}; j{right} 1f; hlt; 1: nop", ON)
    return one


def own_segments(program):
    """What A may load: its code, and then what it may write to."""
    selectors = program.selectors()
    return [index(selectors[name]) for name in (program.code, *program.writable)]


def gates(program):
    selectors = program.selectors()
    return [index(selectors[name]) for name in program.gates]


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

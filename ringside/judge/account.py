"""What the model keeps account of while it executes: all of a Cpu (cpu.py) but memory.

    account.get(field)      a number of the state before, on which the model relies
    account.need(...)       a demand; if it is not met, there is an exception
    account.set(...)        what must be so in the state after
"""

from ringside.judge.facts import ALL, Bound, EXCEPTIONS, Expected, Fact, Fault, IOPL, Mark, PE, Read, Stuck, VM, Write
from ringside.judge.rules import otherwise
from ringside.judge.states import gate_to, Layout, Values


NO_LIMIT = 0xFFFFFFFF


class Account:
    def __init__(self, layout: Layout, before: Values, after: Values) -> None:
        self.layout, self.before, self.after = layout, before, after
        self.facts: list[Fact] = []
        self.exact: dict[str, int] = {}     # field before -> bits that the model relied on
        self.bounds: list[Bound] = []
        self.compared: dict[str, int] = {}  # field after -> bits that were compared
        self.reads: list[Read] = []
        self.refused: str | None = None     # rule by which the instruction was refused
        self.fault: Fault | None = None     # and the exception
        self.refused_words = range(0)       # where, then, an emulator may have begun to push
        self.believed = False       # memory that is not recorded was taken to say what happened
        self.in_new_task = False    # a task switch has got so far that there is no way back
        self.why_debug = 0          # for DR6, if there is a #DB
        self.debug: Values = {}     # what then is known of debug registers
        self.lost = False           # and has ended in an exception that finds it half done
        self.kind: str | None = None        # what has happened: "int 0x30"
        self.route: str | None = None       # from where to where: "ring 3 to 0"
        self.forget()

    def forget(self) -> None:
        """A fault: the instruction leaves nothing behind."""
        self.excuse_reads()
        self.expected: dict[str, Expected] = {}     # of the state after, by field
        self.unspecified: dict[str, int] = {}       # field after -> bits of which nothing is said
        self.pushed: list[Write] = []
        self.saved: list[Write] = []                # in any order
        self.marked: list[Mark] = []

    def excuse_reads(self) -> None:
        """How far it got is not laid down, so that what had to be read before may have been read."""
        self.reads = [read._replace(must=False) for read in self.reads]

    # ---- what the state before says

    def rely(self, field: str, mask: int = ALL) -> None:
        self.exact[field] = self.exact.get(field, 0) | mask

    def bound(self, field: str, mask: int, wrong: int) -> None:
        if 0 <= wrong <= mask and field not in self.expected:
            self.bounds.append(Bound("", field, mask, wrong))

    def get(self, field: str, mask: int = ALL) -> int:
        """A number as the instruction finds it, or has made it already."""
        if field in self.expected:
            return self.expected[field].value & mask
        self.rely(field, mask)
        return self.before[field] & mask

    def now(self, field: str) -> int:
        """The same, for the caller to say what of it counts."""
        return self.expected[field].value if field in self.expected else self.before[field]

    @property
    def cpl(self) -> int:
        return self.get("cpl")

    def protected(self) -> bool:
        return self.get("cr0", PE) == PE and not self.virtual()

    def virtual(self) -> bool:
        """In virtual-8086 mode."""
        return bool(self.before["eflags"] & VM and self.before["cr0"] & PE)

    def iopl_allows(self) -> bool:
        cpl, iopl = self.cpl, self.before["eflags"] >> 12 & 3
        if cpl:
            self.bound("eflags", IOPL, (cpl - 1 if cpl <= iopl else cpl) << 12)
        return cpl <= iopl

    # ---- what must be so

    def check(self, rule: str, field: str, expected: object, found: object) -> None:
        self.facts.append(Fact(rule, field, expected, found))

    def need(self, rule: str, holds: bool, fault: Fault, why: str = "") -> None:
        """A demand: it is met, or there is that exception."""
        self.bounds = [bound if bound.rule else bound._replace(rule=rule) for bound in self.bounds]
        if holds:
            self.facts.append(Fact(rule, why))
            return
        known = otherwise(self.layout.emulator, rule)
        if known is None:
            self.facts.append(Fact(rule, f"not so: {fault}"))
            self.refused = rule
            raise fault
        if known.does == "something else":
            raise Stuck()
        if isinstance(known.does, int):
            self.facts.append(Fact(rule, f"not so, and {self.layout.emulator} has {EXCEPTIONS[known.does]} for that"))
            self.refused = rule
            raise Fault(known.does, fault.error)

    def need_within(self, rule: str, last: int, field: str, fault: Fault) -> None:
        """`last` is within the limit in a field."""
        limit = self.now(field)
        if last > limit == NO_LIMIT:    # vol. 3A, 5.3: of a segment of 4 GiB, that may or may not be refused
            if gate_to(self.layout, self.before, self.after) == fault.vector:
                self.refused = rule
                raise fault
            return
        self.bound(field, 0xFFFFFFFF, last - 1 if last <= limit else last)
        self.need(rule, last <= limit, fault, f"{last:#x} <= {field} {limit:#x}")

    def set(self, field: str, value: int, rule: str, mask: int = ALL) -> None:
        old, parts = self.expected.get(field) or Expected(self.before[field], [])
        self.expected[field] = Expected(old & ~mask | value & mask, [(mask, rule), *parts])

    def set_flags(self, value: int, mask: int, rule: str) -> None:
        self.set("eflags", value, rule, mask)

    def keep_flags(self, mask: int, rule: str) -> None:
        self.set("eflags", self.get("eflags", mask), rule, mask)

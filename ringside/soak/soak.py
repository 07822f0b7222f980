"""Lets the game run at full speed, with mistakes now and then, and checks that all holds.

usage: scripts/ringside soak [--seconds N] [--seed N] [--emulator qemu|bochs]

Both emulators, one after the other, N seconds each (60). Proc A is asked for mistakes
and restarted by keys, proc B through the debugger; which and when depends on the seed.
In between the machine is stopped, always at the gate, and there must hold:

  esp0       TSS.ss0:esp0 is the end of the running proc's frame, and esp is in it
  counts     what all procs have ever counted is the switches, and one turn for each end;
             between two looks with both alive, neither has had a turn more than the
             other, give or take one; who has ended counts no more
  memory     code and read-only data are what is on the floppy, and GDT, LDTs, IDT, TSSs
             what they were at first (but for the bits that the CPU sets, and which of its
             two entries the gate has)
  frames     a proc has its own selectors, an empty stack, IF, and nothing else in EFLAGS
             that would matter; the headroom below each frame is untouched
  log        every end is one that was asked for, in order; no panic, no stray

Ends with a table; with what does not hold, and 1, if something does not.
"""

import argparse
import collections
import random
import subprocess
import time

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.emulators.debuggers import PUSHED_BY_INT, SYMBOLS, linear

# What must be in the log for each mistake: exception, error code.
KINDS = {1: "#DE none", 2: "#GP 0000", 3: "#GP 010a", 4: "#GP 0010", 5: "#NM none", 6: "IRQ0 none"}
ACCESSED, MEMORY = 0x01, 0x10  # of a descriptor's access byte
IF, IOPL, NT, TF = 0x200, 0x3000, 0x4000, 0x100
ESP0 = slice(4, 8)  # in the TSS
BETWEEN_LOOKS = 0.1, 0.4  # seconds
A_LOOK_OF_RING_0 = 0.05

OWN = {letter: {"cs": SYMBOLS[f"{letter.upper()}_CODE"], "gs": SYMBOLS[f"{letter.upper()}_SCREEN"], "fs": 0,
                **dict.fromkeys(("ss", "ds", "es"), SYMBOLS[f"{letter.upper()}_DATA"])} for letter in "ab"}
END = {letter: SYMBOLS[f"proc_{letter}_end"] for letter in "ab"}
STACK = 256  # a proc's esp at its int
ENDED = 16  # in struct proc, the last word
HEADROOM = SYMBOLS["proc_b"] - (END["a"] + ENDED + 4)
UNTOUCHED = bytes(range(1, HEADROOM + 1))  # what the soak has put there


class Broken(Exception):
    """What does not hold."""


class _Running:
    def run_for(self, seconds):
        self.go()
        time.sleep(seconds)
        self.halt()


class SoakedQemu(_Running, debuggers.DebuggedQemu):
    """As fast as it can, in the host's time."""
    CLOCK = ()

    def type(self, key):
        """By the keyboard. It is read at the next look."""
        self.go()
        self.key(key)
        time.sleep(A_LOOK_OF_RING_0)
        self.halt()


class SoakedBochs(_Running, debuggers.DebuggedBochs):
    """As fast as it can, in the time of its own clock."""

    def type(self, key):
        self.press(key)


Look = collections.namedtuple("Look", "running switches counts ended memory")


class Soak:
    def __init__(self, machine, seed):
        self.machine = machine
        self.random = random.Random(seed)
        self.past = 0        # what was counted by lives that are over
        self.asked = []      # (letter, mistake) in order
        self.restarted = 0
        self.looks = 0
        self.first = None    # memory, as it must be
        self.last = None

    # ---- what is to be seen

    def demand(self, holds, what, value=""):
        if not holds:
            raise Broken(f"{what}{': ' if value != '' else ''}{value}")

    def memory(self):
        """All that never changes, without what may."""
        read = self.machine.read
        text = read(linear("start"), SYMBOLS["data_in_file"] - SYMBOLS["start"])
        tables = bytearray(read(linear("gdt"), SYMBOLS["idt"] - SYMBOLS["gdt"]))
        for access in range(5, len(tables), 8):
            if tables[access] & MEMORY:
                tables[access] |= ACCESSED
        gates = bytearray(read(linear("idt"), SYMBOLS["idtr"] + 6 - SYMBOLS["idt"]))
        way_in = gates[(place := SYMBOLS["idt_gate"] - SYMBOLS["idt"]):place + 2]
        self.demand(int.from_bytes(way_in, "little") in (SYMBOLS["gate"], SYMBOLS["gate_with_stop"]),
                    "the gate's offset in the IDT", way_in.hex())
        gates[place:place + 2] = b"--"
        tss = bytearray(read(linear("tss"), 104))
        tss[ESP0] = b"----"
        headroom = b"".join(read(linear(f"proc_{letter}") - HEADROOM, HEADROOM) for letter in "ab")
        self.demand(headroom == 2 * UNTOUCHED, "below a frame something was written", headroom.hex())
        return {"code and read-only data": text, "GDT and LDTs": bytes(tables), "IDT": bytes(gates),
                "TSS": bytes(tss), "TSS of #DF": read(linear("double_fault_tss"), 104)}

    def look(self):
        """Runs to the gate, and takes all in."""
        machine = self.machine
        machine.run_to("gate")
        values = machine.values()
        ss0, esp0 = machine.word("tss", 8), machine.word("tss", 4)
        self.demand(esp0 in END.values(), "esp0 is no frame's end", f"{esp0:08x}")
        self.demand(ss0 == SYMBOLS["RING0_DATA"], "ss0", f"{ss0:04x}")
        running = next(letter for letter in "ab" if END[letter] == esp0)
        self.demand(values["esp"] == esp0 - PUSHED_BY_INT, "esp inside the gate", f"{values['esp']:08x}")

        ended = {letter: bool(machine.word(f"proc_{letter}_end", ENDED)) for letter in "ab"}
        self.demand(not ended[running], f"proc {running} has ended, and runs")
        counts = {}
        for letter in "ab":
            frame = machine.frame(letter)
            if letter == running:  # what int has not pushed is still in the registers
                pushed = {name: frame[name] for name in ("ss", "esp", "eflags", "cs", "eip")}
                frame = {**values, **pushed}
            counts[letter] = debuggers.count(frame)
            if ended[letter]:
                continue
            for name, selector in OWN[letter].items():
                self.demand(frame[name] == selector, f"{name} of proc {letter}", f"{frame[name]:04x}")
            self.demand(frame["esp"] == STACK, f"esp of proc {letter}", f"{frame['esp']:08x}")
            self.demand(frame["eflags"] & (IF | IOPL | NT | TF) == IF, f"eflags of proc {letter}",
                        f"{frame['eflags']:08x}")
        switches = int.from_bytes(machine.read(linear("switches"), 8), "little")
        switches += machine.word("switches_asked") - machine.word("switches_left")
        self.looks += 1
        return Look(running, switches, counts, ended, self.memory())

    def check(self):
        """A look, and whether it fits all before it."""
        now = self.look()
        ends = self.ends()
        # This turn's int is executed, its switch is not counted yet.
        self.demand(sum(now.counts.values()) + self.past == now.switches + 1 + ends,
                    "counts and switches do not go together",
                    f"{now.counts}, before {self.past}, ends {ends}, switches {now.switches}")
        if not self.first:
            code = "code and read-only data"
            self.first = {**now.memory, code: debuggers.COM.read_bytes()[:len(now.memory[code])]}
        for name, there in now.memory.items():
            if there != self.first[name]:
                raise Broken(f"{name} changed {differing(self.first[name], there)}")
        self.last = now
        return now

    def ends(self):
        """How many procs have ended; each must be one that was asked for."""
        log = self.machine.log()
        for line in log:
            self.demand(line.split()[0] in ("boot", "switch", "fault", "end", "start"), "the log says", line)
        faults = [machines.fields(line) for line in log if line.startswith("fault ")]
        told = [(fields["proc"].lower(), f"{fields['name']} {fields['error']}") for fields in faults]
        self.demand(told == [(letter, KINDS[number]) for letter, number in self.asked],
                    "an end that was not asked for, or none where one was asked for", f"{told}, {self.asked}")
        return len(faults)

    # ---- what is done

    def play(self):
        """Both or one of them: for a while nothing but turns."""
        before = self.check()
        self.machine.run_for(self.random.uniform(*BETWEEN_LOOKS))
        now = self.check()
        turns = {letter: now.counts[letter] - before.counts[letter] for letter in "ab"}
        self.demand(now.ended == before.ended, "someone has ended, or begun", f"{before.ended}, {now.ended}")
        self.demand(sum(turns.values()) == now.switches - before.switches, "turns and switches", turns)
        self.demand(now.switches > before.switches, "nothing moves")
        for letter in "ab":
            self.demand(not (now.ended[letter] and turns[letter]), f"proc {letter} has ended, and counts on")
        if not any(now.ended.values()):
            self.demand(abs(turns["a"] - turns["b"]) <= 1, "one has had more turns than the other", turns)

    def over(self):
        """The lives that end with the next start."""
        now = self.check()
        over = [letter for letter in "ab" if now.ended[letter]]
        self.past += sum(now.counts[letter] for letter in over)
        self.restarted += len(over)

    def mistake(self, letter, number):
        """A proc that ends alone would end the game; A's key restarts both."""
        if letter == "a":
            self.over()
            self.asked.append((letter, number))
            self.machine.type(str(number))
        else:
            self.machine.run_to("proc_a_int")  # not while B looks
            self.asked.append((letter, number))
            self.machine.ask(letter, number)
        lines = 2 * len(self.asked)
        self.machine.go()
        self.machine.wait_log("^end ", since=self.line_of_end(lines))
        self.machine.halt()

    def line_of_end(self, lines):
        """Where in the log the end is expected: behind as many others."""
        log = self.machine.log()
        found = [n for n, line in enumerate(log) if line.startswith(("fault ", "end "))]
        return found[lines - 1] if len(found) >= lines else len(log)

    def restart(self):
        self.over()
        self.machine.type("r")
        now = self.await_start()
        self.demand(not any(now.ended.values()), "r was pressed, and not all live", now.ended)

    def await_start(self):
        """The keyboard is read within some looks."""
        for _ in range(100):
            if not any(self.machine.word(f"proc_{letter}_end", ENDED) for letter in "ab"):
                break
            self.machine.run_for(A_LOOK_OF_RING_0)
        return self.check()

    def step(self):
        ended = self.last.ended
        self.play()
        # Each key is obeyed before the next one: r only for those whose start shows.
        if ended["b"]:
            choices = ["restart"]
        else:
            choices = ["restart", "a"] if ended["a"] else ["a", "b"]
        choice = self.random.choice(choices)
        if choice == "restart":
            self.restart()
        else:
            self.mistake(choice, self.random.choice(list(KINDS)))
        self.check()

    def run(self, seconds):
        self.machine.go()
        self.machine.wait_log("switch n=1 ")
        self.machine.halt()
        self.machine.type("f")
        self.machine.go()
        self.machine.wait_log("switch n=65536 ")
        self.machine.halt()
        for letter in "ab":
            self.machine.write(linear(f"proc_{letter}") - HEADROOM, UNTOUCHED)
        self.check()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()


def differing(before, after):
    at = next(n for n in range(len(before)) if before[n] != after[n])
    return f"at byte {at:#x}: {before[at:at + 8].hex()}, now {after[at:at + 8].hex()}"


EMULATORS = {"qemu": SoakedQemu, "bochs": SoakedBochs}


def one(name, seconds, seed):
    """The table's column, and what is wrong if something is."""
    wrong = None
    with EMULATORS[name]() as machine:
        soak = Soak(machine, seed)
        try:
            soak.run(seconds)
        except (Broken, machines.Missing) as error:
            wrong = str(error)
        faults = collections.Counter(number for _, number in soak.asked)
        return {"switches done": soak.last.switches if soak.last else 0, "looks": soak.looks,
                "procs restarted": soak.restarted, "procs ended": len(soak.asked),
                "of them proc B": sum(letter == "b" for letter, _ in soak.asked),
                **{f"  {number}: {kind}": faults[number] for number, kind in KINDS.items()}}, wrong


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--emulator", choices=EMULATORS, action="append")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if subprocess.run(["sh", str(ROOT / "scripts" / "need"), "bochs", "qemu-system-i386"]).returncode:
        return 1
    names = options.emulator or list(EMULATORS)
    columns = {name: one(name, options.seconds, options.seed) for name in names}
    print(f"{options.seconds:g} s each, seed {options.seed}" + "".join(f"{name:>16}" for name in names))
    for row in columns[names[0]][0]:
        print(f"  {row:22}" + "".join(f"{columns[name][0][row]:16,}" for name in names))
    for name, (_, wrong) in columns.items():
        print(f"{name}: {'does not hold: ' + wrong if wrong else 'all held'}")
    return any(wrong for _, wrong in columns.values())

"""Four looks at a ring transition, and the way back out, on the floppy that ships.

usage: scripts/ringside tour [--recording FILE] [--program p_proc] [STOP ...]

  STOP         ckpt_frames ckpt_tss ckpt_iret ckpt_int ckpt_switched; all unless given
  --recording  shows a recording (see scripts/ringside record) instead of making one in Bochs
  --program    P_PROC is the only one that it can show

Nothing is asked and nothing needs to be typed. The same by hand, in the debugger:
docs/tour.md.
"""

import argparse
import os
import subprocess
import sys
import textwrap

from ringside.emulators import registers
from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.recorder import record, recording

STOPS = ("ckpt_frames", "ckpt_tss", "ckpt_iret", "ckpt_int", "ckpt_switched")
WIDTH = 80
FRAME_NAMES = ["(esp)" if name == "pusha_esp" else name for name in registers.FRAME_WORDS]
FRAME_BYTES = 4 * len(FRAME_NAMES)
CPU_BYTES = 4 * 5  # the five words that int pushes and iret pops
PROC_LDT = 12  # where a proc's LDT is named, behind its frame's end
TSS_BYTES = 104
TSS_NAMES = {4: "esp0", 8: "ss0"}
BUSY = 2  # of a TSS descriptor's type
ACCESSED = 1  # of a code or data descriptor's type
TI = 4  # of a selector: it means an entry of the LDT


class Run:
    """A recording from the stub to the first switch, and what its numbers mean."""

    def __init__(self, recorded, path="recording"):
        self.path = path
        self.emulator = recorded["emulator"]
        self.base = recorded["base"]
        self.symbols = recorded["symbols"]
        self.frames = recorded["frames"]
        self.steps = list(recording.walk(recorded))
        self.names = {value: name for name, value in self.symbols.items() if name.isupper()}
        self.found = {}
        for label in STOPS:
            self.found[label] = self._first(label)

    def _first(self, label):
        for number, before, _, _ in self.steps:
            if self.place(before) == self.symbols.get(label):
                return number
        raise recording.BadRecording(
            f"{self.path}: {label} does not come in it; make it anew, with one switch at least: make record")

    def place(self, state):
        """Where the next instruction is: an offset in the program."""
        return state["cs"]["base"] + state["eip"] - self.base

    def at(self, label):
        """(state before, step, state after) of the instruction at a stop."""
        return self.steps[self.found[label]][1:]

    def way_in(self):
        """The same of the int that led to ckpt_int."""
        for _, before, step, after in reversed(self.steps[:self.found["ckpt_int"]]):
            if before["cpl"] == 3 and after["cpl"] == 0:
                return before, step, after
        raise recording.BadRecording(f"{self.path}: nothing leads from ring 3 to ckpt_int")

    def writes_between(self, start, end, first, last):
        """Steps between two stops that wrote to these offsets of the program."""
        for number, _, step, _ in self.steps[self.found[start]:self.found[end]]:
            for kind, linear, _, _ in step["accesses"] or ():
                if kind == "write" and first <= linear - self.base < last:
                    yield number, step

    def frame(self, letter):
        return self.symbols[f"proc_{letter.lower()}"]

    def end(self, letter):
        return self.frame(letter) + FRAME_BYTES

    def ldt(self, letter):
        """A proc's LDT, as it is when it is loaded for the first time."""
        for _, _, _, after in self.steps:
            if after["ldtr"]["selector"] == self.symbols[f"{letter}_LDT"]:
                return after["ldt"]
        raise recording.BadRecording(f"{self.path}: {letter}'s LDT is never loaded in it")

    def name(self, index, table="GDT"):
        """The segment that is described in an entry of the GDT, or of an LDT; None if there is none."""
        place = 8 * index + (0 if table == "GDT" else TI)
        return next((name for value, name in self.names.items() if value & ~3 == place), None)

    def descriptor(self, index, table="GDT"):
        name = self.name(index, table)
        return f"{table} entry {index}" + (f", {name}" if name else "")

    def selector(self, number):
        """A selector of TR or LDTR, with its name."""
        return f"{number:04x}" + (f", {self.names[number]}" if number in self.names else "")

    def explain(self, access):
        """What an access of the CPU's own was for: a place, and what stands there."""
        kind, linear, size, value = access
        offset = linear - self.base

        def inside(name, length):
            return 0 <= offset - self.symbols[name] < length

        for label, end, table in (("gdt", "proc_a_ldt", "GDT"), ("proc_a_ldt", "proc_b_ldt", "LDT"),
                                  ("proc_b_ldt", "idt", "LDT")):
            if inside(label, self.symbols[end] - self.symbols[label]):
                name = self.descriptor((offset - self.symbols[label]) // 8, table)
                if kind == "write":
                    return f"{name}: marked " + ("busy" if value >> 8 & BUSY and size == 4 else "accessed")
                return f"{name}: DPL {value >> 45 & 3}"
        if inside("idt", self.symbols["idtr"] - self.symbols["idt"]):
            vector = (offset - self.symbols["idt"]) // 8
            return f"IDT entry {vector:#x}: {value >> 16 & 0xffff:04x}:{gate_offset(value):08x}, " \
                   f"DPL {value >> 45 & 3}"
        if inside("tss", TSS_BYTES):
            return f"TSS: {TSS_NAMES.get(offset - self.symbols['tss'], '?')}"
        for letter in "AB":
            if 0 <= offset - self.frame(letter) < FRAME_BYTES:
                return f"{letter}'s frame: {FRAME_NAMES[(offset - self.frame(letter)) // 4]}"
            if offset - self.end(letter) == PROC_LDT:
                return f"which LDT is {letter}'s: {self.selector(value)}"
        return ""


def gate_offset(value):
    return value >> 48 << 16 | value & 0xffff


# ---- colour: never the only one to say something

COLOURS = {"title": "1", "cpu": "33", "arrow": "1;36", "dim": "2"}
coloured = False


def paint(style, text):
    return f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if coloured and text else text


def plain_length(text):
    for code in COLOURS.values():
        text = text.replace(f"\x1b[{code}m", "")
    return len(text.replace("\x1b[0m", ""))


# ---- pictures

NAME = 7  # columns for the name beside a word


def box(top, rows):
    """Words in memory, the highest address on top.

    top: (address above the words, note); rows: (address, word, name, note, whether the
    CPU itself moves the word). None in place of a row is a line across.
    """
    def label(address, note, name=""):
        arrow = paint("arrow", f"◀─ {note}") if note else ""
        return f"{address:08x}", f"{name:{NAME if name else 0}}{arrow}".rstrip()

    address, after = label(*top)
    lines = [f"{address} ┌──────────┐ {after}".rstrip()]
    for row in rows:
        if row is None:
            lines.append(f"{'':8} ├──────────┤")
            continue
        address, word, name, note, by_cpu = row
        address, after = label(address, note, name)
        cell = paint("cpu", f"║ {word:08x} ║") if by_cpu else f"│ {word:08x} │"
        lines.append(f"{address} {cell} {after}".rstrip())
    return lines + [f"{'':8} └──────────┘"]


def beside(left, right, column=40):
    """Two pictures, the right one from a column on."""
    lines = []
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else ""
        two = right[number] if number < len(right) else ""
        lines.append((one + " " * (column - plain_length(one)) + two).rstrip())
    return lines


def arrows(run, state, letter, start=False):
    """What points into a proc's frame or at its end: address -> names."""
    notes = {run.end(letter): "end"}

    def point(address, name):
        if run.frame(letter) <= address <= run.end(letter):
            notes[address] = f"{notes[address]}; {name}" if address in notes else name
    if start:
        point(run.frame(letter), "start")
    point(state["tss"]["esp0"], "esp0")
    if state["cpl"] == 0:
        point(state["esp"], "esp")
    return notes


def frame_box(run, state, letter, start=False, by_cpu=False, words=len(FRAME_NAMES)):
    """A proc's frame, or its upper words, with all arrows."""
    notes = arrows(run, state, letter, start)
    values = state["frames"][letter]
    rows = []
    for index in reversed(range(len(values) - words, len(values))):
        address = run.frame(letter) + 4 * index
        if FRAME_NAMES[index] in ("eax", "ds"):
            rows.append(None)
        rows.append((address, values[index], FRAME_NAMES[index], notes.get(address, ""),
                     by_cpu and address >= run.end(letter) - CPU_BYTES))
    return box((run.end(letter), notes[run.end(letter)]), rows)


def proc_stack_box(state):
    """The stack of the proc that runs, on which nothing lies: three free words below esp."""
    first, esp = state["stack"]["linear"], state["esp"]
    rows = []
    for offset in (esp - 4, esp - 8, esp - 12):
        word = state["stack"]["words"][(state["ss"]["base"] + offset - first) // 4]
        rows.append((offset, word, "free", "", False))
    return box((esp, "esp, the end of its data" if esp == state["ss"]["limit"] + 1 else "esp"), rows)


# ---- lists

def source_lines(source, label=None, before=3, after=1):
    """Lines of a source around one with an arrow, or from above a label to it."""
    name, _, line = source.rpartition(":")
    number = int(line)
    text = ["", *(ROOT / name).read_text().splitlines()]
    shown = range(number - before, number + after + 1)
    if label:
        above = max((at for at in range(1, number) if text[at].startswith(f"{label}:")), default=0)
        if not above or number - above > 12:
            raise recording.BadRecording(f"{source} is not {label}, the source has changed since this was "
                                         "recorded; make it anew: make record")
        rest = number if number - above > 3 else above + 1
        shown = [*range(above - before, above + 1), *range(rest, number + after + 1)]
    lines = [paint("dim", source)]
    last = shown[0] - 1
    for at in shown:
        if at != last + 1:
            lines.append("   ⋮")
        arrow = paint("arrow", "▶") if at == number else " "
        lines.append(f"{arrow}{at:4} {closer(text[at])}".rstrip())
        last = at
    return lines


def closer(line):
    """A line of source in fewer columns: comments stand far to the right of the code."""
    line = line.expandtabs(8)
    code, mark, comment = line.partition("#")
    if mark and code.strip():
        line = code.rstrip().replace(" " * 8, " " * 4, 1).ljust(len(code) - 18) + " #" + comment
    else:
        line = line.replace(" " * 8, " " * 4, 1)
    return line if len(line) <= WIDTH - 8 else line[:WIDTH - 9] + "…"


def accesses(run, step):
    """What the CPU did in memory during one instruction, in its own order."""
    if step["accesses"] is None:
        return [f"({run.emulator} does not tell which memory the CPU touched by itself.)"]
    lines = ["    what  bytes at      value            which is"]
    for number, access in enumerate(step["accesses"], 1):
        kind, linear, size, value = access
        line = f"{number:2}  {kind:6}{size}  {linear - run.base:08x}  {value:0{2 * size}x}"
        lines.append(f"{line:41}{run.explain(access)}".rstrip())
    return lines


def far(state, segment, offset):
    return f"{state[segment]['selector']:04x}:{state[offset]:08x}"


def table(rows, heads):
    """Before and after, with a mark where they differ."""
    lines = [f"{'':14}{heads[0]:22}{heads[1]}"]
    for name, old, new in rows:
        lines.append(f"{name:14}{old:22}{new:22}{'' if old == new else '◀── changed'}".rstrip())
    return lines


def crossing_table(before, after, heads):
    def data(state):
        return " ".join(f"{state[name]['selector']:04x}" for name in ("ds", "es", "fs", "gs"))
    return table([("ring (CPL)", str(before["cpl"]), str(after["cpl"])),
                  ("cs:eip", far(before, "cs", "eip"), far(after, "cs", "eip")),
                  ("ss:esp", far(before, "ss", "esp"), far(after, "ss", "esp")),
                  ("eflags", f"{before['eflags']:08x}", f"{after['eflags']:08x}"),
                  ("ds es fs gs", data(before), data(after)),
                  ("esp0 (TSS)", f"{before['tss']['esp0']:08x}", f"{after['tss']['esp0']:08x}")], heads)


def differences(run, old, new):
    """What is not as it was at another moment: (name, old, new)."""
    for name in ("cpl", *registers.GENERAL, "eip", "eflags", "cr0"):
        if old[name] != new[name]:
            size = 1 if name == "cpl" else 8
            yield name, f"{old[name]:0{size}x}", f"{new[name]:0{size}x}"
    for name in registers.SELECTORS:
        if old[name]["selector"] != new[name]["selector"]:
            write = run.selector if name in ("tr", "ldtr") else "{:04x}".format
            yield name, write(old[name]["selector"]), write(new[name]["selector"])
    for name in ("ss0", "esp0"):
        if old["tss"][name] != new["tss"][name]:
            yield f"TSS: {name}", f"{old['tss'][name]:08x}", f"{new['tss'][name]:08x}"
    tables = ["GDT", "LDT"] if old["ldtr"] == new["ldtr"] else ["GDT"]
    for table in tables:
        for index, (was, now) in enumerate(zip(old[table.lower()], new[table.lower()])):
            if was != now:
                yield run.descriptor(index, table), kind(was), kind(now)
    for letter in "AB":
        for name, was, now in zip(FRAME_NAMES, old["frames"][letter], new["frames"][letter]):
            if was != now:
                yield f"{letter}'s frame: {name}", f"{was:08x}", f"{now:08x}"


def kind(descriptor):
    """In a word or two, what the CPU itself changes in a descriptor."""
    access = int(descriptor, 16) >> 40
    if access & 0x10:
        return "accessed" if access & ACCESSED else "not accessed"
    return "busy" if access & BUSY else "available"


def changes(run, old, new):
    return [f"{name:27}{was:14} ─▶  {now}" for name, was, now in differences(run, old, new)] or ["nothing"]


# ---- the stops: (title, sections, why); a section is (heading, lines)

def frames(run):
    state, step, _ = run.at("ckpt_frames")
    picture = beside(frame_box(run, state, "A", start=True), frame_box(run, state, "B", start=True))
    return "two frames, filled in", [
        ("where", source_lines(step["source"], "ckpt_frames")),
        ("proc A's frame, and proc B's", picture),
        ("at this moment", [f"ring {state['cpl']}, cs:eip {far(state, 'cs', 'eip')}, "
                            f"ss:esp {far(state, 'ss', 'esp')}: the stub, on its own stack"]),
    ], """
        Nothing has run in ring 3 yet: this is the stub, in ring 0. A frame is a piece
        of memory with room for every register that a proc has. Both frames have been
        filled in by hand, as if each proc had once come in through int 0x30 and been
        saved: cs:eip is its first instruction, ss:esp the end of its own data, nearly
        all else is zero. So a proc needs no special start; it is brought back, as
        always. The lowest two bits of a selector are its RPL: in cs and ss they are 3,
        and they will lead to ring 3; the next bit, TI, says that the descriptor is in
        the proc's own LDT. esp0 is a word in the TSS and points at the END
        of A's frame; the CPU does not know that yet.
        """


def tss(run):
    state, step, _ = run.at("ckpt_tss")
    old = run.at("ckpt_frames")[0]
    place, esp0, ss0 = run.symbols["tss"], state["tss"]["esp0"], state["tss"]["ss0"]
    tr = state["tr"]
    low, high = tr["base"] - run.base, tr["base"] - run.base + tr["limit"] + 1
    owner = next((letter for letter in "AB" if run.end(letter) == esp0), None)
    left = [f"{high:08x} ┌──────────┐ end of the TSS",
            f"{'':8} ┊          ┊ rings 1 and 2, task switches, ports",
            f"{place + 8:08x} │ {ss0:08x} │ ss0",
            f"{place + 4:08x} │ {esp0:08x} │ esp0 " + paint("arrow", "───────▶" if owner else ""),
            f"{low:08x} ┊          ┊ backlink",
            f"{'':8} └──────────┘"]
    right = []
    if owner:
        right = frame_box(run, state, owner, words=5)
        right[0] = f"{esp0:08x} ├──────────┤ end of {owner}'s frame"
        right[-1] = f"{'':8} ┊          ┊"
    picture = left[:3] + beside(left[3:], right, 36)
    index = tr["selector"] >> 3
    attributes = int(state["gdt"][index], 16) >> 40 & 0xff
    return "the TSS, where the CPU will look for a stack", [
        ("where", source_lines(step["source"], "ckpt_tss")),
        ("changed since the last stop", changes(run, old, state)),
        ("TR, the task register", [
            f"selector {tr['selector']:04x}: {run.descriptor(index)}, DPL {attributes >> 5 & 3}, "
            f"{kind(state['gdt'][index])}",
            f"base {low:08x}, limit {tr['limit']:08x}: the CPU has copied both from there"]),
        ("the TSS, and what it points at", picture),
    ], """
        ltr has told the CPU where the TSS is: TR holds a selector and, out of sight,
        the descriptor's base and limit. Why there must be one: when int leads from
        ring 3 to ring 0, the CPU has to write down where it has come from, and the
        stack of ring 3 is no place for that, because the proc can let ss:esp point
        wherever it likes. So the CPU changes to a stack that ring 0 has named before:
        ss0:esp0. This is what the program has a TSS for. Here esp0 is the end of A's
        frame, since A will be the first to run. The descriptor is marked busy now, and
        to load it once more would be an error.
        """


def iret(run):
    before, step, after = run.at("ckpt_iret")
    old = run.at("ckpt_tss")[0]
    return "the way out: iret into proc A", [
        ("where", source_lines(step["source"], "ckpt_iret")),
        ("changed since the last stop", changes(run, old, before)),
        ("before: the stack is A's frame  (║ iret is going to pop this)",
         frame_box(run, before, "A", by_cpu=True)),
        ("before and after", crossing_table(before, after, ("before iret", "after iret"))),
        ("what the CPU did in memory inside this one instruction", accesses(run, step)),
        ("after: A's own stack, empty", proc_stack_box(after)),
    ], """
        lldt has loaded A's LDT: A's segments have selectors from there on. esp was set
        to the start of A's frame, and pop, pop, ... have taken off it all
        but the last five words; general registers, ds, es, fs and gs are A's already.
        iret pops eip, cs and eflags. It sees that the RPL of this cs is 3 and the CPL
        is 0: a return to an outer ring, so it pops esp and ss, too. No jump and no call
        leads outwards, only a return does, which is why the frame looks as if A had
        been in ring 0 before. No register holds the stack of ring 0 any more: only
        ss0:esp0 in the TSS says where the next way in begins.
        """


def interrupt(run):
    before, step, after = run.way_in()
    stop, inside, _ = run.at("ckpt_int")
    old = run.at("ckpt_iret")[2]
    return "the way in: int 0x30", [
        ("where: in proc A", source_lines(step["source"], before=5, after=1)),
        ("where: in ring 0", source_lines(inside["source"], "ckpt_int")),
        ("changed since the last stop, in ring 3", changes(run, old, before)),
        ("before: A's own stack, empty", proc_stack_box(before)),
        ("before and after", crossing_table(before, after, ("before int", "after int"))),
        ("what the CPU did in memory inside this one instruction", accesses(run, step)),
        ("after: the stack is A's frame  (║ int has pushed this)",
         frame_box(run, stop, "A", by_cpu=True)),
    ], """
        A has named a number and nothing else: where to, the gate in the IDT says; on
        which stack, the TSS says. The gate's DPL is 3, so ring 3 may use it. The code
        segment it names has DPL 0, so the ring changes, and with it the stack. Before
        it pushes, the CPU fetches ss0:esp0 and looks at that segment's descriptor;
        then it pushes five words there, downwards from the end of A's frame: they fill
        the places from which iret took the last ones. eip is that of the instruction
        behind int. The words further down are old ones: general registers, ds, es, fs
        and gs are still A's and are in no memory yet.
        """


def switched(run):
    before, step, after = run.at("ckpt_switched")
    old = run.at("ckpt_int")[0]
    frame, place = run.frame("A"), run.symbols["tss"]
    saved = run.writes_between("ckpt_int", "ckpt_switched", frame, frame + FRAME_BYTES - CPU_BYTES)
    words = sum(len(entry["accesses"]) for entry in dict(saved).values())
    writers = [entry for _, entry in run.writes_between("ckpt_int", "ckpt_switched", place + 4, place + 8)]
    sections = [("where", source_lines(step["source"], "ckpt_switched", after=0))]
    if writers:
        sections += [("on the way here: C has moved esp0", source_lines(writers[0]["source"])),
                     ("on the way here: the gate", [f"wrote {words} words into A's frame, below the CPU's five"])]
    loads = [entry for _, _, entry, _ in run.steps[run.found["ckpt_int"]:run.found["ckpt_switched"]]
             if entry["text"].startswith("lldt")]
    for entry in loads:
        sections += [("on the way here: LDTR was loaded", [*source_lines(entry["source"]), "", *accesses(run, entry)])]
    return "out again: iret into proc B", sections + [
        ("changed since the last stop", changes(run, old, before)),
        ("before: A lies in its frame, B's is the stack  (║ iret is going to pop this)",
         beside(frame_box(run, before, "A", start=True), frame_box(run, before, "B", by_cpu=True))),
        ("before and after", crossing_table(before, after, ("before iret", "after iret"))),
        ("what the CPU did in memory inside this one instruction", accesses(run, step)),
    ], """
        The gate has pushed the rest of A's registers below the CPU's five words: A is
        in its frame now, all of it, and nowhere else. Then the gate changed to a stack
        of its own and called C, which chose the next proc and moved esp0 to the end of
        THAT one's frame. lldt has exchanged the LDT: B's segments can be named now, and
        A's cannot. esp went to the start of B's frame, and pop, pop, ... have
        been as at the first iret: the way out is always the same. esp0 is the end of
        the frame of the proc that is going to run, as always when iret leads to ring
        3. When B executes int 0x30, all this happens once more with the letters
        exchanged, and A goes on behind its int, none the wiser.
        """


SHOWN = dict(zip(STOPS, (frames, tss, iret, interrupt, switched)))


def show(run, label):
    """One stop, as lines."""
    title, sections, why = SHOWN[label](run)
    head = f"━━ {STOPS.index(label) + 1} of {len(STOPS)} ━━ {label} ━━ {title} "
    lines = ["", paint("title", head + "━" * (WIDTH - len(head))), ""]
    for heading, content in sections:
        lines += [paint("title", heading), *(f"  {line}".rstrip() for line in content), ""]
    lines += [paint("title", "why")]
    return lines + textwrap.wrap(textwrap.dedent(why).strip(), WIDTH - 2, initial_indent="  ", subsequent_indent="  ")


def own_recording():
    """The way from ckpt_frames to the other proc, in Bochs, from the floppy in build/."""
    needed = subprocess.run(["sh", str(ROOT / "scripts" / "need"), "bochs", "nm", "objdump", "addr2line"])
    if needed.returncode:
        raise SystemExit(1)
    if not (ROOT / "build" / "floppy.img").exists():
        raise SystemExit("tour: no build/floppy.img: it is built by: make")
    try:
        return record.record("bochs", start="ckpt_frames", switches=1)
    except machines.Missing as error:
        raise SystemExit(f"tour: {error}") from None


def main(arguments):
    global coloured
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--recording")
    parser.add_argument("--program", default="p_proc")
    parser.add_argument("stops", nargs="*")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if options.program.lower().removesuffix(".com") != "p_proc":
        raise SystemExit(f"tour: it shows P_PROC alone, not {options.program}; "
                         f"this records any program: make record PROG={options.program}")
    for label in options.stops:
        if label not in STOPS:
            raise SystemExit(f"tour: no stop {label}; there are: {' '.join(STOPS)}")
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        if options.recording:
            run = Run(recording.load(options.recording), options.recording)
        else:
            run = Run(own_recording())
        for label in options.stops or STOPS:
            print("\n".join(show(run, label)))
    except recording.BadRecording as error:
        raise SystemExit(f"tour: {error}") from None
    print("\nThe same by hand, in the debugger, with everything explained: docs/tour.md")
    return 0

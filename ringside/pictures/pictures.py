"""Draws the ring crossings of one round trip A -> B -> A, as SVG.

usage: scripts/ringside pictures [--recording FILE] [--output DIR]

  --recording  a recording to draw from (scripts/ringside record makes them); without it, Bochs
               plays the floppy in build/ as far as is needed
  --output     docs/pictures unless given

One picture for each crossing, things being at the same place in all of them, and
round-trip.svg with all five on one line. Every number is the recording's: an
element that shows one says which, in a data- attribute (data-word="A.esp").
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys
import textwrap
from xml.sax.saxutils import escape, quoteattr

from ringside.emulators.machines import ROOT
from ringside.recorder import recording
from ringside.recorder.recording import FRAME_WORDS

FRAME_BYTES = 4 * len(FRAME_WORDS)
CPU_WORDS = 5  # of them: what int pushes and iret pops

FILES = ("1-iret-to-a.svg", "2-int-from-a.svg", "3-iret-to-b.svg", "4-int-from-b.svg", "5-iret-to-a.svg")
OVERVIEW = "round-trip.svg"

TITLES = ("Out, for the first time: iret into proc A", "In: proc A's int 0x30", "Out: iret into proc B",
          "In: proc B's int 0x30", "Out: iret back into proc A")
CAPTIONS = (
    "Proc A has never run, but its frame is filled in as if it had once come in by int 0x30. "
    "Twelve words are popped into registers; the last five are iret's, and A runs in ring 3.",
    "The CPU finds ss0:esp0 in the TSS, the end of A's frame, and pushes five words there by itself. "
    "The gate pushes the other twelve below them: now all of A lies in its frame.",
    "switch.c has chosen B and pointed esp0 at the end of B's frame. Out comes what is in it: "
    "twelve words by pop and popa, five by iret. B runs, and A waits in its own frame.",
    "The same gate, the same five pushes by the CPU, the same twelve by the gate. Only esp0 is "
    "different from A's time, and so all of B lands in B's frame.",
    "switch.c has pointed esp0 back at the end of A's frame. iret takes A's five words, "
    "and A goes on right behind its int 0x30 as if nothing had happened.",
)
CAPTION_OVERVIEW = ("Five ring crossings. In each the CPU moves five words by itself, to or from the frame "
                    "at whose end esp0 points.")


# ---- what is drawn: five crossings, found in a recording

@dataclasses.dataclass
class Crossing:
    """One way in or out, with the gate's part of it: esp's four stops on the way."""

    kind: str           # "int" or "iret"
    letter: str         # the proc that comes or goes
    before: dict        # states around int or iret
    after: dict
    saved: dict         # the state in which both frames are as drawn
    esp: list           # the four stops, in time
    mover: str          # of esp between frame and ring-0 stack: an instruction

    @property
    def outer(self):
        """The state in ring 3."""
        return self.after if self.kind == "iret" else self.before


class NoRoundTrip(Exception):
    pass


def frame_range(recorded, letter):
    """Offsets that esp can have inside a proc's frame, its end among them."""
    start = recorded["symbols"][f"proc_{letter.lower()}"]
    return range(start, start + FRAME_BYTES + 1)


def crossings(recorded):
    """The first five from an iret into A on: A, in, B, in, A."""
    for name in ("proc_a", "proc_b", "A_DATA", "B_DATA", "ring0_stack_end"):
        if name not in recorded["symbols"]:
            raise NoRoundTrip(f"the program has no {name}")
    letters = {recorded["symbols"][f"{letter}_DATA"]: letter for letter in "AB"}
    steps = list(recording.walk(recorded))
    places = [place for place, (_, before, _, after) in enumerate(steps)
              if before["cpl"] != after["cpl"] and before["cr0"] & 1]
    found = []
    for place in places:
        _, before, step, after = steps[place]
        kind = "iret" if after["cpl"] == 3 else "int"
        inner, outer = (before, after) if kind == "iret" else (after, before)
        letter = letters.get(outer["ss"]["selector"], "?")
        if kind + letter != ("iretA", "intA", "iretB", "intB", "iretA")[len(found)]:
            if found:
                raise NoRoundTrip(f"step {place}: {step['text']} of proc {letter} comes after crossing {len(found)}")
            continue
        frame = frame_range(recorded, letter)
        other = place
        if kind == "int":
            while other + 1 < len(steps) and steps[other][3]["esp"] in frame:
                other += 1
            esp = [before["esp"], after["esp"], steps[other][1]["esp"], steps[other][3]["esp"]]
            saved = steps[other][1]
        else:
            while other > 0 and steps[other][1]["esp"] in frame:
                other -= 1
            esp = [steps[other][1]["esp"], steps[other][3]["esp"], before["esp"], after["esp"]]
            saved = before
        stops = esp if kind == "iret" else esp[::-1]
        for true, what in (
                (stops[0] == recorded["symbols"]["ring0_stack_end"] and stops[1] == frame[0],
                 f"the way between proc {letter}'s frame and an empty ring-0 stack is not in it"),
                (stops[2] == frame[-1] - 4 * CPU_WORDS, f"{kind} does not move {CPU_WORDS} words"),
                (stops[3] == outer["ss"]["limit"] + 1, f"proc {letter}'s stack is not empty"),
                (inner["tss"]["esp0"] == frame[-1], f"esp0 is not the end of proc {letter}'s frame")):
            if not true:
                raise NoRoundTrip(f"step {place}: {what}")
        found.append(Crossing(kind, letter, before, after, saved, esp, steps[other][2]["text"]))
        if len(found) == len(FILES):
            return found
    raise NoRoundTrip(f"it has {len(found)} of its {len(FILES)} crossings")


# ---- how it is drawn

# Light is what a viewer gets that knows no colour schemes.
COLOURS = {  # name: light, dark
    "paper": ("#ffffff", "#0d1117"),
    "ring3": ("#ffffff", "#0d1117"),
    "ring0": ("#eef0f3", "#1c222b"),
    "ink": ("#15181d", "#e8edf3"),
    "faint": ("#58606c", "#9ba6b3"),
    "rule": ("#9aa2ad", "#56606d"),
    "cpu": ("#a33b00", "#ffb05c"),
    "hatch": ("#f0bd94", "#7d4d1c"),
    "gate": ("#2a5a8f", "#86bdf5"),
    "wash": ("#d3e3f5", "#1e3c5e"),
    "esp0": ("#6b2fa0", "#d6aaff"),
}

STYLE = """
text { font-family: sans-serif; font-size: %(size)s; fill: %(ink)s }
.mono { font-family: monospace }
.title { font-size: 27px; font-weight: bold }
.caption { font-size: 17px }
.head { font-size: 16px; font-weight: bold }
.small { font-size: 13px }
.big { font-size: 17px }
.bold { font-weight: bold }
.faint { fill: %(faint)s }
.t-cpu { fill: %(cpu)s; font-weight: bold }
.t-gate { fill: %(gate)s }
.t-esp0 { fill: %(esp0)s }
.on-hatch { paint-order: stroke; stroke: %(paper)s; stroke-width: 4px; stroke-linejoin: round }
.on-ink { fill: %(paper)s; font-weight: bold }
.paper { fill: %(paper)s }
.ring3 { fill: %(ring3)s; stroke: %(rule)s; stroke-width: 1.5px }
.ring0 { fill: %(ring0)s; stroke: %(rule)s; stroke-width: 1.5px }
.words-none { fill: %(paper)s; stroke: %(rule)s }
.headroom { fill: none; stroke: %(rule)s; stroke-dasharray: 3 3 }
.words-gate { fill: %(wash)s; stroke: %(gate)s }
.words-cpu { fill: url(#hatch); stroke: %(cpu)s }
.hatch { stroke: %(hatch)s; stroke-width: 3px }
.outline-cpu { fill: none; stroke: %(cpu)s; stroke-width: 3.5px }
.outline-gate { fill: none; stroke: %(gate)s; stroke-width: 1.5px }
.outline { fill: none; stroke: %(rule)s; stroke-width: 1.5px }
.l-rule { fill: none; stroke: %(rule)s; stroke-width: 1.5px }
.l-cpu { fill: none; stroke: %(cpu)s; stroke-width: 5px }
.l-gate { fill: none; stroke: %(gate)s; stroke-width: 2px }
.l-esp0 { fill: none; stroke: %(esp0)s; stroke-width: 3px }
.l-was { fill: none; stroke: %(esp0)s; stroke-width: 2px; stroke-dasharray: 2 4 }
.h-cpu { fill: %(cpu)s }
.h-gate { fill: %(gate)s }
.h-esp0 { fill: %(esp0)s }
.h-was { fill: %(paper)s; stroke: %(esp0)s; stroke-width: 1.5px }
.l-run { fill: none; stroke: %(ink)s; stroke-width: 3px }
.h-run { fill: %(ink)s }
.l-wait { fill: none; stroke: %(rule)s; stroke-width: 1.5px; stroke-dasharray: 3 5 }
.box { fill: %(paper)s; stroke: %(ink)s; stroke-width: 1.5px }
.stop { fill: %(ink)s }
""".strip()


def style(size):
    light, dark = (STYLE % {"size": size, **{name: pair[scheme] for name, pair in COLOURS.items()}}
                   for scheme in (0, 1))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


KEY_WIDTH = 44


class Svg:
    def __init__(self, width, height, title, description, size="14px"):
        self.lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>\n{style(size)}\n</style>",
            '<defs><pattern id="hatch" width="9" height="9" patternUnits="userSpaceOnUse">'
            '<path class="hatch" d="M-2,2 L2,-2 M-2,11 L11,-2 M7,11 L11,7"/></pattern></defs>',
        ]
        self.rect(0, 0, width, height, "paper")

    def add(self, tag, text=None, **attributes):
        named = "".join(
            f" {name.rstrip('_').replace('_', '-')}={quoteattr(f'{value:g}' if type(value) is float else str(value))}"
            for name, value in attributes.items())
        self.lines.append(f"<{tag}{named}/>" if text is None else f"<{tag}{named}>{escape(text)}</{tag}>")

    def text(self, x, y, text, look="", anchor="start", **data):
        self.add("text", text, x=x, y=y, **({"class_": look} if look else {}),
                 **({} if anchor == "start" else {"text_anchor": anchor}), **data)

    def rect(self, x, y, width, height, look, **data):
        self.add("rect", x=x, y=y, width=width, height=height, class_=look, **data)

    def line(self, points, look, head=None, **data):
        """A line; with head, one that ends in an arrow's head of that length."""
        points = list(points)
        if head:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)  # never slanting
            half = head * 0.55
            points[-1] = (x - dx * head * 0.9, y - dy * head * 0.9)
        self.add("path", class_=f"l-{look}", d="M" + " L".join(f"{a:g},{b:g}" for a, b in points), **data)
        if head:
            base = (x - dx * head, y - dy * head)
            corners = [(x, y), (base[0] + dy * half, base[1] + dx * half),
                       (base[0] - dy * half, base[1] - dx * half)]
            self.add("path", class_=f"h-{look}", d="M" + " L".join(f"{a:g},{b:g}" for a, b in corners) + " Z",
                     **{f"{name}_tip": value for name, value in data.items()})

    def words(self, x, y, width, height, mover, **data):
        """Memory: words that were moved by the CPU, or by the gate, or by none."""
        if mover == "cpu":
            self.rect(x, y, width, height, "paper")
        self.rect(x, y, width, height, f"words-{mover}", **data)

    def key(self, x, y, mover, text):
        """An entry of a legend."""
        self.words(x, y, KEY_WIDTH, 18, mover)
        if mover != "none":
            self.rect(x, y, KEY_WIDTH, 18, f"outline-{mover}")
        self.text(x + KEY_WIDTH + 12, y + 14, text)

    def number(self, x, y, number, radius=10):
        self.add("circle", cx=x, cy=y, r=radius, class_="stop")
        self.text(x, round(y + radius * 0.36 + 1.4, 1), str(number), "on-ink title" if radius > 12 else "on-ink",
                  "middle")

    def save(self, path):
        path.write_text("\n".join([*self.lines, "</svg>", ""]), encoding="utf-8")


# ---- one crossing

WIDTH, HEIGHT = 1280, 720
END = 216               # y of both frames' end, of the stacks' ends, and of esp0 in the TSS
ROW = 20
START = END + ROW * len(FRAME_WORDS)
PANELS = (112, 590)     # y

# x on A's side; B's side is its mirror image.
STACK, STACK_WIDTH = 66, 84
FRAME, FRAME_WIDTH = 338, 166
TRACK = 312             # esp's way up and down
RING_3, RING_0 = (16, 164), (178, WIDTH - 178)

CENTRE = WIDTH // 2
RING0_STACK = 450       # y of its end
RING0_STACK_WIDTH = 126
RING0_ELBOW = 556       # x of the way there
STOP_WIDTH = 100        # a number in a circle, "esp", four digits


class Picture:
    def __init__(self, recorded, found, number):
        self.recorded, self.now, self.number = recorded, found[number - 1], number
        # The stack segments, as the CPU holds them while the procs run.
        self.stacks = {crossing.letter: crossing.outer["ss"] for crossing in found}
        self.svg = Svg(WIDTH, HEIGHT, f"{number} of 5. {TITLES[number - 1]}", self.description())

    def description(self):
        now = self.now
        way = " then ".join(f"{esp:04x}" for esp in now.esp)
        return (f"{CAPTIONS[self.number - 1]} esp is {way}; TSS.esp0 is {now.before['tss']['esp0']:04x}; "
                f"CPL {now.before['cpl']} becomes {now.after['cpl']}. "
                f"Recorded in {self.recorded['emulator'].capitalize()}.")

    # A's side as given, B's side mirrored.
    def x(self, letter, x):
        return x if letter == "A" else WIDTH - x

    def box(self, letter, x, width):
        return x if letter == "A" else WIDTH - x - width

    def anchor(self, letter, anchor):
        return anchor if letter == "A" else {"start": "end", "end": "start"}.get(anchor, anchor)

    def y(self, letter, offset):
        """Of a boundary between two words of a frame: the lower end of the word there."""
        return START - (offset - frame_range(self.recorded, letter).start) // 4 * ROW

    def draw(self):
        self.top()
        self.panels()
        for letter in "AB":
            self.stack(letter)
            self.frame(letter)
        self.tss()
        self.ring0_stack()
        self.esp()
        self.who()
        self.registers()
        self.legend()
        return self.svg

    def top(self):
        svg = self.svg
        svg.number(34, 35, self.number, 17)
        svg.text(62, 44, TITLES[self.number - 1], "title")
        for row, line in enumerate(textwrap.wrap(CAPTIONS[self.number - 1], 108)):
            svg.text(18, 74 + 23 * row, line, "caption")

        # Where on the round trip: A above, ring 0 between, B below.
        x, step, levels = 1096, 29, {"A": 22, "0": 48, "B": 74}
        for name, y in levels.items():
            svg.text(x - 12, y + 5, name, "small faint", "end")
        y = levels["0"]
        for number, level in enumerate("A0B0A", 1):
            svg.line([(x, y), (x + step, y)], "rule")
            x, was, y = x + step, y, levels[level]
            if number == self.number:
                svg.line([(x, was), (x, y)], "cpu", 13)
            else:
                svg.line([(x, was), (x, y)], "rule")
        svg.line([(x, y), (x + step * 0.7, y)], "rule")

    def panels(self):
        svg, (top, bottom) = self.svg, PANELS
        for letter in "AB":
            svg.rect(self.box(letter, RING_3[0], RING_3[1] - RING_3[0]), top, RING_3[1] - RING_3[0],
                     bottom - top, "ring3")
            svg.text(self.x(letter, sum(RING_3) / 2), top + 24, f"ring 3: proc {letter}", "head", "middle")
        svg.rect(RING_0[0], top, RING_0[1] - RING_0[0], bottom - top, "ring0")
        svg.text(CENTRE, top + 24, "ring 0", "head", "middle")

    def stack(self, letter):
        """The proc's own, of which no word takes part: that is the point of it."""
        svg = self.svg
        selector = self.recorded["symbols"][f"{letter}_DATA"]
        base, limit = self.stacks[letter]["base"], self.stacks[letter]["limit"]
        left, rows = self.box(letter, STACK, STACK_WIDTH), 4
        for row in range(rows):
            y = END + ROW * row
            svg.rect(left, y, STACK_WIDTH, ROW, "words-none")
            svg.text(self.x(letter, STACK - 8), y + 15, f"{limit + 1 - 4 * (row + 1):04x}", "mono small faint",
                     self.anchor(letter, "end"))
        svg.text(left + STACK_WIDTH / 2, END + ROW + 15, "empty", "small faint", "middle")
        self.torn(left, END + rows * ROW, STACK_WIDTH)
        for row, (name, value, digits, key) in enumerate((
                (f"{letter}_DATA", selector, 4, "selector"), ("base", base, 8, "base"),
                ("limit", limit, 8, "limit"))):
            left = self.box(letter, RING_3[0] + 8, RING_3[1] - RING_3[0] - 16)
            y = END + (rows + 2) * ROW + 8 + 19 * row
            svg.text(left, y, name, "mono small faint")
            svg.text(left + RING_3[1] - RING_3[0] - 16, y, f"{value:0{digits}x}", "mono small", "end",
                     data_segment=f"{letter}.{key}")
        if letter == self.now.letter:
            note = (("int pushes", "nothing here.") if self.now.kind == "int" else
                    ("esp and ss are", "what iret", "pops last."))
            for row, line in enumerate(note):
                svg.text(self.x(letter, sum(RING_3) / 2), END + 228 + 18 * row, line, "", "middle")

    def torn(self, left, y, width):
        """The lower edge of something that goes on."""
        step = width / 8
        points = [(left, y)] + [(left + step * i, y + (14 if i % 2 else 7)) for i in range(9)] + [(left + width, y)]
        self.svg.line(points, "rule")

    def frame(self, letter):
        svg, now = self.svg, self.now
        active = letter == now.letter
        left = self.box(letter, FRAME, FRAME_WIDTH)
        values = now.saved["frames"][letter]
        start = frame_range(self.recorded, letter).start
        svg.text(left + FRAME_WIDTH / 2, END - 26, f"{letter}'s frame", "head", "middle")
        split = max(now.esp[1:3])  # between the CPU's words and the gate's
        for place, (name, value) in enumerate(zip(FRAME_WORDS, values)):
            address = start + 4 * place
            top = self.y(letter, address) - ROW
            mover = "none" if not active else "gate" if address < split else "cpu"
            svg.words(left, top, FRAME_WIDTH, ROW, mover,
                      data_address=f"{letter}.{address:04x}", data_moved_by=mover)
            look = {"none": " faint", "gate": "", "cpu": " bold on-hatch"}[mover]
            svg.text(left + 10, top + 15, "(esp)" if name == "pusha_esp" else name, "mono" + look)
            svg.text(left + FRAME_WIDTH - 10, top + 15, f"{value:08x}", "mono" + look, "end",
                     data_word=f"{letter}.{name}")
            svg.text(self.x(letter, FRAME + FRAME_WIDTH + 14), top + 15, f"{address:04x}", "mono small faint",
                     self.anchor(letter, "start"))
        if active:
            middle = self.y(letter, split)
            svg.rect(left, middle, FRAME_WIDTH, START - middle, "outline-gate")
            svg.rect(left, END, FRAME_WIDTH, middle - END, "outline-cpu")
        else:
            svg.rect(left, END, FRAME_WIDTH, START - END, "outline")
            x = self.x(letter, FRAME - 12)
            for row, line in enumerate((f"{letter} waits:", "all of it", "is in here")):
                svg.text(x, (END + START) / 2 - 18 + 19 * row, line, "faint", self.anchor(letter, "end"))
        inner = self.x(letter, FRAME + FRAME_WIDTH)
        svg.line([(inner, END), (self.x(letter, FRAME + FRAME_WIDTH + 50), END)], "rule")
        svg.text(self.x(letter, FRAME + FRAME_WIDTH + 14), END - 11, f"{start + FRAME_BYTES:04x}",
                 "mono small faint", self.anchor(letter, "start"), data_end=letter)
        svg.text(self.x(letter, FRAME + FRAME_WIDTH), END - 11, "end", "small faint", self.anchor(letter, "end"))
        svg.rect(left, START, FRAME_WIDTH, 22, "headroom")
        svg.text(left + FRAME_WIDTH / 2, START + 16, "headroom", "small faint", "middle")

    def tss(self):
        svg, now = self.svg, self.now
        tss, width = now.before["tss"], 156
        left = CENTRE - width / 2
        svg.text(CENTRE, END - 44, "TSS", "head", "middle")
        for y, name, digits in ((END - 30, "ss0", 4), (END - 10, "esp0", 8)):
            svg.rect(left, y, width, ROW, "words-none")
            look = "mono bold t-esp0" if name == "esp0" else "mono"
            svg.text(left + 12, y + 15, name, look)
            svg.text(left + width - 12, y + 15, f"{tss[name]:0{digits}x}", look, "end", data_tss=name)
        self.torn(left, END + 10, width)
        toward = now.letter
        begin, end = self.x(toward, left), self.x(toward, FRAME + FRAME_WIDTH)
        svg.add("circle", cx=begin, cy=END, r=5, class_="h-esp0")
        svg.line([(begin, END), (end, END)], "esp0", 11, data_arrow="esp0", data_points=f"{toward}.{tss['esp0']:04x}")
        moved = now.kind == "iret" and self.number > 1
        if moved:
            was = "AB"[toward == "A"]
            svg.line([(self.x(was, left), END), (self.x(was, FRAME + FRAME_WIDTH), END)], "was", 11)
        note = (("esp0: where the", "next int is", "going to push") if self.number == 1 else
                ("switch.c has", "moved esp0 from", f"{was}'s frame to {toward}'s") if moved else
                ("int has read", "ss0:esp0 and", "pushed there"))
        for row, line in enumerate(note):
            svg.text(CENTRE, END + 48 + 19 * row, line, "", "middle")

    def ring0_stack(self):
        svg, now = self.svg, self.now
        width, rows = RING0_STACK_WIDTH, 3
        left = CENTRE - width / 2
        svg.text(CENTRE, RING0_STACK - 42, "ring-0 stack", "head", "middle")
        for row in range(rows):
            svg.rect(left, RING0_STACK + ROW * row, width, ROW, "words-none")
        for row, line in enumerate(("empty:", "C has run here" if now.kind == "iret" else "C runs here next")):
            svg.text(CENTRE, RING0_STACK + ROW * row + 15, line, "small faint", "middle")
        self.torn(left, RING0_STACK + rows * ROW, width)

    def stop(self, number, x, y, anchor="start"):
        """The number of a stop, and what esp is there."""
        svg = self.svg
        left = x - {"start": 0, "middle": STOP_WIDTH / 2, "end": STOP_WIDTH}[anchor]
        svg.number(left + 10, y - 5, number)
        svg.text(left + 26, y, f"esp {self.now.esp[number - 1]:04x}", "mono", data_esp=number)

    def esp(self):
        """esp's way from stop 1 to stop 4: int's or iret's part of it bold, the gate's thin."""
        svg, now, letter = self.svg, self.now, self.now.letter
        into = now.kind == "int"
        split = self.y(letter, max(now.esp[1:3]))
        stack, track, frame, inner, elbow, ring0_stack = (self.x(letter, x) for x in (
            STACK + STACK_WIDTH, TRACK, FRAME, FRAME + FRAME_WIDTH, RING0_ELBOW, CENTRE - RING0_STACK_WIDTH / 2))

        # int changes to the frame's end and pushes; iret pops and changes to the proc's stack.
        if into:
            svg.line([(stack, END), (frame, END)], "cpu", 15, data_arrow="crossing")
            svg.line([(track, END), (track, split)], "cpu", 15)
            svg.line([(track, split), (track, START)], "gate", 11)
        else:
            svg.line([(track, START), (track, split)], "gate", 11)
            svg.line([(track, split), (track, END), (stack, END)], "cpu", 15, data_arrow="crossing")
        svg.text(self.x(letter, (RING_0[0] + TRACK) / 2 + 6), END - 13, "int 0x30" if into else "iret",
                 "mono big t-cpu", "middle")
        offsets = (now.esp[1], now.esp[2])
        for number, offset in zip((2, 3), offsets):
            y = self.y(letter, offset)
            svg.line([(track, y), (frame, y)], "gate", 10, data_arrow=f"esp{number}",
                     data_points=f"{letter}.{offset:04x}")

        # The gate changes between the frame's start and the ring-0 stack.
        way = [(inner, START), (elbow, START), (elbow, RING0_STACK), (ring0_stack, RING0_STACK)]
        svg.line(way if into else way[::-1], "gate", 11, data_arrow="ring0")
        svg.text(inner + (8 if letter == "A" else -8), START + 18, now.mover, "mono small t-gate",
                 self.anchor(letter, "start"))

        first, last = (1, 4) if into else (4, 1)
        self.stop(first, self.box(letter, RING_3[0] + 10, STOP_WIDTH + 12), END - 16, "start")
        self.stop(last, CENTRE, RING0_STACK - 16, "middle")
        for number, offset in zip((2, 3), offsets):
            anchor = self.anchor(letter, "end")
            self.stop(number, self.x(letter, TRACK - 12), self.y(letter, offset) + 5, anchor)

    def who(self):
        svg, now, letter = self.svg, self.now, self.now.letter
        into = now.kind == "int"
        split = self.y(letter, max(now.esp[1:3]))
        x, anchor = self.x(letter, TRACK - 12), self.anchor(letter, "end")
        lines = [((END + split) / 2 - 6, ("the CPU,", "by itself:", f"{CPU_WORDS} words"), "t-cpu")]
        pusha = split + 8 * ROW
        lines += [((split + pusha) / 2 - 4, (("pusha" if into else "popa") + ":", "8 words"), "t-gate"),
                  ((pusha + START) / 2 - 8, (("push" if into else "pop") + ":", "4 words"), "t-gate")]
        for middle, texts, look in lines:
            for row, text in enumerate(texts):
                svg.text(x, middle - 9 * (len(texts) - 2) + 18 * row, text, look, anchor)

    def registers(self):
        svg, now = self.svg, self.now
        instruction = "int 0x30" if now.kind == "int" else "iret"
        def address(segment, offset):
            return lambda state: f"{state[segment]['selector']:04x}:{state[offset]:08x}"

        columns = ((178, "CPL", lambda state: str(state["cpl"])),
                   (238, "cs:eip", address("cs", "eip")),
                   (408, "ss:esp", address("ss", "esp")),
                   (578, "eflags", lambda state: f"{state['eflags']:08x}"))
        for y, key, state, look in ((643, "before", now.before, "mono"), (668, "after", now.after, "mono bold")):
            svg.text(18, y, f"{key} {instruction}", look)
            for x, name, value in columns:
                svg.text(x, y, value(state), look, data_reg=f"{key}.{name}")
        for x, name, _ in columns:
            svg.text(x, 618, name, "mono faint")
        svg.line([(18, 626), (650, 626)], "rule")
        note = ("cs:eip is from entry 0x30 of the IDT, ss:esp from the TSS, less the five words; IF and TF are off."
                if now.kind == "int" else
                "All of it is popped from the frame; ss:esp, too, because the popped cs has RPL 3.")
        svg.text(18, 698, note)

    def legend(self):
        svg, into = self.svg, self.now.kind == "int"
        left, width = 800, KEY_WIDTH
        who = "the code at start" if self.number == 1 else "the gate"
        for y, key, text in (
                (606, "cpu", "moved by the CPU itself, inside " + ("int" if into else "iret")),
                (632, "gate", f"moved by {who}, with " + ("pusha and push" if into else "pop and popa")),
                (658, "none", "stays as it is")):
            svg.key(left, y, key, text)
        svg.number(left + 9, 698 - 5, 1, 9)
        svg.text(left + width / 2, 698, "–", "", "middle")
        svg.number(left + width - 9, 698 - 5, 4, 9)
        svg.text(left + width + 12, 698, "where esp points, one after the other")


# ---- all five on one line

class Overview:
    """Time goes from left to right; above is A, below is B, and ring 0 is between them."""

    SIZE = (1280, 644)
    BANDS = {"A": (96, 196), "0": (212, 474), "B": (490, 590)}
    END, WORD = 274, 8              # of the frames: y of the end, height of a word
    FRAME_WIDTH, BOX_WIDTH = 80, 108

    # x of the five crossings, of the frame of each, of C's two turns.
    CROSSINGS = (132, 284, 616, 768, 1116)
    FRAMES = (40, 296, 508, 796, 1024)
    BOXES = (388, 888)

    def __init__(self, recorded, found):
        self.recorded, self.found = recorded, found
        self.svg = Svg(*self.SIZE, "One round trip: A, B, A", CAPTION_OVERVIEW, "15.5px")
        self.start = self.END + self.WORD * len(FRAME_WORDS)

    def draw(self):
        svg = self.svg
        svg.text(18, 44, "One round trip: A → B → A", "title")
        svg.text(18, 76, CAPTION_OVERVIEW, "caption")
        for name, (top, bottom) in self.BANDS.items():
            svg.rect(16, top, 1248, bottom - top, "ring0" if name == "0" else "ring3")
            svg.text(28, top + 24, f"ring {0 if name == '0' else 3}", "head")
            if name != "0":
                svg.text(28, top + 44, f"proc {name}", "head")
        self.procs()
        for number, crossing in enumerate(self.found, 1):
            self.crossing(number, crossing)
        self.switches()
        self.legend()
        return svg

    def procs(self):
        svg, x = self.svg, self.CROSSINGS
        for letter, begin, end, first in (("A", x[0], x[1], 0), ("B", x[2], x[3], 2), ("A", x[4], 1252, 4)):
            middle = self.middle(letter)
            svg.line([(begin, middle), (end, middle)], "run", 12 if first == 4 else None)
            svg.text((begin + end) / 2, middle - 14, f"{letter} {'goes on' if first == 4 else 'runs'}", "bold",
                     "middle")
            out = self.found[first].after
            svg.text((begin + end) / 2, middle + 24, f"eip {out['eip']:04x}", "mono", "middle", data_eip=first + 1)
            if first < 4:
                last = self.found[first + 1].before
                svg.text((begin + end) / 2, middle + 42, f"to {last['eip']:04x}", "mono", "middle",
                         data_eip=first + 2)
        for letter, begin, end in (("A", x[1], x[4]), ("B", 120, x[2]), ("B", x[3], 1252)):
            middle, centre = self.middle(letter), (begin + end) / 2
            svg.line([(begin, middle), (centre - 90, middle)], "wait")
            svg.line([(centre + 90, middle), (end, middle)], "wait")
            svg.text(centre, middle + 5, f"{letter} waits in its frame", "faint", "middle")

    def middle(self, letter):
        return sum(self.BANDS[letter]) / 2

    def crossing(self, number, now):
        svg, into = self.svg, now.kind == "int"
        x, left = self.CROSSINGS[number - 1], self.FRAMES[number - 1]
        split = self.END + self.WORD * CPU_WORDS
        frame = [(self.END, split - self.END, "cpu"), (split, self.start - split, "gate")]
        svg.text(left + self.FRAME_WIDTH / 2, self.END - 9, f"{now.letter}'s frame", "bold", "middle")
        for top, height, mover in frame[::-1]:
            svg.words(left, top, self.FRAME_WIDTH, height, mover)
            svg.rect(left, top, self.FRAME_WIDTH, height, f"outline-{mover}")
        for top, height, mover in frame:
            svg.text(left + self.FRAME_WIDTH / 2, top + height / 2 + 5, f"{height // self.WORD} words",
                     "bold on-hatch" if mover == "cpu" else "", "middle")

        # The track runs on that side of the frame on which the proc is, in time.
        track = left - 12 if into else left + self.FRAME_WIDTH + 12
        way = [(x, self.middle(now.letter)), (x, self.END), (track, self.END), (track, split)]
        if x == track:
            del way[1:3]
        gate = [(track, split), (track, self.start), (self.box_edge(number), self.start)]
        svg.line(gate if into else gate[::-1], "gate", 11)
        svg.line(way if into else way[::-1], "cpu", 15, data_arrow=f"crossing{number}")
        top, bottom = self.BANDS[now.letter]
        svg.number(x, 204 if now.letter == "A" else 482, number, 12)
        svg.text(x + (12 if into else -12), bottom - 12 if now.letter == "A" else top + 24,
                 "int 0x30" if into else "iret", "mono big t-cpu", "start" if into else "end")

    def box_edge(self, number):
        """Where the way to or from C ends: at the left for the way in."""
        if number == 1:
            return 28
        left = self.BOXES[0 if number < 4 else 1]
        return left if number in (2, 4) else left + self.BOX_WIDTH

    def switches(self):
        """C's two turns, and what becomes of esp0."""
        svg, line = self.svg, 446
        ends = [28, *(left + self.BOX_WIDTH / 2 for left in self.BOXES), 1252]
        for place, (begin, end) in enumerate(zip(ends, ends[1:])):
            now, middle = self.found[2 * place], (begin + end) / 2
            svg.line([(begin, line), (end, line)], "esp0", 12 if place == 2 else None)
            svg.text(middle, line - 9, f"esp0 {now.before['tss']['esp0']:08x}", "mono bold t-esp0", "middle",
                     data_esp0=2 * place + 1)
            svg.text(middle, line + 19, f"end of {now.letter}'s frame", "t-esp0", "middle")
        for place, left in enumerate(self.BOXES):
            svg.rect(left, self.start - 66, self.BOX_WIDTH, 80, "box")
            for row, (text, look) in enumerate((("switch.c", "bold"), ("points esp0", ""), ("at the end", ""),
                                                (f"of {'BA'[place]}'s frame", ""))):
                svg.text(left + self.BOX_WIDTH / 2, self.start - 48 + 18 * row, text, look, "middle")
            middle = left + self.BOX_WIDTH / 2
            svg.line([(middle, self.start + 14), (middle, line)], "esp0")
            svg.add("circle", cx=middle, cy=line, r=6, class_="h-esp0")

    def legend(self):
        svg, y = self.svg, 608
        svg.key(18, y, "cpu", "moved by the CPU itself, inside int and iret")
        svg.key(470, y, "gate", "moved by instructions: push, pop, ...")
        svg.line([(868, y + 9), (868 + KEY_WIDTH, y + 9)], "esp0", 11)
        svg.text(868 + KEY_WIDTH + 12, y + 14, "esp0: where the next int pushes")


def own_recording():
    """Of what is needed, and no more: from the last moments before ring 3 to A's second turn."""
    if subprocess.run(["sh", str(ROOT / "scripts" / "need"), "bochs", "nm", "objdump", "addr2line"]).returncode:
        raise SystemExit(1)
    if not (ROOT / "build" / "floppy.img").exists():
        raise SystemExit("pictures: no build/floppy.img: it is built by: make")
    path = ROOT / "build" / "recording-pictures.json"
    made = subprocess.run([sys.executable, str(ROOT / "scripts" / "ringside"), "record", "--from", "ckpt_tss", "--switches", "2",
                           "--output", str(path)], stdout=subprocess.DEVNULL, timeout=120)
    if made.returncode:
        raise SystemExit(1)
    return path


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--recording")
    parser.add_argument("--output", default=ROOT / "docs" / "pictures", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    path = options.recording or own_recording()
    try:
        recorded = recording.load(path)
        found = crossings(recorded)
    except recording.BadRecording as error:
        raise SystemExit(f"pictures: {error}") from None
    except NoRoundTrip as error:
        raise SystemExit(f"pictures: {path}: no round trip A, B, A to draw: {error}; "
                         f"this makes one: scripts/ringside record --switches 2") from None
    options.output.mkdir(parents=True, exist_ok=True)
    Overview(recorded, found).draw().save(options.output / OVERVIEW)
    for number, name in enumerate(FILES, 1):
        Picture(recorded, found, number).draw().save(options.output / name)
    return 0

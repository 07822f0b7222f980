"""The picture of one design: what becomes of A's registers, and where B's come from.

All designs are drawn to the same scale, 390 units wide, so that they can be laid side by side and read on a
telephone: a word of memory has the same height in each.
"""

from ringside.pictures.designs import CODE, CPU, STAYS, Sketch
from ringside.pictures.svg import Svg

WIDTH, HEIGHT = 390, 762
WORD = 5                        # height of four bytes
LABELLED = 4                    # words that have room for a line
SIZE = "14px"
MARGIN, LINE = 14, 19
COLUMN = 124                    # A's; B's mirrors it
PROCS = (96, 166)               # y of the upper panel
LOWER = (180, 640)              # and of the lower one
BOX = (122, 34)                 # y and height of a proc
END = 272                       # y of the highest address of what is kept
CHOOSER = (548, 76)             # y and height of the box below
MOVERS = {CPU: "the CPU", CODE: "code", STAYS: "nothing"}


class DesignPicture:
    def __init__(self, sketch: Sketch):
        self.sketch = sketch
        self.svg = Svg(WIDTH, HEIGHT, f"{sketch.name}: from A to B", self.description(), SIZE)
        self.bottom = END + WORD * sum(part.words for part in sketch.parts)

    def description(self):
        sketch = self.sketch
        parts = ", ".join(f"{part.words} by {MOVERS[part.mover]}" for part in sketch.parts)
        return (f"{' '.join(sketch.caption)} A leaves {sketch.outer} by {sketch.way_in} and waits in its {sketch.kept}: "
                f"words moved, from the highest address down: {parts}. {' '.join(sketch.pointer)}. {' '.join(sketch.chooser)} "
                f"B comes back from its own {sketch.kept} by {sketch.way_out}.")

    def left(self, letter):
        """x of a proc's column."""
        return MARGIN + 14 if letter == "A" else WIDTH - MARGIN - 14 - COLUMN

    def centre(self, letter):
        return self.left(letter) + COLUMN // 2

    def draw(self):
        svg, sketch = self.svg, self.sketch
        svg.text(MARGIN, 38, sketch.name, "title")
        for row, line in enumerate(sketch.caption):
            svg.text(MARGIN, 62 + LINE * row, line)
        svg.rect(MARGIN, PROCS[0], WIDTH - 2 * MARGIN, PROCS[1] - PROCS[0], "ring3")
        svg.rect(MARGIN, LOWER[0], WIDTH - 2 * MARGIN, LOWER[1] - LOWER[0], "ring0")
        svg.text(WIDTH // 2, PROCS[0] + 20, sketch.outer, "head", "middle")
        svg.text(WIDTH // 2, LOWER[0] + 22, sketch.inner, "head", "middle")
        for letter in "AB":
            self.proc(letter)
            self.memory(letter)
        self.ways()
        self.pointer()
        self.chooser()
        self.legend()
        return svg

    def proc(self, letter):
        svg, (top, height) = self.svg, BOX
        svg.rect(self.left(letter), top, COLUMN, height, "box")
        svg.text(self.centre(letter), top + 22, f"{letter} {'ran' if letter == 'A' else 'runs'}", "bold", "middle")

    def memory(self, letter):
        """What a proc lies in while it waits, from the highest address down."""
        svg, left, top = self.svg, self.left(letter), END
        svg.text(self.centre(letter), END - 12, f"{letter}'s {self.sketch.kept}", "bold", "middle")
        for part in self.sketch.parts:
            height = WORD * part.words
            svg.words(left, top, COLUMN, height, part.mover)
            if part.mover != STAYS:
                svg.rect(left, top, COLUMN, height, f"outline-{part.mover}")
            if part.label and part.words >= LABELLED:
                svg.text(self.centre(letter), top + height / 2 + 5, part.label,
                         "bold on-hatch" if part.mover == CPU else "", "middle")
            top += height

    def ways(self):
        """A's way in and B's way out, beside the words that they move; and code's part below."""
        svg, sketch = self.svg, self.sketch
        a, b = self.left("A") + 12, self.left("B") + COLUMN - 12
        box_end = BOX[0] + BOX[1]
        svg.line([(a, box_end), (a, END - 26)], "cpu", 13)
        svg.line([(b, END - 26), (b, box_end)], "cpu", 13)
        svg.text(a + 12, LOWER[0] + 44, sketch.way_in, "mono t-cpu")
        svg.text(b - 12, LOWER[0] + 44, sketch.way_out, "mono t-cpu", "end")
        if any(part.mover == CODE for part in sketch.parts):
            for letter in "AB":
                points = [(self.centre(letter), self.bottom), (self.centre(letter), CHOOSER[0])]
                svg.line(points if letter == "A" else points[::-1], "gate", 11)

    def pointer(self):
        svg = self.svg
        y = END + 9
        for row, line in enumerate(self.sketch.pointer):
            svg.text(WIDTH // 2, y + 26 + LINE * row, line, "small t-esp0", "middle")
        svg.line([(self.left("A") + COLUMN + 4, y), (self.left("B") - 4, y)], "esp0", 11)

    def chooser(self):
        svg, (top, height) = self.svg, CHOOSER
        svg.rect(MARGIN + 8, top, WIDTH - 2 * MARGIN - 16, height, "box")
        for row, line in enumerate(self.sketch.chooser):
            svg.text(WIDTH // 2, top + 22 + LINE * row, line, "small", "middle")

    def legend(self):
        svg, sketch = self.svg, self.sketch
        kept = 4 * sum(part.words for part in sketch.parts)
        steps, accesses = sketch.numbers
        told = f"{steps} instructions, " + ("" if accesses == "–" else f"{accesses} accesses, ") + f"{kept} bytes"
        svg.text(MARGIN, LOWER[1] + 24, told, "", data_numbers=sketch.name)
        for row, (mover, text) in enumerate(((CPU, "moved by the CPU itself"), (CODE, "moved by code: push, mov, pop"),
                                             (STAYS, "stays as it is"))):
            svg.key(MARGIN, LOWER[1] + 38 + 25 * row, mover, text)

"""Pictures for the book: as wide as a telephone, in the language of the page, every number from a recording.

    class Example(Small):
        NAME, HEIGHT = "example", 200
        TITLE = "An example", "一個例子"
        TOLD = "What a reader who sees no picture is told", "..."
        def draw(self): ...

self.say(english, chinese) is the one that the page's language wants.
"""

from ringside.emulators.machines import ROOT
from ringside.pictures.svg import Svg
from ringside.recorder import recording

LANGUAGES = "en", "zh-TW"
WIDTH = 360
PROGRAMS = "P_PROC", "TIMER", "HWTASK", "HWJUMP", "KSTACK", "USERCTX"
ROW = 22


class Facts:
    """What the pictures draw: the moments of a recording of P_PROC, from ckpt_frames to B's first instruction."""

    def __init__(self, recorded):
        self.recorded = recorded
        self.symbols, self.base = recorded["symbols"], recorded["base"]
        steps = [step[1:] for step in recording.walk(recorded)]
        self.steps = steps
        self.start = steps[0][0]
        self.outwards = [step for step in steps if step[0]["cpl"] < step[2]["cpl"]]
        self.into = next(step for step in steps if step[0]["cpl"] > step[2]["cpl"])

    @property
    def costs(self):
        """{program: (instructions, accesses) from A to B}, as the page on costs has them from a run."""
        return {name: (int(self.bill[name][1]), int(self.bill[name][3])) for name in PROGRAMS}

    @property
    def bill(self):
        """{program: the cells of its row} of the page on costs."""
        rows = (line.split("|")[1:] for line in (ROOT / "docs/costs.md").read_text().splitlines() if line.startswith("|"))
        return {cells[0].strip(): [cell.strip() for cell in cells] for cells in rows}

    def frame(self, state, letter):
        """{name: (offset, word)}"""
        frame = self.recorded["frames"][letter]
        return {name: (frame["offset"] + 4 * place, word)
                for place, (name, word) in enumerate(zip(frame["words"], state["frames"][letter]))}

    def end(self, letter):
        frame = self.recorded["frames"][letter]
        return frame["offset"] + 4 * len(frame["words"])


class Small:
    NAME, HEIGHT, TITLE, TOLD = "", 0, ("", ""), ("", "")

    def __init__(self, facts, language):
        self.facts, self.language = facts, language
        self.svg = Svg(WIDTH, self.HEIGHT, self.say(*self.TITLE), self.say(*self.TOLD), "13px")

    def say(self, english, chinese):
        return chinese if self.language == "zh-TW" else english

    def draw(self):
        raise NotImplementedError

    def word(self, x, y, width, name, value="", mover="none", look="", **data):
        """A word of memory: its name at the left, its value at the right."""
        svg = self.svg
        svg.words(x, y, width, ROW, mover, **data)
        look = "mono" + {"none": "", "gate": "", "cpu": " bold on-hatch"}[mover] + look
        if value:
            svg.text(x + 8, y + 16, name, look)
            svg.text(x + width - 8, y + 16, value, look, "end")
        else:
            svg.text(x + width / 2, y + 16, name, look, "middle")

    def lines(self, x, y, texts, look="", anchor="start", step=17):
        for row, text in enumerate(texts):
            self.svg.text(x, y + step * row, text, look, anchor)

    def note(self, y, *texts):
        """What stands below a picture's parts, across it."""
        self.lines(12, y, texts, "faint")

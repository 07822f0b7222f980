"""The picture of a whole round trip: all five crossings on one line of time."""

from ringside.pictures.crossings import CPU_WORDS
from ringside.pictures.svg import KEY_WIDTH, Svg
from ringside.emulators.registers import FRAME_WORDS

TITLE = "One round trip: A → B → A", "一趟來回：A → B → A"
CAPTION = ("Five ring crossings. In each the CPU moves five words by itself, to or from the frame "
           "at whose end esp0 points.",
           "五次穿越。每一次 CPU 都自己搬 5 個 word，搬進或搬出 esp0 指著尾端的那個 frame。")


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

    def __init__(self, recorded, found, language="en"):
        self.recorded, self.found, self.language = recorded, found, language
        self.svg = Svg(*self.SIZE, self.say("One round trip: A, B, A", "一趟來回：A、B、A"), self.say(*CAPTION), "15.5px")
        self.start = self.END + self.WORD * len(FRAME_WORDS)

    def say(self, english, chinese):
        return chinese if self.language == "zh-TW" else english

    def draw(self):
        svg = self.svg
        svg.text(18, 44, self.say(*TITLE), "title")
        svg.text(18, 76, self.say(*CAPTION), "caption")
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
            does = self.say("goes on", "繼續") if first == 4 else self.say("runs", "在跑")
            svg.text((begin + end) / 2, middle - 14, f"{letter} {does}", "bold", "middle")
            out = self.found[first].after
            svg.text((begin + end) / 2, middle + 24, f"eip {out['eip']:04x}", "mono", "middle", data_eip=first + 1)
            if first < 4:
                last = self.found[first + 1].before
                svg.text((begin + end) / 2, middle + 42, self.say("to", "到") + f" {last['eip']:04x}", "mono", "middle",
                         data_eip=first + 2)
        for letter, begin, end in (("A", x[1], x[4]), ("B", 120, x[2]), ("B", x[3], 1252)):
            middle, centre = self.middle(letter), (begin + end) / 2
            svg.line([(begin, middle), (centre - 90, middle)], "wait")
            svg.line([(centre + 90, middle), (end, middle)], "wait")
            svg.text(centre, middle + 5, letter + self.say(" waits in its frame", " 在自己的 frame 裡等"), "faint", "middle")

    def middle(self, letter):
        return sum(self.BANDS[letter]) / 2

    def crossing(self, number, now):
        svg, into = self.svg, now.kind == "int"
        x, left = self.CROSSINGS[number - 1], self.FRAMES[number - 1]
        split = self.END + self.WORD * CPU_WORDS
        frame = [(self.END, split - self.END, "cpu"), (split, self.start - split, "gate")]
        svg.text(left + self.FRAME_WIDTH / 2, self.END - 9, now.letter + self.say("'s frame", " 的 frame"), "bold", "middle")
        for top, height, mover in frame[::-1]:
            svg.words(left, top, self.FRAME_WIDTH, height, mover)
            svg.rect(left, top, self.FRAME_WIDTH, height, f"outline-{mover}")
        for top, height, mover in frame:
            svg.text(left + self.FRAME_WIDTH / 2, top + height / 2 + 5, f"{height // self.WORD} {self.say('words', 'word')}",
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
            svg.text(middle, line + 19, self.say(f"end of {now.letter}'s frame", f"{now.letter} 的 frame 的尾端"),
                     "t-esp0", "middle")
        for place, left in enumerate(self.BOXES):
            svg.rect(left, self.start - 66, self.BOX_WIDTH, 80, "box")
            to = "BA"[place]
            for row, text in enumerate(("switch.c", *self.say(("points esp0", "at the end", f"of {to}'s frame"),
                                                              ("把 esp0 指到", f"{to} 的 frame", "的尾端")))):
                svg.text(left + self.BOX_WIDTH / 2, self.start - 48 + 18 * row, text, "" if row else "bold", "middle")
            middle = left + self.BOX_WIDTH / 2
            svg.line([(middle, self.start + 14), (middle, line)], "esp0")
            svg.add("circle", cx=middle, cy=line, r=6, class_="h-esp0")

    def legend(self):
        svg, y = self.svg, 608
        svg.key(18, y, "cpu", self.say("moved by the CPU itself, inside int and iret", "CPU 自己在 int 和 iret 裡面搬的"))
        svg.key(470, y, "gate", self.say("moved by instructions: push, pop, ...", "指令搬的：push、pop ……"))
        svg.line([(868, y + 9), (868 + KEY_WIDTH, y + 9)], "esp0", 11)
        svg.text(868 + KEY_WIDTH + 12, y + 14, self.say("esp0: where the next int pushes", "esp0：下一個 int 壓在哪裡"))

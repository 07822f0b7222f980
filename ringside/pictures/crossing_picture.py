"""The picture of one crossing: both procs' stacks and frames, the TSS, and esp's way.

In all five pictures the same thing lies in the same place. self.say(english, chinese) is the one that
the page's language wants.
"""

import textwrap

from ringside.pictures.crossings import CPU_WORDS, FRAME_BYTES, frame_range
from ringside.pictures.svg import KEY_WIDTH, Svg
from ringside.emulators.registers import FRAME_WORDS

TITLES = (("Out, for the first time: iret into proc A", "第一次出去：iret 到 proc A"),
          ("In: proc A's int 0x30", "進來：proc A 的 int 0x30"), ("Out: iret into proc B", "出去：iret 到 proc B"),
          ("In: proc B's int 0x30", "進來：proc B 的 int 0x30"), ("Out: iret back into proc A", "出去：iret 回到 proc A"))
CAPTIONS = (
    ("Proc A has never run, but its frame is filled in as if it had once come in by int 0x30. "
     "Twelve words are popped into registers; the last five are iret's, and A runs in ring 3.",
     "proc A 從沒跑過，但它的 frame 已經填好，好像它曾經用 int 0x30 進來過。\n"
     "12 個 word 彈到暫存器裡，最後 5 個是 iret 的，然後 A 就在 ring 3 跑。"),
    ("The CPU finds ss0:esp0 in the TSS, the end of A's frame, and pushes five words there by itself. "
     "The gate pushes the other twelve below them: now all of A lies in its frame.",
     "CPU 在 TSS 裡找到 ss0:esp0，也就是 A 的 frame 的尾端，自己在那裡壓 5 個 word。\n"
     "閘在下面再壓另外 12 個：現在 A 的一切都在它的 frame 裡。"),
    ("switch.c has chosen B and pointed esp0 at the end of B's frame. Out comes what is in it: "
     "twelve words by pop and popa, five by iret. B runs, and A waits in its own frame.",
     "switch.c 選了 B，把 esp0 指到 B 的 frame 的尾端。裡面的東西全部出來：\n"
     "12 個 word 由 pop 和 popa 彈出，5 個由 iret 彈出。B 在跑，A 在自己的 frame 裡等。"),
    ("The same gate, the same five pushes by the CPU, the same twelve by the gate. Only esp0 is "
     "different from A's time, and so all of B lands in B's frame.",
     "同一個閘，CPU 一樣壓 5 個，閘一樣壓 12 個。\n只有 esp0 跟 A 那次不同，所以 B 的一切進了 B 的 frame。"),
    ("switch.c has pointed esp0 back at the end of A's frame. iret takes A's five words, "
     "and A goes on right behind its int 0x30 as if nothing had happened.",
     "switch.c 把 esp0 指回 A 的 frame 的尾端。iret 拿走 A 的 5 個 word，\n"
     "A 就從它的 int 0x30 後面繼續，好像什麼都沒發生過。"),
)

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
STOP_WIDTH = 100        # a letter in a circle, "esp", four digits
STOPS = "abcd"          # esp's; crossings have numbers


class Picture:
    def __init__(self, recorded, found, number, language="en"):
        self.recorded, self.now, self.number = recorded, found[number - 1], number
        self.language = language
        # The stack segments, as the CPU holds them while the procs run.
        self.stacks = {crossing.letter: crossing.outer["ss"] for crossing in found}
        self.title, self.caption = self.say(*TITLES[number - 1]), self.say(*CAPTIONS[number - 1])
        self.svg = Svg(WIDTH, HEIGHT, self.say(f"{number} of 5. ", f"{number}／5　") + self.title, self.description())

    def say(self, english, chinese):
        return chinese if self.language == "zh-TW" else english

    def description(self):
        now = self.now
        way = self.say(" then ", "，再來 ").join(f"{esp:04x}" for esp in now.esp)
        esp0, before, after = f"{now.before['tss']['esp0']:04x}", now.before["cpl"], now.after["cpl"]
        emulator = self.recorded["emulator"].capitalize()
        return self.caption.replace("\n", "") + self.say(
            f" esp is {way}; TSS.esp0 is {esp0}; CPL {before} becomes {after}. Recorded in {emulator}.",
            f"esp 是 {way}；TSS.esp0 是 {esp0}；CPL 從 {before} 變成 {after}。在 {emulator} 裡錄的。")

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
        svg.text(62, 44, self.title, "title")
        for row, line in enumerate(self.say(textwrap.wrap(self.caption, 108), self.caption.split("\n"))):
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
            svg.text(self.x(letter, sum(RING_3) / 2), top + 24, self.say("ring 3: proc ", "ring 3：proc ") + letter,
                     "head", "middle")
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
        svg.text(left + STACK_WIDTH / 2, END + ROW + 15, self.say("empty", "空的"), "small faint", "middle")
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
            note = (self.say(("int pushes", "nothing here."), ("int 什麼都", "沒壓在這裡。")) if self.now.kind == "int" else
                    self.say(("esp and ss are", "what iret", "pops last."), ("esp 和 ss", "是 iret", "最後彈出的。")))
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
        svg.text(left + FRAME_WIDTH / 2, END - 26, self.say(f"{letter}'s frame", f"{letter} 的 frame"), "head", "middle")
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
            waits = self.say((f"{letter} waits:", "all of it", "is in here"), (f"{letter} 在等：", "它的一切", "都在這裡"))
            for row, line in enumerate(waits):
                svg.text(x, (END + START) / 2 - 18 + 19 * row, line, "faint", self.anchor(letter, "end"))
        inner = self.x(letter, FRAME + FRAME_WIDTH)
        svg.line([(inner, END), (self.x(letter, FRAME + FRAME_WIDTH + 50), END)], "rule")
        svg.text(self.x(letter, FRAME + FRAME_WIDTH + 14), END - 11, f"{start + FRAME_BYTES:04x}",
                 "mono small faint", self.anchor(letter, "start"), data_end=letter)
        svg.text(self.x(letter, FRAME + FRAME_WIDTH), END - 11, self.say("end", "尾端"), "small faint", self.anchor(letter, "end"))
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
        note = (self.say(("esp0: where the", "next int is", "going to push"), ("esp0：下一個", "int 要壓在", "哪裡"))
                if self.number == 1 else
                self.say(("switch.c has", "moved esp0 from", f"{was}'s frame to {toward}'s"),
                         ("switch.c 把 esp0", f"從 {was} 的 frame", f"移到 {toward} 的")) if moved else
                self.say(("int has read", "ss0:esp0 and", "pushed there"), ("int 讀了", "ss0:esp0，", "壓在那裡")))
        for row, line in enumerate(note):
            svg.text(CENTRE, END + 48 + 19 * row, line, "", "middle")

    def ring0_stack(self):
        svg, now = self.svg, self.now
        width, rows = RING0_STACK_WIDTH, 3
        left = CENTRE - width / 2
        svg.text(CENTRE, RING0_STACK - 42, self.say("ring-0 stack", "ring 0 的堆疊"), "head", "middle")
        for row in range(rows):
            svg.rect(left, RING0_STACK + ROW * row, width, ROW, "words-none")
        for row, line in enumerate(self.say(("empty:", "C has run here" if now.kind == "iret" else "C runs here next"),
                                            ("空的：", "C 剛在這裡跑過" if now.kind == "iret" else "C 接著在這裡跑"))):
            svg.text(CENTRE, RING0_STACK + ROW * row + 15, line, "small faint", "middle")
        self.torn(left, RING0_STACK + rows * ROW, width)

    def stop(self, number, x, y, anchor="start"):
        """The letter of a stop, and what esp is there."""
        svg = self.svg
        left = x - {"start": 0, "middle": STOP_WIDTH / 2, "end": STOP_WIDTH}[anchor]
        svg.letter(left + 10, y - 5, STOPS[number - 1])
        svg.text(left + 26, y, f"esp {self.now.esp[number - 1]:04x}", "mono", data_esp=number)

    def esp(self):
        """esp's way from the first stop to the last: int's or iret's part of it bold, the gate's thin."""
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
        by_itself = self.say(("the CPU,", "by itself:", f"{CPU_WORDS} words"), ("CPU", "自己：", f"{CPU_WORDS} 個 word"))
        lines = [((END + split) / 2 - 6, by_itself, "t-cpu")]
        pusha, colon = split + 8 * ROW, self.say(":", "：")
        lines += [((split + pusha) / 2 - 4, (("pusha" if into else "popa") + colon, self.say("8 words", "8 個 word")), "t-gate"),
                  ((pusha + START) / 2 - 8, (("push" if into else "pop") + colon, self.say("4 words", "4 個 word")), "t-gate")]
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
            when = {"before": "之前", "after": "之後"}[key]
            svg.text(18, y, self.say(f"{key} {instruction}", f"{instruction} {when}"), look)
            for x, name, value in columns:
                svg.text(x, y, value(state), look, data_reg=f"{key}.{name}")
        for x, name, _ in columns:
            svg.text(x, 618, name, "mono faint")
        svg.line([(18, 626), (650, 626)], "rule")
        note = (self.say("cs:eip is from entry 0x30 of the IDT, ss:esp from the TSS, less the five words; IF and TF are off.",
                         "cs:eip 來自 IDT 的第 0x30 項，ss:esp 來自 TSS，再減掉 5 個 word；IF 和 TF 關掉了。")
                if now.kind == "int" else
                self.say("All of it is popped from the frame; ss:esp, too, because the popped cs has RPL 3.",
                         "全部都是從 frame 彈出來的；ss:esp 也是，因為彈出的 cs 的 RPL 是 3。"))
        svg.text(18, 698, note)

    def legend(self):
        svg, into, say = self.svg, self.now.kind == "int", self.say
        left, width = 800, KEY_WIDTH
        who = say("the code at start", "start 的程式") if self.number == 1 else say("the gate", "閘")
        inside, pushes = ("int", ("pusha", "push")) if into else ("iret", ("pop", "popa"))
        for y, key, text in (
                (606, "cpu", say(f"moved by the CPU itself, inside {inside}", f"CPU 自己在 {inside} 裡面搬的")),
                (632, "gate", say(f"moved by {who}, with {' and '.join(pushes)}", f"{who}用 {' 和 '.join(pushes)} 搬的")),
                (658, "none", say("stays as it is", "沒有動"))):
            svg.key(left, y, key, text)
        svg.letter(left + 9, 698 - 5, STOPS[0], 9)
        svg.text(left + width / 2, 698, "–", "", "middle")
        svg.letter(left + width - 9, 698 - 5, STOPS[-1], 9)
        svg.text(left + width + 12, 698, say("where esp points, one after the other", "esp 依序指到的地方"))

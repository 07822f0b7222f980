"""The book's pictures of memory, tables and stacks (small.py)."""

from ringside.emulators.registers import FRAME_WORDS
from ringside.pictures.crossings import CPU_WORDS
from ringside.pictures.small import ROW, Small

CPU_NAMES = FRAME_WORDS[-CPU_WORDS:][::-1]  # from the end of the frame downwards: ss first


class ThreeOrFive(Small):
    NAME, HEIGHT = "three-or-five", 356
    TITLE = "Three words or five", "3 個 word,還是 5 個"
    TOLD = ("Left: an interrupt that comes while ring 0 runs. The CPU stays on the current stack and pushes eflags, "
            "cs and eip. Right: int from ring 3. The CPU takes ss0:esp0 from the TSS and pushes ss, esp, eflags, cs "
            "and eip there.",
            "左:ring 0 執行時發生的中斷。CPU 留在目前的堆疊上,壓入 eflags、cs、eip。右:從 ring 3 來的 int。"
            "CPU 從 TSS 取出 ss0:esp0,在那裡壓入 ss、esp、eflags、cs、eip。")

    def draw(self):
        svg, say = self.svg, self.say
        left, right, width, top = 14, 150, 118, 100
        after = self.facts.frame(self.facts.into[2], "A")
        svg.text(left, 26, say("from ring 0", "從 ring 0"), "head")
        svg.text(left, 46, say("the same stack", "同一個堆疊"))
        svg.text(right, 26, say("from ring 3", "從 ring 3"), "head")
        svg.text(right, 46, say("another stack: ss0:esp0", "換堆疊:ss0:esp0"))
        svg.text(left, 86, say("esp before", "原本的 esp"), "mono faint")
        svg.line([(left, top), (left + width, top)], "run")
        for row, name in enumerate(CPU_NAMES[2:]):
            self.word(left, top + ROW * row, width, name, mover="cpu")
        svg.text(left, top + 3 * ROW + 20, "← esp", "mono bold")
        esp0 = self.facts.into[0]["tss"]["esp0"]
        svg.text(right, 86, f"esp0 {esp0:04x}", "mono t-esp0")
        svg.line([(right, top), (right + 198, top)], "esp0")
        for row, name in enumerate(CPU_NAMES):
            address, value = after[name]
            self.word(right, top + ROW * row, 150, name, f"{value:08x}", "cpu", data_word=f"A.{name}")
            svg.text(right + 158, top + ROW * row + 16, f"{address:04x}", "mono faint")
        svg.text(right, top + 5 * ROW + 20, f"← esp {self.facts.into[2]['esp']:04x}", "mono bold")
        for row, (name, what) in enumerate((
                ("ss esp", say("where the proc's stack was", "proc 原本的堆疊在哪裡")),
                ("eflags", say("its flags, IF among them", "它的旗標,IF 也在裡面")),
                ("cs eip", say("where it goes on", "它要從哪裡繼續")))):
            svg.text(14, 262 + 22 * row, name, "mono bold")
            svg.text(84, 262 + 22 * row, what)
        self.note(336, say("The CPU pushes all of these by itself.", "全部由 CPU 自己壓入。"))
        return svg


class MemoryMap(Small):
    NAME, HEIGHT = "memory-map", 560
    TITLE = "The 64 KiB of the program", "程式的 64 KiB"
    TOLD = ("From the lowest offset to the highest: the code of ring 0, the code of A and of B, a gap; then GDT, LDTs, "
            "IDT, TSS, the frames of A and B, their data, and ring 0's stack.",
            "從低到高:ring 0 的程式碼、A 與 B 的程式碼、一段空隙;然後是 GDT、LDT、IDT、TSS、A 與 B 的 frame、"
            "它們的資料,最後是 ring 0 的堆疊。")

    def draw(self):
        svg, say, at = self.svg, self.say, self.facts.symbols
        rows = [("start", say("ring 0's first code", "ring 0 的第一段程式"), "ring0"),
                ("proc_a_code", say("A's code", "A 的程式碼"), "a"), ("proc_b_code", say("B's code", "B 的程式碼"), "b"),
                (None, say("the rest of ring 0's code", "ring 0 其餘的程式碼"), "ring0"), (None, say("a gap", "空隙"), "gap"),
                ("gdt", "GDT", "ring0"), ("proc_a_ldt", say("A's LDT", "A 的 LDT"), "ring0"),
                ("proc_b_ldt", say("B's LDT", "B 的 LDT"), "ring0"), ("idt", "IDT", "ring0"), ("tss", "TSS", "ring0"),
                ("double_fault_tss", say("TSS for double faults", "double fault 用的 TSS"), "ring0"),
                ("proc_a", say("A's frame", "A 的 frame"), "cpu"), ("proc_b", say("B's frame", "B 的 frame"), "cpu"),
                ("proc_a_data", say("A's data and stack", "A 的資料與堆疊"), "a"),
                ("proc_b_data", say("B's data and stack", "B 的資料與堆疊"), "b"),
                (None, say("ring 0's variables", "ring 0 的變數"), "ring0"),
                (None, say("ring 0's stack, downwards", "ring 0 的堆疊,往下長"), "ring0")]
        known = [at[name] for name, *_ in rows if name]
        assert known == sorted(known), "the program lies otherwise than drawn"
        top, row = 54, 25
        svg.text(12, 24, say("offset", "offset"), "head")
        svg.text(84, 24, say(f"base {self.facts.base:08x}", f"base {self.facts.base:08x}"), "mono faint")
        for place, (name, what, whose) in enumerate(rows):
            y = top + row * place - 14
            if name:
                svg.text(12, y + 17, f"{at[name]:04x}", "mono", data_symbol=name)
            svg.words(62, y, 194, row, {"cpu": "cpu", "a": "gate", "b": "gate"}.get(whose, "none"))
            svg.text(72, y + 17, what, "bold on-hatch" if whose == "cpu" else "faint" if whose == "gap" else "")
            if whose in "ab":
                svg.text(264, y + 17, say(f"{whose.upper()} may name it", f"{whose.upper()} 叫得到"), "t-gate small")
        y = top + row * len(rows) - 14
        svg.text(12, y + 5, f"{at['ring0_stack_end']:04x}", "mono", data_symbol="ring0_stack_end")
        svg.line([(56, y), (256, y)], "run")
        self.lines(12, y + 32, (say("Ring 0's two segments cover all of it.", "ring 0 的兩個 segment 涵蓋全部。"),
                                say("A's and B's cover what is coloured.", "A 與 B 的只涵蓋塗色的部分。")), "faint")
        return svg


PICTURES = [ThreeOrFive, MemoryMap]

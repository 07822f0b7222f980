"""The book's pictures of memory, tables and stacks (small.py)."""

from ringside.emulators.registers import FRAME_WORDS
from ringside.pictures.crossings import CPU_WORDS
from ringside.pictures.small import ROW, Small
from ringside.pictures.small_designs import Accesses, Doors, KernelStacks, Pages, RunContext, TaskStates
from ringside.pictures.small_designs import ThreeDesigns, Tick, TwoLdts

CPU_NAMES = FRAME_WORDS[-CPU_WORDS:][::-1]  # from the end of the frame downwards: ss first


class ThreeOrFive(Small):
    NAME, HEIGHT = "three-or-five", 356
    TITLE = "Three words or five", "3 個 word，還是 5 個"
    TOLD = ("Left: an interrupt that comes while ring 0 runs. The CPU stays on the current stack and pushes eflags, "
            "cs and eip. Right: int from ring 3. The CPU takes ss0:esp0 from the TSS and pushes ss, esp, eflags, cs "
            "and eip there.",
            "左：ring 0 執行時發生的中斷。CPU 留在目前的堆疊上，壓入 eflags、cs、eip。右：從 ring 3 來的 int。"
            "CPU 從 TSS 取出 ss0:esp0，在那裡壓入 ss、esp、eflags、cs、eip。")

    def draw(self):
        svg, say = self.svg, self.say
        left, right, width, top = 14, 150, 118, 100
        after = self.facts.frame(self.facts.into[2], "A")
        svg.text(left, 26, say("from ring 0", "從 ring 0"), "head")
        svg.text(left, 46, say("the same stack", "同一個堆疊"))
        svg.text(right, 26, say("from ring 3", "從 ring 3"), "head")
        svg.text(right, 46, say("another stack: ss0:esp0", "換堆疊：ss0:esp0"))
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
                ("eflags", say("its flags, IF among them", "它的旗標，IF 也在裡面")),
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
            "從低到高：ring 0 的程式碼、A 與 B 的程式碼、一段空隙;然後是 GDT、LDT、IDT、TSS、A 與 B 的 frame、"
            "它們的資料，最後是 ring 0 的堆疊。")

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
                (None, say("ring 0's stack, downwards", "ring 0 的堆疊，往下長"), "ring0")]
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


class HiddenPart(Small):
    NAME, HEIGHT = "hidden-part", 470
    TITLE = "What a segment register keeps out of sight", "segment 暫存器藏起來的那一份"
    TOLD = ("The selector in ds has an index, TI and RPL. It selects a descriptor in A's LDT. Base, limit, type and DPL "
            "are copied into the hidden part of ds. Base plus an offset is the linear address.",
            "ds 裡的選擇子有 index、TI、RPL，選到 A 的 LDT 裡的一個描述符。base、limit、型別、DPL 被複製到 ds 的隱藏部分。"
            "base 加上 offset 就是線性位址。")

    def draw(self):
        svg, say = self.svg, self.say
        out = self.facts.outwards[0][2]
        segment, name = out["ds"], "A_DATA"
        selector = segment["selector"]
        svg.text(12, 24, "mov %eax, %ds", "mono head")
        svg.text(150, 24, say("loads a selector:", "載入一個選擇子："))
        x = 12
        for width, text, value in ((150, "index", str(selector >> 3)), (70, "TI", str(selector >> 2 & 1)),
                                   (90, "RPL", str(selector & 3))):
            self.word(x, 40, width, text, value, data_part=text)
            x += width
        svg.text(12, 84, f"{selector:04x}  {name}", "mono")
        svg.line([(64, 92), (64, 132)], "gate", 10)
        svg.text(78, 118, say("index 1 of A's LDT, as TI is 1", "TI 是 1，所以是 A 的 LDT 的第 1 列"))
        assert selector >> 3 == 1 and selector >> 2 & 1 == 1
        for row, raw in enumerate(out["ldt"]):
            chosen = row == selector >> 3
            self.word(12, 138 + ROW * row, 240, str(row), f"{raw[:8]} {raw[8:]}", "gate" if chosen else "none",
                      "" if chosen else " faint", data_descriptor=f"{row}")
        svg.text(262, 138 + ROW + 16, say("8 bytes", "8 byte"), "faint")
        bottom = 138 + ROW * len(out["ldt"])
        svg.line([(64, bottom + 4), (64, bottom + 44)], "cpu", 12)
        svg.text(78, bottom + 30, say("read once, when it is loaded", "只在載入時讀一次"), "t-cpu")
        top = bottom + 54
        svg.text(12, top + 12, say("ds: in sight", "ds：看得到的部分"), "faint")
        self.word(12, top + 18, 120, "ds", f"{selector:04x}")
        svg.text(150, top + 12, say("and the hidden part", "和隱藏的部分"), "t-cpu")
        for row, (label, value) in enumerate((("base", f"{segment['base']:08x}"), ("limit", f"{segment['limit']:08x}"),
                                              ("DPL", str(segment["dpl"])), (say("type", "型別"), say("data, writable", "資料，可寫")))):
            self.word(150, top + 18 + ROW * row, 198, label, value, "cpu", data_hidden=label)
        offset = 0x10
        y = top + 18 + ROW * 4 + 26
        svg.text(12, y, say("an access to offset 0010:", "存取 offset 0010："))
        svg.text(12, y + 22, f"{segment['base']:08x} + {offset:04x} = {segment['base'] + offset:08x}", "mono bold")
        svg.text(12, y + 44, f"{offset:04x} ≤ {segment['limit']:04x} ✓", "mono")
        svg.text(134, y + 44, say("else #GP, or #SS on a stack", "否則 #GP，堆疊則是 #SS"), "faint")
        return svg


class Gate(Small):
    NAME, HEIGHT = "gate", 330
    TITLE = "Gate 0x30, taken to pieces", "把閘 0x30 拆開"
    TOLD = ("Eight bytes: the offset in two halves, the selector of the code segment, and between them present, DPL and "
            "the type, an interrupt gate.",
            "8 個 byte：分成兩半的 offset、程式碼 segment 的選擇子，中間是 present、DPL 和型別（interrupt gate）。")

    def draw(self):
        svg, say = self.svg, self.say
        raw = int(self.facts.into[0]["idt"][0x30], 16)
        high, low = raw >> 32, raw & 0xffffffff
        svg.text(12, 26, f"{high:08x} {low:08x}", "mono title", data_gate="0x30")
        svg.text(12, 48, say("gate 0x30, upper and lower half", "閘 0x30，高半與低半"), "faint")
        selector, offset = low >> 16, high & 0xffff0000 | low & 0xffff
        access = high >> 8 & 0xff
        rows = [("offset", f"{offset:08x}", say("where the code goes on", "從哪裡繼續執行")),
                ("selector", f"{selector:04x}", say("segment: RING0_CODE", "segment：RING0_CODE")),
                ("present", str(access >> 7), say("0: exception #NP", "0 的話：例外 #NP")),
                ("DPL", str(access >> 5 & 3), say("who may ask with int", "誰可以用 int 來要求")),
                ("type", f"{access & 0x1f:02x}", say("0e: interrupt gate, IF := 0", "0e：interrupt gate，IF := 0"))]
        for row, (name, value, what) in enumerate(rows):
            y = 66 + 34 * row
            self.word(12, y, 150, name, value, "cpu" if name == "selector" else "gate" if name == "DPL" else "none",
                      data_gate_part=name)
            svg.text(172, y + 16, what)
        y = 262
        self.lines(12, y, (say("DPL of the gate: may you ring?", "閘的 DPL：可以按鈴嗎？"),), "t-gate")
        self.lines(12, y + 20, (say("DPL of the code segment: where you end up", "程式碼 segment 的 DPL：你會到哪裡"),), "t-cpu")
        self.note(y + 46, say("0f in place of 0e is a trap gate: IF stays.", "0f 就是 trap gate：IF 不變。"))
        return svg


class StaleEsp0(Small):
    NAME, HEIGHT = "stale-esp0", 452
    TITLE = "esp0, forgotten", "忘了更新的 esp0"
    TOLD = ("Left, as it should be: esp0 is the end of B's frame, and B's int pushes there. Right, esp0 is still the end of "
            "A's frame: B's words lie over A's, and A is gone.",
            "左邊是應該的樣子：esp0 是 B 的 frame 尾端，B 的 int 壓在那裡。右邊的 esp0 還是 A 的 frame 尾端："
            "B 的 word 蓋在 A 的上面，A 就沒了。")

    def frame(self, x, y, letter, whose, esp0):
        svg, say = self.svg, self.say
        svg.text(x, y - 8, say(f"{letter}'s frame", f"{letter} 的 frame"), "bold")
        end = self.facts.end(letter)
        svg.text(x + 150, y - 8, f"esp0 {end:04x}" if esp0 else f"{end:04x}",
                 "mono bold t-esp0" if esp0 else "mono faint", "end", data_end=letter)
        for row, name in enumerate(CPU_NAMES):
            self.word(x, y + ROW * row, 150, name, whose, "cpu" if whose == "B" else "none")
        svg.words(x, y + ROW * 5, 150, 34, "gate" if whose == "B" else "none")
        svg.text(x + 8, y + ROW * 5 + 21, "eax … gs", "mono")
        svg.text(x + 142, y + ROW * 5 + 21, whose, "mono", "end")

    def draw(self):
        svg, say = self.svg, self.say
        svg.text(12, 24, say("as it should be", "應該的樣子"), "head")
        svg.text(196, 24, say("esp0 is stale", "esp0 沒更新"), "head")
        for x, of_a, of_b, pushed in ((12, "A", "B", "B"), (196, "B", say("start", "開頭"), "A")):
            self.frame(x, 68, "A", of_a, pushed == "A")
            self.frame(x, 258, "B", of_b, pushed == "B")
            y = 258 if pushed == "B" else 68
            svg.line([(x - 8, y), (x + 158, y)], "esp0")
        self.lines(196, 424, (say("A is overwritten,", "A 被蓋掉，"), say("B starts over for ever", "B 永遠從頭開始")), "t-cpu")
        self.lines(12, 424, (say("A waits, B has come in", "A 在等，B 進來了"),), "faint")
        return svg


class ThirdFault(Small):
    NAME, HEIGHT = "third-fault", 400
    TITLE = "A fault in a fault in a fault", "錯誤中的錯誤中的錯誤"
    TOLD = ("int finds a bad ss0: #TS. On the way to its handler the same ss0 is bad again: #DF. Through an interrupt gate a "
            "third failure follows, and the PC resets. Through a task gate the CPU takes ss and esp from another TSS.",
            "int 發現壞掉的 ss0：#TS。走向它的處理常式時，同一個 ss0 又是壞的：#DF。如果走 interrupt gate，就有第三次失敗，"
            "PC 重開機。如果走 task gate，CPU 從另一個 TSS 取得 ss 和 esp。")

    def box(self, x, y, width, head, text, look="paper"):
        self.svg.rect(x, y, width, 46, look if look != "paper" else "box")
        self.svg.text(x + 10, y + 19, head, "mono bold")
        self.svg.text(x + 10, y + 37, text)

    def draw(self):
        svg, say = self.svg, self.say
        gate = int(self.facts.start["idt"][8], 16)
        task = self.facts.symbols["DOUBLE_FAULT"]
        assert gate >> 16 & 0xffff == task and gate >> 40 & 0x1f == 5
        down = say("needs ss0:esp0", "需要 ss0:esp0")
        self.box(12, 14, 336, "1  int 0x30", say("ss0 is not ring 0's: #TS", "ss0 不屬於 ring 0：#TS"))
        svg.line([(60, 62), (60, 92)], "cpu", 12)
        svg.text(76, 82, down, "t-cpu")
        self.box(12, 94, 336, "2  #TS", say("the same ss0 is bad again: #DF", "同一個 ss0 還是壞的：#DF"))
        svg.line([(60, 142), (60, 204)], "cpu", 12)
        svg.line([(204, 142), (204, 204)], "gate", 11)
        svg.text(76, 164, say("interrupt gate:", "interrupt gate："), "t-cpu")
        svg.text(76, 186, down, "t-cpu small")
        svg.text(218, 164, say("task gate:", "task gate："), "t-gate")
        svg.text(218, 186, f"TSS {task:04x}", "mono t-gate", data_gate="DOUBLE_FAULT")
        self.box(12, 206, 158, "3  #DF", say("fails as well", "又失敗"))
        self.box(190, 206, 158, "#DF", say("ss:esp of its own", "有自己的 ss:esp"), "words-gate")
        svg.line([(60, 254), (60, 292)], "cpu", 12)
        svg.line([(204, 254), (204, 292)], "gate", 11)
        svg.text(16, 314, say("triple fault:", "triple fault："), "bold")
        svg.text(16, 334, say("the PC resets,", "PC 重開機，"))
        svg.text(16, 352, say("and says nothing", "什麼都不說"))
        svg.text(194, 314, "panic vector=08", "mono bold")
        svg.text(194, 334, say("a report, with all", "一份報告，連同"))
        svg.text(194, 352, say("registers of the int", "int 當時的所有暫存器"))
        return svg


PICTURES = [ThreeOrFive, MemoryMap, HiddenPart, Gate, StaleEsp0, ThirdFault, TwoLdts, KernelStacks, RunContext, Tick,
            TaskStates, Accesses, Pages, ThreeDesigns, Doors]

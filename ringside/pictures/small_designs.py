"""The book's pictures of designs: tables of each proc's own, stacks, run(&context), ticks, tasks, costs (small.py)."""

from ringside.pictures.small import ROW, Small


class TwoLdts(Small):
    NAME, HEIGHT = "two-ldts", 460
    TITLE = "LDTR and TR select rows of the GDT", "LDTR 和 TR 選的是 GDT 的列"
    TOLD = ("The GDT with all its rows. TR selects the TSS's row. LDTR selects A's LDT while A runs, and B's while B runs; each "
            "of those rows says where a table of three or six rows lies.",
            "GDT 和它的每一列。TR 選到 TSS 那一列。A 在跑的時候 LDTR 選到 A 的 LDT，B 在跑的時候選到 B 的；"
            "那兩列各自說明一張表放在哪裡。")

    def draw(self):
        svg, say, facts = self.svg, self.say, self.facts
        names = {value & ~7: name for name, value in facts.symbols.items()
                 if name in ("RING0_CODE", "RING0_DATA", "TSS", "DOUBLE_FAULT", "RING0_SCREEN", "A_LDT", "B_LDT")}
        svg.text(12, 24, "GDT", "head")
        rows = facts.start["gdt"]
        top = 34
        for row in range(len(rows)):
            name = names.get(8 * row, "")
            mover = "gate" if "LDT" in name else "cpu" if name == "TSS" else "none"
            self.word(12, top + ROW * row, 150, f"{8 * row:04x}", name, mover, data_row=f"{8 * row:04x}")
        now = facts.outwards[0][2]
        for register, label in (("tr", "TR"), ("ldtr", "LDTR")):
            selector = now[register]["selector"]
            y = top + ROW * (selector // 8) + 11
            svg.line([(222, y), (166, y)], "cpu" if register == "tr" else "gate", 11, data_arrow=register)
            svg.text(228, y + 5, f"{label} {selector:04x}", "mono bold", data_register=register)
        later = facts.outwards[1][2]["ldtr"]["selector"]
        y = top + ROW * (later // 8) + 11
        svg.line([(222, y), (166, y)], "was", 11)
        svg.text(228, y + 5, say("LDTR in B's turn", "輪到 B 時的 LDTR"), "faint")
        y = top + ROW * len(rows) + 40
        for x, letter, ldt in ((12, "A", now["ldt"]), (190, "B", facts.outwards[1][2]["ldt"])):
            svg.text(x, y, say(f"{letter}'s LDT", f"{letter} 的 LDT"), "head")
            kinds = ("CODE", "DATA", "SCREEN")
            for row, raw in enumerate(ldt):
                empty = not int(raw, 16)
                self.word(x, y + 10 + ROW * row, 158, f"{8 * row + 7:04x}" if not empty else "–",
                          "" if empty else f"{letter}_{kinds[row % 3]}", "none" if empty else "gate",
                          " faint" if empty else "")
        self.note(y + 10 + ROW * 6 + 26, say("While A runs, 0027 is behind the end.", "A 在跑的時候，0027 在表的結尾之後。"))
        return svg


class KernelStacks(Small):
    NAME, HEIGHT = "kernel-stacks", 470
    TITLE = "Where esp0 points: three kernels", "esp0 指到哪裡：三種核心"
    TOLD = ("Three columns. P_PROC: esp0 is the end of a frame of 17 words, and C runs on one stack for all. KSTACK: esp0 is the "
            "end of the thread's kernel stack; below the same 17 words lie C's words and ten of switch_stacks. Linux: the "
            "same, and the frame is called pt_regs.",
            "三欄。P_PROC：esp0 是 17 個 word 的 frame 尾端，C 跑在大家共用的堆疊。KSTACK：esp0 是執行緒的核心堆疊尾端，"
            "同樣 17 個 word 的下面是 C 的 word 和 switch_stacks 的 10 個。Linux：一樣，frame 叫做 pt_regs。")

    def draw(self):
        svg, say = self.svg, self.say
        width = 106
        by_cpu = ("cpu", 70, ("ss … eip", say("5, the CPU", "5，CPU")))
        by_gate = ("gate", 90, ("eax … gs", say("12, the gate", "12，閘")))
        of_c = say("C's words", "C 的 word")
        columns = (("P_PROC", (by_cpu, by_gate)),
                   ("KSTACK", (by_cpu, by_gate, ("none", 60, ("schedule", of_c)),
                               ("none", 74, ("eax … flags", "switch_stacks")))),
                   ("Linux", (by_cpu, ("gate", 90, ("pt_regs", say("the entry code", "進入點"))), ("none", 60, ("sys_read …", of_c)),
                              ("none", 74, ("__switch_to", "_asm")))))
        for place, (name, parts) in enumerate(columns):
            x, y = 12 + 116 * place, 70
            svg.text(x, 24, name, "head")
            svg.text(x, 58, "esp0", "mono bold t-esp0")
            svg.line([(x - 4, y), (x + width + 4, y)], "esp0")
            for mover, height, texts in parts:
                svg.words(x, y, width, height, mover)
                for row, text in enumerate(texts):
                    svg.text(x + width / 2, y + height / 2 - 3 + 17 * row, text,
                             ("mono small" if row == 0 else "small") + (" bold on-hatch" if mover == "cpu" else ""), "middle")
                y += height
            if place:
                svg.text(x, y + 18, say("← esp, kept", "← 存起來的 esp"), "small bold")
            else:
                svg.text(x, y + 18, say("← esp: full", "← esp：滿了"), "small bold")
                svg.words(x, 290, width, 54, "none")
                self.lines(x + width / 2, 312, (say("one stack,", "共用一個"), say("for C, for all", "ring 0 堆疊")), "small", "middle")
        self.lines(12, 400, (say("Left: the frame is a place of its own; C may not stop.", "左：frame 有自己的位置；C 不能停。"),
                             say("Right: the frame lies on the thread's stack; C may", "右：frame 放在執行緒的堆疊上；C 可以"),
                             say("stop, and its words wait there as well.", "停下來，它的 word 也在那裡等。")), "faint")
        return svg


class ThreeDesigns(Small):
    NAME, HEIGHT = "three-designs", 506
    NAMES = "P_PROC", "KSTACK", "PAGED"
    TITLE = "A frame, a kernel stack, an address space", "frame、核心堆疊、位址空間"
    TOLD = ("Three columns, all to one scale: what is kept of a proc that waits. P_PROC: a frame of 17 words. KSTACK: the same "
            "on a kernel stack, with 4 words of C and 10 of the switch below. PAGED: as KSTACK. P_PROC's switch loads LDTR, "
            "PAGED's CR3.",
            "三欄，同一個比例：等待的 proc 留著什麼。P_PROC：17 個 word 的 frame。KSTACK：放在核心堆疊上，下面還有 C 的 4 個和"
            "切換的 10 個。PAGED：跟 KSTACK 一樣。P_PROC 的切換載入 LDTR，PAGED 的載入 CR3。")

    def draw(self):
        svg, say = self.svg, self.say
        width, word = 106, 8
        frame = (("cpu", 5, say("5, the CPU", "5，CPU")), ("gate", 12, say("12, the gate", "12，閘")))
        more = (("gate", 4, say("4, C", "4，C")), ("gate", 10, say("10, the switch", "10，切換")))
        rows = ((say("kept while it waits, in bytes", "等待時留著幾個 byte"), [self.facts.bill[name][4] for name in self.NAMES]),
                (say("from A to B, besides esp0", "從 A 到 B，除了 esp0 還要換"), ("LDTR", "esp, fs, gs", "CR3, esp")),
                (say("instructions from A to B", "從 A 到 B 的指令數"), [self.facts.bill[name][1] for name in self.NAMES]),
                (say("what keeps B out of A's data", "什麼把 B 擋在 A 的資料之外"),
                 (say("no selector", "沒有選擇子"), say("nothing", "什麼都沒有"), say("not mapped", "沒有對映"))))
        for place, (name, parts) in enumerate(zip(self.NAMES, (frame, frame + more, frame + more))):
            x, y = 12 + 116 * place, 66
            svg.text(x, 24, name, "head")
            svg.text(x, 54, "esp0", "mono bold t-esp0")
            svg.line([(x - 4, y), (x + width + 4, y)], "esp0")
            assert self.facts.bill[name][4] == str(4 * sum(words for _, words, _ in parts))
            for mover, words, text in parts:
                svg.words(x, y, width, word * words, mover)
                look = "small bold on-hatch" if mover == "cpu" else "small"
                svg.text(x + width / 2, y + word * words / 2 + 5, text, look, "middle")
                y += word * words
        for row, (what, values) in enumerate(rows):
            y = 346 + 42 * row
            svg.text(12, y, what, "small faint")
            for place, value in enumerate(values):
                svg.text(12 + 116 * place, y + 18, value, "bold")
        return svg


class RunContext(Small):
    NAME, HEIGHT = "run-context", 420
    TITLE = "run(&context): a function with a hole in the middle", "run(&context)：中間有洞的函式"
    TOLD = ("C calls run. Its first half saves C's registers and leaves to ring 3 by iret. The user traps, the CPU pushes into "
            "the context, the gate restores C's stack, and ret returns behind the call.",
            "C 呼叫 run。前半存好 C 的暫存器，用 iret 出到 ring 3。使用者 trap，CPU 壓進 context，閘還原 C 的堆疊，"
            "ret 返回到呼叫的下一行。")

    def draw(self):
        svg, say = self.svg, self.say
        for x, width, name in ((12, 96, say("C, ring 0", "C，ring 0")), (124, 130, "run.S, ring 0"), (270, 78, "ring 3")):
            svg.rect(x, 36, width, 350, "ring3" if x > 200 else "ring0")
            svg.text(x + width / 2, 26, name, "bold", "middle")
        svg.text(22, 66, "run(&a);", "mono bold")
        svg.line([(90, 62), (128, 62)], "run", 10)
        self.lines(134, 66, ("pusha", "kernel_stack :=", "  esp", "esp0 := &a …", "esp := &a", "pop …, popa"), "mono small")
        svg.text(134, 176, "iret", "mono bold t-cpu")
        svg.line([(176, 172), (276, 172)], "cpu", 13)
        self.lines(282, 196, (say("the user", "使用者"), say("runs …", "在跑 …")))
        svg.text(282, 250, "int 0x30", "mono small bold t-cpu")
        svg.line([(276, 262), (258, 262)], "cpu", 13)
        svg.words(130, 248, 118, 28, "cpu")
        svg.text(189, 267, say("5 words in a", "5 個 word 進 a"), "bold on-hatch small", "middle")
        svg.words(130, 276, 118, 28, "gate")
        svg.text(189, 295, say("the rest in a", "其餘也進 a"), "small", "middle")
        self.lines(134, 326, ("lds …, %esp", "popa"), "mono small")
        svg.text(134, 378, "ret", "mono bold")
        svg.line([(130, 374), (96, 374)], "run", 10)
        self.lines(18, 340, ("switch (a.", " trap_num)"), "mono small")
        svg.text(60, 200, say("waits", "等著"), "faint", "middle")
        self.note(408, say("For C, the call has taken rather long.", "對 C 來說，這個呼叫只是花得比較久。"))
        return svg


class Tick(Small):
    NAME, HEIGHT = "tick", 330
    TITLE = "Turns that are taken away", "被拿走的輪次"
    TOLD = ("A runs for ten milliseconds, a tick leads into ring 0 for a moment, B runs for ten milliseconds, and so on. A tick: "
            "five words by the CPU, twelve by the gate, end of interrupt, next, esp0, iret.",
            "A 跑十毫秒，一個 tick 進到 ring 0 一下子，B 跑十毫秒，如此反覆。一個 tick：CPU 壓 5 個 word，閘壓 12 個，"
            "EOI，下一個，esp0，iret。")

    def draw(self):
        svg, say = self.svg, self.say
        for y, name in ((30, "A"), (90, "B")):
            svg.text(12, y + 22, name, "head")
        svg.text(12, 82, "0", "head")
        for x, y, letter in ((40, 30, "A"), (144, 90, "B"), (248, 30, "A")):
            svg.words(x, y, 88, 32, "gate")
            svg.text(x + 44, y + 21, "10 ms", "", "middle")
        for x in (128, 232, 336):
            svg.words(x, 62, 16, 28, "cpu")
        svg.text(136, 20, "tick", "mono bold t-cpu", "middle")
        svg.text(240, 20, "tick", "mono bold t-cpu", "middle")
        rows = ((say("the CPU: 5 words at esp0", "CPU：在 esp0 壓 5 個 word"), "cpu"),
                (say("the gate: 12 words below them", "閘：再往下壓 12 個 word"), "gate"),
                (say("EOI: the chip may send the next", "EOI：晶片可以送下一個"), "none"),
                (say("switch.c: the next, and esp0", "switch.c：下一個，還有 esp0"), "none"),
                (say("pops, iret: IF is on again", "pop、iret：IF 又打開"), "gate"))
        for row, (text, mover) in enumerate(rows):
            svg.words(40, 156 + 28 * row, 300, 28, mover)
            svg.text(52, 175 + 28 * row, text, "bold on-hatch" if mover == "cpu" else "")
        svg.text(12, 146, say("what a tick does", "一個 tick 做的事"), "faint")
        self.note(320, say("Ring 0's share is drawn far too wide.", "ring 0 的部分畫得太寬了。"))
        return svg


class TaskStates(Small):
    NAME, HEIGHT = "task-states", 396
    TITLE = "Busy, NT and backlink in three kinds of task switch", "三種任務切換中的 busy、NT、backlink"
    TOLD = ("By jmp the old task becomes available and the new one busy. By call or int the old one stays busy, the new "
            "one becomes busy, gets NT and the old TR as backlink. By iret with NT the old one becomes available, and the "
            "new one was busy.",
            "用 jmp：舊任務變成 available，新任務變成 busy。用 call 或 int：舊任務還是 busy，新任務變成 busy，設 NT，"
            "backlink 是舊的 TR。NT 有設的 iret：舊任務變成 available，新任務本來就是 busy。")

    def draw(self):
        svg, say = self.svg, self.say
        switches = (("jmp", say("jumps", "跳過去"), ("busy", "available"), ("available", "busy"),
                     say("NT, backlink: untouched", "NT、backlink：不動")),
                    ("call, int", say("calls", "呼叫"), ("busy", "busy"), ("available", "busy"),
                     say("NT := 1, backlink := old TR", "NT := 1，backlink := 舊的 TR")),
                    ("iret, NT", say("returns", "返回"), ("busy", "available"), ("busy", "busy"),
                     say("old NT := 0; way: backlink", "舊的 NT := 0；去向：backlink")))
        for place, (way, arrow, old, new, more) in enumerate(switches):
            y = 16 + 124 * place
            svg.text(12, y + 12, way, "mono bold t-cpu")
            svg.text(348, y + 12, more, "small", "end")
            for x, title, (was, now) in ((12, say("old task", "舊任務"), old), (206, say("new task", "新任務"), new)):
                changed = was != now
                svg.rect(x, y + 24, 142, 68, "box")
                svg.text(x + 10, y + 44, title, "faint")
                svg.text(x + 10, y + 64, was, "mono")
                svg.text(x + 10, y + 84, f"→ {now}", "mono bold t-cpu" if changed else "mono")
            svg.line([(156, y + 58), (204, y + 58)], "cpu", 13)
            svg.text(180, y + 50, arrow, "small", "middle")
        return svg


class Accesses(Small):
    """Drawn from the table of costs in docs/costs.md, which a run has filled."""

    NAME, HEIGHT = "accesses", 380
    TITLE = "Instructions and memory accesses from A to B", "從 A 到 B 的指令與記憶體存取"
    TOLD = ("For each program two bars: how many instructions, and how many accesses to memory. HWJUMP has the fewest "
            "instructions and more accesses than P_PROC; HWTASK and KSTACK have the most accesses.",
            "每個程式兩條：指令數和記憶體存取次數。HWJUMP 的指令最少，存取卻比 P_PROC 多；HWTASK 和 KSTACK 的存取最多。")

    def draw(self):
        svg, say = self.svg, self.say
        svg.key(12, 14, "gate", say("instructions", "指令"))
        svg.key(180, 14, "cpu", say("accesses", "存取"))
        rows = self.facts.costs
        scale = 220 / max(accesses for _, accesses in rows.values())
        for place, (name, (steps, accesses)) in enumerate(rows.items()):
            y = 50 + 54 * place
            svg.text(12, y + 25, name, "bold")
            for row, (value, mover) in enumerate(((steps, "gate"), (accesses, "cpu"))):
                svg.words(90, y + 19 * row, round(value * scale, 1), 18, mover, data_cost=f"{name}.{mover}")
                svg.text(96 + value * scale, y + 14 + 19 * row, str(value), "mono")
        return svg


class Pages(Small):
    NAME, HEIGHT = "pages", 400
    TITLE = "Two directories, one ring 0", "兩個目錄，一個 ring 0"
    TOLD = ("CR3 points at A's directory or at B's. The entries for ring 0 lead to the same tables; those for ring 3 lead to "
            "pages of each one's own, at the same addresses.",
            "CR3 指到 A 的目錄或 B 的。ring 0 的項目通到同樣的表；ring 3 的項目通到各自的頁，位址卻相同。")

    def draw(self):
        svg, say = self.svg, self.say
        for x, letter in ((12, "A"), (238, "B")):
            svg.text(x, 46, say(f"{letter}'s directory", f"{letter} 的目錄"), "bold")
            svg.words(x, 56, 110, 40, "cpu")
            svg.text(x + 55, 81, "ffff0000 …", "mono bold on-hatch", "middle")
            svg.words(x, 96, 110, 50, "none")
            svg.text(x + 55, 126, say("not present", "不存在"), "faint", "middle")
            svg.words(x, 146, 110, 40, "gate")
            svg.text(x + 55, 171, "08048000 …", "mono", "middle")
            svg.words(x, 186, 110, 40, "none")
            svg.text(x + 55, 211, say("0: not present", "0：不存在"), "faint", "middle")
        svg.text(12, 22, "CR3", "mono bold t-esp0")
        svg.line([(48, 18), (120, 18)], "esp0", 11)
        svg.text(130, 22, say("A's while A runs, then B's", "A 在跑時是 A 的，然後是 B 的"))
        svg.words(132, 262, 96, 44, "cpu")
        svg.text(180, 281, "ring 0", "bold on-hatch", "middle")
        svg.text(180, 298, say("once", "只有一份"), "bold on-hatch small", "middle")
        svg.line([(122, 76), (150, 76), (150, 262)], "cpu", 12)
        svg.line([(238, 76), (210, 76), (210, 262)], "cpu", 12)
        for x, letter in ((12, "A"), (238, "B")):
            svg.line([(x + 55, 226), (x + 55, 262)], "gate", 11)
            svg.words(x, 262, 110, 44, "gate")
            svg.text(x + 55, 289, say(f"{letter}'s pages", f"{letter} 的頁"), "", "middle")
        self.lines(12, 336, (say("No U in ring 0's entries: ring 3 may not go there.", "ring 0 的項目沒有 U：ring 3 不能去。"),
                             say("GDT, IDT, TSS and the stack at esp0 are in it:", "GDT、IDT、TSS 和 esp0 的堆疊都在裡面："),
                             say("the CPU needs them whatever CR3 says.", "不管 CR3 是什麼，CPU 都需要它們。")), "faint")
        return svg


class Doors(Small):
    NAME, HEIGHT = "doors", 420
    TITLE = "Three doors into ring 0", "進 ring 0 的三扇門"
    TOLD = ("int reads a gate, two descriptors and ss0:esp0 and pushes ss, esp, eflags, cs, eip. lcall reads a call gate and the "
            "same, and pushes ss, esp, a parameter, cs, eip. sysenter reads three MSRs and pushes nothing.",
            "int 讀一個閘、兩個描述符和 ss0:esp0，壓入 ss、esp、eflags、cs、eip。lcall 讀 call gate 和同樣的東西，壓入 ss、esp、"
            "一個參數、cs、eip。sysenter 讀三個 MSR，什麼都不壓。")

    def draw(self):
        svg, say = self.svg, self.say
        parameter = say("parameter", "參數")
        segments = say("GDT: cs, ss", "GDT：cs、ss")
        columns = (("int 0x30", (say("IDT: gate", "IDT：閘"), segments, "ss0:esp0"),
                    ("ss", "esp", "eflags", "cs", "eip"), "IF := 0"),
                   ("lcall", (say("GDT: gate", "GDT：閘"), segments, "ss0:esp0"), ("ss", "esp", parameter, "cs", "eip"),
                    say("IF stays!", "IF 不變！")),
                   ("sysenter", ("MSR 174", "MSR 175", "MSR 176"), (), "IF := 0"))
        svg.text(12, 62, say("reads", "讀"), "faint")
        svg.text(12, 176, say("pushes", "壓入"), "faint")
        for place, (name, reads, pushes, flag) in enumerate(columns):
            x, width = 12 + 116 * place, 106
            svg.text(x, 26, name, "mono head")
            for row, what in enumerate(reads):
                self.word(x, 70 + ROW * row, width, what)
            for row, what in enumerate(pushes):
                self.word(x, 184 + ROW * row, width, what, mover="gate" if what == parameter else "cpu")
            if not pushes:
                svg.words(x, 184, width, 5 * ROW, "none")
                told = (say("nothing:", "什麼都不壓："), say("ecx, edx say", "ecx、edx 說"), say("the way back", "回去的路"))
                self.lines(x + width / 2, 220, told, "", "middle")
            svg.text(x + width / 2, 326, flag, "mono bold" + (" t-cpu" if "stays" in flag or "不變" in flag else ""), "middle")
        self.lines(12, 366, (say("On which stack? Always esp0: the first two find it by", "哪一個堆疊？永遠是 esp0：前兩個由 CPU"),
                             say("the CPU, the third by its first instruction.", "去找，第三個靠自己的第一個指令。")), "faint")
        return svg

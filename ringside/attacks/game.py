"""A game in an emulator, attacked by its own proc A, again and again (many games: games.py).

    with Game("bochs", program, codes) as game:
        game.attack(attack, number)    what was not as expected of an attack; empty if all was
        game.random(number)            what it did that no code in proc A may do; how it ended

The floppy is the one that ships, and nothing of the program is changed. The attacks' code
lies in memory that the program does not use; a debugger stops whenever ring 0 asks for a
key. There it ends A if it still lives (what is saved of it gets a cs of zero, or an eip
beyond its code), points the base of A's code segment at the next attack, and answers with
the key that restarts A. When ring 0 asks again, A has had its turn, and many more if it
wanted them (where a clock takes turns away, that is LOOKS later, unless A has ended). What it
must know of the program for that is in ringside/recorder/programs.py.
"""

import dataclasses
import re
import struct
import tempfile

from ringside.emulators import machines
from ringside.attacks.assembler import layout, stride
from ringside.attacks.attack import Bytes, EXCEPTIONS, PF, means
from ringside.emulators.debuggers import BASE, NAMES, knowing
from ringside.recorder.programs import PUSHED
from ringside.emulators import versions

CODES_AT = 0x200000  # linear; the program ends far below
# All memory below 1 MB but what a graphics card has for pictures: slow to read, and not there in text.
WHOLE = (0, 0xa0000), (0xb8000, 0x100000)
PIECE = 0x20000  # bytes: Bochs puts no larger image into memory as one, and four of them
PAGE = 0x1000      # of loadmem: it puts what is behind in the first one's place
LOOKS = 4          # of a clock's ring 0, until A goes on for ever
BASE_AND_ACCESS = 2  # in a descriptor: three bytes and one
ACCESSED = 1       # a bit of the latter
A_CODE_ACCESS = 0xfb  # present, DPL 3, code, readable, accessed
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
ARITHMETIC = 0x8d5  # flags that B's own additions set
KEY_NONE, KEY_F, KEY_R = "KEY_NONE", "KEY_F", "KEY_R"
ROW = 160
BOTH = "both end"

WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17}    # vectors (Intel, volume 3, table 6-1)


def untouched(program):
    """Memory that stays as it is while the game goes on: {name: [start, end)}, linear."""
    offsets = {
        "ring 0's code, and B's": ("256", "data_start"),
        "IDT": ("idt", "idt_gate"),
        "gate 0x30": ("idt_gate + 2", "idtr"),
        "TSS of #DF": ("double_fault_tss", "double_fault_tss + 104"),
        **program.untouched,
    }
    return {
        "what the BIOS and the loader have left": (0x0, BASE + 0x100),
        **{name: tuple(BASE + program.place(text) for text in texts) for name, texts in offsets.items()},
        "unused memory": (BASE + program.symbols["bss_end"], 0xa0000),
        "B's window, top": (0xb8000 + 19 * ROW, 0xb8000 + 20 * ROW),
        "B's window, bottom": (0xb8000 + 21 * ROW, 0xb8000 + 25 * ROW),
        "the rest of video memory": (0xb8000 + 25 * ROW, 0xc0000),
        "BIOS": (0xc0000, 0x100000),
    }


def at_once(program):
    """How many codes fit into one game."""
    return 4 * PIECE // stride(program)


def keys():
    """The numbers of the keys, as C counts them (ring0/machine.h)."""
    text = (machines.ROOT / "ring0/machine.h").read_text()
    names = re.search(r"enum key \{(.*?)\}", text, re.S).group(1)
    return {name: number for number, name in enumerate(re.findall(r"^\s*(KEY_\w+),", names, re.M))}


def ret_of_key_pressed(program):
    """Offset of the ret at which key_pressed comes back with a key in eax."""
    text = machines.BUILD / f"{program.name}.lst"
    body = re.search(r"<key_pressed>:\n(.*?)\n\n", text.read_text(), re.S).group(1)
    return int(re.search(r"^ *([0-9a-f]+):.*\tret", body, re.M).group(1), 16)


class Game:
    def __init__(self, emulator, program, codes, model=None):
        self.emulator, self.program = emulator, program
        self.codes = codes
        self.keys = keys()
        self.ret = ret_of_key_pressed(program)
        self.untouched = untouched(program)
        self.end = BASE + program.symbols["bss_end"]
        self.saved = {letter: BASE + program.place(text) for letter, text in program.saved.items()}
        self.pushed = {letter: BASE + program.place(text) for letter, text in program.pushed.items()}
        self.late = [BASE + program.place(text) for text in program.late]
        self.ended = {letter: BASE + program.place(text) for letter, text in program.ended.items()}
        self.selectors = program.selectors()
        self.words = {**program.symbols, **self.selectors, "code_bytes": layout(program)["CODE_BYTES"]}
        self.a_code = BASE + program.descriptor("A_CODE")
        self.seen = 0
        self.memory, self.whole = None, True    # what of it is read: all below 1 MB, or the program's
        with tempfile.TemporaryDirectory(prefix="rp-") as folder:
            later = emulator == "bochs" and versions.holds("bochs-no-optramimage")
            pieces = list(self._pieces(folder, PAGE if later else PIECE))
            image = machines.FLOPPY
            if program.elf != machines.PROGRAM:
                image = machines.floppy_that_starts(program.name, f"{folder}/floppy.img")
            kind = dict(zip(NAMES, knowing(program.name)))[emulator]
            if emulator == "bochs":
                options = [f"optramimage{n}: file={path}, address={at:#x}" for n, (path, at) in enumerate(pieces, 1)]
                options = [] if later else options
                if model:
                    options += machines.bochs_cpu(model)
                self.machine = kind(image, options=options)
            else:
                loaders = [f"loader,file={path},addr={at:#x},force-raw=on" for path, at in pieces]
                self.machine = kind(image, extra=[word for loader in loaders for word in ("-device", loader)])
            try:
                for path, at in pieces if later else ():
                    self.machine.cmd(f'loadmem "{path}" {at:#x}')
                self._start()
            except BaseException:
                self.close()
                raise

    def _pieces(self, folder, size):
        """The codes in files, and where they belong."""
        data = b"".join(code.data for code in self.codes)
        assert len(self.codes) <= at_once(self.program), "more codes than fit into Bochs"
        for start in range(0, len(data), size):
            path = f"{folder}/{start:x}"
            with open(path, "wb") as file:
                file.write(data[start:start + size])
            yield path, CODES_AT + start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.machine.close()

    # ---- the game

    def _start(self):
        """To full speed, with A ended for the first time, and its code segment as long as it must be."""
        self._look()
        if self.program.front:
            self._write(self.a_code, (self.words["code_bytes"] - 1).to_bytes(2, "little"))
        self._press(KEY_F)
        for _ in range(8):
            self._look()
            self._press(KEY_NONE)
        self._look()
        self._point_at(0)
        self._end_a()
        before = self._judged_memory(whole=True)
        self.before = {name: bytes(before[start:end]) for name, (start, end) in self.untouched.items()}
        self._news()

    def _look(self):
        self.memory = None
        self.machine.run_to("key_pressed")

    # A question costs a debugger more than its answer: while it stands still, the guest's memory is
    # read once, and changes with what is written.

    def _read(self, address, size):
        if self.memory is None or address + size > len(self.memory):
            self.memory = self._memory(self.whole)
        return bytes(self.memory[address:address + size])

    def _number_at(self, place, size=4):
        return int.from_bytes(self._read(place, size), "little")

    def _write(self, address, data):
        self.machine.write(address, data)
        if self.memory is not None:
            self.memory[address:address + len(data)] = data

    def _play(self):
        """A has its turn, and many more if it wants them: at a look they have all been. But a
        clock may take each of them away, and B's before its picture is complete."""
        self._look()
        looks = 1
        while self.program.ticks and not (self._b_rests() and (looks >= LOOKS or not self._lives("A"))):
            assert looks < 2 * LOOKS, "B's picture has no end"
            self._press(KEY_NONE)
            self._look()
            looks += 1

    def _b_rests(self):
        return self._b()["esp"] == self._number(self.program.b_has["esp"])

    def _press(self, key):
        self.machine.set(eax=self.keys[key], eip=self.ret)
        if key != KEY_NONE:  # a look asks until there is none
            self._look()
            if key == KEY_R:
                self._begins()
            self._press(KEY_NONE)

    def _begins(self):
        """A has just been started again."""

    def _point_at(self, number):
        """A's code segment is that code."""
        at = CODES_AT + number * stride(self.program)
        self._write(self.a_code + BASE_AND_ACCESS, (at | A_CODE_ACCESS << 24).to_bytes(4, "little"))

    def _end_a(self):
        """If A lives, ring 0 finds at its next turn that it cannot go on."""
        if self._lives("A"):
            word, value = self.program.spoilt
            self._write_word(word, self._number(value))
            self._press(KEY_NONE)
            self._look()
            assert not self._lives("A"), "proc A cannot be ended"

    def _lives(self, letter):
        return self._number_at(self.ended[letter], 1) != self.program.ended_is

    def _number(self, text):
        """A number, or a name of the program; and another number more."""
        first, _, more = text.partition(" + ")
        return int(more or 0) + (int(first) if first.isdigit() else self.words[first])

    def _write_word(self, word, value):
        """Of what is saved of A."""
        if self.pushed and word in PUSHED:
            place = self.pushed["A"] + 4 * PUSHED.index(word)
        else:
            place = self.saved["A"] + 4 * self.program.words.index(word)
        self._write(place, value.to_bytes(4, "little"))

    def _memory(self, whole):
        look = self.machine.memory if self.emulator == "qemu" else self.machine.read
        memory = bytearray()
        for start, end in WHOLE if whole else [(BASE, self.end)]:
            memory += bytes(start - len(memory)) + look(start, end - start)
        return memory

    def _judged_memory(self, whole):
        """Of the bits that are set sooner or later, each is set."""
        if self.memory is None or whole and not self.whole:
            self.memory, self.whole = self._memory(whole), whole
        if not self.late:
            return self.memory
        memory = bytearray(self.memory)
        for row in self.late:
            memory[row + BASE_AND_ACCESS + 3] |= ACCESSED
        return memory

    def _news(self):
        """The log's lines since the last call, but for the switches' and new starts'."""
        text = self.machine._output()
        end = text.rfind("\n") + 1
        piece, self.seen = text[self.seen:end], end
        if self.emulator == "bochs":    # to add to what it has printed would take ever longer
            self.machine.text, self.seen = text[end:], 0
        return [line for line in machines.log_lines(piece) if not line.startswith(("switch ", "start "))]

    def _run(self, number, made=None, bent=None):
        """A attacks by code number; the log's lines from then on."""
        self._end_a()
        self._news()
        self._point_at(number)
        self.turns = self._turns_of_b()
        old = self._bend(made or {})
        self._press(KEY_R)
        if bent:
            self._look()
            old |= self._bend(bent)
            self._press(KEY_NONE)
        self._play()
        for place, data in old.items():
            self._write(place, data)
        self.strays = self._strays()
        return self._news()

    def _strays(self):
        return {"nmi": self._number_at(BASE + self.program.symbols["nmis"]),
                "spurious": self._number_at(BASE + self.program.symbols["spurious"])}

    def _b(self):
        """What is saved of B, word by word; of a selector's word the lower half counts."""
        found = self._words(self.saved["B"], self.program.words)
        if self.pushed:
            found |= self._words(self.pushed["B"], PUSHED)
        return {name: value & 0xffff if name in SEGMENTS else value for name, value in found.items()}

    def _words(self, place, names):
        raw = self._read(place, 4 * len(names))
        return dict(zip(names, struct.unpack(f"<{len(names)}I", raw)))

    def _turns_of_b(self):
        if self.program.b_count:
            place = BASE + self.program.place(self.program.b_count)
            return self._number_at(place, 8)
        b = self._b()
        return b["edi"] << 32 | b["esi"]

    def _bend(self, bent):
        """Changes words of what is saved of A, or of tables; what the latter were."""
        old = {}
        for word, value in bent.items():
            if not isinstance(word, Bytes):
                self._write_word(word, value)
                continue
            name, offset, size = word
            place = BASE + offset + (self.program.descriptor(name) if name in self.selectors else self.words[name])
            old[place] = self._read(place, size)
            self._write(place, value.to_bytes(size, "little"))
        return old

    # ---- the verdict

    def attack(self, attack, number):
        """What was not as expected of an attack with code number."""
        expected, code = attack.on(self.emulator), self.codes[number]
        self.whole = True
        try:
            before = self._strays()
            lines = self._run(number, attack.made, attack.bent)
        except machines.Missing as missing:
            return [f"the game is over: {self._last_words(missing)}"]
        found = list(self._judge_strays(lines, before, expected.stray))
        lines = [line for line in lines if not line.startswith("stray ")]
        found += self._judge_log(lines, expected, code, attack.bent)
        if not found and expected.vector is not None:
            found = list(self._judge_screen(expected, lines[-2]))
        return found + self._judge_the_rest(whole=True)

    def random(self, number, whole=False):
        """What was not as it must be, whatever A does; and how A ended. whole: look at all the memory.

        Where A may touch what is B's, B may end of it, and the game with both: that is a
        way to end, too."""
        self.whole = whole
        try:
            lines = self._run(number)
        except machines.Missing as missing:
            words = self._last_words(missing)
            if self.program.shared and "no proc is left" in words and "panic" not in words:
                return [], BOTH
            return [f"the game is over: {words}"], "over"
        of_b = [line for line in lines if line.startswith(("halt", "end proc=B", "fault proc=B"))]
        wrong = [line for line in lines if line.startswith("panic")]
        if of_b and self.program.shared and not wrong:
            return self._judge_memory(whole, self.program.shared), BOTH
        end = next((machines.fields(line)["name"] for line in lines if line.startswith("fault proc=A")), "lives")
        return wrong + of_b + self._judge_the_rest(whole, self.program.shared), end

    def _last_words(self, missing):
        panic = [line for line in self._news() if line.startswith(("panic", "halt", "fault", "end"))]
        return " / ".join(panic) or str(missing)

    def _judge_strays(self, lines, before, expected):
        """Interrupts that came, and did no harm, are counted and told; nothing else is."""
        wanted = {name: number + (name == expected) for name, number in before.items()}
        told = ["stray nmi={nmi} spurious={spurious}".format(**wanted)] if expected else []
        found = [line for line in lines if line.startswith("stray ")]
        if self.strays != wanted or found != told:
            yield f"strays: {self.strays}, not {wanted}; {found}"

    def _judge_log(self, lines, expected, code, bent):
        traps = [machines.fields(line) for line in lines if line.startswith("trap ")]
        if any(trap["proc"] != "A" or int(trap["vector"], 16) not in expected.traps for trap in traps):
            yield f"traps: {traps}"
        told = expected.told.split()
        yield from (f"no line {word}: {lines}" for word in told if not any(line.startswith(f"{word} proc=A ") for line in lines))
        lines = [line for line in lines if line.split()[0] not in ("trap", *told)]
        if expected.vector is None:
            if lines:
                yield f"it does not play on: {lines}"
            return
        if len(lines) != 2 or not lines[0].startswith("fault ") or lines[1] != "end proc=A alive=B":
            yield f"no fault and end of A, but: {lines}"
            return
        fault = machines.fields(lines[0])
        name = EXCEPTIONS[expected.vector].name
        if expected.error is None:
            expected = dataclasses.replace(expected, error=int(fault["error"], 16))
        for key, value in (("proc", "A"), ("vector", f"{expected.vector:02x}"), ("name", name),
                           ("error", f"{expected.error:04x}" if expected.vector in WITH_ERROR_CODE else "none"),
                           ("means", means(self.program, expected.vector, expected.error))):
            if fault[key] != value:
                yield f"{key} {fault[key]}, not {value}"
        if ("while" in fault) != expected.restoring:
            yield "while=restore" if "while" in fault else "not while=restore"
        cs, eip = (int(part, 16) for part in fault["cs:eip"].split(":"))
        at = self._eip(code, expected.at)
        if at is not None and eip != at:
            yield f"eip {eip:x}, not {at:x}"
        if expected.vector == PF and fault["cr2"] != f"{expected.cr2:08x}":
            yield f"cr2 {fault['cr2']}, not {expected.cr2:08x}"
        if "cs" in bent or ("A_CODE", 5, 1) in bent:
            return
        if cs != self.selectors["A_CODE"]:
            yield f"cs {cs:04x}"
        shown = self._bytes(code, eip)
        if shown is not None and fault["bytes"] != shown:
            yield f"bytes {fault['bytes']}, not {shown}"

    def _eip(self, code, at):
        return code.eip(at)

    def _bytes(self, code, eip):
        """What a report shows of an attack's code; None if that cannot be said."""
        return code.data[eip:max(eip, min(eip + 8, self.words["code_bytes"]))].hex(" ")

    def _judge_screen(self, expected, line):
        """The report says the same as the log."""
        fault = machines.fields(line)
        raw = self._read(0xb8000, 4000)
        rows = [raw[start:start + ROW:2].decode("cp437") for start in range(0, 4000, ROW)]
        name, title = EXCEPTIONS[expected.vector]
        if f"ended by {name}, {title}" not in rows[3]:
            yield f"A's window: {rows[3].strip()}"
        report = "".join(row[2:38] for row in rows[6:18]).replace(" ", "")
        error = f"error {fault['error']}: {fault['means']}" if fault["means"] else "error none"
        vector = f"0x0e cr2 {fault['cr2']}" if expected.vector == PF else f"vector 0x{fault['vector']}"
        for words in ("proc A has ended", f"{name}: {title}", vector, f"cs:eip {fault['cs:eip']}",
                      f"ss:esp {fault['ss:esp']}", f"bytes {fault['bytes']}", error,
                      "while ring 0 restored its registers" if expected.restoring else ""):
            if words.replace(" ", "") not in report:
                yield f"not in the report: {words}"

    def _judge_the_rest(self, whole, shared=()):
        """B goes on, with nothing of A in its registers; and all that is not A's is untouched."""
        found = []
        b = self._b()
        if not self._lives("B") or not (shared or self._turns_of_b() > self.turns):
            found.append("B does not go on")
        has = {name: self._number(value) for name, value in self.program.b_has.items()}
        found += [f"B's {name} is {b[name]:x}" for name, value in has.items() if b[name] != value]
        if b["eflags"] & ~ARITHMETIC & ~self.machine.stray_flags != self.program.b_flags:
            found.append(f"B's eflags are {b['eflags']:x}")
        return found + self._judge_memory(whole, shared)

    def _judge_memory(self, whole, shared):
        found = []
        memory = self._judged_memory(whole)
        for name, (start, end) in self.untouched.items():
            if name in shared or not (whole or BASE <= start < self.end):
                continue
            before = self.before[name]
            if not memory.startswith(before, start):
                place = next(i for i, byte in enumerate(before, start) if memory[i] != byte)
                found.append(f"{name}: changed at {place:#x}")
        return found

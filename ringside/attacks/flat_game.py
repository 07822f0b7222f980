"""A game whose program has pages: an attack lies in a page of its own, in place of A's code.

As game.Game; but what it reads and writes of memory has physical addresses. In A's table the entry of the
code leads to the next attack, once A has been started again, which makes its tables new. While ring 0 asks for
a key, all of ring 0 and every page of the pool is there to be read: by these addresses Bochs reads them,
which knows no better way. What no page leads to, is looked at in QEMU alone.
"""

import struct

from ringside.attacks import flat
from ringside.attacks.game import BASE, CODES_AT, Game, ROW

PAGE = flat.PAGE
ENTRY, SPANNED = 4, PAGE // 4       # bytes; pages of a table
USED = 0x60                         # of an entry: accessed, dirty. The CPU sets them whenever it likes
RIGHTS = 5                          # present, ring 3's, read-only
TEXT = 0xb8000


def slot(address):
    """Where in a table the entry of an address lies."""
    return address // PAGE % SPANNED * ENTRY


class FlatGame(Game):

    def __init__(self, emulator, program, codes, model=None):
        self.pages, self.number = program.pages, 0
        self.pool = 0   # not known before there is one
        super().__init__(emulator, program, codes, model)

    def _start(self):
        self._look()
        pages = self.pages
        place = BASE + self.program.place(pages.spaces["A"])
        self.space_of_a = int.from_bytes(self.machine.physical_memory(place, 4), "little")
        self.pool = self.space_of_a - pages.first * PAGE
        self.pool_pages = pages.first + 2 * len(pages.names)
        self.tables = [self.pool + number * PAGE for number in (2, *self._numbers("table"))] + [
            self.pool + number * PAGE for name in pages.names if name.startswith("directory") for number in self._numbers(name)]
        self.untouched = self._untouched()
        super()._start()

    def _numbers(self, name):
        """Of A's and of B's page of that name, in the pool."""
        at = self.pages.first + self.pages.names.index(name)
        return at, at + len(self.pages.names)

    def _untouched(self):
        """As far as it can be read."""
        page = {name: [self.pool + number * PAGE for number in self._numbers(name)] for name in self.pages.names}
        code, later = slot(flat.CODE), slot(flat.LATER)
        table_a, table_b = page["table"]
        spans = {
            "ring 0's table": (self.pool + 2 * PAGE, self.pool + 3 * PAGE),
            "the code of both": (self.pool + 3 * PAGE, self.pool + 4 * PAGE),
            "A's table, front": (table_a, table_a + code),
            "A's table, between": (table_a + code + ENTRY, table_a + later),
            "A's table, end": (table_a + later + ENTRY, table_a + PAGE),
            "B's table": (table_b, table_b + PAGE),
            "B's data": (page["data"][1] + 16, page["data"][1] + PAGE),
            "B's stack": (page["stack"][1], page["stack"][1] + PAGE - 64),
        }
        for name in self.pages.names:
            if name.startswith("directory"):
                spans |= {f"{who}'s {name}": (place, place + PAGE) for who, place in zip("AB", page[name])}
        old = self.untouched
        if self.emulator == "qemu":     # all memory below 1 MB can be read
            spans |= {
                "what the BIOS and the loader have left": old["what the BIOS and the loader have left"],
                "memory in front of the pool": (old["unused memory"][0], self.pool),
                "memory behind the pool": (self.pool + self.pool_pages * PAGE, 0xa0000),
                "the rest of video memory": old["the rest of video memory"], "BIOS": old["BIOS"],
            }
        kept = {name: span for name, span in old.items() if name not in (
            "what the BIOS and the loader have left", "unused memory", "the rest of video memory", "BIOS")}
        kept["B's window, bottom"] = kept["B's window, bottom"][0], 24 * ROW + TEXT   # the screen's page ends there
        return kept | spans

    def _begins(self):
        self._point_at(self.number)

    def _point_at(self, number):
        self.number = number
        entry = CODES_AT + number * PAGE | RIGHTS
        self._write(self.pool + self._numbers("table")[0] * PAGE + slot(flat.CODE), struct.pack("<I", entry))

    def _write(self, address, data):
        if self.emulator == "bochs":
            for at, byte in enumerate(data):
                self.machine.cmd(f"setpmem {address + at:#x} 1 {byte:#x}")
        else:
            self.machine._ask("Qqemu.PhyMemMode:1")
            self.machine.write(address, data)
            self.machine._ask("Qqemu.PhyMemMode:0")
        if self.memory is not None:
            self.memory[address:address + len(data)] = data

    def _memory(self, whole):
        if self.emulator == "qemu":
            return super()._memory(True)
        memory = bytearray(0x100000)
        for linear, physical, size in ((flat.RING0, BASE, self.end - BASE), (flat.POOL, self.pool, self.pool_pages * PAGE),
                                       (flat.SCREEN, TEXT, 25 * ROW)):
            if self.pool:
                memory[physical:physical + size] = self.machine.read(linear, size)
        return memory

    def _judged_memory(self, whole):
        """Whatever the CPU has noted in the entries of tables: as if it had noted all of it."""
        memory = bytearray(super()._judged_memory(whole))
        for table in self.tables:
            entries = struct.unpack_from(f"<{SPANNED}I", memory, table)
            struct.pack_into(f"<{SPANNED}I", memory, table, *(entry | USED if entry else 0 for entry in entries))
        return memory

    def _turns_of_b(self):
        if not self.program.b_count:
            return super()._turns_of_b()
        return self._number_at(self.pool + self._numbers("data")[1] * PAGE + int(self.program.b_count), 8)

    def _eip(self, code, at):
        if at is None:
            return None
        return at if isinstance(at, int) else code.eip(at) + flat.CODE

    def _bytes(self, code, eip):
        if not flat.CODE <= eip < flat.CODE + self.words["code_bytes"]:
            return None
        return super()._bytes(code, eip - flat.CODE)

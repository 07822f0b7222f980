"""What a player sees and presses: the commands screen and key."""

import os
import re

import gdb

from command import Command, quietly, say


class Screen(Command):
    """The guest's screen as it is now: 25 rows of 80 characters."""

    name = "screen"

    LINEAR, COLUMNS, ROWS = 0xb8000, 80, 25
    # What the VGA shows for the codes that are control characters elsewhere.
    LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
    CHARACTERS = LOW + bytes(range(32, 127)).decode() + "⌂" + bytes(range(128, 256)).decode("cp437")
    COLOURS = (0, 4, 2, 6, 1, 5, 3, 7)  # the VGA has blue in bit 0, terminals red

    def run(self, _argument):
        cells = bytes(gdb.selected_inferior().read_memory(self.LINEAR, 2 * self.COLUMNS * self.ROWS))
        show = self.coloured if os.isatty(1) and gdb.parameter("style enabled") else self.plain
        for start in range(0, len(cells), 2 * self.COLUMNS):
            say(show(cells[start:start + 2 * self.COLUMNS]))

    def plain(self, row):
        return "".join(self.CHARACTERS[code] for code in row[::2]).rstrip()

    def coloured(self, row):
        shown, last = "", None
        for code, attribute in zip(row[::2], row[1::2]):
            if attribute != last:
                front, back = self.COLOURS[attribute & 7], self.COLOURS[attribute >> 4 & 7]
                shown += f"\33[{(90 if attribute & 8 else 30) + front};{40 + back}m"
                last = attribute
            shown += self.CHARACTERS[code]
        return shown + "\33[m"


class Key(Command):
    """Press keys, one after another, when the machine runs on.

    usage: key NAME ...

    A name is what is printed on the key: a letter, a digit, space, + or -
    """

    name = "key"

    QEMU = {"space": "spc", "+": "shift-equal", "-": "minus"}

    def run(self, argument):
        names = argument.split()
        for name in names or [""]:
            if name not in self.QEMU and not re.fullmatch("[a-z0-9]", name):
                raise gdb.GdbError(f'There is no key "{name}": expected a letter, a digit, space, + or -')
        quietly("monitor press " + " ".join(self.QEMU.get(name, name) for name in names))
        say(f"To be pressed when the machine runs on: {argument}")
        self.dont_repeat()

"""Draws how the rooms of the project hang together, from its includes and imports.

usage: scripts/ringside rooms [--output FILE.svg]

Prints each room, how many files it has, and which rooms it uses; draws the same, without the
arrows that a longer way makes needless, to
docs/pictures/rooms.svg, or FILE. A room is a folder; the root is two: the switch, and what uses it.
"""

import argparse
import collections
import dataclasses
import pathlib
import re
from xml.sax.saxutils import escape

from ringside.emulators.machines import ROOT

GUEST = ("*.[chS]", "ring0/*.[chS]", "show/*.[chS]", "procs/*.[chS]", "ring3/*.[chS]", "programs/*/*.[chS]")
HOST = ("ringside/*.py", "ringside/*/*.py", "gdb/*.py")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
IMPORT = re.compile(r"^(?:from (ringside[.\w]*) import ([\w, ]+)|import (ringside[.\w]*))", re.M)
THE_ROOT, THE_SWITCH = "p_proc, boot", "switch"

BOX, GAP, ROW, MARGIN, LINE = (150, 46), 22, 112, 24, 14
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .files { font-size: 11px; fill: #57606a; }
  rect { fill: #f6f8fa; stroke: #57606a; }
  path { fill: none; stroke: #57606a; stroke-width: 1.2; marker-end: url(#end); }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .files { fill: #9ea7b3; }
    rect { fill: #161b22; stroke: #9ea7b3; } path { stroke: #9ea7b3; }
  }"""


@dataclasses.dataclass
class Room:
    name: str
    files: list = dataclasses.field(default_factory=list)
    uses: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(set))  # room: files of this one


def room_of(path):
    """The name of the room in which a file lies. In: a path from the root on."""
    path = pathlib.PurePath(path)
    if path.parent.parts:
        return str(path.parent)
    return THE_SWITCH if path.stem == "switch" else THE_ROOT


def included(path, text):
    """The files that a source of the guest includes, as paths from the root on."""
    for name in INCLUDE.findall(text):
        beside = path.parent / name
        yield str((beside if beside.exists() else ROOT / name).relative_to(ROOT))


def imported(_, text):
    """The files that a module of the package imports, as paths from the root on."""
    for package, names, module in IMPORT.findall(text):
        for name in names.split(", ") if names else [""]:
            dotted = f"{package or module}.{name}".strip(".").replace(".", "/")
            path = dotted if (ROOT / f"{dotted}.py").exists() else (package or module).replace(".", "/")
            if (ROOT / f"{path}.py").exists():
                yield f"{path}.py"


def rooms():
    """{name: Room} of what is there today."""
    found = {}
    for patterns, used in ((GUEST, included), (HOST, imported)):
        for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
            name = room_of(path.relative_to(ROOT))
            room = found.setdefault(name, Room(name))
            room.files.append(path.name)
            for target in used(path, path.read_text()):
                if (other := room_of(target)) != name:
                    room.uses[other].add(path.name)
    return found


def levels(found):
    """{name: how far above the lowest room}: each room stands above all that it uses. Raises if there is a circle."""
    height = {}

    def measure(name, below=()):
        if name in below:
            raise SystemExit(f"rooms: a circle: {' uses '.join((*below[below.index(name):], name))}")
        if name not in height:
            uses = [other for other in found[name].uses if other in found]
            height[name] = 1 + max((measure(other, (*below, name)) for other in uses), default=-1)
        return height[name]
    for name in found:
        measure(name)
    return height


def needed(found, name):
    """The rooms that a room uses, but for those that a longer way leads to as well."""
    def below(other):
        direct = found[other].uses if other in found else ()
        return {*direct, *(further for room in direct for further in below(room))}
    uses = set(found[name].uses)
    return uses - {further for room in uses for further in below(room)}


def told(found):
    for name in sorted(found, key=lambda name: (-levels(found)[name], name)):
        room = found[name]
        yield f"{name:20} {len(room.files):3} files  uses {', '.join(sorted(room.uses)) or 'nothing'}"


def drawing(found):
    """An SVG: the guest's rooms on the left, those that look at it from outside on the right."""
    height = levels(found)
    halves = ([name for name in found if not name.startswith(("ringside", "gdb"))],
              [name for name in found if name.startswith(("ringside", "gdb"))])
    places, left = {}, MARGIN
    for half in halves:
        tops = sorted({height[name] for name in half}, reverse=True)
        widest = max(len([name for name in half if height[name] == top]) for top in tops)
        for row, top in enumerate(tops):
            names = sorted(name for name in half if height[name] == top)
            indent = (widest - len(names)) * (BOX[0] + GAP) // 2
            for column, name in enumerate(names):
                places[name] = left + indent + column * (BOX[0] + GAP), MARGIN + row * ROW
        left += widest * (BOX[0] + GAP) + GAP
    size = left, max(y for _, y in places.values()) + BOX[1] + MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img" '
           f'aria-labelledby="title desc">',
           '<title id="title">The rooms of Ringpong</title>',
           f'<desc id="desc">{escape("; ".join(" ".join(line.split()) for line in told(found)))}</desc>',
           f"<style>{STYLE}</style>",
           '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
           'orient="auto"><path d="M1 1 7 4 1 7" style="marker-end: none"/></marker></defs>']
    for name, (x, y) in places.items():
        for other in sorted(needed(found, name)):
            to = places[other]
            out.append(f'<path d="M{x + BOX[0] // 2} {y + BOX[1]} L{to[0] + BOX[0] // 2} {to[1]}"/>')
    for name, (x, y) in places.items():
        out += [f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="4"/>',
                f'<text x="{x + BOX[0] // 2}" y="{y + 20}" text-anchor="middle">{escape(name)}</text>',
                f'<text class="files" x="{x + BOX[0] // 2}" y="{y + 20 + LINE}" text-anchor="middle">'
                f'{len(found[name].files)} files</text>']
    return "\n".join([*out, "</svg>", ""])


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--output", default=ROOT / "docs/pictures/rooms.svg", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    found = rooms()
    print("\n".join(told(found)))
    options.output.write_text(drawing(found))
    return 0

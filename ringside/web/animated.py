"""The picture that heads README.md and the page: one int 0x30, access by access, from a recording.

usage: scripts/ringside animated [--output FILE.svg]

An SVG that moves by CSS alone, for six seconds, three times; where motion is not wanted it shows the end.
Into docs/pictures/int-moving.svg unless said otherwise.
"""

import argparse
import pathlib
from typing import Any

from ringside.emulators.machines import ROOT
from ringside.recorder import recording
from ringside.web import runs

OUTPUT = ROOT / "docs/pictures/int-moving.svg"
SIZE = (980, 430)
SECONDS, TIMES = 6.0, 3
LEAD, EACH = 0.4, 0.45      # seconds: before the first access, and for each
LIST, FRAME = 26, 610       # x of the two columns
TOP, ROW = 84, 30           # of the list
FRAME_TOP, WORD = 62, 19.5  # of the frame
PUSHED = ("ss", "esp", "eflags", "cs", "eip")

STYLE = """
svg { --page: #ffffff; --text: #1d1d1b; --dim: #5a5a55; --line: #b9b6ae; --ring0: #f8dfc4; --ring3: #d6e6f7; --new: #ffe48a; --cpu: #a33c00; }
@media (prefers-color-scheme: dark) {
svg { --page: #16181b; --text: #e8e6e1; --dim: #a9a69e; --line: #4a4e54; --ring0: #5a3b1c; --ring3: #24405c; --new: #6b5a12; --cpu: #ffb27a; } }
text { font: 15px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--text); }
.say { font-family: system-ui, "DejaVu Sans", sans-serif; } .head { font-weight: 700; font-size: 19px; } .dim { fill: var(--dim); }
.cpu { fill: var(--cpu); font-weight: 700; }
.t { animation-duration: SECONDSs; animation-iteration-count: TIMES; animation-timing-function: step-end; animation-fill-mode: both; }
"""
QUIET = "@media (prefers-reduced-motion: reduce) { .t { animation: none !important; } .only { opacity: 0; } .last { opacity: 1; } }\n"


def _crossing(of: recording.Recording) -> tuple[Any, Any, Any]:
    """State, step, state of the first int from ring 3."""
    for _, before, step, after in recording.walk(of):
        if before["cpl"] == 3 and after["cpl"] == 0:
            return before, step, after
    raise SystemExit("animated: nothing leads into ring 0 in this recording")


def _words(of: recording.Recording, accesses: list[Any]) -> list[str]:
    """What each access is for: an int of another ring's has these, in Bochs' order."""
    (_, _, _, gate), _, (_, _, _, ss0), (_, _, _, esp0), *_ = accesses
    said = [f"reads gate 30 in the IDT: CPL 3 ≤ DPL {gate >> 45 & 3}",
            f"reads the descriptor of cs {gate >> 16 & 0xffff:04x}: ring 0",
            f"reads ss0 in the TSS: {ss0:04x}", f"reads esp0 in the TSS: {esp0:04x}",
            "reads the descriptor of the new ss"]
    return said + [f"pushes {name}" for name in PUSHED]


def drawing(of: recording.Recording) -> str:
    before, step, after = _crossing(of)
    accesses = step["accesses"]
    frame = of["frames"]["A"]
    end = frame["offset"] + 4 * len(frame["words"])
    rules: list[str] = []

    def percent(index: float) -> float:
        return round(100 * (LEAD + EACH * index) / SECONDS, 2)

    def moves(name: str, *stops: tuple[float, str]) -> None:
        rules.append(f"@keyframes {name} {{ {' '.join(f'{at}% {{ {what} }}' for at, what in stops)} }}\n.{name} {{ animation-name: {name}; }}\n")

    parts = [f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="var(--page)"/>',
             f'<text x="{LIST}" y="34" class="head">int $0x30: one instruction, ten accesses</text>',
             f'<text x="{LIST}" y="60" class="say dim">proc A, ring 3, asks ring 0 for something. The CPU does this by itself:</text>']
    for index, words in enumerate(_words(of, accesses)):
        y = TOP + ROW * index
        moves(f"l{index}", (0, "opacity: 0"), (percent(index), "opacity: 1"), (percent(index + 1), "opacity: 0"), (100, "opacity: 0"))
        moves(f"w{index}", (0, "opacity: .35"), (percent(index), "opacity: 1"), (100, "opacity: 1"))
        parts.append(f'<rect class="t only l{index}" opacity="0" x="{LIST - 6}" y="{y}" width="540" height="{ROW - 4}" rx="4" fill="var(--new)"/>')
        mark = "W" if accesses[index][0] == "write" else "R"
        parts.append(f'<g class="t w{index}"><text x="{LIST}" y="{y + 19}" class="{"cpu" if mark == "W" else "dim"}">{mark}</text>'
                     f'<text x="{LIST + 24}" y="{y + 19}" class="say">{words}</text></g>')
    parts.append(f'<text x="{FRAME}" y="34" class="head">A\'s frame</text><text x="{FRAME + 330}" y="34" class="dim" text-anchor="end">'
                 f'{frame["offset"]:04x}</text>')
    for row, name in enumerate(reversed(frame["words"])):
        y = FRAME_TOP + WORD * row
        by_cpu = row < len(PUSHED)
        parts.append(f'<rect x="{FRAME}" y="{y:.1f}" width="210" height="{WORD}" fill="var(--{"ring0" if by_cpu else "ring3"})" stroke="var(--line)"/>'
                     f'<text x="{FRAME + 8}" y="{y + 15:.1f}" class="dim">{name if name != "pusha_esp" else "(esp)"}</text>')
        index = len(frame["words"]) - 1 - row
        old, new = before["frames"]["A"][index], after["frames"]["A"][index]
        if not by_cpu:
            parts.append(f'<text x="{FRAME + 128}" y="{y + 15:.1f}">{new:08x}</text>')
            continue
        at = percent(5 + row)
        moves(f"o{row}", (0, "opacity: 1"), (at, "opacity: 0"), (100, "opacity: 0"))
        moves(f"n{row}", (0, "opacity: 0"), (at, "opacity: 1"), (100, "opacity: 1"))
        parts.append(f'<text class="t only o{row}" opacity="0" x="{FRAME + 128}" y="{y + 15:.1f}">{old:08x}</text>'
                     f'<text class="t n{row} cpu" x="{FRAME + 128}" y="{y + 15:.1f}">{new:08x}</text>')
    stops = [(0.0, "transform: translateY(0)")]
    stops += [(percent(5 + row), f"transform: translateY({WORD * (row + 1):.1f}px)") for row in range(len(PUSHED))]
    last = f"transform: translateY({WORD * len(PUSHED):.1f}px)"
    moves("esp", *[(at, f"opacity: {int(at > 0)}; {what}") for at, what in stops], (100, f"opacity: 1; {last}"))
    arrow = f"M{FRAME + 214} {FRAME_TOP}l12 -6v4h14v4h-14v4z"
    parts.append(f'<g class="t esp" style="{last}"><path d="{arrow}" fill="var(--cpu)"/>'
                 f'<text x="{FRAME + 246}" y="{FRAME_TOP + 5}" class="cpu">esp</text></g>')
    parts.append(f'<path d="{arrow}" fill="var(--dim)"/><text x="{FRAME + 246}" y="{FRAME_TOP + 5}" class="dim">esp0 = {end:04x}</text>')
    said = f"Inside one int 0x30 the CPU reads five things and pushes {', '.join(PUSHED)} into A's frame, one by one."
    style = STYLE.replace("SECONDS", f"{SECONDS:g}").replace("TIMES", str(TIMES))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" role="img" aria-label="{said}">'
            f"<title>{said}</title><style>{style}{''.join(rules)}{QUIET}</style>{''.join(parts)}</svg>\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--output", default=OUTPUT, type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if not options.output.parent.is_dir():
        parser.error(f"--output {options.output}: there is no folder {options.output.parent}")
    made = next(run for run in runs.RUNS if run.name == "p_proc")
    options.output.write_text(drawing(runs.recorded(made)))
    print(f"{options.output}: {options.output.stat().st_size} bytes")
    return 0

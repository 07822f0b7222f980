"""Draws the ring crossings of one round trip A -> B -> A, as SVG.

usage: scripts/ringside pictures [--recording FILE] [--output DIR] [--book]

  --recording  a recording to draw from (scripts/ringside record makes them); without it, Bochs
               plays the floppy in build/ as far as is needed
  --output     docs/pictures unless given

One picture for each crossing, things being at the same place in all of them, and
round-trip.svg with all five on one line, each also in zh-TW/; and in en/ and zh-TW/ the book's
own, as wide as a telephone (--book: only these). Every number is the recording's: an
element that shows one says which, in a data- attribute (data-word="A.esp").
"""

import argparse
import pathlib
import subprocess
import sys

from ringside.emulators.machines import ROOT
from ringside.pictures.crossing_picture import Picture
from ringside.pictures import designs
from ringside.pictures.crossings import NoRoundTrip, crossings
from ringside.pictures.design_picture import DesignPicture
from ringside.pictures.overview import Overview
from ringside.pictures.small import LANGUAGES, Facts
from ringside.pictures.small_pictures import PICTURES
from ringside.recorder import record, recording

FILES = ("1-iret-to-a.svg", "2-int-from-a.svg", "3-iret-to-b.svg", "4-int-from-b.svg", "5-iret-to-a.svg")
OVERVIEW = "round-trip.svg"


def own_recording():
    """Of what is needed, and no more: from the last moments before ring 3 to A's second turn."""
    if subprocess.run(["sh", str(ROOT / "scripts" / "need"), "bochs", "nm", "objdump", "addr2line"]).returncode:
        raise SystemExit(1)
    if not (ROOT / "build" / "floppy.img").exists():
        raise SystemExit("pictures: no build/floppy.img: it is built by: make")
    path = ROOT / "build" / "recording-pictures.json"
    made = subprocess.run([sys.executable, str(ROOT / "scripts" / "ringside"), "record", "--from", "ckpt_tss",
                           "--switches", "2", "--output", str(path)], stdout=subprocess.DEVNULL, timeout=120)
    if made.returncode:
        raise SystemExit(1)
    return path


def draw_for_the_book(output):
    facts = Facts(record.record("bochs", program="p_proc", start="ckpt_frames", switches=1))
    for language in LANGUAGES:
        (output / language).mkdir(parents=True, exist_ok=True)
        for picture in PICTURES:
            picture(facts, language).draw().save(output / language / f"{picture.NAME}.svg")


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--recording")
    parser.add_argument("--output", default=ROOT / "docs" / "pictures", type=pathlib.Path)
    parser.add_argument("--book", action="store_true")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if options.book:
        draw_for_the_book(options.output)
        return 0
    path = options.recording or own_recording()
    try:
        recorded = recording.load(path)
        found = crossings(recorded)
    except recording.BadRecording as error:
        raise SystemExit(f"pictures: {error}") from None
    except NoRoundTrip as error:
        raise SystemExit(f"pictures: {path}: no round trip A, B, A to draw: {error}; "
                         f"this makes one: scripts/ringside record --switches 2") from None
    for language, folder in ("en", options.output), ("zh-TW", options.output / "zh-TW"):
        folder.mkdir(parents=True, exist_ok=True)
        Overview(recorded, found, language).draw().save(folder / OVERVIEW)
        for number, name in enumerate(FILES, 1):
            Picture(recorded, found, number, language).draw().save(folder / name)
    for sketch in designs.SKETCHES:
        DesignPicture(sketch).draw().save(options.output / designs.file_of(sketch))
    if not options.recording:
        draw_for_the_book(options.output)
    return 0

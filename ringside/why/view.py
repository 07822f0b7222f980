"""The view for the page of --html: the fatal crossing, recorded in Bochs and played access by access.

of(image, options, symbols, ticks)  an <iframe> with <ring-view> in it, of the crossings at these ticks
instead(reason)                     the sentence that stands there when none can be had
"""

from html import escape
import pathlib

from ringside.emulators.image import Image, Unusable
from ringside.emulators.machine import Missing
from ringside.recorder import crossings, listing, recording
from ringside.web import embed
from ringside.why.bochs import MODELS, NEWEST
from ringside.why.settings import Options
from ringside.why.source import Symbols, output

SHOWN = 4                   # crossings at the start, and at the end, that are recorded
MOST_BYTES = 900 << 10      # of the view, so that the page stays below 1 MB
OF_A_LOG = "a log has no accesses to memory; give the image, and they are recorded"
NOTHING_REFUSED = "nothing was refused"
NOT_ASKED = "--no-witness leaves out Bochs, which records the accesses"
NOT_SEEN = "Bochs, which records the accesses, does not refuse it"
FIRST = "0.1"               # what the view shows first: the first access of the refused crossing
TOO_LARGE = "the recording is too large for a page: scripts/ringside record and scripts/ringside view show it"


def of(image: Image, options: Options, symbols: Symbols, ticks: list[int]) -> str:
    """Runs Bochs once more. Raises Unusable. A view that is too large is made without names and sources."""
    recorded = record(image, options, symbols, ticks)
    title = f"{image.path.name}: what Bochs refuses first, and what follows"
    for less in (recorded, {**recorded, "symbols": {}, "steps": [{**step, "source": "?:0"} for step in recorded["steps"]]}):
        made = embed.frame(less, title, FIRST, root=folder(symbols, recorded))
        if len(made.encode()) <= MOST_BYTES:
            return made
    raise Unusable(TOO_LARGE)


def instead(reason: str) -> str:
    """The sentence."""
    return f"<p>No view of the crossing: {escape(reason)}.</p>"


def record(image: Image, options: Options, symbols: Symbols, ticks: list[int]) -> recording.Recording:
    """The first refused crossing and those to the end; of many, the first and the last ones. Raises Unusable."""
    some = ticks if len(ticks) <= 2 * SHOWN else ticks[:SHOWN] + ticks[-SHOWN:]
    names = crossings.Names(symbols.elf, symbols.base)
    try:
        return crossings.record_moments(image, some, names, options.memory, MODELS.get(options.cpu, NEWEST))
    except (listing.NoneFound, Missing) as reason:
        raise Unusable(f"Bochs does not come to it again: {str(reason).partition(chr(10))[0]}") from None


def folder(symbols: Symbols, recorded: recording.Recording) -> pathlib.Path:
    """Where the source of the first crossing lies; what lies elsewhere is not shown."""
    state = recorded["state"]
    at = state["cs"]["base"] + state["eip"] - symbols.base & 0xFFFFFFFF
    said = output("addr2line", "-e", str(symbols.elf), f"{at:#x}") if symbols.elf else ""
    place = pathlib.Path(said.partition(":")[0])
    return place.parent if place.is_file() else pathlib.Path("/nonexistent")

"""A recording as a page of its own: the view, the recording and its sources in one file of HTML.

usage: scripts/ringside view RECORDING [--step N[.M]] [--title TEXT] [--lang en|zh-TW] [--output FILE.html]

RECORDING is a file that scripts/ringside record has made, of the floppy or of any other kernel. The page
lies beside it, with the ending .html, unless said otherwise. It opens from a disk, needs no server, and asks
nothing of any network.

For other pages:

    page(recorded, title, step)     the whole page
    frame(recorded, title, step)    the same as an <iframe>, to stand inside another page of ours
"""

import argparse
from html import escape
import json
import pathlib
import sys

from ringside.emulators.machines import ROOT
from ringside.recorder import recording
from ringside.web import site

# Of the page's modules those that the view needs; they come in the order of site.MODULES.
MODULES = site.MODULES[:site.MODULES.index("library") + 1]
LANGUAGES = ("en", "zh-TW")

START = """
{
const read = async (name) => new TextDecoder().decode(await file(name));
const [text, about] = await Promise.all(["recording.json", "about.json"].map(read));
const told = JSON.parse(about);
try {
  const run = new Run(parse(text), told);
  document.querySelector("ring-view").show(run, told.step ? readPlace(told.step, run) || undefined : undefined);
} catch (error) {
  document.querySelector("p").textContent = `This recording cannot be shown: ${error.message}`;
}
document.documentElement.dataset.ready = "yes";
}
"""

PAGE = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<p>{title}</p>
<ring-view></ring-view>
<noscript><p>Stepping needs JavaScript.</p></noscript>
</main>
{data}<script>{theme}</script>
<script type="module">{script}</script>
</body>
</html>
"""
POLICY = "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data: blob:"
# Without the page's own switch: as the reader's system has it.
THEME = 'document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";'


def sources(recorded: recording.Recording, root: pathlib.Path = ROOT) -> dict[str, str]:
    """The text of each file in which a step stands, as far as it lies below a folder."""
    names = {step["source"].rpartition(":")[0] for step in recorded["steps"]}
    return {name: (root / name).read_text(errors="replace") for name in sorted(names) if name and (root / name).is_file()}


def page(recorded: recording.Recording, title: str, step: str = "", lang: str = "en", root: pathlib.Path = ROOT) -> str:
    """The whole page. step: the one that is shown first, "12" or "12.3" with an access; else the first crossing.
    root: the folder below which the sources lie."""
    script = site.inline(site.bundle(MODULES) + START)
    files = {"recording.json": recorded,
             "about.json": {"name": title, "title": title, "step": step, "sources": sources(recorded, root)}}
    data = "".join(site.inside(name, json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode())
                   for name, content in files.items())
    return PAGE.format(lang=lang, title=escape(title), style=(ROOT / "web/style.css").read_text(), data=data, theme=THEME,
                       script=script, policy=POLICY.format(f"{site.allowed(THEME)} {site.allowed(script)}"))


def frame(recorded: recording.Recording, title: str, step: str = "", lang: str = "en", root: pathlib.Path = ROOT) -> str:
    """The page as an <iframe>, which may do nothing but run its own script."""
    inner = escape(page(recorded, title, step, lang, root))
    return (f'<iframe title="{escape(title)}, step by step" sandbox="allow-scripts" width="100%" height="820" '
            f'style="border: 0" srcdoc="{inner}"></iframe>')


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("recording", nargs="?", type=pathlib.Path)
    parser.add_argument("--step", default="")
    parser.add_argument("--title", default="")
    parser.add_argument("--lang", choices=LANGUAGES, default="en")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.help or not options.recording:
        print(__doc__, file=sys.stdout if options.help else sys.stderr)
        return 0 if options.help else 2
    try:
        recorded = recording.load(options.recording)
    except recording.BadRecording as bad:
        print(f"view: {bad}", file=sys.stderr)
        return 1
    output = options.output or options.recording.with_suffix(".html")
    output.write_text(page(recorded, options.title or options.recording.stem, options.step, options.lang))
    print(f"view: {output}, {output.stat().st_size >> 10} KiB")
    return 0

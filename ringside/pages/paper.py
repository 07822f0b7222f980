"""Makes PDFs for a class, of the same pages, pictures and runs as the book.

usage: scripts/ringside paper slides|handout [--keep-html]

  slides      build/paper/slides-a4.pdf, slides-letter.pdf: docs/slides.md, a slide for each heading
  handout     build/paper/cheat-sheet-*.pdf, docs/cheat-sheet.md on one page; handout-*.pdf, the same with the
              chapters of the lesson and the page of its lab behind it; what they fold away stands on the last pages
  --keep-html leaves the HTML that was printed beside the PDF

Chromium prints them. The same pages and the same Chromium give the same bytes.
"""

import argparse
import html
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from ringside.emulators.machines import BUILD, ROOT
from ringside.pages import book

OUT = BUILD / "paper"
PAPERS = {"a4": ("A4", 210, 297), "letter": ("letter", 215.9, 279.4)}    # CSS' name, millimetres
SLIDES = ROOT / "docs/slides.md"
SHEET = ROOT / "docs/cheat-sheet.md"
# The lesson of docs/teaching.md, and its lab.
CHAPTERS = ("01-on-which-stack", "03-selectors", "04-gates", "05-out-for-the-first-time", "07-the-trick")
LAB = "04-stale-esp0"
CHROMIUM = "chromium"
LIMIT = 120                     # seconds for a print
DATE = re.compile(rb"/(CreationDate|ModDate) \(D:[^)]*\)")
FOLD = re.compile(r"<details>.*?</details>", re.S)
COUNT = re.compile(rb"/Count (\d+)")

SLIDE_STYLE = """
@page { size: @WIDTH@mm @HEIGHT@mm; margin: 0; }
section { width: @WIDTH@mm; height: @HEIGHT@mm; overflow: hidden; padding: 12mm 18mm; break-after: page; }
section { display: flex; flex-direction: column; gap: 5mm; font-size: 20pt; }
section:last-of-type { break-after: auto; }
section > * { margin: 0; flex: 0 1 auto; }
h1 { font-size: 40pt; } h2 { font-size: 28pt; color: #0b5394; }
figure { flex: 1 1 0; min-height: 0; text-align: center; } figure img { height: 100%; max-width: 100%; object-fit: contain; }
pre { font-size: 12.4pt; line-height: 1.22; white-space: pre; align-self: flex-start; } li { margin: 0 0 3mm; }
section > p:last-child { margin-top: auto; }
"""
# A slide that holds too much gets another one behind it, so that their number tells.
TOO_MUCH = """<script>for (const slide of document.querySelectorAll("section"))
if (slide.scrollHeight > slide.clientHeight + 1 || slide.scrollWidth > slide.clientWidth + 1)
slide.after(document.createElement("section"));</script>"""
SHEET_STYLE = """
@page { size: @PAPER@ portrait; margin: 8mm 9mm; }
main.sheet { columns: 2; column-gap: 6mm; font-size: 9pt; line-height: 1.3; }
.sheet h1 { column-span: all; font-size: 15pt; margin: 0 0 1mm; }
.sheet h2 { font-size: 11pt; margin: 3mm 0 1mm; color: #0b5394; }
.sheet p, .sheet table, .sheet pre { margin: 1.2mm 0; } .sheet th, .sheet td { padding: .4mm .8mm; }
.sheet table { font-size: 7.6pt; } .sheet pre { font-size: 5.3pt; padding: 1mm; white-space: pre; }
.sheet pre code { letter-spacing: -.1pt; }
"""
HANDOUT_STYLE = """
@page { size: @PAPER@ portrait; margin: 16mm 18mm; }
article { font-size: 10.5pt; line-height: 1.42; break-before: page; }
article pre { font-size: 7.6pt; } article figure img { max-width: 100%; max-height: 105mm; }
blockquote { border-left: 3pt solid #0b5394; margin-left: 0; padding-left: 4mm; }
summary { font-weight: bold; list-style: none; } details { margin: 0 0 4mm; }
"""
STYLE = """
* { box-sizing: border-box; } html { color: #111; font-family: "DejaVu Sans", sans-serif; } body, main { margin: 0; }
pre, code { font-family: "DejaVu Sans Mono", monospace; font-size: .92em; }
pre { background: #f6f5f1; border: .5pt solid #ccc; padding: 2mm 3mm; white-space: pre-wrap; break-inside: avoid; }
pre code { font-size: inherit; } table { border-collapse: collapse; break-inside: avoid; }
figure { margin: 0; break-inside: avoid; }
th, td { border: .5pt solid #999; padding: .8mm 2mm; text-align: left; vertical-align: top; } th { background: #eeece5; }
h1, h2 { line-height: 1.2; break-after: avoid; } a { color: inherit; text-decoration: none; }
"""


class Unprintable(SystemExit):
    """Ends the command with a sentence that says what to do."""


class Paper(NamedTuple):
    """One thing to print: its HTML, its style, and how many pages it must have; 0: no matter."""
    name: str
    body: str
    style: str
    pages: int
    landscape: bool = False


def text_of(path: pathlib.Path) -> str:
    """A page of Markdown as HTML for paper: pictures by their place, no links."""
    made = book.html_of(book.RING_VIEW.sub("", path.read_text()))
    made = re.sub(r'<a [^>]*href="[^"]*"[^>]*>(.*?)</a>', r"\1", made, flags=re.S)
    made = re.sub(r'<p>(<img [^>]*?)\s*/?></p>', r"<figure>\1></figure>", made)
    return re.sub(r'src="([^"]+)"', lambda src: f'src="{(path.parent / html.unescape(src[1])).resolve().as_uri()}"', made)


def slides() -> list[Paper]:
    parts = re.split(r"(?=<h[12])", text_of(SLIDES))
    found = [f"<section>{part}</section>" for part in parts if part.strip()]
    return [Paper("slides", "\n".join(found) + TOO_MUCH, SLIDE_STYLE, len(found), landscape=True)]


def handout() -> list[Paper]:
    sheet = f'<main class="sheet">{text_of(SHEET)}</main>'
    pages = [*(ROOT / f"docs/book/en/{name}.md" for name in CHAPTERS), ROOT / f"labs/{LAB}/README.md"]
    articles, folds = "", "<h1>Answers and hints</h1>"
    for page in pages:
        text = text_of(page)
        folds += re.sub(r"<(/?)h1", r"<\1h2", re.search(r"<h1.*?</h1>", text, re.S)[0]) + "".join(FOLD.findall(text))
        articles += f"<article>{FOLD.sub('', text)}</article>\n"
    articles += f"<article>{folds.replace('<details>', '<details open>')}</article>"
    return [Paper("cheat-sheet", sheet, SHEET_STYLE, 1),
            Paper("handout", sheet + articles, SHEET_STYLE + HANDOUT_STYLE, 0)]


def page(paper: Paper, size: str) -> str:
    name, short, long = PAPERS[size]
    width, height = (long, short) if paper.landscape else (short, long)
    style = STYLE + paper.style
    for mark, value in (("@PAPER@", name), ("@WIDTH@", width), ("@HEIGHT@", height)):
        style = style.replace(mark, str(value))
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Ringpong: {paper.name}</title>'
            f"<style>{style}</style></head><body>{paper.body}</body></html>\n")


def printed(source: pathlib.Path, target: pathlib.Path) -> int:
    """Chromium prints a file; how many pages it has."""
    with tempfile.TemporaryDirectory() as home:
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
                   "--font-render-hinting=none", f"--user-data-dir={home}", f"--print-to-pdf={target}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env={**os.environ, "HOME": home})
        except subprocess.TimeoutExpired:
            raise Unprintable(f"paper: chromium has not printed {source} within {LIMIT} seconds") from None
    if done.returncode or not target.exists():
        raise Unprintable(f"paper: chromium prints no {target.name}:\n{done.stderr.strip()}")
    # The only two things in it that are not of the pages; as long as they were, for the offsets behind them.
    data = DATE.sub(lambda date: re.sub(rb"\d", b"0", date[0]), target.read_bytes())
    target.write_bytes(data)
    return max(map(int, COUNT.findall(data)), default=0)


def make(papers: list[Paper], keep: bool) -> list[pathlib.Path]:
    """PDFs of all papers, in both sizes."""
    OUT.mkdir(parents=True, exist_ok=True)
    made = []
    for paper in papers:
        for size in PAPERS:
            target = OUT / f"{paper.name}-{size}.pdf"
            source = target.with_suffix(".html")
            source.write_text(page(paper, size))
            target.unlink(missing_ok=True)
            count = printed(source, target)
            if paper.pages and count != paper.pages:
                raise Unprintable(f"paper: {target.name} has {count} pages, and should have {paper.pages}: a page holds too "
                                  f"much; {source} shows which")
            if not keep:
                source.unlink()
            print(f"paper: {target.relative_to(ROOT)}, {count} page{'s' * (count != 1)}")
            made.append(target)
    return made


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("what", nargs="?", choices=("slides", "handout"))
    parser.add_argument("--keep-html", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    options = parser.parse_args(arguments)
    if options.help or not options.what:
        print(__doc__)
        return 0 if options.help else 2
    if not shutil.which(CHROMIUM):
        raise Unprintable("paper: no chromium, which prints the PDF: it is in the package chromium; "
                          "sh scripts/setup --paper installs it")
    make(slides() if options.what == "slides" else handout(), options.keep_html)
    return 0

"""Makes a site of the book: each page as HTML that works without JavaScript.

usage: scripts/ringside book [--beside-the-page]

  --beside-the-page  into build/web/book, which shares style and <ring-view> with build/web; without it
                     into build/book, which stands alone

What the book links to comes along: other pages as HTML, sources as text. In place of a mark
<!-- ring-view: run=p_proc step=way_in.6 --> stands the element, with the step's number in that recording.
"""

import argparse
import functools
import html
import json
import os
import pathlib
import re
import shutil

from ringside.emulators.machines import BUILD, ROOT
from ringside.pages import chapters
from ringside.recorder import recording

MARKS = re.compile(r"<!-- (?:run|holds|mistake|end)\b.*?-->", re.S)
RING_VIEW = re.compile(r"^▶ <!-- ring-view: run=(\S+) step=(\S+) -->\[(.*?)\]\((\S+?)\)<!-- /ring-view -->$", re.M | re.S)
DARK = re.compile(r':root\[data-theme="dark"\] (\{.*?\})', re.S)
SAID = {
    "en": {"lang": "en", "other": "正體中文", "contents": "Contents", "glossary": "Glossary", "search": "Search the book",
           "results": "results", "none": "nothing found", "back": "Back", "next": "Next", "dark": "dark", "skip": "To the text",
           "play": "Step through it here", "page": "The page that plays", "source": "source", "nav": "the book"},
    "zh-TW": {"lang": "zh-Hant-TW", "other": "English", "contents": "目錄", "glossary": "名詞表", "search": "搜尋這本書",
              "results": "筆結果", "none": "找不到", "back": "上一頁", "next": "下一頁", "dark": "深色", "skip": "跳到內文",
              "play": "在這裡一步一步看", "page": "可以玩的網頁", "source": "原始碼", "nav": "這本書"},
}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " \
         "base-uri 'none'; form-action 'none'"


def place(path):
    """Where a file of the project lies in the site."""
    if path.parent.parent == chapters.BOOK:
        return pathlib.Path(path.parent.name, "index.html" if path.name == "README.md" else f"{path.stem}.html")
    inside = path.relative_to(ROOT)
    if path.suffix == ".md":
        return pathlib.Path("more", inside).with_suffix(".html")
    if path.suffix in (".svg", ".png"):
        return pathlib.Path("pictures", inside)
    return pathlib.Path("source", f"{inside}.html")


def address(source, target):
    """From one place in the site to another."""
    return os.path.relpath(target, source.parent)


@functools.cache
def steps(name):
    """{what a mark may name: its step} of a recording that make web has made."""
    path = BUILD / "web-runs" / f"{name}.json"
    if not path.exists():
        return {}
    found = {}
    for number, before, step, after in recording.walk(recording.load(path)):
        if not before["cr0"] & 1:
            continue
        if before["cpl"] != after["cpl"]:
            found.setdefault("way_in" if before["cpl"] > after["cpl"] else "first_iret", number)
        if "way_in" in found and step["text"].startswith("lldt"):
            found.setdefault("lldt", number)
    return found


def step_of(run, step):
    """The number behind way_in.6; None if there is no such recording here."""
    name, _, access = step.partition(".")
    number = int(name) if name.isdigit() else steps(run).get(name)
    return None if number is None else f"{number}.{access}" if access else str(number)


DOOR = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Ringpong: the book</title>
<meta http-equiv="refresh" content="0; url=en/index.html">
<p><a href="en/index.html">English</a> <a href="zh-TW/index.html">正體中文</a></p></html>
"""


def html_of(text):
    """Markdown as HTML, without the marks that a run has filled."""
    import markdown  # Debian: python3-markdown; only this needs it
    text = MARKS.sub("", text)
    text = re.sub(r"<details>", '<details markdown="1">', text)
    text = re.sub(r"^#(?=[A-Z])", r"\\#", text, flags=re.M)  # #GP is no heading, as on GitHub
    return markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "md_in_html", "sane_lists"],
                             extension_configs={"toc": {"slugify": lambda title, _: chapters.anchor(title)}})


class Site:
    def __init__(self, out, beside):
        self.out, self.beside = out, beside
        self.wanted, self.done = [], set()
        self.index = {language: [] for language in chapters.LANGUAGES}

    def want(self, path):
        """It will be in the site; where."""
        if path not in self.done:
            self.done.add(path)
            self.wanted.append(path)
        return place(path)

    def build(self):
        shutil.rmtree(self.out, ignore_errors=True)
        for language in chapters.LANGUAGES:
            for one in chapters.pages(language):
                self.want(one.path)
        while self.wanted:
            path = self.wanted.pop(0)
            target = self.out / place(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".svg", ".png"):
                shutil.copyfile(path, target)
            elif path.suffix == ".md":
                target.write_text(self.page(path))
            else:
                target.write_text(self.source(path))
        for language, found in self.index.items():
            text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
            (self.out / f"search-{language}.js").write_text(f"window.bookIndex = {text};\n")
        style = (ROOT / "web/style.css").read_text()
        dark = DARK.search(style)[1]
        own = (ROOT / "web/book.css").read_text()
        (self.out / "book.css").write_text(f"{own}@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {dark} }}\n")
        if not self.beside:
            (self.out / "style.css").write_text(style)
        (self.out / "book.js").write_text((ROOT / "web/book.js").read_text())
        (self.out / "index.html").write_text(DOOR)
        return len(self.done)

    # ---- one page

    def language(self, path):
        return path.parent.name if path.parent.parent == chapters.BOOK else "en"

    def page(self, path):
        here, language = place(path), self.language(path)
        text = path.read_text()
        body = self.body(path, text)
        title = re.sub(r"[`*]", "", chapters.HEADING.search(text)[2])
        if path.parent.parent == chapters.BOOK:
            for heading, part in self.parts(text):
                self.index[language].append([here.name, title, heading, chapters.anchor(heading), part])
        return self.frame(here, language, title, body, self.around(path))

    def parts(self, text):
        """(heading, the prose below it), for the search."""
        found = re.split(r"^##? (.*)$", chapters.FENCE.sub("", text), flags=re.M)
        for heading, part in zip(found[1::2], found[2::2]):
            yield re.sub(r"[`*]", "", heading), re.sub(r"[`*]", "", " ".join(chapters.paragraphs(part)))

    def body(self, path, text):
        here, language = place(path), self.language(path)
        made = html_of(RING_VIEW.sub(lambda mark: self.ring_view(path, here, language, *mark.groups()), text))
        made = re.sub(r'(href|src)="([^"]+)"', lambda link: f'{link[1]}="{self.link(path, here, link[2])}"', made)
        made = re.sub(r"<table>", '<div class="scroll" tabindex="0" role="group" aria-label="table"><table>', made)
        made = made.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
        made = made.replace("<th></th>", "<td></td>")  # a corner is no heading of anything
        return re.sub(r"<p>(<img [^>]*?)\s*/?></p>",
                      lambda picture: f'<figure{self.wide(picture[1])}>{picture[1]}></figure>', made)

    def wide(self, picture):
        """Pictures of crossings and of the round trip scroll on a telephone; those that are made for it do not."""
        if re.search(r"pictures/docs/pictures/(en|zh-TW)/(?!\d|round)", picture):
            return ""
        return ' class="wide" tabindex="0" role="group" aria-label="picture"'

    def ring_view(self, path, here, language, run, step, words, fallback):
        number = step_of(run, step) if self.beside else None
        words = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(words, quote=False))
        if number is None:
            return f'<p class="play">▶ <a href="{fallback}">{words}</a></p>'
        link = f"{address(here, pathlib.Path('..', 'index.html'))}#run={run}&amp;step={number}"
        return f'<div class="play"><ring-view run="{run}" step="{number}"><p>▶ <a href="{link}">{words}</a></p></ring-view></div>'

    def link(self, path, here, target):
        target = html.unescape(target)
        if re.match(r"https?:|#|data:|\.\./.*index\.html#run=", target):
            return html.escape(target)
        name, _, heading = target.partition("#")
        there = (path.parent / name).resolve()
        if not there.is_file():  # a folder: its page
            there = there / "README.md" if (there / "README.md").is_file() else ROOT / "README.md"
        found = address(here, self.want(there))
        return f"{found}#{heading}" if heading else found

    def around(self, path):
        """The pages before and behind it, and the same one in the other language."""
        if path.parent.parent != chapters.BOOK:
            return None, None, None
        language = path.parent.name
        order = [one.path for one in chapters.pages(language)]
        at = order.index(path)
        other = next(name for name in chapters.LANGUAGES if name != language)
        return (order[at - 1] if at else None, order[at + 1] if at + 1 < len(order) else None,
                chapters.BOOK / other / path.name)

    def frame(self, here, language, title, body, around=(None, None, None)):
        said, (before, behind, other) = SAID[language], around
        root = address(here, pathlib.Path("."))
        style = f"{root}/../style.css" if self.beside else f"{root}/style.css"
        front = f'<a href="{root}/../index.html">{said["page"]}</a>' if self.beside else ""
        turn = "".join(f'<a rel="{rel}" href="{address(here, place(path))}">{said[name]}: {self.title(path)}</a>'
                       if path else "<span></span>"
                       for name, rel, path in (("back", "prev", before), ("next", "next", behind)))
        tongue = "en" if language == "zh-TW" else "zh-Hant-TW"
        switch = f'<a href="{address(here, place(other))}" lang="{tongue}">{said["other"]}</a>' if other else ""
        data = f' data-root="{root}/../"' if self.beside else ""
        return f"""<!DOCTYPE html>
<html lang="{said['lang']}"{data}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{html.escape(title)} – Ringpong</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{style}">
<link rel="stylesheet" href="{root}/book.css">
</head>
<body class="book">
<a class="skip" href="#text">{said['skip']}</a>
<header class="site-head">
<p class="name"><a href="{root}/{language}/index.html">Ringpong</a></p>
<nav aria-label="{said['nav']}"><a href="{root}/{language}/index.html">{said['contents']}</a> <a
href="{root}/{language}/glossary.html">{said['glossary']}</a> {front} {switch}</nav>
<span class="grow"></span>
<form class="search" role="search" hidden><label>{said['search']} <input type="search" autocomplete="off"></label></form>
<button type="button" data-theme-switch hidden>{said['dark']}</button>
</header>
<div class="found" aria-live="polite" hidden></div>
<main id="text" tabindex="-1">
{body}
</main>
<footer><nav class="turn" aria-label="{said['back']}, {said['next']}">{turn}</nav></footer>
<script src="{root}/book.js" data-index="{root}/search-{language}.js" data-results="{said['results']}"
data-none="{said['none']}" data-play="{said['play']}" data-folder="{root}/{language}/" defer></script>
</body>
</html>
"""

    @staticmethod
    def title(path):
        return html.escape(re.sub(r"[`*]", "", chapters.HEADING.search(path.read_text())[2]))

    def source(self, path):
        name = str(path.relative_to(ROOT))
        text = html.escape(path.read_text(errors="replace"), quote=False)
        return self.frame(place(path), "en", name, f'<h1>{name}</h1>\n<pre class="file" tabindex="0">{text}</pre>')


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--beside-the-page", action="store_true")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    try:
        import markdown  # noqa: F401
    except ImportError:
        raise SystemExit("book: no markdown: it is in the package python3-markdown; sh scripts/setup --web installs it") from None
    out = BUILD / ("web/book" if options.beside_the_page else "book")
    count = Site(out, options.beside_the_page).build()
    print(f"book: {out.relative_to(ROOT)}/index.html, {count} files")
    return 0

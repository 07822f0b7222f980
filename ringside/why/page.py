"""A story as a page of HTML, or as a picture: the same words as on the screen, for a report or a forum.

html(told, of, view)    a whole page, for light and dark; of: what was looked at; view: see view.py
svg(told, of, lines)    a picture
"""

from html import escape
import typing

from ringside.pictures import svg as pictures
from ringside.why import words
from ringside.why.story import Story

drawn: typing.Any = pictures    # its functions have no types
SENTENCE = {0: "nothing was refused", 1: "a cause is found", 2: "it cannot be told"}
RING_VIEW = '<section id="ring-view">\n<h2>The crossing, access by access</h2>\n{}\n</section>'
CHARACTER, LINE, EDGE = 8.5, 21, 24     # a picture's, in pixels
SHORT = 96

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
STYLE = """body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 sans-serif }
main { max-width: 64rem; margin: 0 auto; padding: 1rem 1.25rem 3rem }
h1 { font-size: 1.4rem }
h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; color: var(--faint) }
p, ol, ul { margin: .3rem 0 }
code, pre, .line { font-family: monospace; font-size: .95rem; overflow-wrap: anywhere }
.happened { font-size: 1.2rem }
.cause { border-left: .3rem solid var(--cpu); background: var(--ring0); padding: .6rem .9rem }
.line { white-space: pre-wrap }
.faint { color: var(--faint) }
#ring-view { width: min(96vw, 80rem); margin-left: calc((100% - min(96vw, 80rem)) / 2) }"""


def variables(scheme: str) -> str:
    """The colours of the pictures, as CSS has them."""
    return "; ".join(f"--{name}: {getattr(colour, scheme)}" for name, colour in drawn.COLOURS.items())


def style() -> str:
    """Of the page, with its colours."""
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {variables('dark')} }} }}"
    return f":root {{ {variables('light')} }}\n{dark}\n{STYLE}"


def section(title: str, lines: list[str], ordered: bool = False) -> str:
    """A heading with a line or a list; "" without lines."""
    if not lines:
        return ""
    kind = "ol" if ordered else "ul"
    inner = f'<p class="line">{escape(lines[0])}</p>' if len(lines) == 1 else (
        f"<{kind}>\n" + "".join(f'<li class="line">{escape(line)}</li>\n' for line in lines) + f"</{kind}>")
    return f"<h2>{escape(title)}</h2>\n{inner}\n"


def html(told: Story, of: str, view: str) -> str:
    """The page. In the order of the screen."""
    cause = told.cause
    body = [f'<p class="happened">{escape(told.happened)}</p>', f'<p class="faint">{SENTENCE[told.status]}</p>',
            section("Where", [told.where + (f": {told.instruction}" if told.instruction else "")] if told.where else [])]
    if cause:
        body += [f'<h2>The first cause</h2>\n<p class="cause">{escape(told.cause_line)}</p>',
                 section("Intel's manual", [f"{words.named(cause.vector, cause.error)}, SDM {cause.place}"]),
                 section("The bytes that decide", cause.bytes)]
    body += [RING_VIEW.format(view),
             section("From there to the end", told.chain, ordered=True), section("Seen in Bochs", told.witness),
             section("Who wrote it last", [told.who] if told.who else []),
             section("The usual fix", [cause.fix] if cause and cause.fix else []), section("Besides", told.notes),
             section("Not known", told.unknown)]
    return PAGE.format(title=escape(f"Why did {of} die?" if told.status else f"What became of {of}"), style=style(),
                       body="\n".join(part for part in body if part))


def svg(told: Story, of: str, lines: list[str]) -> str:
    """The screen's lines as a picture; its heads and the cause stand out."""
    width = round(max(len(line) for line in [*lines, "x" * SHORT]) * CHARACTER) + 2 * EDGE
    picture = drawn.Svg(width, LINE * (len(lines) + 3) + EDGE, f"Why did {of} die?", f"{told.happened}. {told.cause_line}")
    picture.text(EDGE, EDGE + 8, f"ringside why {of}", "head")
    inside = False
    for number, line in enumerate(lines):
        at = EDGE + LINE * (number + 2)
        head, words = line[:13].rstrip(), line[13:]
        inside = head == "first cause" or inside and not head
        picture.text(EDGE, at, head, "mono faint")
        picture.text(round(EDGE + 13 * CHARACTER), at, words, "mono t-cpu" if inside else "mono")
    return "\n".join([*picture.lines, "</svg>", ""])

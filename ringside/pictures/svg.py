"""SVG, as far as the pictures need it: text, boxes, lines, words of memory, a legend's entries.

    svg = Svg(1280, 720, title, description)
    svg.text(x, y, "eip", "mono")
    svg.save(path)

What a thing looks like is a class of STYLE, in colours for a light and for a dark page.
"""

import typing
from xml.sax.saxutils import escape, quoteattr


class Colour(typing.NamedTuple):
    """A viewer that knows no colour schemes gets the light one."""
    light: str
    dark: str


COLOURS = {
    "paper": Colour("#ffffff", "#0d1117"),
    "ring3": Colour("#ffffff", "#0d1117"),
    "ring0": Colour("#eef0f3", "#1c222b"),
    "ink": Colour("#15181d", "#e8edf3"),
    "faint": Colour("#58606c", "#9ba6b3"),
    "rule": Colour("#9aa2ad", "#56606d"),
    "cpu": Colour("#a33b00", "#ffb05c"),
    "hatch": Colour("#f0bd94", "#7d4d1c"),
    "gate": Colour("#2a5a8f", "#86bdf5"),
    "wash": Colour("#d3e3f5", "#1e3c5e"),
    "esp0": Colour("#6b2fa0", "#d6aaff"),
}

STYLE = """
text { font-family: sans-serif; font-size: %(size)s; fill: %(ink)s }
.mono { font-family: monospace }
.title { font-size: 27px; font-weight: bold }
.caption { font-size: 17px }
.head { font-size: 16px; font-weight: bold }
.small { font-size: 13px }
.big { font-size: 17px }
.bold { font-weight: bold }
.faint { fill: %(faint)s }
.t-cpu { fill: %(cpu)s; font-weight: bold }
.t-gate { fill: %(gate)s }
.t-esp0 { fill: %(esp0)s }
.on-hatch { paint-order: stroke; stroke: %(paper)s; stroke-width: 4px; stroke-linejoin: round }
.on-ink { fill: %(paper)s; font-weight: bold }
.paper { fill: %(paper)s }
.ring3 { fill: %(ring3)s; stroke: %(rule)s; stroke-width: 1.5px }
.ring0 { fill: %(ring0)s; stroke: %(rule)s; stroke-width: 1.5px }
.words-none { fill: %(paper)s; stroke: %(rule)s }
.headroom { fill: none; stroke: %(rule)s; stroke-dasharray: 3 3 }
.words-gate { fill: %(wash)s; stroke: %(gate)s }
.words-cpu { fill: url(#hatch); stroke: %(cpu)s }
.hatch { stroke: %(hatch)s; stroke-width: 3px }
.outline-cpu { fill: none; stroke: %(cpu)s; stroke-width: 3.5px }
.outline-gate { fill: none; stroke: %(gate)s; stroke-width: 1.5px }
.outline { fill: none; stroke: %(rule)s; stroke-width: 1.5px }
.l-rule { fill: none; stroke: %(rule)s; stroke-width: 1.5px }
.l-cpu { fill: none; stroke: %(cpu)s; stroke-width: 5px }
.l-gate { fill: none; stroke: %(gate)s; stroke-width: 2px }
.l-esp0 { fill: none; stroke: %(esp0)s; stroke-width: 3px }
.l-was { fill: none; stroke: %(esp0)s; stroke-width: 2px; stroke-dasharray: 2 4 }
.h-cpu { fill: %(cpu)s }
.h-gate { fill: %(gate)s }
.h-esp0 { fill: %(esp0)s }
.h-was { fill: %(paper)s; stroke: %(esp0)s; stroke-width: 1.5px }
.l-run { fill: none; stroke: %(ink)s; stroke-width: 3px }
.h-run { fill: %(ink)s }
.l-wait { fill: none; stroke: %(rule)s; stroke-width: 1.5px; stroke-dasharray: 3 5 }
.box { fill: %(paper)s; stroke: %(ink)s; stroke-width: 1.5px }
.stop { fill: %(ink)s }
""".strip()


def style(size):
    light, dark = (STYLE % {"size": size, **{name: getattr(colour, scheme) for name, colour in COLOURS.items()}}
                   for scheme in Colour._fields)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


KEY_WIDTH = 44


class Svg:
    def __init__(self, width, height, title, description, size="14px"):
        self.lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>\n{style(size)}\n</style>",
            '<defs><pattern id="hatch" width="9" height="9" patternUnits="userSpaceOnUse">'
            '<path class="hatch" d="M-2,2 L2,-2 M-2,11 L11,-2 M7,11 L11,7"/></pattern></defs>',
        ]
        self.rect(0, 0, width, height, "paper")

    def add(self, tag, text=None, **attributes):
        named = "".join(
            f" {name.rstrip('_').replace('_', '-')}={quoteattr(f'{value:g}' if type(value) is float else str(value))}"
            for name, value in attributes.items())
        self.lines.append(f"<{tag}{named}/>" if text is None else f"<{tag}{named}>{escape(text)}</{tag}>")

    def text(self, x, y, text, look="", anchor="start", **data):
        self.add("text", text, x=x, y=y, **({"class_": look} if look else {}),
                 **({} if anchor == "start" else {"text_anchor": anchor}), **data)

    def rect(self, x, y, width, height, look, **data):
        self.add("rect", x=x, y=y, width=width, height=height, class_=look, **data)

    def line(self, points, look, head=None, **data):
        """A line; with head, one that ends in an arrow's head of that length."""
        points = list(points)
        if head:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)  # never slanting
            half = head * 0.55
            points[-1] = (x - dx * head * 0.9, y - dy * head * 0.9)
        self.add("path", class_=f"l-{look}", d="M" + " L".join(f"{a:g},{b:g}" for a, b in points), **data)
        if head:
            base = (x - dx * head, y - dy * head)
            corners = [(x, y), (base[0] + dy * half, base[1] + dx * half),
                       (base[0] - dy * half, base[1] - dx * half)]
            self.add("path", class_=f"h-{look}", d="M" + " L".join(f"{a:g},{b:g}" for a, b in corners) + " Z",
                     **{f"{name}_tip": value for name, value in data.items()})

    def words(self, x, y, width, height, mover, **data):
        """Memory: words that were moved by the CPU, or by the gate, or by none."""
        if mover == "cpu":
            self.rect(x, y, width, height, "paper")
        self.rect(x, y, width, height, f"words-{mover}", **data)

    def key(self, x, y, mover, text):
        """An entry of a legend."""
        self.words(x, y, KEY_WIDTH, 18, mover)
        if mover != "none":
            self.rect(x, y, KEY_WIDTH, 18, f"outline-{mover}")
        self.text(x + KEY_WIDTH + 12, y + 14, text)

    def number(self, x, y, number, radius=10):
        self.add("circle", cx=x, cy=y, r=radius, class_="stop")
        self.text(x, round(y + radius * 0.36 + 1.4, 1), str(number), "on-ink title" if radius > 12 else "on-ink",
                  "middle")

    def letter(self, x, y, letter, radius=10):
        """Beside numbers, what is counted otherwise: in a circle that is not filled."""
        self.add("circle", cx=x, cy=y, r=radius, class_="box")
        self.text(x, round(y + radius * 0.36 + 0.6, 1), letter, "bold", "middle")

    def save(self, path):
        path.write_text("\n".join([*self.lines, "</svg>", ""]), encoding="utf-8")

"""The book in docs/book: its chapters in both languages, how long they are, and what is wrong with them.

usage: scripts/ringside words

Prints of each chapter how many words it has (characters, in Chinese), its longest sentence and
paragraph, and how many minutes it takes to read.

Both languages have the same marks in the same order: blocks that a run fills (<!-- run: -->), claims
(<!-- holds: -->), pictures, and places where the site puts <ring-view> (<!-- ring-view: -->). So one run
holds both. complaints() says where they part, and what else a reader would stumble over.
"""

import dataclasses
import pathlib
import re

from ringside.emulators.machines import ROOT

BOOK = ROOT / "docs" / "book"
LANGUAGES = "en", "zh-TW"
NAME = re.compile(r"\d\d-[a-z0-9-]+\.md")
GLOSSARY = "glossary.md"

COMMENT = re.compile(r"<!--.*?-->", re.S)
FENCE = re.compile(r"^```.*?^```$", re.S | re.M)
BLOCK = re.compile(r"<!-- run: (.*?)-->(.*?)<!-- end -->", re.S)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)", re.S)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", re.S)
HEADING = re.compile(r"^(#+) (.*)$", re.M)
RING_VIEW = re.compile(r"<!-- ring-view: (.*?) -->(.*?)<!-- /ring-view -->", re.S)
MARK = re.compile(r"<!-- (run|holds(?: \w+)?|ring-view): (.*?)-->|!\[[^\]]*\]\((?:[^)\s]*/)?([^)/\s]+)\)|^(#+) ", re.S | re.M)
CJK = re.compile(r"[\u3400-\u9fff]")
NOT_PROSE = re.compile(r"^(?:#|\||</?details>|<summary>)")
INLINE = "value", "count", "made"

# A sentence and a paragraph have at most so many words; in Chinese, so many characters.
SENTENCE = {"en": 40, "zh-TW": 90}
PARAGRAPH = {"en": 110, "zh-TW": 240}
A_MINUTE = {"en": 190, "zh-TW": 330}
A_LOOK = 0.4    # minutes for a picture, a listing or a table

# What each chapter has: for a reader who guesses, breaks, and is asked.
PARTS = {"en": ("**Stop here and guess first.**", "## Break it", "## A question"),
         "zh-TW": ("**在這裡停下來，先猜。**", "## 弄壞它", "## 考考你")}


@dataclasses.dataclass(frozen=True)
class Page:
    language: str
    path: pathlib.Path
    text: str

    @property
    def name(self):
        return f"{self.language}/{self.path.name}"

    @property
    def title(self):
        return HEADING.search(self.text)[2]


def page(language, name):
    path = BOOK / language / name
    return Page(language, path, path.read_text())


def chapters(language):
    """In their order."""
    return [page(language, path.name) for path in sorted((BOOK / language).glob("*.md")) if NAME.fullmatch(path.name)]


def pages(language):
    """Chapters, the contents in front of them, the glossary behind."""
    return [page(language, "README.md"), *chapters(language), page(language, GLOSSARY)]


def marks(text):
    """What both languages have in common, in order."""
    return [(kind or ("picture" if picture else "heading"), " ".join((body or picture or level).split()))
            for kind, body, picture, level in MARK.findall(FENCE.sub("", text))]


# ---- prose

def paragraphs(text):
    """Prose alone: neither blocks nor tables nor headings; each item of a list is a paragraph."""
    kept = BLOCK.sub(lambda block: "word" if block[1].split()[0] in INLINE else "\n\n", text)
    kept = COMMENT.sub("", FENCE.sub("\n\n", kept))
    kept = LINK.sub(r"\1", PICTURE.sub("", kept))
    for part in re.split(r"\n[> ]*\n|\n(?=[> ]*(?:[-*] |[0-9]+\. |\|))", kept):
        lines = [line.lstrip("> ").rstrip() for line in part.splitlines() if not line.startswith("    ")]
        lines = [re.sub(r"</?\w+>", "", line) for line in lines if line and not NOT_PROSE.match(line)]
        if said := " ".join(lines).strip(" -▶"):
            yield said


def sentences(paragraph, language):
    ends = r"(?<=[。！？])" if language == "zh-TW" else r"(?<=[.!?])[\"”)*_`]*\s+(?=[\"“(*_`]*[A-Z])"
    return [sentence for sentence in re.split(ends, paragraph) if sentence and sentence.strip()]


def words(text, language):
    """How many: a character of Chinese counts as one, and so does a word of anything else beside it."""
    if language == "zh-TW":
        return len(CJK.findall(text)) + len(re.findall(r"[A-Za-z0-9_:.#%+-]*[A-Za-z0-9]", text))
    return len(re.findall(r"\S*[A-Za-z0-9]\S*", text))


@dataclasses.dataclass(frozen=True)
class Measure:
    words: int
    sentence: int
    paragraph: int
    looks: int
    minutes: int


def measure(one):
    found = [(words(paragraph, one.language), max(words(s, one.language) for s in sentences(paragraph, one.language)))
             for paragraph in paragraphs(one.text)]
    cells = re.findall(r"^\|(?![-|]+\|$)(.*)\|$", COMMENT.sub("", FENCE.sub("", BLOCK.sub("", one.text))), re.M)
    total = sum(count for count, _ in found) + sum(words(row, one.language) for row in cells)
    looks = len(PICTURE.findall(one.text)) + len(FENCE.findall(one.text)) + len(re.findall(r"^\|[-|]+\|$", one.text, re.M))
    return Measure(total, max(longest for _, longest in found), max(count for count, _ in found), looks,
                   round(total / A_MINUTE[one.language] + looks * A_LOOK))


# ---- what is wrong

def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", COMMENT.sub("", heading).lower()).strip().replace(" ", "-")


def anchors(text):
    return {anchor(heading) for _, heading in HEADING.findall(FENCE.sub("", text))}


def dead_links(one):
    for _, target in LINK.findall(COMMENT.sub("", FENCE.sub("", one.text))):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        there = (one.path.parent / path).resolve() if path else one.path
        if path and not there.exists():
            yield f"{one.name}: the link to {target} leads nowhere"
        elif heading and heading not in anchors(there.read_text() if path else one.text):
            yield f"{one.name}: {path or 'the page'} has no heading #{heading}"


def blind_pictures(one):
    for alternative, target in PICTURE.findall(one.text):
        if len(alternative) < 20 or one.language == "zh-TW" and not CJK.search(alternative):
            yield f"{one.name}: the picture {target} has no alternative text"
        if not (one.path.parent / target).exists():
            yield f"{one.name}: there is no picture {target}"


def long_prose(one):
    unit = "characters" if one.language == "zh-TW" else "words"
    for paragraph in paragraphs(one.text):
        if (count := words(paragraph, one.language)) > PARAGRAPH[one.language]:
            yield f"{one.name}: a paragraph of {count} {unit}: {paragraph[:60]}…"
        for sentence in sentences(paragraph, one.language):
            if (count := words(sentence, one.language)) > SENTENCE[one.language]:
                yield f"{one.name}: a sentence of {count} {unit}: {sentence[:60]}…"


def missing_parts(one):
    for part in PARTS[one.language]:
        if part not in one.text:
            yield f"{one.name}: it has no {part}"
    for what, pattern in (("picture", PICTURE), ("ring-view", RING_VIEW), ("<details>", re.compile("<details>"))):
        if not pattern.search(one.text):
            yield f"{one.name}: it has no {what}"


def parted(one, other):
    """Where two languages of a page do not have the same marks."""
    here, there = marks(one.text), marks(other.text)
    for mine, yours in zip(here + [None], there + [None]):
        if mine != yours:
            yield f"{other.name}: {yours or 'nothing'} where {one.name} has {mine or 'nothing'}"
            return


def untranslated(one):
    if one.language == "zh-TW":
        for _, heading in HEADING.findall(FENCE.sub("", one.text)):
            if not CJK.search(heading):
                yield f"{one.name}: the heading \"{heading}\" is not translated"


# ---- the glossary

@dataclasses.dataclass(frozen=True)
class Term:
    english: str
    chinese: str
    intel: str
    chapter: int

    def said(self, language):
        """How a page may say it, as patterns."""
        return [re.escape(word.strip(" `")) for word in (self.english if language == "en" else self.chinese).split("/")]


def glossary(language):
    """Of a row | English | 正體中文 | Intel | [chapter](file) | what it is |."""
    found = []
    for row in re.findall(r"^\| (?!---)(.*) \|$", page(language, GLOSSARY).text, re.M):
        english, chinese, intel, where, *_ = [cell.strip() for cell in row.split(" | ")]
        if number := re.match(r"\[(\d+)\]", where):
            found.append(Term(english, chinese, intel, int(number[1])))
    return found


def unexplained(language):
    """Terms that come before the chapter that explains them."""
    book = chapters(language)
    for term in glossary(language):
        pattern = "|".join(rf"(?<!\w){word}(?:e?s)?(?!\w)" if word.isascii() else word for word in term.said(language))
        first = next((number for number, chapter in enumerate(book)
                      if re.search(pattern, " ".join(paragraphs(chapter.text)))), None)
        if first is None:
            yield f"{language}/{GLOSSARY}: no chapter says {term.english} / {term.chinese}"
        elif first != term.chapter:
            yield (f"{language}/{GLOSSARY}: {term.english} / {term.chinese} comes in chapter {first}, "
                   f"and the glossary says {term.chapter}")


def complaints():
    """All that is wrong, page by page."""
    for language in LANGUAGES:
        for one in pages(language):
            for check in (dead_links, blind_pictures, long_prose, untranslated):
                yield from check(one)
        for chapter in chapters(language):
            yield from missing_parts(chapter)
        yield from unexplained(language)
    names = [[one.path.name for one in chapters(language)] for language in LANGUAGES]
    if names[0] != names[1]:
        yield f"the languages have different chapters: {sorted(set(names[0]) ^ set(names[1]))}"
        return
    for one, other in zip(*map(pages, LANGUAGES)):
        yield from parted(one, other)


def table():
    lines = []
    for language in LANGUAGES:
        unit = "characters" if language == "zh-TW" else "words"
        lines += ["", f"{language:40} {unit:>10} {'sentence':>9} {'paragraph':>10} {'minutes':>8}"]
        measured = [(chapter, measure(chapter)) for chapter in chapters(language)]
        lines += [f"{chapter.path.name:40} {m.words:10} {m.sentence:9} {m.paragraph:10} {m.minutes:8}"
                  for chapter, m in measured]
        lines.append(f"{'all':40} {sum(m.words for _, m in measured):10} {max(m.sentence for _, m in measured):9} "
                     f"{max(m.paragraph for _, m in measured):10} {sum(m.minutes for _, m in measured):8}")
    return "\n".join(lines[1:])


def main(arguments):
    if arguments:
        print(__doc__)
        return 0 if arguments[0] in ("-h", "--help") else 2
    print(table())
    found = list(complaints())
    for what in found:
        print(what)
    return 1 if found else 0

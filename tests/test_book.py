"""The book: both languages have the same marks, and a reader stumbles over nothing that can be counted."""

import json
import re
import subprocess

import pytest

from ringside.emulators.machines import ROOT
from ringside.pages import book, chapters
from ringside.pages.chapters import LANGUAGES, Page

HELD = 100   # claims that the book has at least


def page(text, language="en", name="07-page.md"):
    return Page(language, chapters.BOOK / language / name, text)


def test_nothing_is_wrong_with_the_book():
    assert list(chapters.complaints()) == []


def test_both_languages_have_all_chapters_and_their_claims():
    books = [chapters.chapters(language) for language in LANGUAGES]
    assert [one.path.name for one in books[0]] == [one.path.name for one in books[1]]
    for one_book in books:
        assert [one.title.partition(".")[0] for one in one_book] == [str(number) for number in range(len(one_book))]
        assert sum(kind == "holds" for one in one_book for kind, _ in chapters.marks(one.text)) >= HELD


@pytest.mark.parametrize("chapter", chapters.chapters("en"), ids=lambda one: one.path.name)
def test_a_chapter_is_read_in_one_sitting(chapter):
    assert 700 <= chapters.measure(chapter).words <= 1000


def test_the_command_prints_what_the_book_measures():
    said = subprocess.run([ROOT / "scripts/ringside", "words"], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0, said.stdout + said.stderr
    for language in LANGUAGES:
        for one in chapters.chapters(language):
            assert f"{one.path.name:40} {chapters.measure(one).words:10} " in said.stdout


# ---- a checker that cannot complain is no checker

LONG = "word " * 41
MANY = "This is a sentence of nine words, I think. " * 13


@pytest.mark.parametrize("check, text, language, said", [
    (chapters.long_prose, LONG + ".", "en", "a sentence of 41 words"),
    (chapters.long_prose, MANY, "en", "a paragraph of 117 words"),
    (chapters.long_prose, "字" * 91 + "。", "zh-TW", "a sentence of 91 characters"),
    (chapters.long_prose, "> - " + LONG, "en", "a sentence of 41 words"),
    (chapters.blind_pictures, "![x](../../screen.png)", "en", "no alternative text"),
    (chapters.blind_pictures, "![a picture of something else](../../screen.png)", "zh-TW", "no alternative text"),
    (chapters.blind_pictures, "![a picture of something else](none.png)", "en", "there is no picture none.png"),
    (chapters.dead_links, "[x](none.md)", "en", "leads nowhere"),
    (chapters.dead_links, "[x](#not-there)\n# There", "en", "has no heading #not-there"),
    (chapters.dead_links, "[x](../../tour.md#not-there)", "en", "has no heading #not-there"),
    (chapters.untranslated, "# 一\n\n## Break it", "zh-TW", "is not translated"),
    (chapters.missing_parts, "# 7", "en", "it has no ## Break it"),
    (chapters.missing_parts, "# 7", "en", "it has no ring-view"),
])
def test_what_is_wrong_is_said(check, text, language, said):
    assert any(said in what for what in check(page(text, language)))


@pytest.mark.parametrize("text", [
    "a word " * 20 + "\n\n" + "a word " * 19 + ".",     # two paragraphs
    "- " + "a word " * 19 + "\n- " + "a word " * 19,      # two items
    "| " + "a word " * 30 + " |",                         # a row of a table
    "```\n" + "a word " * 30 + "\n```",
    "<!-- run: try\nq\n-->\n" + "a word " * 30 + "<!-- end -->",
    "He wrote `3.14` and went. " * 9,
])
def test_what_is_no_long_sentence_is_none(text):
    assert list(chapters.long_prose(page(text))) == []


@pytest.mark.parametrize("one, other, apart", [
    ("<!-- holds: a == 1 -->x<!-- end -->", "<!-- holds: a == 1 -->y<!-- end -->", False),
    ("<!-- holds: a == 1 -->x<!-- end -->", "<!-- holds: a == 2 -->x<!-- end -->", True),
    ("<!-- holds: a -->x<!-- end --> <!-- holds: b -->x<!-- end -->",
     "<!-- holds: b -->x<!-- end --> <!-- holds: a -->x<!-- end -->", True),
    ("<!-- run: gdt -->\n<!-- end -->", "", True),
    ("<!-- holds kstack: a -->x<!-- end -->", "<!-- holds: a -->x<!-- end -->", True),
    ("![one](../en/a.svg)", "![two](../zh-TW/a.svg)", False),
    ("![one](../en/a.svg)", "![two](../en/b.svg)", True),
    ("▶ <!-- ring-view: run=p_proc step=1 -->[x](y)<!-- /ring-view -->", "", True),
    ("## a", "## b", False),
    ("## a", "### a", True),
])
def test_where_two_languages_part_is_found(one, other, apart):
    assert bool(list(chapters.parted(page(one), page(other, "zh-TW")))) == apart


def test_a_term_is_explained_before_it_is_used(monkeypatch):
    two = [page("# 0\n\nA gate.", name="00-a.md"), page("# 1\n\nThe IDT has gates.", name="01-b.md")]
    monkeypatch.setattr(chapters, "chapters", lambda language: two)

    def said(*terms):
        monkeypatch.setattr(chapters, "glossary", lambda language: [chapters.Term(*term) for term in terms])
        return list(chapters.unexplained("en"))
    assert said(("gate", "閘", "gate", 0), ("IDT", "IDT", "IDT", 1)) == []
    assert "comes in chapter 0, and the glossary says 1" in said(("gate", "閘", "gate", 1))[0]
    assert "no chapter says TSS" in said(("TSS", "TSS", "TSS", 1))[0]


# ---- the site

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "book"
    book.Site(out, beside=False).build()
    return out


def pages_of(site):
    found = sorted(site.rglob("*.html"))
    assert len(found) > 2 * len(chapters.chapters("en")) + 10
    return found


def test_every_link_and_picture_of_the_site_is_there(site):
    for path in pages_of(site):
        for target in re.findall(r'(?:href|src)="([^"#]+)', path.read_text()):
            if not target.startswith(("https:", "data:")):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_page_says_its_language_and_shows_no_mark(site):
    for path in pages_of(site):
        text = path.read_text()
        assert re.search(r'<html lang="(en|zh-Hant-TW)"', text), path
        if path.parent.name in chapters.LANGUAGES:
            assert "<!--" not in re.sub(r"<code.*?</code>", "", text, flags=re.S), path
            assert all(len(alternative) > 20 for alternative in re.findall(r'<img alt="([^"]*)"', text)), path
            assert text.count("<h1") == 1, path
            assert "<th></th>" not in text, path


def test_who_follows_next_reads_the_whole_book_in_order(site):
    for language in chapters.LANGUAGES:
        name, read = "index.html", []
        while name:
            read.append(name)
            found = re.search(r'rel="next" href="([^"]+)"', (site / language / name).read_text())
            name = found and found[1]
        assert read == ["index.html", *(f"{one.path.stem}.html" for one in chapters.chapters(language)), "glossary.html"]


def test_the_search_finds_what_the_chapters_say(site):
    for language, word in (("en", "gullible"), ("zh-TW", "球桌")):
        text = (site / f"search-{language}.js").read_text()
        rows = json.loads(text.removeprefix("window.bookIndex = ").rstrip(";\n"))
        hits = [row for row in rows if word in row[4]]
        assert len(hits) == 1 and (site / language / hits[0][0]).exists()


def test_the_style_is_the_pages_and_the_dark_one_needs_no_script(site):
    assert (site / "style.css").read_text() == (ROOT / "web/style.css").read_text()
    own = (site / "book.css").read_text()
    assert re.search(r"prefers-color-scheme: dark\) \{ :root:not\(\[data-theme\]\) \{[^}]*--page: #16181b", own)


def test_a_place_in_a_recording_becomes_an_element_and_else_a_link(monkeypatch, tmp_path):
    monkeypatch.setattr(book, "steps", lambda run: {"way_in": 326} if run == "p_proc" else {})
    text = "▶ <!-- ring-view: run={} step=way_in.9 -->[See `int`](../../tour.md)<!-- /ring-view -->"
    path = chapters.BOOK / "en/07-page.md"
    made = book.Site(tmp_path, beside=True).body(path, text.format("p_proc"))
    assert '<ring-view run="p_proc" step="326.9">' in made and 'href="../../index.html#run=p_proc&amp;step=326.9"' in made
    assert "<ring-view" not in book.Site(tmp_path, beside=True).body(path, text.format("no_such_run"))
    assert "<ring-view" not in book.Site(tmp_path, beside=False).body(path, text.format("p_proc"))

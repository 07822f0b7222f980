"""The book's site in Chromium: every page at three widths, light and dark, with and without a script."""

import pytest
from conftest import SIZES, WEB, start

BOOK = WEB / "book"
LANGUAGES = "en", "zh-TW"
THEMES = {"light": {}, "dark": {"runOnly": {"type": "tag", "values": ["cat.color"]}}}   # nothing else depends on it
PARTS = 4   # as many tests as may run beside each other

AXE = ("const found = await axe.run(document, {resultTypes: ['violations'], preload: false, ...given[0]});"
       "return found.violations.map((v) => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 160), v.nodes[0].failureSummary])")
WIDE = "return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1" \
       " && !e.closest('pre, .scroll, .wide, .skip')).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)"
BLIND = "return [...document.images].filter((i) => !i.complete || !i.naturalWidth || i.alt.length < 20).map((i) => i.src)"


def pages(*folders):
    """What make web has made of the book, below these folders of the site."""
    return sorted(path for folder in folders for path in (BOOK / folder).rglob("*.html"))


def address(site, path):
    return f"{site.rpartition('/')[0]}/{path.relative_to(WEB)}"


def wrong(page, axe, url, sizes, themes):
    """All that a reader would stumble over in one page."""
    page.get(url)
    page.execute_script(axe)
    found = [("picture", url, blind)] if (blind := page.execute_script(BLIND)) else []
    for size in sizes:
        page.size(size)
        if page.execute_script("return document.documentElement.scrollWidth") > SIZES[size][0]:
            found.append(("wider than", size, url, page.execute_script(WIDE)))
        for theme in themes:
            page.theme(theme)
            found += [(size, theme, url, *violation) for violation in page.run(AXE, THEMES[theme])]
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_in_any_page_of_the_book(page, site, axe, part):
    every = pages(*LANGUAGES)
    assert len(every) >= 2 * 21
    for path in every[part::PARTS]:
        assert wrong(page, axe, address(site, path), SIZES, THEMES) == []


def test_axe_finds_nothing_in_what_the_book_links_to(page, site, axe):
    every = pages("more")
    assert len(every) >= 3   # the tour, costs, faults
    for path in every:
        assert wrong(page, axe, address(site, path), ("narrow", "wide"), THEMES) == []


def test_sources_are_no_wider_than_a_phone(page, site):
    page.size("narrow")
    for path in pages("source"):
        page.get(address(site, path))
        assert page.execute_script("return document.documentElement.scrollWidth") <= SIZES["narrow"][0], path


@pytest.mark.parametrize("language, word, other", [("en", "gullible", "球桌"), ("zh-TW", "球桌", "gullible")])
def test_the_search_needs_no_server(page, language, word, other):
    page.get((BOOK / language / "index.html").as_uri())
    for wanted, hits in (word, 1), (other, 0):
        shown = page.run("""
            const input = document.querySelector(".search input");
            input.value = given[0];
            input.dispatchEvent(new Event("input"));
            const found = document.querySelector(".found");
            for (let n = 0; n < 100 && (found.hidden || !found.textContent); n++)
              await new Promise((next) => setTimeout(next, 20));
            const links = [...found.querySelectorAll("a")].map((a) => a.getAttribute("href"));
            found.textContent = "";
            return links;""", wanted)
        assert len(shown) == hits, wanted


def test_the_chosen_theme_stays(page, site):
    page.get(address(site, BOOK / "en/index.html"))
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(colour)
    page.execute_script("document.querySelector('[data-theme-switch]').click()")
    dark = page.execute_script(colour)
    page.get(address(site, BOOK / "en/glossary.html"))
    assert dark != light and page.execute_script(colour) == dark
    page.execute_script("localStorage.clear()")


def test_every_chapter_has_a_recording_to_step_through():
    every = [path for path in pages(*LANGUAGES) if path.name[0].isdigit()]
    assert len(every) >= 2 * 19
    assert [path for path in every if "<ring-view run=" not in path.read_text()] == []


@pytest.mark.parametrize("chapter, shows", [
    ("06-ten-accesses", "int $0x30"), ("17-pages", "int $0x30"), ("18-other-doors", "lcall")])
def test_a_view_plays_in_the_chapter(page, site, chapter, shows):
    page.get(address(site, BOOK / f"en/{chapter}.html"))
    shown = page.run("""
        const view = document.querySelector("ring-view");
        view.querySelector("button").click();
        for (let n = 0; n < 500 && !view.querySelector(".rv-at"); n++)
          await new Promise((next) => setTimeout(next, 20));
        return view.innerText;""")
    assert shows in shown


def test_without_javascript_a_reader_gets_from_the_first_page_to_the_last(site):
    browser = start(javascript=False)
    try:
        for language in LANGUAGES:
            browser.get(address(site, BOOK / language / "index.html"))
            read = 0
            while True:
                read += 1
                assert browser.find_element("tag name", "h1").is_displayed()
                assert all(picture.is_displayed() for picture in browser.find_elements("tag name", "img"))
                ahead = browser.find_elements("css selector", "a[rel=next]")
                if not ahead:
                    break
                browser.get(ahead[0].get_attribute("href"))
            assert read == 21 and browser.current_url.endswith("glossary.html")
    finally:
        browser.quit()

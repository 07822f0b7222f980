"""The page around the view: sizes, colours, other readers, and weights."""

import gzip
import re

import pytest
from conftest import INT, ROOM, WEB, crossing, start

PLACES = ("#", f"#run=p_proc&step={INT}.6", f"#run=hwtask&step={crossing('hwtask')}.20", f"#run=p_proc&step={INT}&beside=kstack", "#play")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_axe_finds_nothing(page, axe, theme, size):
    page.size(size)
    page.theme(theme)
    for place in PLACES:
        page.open(page.site + place)
        page.wait("return !location.hash.includes('run=') || document.querySelector('#first').run")
        page.execute_script(axe)
        found = page.run("const found = await axe.run(document, {resultTypes: ['violations']});"
                         "return found.violations.map((v) => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 200), v.nodes[0].failureSummary])")
        assert found == [], f"{place}, {theme}, {size}"


@pytest.mark.parametrize("place", PLACES[1:4])
def test_nothing_has_to_be_scrolled_at_1280_by_800(page, place):
    page.open(page.site + place)
    page.wait("return document.querySelector('#first').run")
    assert page.execute_script("const e = document.documentElement; return [e.scrollWidth <= 1280, e.scrollHeight <= 800]") == [True, True]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_wider_than_a_phone(page, place):
    page.size("narrow")
    page.open(page.site + place)
    page.wait("return !location.hash.includes('run=') || document.querySelector('#first').run")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390


def test_tabs_show_one_panel_at_a_time_on_a_phone(page):
    page.size("narrow")
    page.open(page.site + f"#run=p_proc&step={INT}.6")
    page.wait("return document.querySelector('#first').run")
    shown = page.run("""
        const shown = [];
        for (const tab of document.querySelectorAll("#first [data-tab]")) {
          tab.click();
          shown.push([...document.querySelectorAll("#first [data-panel]")].filter((panel) => panel.offsetHeight).map((panel) => panel.dataset.panel).join());
        }
        return shown;""")
    assert shown == ["what", "stacks", "registers", "tables"]


def test_the_projector_has_letters_of_24_pixels(page):
    page.open(page.site + f"#run=p_proc&step={INT}.6&projector")
    page.wait("return document.querySelector('#first').run")
    sizes = page.execute_script("return ['.rv-go', '.rv-now', '.rv-checks'].map((s) => parseFloat(getComputedStyle(document.querySelector('#first ' + s)).fontSize))")
    assert min(sizes) >= 22 and sizes[0] >= 24


def test_on_paper_all_panels_stand_in_black_on_white_below_the_sentence(page):
    """From the dark theme and from a phone as well."""
    page.size("narrow")
    page.open(page.site + f"#run=p_proc&step={INT}.6&theme=dark")
    page.wait("return document.querySelector('#first').run")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = page.execute_script("""
            const shown = (e) => Boolean(e.offsetHeight) && getComputedStyle(e).clipPath === "none";
            const panels = [...document.querySelectorAll("#first [data-panel]")].filter(shown).length;
            return [panels, shown(document.querySelector("#first .rv-say")), shown(document.querySelector("#first .rv-bar")),
                    getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector("#first .rv-go")).color];""")
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown[:4] == [4, True, False, "rgb(255, 255, 255)"] and shown[4] in ("rgb(0, 0, 0)", "rgb(68, 68, 68)")


def test_without_javascript_the_page_has_its_pictures_and_its_words(site):
    browser = start(javascript=False)
    try:
        browser.get(site)
        text = browser.page_source
        body = browser.find_element("tag name", "body").text
        assert "See what an x86 processor does" in body and "need JavaScript" in body
        assert "<svg" in text and "ckpt_int" in text
    finally:
        browser.quit()


@pytest.mark.parametrize("missing, place, sentence", [
    ("delete window.WebAssembly", "#play", "this browser has no WebAssembly"),
    ("delete window.DecompressionStream", f"#run=p_proc&step={INT}", "too old to unpack"),
])
def test_what_a_browser_lacks_is_said_in_a_sentence(page, missing, place, sentence):
    script = page.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": missing})["identifier"]
    try:
        page.open((WEB / "ringpong.html").as_uri() + place)
        page.wait(f"return document.querySelector('main').innerText.includes('{sentence}')")
    finally:
        page.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script})
        page.get_log("browser")     # it says the same


def test_a_file_that_is_blocked_is_said_in_a_sentence(page):
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*data.json"]})
    try:
        page.open(page.site + f"#run=p_proc&step={INT}")
        page.wait("return /could not do that/.test(document.querySelector('.step-message').textContent)")
    finally:
        page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        page.get_log("browser")


def test_the_single_file_does_the_same_from_a_disk(page):
    page.open((WEB / "ringpong.html").as_uri() + f"#run=p_proc&step={INT}.9")
    page.wait("return document.querySelector('#first').run")
    assert "pushes cs" in page.execute_script("return document.querySelector('#first .rv-at .rv-go').innerText")


def test_weights():
    assert (WEB / "ringpong.html").stat().st_size <= 1 << 20
    weights = {path.name: len(gzip.compress(path.read_bytes())) for path in WEB.iterdir() if path.name != "ringpong.html" and path.is_file()}
    assert sum(weights.values()) <= 1536 << 10
    assert weights["data.json"] <= 200 << 10


def test_no_address_but_its_own_is_in_the_page():
    for path in (*WEB.glob("*.js"), WEB / "index.html"):
        if path.name != "bochs.js":
            found = set(re.findall(r"https?://[\w.]+", path.read_text())) - {"http://www.w3.org"}
            assert found == set(), path.name


@pytest.mark.parametrize("name, size, theme, place", [
    ("wide", "wide", "light", f"#run=p_proc&step={INT}.9"), ("dark", "wide", "dark", f"#run=p_proc&step={INT}.9"),
    ("narrow", "narrow", "light", f"#run=p_proc&step={INT}.9"), ("projector", "wide", "light", f"#run=p_proc&step={INT}.9&projector"),
    ("pair", "wide", "light", f"#run=p_proc&step={INT}.9&beside=hwtask"), ("front", "wide", "light", "#"), ("play", "wide", "light", "#play"),
])
def test_pictures_for_those_who_look(page, name, size, theme, place):
    """build/web-tests/NAME.png: no test can see whether it looks right."""
    page.size(size)
    page.theme(theme)
    page.open(page.site + place)
    page.wait("return !location.hash.includes('run=') || document.querySelector('#first').run")
    ROOM.mkdir(parents=True, exist_ok=True)
    assert page.save_screenshot(str(ROOM / f"{name}.png"))

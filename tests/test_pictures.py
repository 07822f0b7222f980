"""The pictures show what was recorded, are readable for everyone, and those in docs/ are up to date."""

import json
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from ringside.emulators import registers
from ringside.emulators.machines import ROOT, by_name

from ringside.pictures import designs
from ringside.pictures.small import LANGUAGES
from ringside.pictures.small_pictures import PICTURES
from ringside.recorder import recording

RINGSIDE = ROOT / "scripts/ringside"
CROSSINGS = ("1-iret-to-a.svg", "2-int-from-a.svg", "3-iret-to-b.svg", "4-int-from-b.svg", "5-iret-to-a.svg")
DESIGNS = tuple(map(designs.file_of, designs.SKETCHES))
CHINESE = tuple(f"zh-TW/{name}" for name in (*CROSSINGS, "round-trip.svg"))
ALL = (*CROSSINGS, "round-trip.svg", *CHINESE, *DESIGNS)
SVG = "{http://www.w3.org/2000/svg}"


def run(*command):
    return subprocess.run([str(word) for word in by_name(command)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def record(path, emulator):
    done = run(RINGSIDE, "record", "--emulator", emulator, "--from", "ckpt_tss", "--switches", 2,
               "--output", path)
    assert done.returncode == 0, done.stderr
    return path


def draw(recorded, folder):
    done = run(RINGSIDE, "pictures", "--recording", recorded, "--output", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return record(tmp_path_factory.mktemp("recording") / "bochs.json", "bochs")


@pytest.fixture(scope="module")
def drawn(recorded, tmp_path_factory):
    return draw(recorded, tmp_path_factory.mktemp("drawn"))


@pytest.fixture(params=ALL)
def picture(request, drawn):
    return ElementTree.parse(drawn / request.param).getroot()


# ---- the numbers

class Told:
    """What a crossing's picture has to say, looked up in the recording by other means."""

    def __init__(self, recorded, place):
        self.whole = recording.load(recorded)
        self.steps = list(recording.walk(self.whole))
        crossings = [number for number, before, _, after in self.steps if before["cpl"] != after["cpl"]]
        self.place = crossings[place]
        self.into = place % 2 == 1
        self.letter = "AABBA"[place]
        _, self.before, self.step, self.after = self.steps[self.place]
        self.start = self.whole["symbols"][f"proc_{self.letter.lower()}"]
        self.end = self.start + 68
        # The gate's part is what touches the frame before the next call, or after the last one.
        direction = 1 if self.into else -1
        self.gate = []
        for number in range(self.place + direction, len(self.steps) if self.into else -1, direction):
            if re.match("lds|(lea|mov) .*,%esp$", self.steps[number][2]["text"]):
                self.changed = number
                break
            self.gate.append(self.steps[number])

    def touched(self, steps):
        """Words of the frame that these instructions have read or written."""
        linear = (address - self.whole["base"] for _, _, step, _ in steps
                  for _, address, size, _ in step["accesses"] or () if size <= 4)
        return {address for address in linear if self.start <= address < self.end}


@pytest.fixture(params=range(5), ids=CROSSINGS)
def told(request, recorded, drawn):
    told = Told(recorded, request.param)
    told.picture = ElementTree.parse(drawn / CROSSINGS[request.param]).getroot()
    return told


def tagged(picture, key):
    """What the elements with a data- attribute say."""
    return {element.get(f"data-{key}"): element.text
            for element in picture.iter() if element.get(f"data-{key}") is not None}


def test_the_words_of_both_frames_are_the_recordings(told):
    state = told.steps[told.changed][1] if told.into else told.before
    assert tagged(told.picture, "word") == {
        f"{letter}.{name}": f"{value:08x}"
        for letter in "AB" for name, value in zip(registers.FRAME_WORDS, state["frames"][letter])}


def test_the_registers_are_the_recordings(told):
    expected = {}
    for key, state in (("before", told.before), ("after", told.after)):
        expected[f"{key}.CPL"] = str(state["cpl"])
        expected[f"{key}.cs:eip"] = f"{state['cs']['selector']:04x}:{state['eip']:08x}"
        expected[f"{key}.ss:esp"] = f"{state['ss']['selector']:04x}:{state['esp']:08x}"
        expected[f"{key}.eflags"] = f"{state['eflags']:08x}"
    assert tagged(told.picture, "reg") == expected


def test_tss_and_stack_segment_are_the_recordings(told):
    assert tagged(told.picture, "tss") == {"ss0": f"{told.before['tss']['ss0']:04x}",
                                           "esp0": f"{told.before['tss']['esp0']:08x}"}
    stack = (told.before if told.into else told.after)["ss"]
    shown = tagged(told.picture, "segment")
    assert {key: shown[f"{told.letter}.{key}"] for key in ("selector", "base", "limit")} == {
        "selector": f"{stack['selector']:04x}", "base": f"{stack['base']:08x}", "limit": f"{stack['limit']:08x}"}


def test_esp_is_where_the_recording_has_it(told):
    changed = told.steps[told.changed]
    around = [changed[1]["esp"], changed[3]["esp"]]
    crossing = [told.before["esp"], told.after["esp"]]
    stops = crossing + around if told.into else around + crossing
    assert tagged(told.picture, "esp") == {str(number): f"esp {esp:04x}" for number, esp in enumerate(stops, 1)}


def test_what_the_cpu_moved_by_itself_is_what_its_own_accesses_touched(told):
    movers = {"cpu": set(), "gate": set(), "none": set()}
    for element in told.picture.iter(SVG + "rect"):
        if element.get("data-address"):
            letter, address = element.get("data-address").split(".")
            mover = element.get("data-moved-by")
            movers[mover].add((letter, int(address, 16)))
            assert element.get("class") == f"words-{mover}"
    in_frame = lambda addresses: {(told.letter, address) for address in addresses}  # noqa: E731
    # popa skips its esp: some CPUs do not even read it.
    skipped = {(told.letter, told.start + 28)}
    assert movers["cpu"] == in_frame(told.touched([told.steps[told.place]]))
    assert movers["gate"] | skipped == in_frame(told.touched(told.gate)) | skipped
    assert {letter for letter, _ in movers["none"]} == {"B" if told.letter == "A" else "A"}
    assert sum(len(words) for words in movers.values()) == 2 * 17


def test_arrows_end_where_their_address_is(told):
    edges, arrows = {}, {}
    for element in told.picture.iter():
        if element.get("data-address"):
            left, top, width, height = (float(element.get(key)) for key in ("x", "y", "width", "height"))
            letter, address = element.get("data-address").split(".")
            # An address is the lower edge of its word, as the lower addresses are below.
            edges[letter, int(address, 16)] = ({left, left + width}, top + height)
            edges.setdefault((letter, int(address, 16) + 4), ({left, left + width}, top))
        if element.get("data-points-tip"):
            letter, address = element.get("data-points-tip").split(".")
            x, y = re.match(r"M([\d.]+),([\d.]+) ", element.get("d")).groups()
            arrows[element.get("data-arrow-tip")] = (letter, int(address, 16)), float(x), float(y)
    assert set(arrows) == {"esp0", "esp2", "esp3"}
    for place, x, y in arrows.values():
        assert x in edges[place][0] and y == edges[place][1]
    assert arrows["esp0"][0] == (told.letter, told.before["tss"]["esp0"])


def test_the_overview_has_the_recordings_esp0_and_eip(recorded, drawn):
    picture = ElementTree.parse(drawn / "round-trip.svg").getroot()
    told = [Told(recorded, place) for place in range(5)]
    assert tagged(picture, "esp0") == {
        str(place + 1): f"esp0 {told[place].before['tss']['esp0']:08x}" for place in (0, 2, 4)}
    assert tagged(picture, "eip") == {
        str(place + 1): (f"to {told[place].before['eip']:04x}" if told[place].into else
                         f"eip {told[place].after['eip']:04x}") for place in range(5)}


def test_qemu_draws_the_same_pictures(drawn, tmp_path):
    other = draw(record(tmp_path / "qemu.json", "qemu"), tmp_path)

    def comparable(path):
        return re.sub("Recorded in (Bochs|Qemu)|在 (Bochs|Qemu) 裡錄的", "", path.read_text())
    for name in ALL:
        assert comparable(other / name) == comparable(drawn / name)


def test_equal_recordings_give_equal_pictures(recorded, drawn, tmp_path):
    draw(recorded, tmp_path)
    for name in ALL:
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()


# ---- for everyone to read

def test_a_picture_needs_nothing_but_itself(picture):
    assert picture.tag == SVG + "svg" and picture.get("viewBox")
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= {
        "svg", "title", "desc", "style", "defs", "pattern", "path", "rect", "circle", "text"}
    for element in picture.iter():
        assert not [name for name in element.keys() if "href" in name or name.startswith("on")]
        for value in [*element.attrib.values(), element.text or ""]:
            assert set(re.findall(r"url\(.*?\)", value)) <= {"url(#hatch)"}
            assert "@import" not in value
    style = picture.find(SVG + "style").text
    assert set(re.findall(r"font-family: (.*?)[;}\s]", style)) == {"sans-serif", "monospace"}


def test_a_picture_says_in_words_what_it_shows(picture):
    names = [picture.find(SVG + tag) for tag in ("title", "desc")]
    assert all(element.text.strip() for element in names)
    assert picture.get("aria-labelledby").split() == [element.get("id") for element in names]


def colours(picture):
    """Light and dark: fill and stroke of each class."""
    light, dark = picture.find(SVG + "style").text.split("@media (prefers-color-scheme: dark) {")
    return [{name: dict(re.findall(r"(fill|stroke): (#\w{6})", rule))
             for name, rule in re.findall(r"^\.?([\w-]+) \{(.*)\}$", part, re.M)} for part in (light, dark)]


def luminance(colour):
    parts = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_both_colour_schemes_are_there_and_legible(picture):
    light, dark = colours(picture)
    assert light.keys() == dark.keys()
    assert luminance(light["paper"]["fill"]) > 0.9 > 0.1 > luminance(dark["paper"]["fill"])
    for scheme in (light, dark):
        grounds = [scheme[name]["fill"] for name in ("paper", "ring3", "ring0")]
        for text in ("text", "faint", "t-cpu", "t-gate", "t-esp0"):
            assert all(contrast(scheme[text]["fill"], ground) >= 4.5 for ground in grounds), text
        assert contrast(scheme["text"]["fill"], scheme["words-gate"]["fill"]) >= 7
        assert contrast(scheme["stop"]["fill"], scheme["on-ink"]["fill"]) >= 7


def test_without_colour_pattern_and_outline_still_tell_who_moved_a_word(picture):
    style = picture.find(SVG + "style").text
    assert ".words-cpu { fill: url(#hatch);" in style
    widths = {who: float(re.search(rf"\.outline-{who} .*stroke-width: ([\d.]+)px", style)[1])
              for who in ("cpu", "gate")}
    assert widths["cpu"] >= 2 * widths["gate"]


def size_of(picture, element):
    style = picture.find(SVG + "style").text
    of_class = dict(re.findall(r"^\.?([\w-]+) \{.*font-size: ([\d.]+)px", style, re.M))
    names = (element.get("class") or "").split()
    return float(next((of_class[name] for name in names if name in of_class), of_class["text"]))


def sizes(picture):
    """Text, and the least box that is sure to hold it, in fonts as wide as they come."""
    for element in picture.iter(SVG + "text"):
        names = (element.get("class") or "").split()
        size = size_of(picture, element)
        wide = 0.61 if "mono" in names else 0.68 if {"bold", "head", "title", "t-cpu"} & set(names) else 0.56
        width = size * sum(1 if ord(letter) > 0x2e7f else wide for letter in element.text)
        left = float(element.get("x")) - {"end": width, "middle": width / 2}.get(element.get("text-anchor"), 0)
        yield element.text, left, float(element.get("y")) - 0.72 * size, left + width, float(element.get("y"))


def test_no_text_is_cut_off_or_lies_on_another(picture):
    _, _, width, height = map(float, picture.get("viewBox").split())
    placed = list(sizes(picture))
    for text, left, top, right, bottom in placed:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height - 4, text
    for place, (text, left, top, right, bottom) in enumerate(placed):
        for other, left2, top2, right2, bottom2 in placed[:place]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top, f"{other} | {text}"


# ---- one picture for each design

COSTS = (ROOT / "docs/costs.md").read_text()


@pytest.mark.parametrize("sketch", designs.SKETCHES, ids=lambda sketch: sketch.name)
def test_a_design_s_picture_has_the_numbers_of_the_costs(sketch, drawn):
    row = [cell.strip() for cell in re.search(rf"^\| {sketch.name} .*", COSTS, re.M)[0].split("|")[2:]]
    picture = ElementTree.parse(drawn / designs.file_of(sketch)).getroot()
    kept = 4 * sum(part.words for part in sketch.parts)
    assert (row[0], row[2], row[3]) == (*sketch.numbers, str(kept))
    told = next(element.text for element in picture.iter() if element.get("data-numbers"))
    assert re.findall(r"\d+", told) == [number for number in (*sketch.numbers, str(kept)) if number.isdigit()]


def test_every_design_has_a_picture_that_the_page_shows():
    rows = re.findall(r"^\| \*\*(\w+)\*\* ", COSTS, re.M)
    assert set(rows) == {sketch.name for sketch in designs.SKETCHES}, "ringside/pictures/designs.py has one for each"
    for sketch in designs.SKETCHES:
        alt = re.search(rf"!\[([^\]]+)\]\(pictures/{designs.file_of(sketch)}\)", COSTS)[1]
        assert alt.startswith(f"{sketch.name}: ")


def test_designs_are_drawn_to_one_scale_and_fit_a_telephone(drawn):
    pictures = [ElementTree.parse(drawn / name).getroot() for name in DESIGNS]
    assert len({picture.get("viewBox") for picture in pictures}) == 1
    for picture, sketch in zip(pictures, designs.SKETCHES):
        assert picture.get("width") == "390"
        heights = [float(element.get("height")) for element in picture.iter(SVG + "rect")
                   if (element.get("class") or "").startswith("words-")][:-3]  # without the legend's
        assert sorted(heights) == sorted(5.0 * part.words for part in sketch.parts for _ in "AB")
        assert max(map(len, sketch.pointer)) <= 11, "it must not touch what is left and right of it"
        assert min(size_of(picture, element) for element in picture.iter(SVG + "text")) >= 13


# ---- docs/pictures

def shape(path):
    """A picture without its numbers in hexadecimal, which depend on the compiler."""
    def mask(text):
        return re.sub(r"\b(0x)?(?=\w*\d)[0-9a-f]{3,8}\b", "#", text or "")
    return [(element.tag, mask(element.text) if element.tag != SVG + "style" else element.text,
             {name: mask(value) if name.startswith("data-") else value for name, value in element.items()})
            for element in ElementTree.parse(path).getroot().iter()]


@pytest.mark.parametrize("name", ALL)
def test_docs_have_the_picture_that_is_drawn_now(name, drawn):
    assert shape(ROOT / "docs" / "pictures" / name) == shape(drawn / name), "make pictures draws it again"


def test_docs_have_no_other_pictures():
    pictures = ROOT / "docs" / "pictures"
    assert {str(path.relative_to(pictures)) for path in pictures.rglob("*.svg")} == {
        *ALL, "int-moving.svg", "rooms.svg", *(f"{language}/{one.NAME}.svg" for one in PICTURES for language in LANGUAGES)}


def test_without_a_recording_it_makes_its_own(drawn, tmp_path):
    done = run(RINGSIDE, "pictures", "--output", tmp_path / "a" / "b")
    assert done.returncode == 0, done.stderr
    for name in ALL:
        assert (tmp_path / "a" / "b" / name).read_bytes() == (drawn / name).read_bytes()
    for one in PICTURES:
        for language in LANGUAGES:
            path = pathlib.Path(language, f"{one.NAME}.svg")
            assert shape(ROOT / "docs" / "pictures" / path) == shape(tmp_path / "a" / "b" / path), "make pictures draws it again"


# ---- bad input

def refusal(path, folder):
    done = run(RINGSIDE, "pictures", "--recording", path, "--output", folder / "out")
    assert done.returncode == 1 and done.stdout == ""
    assert not (folder / "out").exists()
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_truncated_recording_is_named_with_its_line(recorded, tmp_path):
    lines = recorded.read_text().splitlines(keepends=True)
    (tmp_path / "cut.json").write_text("".join(lines[:40]))
    assert re.search(rf"{tmp_path}/cut.json:4[01]: not a whole recording", refusal(tmp_path / "cut.json", tmp_path))


def test_a_recording_of_another_version_is_named(recorded, tmp_path):
    other = {**json.loads(recorded.read_text()), "version": 99}
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert "version 99" in refusal(tmp_path / "other.json", tmp_path)


def test_no_recording_at_all(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.json", tmp_path)


def with_steps(recorded, path, change):
    whole = json.loads(recorded.read_text())
    whole["steps"] = change(whole["steps"])
    recording.save(whole, path)
    return path


def test_a_recording_that_ends_before_the_round_trip_does(recorded, tmp_path):
    path = with_steps(recorded, tmp_path / "short.json", lambda steps: steps[:-1])
    said = refusal(path, tmp_path)
    assert "4 of its 5 crossings" in said and "scripts/ringside record" in said


def test_a_recording_that_begins_at_the_iret(recorded, tmp_path):
    whole = recording.load(recorded)
    place = next(number for number, before, _, after in recording.walk(whole) if before["cpl"] != after["cpl"])
    whole["state"] = next(before for number, before, _, _ in recording.walk(whole) if number == place)
    whole["steps"] = whole["steps"][place:]
    recording.save(whole, tmp_path / "late.json")
    assert "step 0: the way between proc A's frame and" in refusal(tmp_path / "late.json", tmp_path)


def test_an_esp0_that_is_not_the_frames_end_is_not_drawn_as_if_it_were(recorded, tmp_path):
    whole = recording.load(recorded)
    whole["state"]["tss"] = {**whole["state"]["tss"], "esp0": whole["state"]["tss"]["esp0"] - 4}
    recording.save(whole, tmp_path / "wrong.json")
    assert "esp0 is not the end of proc A's frame" in refusal(tmp_path / "wrong.json", tmp_path)


def test_help_says_what_it_is():
    done = run(RINGSIDE, "pictures", "--help")
    assert done.returncode == 0 and "usage: scripts/ringside pictures" in done.stdout

"""The view of recordings: it shows what was recorded, wherever one comes from, and however one moves."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import INT, crossing

from ringside.emulators import machines
from ringside.recorder import programs, recording
from ringside.web import embed

VIEW = f"const view = document.querySelector('#first'); const INT = {INT};"

# A state as the view would show it: memory word by word, out of the run's history.
READ_OUT = """
const readOut = (run, n) => {
  const at = {step: n, access: 0}, s = run.states[n], base = run.base;
  const word = (address) => run.number(address, at);
  const table = (start, length) => Array.from({length}, (_, i) =>
    (word(start + 8 * i + 4).toString(16).padStart(8, "0") + word(start + 8 * i).toString(16).padStart(8, "0")));
  const out = {...s};
  out.gdt = table(base + run.symbols.gdt, s.gdt.length);
  out.idt = table(base + run.symbols.idt, s.idt.length);
  out.ldt = table(s.ldtr.base, s.ldt.length);
  out.tss = {ss0: word(base + run.symbols.tss + 8), esp0: word(base + run.symbols.tss + 4)};
  out.frames = Object.fromEntries(Object.entries(run.frames).map(([l, f]) => [l, f.words.map((_, i) => word(base + f.offset + 4 * i))]));
  out.stack = {linear: s.stack.linear, words: s.stack.words.map((_, i) => word(s.stack.linear + 4 * i))};
  return out;
};
const plain = (value) => JSON.stringify(value, (k, v) => typeof v === "bigint" ? String(v)
  : v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v);
"""


def names(runs, kind=None):
    return [run["name"] for run in runs if kind in (None, run["kind"])]


def test_all_runs_are_there(runs):
    on_the_floppy = {name for name in programs.on_the_floppy() if f"{name}.com" in (machines.ROOT / "floppy.img.in").read_text()}
    assert set(names(runs, "program")) == on_the_floppy and len(names(runs, "mistake")) == 6
    assert {"what-if-esp0", "what-if-lldt", "what-if-ebp", "what-if-trap", "what-if-iopl", "what-if-dpl"} <= set(names(runs, "what-if"))


def test_every_recording_comes_back_as_it_was_made_and_plays_both_ways_to_the_same_states(page, runs):
    page.open(page.site)
    for name in names(runs):
        found = page.run(READ_OUT + """
            const [name] = given;
            const { parse } = await import("./expand.js");
            const raw = parse(await (await fetch(`/raw/${name}.json`)).text());
            const run = await ringpong.runNamed(name);
            if (run.length !== raw.steps.length) return "another number of steps";
            const rest = (recording) => { const { sources, ...head } = recording; return head; };
            if (plain(rest(run.recording)) !== plain(rest(raw))) return "not the recording that was made";
            const states = [raw.state];
            for (const step of raw.steps) states.push({ ...states[states.length - 1], ...step.changes });
            const bad = [];
            for (let n = 0; n <= run.length; n++) if (plain(readOut(run, n)) !== plain(states[n])) bad.push(n);
            for (let n = run.length; n >= 0; n--) if (plain(readOut(run, n)) !== plain(states[n])) bad.push(n);
            return bad.slice(0, 5).join(" ");""", name)
        assert found == "", f"{name}: {found}"


def test_what_is_shown_depends_on_the_place_alone(page):
    """Forwards, backwards and by jumps the same."""
    page.open(page.site + f"#run=p_proc&step={INT - 7}")
    page.wait("return document.querySelector('#first').run")
    differences = page.run(VIEW + """
        const shown = () => view.querySelector(".rv-grid").innerHTML;
        const forwards = new Map();
        for (; view.at.step < INT + 75; view.move("access")) forwards.set(`${view.at.step}.${view.at.access}`, shown());
        const bad = [];
        while (view.at.step > INT - 7 || view.at.access) {
          view.move("accessBack");
          const place = `${view.at.step}.${view.at.access}`;
          if (shown() !== forwards.get(place)) bad.push(place);
        }
        view.go({step: 0, access: 0});
        view.go({step: INT, access: 6});
        if (shown() !== forwards.get(`${INT}.6`)) bad.push("by a jump");
        return [forwards.size, bad.slice(0, 5)];""")
    assert differences[0] > 100 and differences[1] == []


def test_the_five_words_go_into_the_frame_one_by_one_inside_one_int(page):
    page.open(page.site + "#run=p_proc")
    page.wait("return document.querySelector('#first').run")
    told = page.run(VIEW + """
        view.go({step: view.run.crossings[1], access: 0});
        const found = [];
        for (let i = 1; i <= 10; i++) {
          view.move("access");
          const current = view.querySelector(".rv-at .rv-go").innerText;
          const written = [...view.querySelectorAll(".rv-stack tr.rv-new th")].map((e) => e.textContent);
          found.push([current.trim(), written]);
        }
        return found;""")
    assert [written for _, written in told[:5]] == [[]] * 5
    assert [written for _, written in told[5:]] == [["ss"], ["esp"], ["eflags"], ["cs"], ["eip"]]
    assert "reads ss0 in the TSS" in told[2][0] and "pushes cs into A's frame" in told[8][0]


def test_the_cpus_way_through_page_tables_is_stops_of_their_own(page):
    """In front of the access for which it is made; the table of pages lights up."""
    page.open(page.site + "#run=paged")
    page.wait("return document.querySelector('#first').run")
    found = page.run(VIEW + """
        const { explain } = await import("./explain.js");
        const { run } = view;
        const walked = run.recording.steps.flatMap((step) => step.walks || []);
        const step = run.steps.find((one) => /^addl/.test(one.text) && one.accesses.length > 6);
        const texts = step.accesses.map((_, i) => explain(run, step, i).text);
        view.go({step: step.number, access: texts.findIndex((text) => /page-table entry/.test(text)) + 1});
        const lit = view.querySelectorAll(".rv-pages td.rv-read").length;
        const stops = run.steps.flatMap((one) => one.accesses.filter(([kind]) => /^entry/.test(kind)));
        return [walked.length, stops.length, texts, lit, view.querySelector(".rv-say").textContent];""")
    walked, stops, texts, lit, said = found
    assert walked == stops > 50 and lit == 1
    assert [text.split(" of ")[0] for text in texts] == [
        "reads the page-directory entry", "reads the page-table entry", "marks the page-directory entry", "marks the page-table entry",
        "reads the page-directory entry", "reads the page-table entry", "marks the page-table entry",
        "reads address 8049004", "writes address 8049004"]
    assert "reads the page-table entry of 08048000, where the instruction lies. Checked: P 1: present holds; U/S 1: ring 3 may holds" in said


def test_every_check_that_is_drawn_holds_but_the_one_that_fails(page, runs):
    """In healthy runs no check fails; where something is refused, the check that refuses it does."""
    page.open(page.site)
    found = page.run("""
        const { explain } = await import("./explain.js");
        const found = {};
        for (const name of given[0]) {
          const run = await ringpong.runNamed(name);
          found[name] = [];
          for (const step of run.steps) step.accesses.forEach((_, i) => {
            for (const { text, ok } of explain(run, step, i).checks) if (!ok) found[name].push(text);
          });
        }
        return found;""", names(runs))
    for name in names(runs, "program"):
        assert found[name] == [], name
    assert found["mistake-3"] == ["CPL 3 ≤ gate DPL 0"]
    assert found["what-if-dpl"][0] == "CPL 3 ≤ gate DPL 0"


def test_deep_links_open_every_run(page, runs):
    for run in runs:
        last = len(run["packed"]["steps"]) - 1
        for place in (str(run["open"]), str(last)):
            page.open(f"{page.site}#run={run['name']}&step={place}")
            page.wait("return document.querySelector('#first').run")
            assert page.execute_script("return document.querySelector('[data-jump]').value") == place
            assert page.execute_script("return document.querySelector('.step-message').hidden")
    page.open(f"{page.site}#run=p_proc&step={INT}.9&lang=en")
    page.wait("return document.querySelector('#first').run")
    assert page.execute_script("return document.querySelector('[data-jump]').value") == f"{INT}.9"
    assert page.execute_script("return location.hash") == f"#run=p_proc&step={INT}.9&lang=en"


@pytest.mark.parametrize("address, sentence", [
    ("run=none&step=3", 'There is no run "none" on this page'),
    ("run=p_proc&step=99999", '"99999" is no step of'),
    ("run=p_proc&step=x", '"x" is no step of'),
])
def test_a_wrong_address_gets_a_sentence(page, address, sentence):
    page.open(f"{page.site}#{address}")
    page.wait("return !document.querySelector('.step-message').hidden")
    assert sentence in page.execute_script("return document.querySelector('.step-message').textContent")


def test_keys_and_buttons_do_the_same(page):
    page.open(page.site + f"#run=p_proc&step={INT}.4")
    page.wait("return document.querySelector('#first').run")
    found = page.run(VIEW + """
        const keys = {Home: "first", "[": "crossingBack", ArrowLeft: "back", ",": "accessBack", ".": "access", ArrowRight: "forward", "]": "crossing", End: "last"};
        const found = [];
        for (const [key, name] of Object.entries(keys)) {
          view.go({step: INT, access: 4});
          const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
          document.body.dispatchEvent(event);
          const byKey = JSON.stringify(view.at);
          view.go({step: INT, access: 4});
          view.querySelector(`[data-move="${name}"]`).click();
          found.push([key, byKey, JSON.stringify(view.at), event.defaultPrevented]);
        }
        return found;""")
    places = {key: json.loads(by_key) for key, by_key, _, _ in found}
    assert all(by_key == by_button and prevented for _, by_key, by_button, prevented in found)
    assert places["."] == {"step": INT, "access": 5} and places[","] == {"step": INT, "access": 3}
    assert places["ArrowRight"]["step"] == INT + 1 and places["]"]["step"] > INT + 20 and places["["] == {"step": INT, "access": 0}


def test_it_plays_at_three_speeds_and_stops(page):
    page.open(page.site + "#run=p_proc&step=300")
    page.wait("return document.querySelector('#first').run")
    page.execute_script(VIEW + "view.querySelector('[data-speed]').value = 'fast'; view.querySelector('[data-move=play]').click()")
    page.wait("return document.querySelector('#first').at.step > 303")
    page.execute_script(VIEW + "view.querySelector('[data-move=play]').click()")
    stopped = page.execute_script(VIEW + "return view.at.step")
    page.run("await new Promise((next) => setTimeout(next, 400))")
    assert page.execute_script(VIEW + "return view.at.step") == stopped
    assert page.execute_script(VIEW + "return [...view.querySelector('[data-speed]').options].length") == 3


def test_a_task_switch_is_grouped_and_opens(page):
    page.open(page.site + "#run=hwtask")
    page.wait("return document.querySelector('#first').run")
    folded, opened = page.run(VIEW + """
        view.go({step: view.run.crossings[1], access: 0});
        const count = () => view.querySelectorAll('[data-part="accesses"] .rv-go').length;
        const folded = count();
        view.querySelectorAll(".rv-group").forEach(() => 0);
        for (let i = 0; i < view.querySelectorAll(".rv-group").length; i++) {
          const group = view.querySelectorAll(".rv-group")[i];
          if (group.getAttribute("aria-expanded") === "false") group.click();
        }
        return [folded, count()];""")
    assert folded < 10 and opened == 44


def test_a_call_through_a_gate_is_told_word_by_word(page):
    page.open(page.site + "#run=callgate")
    page.wait("return document.querySelector('#first').run")
    texts = page.run(VIEW + """
        const { explain } = await import("./explain.js");
        const step = view.run.steps[view.at.step];
        return step.accesses.map((_, i) => explain(view.run, step, i).text);""")
    assert texts[0].startswith("reads the call gate: GDT entry 8 leads to 0008:") and texts[2].startswith("reads ss0 in the TSS")
    assert [text.removesuffix(" into A's frame") for text in texts[5:]] == [
        "pushes ss", "pushes esp", "reads a parameter on the old stack: 00000001", "pushes a parameter", "pushes cs", "pushes eip"]


def test_every_access_of_a_task_switch_lights_a_row(page):
    """In the procs' TSSs, in ring 0's, in the GDT or in the IDT: what is read or written is seen."""
    page.open(page.site + "#run=hwtask")
    page.wait("return document.querySelector('#first').run")
    dark, current = page.run(VIEW + """
        const dark = [];
        view.go({step: view.run.crossings[1], access: 0});
        const { length } = view.run.steps[view.at.step].accesses;
        for (let i = 0; i < length; i++) {
          view.move("access");
          if (!view.querySelector("[data-panel=stacks] .rv-read, [data-panel=stacks] .rv-new, [data-panel=tables] .rv-read, [data-panel=tables] .rv-new")) {
            dark.push(view.at.access);
          }
        }
        view.go({step: view.at.step, access: 30});
        const [list, now] = ["[data-part=accesses]", "[aria-current=step]"].map((s) => view.querySelector(s).getBoundingClientRect());
        return [dark, list.top <= now.top && now.bottom <= list.bottom];""")
    assert dark == [] and current


def test_predict_mode_asks_and_then_shows(page):
    page.open(page.site + f"#run=p_proc&step={INT}.5")
    page.wait("return document.querySelector('#first').run")
    page.execute_script(VIEW + "view.querySelector('[data-predict]').click(); view.querySelector('[data-move=access]').click()")
    choices = page.execute_script(VIEW + "return [...view.querySelectorAll('[data-answer]')].map((b) => b.textContent)")
    assert len(choices) == 4 and choices.count("pushes ss into A's frame") == 1
    assert page.execute_script(VIEW + "return view.at.access") == 5
    wrong = next(i for i, choice in enumerate(choices) if "pushes ss" not in choice)
    page.execute_script(VIEW + f"view.querySelectorAll('[data-answer]')[{wrong}].click()")
    assert page.execute_script(VIEW + "return [view.at.access, view.querySelector('.rv-ask').textContent]") == \
        [6, "Not quite: pushes ss into A's frame. 0 of 1 so far."]
    page.execute_script(VIEW + "view.querySelector('[data-move=access]').click();"
                        "[...view.querySelectorAll('[data-answer]')].find((b) => b.textContent === \"pushes esp into A's frame\").click()")
    assert page.execute_script(VIEW + "return [view.at.access, view.querySelector('.rv-ask').textContent]") == \
        [7, "Right: pushes esp into A's frame. 1 of 2 so far."]


def test_two_runs_go_side_by_side_crossing_by_crossing(page):
    page.open(page.site + f"#run=p_proc&step={INT}&beside=kstack")
    page.wait("return document.querySelector('#second').run")
    found = page.run(VIEW + """
        const other = document.querySelector("#second");
        const found = [];
        for (let i = 0; i < 4; i++) {
          found.push([view.run.crossings.indexOf(view.at.step), other.run.crossings.indexOf(other.at.step)]);
          view.move("crossing");
        }
        view.go({step: view.run.crossings[1], access: 6});
        found.push([view.at.access, other.at.access]);
        return found;""")
    assert found == [[1, 1], [2, 2], [3, 3], [4, 4], [6, 6]]


def test_the_view_is_copied_as_an_svg_that_stands_alone(page):
    page.open(page.site + f"#run=p_proc&step={INT}.9")
    page.wait("return document.querySelector('#first').run")
    svg = page.run("const { toSvg } = await import('./picture.js'); return toSvg(document.querySelector('#first .rv-grid'))")
    root = ElementTree.fromstring(svg)
    text = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
    for expected in ("int $0x30", "A's frame", "00000297", "RING0_CODE", "esp0"):
        assert expected in text
    assert "href" not in svg and "<script" not in svg


def test_a_page_of_one_recording_steps_through_it(page, tmp_path):
    """scripts/ringside view, and the same as a frame inside another page."""
    recorded = recording.load(machines.BUILD / "web-runs/kstack.json")
    (tmp_path / "own.html").write_text(embed.page(recorded, "mine", "3.1"))
    page.open((tmp_path / "own.html").as_uri(), "return document.documentElement.dataset.ready")
    assert page.execute_script("const view = document.querySelector('ring-view'); view.move('access'); return [view.at.step, view.run.length]") == [
        4, len(recorded["steps"])]
    (tmp_path / "outer.html").write_text(f"<!DOCTYPE html><title>outer</title><p>told</p>{embed.frame(recorded, 'mine', '3.1')}")
    page.open((tmp_path / "outer.html").as_uri(), "return document.querySelector('iframe')")
    page.switch_to.frame(0)
    page.wait("return document.documentElement.dataset.ready")
    assert "Step 3" in page.execute_script("return document.querySelector('.rv-say').textContent")
    page.switch_to.default_content()


def test_the_view_speaks_chinese_and_english(page, runs):
    """By the address and by the button; no English sentence is left, in whatever run."""
    page.open(page.site + f"#run=p_proc&step={INT}.9&lang=zh-TW")
    page.wait("return document.querySelector('#first').run")
    said, label, lang = page.execute_script(VIEW + """return [view.querySelector(".rv-say").textContent,
        view.querySelector("[data-move=forward]").getAttribute("aria-label"), document.documentElement.lang]""")
    assert said.startswith(f"第 {INT} 步，ring 3，proc A，proc_a_int：int $0x30；第 9 次存取，共 10 次：把 cs 壓入 A 的 frame")
    assert (label, lang) == ("下一條指令", "zh-Hant-TW")
    left = page.run("""
        const { explain, sentence } = await import("./explain.js");
        const english = /\\b(reads?|writes?|pushe?s|pops|marks|saves|loads|Step|access(es)?|the|of|in|holds|fails|entry|frame's|into|from|Checked)\\b/;
        const left = new Set();
        for (const name of given[0]) {
          const run = await ringpong.runNamed(name);
          for (const step of run.steps) for (let access = 0; access <= step.accesses.length; access++) {
            const said = sentence(run, {step: step.number, access}).replace(step.text, "").replace(step.symbol, "");
            if (english.test(said)) left.add(said);
          }
        }
        return [...left].slice(0, 5);""", names(runs))
    assert left == []
    shown = page.execute_script(VIEW + "return view.innerText")
    assert "保護模式" in shown and "描述符" in shown and "的堆疊" in shown and " stack" not in shown and "accesses" not in shown
    page.execute_script("document.querySelector('[data-language]').click()")
    page.wait("return /^Step/.test(document.querySelector('#first .rv-say').textContent)")
    assert page.execute_script("return location.hash").endswith("lang=en")
    assert page.execute_script(VIEW + "return [view.at, view.querySelector('[data-tab=what]').textContent]") == [
        {"step": INT, "access": 9}, "Instruction"]


def drop(page, name, content):
    page.run("const [name, content] = given; await ringpong.take(new File([content], name)); await new Promise((next) => setTimeout(next, 200))",
             name, content)
    return page.execute_script("return document.querySelector('.step-message').textContent")


def test_a_recording_can_be_dropped(page, runs):
    length = next(len(run["packed"]["steps"]) for run in runs if run["name"] == "p_proc")
    page.open(page.site + "#run=timer")
    page.wait("return document.querySelector('#first').run")
    raw = page.run("return await (await fetch('/raw/p_proc.json')).text()")
    assert drop(page, "mine.json", raw) == ""
    assert page.execute_script(VIEW + "return [view.run.name, view.run.length]") == ["own-mine.json", length]


@pytest.mark.parametrize("name, content, sentence", [
    ("a.json", '{"format": "ringpong recording", ', "it is not JSON"),
    ("a.json", '{"format": "else"}', 'its "format" says something else'),
    ("a.json", '{"format": "ringpong recording", "version": 1}', "version 1, which this page does not know"),
    ("a.json", '{"format": "ringpong recording", "version": 3, "state": {}, "steps": []}', "has no steps"),
    ("a.json", '{"format": "ringpong recording", "version": 3, "state": {"eax": 1}, "steps": [{}]}', "first state"),
    ("a.txt", "hello", "is no recording"),
])
def test_what_is_no_recording_is_refused_with_a_sentence(page, name, content, sentence):
    page.open(page.site + "#run=timer")
    page.wait("return document.querySelector('#first').run")
    assert sentence in drop(page, name, content)
    assert page.execute_script(VIEW + "return view.run.name") == "timer"


@pytest.mark.parametrize("run", ["hwtask", "paged"])
def test_a_redraw_takes_less_than_16_ms(page, run):
    """Of the processor's time, whatever else the machine does: for script, style and layout."""
    page.open(page.site + f"#run={run}&step={crossing(run) - 10}")
    page.wait("return document.querySelector('#first').run")
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    used = []
    for move in range(2):
        metrics = {one["name"]: one["value"] for one in page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
        used.append(sum(metrics[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")))
        if not move:
            page.run(VIEW + """
                for (let i = 0; i < 100; i++) {
                  view.move("access");
                  await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
                }""")
    page.execute_cdp_cmd("Performance.disable", {})
    assert 0 < 1000 * (used[1] - used[0]) / 100 < 16


def test_nothing_is_asked_of_the_network_once_all_is_there(page):
    page.open(page.site + f"#run=p_proc&step={INT}")
    page.wait("return document.querySelector('#first').run")
    asked = page.run(VIEW + """
        const before = performance.getEntriesByType("resource").length;
        for (let i = 0; i < 30; i++) view.move("access");
        await ringpong.take(new File(["x"], "a.txt"));
        location.hash = "run=kstack&step=3";
        await new Promise((next) => setTimeout(next, 500));
        let refused = false;
        try { await fetch("https://example.org/"); } catch (error) { refused = true; }
        return [performance.getEntriesByType("resource").slice(before).map((e) => e.name).filter((name) => !name.includes("example.org")), refused];""")
    assert asked == [[], True]
    page.get_log("browser")     # of the refusal


def test_each_step_is_said_in_a_sentence(page):
    page.open(page.site + f"#run=p_proc&step={INT}.2")
    page.wait("return document.querySelector('#first').run")
    said = page.execute_script(VIEW + "return view.querySelector('.rv-say').textContent")
    assert said.startswith(f"Step {INT}, ring 3, proc A, proc_a_int: int $0x30; access 2 of 10: reads the descriptor of the handler's cs")

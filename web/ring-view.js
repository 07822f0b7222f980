// <ring-view>: time travel over a recording.
//
//   view.show(run)          a Run; view.go({step, access}); view.at
//   <ring-view run="p_proc" step="337.4">   fetched through the page's library (library.js)
//
// It tells of each move by an event "move". Keys count while the view, or the page, has the focus.

import { drawAccesses, drawCode, drawHead } from "./code.js";
import { exceptionOf, explain, sentence } from "./explain.js";
import { escape, icon } from "./icons.js";
import { language, t } from "./language.js";
import { question } from "./predict.js";
import { drawRegisters, drawTables } from "./registers.js";
import { drawStacks } from "./stacks.js";
import { drawStrip, moveCursor } from "./strip.js";
import { toSvg } from "./picture.js";

const SPEEDS = { slow: 1200, normal: 400, fast: 90 };   // milliseconds a stop
const BUTTONS = () => [["first", "Home", t("to the beginning")], ["crossingBack", "[", t("crossing back")], ["back", "←", t("instruction back")],
  ["accessBack", ",", t("access back")], ["play", t("space"), t("play")], ["access", ".", t("next access")], ["forward", "→", t("next instruction")],
  ["crossing", "]", t("next crossing")], ["last", "End", t("to the end")]];
const KEYS = { Home: "first", "[": "crossingBack", ArrowLeft: "back", ",": "accessBack", " ": "play", ".": "access",
  ArrowRight: "forward", "]": "crossing", End: "last" };
const TABS = () => [["what", t("Instruction")], ["stacks", t("Stacks")], ["registers", t("Registers")], ["tables", t("Tables")]];

export const writePlace = (at) => at.access ? `${at.step}.${at.access}` : String(at.step);

export function readPlace(text, run) {
  const [, step, access] = /^(\d+)(?:\.(\d+))?$/.exec(String(text).trim()) || [];
  if (step === undefined || Number(step) > run.length) return null;
  const most = Number(step) < run.length ? run.steps[step].accesses.length : 0;
  return { step: Number(step), access: Math.min(Number(access || 0), most) };
}

export class RingView extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.opened = new Set();
    this.drawn = new Map(); // what each part shows, so that only what has changed is drawn again
    this.predicting = false;
    this.classList.add("rv");
    this.tabIndex = 0;
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", t("a recording, step by step"));
    this._furnish();
    this.addEventListener("click", (event) => this._click(event));
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("change", (event) => this._change(event));
    if (this.run) this.show(this.run, this.at);
  }

  /** All that stays while one moves, in the language of the day. */
  _furnish() {
    this.spoken = language();
    this.drawn.clear();
    this.innerHTML = `<div class="rv-top"><div class="rv-stripbox" role="slider" tabindex="0" aria-label="${t("time")}" aria-valuemin="0"></div>
      <div class="rv-lanes" aria-hidden="true"><span>A</span><span>0</span><span>B</span></div></div>
      <div class="rv-bar" role="toolbar" aria-label="${t("move")}">${BUTTONS().map(([name, key, title]) =>
        `<button type="button" data-move="${name}" title="${title} (${key})" aria-label="${title}">${icon(name)}</button>`).join("")}
      <label class="rv-speed">${t("speed")} <select data-speed><option value="slow">${t("slow")}</option><option value="normal" selected>${t("normal")}</option><option value="fast">${t("fast")}</option></select></label>
      <label>${t("step")} <input data-jump inputmode="decimal" size="7" autocomplete="off"></label> <span class="rv-of"></span>
      <span class="rv-grow"></span><label class="rv-check"><input type="checkbox" data-predict> ${t("predict")}</label>
      <button type="button" data-copy>${t("copy as SVG")}</button><button type="button" data-print>${t("print")}</button></div>
      <div class="rv-ask" hidden></div>
      <div class="rv-tabs" role="tablist">${TABS().map(([name, title], i) =>
        `<button type="button" role="tab" data-tab="${name}" aria-selected="${i === 0}">${title}</button>`).join("")}</div>
      <div class="rv-grid" data-shown="what"><section data-panel="what"><h2 class="rv-hidden">${t("Instruction")}</h2><div data-part="head"></div><div data-part="accesses" tabindex="0" role="group" aria-label="${t("accesses of the instruction")}"></div><div data-part="code"></div></section>
      <section data-panel="stacks"><h2 class="rv-hidden">${t("Stacks")}</h2><div data-part="stacks" tabindex="0" role="group" aria-label="${t("frames and stacks")}"></div></section>
      <section data-panel="registers"><h2 class="rv-hidden">${t("Registers")}</h2><div data-part="registers" tabindex="0" role="group" aria-label="${t("Registers")}"></div></section>
      <section data-panel="tables"><h2 class="rv-hidden">${t("Tables")}</h2><div data-part="tables" tabindex="0" role="group" aria-label="${t("the CPU's tables")}"></div></section></div>
      <p class="rv-say rv-hidden" aria-live="polite"></p>`;
    const strip = this.querySelector(".rv-stripbox");
    strip.addEventListener("pointerdown", (event) => { strip.setPointerCapture(event.pointerId); this._scrub(event, strip); });
    strip.addEventListener("pointermove", (event) => { if (event.buttons) this._scrub(event, strip); });
  }

  /** After the page has changed its language. */
  translate() {
    if (!this.ready || this.spoken === language()) return;
    const { shown } = this.querySelector(".rv-grid").dataset;
    this._furnish();
    this.querySelector("[data-predict]").checked = this.predicting;
    this._tab(shown);
    if (this.run) this.show(this.run, this.at);
  }

  disconnectedCallback() {
    this.stop();
  }

  /** Shows a run, from a place on: its first crossing unless given. */
  show(run, at) {
    this.stop();
    this.run = run;
    this.opened = new Set();
    this.at = at || { step: run.crossings[1] || run.crossings[0] || 0, access: 0 };
    if (!this.ready) return;
    this.setAttribute("aria-label", this.id === "second" ? t("{0}, step by step, beside the other", t(run.title)) : t("{0}, step by step", t(run.title)));
    this.querySelector(".rv-stripbox").innerHTML = drawStrip(run);
    this.querySelector(".rv-stripbox").setAttribute("aria-valuemax", run.length);
    this.querySelector(".rv-of").textContent = t("of {0}", run.length);
    this.draw();
  }

  go(at, quiet = false) {
    const run = this.run;
    const step = Math.max(0, Math.min(at.step, run.length));
    this.at = { step, access: step < run.length ? Math.max(0, Math.min(at.access, run.steps[step].accesses.length)) : 0 };
    this.draw();
    if (!quiet) this.dispatchEvent(new CustomEvent("move", { bubbles: true, detail: this.at }));
  }

  /** Where a move leads from here. */
  target(move) {
    const { run, at } = this;
    const { step, access } = at;
    const count = step < run.length ? run.steps[step].accesses.length : 0;
    const previous = step ? run.steps[step - 1].accesses.length : 0;
    switch (move) {
      case "first": return { step: 0, access: 0 };
      case "last": return { step: run.length, access: 0 };
      case "back": return access ? { step, access: 0 } : { step: step - 1, access: 0 };
      case "forward": return { step: step + 1, access: 0 };
      case "accessBack": return access ? { step, access: access - 1 } : { step: step - 1, access: previous };
      case "access": return access < count ? { step, access: access + 1 } : { step: step + 1, access: 0 };
      case "crossing": return { step: run.crossings.find((number) => number > step) ?? run.length, access: 0 };
      case "crossingBack": return { step: run.crossings.filter((number) => number < step || (number === step && access)).pop() ?? 0, access: 0 };
      default: return at;
    }
  }

  move(name) {
    if (name === "play") {
      if (this.timer) this.stop();
      else this.play();
      return;
    }
    if (this.predicting && name === "access" && this._ask()) return;
    this._unask();
    this.go(this.target(name));
  }

  /** Plays on: inside int, iret, lldt and task switches access by access, elsewhere by instructions. */
  play() {
    if (this.at.step >= this.run.length) this.go({ step: 0, access: 0 });
    const next = () => {
      const step = this.run.steps[this.at.step];
      const inside = step && (step.kind.name !== "plain" || step.kind.task) && step.accesses.length;
      this.go(this.target(inside ? "access" : "forward"));
      if (this.at.step >= this.run.length) this.stop();
      else this.timer = setTimeout(next, SPEEDS[this.querySelector("[data-speed]").value]);
    };
    this.timer = setTimeout(next, 0);
    this._playing(true);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.ready) this._playing(false);
  }

  _playing(on) {
    const button = this.querySelector('[data-move="play"]');
    button.innerHTML = icon(on ? "pause" : "play");
    button.setAttribute("aria-label", on ? t("pause") : t("play"));
  }

  /** A key that the view knows moves it; true if it was one. */
  key(event) {
    const field = event.target.closest && event.target.closest("input, select, textarea");
    if (field && field.type !== "checkbox" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
    const name = KEYS[event.key];
    if (!name || !this.run) return false;
    if (event.key === " " && event.target.closest("button, summary, input")) return false;
    event.preventDefault();
    this.move(name);
    return true;
  }

  _click(event) {
    const button = event.target.closest("button");
    const mark = event.target.closest(".rv-mark");
    if (mark) return this.go({ step: Number(mark.dataset.step), access: 0 });
    if (!button) return undefined;
    const { move, access, group, tab, answer } = button.dataset;
    if (move) this.move(move);
    else if (access) this.go({ step: this.at.step, access: Number(access) });
    else if (group) this._open(group);
    else if (tab) this._tab(tab);
    else if (answer) this._answer(button);
    else if ("copy" in button.dataset) this._copy(button);
    else if ("print" in button.dataset) window.print();
    return undefined;
  }

  _change(event) {
    const { target } = event;
    if ("jump" in target.dataset) {
      const at = readPlace(target.value, this.run);
      target.setAttribute("aria-invalid", String(!at));
      if (at) this.go(at);
    } else if ("predict" in target.dataset) {
      this.predicting = target.checked;
      this._unask();
    }
  }

  _scrub(event, box) {
    const { left, width } = box.getBoundingClientRect();
    const step = Math.round((event.clientX - left) / width * this.run.length);
    const near = this.run.crossings.find((number) => Math.abs(number + 1 - step) * width / this.run.length < 5);
    this.go({ step: near ?? step, access: 0 });
  }

  _open(group) {
    if (this.opened.has(group)) this.opened.delete(group);
    else this.opened.add(group);
    this.draw();
  }

  _tab(name) {
    this.querySelector(".rv-grid").dataset.shown = name;
    for (const tab of this.querySelectorAll("[data-tab]")) tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
  }

  /** Asks for the next access; false if there is none. */
  _ask() {
    const step = this.run.steps[this.at.step];
    if (!step || this.at.access >= step.accesses.length) return false;
    const box = this.querySelector(".rv-ask");
    const asked = question(this.run, step, this.at.access);
    this.right = asked.right;
    box.hidden = false;
    box.innerHTML = `<p>${t("Which word next, and where?")}</p>${asked.choices.map((text, i) =>
      `<button type="button" data-answer="${i + 1}">${escape(text)}</button>`).join("")}<p class="rv-verdict" role="status"></p>`;
    box.querySelector("button").focus();
    return true;
  }

  _answer(button) {
    const good = Number(button.dataset.answer) === this.right + 1;
    const told = explain(this.run, this.run.steps[this.at.step], this.at.access);
    this.asked = (this.asked || 0) + 1;
    this.guessed = (this.guessed || 0) + Number(good);
    this.go(this.target("access"));
    const box = this.querySelector(".rv-ask");
    box.innerHTML = `<p class="${good ? "rv-ok" : "rv-bad"}" role="status">${escape(good ? t("Right: {0}.", told.text) : t("Not quite: {0}.", told.text))} ${t("{0} of {1} so far.", this.guessed, this.asked)}</p>`;
    box.hidden = false;
    this.focus({ preventScroll: true });
  }

  _unask() {
    this.querySelector(".rv-ask").hidden = true;
  }

  async _copy(button) {
    const svg = toSvg(this.querySelector(".rv-grid"));
    try {
      await navigator.clipboard.writeText(svg);
      button.textContent = t("copied");
    } catch (error) {
      // Not allowed, as from a file: then it is saved.
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
      link.download = `${this.run.name}-${writePlace(this.at)}.svg`;
      link.click();
      URL.revokeObjectURL(link.href);
      button.textContent = t("saved");
    }
    this.copied = svg;
    setTimeout(() => { button.textContent = t("copy as SVG"); }, 1500);
  }

  draw() {
    const { run, at } = this;
    const step = run.steps[at.step];
    const access = step && at.access ? explain(run, step, at.access - 1) : null;
    const focused = document.activeElement && this.contains(document.activeElement) && document.activeElement.dataset;
    // All is read of the page before anything is written to it: so it is laid out once.
    const scrolled = new Map([...this.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part.scrollTop]));
    const part = (name, html) => {
      const element = this.querySelector(`[data-part="${name}"]`);
      if (this.drawn.get(name) !== html) element.innerHTML = html;
      this.drawn.set(name, html);
      return element;
    };
    part("head", drawHead(run, at));
    const list = part("accesses", drawAccesses(run, at, this.opened));
    part("code", drawCode(run, at));
    part("stacks", drawStacks(run, at));
    part("registers", drawRegisters(run, at));
    part("tables", drawTables(run, at, access));
    for (const [name, top] of scrolled) if (top) this.querySelector(`[data-part="${name}"]`).scrollTop = top;
    const current = list.querySelector('[aria-current="step"]');
    if (current && list.scrollHeight > list.clientHeight) list.scrollTop += current.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 3;
    if (focused && (focused.access || focused.group)) {
      const again = this.querySelector(focused.group ? `[data-group="${focused.group}"]` : `[data-access="${at.access}"]`);
      if (again) again.focus({ preventScroll: true });
    }
    moveCursor(this.querySelector(".rv-strip"), run, at);
    const strip = this.querySelector(".rv-stripbox");
    strip.setAttribute("aria-valuenow", at.step);
    const said = sentence(run, at);
    strip.setAttribute("aria-valuetext", said);
    if (!this.timer) this.querySelector(".rv-say").textContent = said;
    const jump = this.querySelector("[data-jump]");
    if (document.activeElement !== jump) jump.value = writePlace(at);
  }
}

if (!customElements.get("ring-view")) customElements.define("ring-view", RingView);
export { exceptionOf };

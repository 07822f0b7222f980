// The page: which part of it is shown, what its address says, and what may be dropped on it.
//
//   #                        the front page
//   #run=p_proc&step=337.4   the view; &beside=kstack: with a second run
//   #play                    the live machine
//   ...&lang=zh-TW, &theme=dark, &projector: in addition

import { BadRecording, FORMAT, parse } from "./expand.js";
import { language, later, setLanguage, t } from "./language.js";
import { keep, library, runNamed } from "./library.js";
import { openLive } from "./live.js";
import { readPlace, RingView, writePlace } from "./ring-view.js";
import { Run } from "./run.js";

const $ = (selector) => document.querySelector(selector);
const FIRST = "p_proc";

function say(text) {
  const box = $(".step-message");
  box.hidden = !text;
  box.textContent = text || "";
}

// ---- colours, size

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("[data-theme-switch]").setAttribute("aria-pressed", String(theme === "dark"));
}

function setProjector(on) {
  document.body.classList.toggle("projector", on);
  $("[data-projector]").setAttribute("aria-pressed", String(on));
}

// ---- the language: that of the address, of the button, of the browser

let chosen = "";

function speak(wanted) {
  if (!setLanguage(wanted)) return;
  document.documentElement.lang = language() === "en" ? "en" : "zh-Hant-TW";
  translatePage();
  for (const view of document.querySelectorAll("ring-view")) view.translate();
}

/** Text and titles of the page's own: data-t, data-t-title; the English ones are kept. */
function translatePage() {
  for (const one of document.querySelectorAll("[data-t]")) {
    one.dataset.t = one.dataset.t || one.textContent.trim();
    one.textContent = t(one.dataset.t);
  }
  for (const one of document.querySelectorAll("[data-t-title]")) {
    one.title = t(one.dataset.tTitle);
    if (one.tagName === "BUTTON") one.setAttribute("aria-label", one.title);
  }
  const button = $("[data-language]");
  [button.textContent, button.lang] = language() === "en" ? ["正體中文", "zh-Hant-TW"] : ["English", "en"];
  for (const option of document.querySelectorAll("#which option, #which-second option")) option.textContent = t(option.dataset.title);
  for (const group of document.querySelectorAll("optgroup")) group.label = t(group.dataset.title);
}

const option = (run) => {
  const made = new Option(t(run.title), run.name);
  made.dataset.title = run.title;
  return made;
};

// ---- the address

const address = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

function writeAddress() {
  const view = $("#first");
  if (!view.run) return;
  const { lang, theme } = address();
  const words = [`run=${encodeURIComponent(view.run.name)}`, `step=${writePlace(view.at)}`];
  if (!$("#second-box").hidden && $("#second").run) words.push(`beside=${encodeURIComponent($("#second").run.name)}`);
  if (lang) words.push(`lang=${lang}`);
  if (theme) words.push(`theme=${theme}`);
  history.replaceState(null, "", `#${words.join("&")}`);
}

async function route() {
  const words = address();
  const part = "run" in words ? "step" : "play" in words ? "play" : "front";
  for (const name of ["front", "step", "play"]) $(`#${name}`).hidden = name !== part;
  for (const link of document.querySelectorAll(".site-head nav a")) {
    if (link.dataset.part === part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  chosen = words.lang || chosen;
  speak(chosen || navigator.language);
  if (words.theme === "dark" || words.theme === "light") setTheme(words.theme);
  setProjector("projector" in words);
  if ("learn" in words) $("#front .tour").open = true;
  if (part === "step") await showStep(words);
  if (part === "play") openLive($("#play"), showRecorded, words);
  else openLive.pause();
}

async function showStep({ run: name, step, beside }) {
  let run = await runNamed(name);
  say("");
  if (!run) {
    say(t('There is no run "{0}" on this page; here is {1}.', name, FIRST));
    run = await runNamed(FIRST);
  }
  await fillSelect();
  const at = step === undefined ? run.about.open === undefined ? undefined : { step: run.about.open, access: 0 } : readPlace(step, run);
  if (step !== undefined && !at) say(t('"{0}" is no step of {1}, which has {2}.', step, t(run.title), run.length));
  const view = $("#first");
  if (view.run === run && at) view.go(at, true);
  else view.show(run, at || undefined);
  $("#which").value = run.name;
  $("#step .about").textContent = $("#step .about").title = t(run.about.about || "");
  const second = beside ? await runNamed(beside) : null;
  if (beside && !second) say(t('There is no run "{0}" on this page.', beside));
  await pair(second);
}

async function fillSelect() {
  const select = $("#which");
  if (select.dataset.filled) return;
  select.dataset.filled = "yes";
  const { runs } = await library();
  const groups = { program: later("programs"), mistake: later("mistakes of ring 3"), "what-if": later("what if ...?"), own: later("your own") };
  for (const box of [select, $("#which-second")]) {
    for (const [kind, title] of Object.entries(groups)) {
      const group = document.createElement("optgroup");
      group.label = t(title);
      group.dataset.title = title;
      group.dataset.kind = kind;
      for (const run of runs.filter((one) => one.kind === kind)) group.append(option(run));
      box.append(group);
    }
  }
}

/** Shows a second run beside the first, or none. */
async function pair(run) {
  $("#step .views").classList.toggle("pair", Boolean(run));
  $("#second-box").hidden = !run;
  $("#second-label").hidden = !run;
  $("[data-beside]").setAttribute("aria-pressed", String(Boolean(run)));
  if (!run) return;
  if ($("#second").run !== run) $("#second").show(run);
  $("#which-second").value = run.name;
  align();
}

let aligning = false;

/** The second run goes to the crossing at which the first is, and as far into it. */
function align() {
  const [one, other] = [$("#first"), $("#second")];
  if (aligning || $("#second-box").hidden || !other.run) return;
  aligning = true;
  const passed = one.run.crossings.filter((number) => number <= one.at.step);
  const index = Math.max(passed.length - 1, 0);
  const from = one.run.crossings[index] ?? 0;
  const to = other.run.crossings[Math.min(index, other.run.crossings.length - 1)] ?? 0;
  const behind = Math.max(one.at.step - from, passed.length ? 0 : one.at.step - from);
  const step = Math.max(0, Math.min(to + behind, other.run.length));
  other.go({ step, access: one.at.access }, true);
  aligning = false;
}

/** A recording that did not come with the page: dropped, or of the live machine. */
export async function showRecorded(recording, about, at) {
  const { sources } = await library();
  const run = new Run(recording, { kind: "own", sources, ...about });
  keep(run);
  await fillSelect();
  for (const box of [$("#which"), $("#which-second")]) {
    for (const old of [...box.options].filter((one) => one.value === run.name)) old.remove();
    box.querySelector('[data-kind="own"]').append(option(run));
  }
  location.hash = `run=${encodeURIComponent(run.name)}&step=${at ? writePlace(at) : writePlace({ step: run.crossings[0] || 0, access: 0 })}`;
  if (at) $("#first").show(run, at);
}

// ---- what is dropped

const MOST = 64 << 20;

async function take(dropped) {
  try {
    if (dropped.size > MOST) throw new BadRecording(t("{0} has {1} bytes: this is neither a recording, a floppy nor a .COM.", dropped.name, dropped.size));
    const bytes = new Uint8Array(await dropped.arrayBuffer());
    if (bytes[0] === 0x7b) {
      const text = new TextDecoder().decode(bytes);
      await showRecorded(parse(text), { name: `own-${dropped.name}`, title: dropped.name, about: t("A recording that you have dropped here.") });
    } else if (!$("#play").hidden || /\.(img|ima|flp|com)$/i.test(dropped.name)) {
      location.hash = "play";
      await openLive.insert(bytes, dropped.name);
    } else {
      throw new BadRecording(t('{0} is no recording ("{1}"), no floppy and no .COM. Recordings are made by: make record', dropped.name, FORMAT));
    }
  } catch (error) {
    if (!(error instanceof BadRecording)) throw error;
    if ($("#step").hidden && $("#play").hidden) location.hash = `run=${FIRST}`;
    setTimeout(() => { if (!$("#play").hidden) openLive.say(error.message); else say(error.message); }, 50);
  }
}

export function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  $("[data-theme-switch]").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  $("[data-language]").addEventListener("click", () => {
    const words = new URLSearchParams(location.hash.slice(1));
    words.set("lang", language() === "en" ? "zh-TW" : "en");
    location.hash = String(words);
  });
  $("[data-projector]").addEventListener("click", () => setProjector(!document.body.classList.contains("projector")));
  $("#which").addEventListener("change", (event) => { location.hash = `run=${encodeURIComponent(event.target.value)}`; });
  $("#which-second").addEventListener("change", async (event) => { await pair(await runNamed(event.target.value)); writeAddress(); });
  $("[data-beside]").addEventListener("click", async () => {
    if (!$("#second-box").hidden) await pair(null);
    else await pair(await runNamed($("#first").run.about.beside || ($("#first").run.name === FIRST ? "kstack" : FIRST)));
    writeAddress();
  });
  $("#first").addEventListener("move", () => { align(); writeAddress(); });
  document.addEventListener("keydown", (event) => {
    if ($("#step").hidden || event.target.closest("ring-view, select, input, button, a")) return;
    $("#first").key(event);
  });
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  $("#own").addEventListener("change", (event) => { if (event.target.files[0]) take(event.target.files[0]); });
  addEventListener("hashchange", () => route().catch(report));
  route().catch(report);
}

/** Never a blank page: what went wrong stands on it. */
function report(error) {
  $("#step").hidden = false;
  say(t("This page could not do that: {0}", error.message));
  throw error;
}

start();
window.ringpong = { RingView, runNamed, library, take, showRecorded }; // for tests, and for the curious

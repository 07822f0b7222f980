// Play: the floppy, live, on the machine; and from there into the view.

import { BadRecording } from "./expand.js";
import { checkFloppy, programsOn, withProgram } from "./floppy.js";
import { escape } from "./icons.js";
import { later, t } from "./language.js";
import { library } from "./library.js";
import { KEY_NAMES, loadEngine, MODELS, startMachine, TICKS_A_SECOND, YOUNG } from "./machine.js";
import { Screen } from "./screen.js";
import { knowledgeOf, recordFrom } from "./stepper.js";

const SLICE = 14;             // milliseconds of the page's time that a frame may take
const CHUNK = 20000;          // ticks between two looks at the clock
const LOG_LINES = 300;
const HELD = 90;              // milliseconds for which a button's key is held
const SHIFT_FROM = 700000;    // ticks
const SHIFT_EVERY = 100000;
const SAVE_EVERY = TICKS_A_SECOND * 2;
const HANG_LOOKS = 40;        // frames in a row in which the CPU stands where nothing can move it
const NEAR = 60000;           // ticks: at full speed there are crossings in the last ones
const MOST_CROSSINGS = 3000;  // that are counted to find the last ones
const NO_ENGINE = later("This edition of the page was made without its processor, so nothing can be played here. Step through the recordings instead; make engine web makes an edition that plays.");
const IF = 0x200; // of eflags
const HALTED = later("The CPU has halted with its interrupts off: nothing wakes it any more. Restart the machine, or step from here to see where it stands.");
const ROUND = later("The CPU goes round at one instruction with its interrupts off: the guest hangs. Restart the machine, or step from here to see where it stands.");
const YOUNGER = later("SYSENTER wants a CPU that has the instruction. Choose SYSENTER in the list below: then the page starts it on one.");
const MISTAKES = [later("A divides by 0"), later("A executes cli"), later("A calls DOS"), later("A wants ring 0's data"), later("A uses the FPU"),
  later("A never yields")];
const KEY_BUTTONS = [[" ", "space", later("hold; then one switch a press")], ["+", "+", later("faster")], ["-", "−", later("slower")],
  ["f", "f", later("full speed")], ["r", "r", later("restart procs that have ended")], ["q", "q", later("quit")]];
const MENU_KEYS = [["ArrowUp", "up", later("menu: up")], ["ArrowDown", "down", later("menu: down")], ["Enter", "Enter", later("menu: start")]];

const live = { machine: null, image: null, lines: [], running: false, held: false, saved: [], started: 0 };

const liveRoom = () => document.querySelector("#play .live-room");
const livePart = (name) => liveRoom().querySelector(`[data-live="${name}"]`);

function sayLive(text) {
  const box = document.querySelector("#play .live-message");
  box.hidden = !text;
  box.textContent = text || "";
}

/** Shows the part of the page that plays; starts a machine if there is none. */
export async function openLive(_, show, words = {}) {
  live.show = show;
  live.open = true;
  try {
    const engine = await loadEngine();
    if (!engine) return sayLive(t(NO_ENGINE));
    if (!live.image) live.image = engine.floppy;
    if (!liveRoom().firstChild) drawLive();
    if (!live.machine) await restart(words.play || "");
    startLive();
  } catch (error) {
    sayLive(t("The machine could not be started: {0}", error.message));
  }
  return undefined;
}

openLive.pause = () => {
  live.open = false;
};
openLive.say = sayLive;
openLive.live = live;

/** A floppy or a .COM of the user's own. */
openLive.insert = async (bytes, name) => {
  const engine = await loadEngine();
  if (!engine) throw new BadRecording(t(NO_ENGINE));
  const com = /\.com$/i.test(name);
  live.image = com ? withProgram(engine.floppy, bytes, name) : checkFloppy(bytes, name);
  live.own = name;
  live.open = true;
  if (!liveRoom().firstChild) drawLive();
  await restart(com ? "OWN" : "");
  sayLive(com ? t("A floppy with {0} is in the drive. It stays on this page: nothing is sent anywhere.", name)
    : t("The floppy {0} is in the drive. It stays on this page: nothing is sent anywhere.", name));
  startLive();
};

function drawLive() {
  const button = ([name, label, title]) => `<button type="button" data-key="${escape(name)}" data-t-title="${title}" title="${t(title)}" aria-label="${t(title)}">${label}</button>`;
  const word = (text) => `<span data-t="${text}">${t(text)}</span>`;
  liveRoom().innerHTML = `<div class="live"><div><canvas data-live="canvas" tabindex="0" role="img" aria-label="${t("the screen of the machine; its rows follow as text")}"></canvas>
    <div class="keys" role="group" aria-label="${t("keys")}">${KEY_BUTTONS.map(button).join("")}<span class="rv-dim">${word("mistakes of A:")}</span>${
    MISTAKES.map((what, i) => button([String(i + 1), `${i + 1}`, what])).join("")}<span class="rv-dim">${word("menu:")}</span>${MENU_KEYS.map(button).join("")}</div>
    <div class="keys"><label>${word("program")} <select data-live="program"></select></label><button type="button" data-do="restart">${word("restart")}</button>
    <button type="button" data-do="pause" aria-pressed="false">${word("pause")}</button><button type="button" data-do="step"><b>${word("step from here")}</b></button></div></div>
    <div><h2 class="rv-hidden">${word("Log")}</h2><pre class="log" data-live="log" tabindex="0" role="log" aria-label="${t("the log of port e9")}"></pre>
    <details><summary>${word("the screen as text")}</summary><pre class="log" data-live="text" tabindex="0" aria-label="${t("the screen as text")}"></pre></details></div></div>`;
  live.screen = new Screen(livePart("canvas"));
  liveRoom().addEventListener("click", (event) => {
    const target = event.target.closest("button");
    if (!target) return;
    if (target.dataset.key) pressed(target.dataset.key);
    else if (target.dataset.do === "restart") restart(livePart("program").value).then(startLive);
    else if (target.dataset.do === "pause") hold(!live.held);
    else if (target.dataset.do === "step") stepFromHere();
  });
  livePart("program").addEventListener("change", (event) => restart(event.target.value).then(startLive));
  for (const kind of ["keydown", "keyup"]) {
    livePart("canvas").addEventListener(kind, (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.key.length > 1 && !(event.key in KEY_NAMES)) || event.key === "Tab") return;
      event.preventDefault();
      if (!event.repeat && live.machine) keyLive(event.key, kind === "keyup");
    });
  }
  document.addEventListener("visibilitychange", () => { live.before = 0; startLive(); });
}

function keyLive(name, released) {
  // What is saved of the machine before a key is of no use for going back behind it.
  live.saved = [];
  live.machine.key(name, released);
}

function pressed(name) {
  if (!live.machine) return;
  keyLive(name, false);
  setTimeout(() => live.machine && keyLive(name, true), HELD);
  livePart("canvas").focus({ preventScroll: true });
}

function hold(on) {
  live.held = on;
  const button = liveRoom().querySelector('[data-do="pause"]');
  button.setAttribute("aria-pressed", String(on));
  startLive();
}

/** A new machine; a program's name: by way of MENU. */
async function restart(program) {
  const number = (live.number || 0) + 1;
  live.number = number;
  sayLive("");
  const names = programsOn(live.image);
  livePart("program").innerHTML = `<option value="">${t("what the floppy starts")}</option>` + names.map((name) => `<option>${escape(name)}</option>`).join("");
  livePart("program").value = names.includes(program.toUpperCase()) ? program.toUpperCase() : "";
  // A floppy of the user's own may be for any CPU.
  const machine = await startMachine(live.image, live.own ? YOUNG : MODELS[livePart("program").value]);
  if (live.number !== number) return;
  Object.assign(live, { machine, lines: [], saved: [], booted: false, said: "", program: "", before: 0, began: performance.now(), first: 0, ran: 0, menu: null, stood: 0 });
  livePart("log").textContent = "";
  if (livePart("program").value) {
    live.menu = names.indexOf(livePart("program").value);
  }
  hold(false);
}

function startLive() {
  if (live.running || !live.machine || !live.open || live.held || document.hidden || live.stepping) return;
  live.running = true;
  live.before = 0;
  requestAnimationFrame(frame);
}

/** A frame: as many ticks as time has passed, and no more time than SLICE; while it boots, as many as it can. */
function frame(now) {
  live.running = false;
  const { machine } = live;
  if (!machine || !live.open || live.held || document.hidden || live.stepping) return;
  const began = performance.now();
  const passed = live.before ? Math.min(now - live.before, 50) : 16;
  live.before = now;
  let ticks = live.booted ? passed * TICKS_A_SECOND / 1000 : Infinity;
  while (ticks > 0 && !machine.off && performance.now() - began < SLICE) {
    if (live.menu !== null && !live.booted) holdShift(machine);
    machine.run(Math.min(ticks, CHUNK));
    live.ran += CHUNK;
    ticks -= CHUNK;
    if (!live.booted && /boot prog=/.test(machine.text)) break;
  }
  tell();
  keepSaved();
  if (hangs(machine)) return sayLive(t(machine.halted ? HALTED : ROUND));
  if (machine.off) return sayLive(t("The machine is off: {0}. Restart it with the button.", machine.off));
  if (machine.shutDown) return sayLive(t("The CPU has shut down: an exception came while it delivered a double fault. A PC would start again here."));
  live.running = true;
  requestAnimationFrame(frame);
  return undefined;
}

/** With interrupts off, a CPU that halts or that goes round at one instruction will do so for ever. */
function hangs(machine) {
  const state = machine.state();
  const stands = !(state.eflags & IF) && (machine.halted || state.eip === live.eip);
  live.eip = state.eip;
  live.stood = stands ? (live.stood || 0) + 1 : 0;
  return live.stood > HANG_LOOKS;
}

/** A key that is held repeats itself. Too soon the BIOS, which tests the keyboard, takes it for broken. */
function holdShift(machine) {
  if (live.ran < SHIFT_FROM || live.ran % SHIFT_EVERY) return;
  machine.key("Shift", false);
}

/** Log and screen, as the machine has them now. */
function tell() {
  const { machine } = live;
  const lines = machine.log();
  for (const line of lines) {
    const boot = /^boot prog=(\w+)/.exec(line);
    if (boot) {
      live.program = boot[1];
      live.booted = true;
      if (boot[1] === "menu" && live.menu !== null) choose();
    }
    if (/ stays-out="the CPU has no sysenter"/.test(line)) sayLive(t(YOUNGER));
    if (/^switch n=1 /.test(line) && !live.first) live.first = performance.now() - live.began;
  }
  if (lines.length) {
    live.lines.push(...lines);
    live.lines = live.lines.slice(-LOG_LINES);
    const log = livePart("log");
    log.textContent = live.lines.join("\n");
    log.scrollTop = log.scrollHeight;
  }
  live.screen.draw(machine.screen());
  if (liveRoom().querySelector("details").open) livePart("text").textContent = live.screen.rows().join("\n");
}

/** MENU is there: lets go of Shift, and chooses. */
function choose() {
  const { machine, menu } = live;
  live.menu = null;
  machine.key("Shift", true);
  machine.run(TICKS_A_SECOND / 10);
  if (menu < 9) machine.press(String(menu + 1));
  else for (let i = 0; i < menu; i++) machine.press("ArrowDown");
  machine.run(TICKS_A_SECOND / 10);
  machine.press("Enter");
}

/** From time to time all of the machine is kept, to be able to go back. */
function keepSaved() {
  const { machine } = live;
  machine.state();
  const last = live.saved[live.saved.length - 1];
  if (live.booted && (!last || machine.ticks - last.ticks > SAVE_EVERY)) {
    live.saved = [...live.saved.slice(-1), { ticks: machine.ticks, whole: machine.save() }];
  }
}

/** Goes back to the way out of ring 0 before the last one, if what is saved reaches so far; else to
    the next one. How many ticks it was before the place where it had been stopped. */
function goBack(machine) {
  machine.state();
  const target = machine.ticks;
  const here = machine.save();
  const saved = [...live.saved].reverse().find((one) => one.ticks < target);
  const walk = (from, until) => {
    machine.restore(saved.whole);
    if (from > saved.ticks) machine.run(from - saved.ticks);
    let made = 0;
    while (made < until && !machine.off) {
      const state = machine.crossing(target);
      if (!state || machine.ticks >= target) break;
      if (state.cpl === 3) made++;
    }
    return made;
  };
  for (const from of saved ? [target - NEAR, 0] : []) {
    if (from && from < saved.ticks) continue;
    const made = walk(from, MOST_CROSSINGS);
    if (made > 1) {
      walk(from, made - 1);
      return target;
    }
  }
  machine.restore(here);
  if (machine.state().cpl !== 3) machine.crossing(target + 4 * TICKS_A_SECOND);
  return target;
}

/** Stops, goes back a little, and shows what has been and what comes: forwards and backwards. */
async function stepFromHere() {
  const { machine } = live;
  if (!machine || live.stepping) return;
  live.stepping = true;
  sayLive(t("Recording ..."));
  await new Promise((next) => setTimeout(next, 30));
  try {
    const data = await library();
    const knowledge = knowledgeOf(live.program, data);
    const target = goBack(machine);
    const pause = () => new Promise((next) => setTimeout(next));
    const { recording, open } = await recordFrom(machine, knowledge, { switches: 4, target, pause });
    if (!recording.steps.length) throw new BadRecording(t("There is nothing to step through: {0}.", machine.off || t("the CPU has shut down")));
    const ended = machine.off || machine.shutDown ? ` ${t("It ends where the machine did.")}` : "";
    sayLive("");
    tell();
    hold(true);
    await live.show(recording, { name: "live", title: t("live: {0}", live.own || live.program || t("your floppy")),
      about: `${t("The machine, from the switch before the one at which you stopped it.")}${ended}` }, { step: open, access: 0 });
  } catch (error) {
    sayLive(error.message);
    if (!(error instanceof BadRecording)) throw error;
  } finally {
    live.stepping = false;
  }
}

openLive.step = stepFromHere;
openLive.restart = restart;

// Play: the floppy, live, on the machine; and from there into the view.

import { BadRecording } from "./expand.js";
import { checkFloppy, programsOn, withProgram } from "./floppy.js";
import { escape } from "./icons.js";
import { library } from "./library.js";
import { KEY_NAMES, loadEngine, startMachine, TICKS_A_SECOND } from "./machine.js";
import { Screen } from "./screen.js";
import { knowledgeOf, recordFrom } from "./stepper.js";

const SLICE = 14;             // milliseconds of the page's time that a frame may take
const CHUNK = 20000;          // ticks between two looks at the clock
const LOG_LINES = 300;
const HELD = 90;              // milliseconds for which a button's key is held
const SAVE_EVERY = TICKS_A_SECOND * 2;
const BEFORE = 600;           // steps that are kept of what came before
const NO_ENGINE = "This edition of the page was made without its processor, so nothing can be played here. " +
  "Step through the recordings instead; make engine web makes an edition that plays.";
const MISTAKES = ["divides by 0", "cli", "calls DOS", "wants ring 0's data", "uses the FPU", "never yields"];
const KEYS = [[" ", "space", "hold; then one switch a press"], ["+", "+", "faster"], ["-", "−", "slower"], ["f", "f", "full speed"],
  ["r", "r", "restart procs that have ended"], ["q", "q", "quit"]];
const MENU_KEYS = [["ArrowUp", "up", "menu: up"], ["ArrowDown", "down", "menu: down"], ["Enter", "Enter", "menu: start"]];

const live = { machine: null, image: null, lines: [], running: false, held: false, saved: [], started: 0 };

const room = () => document.querySelector("#play .live-room");
const part = (name) => room().querySelector(`[data-live="${name}"]`);

function say(text) {
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
    if (!engine) return say(NO_ENGINE);
    if (!live.image) live.image = engine.floppy;
    if (!room().firstChild) draw();
    if (!live.machine) await restart(words.play || "");
    start();
  } catch (error) {
    say(`The machine could not be started: ${error.message}`);
  }
  return undefined;
}

openLive.pause = () => {
  live.open = false;
};
openLive.say = say;
openLive.live = live;

/** A floppy or a .COM of the user's own. */
openLive.insert = async (bytes, name) => {
  const engine = await loadEngine();
  if (!engine) throw new BadRecording(NO_ENGINE);
  const com = /\.com$/i.test(name);
  live.image = com ? withProgram(engine.floppy, bytes, name) : checkFloppy(bytes, name);
  live.own = name;
  live.open = true;
  if (!room().firstChild) draw();
  await restart(com ? "OWN" : "");
  say(`${com ? "A floppy with" : "The floppy"} ${name} is in the drive. It stays on this page: nothing is sent anywhere.`);
  start();
};

function draw() {
  const button = ([key, label, title]) => `<button type="button" data-key="${escape(key)}" title="${title}" aria-label="${title}">${label}</button>`;
  room().innerHTML = `<div class="live"><div><canvas data-live="canvas" tabindex="0" role="img" aria-label="the screen of the machine; its rows follow as text"></canvas>
    <div class="keys" role="group" aria-label="keys">${KEYS.map(button).join("")}<span class="rv-dim">mistakes of A:</span>${
    MISTAKES.map((what, i) => button([String(i + 1), `${i + 1}`, `A ${what}`])).join("")}<span class="rv-dim">menu:</span>${MENU_KEYS.map(button).join("")}</div>
    <div class="keys"><label>program <select data-live="program"></select></label><button type="button" data-do="restart">restart</button>
    <button type="button" data-do="pause" aria-pressed="false">pause</button><button type="button" data-do="step"><b>step from here</b></button></div></div>
    <div><h2 class="rv-hidden">Log</h2><pre class="log" data-live="log" tabindex="0" role="log" aria-label="the log of port e9"></pre>
    <details><summary>the screen as text</summary><pre class="log" data-live="text" tabindex="0" aria-label="the screen as text"></pre></details></div></div>`;
  live.screen = new Screen(part("canvas"));
  room().addEventListener("click", (event) => {
    const target = event.target.closest("button");
    if (!target) return;
    if (target.dataset.key) pressed(target.dataset.key);
    else if (target.dataset.do === "restart") restart(part("program").value).then(start);
    else if (target.dataset.do === "pause") hold(!live.held);
    else if (target.dataset.do === "step") stepFromHere();
  });
  part("program").addEventListener("change", (event) => restart(event.target.value).then(start));
  for (const kind of ["keydown", "keyup"]) {
    part("canvas").addEventListener(kind, (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.key.length > 1 && !(event.key in KEY_NAMES)) || event.key === "Tab") return;
      event.preventDefault();
      if (!event.repeat && live.machine) key(event.key, kind === "keyup");
    });
  }
  document.addEventListener("visibilitychange", () => { live.before = 0; start(); });
}

function key(name, released) {
  // What is saved of the machine before a key is of no use for going back behind it.
  live.saved = [];
  live.machine.key(name, released);
}

function pressed(name) {
  if (!live.machine) return;
  key(name, false);
  setTimeout(() => live.machine && key(name, true), HELD);
  part("canvas").focus({ preventScroll: true });
}

function hold(on) {
  live.held = on;
  const button = room().querySelector('[data-do="pause"]');
  button.setAttribute("aria-pressed", String(on));
  start();
}

/** A new machine; a program's name: by way of MENU. */
async function restart(program) {
  const number = (live.number || 0) + 1;
  live.number = number;
  say("");
  const names = programsOn(live.image);
  part("program").innerHTML = `<option value="">what the floppy starts</option>` + names.map((name) => `<option>${escape(name)}</option>`).join("");
  part("program").value = names.includes(program.toUpperCase()) ? program.toUpperCase() : "";
  const machine = await startMachine(live.image);
  if (live.number !== number) return;
  Object.assign(live, { machine, lines: [], saved: [], booted: false, said: "", program: "", before: 0, began: performance.now(), first: 0, menu: null });
  part("log").textContent = "";
  if (part("program").value) {
    machine.key("Shift", false);
    live.menu = names.indexOf(part("program").value);
  }
  hold(false);
}

function start() {
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
    machine.run(Math.min(ticks, CHUNK));
    ticks -= CHUNK;
    if (!live.booted && /boot prog=/.test(machine.text)) break;
  }
  tell();
  keepSaved();
  if (machine.off) return say(`The machine is off: ${machine.off}. Restart it with the button.`);
  if (machine.shutDown) return say("The CPU has shut down: an exception came while it delivered a double fault. A PC would start again here.");
  live.running = true;
  requestAnimationFrame(frame);
  return undefined;
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
    if (/^switch n=1 /.test(line) && !live.first) live.first = performance.now() - live.began;
  }
  if (lines.length) {
    live.lines.push(...lines);
    live.lines = live.lines.slice(-LOG_LINES);
    const log = part("log");
    log.textContent = live.lines.join("\n");
    log.scrollTop = log.scrollHeight;
  }
  live.screen.draw(machine.screen());
  if (room().querySelector("details").open) part("text").textContent = live.screen.rows().join("\n");
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

/** Stops, goes back a little, and shows what has been and what comes: forwards and backwards. */
async function stepFromHere() {
  const { machine } = live;
  if (!machine || live.stepping) return;
  live.stepping = true;
  say("Recording ...");
  try {
    const data = await library();
    const knowledge = knowledgeOf(live.program, data);
    const recording = await recordFrom(machine, knowledge, { pause: () => new Promise((next) => setTimeout(next)) });
    if (!recording.steps.length) throw new BadRecording(`There is nothing to step through: ${machine.off || "the CPU has shut down"}.`);
    const ended = machine.off || machine.shutDown ? "It ends where the machine did." : "";
    say("");
    tell();
    hold(true);
    await live.show(recording, { name: "live", title: `live: ${live.own || live.program || "your floppy"}`,
      about: `The machine that plays, from where you stopped it. ${ended}` }, { step: 0, access: 0 });
  } catch (error) {
    say(error.message);
    if (!(error instanceof BadRecording)) throw error;
  } finally {
    live.stepping = false;
  }
}

openLive.step = stepFromHere;
openLive.restart = restart;
openLive.back = BEFORE;

// Frames and stacks: what lies in them, what lay there before, and what points there.

import { key } from "./run.js";
import { escape, icon } from "./icons.js";
import { explain } from "./explain.js";
import { t } from "./language.js";
import { tssOf } from "./places.js";
import { hex, offset } from "./words.js";

const RING0_ROWS = 8;   // of a stack: words below esp and from there on
const RING3_ROWS = 4;
const UNUSED = new Set(["esp1", "ss1", "esp2", "ss2", "cr3"]);  // of a TSS: there are no rings 1 and 2 here, and no pages

/** Where esp is while the CPU is inside an instruction: it pushes and pops before it tells. */
export function pointer(run, at) {
  const state = run.states[at.step];
  const wide = state.ss.attributes & 0x4000;
  const linear = state.ss.base + (wide ? state.esp : state.esp & 0xffff);
  const step = run.steps[at.step];
  if (!step || !at.access) return linear;
  let place = linear;
  for (let i = 0; i < at.access; i++) {
    const [, address, size] = step.accesses[i];
    const { moves } = explain(run, step, i);
    if (moves === "push") place = address;
    else if (moves === "pop" && step.kind.name !== "iret") place = address + size;
  }
  return place;
}

const first = (run) => (run.crossings[0] || 0) * 1024;

/** One word as a row of a table. */
function row(run, at, address, name, notes, extra = "", space = run.states[at.step]) {
  const { value, mask, old: before, since, written } = run.word(address, at, space);
  // While memory is being filled for the first time, what was there before is of no interest.
  const old = since >= first(run) || written ? before : undefined;
  const known = mask === 0xffffffff;
  const fresh = written || (known && since === key(at) && at.step + at.access > 0 && old !== undefined);
  const read = isRead(run, at, address);
  const pointed = notes.get(address) || [];
  return `<tr class="${fresh ? "rv-new" : ""}${read ? " rv-read" : ""}${extra}"><th scope="row">${escape(name)}</th>` +
    `<td class="rv-word">${known ? hex(value) : mask ? hex(value).slice(4).padStart(8, "·") : "·"}</td>` +
    `<td class="rv-old">${old === undefined ? "" : `<s>${hex(old)}</s>`}</td>` +
    `<td class="rv-note">${pointed.map((note) => `${icon("point")}${escape(note)}`).join(" ")}</td></tr>`;
}

function isRead(run, at, address) {
  if (!at.access) return false;
  const [kind, start, size] = run.steps[at.step].accesses[at.access - 1];
  return kind === "read" && start < address + 4 && address < start + size;
}

/** A place in a stack: of eight digits the last four, since the whole one stands above the stack. */
const placeName = (place) => hex(place % 0x10000, 4);

/** kind: "task" if words have the long names of a TSS. */
const stackTable = (title, place, rows, current, kind = "") => `<table class="rv-stack${current ? " rv-current" : ""}${kind && ` rv-${kind}`}"><caption>${escape(title)} ` +
  `<span class="rv-dim">${offset(place)}</span></caption><colgroup><col class="rv-c1"><col class="rv-c2"><col class="rv-c3"><col></colgroup><thead class="rv-hidden"><tr><th scope="col">${t("word")}</th><th scope="col">${t("is")}</th>` +
  `<th scope="col">${t("was")}</th><th scope="col">${t("who points there")}</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;

/** All that points into memory: {address: [names]}. */
function pointers(run, at) {
  const state = run.states[at.step];
  const notes = new Map();
  const add = (address, note) => notes.set(address, [...(notes.get(address) || []), note]);
  add(pointer(run, at), "esp");
  if (state.cr0 & 1 && state.tr.selector & ~3) {
    const esp0 = run.number(state.tr.base + 4, at);
    if (esp0) add(run.esp0({ ...state, tss: { ...state.tss, esp0 } }), "esp0");
  }
  return notes;
}

/** The panel: frames side by side, then the ring-0 stack and the proc's. */
export function drawStacks(run, at) {
  const state = run.states[at.step];
  const notes = pointers(run, at);
  const esp = pointer(run, at);
  const inside = (start, length) => start <= esp && esp <= start + length;
  const frames = Object.entries(run.frames).filter(([letter]) => letter.length === 1);
  const boxes = frames.map(([letter, { offset: place, words }]) => {
    const start = run.base + place;
    const length = 4 * words.length;
    const rows = words.map((name, i) => UNUSED.has(name) ? "" : row(run, at, start + 4 * i, name === "pusha_esp" ? "(esp)" : name, notes)).reverse();
    const end = notes.get(start + length) || [];
    rows.unshift(`<tr class="rv-end"><th scope="row">${t("end")}</th><td></td><td></td><td class="rv-note">${end.map((note) => icon("point") + escape(note)).join(" ")}</td></tr>`);
    return stackTable(words[0] === "backlink" ? tssOf(letter) : t("{0}'s frame", letter), place, rows, inside(start, length), words[0] === "backlink" ? "task" : "");
  });
  return `<div class="rv-pair">${boxes.join("")}</div><div class="rv-pair">${ring0(run, at, notes, esp, frames)}${ring3(run, at, notes, esp, state)}</div>`;
}

/** A stack of ring 0 that is no frame: where esp is, or was when it was last there. */
function ring0(run, at, notes, esp, frames) {
  const isFrame = (address) => frames.some(([, { offset: place, words }]) =>
    run.base + place <= address && address <= run.base + place + 4 * words.length);
  let address = esp;
  let step = at.step;
  let now = true;
  while (step >= 0 && (run.states[step].cpl !== 0 || isFrame(address))) {
    step--;
    if (step < 0) break;
    const before = run.states[step];
    address = before.ss.base + before.esp;
    now = false;
  }
  if (step < 0) return "";
  const low = address - address % 4;
  const top = low + 4 * RING0_ROWS;
  const rows = [];
  for (let word = top; word >= low - 4 * RING0_ROWS / 2; word -= 4) rows.push(row(run, at, word, placeName(word - run.base), notes));
  return stackTable(now ? t("ring {0}'s stack", 0) : t("ring 0's stack, as left"), address - run.base, rows, now);
}

/** The stack of the proc that runs, or ran last. */
function ring3(run, at, notes, esp, state) {
  let step = at.step;
  while (step >= 0 && run.states[step].cpl !== 3) step--;
  if (step < 0) return "";
  const of = run.states[step];
  const address = state.cpl === 3 && !at.access ? esp : of.ss.base + of.esp;
  const rows = [];
  const low = address - address % 4;
  for (let word = low + 4 * RING3_ROWS - 4; word >= low - 4 * RING3_ROWS; word -= 4) {
    const place = word - of.ss.base;
    const outside = place < 0 || place > of.ss.limit;
    rows.push(row(run, at, word, place < 0 ? `−${offset(-place)}` : placeName(place), notes, outside ? " rv-outside" : "", of));
  }
  return stackTable(t("{0}'s stack", run.lane(step)), of.esp, rows, state.cpl === 3);
}

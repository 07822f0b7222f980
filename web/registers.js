// Registers, with the hidden parts of segment registers, and the CPU's tables.

import { escape } from "./icons.js";
import { t } from "./language.js";
import { entryFlags, isEntry, isPaged, PAGE, walkOf } from "./pages.js";
import { selectorName, tssOf } from "./places.js";
import { descriptor, flags, hex, offset, selector, typeName } from "./words.js";

const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr"];
const GENERAL = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "eip"];

/** A limit. That of a flat segment is a word, since eight digits have no room. */
const reach = (limit) => limit === 0xffffffff ? "all" : offset(limit);

/** The state before the last step, and now: inside an instruction, what it will change is not yet so. */
function around(run, at) {
  const now = run.states[at.step];
  return { now, old: at.step && !at.access ? run.states[at.step - 1] : now, next: at.access ? run.states[at.step + 1] : null };
}

const changed = (text, old) => old === text || old === undefined ? escape(text) : `<s>${escape(old)}</s> <ins>${escape(text)}</ins>`;

export function drawRegisters(run, at) {
  const { now, old, next } = around(run, at);
  const rows = SEGMENTS.map((name) => {
    const show = (state) => {
      const value = state[name];
      const none = state.cr0 & 1 && !(value.selector & ~3);
      return [hex(value.selector, 4), none ? "–" : hex(value.base), none ? "–" : reach(value.limit), none ? "–" : String(value.dpl)];
    };
    const kind = (state) => {
      const value = state[name];
      if (!(state.cr0 & 1)) return t("16 times the selector");
      const named = selectorName(run, value.selector, state);
      return value.selector & ~3 ? `${named ? `${named}: ` : ""}${selector(value.selector)}; ${typeName(value.type)}` : t("null: no access through it");
    };
    const [cells, was] = [show(now), show(old)];
    const coming = next && JSON.stringify(next[name]) !== JSON.stringify(now[name]) ? show(next) : null;
    const news = cells.join() !== was.join();
    const label = name === "tr" || name === "ldtr" ? name.toUpperCase() : name;
    return `<tr class="${news ? "rv-new" : ""}"><th scope="row">${label}</th>${cells.map((cell, i) => `<td>${changed(cell, was[i])}</td>`).join("")}</tr>` +
      `<tr class="rv-named"><td></td><td colspan="4">${changed(kind(now), news ? kind(old) : undefined)}</td></tr>` +
      (coming ? `<tr class="rv-coming"><th scope="row">→</th>${coming.map((cell, i) => `<td>${cell === cells[i] ? "" : escape(cell)}</td>`).join("")}</tr>` +
        `<tr class="rv-named rv-coming"><td></td><td colspan="4">${escape(kind(next))}</td></tr>` : "");
  });
  const general = GENERAL.map((name) => `<div class="${old[name] !== now[name] ? "rv-new" : ""}"><dt>${name}</dt><dd>${changed(hex(now[name]), hex(old[name]))}</dd></div>`);
  const more = [["eflags", changed(hex(now.eflags), hex(old.eflags)) + ` <span class="rv-dim">${flags(now.eflags)}</span>`],
    ["cr0", `${changed(hex(now.cr0), hex(old.cr0))} <span class="rv-dim">${now.cr0 & 1 ? t("protected mode") : t("real mode")}</span>`],
    ...(!isPaged(now) ? [] : [["cr3", changed(hex(now.cr3), hex(old.cr3 ?? now.cr3))]]),
    ["GDTR", `${hex(now.gdtr.base)} <span class="rv-dim">limit</span> ${offset(now.gdtr.limit)}`],
    ["IDTR", `${hex(now.idtr.base)} <span class="rv-dim">limit</span> ${offset(now.idtr.limit)}`]];
  return `<table class="rv-segments"><caption>${t("Segment registers, hidden parts")}</caption><colgroup><col class="rv-s1"><col class="rv-s2"><col class="rv-s3"><col><col class="rv-s5"></colgroup><thead><tr><th scope="col">` +
    `<span class="rv-hidden">${t("register")}</span></th><th scope="col">${t("selector")}</th><th scope="col">base</th><th scope="col">limit</th><th scope="col">DPL</th></tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table><dl class="rv-general">${general.join("")}</dl>` +
    `<dl class="rv-more">${more.map(([name, text]) => `<div><dt>${name}</dt><dd>${text}</dd></div>`).join("")}</dl>`;
}

/** Which entries the last access has touched: {"gdt 3": "read" | "write"}. */
function touched(run, at, access) {
  if (!at.access || !access) return {};
  const { place, write } = access;
  const how = write ? "rv-new" : "rv-read";
  if (place.index !== undefined) return { [`${place.kind} ${place.index}`]: how };
  return place.kind === "tss" && place.tss === run.states[at.step].tr.base ? { [`tss ${place.word}`]: how } : {};
}

/** A type in a word or two, where there is little room. */
const SHORT = (type) => type & 16 ? (type & 8 ? "code" : "data")
  : { 2: "LDT", 5: "task", 9: "TSS", 11: "busy", 12: "call", 14: "int", 15: "trap" }[type & 15] || hex(type & 15, 1);

export function drawTables(run, at, access) {
  const state = run.states[at.step];
  if (!(state.cr0 & 1)) {
    return `<p class="rv-dim">${t("In real mode the CPU reads no descriptors: a segment's base is 16 times what its register holds.")}</p>`;
  }
  const lit = touched(run, at, access);
  const entry = (base, index) => {
    const [low, high] = [run.number(base + 8 * index, at), run.number(base + 8 * index + 4, at)];
    return low === undefined || high === undefined ? null : descriptor(hex(high) + hex(low));
  };
  const line = (kind, base, index, name) => {
    const found = entry(base, index);
    if (!found) return "";
    const none = !found.present && found.type === 0;
    const what = none ? t("empty") : found.gate ? `${hex(found.selector, 4)}:${offset(found.offset)}` : `${hex(found.base, 6)}+${reach(found.limit)}`;
    return `<tr class="${lit[`${kind} ${index}`] || ""}"><th scope="row">${kind === "idt" ? hex(index, 2) : hex(8 * index + (kind === "ldt" ? 4 : 0), 2)}</th>` +
      `${kind === "idt" ? "" : `<td>${escape(name || "")}</td>`}<td>${what}</td><td>${none ? "" : found.dpl}</td><td class="rv-type" title="${none ? "" : escape(typeName(found.type))}">${none ? "" : SHORT(found.type)}</td></tr>`;
  };
  const head = (what, where) => `<thead><tr><th scope="col">${where}</th>${where === "vec" ? "" : `<th scope="col">${t("name")}</th>`}<th scope="col">${what}</th><th scope="col">DPL</th><th scope="col">${t("type")}</th></tr></thead>`;
  const list = (kind, register, count) => Array.from({ length: count }, (_, i) => i)
    .filter((i) => kind !== "gdt" || i > 0)
    .map((i) => line(kind, register.base, i, kind === "idt" ? "" : selectorName(run, i * 8 + (kind === "ldt" ? 4 : 0), state))).join("");
  const gdt = `<table><caption>GDT</caption>${head("base +limit", "sel")}<tbody>${list("gdt", state.gdtr, state.gdtr.limit + 1 >> 3)}</tbody></table>`;
  const ldt = state.ldtr.selector & ~3
    ? `<table><caption>LDT ${escape(selectorName(run, state.ldtr.selector, state))}</caption>${head("base +limit", "sel")}<tbody>${list("ldt", state.ldtr, Math.min(state.ldtr.limit + 1 >> 3, 12))}</tbody></table>` : "";
  return pageTables(run, at, state, access) + gdt + ldt + idt(run, at, state, lit, line, head) + tss(run, at, state, lit) +
    otherTasks(run, at, access);
}

/** Of the IDT the entries that a run uses, and some that are always of interest. */
function idt(run, at, state, lit, line, head) {
  if (!run.usedVectors) {
    run.usedVectors = new Set([8, 13]);
    for (const step of run.steps) for (const { vector } of step.kind.deliveries) run.usedVectors.add(vector);
  }
  const count = state.idtr.limit + 1 >> 3;
  const shown = [...run.usedVectors].filter((vector) => vector < count).sort((a, b) => a - b);
  const rows = shown.map((vector) => line("idt", state.idtr.base, vector, "")).join("");
  return rows ? `<table><caption>${t("IDT, {0} of {1}", shown.length, count)}</caption>${head(t("leads to"), "vec")}<tbody>${rows}</tbody></table>` : "";
}

const ENTRY_BYTES = 8;  // at most

/** Of the page tables that count now: the entries for the instruction, the stack, and what the step reads and writes. */
function pageTables(run, at, state, access) {
  if (!isPaged(state)) return "";
  const step = run.steps[at.step];
  const told = step ? step.accesses.map((one) => isEntry(one) ? one[4].linear : one[1]) : [];
  const wanted = [state.cs.base + state.eip, state.ss.base + state.esp - 1, ...told].map((linear) => (linear - linear % PAGE) >>> 0);
  const lit = access && access.place.kind === "entry" ? access.place.address : -ENTRY_BYTES;
  const rows = [...new Set(wanted)].sort((a, b) => a - b).map((linear) => {
    const entries = walkOf(linear, state, (physical) => run.entry(physical, at));
    const cells = entries.slice(-2).map(({ physical, value }) =>
      `<td class="${physical === lit ? access.write ? "rv-new" : "rv-read" : ""}">${hex(value)} <span class="rv-dim">${entryFlags(value)}</span></td>`);
    return cells.length ? `<tr><th scope="row">${hex(linear / PAGE, 5)}</th>${cells.join("")}</tr>` : "";
  });
  return `<table class="rv-pages"><caption>${t("Page tables, cr3 {0}", hex(state.cr3))}</caption><thead><tr><th scope="col">${t("page")}</th><th scope="col">${t("directory entry")}</th>` +
    `<th scope="col">${t("table entry")}</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

const PAIR = 2; // words in a row, where there is little room

/** TSSs of ring 0's own tasks, into which the CPU saves and from which it loads: the procs' stand beside the stacks.
    Ring 0's is always there; another one, as that for #DF, while it is used. */
function otherTasks(run, at, access) {
  return Object.entries(run.frames).filter(([name]) => name.length > 1).map(([name, { offset: place, words }]) => {
    const start = run.base + place;
    const inside = (address) => start <= address && address < start + 4 * words.length;
    const step = run.steps[at.step];
    if (name !== "ring 0" && !(step && step.accesses.some(([, address]) => inside(address)))) return "";
    const cells = words.map((word, i) => {
      const { value, mask, old, written } = run.word(start + 4 * i, at);
      const read = access && !access.write && start + 4 * i <= access.access[1] && access.access[1] < start + 4 * i + 4;
      return word && !/^(ss|esp)[12]$/.test(word) ? `<th scope="row" class="${written ? "rv-new" : read ? "rv-read" : ""}">${escape(word)}</th>` +
        `<td class="${written ? "rv-new" : read ? "rv-read" : ""}" title="${old === undefined ? "" : hex(old)}">${mask === 0xffffffff ? hex(value) : "·"}</td>` : "";
    }).filter(Boolean);
    const half = Math.ceil(cells.length / PAIR);
    const rows = Array.from({ length: half }, (_, i) => `<tr>${cells[i]}${cells[i + half] || ""}</tr>`);
    return `<table class="rv-tss"><caption>${escape(tssOf(name))}</caption><tbody>${rows.join("")}</tbody></table>`;
  }).join("");
}

const TSS = [["esp0", 4], ["ss0", 8]];

function tss(run, at, state, lit) {
  if (!(state.tr.selector & ~3)) return "";
  const rows = TSS.map(([name, place]) => {
    const address = state.tr.base + place;
    const value = run.number(address, at);
    const { old } = run.word(address - address % 4, at);
    return `<tr class="${lit[`tss ${name}`] || ""}"><th scope="row">${name}</th><td>${value === undefined ? "·" : hex(value)}</td>` +
      `<td>${old === undefined || address & 3 ? "" : `<s>${hex(old)}</s>`}</td></tr>`;
  });
  return `<table class="rv-tss"><caption>${escape(selectorName(run, state.tr.selector, state) || "TSS")}</caption><thead class="rv-hidden"><tr><th scope="col">${t("word")}</th><th scope="col">${t("is")}</th><th scope="col">${t("was")}</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

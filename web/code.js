// The instruction: what the CPU does behind its back, its assembly, and its source.

import { escape } from "./icons.js";
import { exceptionOf, explain, laneName } from "./explain.js";
import { t } from "./language.js";

const MANY = 14;    // accesses that are shown one by one; more are put in groups
const AROUND = 7;   // lines of assembly in front of the current one and behind it
const GROUPS = { saves: () => t("saves the old task"), loads: () => t("loads the new task"),
  descriptors: () => t("reads the descriptors of the new task's segments"), deliver: () => t("finds its way in"), int: () => t("finds its way in"),
  iret: () => t("takes the way out"), walk: () => t("reads page tables"), "": () => t("more") };

const checks = (told) => told.checks.map(({ text, ok }) => `<li class="${ok ? "rv-ok" : "rv-bad"}">${escape(text)} <b>${ok ? "✓" : "✗"}</b></li>`).join("");

function accessLine(run, step, index, at) {
  const told = explain(run, step, index);
  const made = index < at.access;
  const current = index === at.access - 1;
  return `<li class="${current ? "rv-at" : made ? "rv-made" : "rv-ahead"}"${current ? ' aria-current="step"' : ""}><button type="button" class="rv-go" data-access="${index + 1}">` +
    `<span class="rv-${told.write ? "write" : "read"}-mark">${told.write ? "W" : "R"}</span> ${escape(told.text)}` +
    `${current ? ` <code>${told.value}</code>` : ""}</button>${current && told.checks.length ? `<ul class="rv-checks">${checks(told)}</ul>` : ""}</li>`;
}

/** Accesses in a row that have one purpose, if there are many: [{group, from, to}]. */
function groupsOf(run, step) {
  const groups = [];
  step.accesses.forEach((_, index) => {
    const { group } = explain(run, step, index);
    const last = groups[groups.length - 1];
    if (last && last.group === group) last.to = index + 1;
    else groups.push({ group, from: index, to: index + 1 });
  });
  return groups;
}

export function drawAccesses(run, at, opened) {
  const step = run.steps[at.step];
  if (!step) return `<p class="rv-dim">${t("The end of this recording.")}</p>`;
  if (step.folded) return `<p>${t("Not followed: {0}, which has to do with screen, log and pace.", `<code>${escape(step.folded)}</code>`)}</p>`;
  if (!step.told) return `<p class="rv-dim">${t("The recording does not tell the accesses of this step.")}</p>`;
  if (!step.accesses.length) return `<p class="rv-dim">${t("No access to memory, but to fetch the instruction.")}</p>`;
  const line = (index) => accessLine(run, step, index, at);
  const many = step.accesses.length > MANY;
  const body = !many ? step.accesses.map((_, index) => line(index)).join("")
    : groupsOf(run, step).map(({ group, from, to }) => {
      const here = from < at.access && at.access <= to;
      if (to - from < 3) return Array.from({ length: to - from }, (_, i) => line(from + i)).join("");
      const id = `${at.step}.${from}`;
      const open = here || opened.has(id);
      const done = at.access >= to ? "rv-made" : at.access > from ? "rv-at" : "rv-ahead";
      return `<li class="${done}"><button type="button" class="rv-group" data-group="${id}" aria-expanded="${open}">` +
        `${t("{0}: {1} accesses", (GROUPS[group] || GROUPS[""])(), to - from)}</button>${open ? `<ol start="${from + 1}">${Array.from({ length: to - from }, (_, i) => line(from + i)).join("")}</ol>` : ""}</li>`;
    }).join("");
  const ended = exceptionOf(step);
  return `<ol class="rv-accesses">${body}</ol>${ended ? `<p class="rv-fault">${t("This instruction is refused: {0}.", escape(ended))}</p>` : ""}`;
}

export function drawHead(run, at) {
  const step = run.steps[at.step];
  if (!step) return "";
  const lane = run.lane(at.step);
  const count = step.accesses.length;
  return `<p class="rv-now"><span class="rv-ring rv-ring${lane === "real" ? "r" : /[AB3]/.test(lane) ? "3" : "0"}">${laneName(lane)}</span> ` +
    `<code class="rv-text">${escape(step.text.replace(/\s+/, " "))}</code> <span class="rv-dim">${escape(step.symbol)}` +
    `${step.repeats ? t(", {0} times", step.repeats) : ""}${count ? ` · ${count === 1 ? t("1 access") : t("{0} accesses", count)}` : ""}</span></p>`;
}

/** Assembly around the instruction, as far as the run has come by it; and its source. */
export function drawCode(run, at) {
  const step = run.steps[at.step] || run.steps[run.length - 1];
  const place = step.before.cs.base + step.before.eip;
  let middle = run.listing.findIndex((one) => one.place === place);
  if (middle < 0) middle = 0;
  const from = Math.max(0, middle - AROUND);
  const lines = run.listing.slice(from, middle + AROUND + 1);
  let last = lines.length ? lines[0].place : 0;
  const asm = lines.map((one) => {
    const gap = one.place > last ? '<li class="rv-gap">…</li>' : "";
    last = one.next;
    const here = one.place === place;
    const label = /\+/.test(one.symbol) ? "" : `<b>${escape(one.symbol)}:</b> `;
    return `${gap}<li${here ? ' class="rv-here" aria-current="true"' : ""}><span class="rv-dim">${(one.place - run.base & 0xffff).toString(16).padStart(4, "0")}</span> ${label}${escape(one.text.replace(/\s+/, " "))}</li>`;
  }).join("");
  const [, file, number] = /^(.*):(\d+|\?)$/.exec(step.source || "") || [null, "", "?"];
  const text = run.sourceText(file);
  const index = Number(number) - 1;
  const first = Math.max(0, index - AROUND);
  const source = text ? text.split("\n").slice(first, index + AROUND + 1).map((line, i) =>
    `<li value="${first + i + 1}"${first + i === index ? ' class="rv-here" aria-current="true"' : ""}>${escape(line.replace(/\t/g, "    ")) || " "}</li>`).join("") : "";
  return `<div class="rv-sources"><figure><figcaption>${t("Assembly")}</figcaption><ol class="rv-asm">${asm}</ol></figure>` +
    `<figure><figcaption>${/\.c$/.test(file) ? "C" : t("Source")}: ${escape(file || t("unknown"))}${number !== "?" ? t(", line {0}", number) : ""}</figcaption>` +
    `${source ? `<ol class="rv-source">${source}</ol>` : `<p class="rv-dim">${t("The source is not in this recording.")}</p>`}</figure></div>`;
}

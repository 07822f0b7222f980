// What lies at an address, and what kind of step a step is: from the state and the recording's names.

import { t } from "./language.js";

export const FRAME_WORDS_PUSHED = ["eip", "cs", "eflags", "esp", "ss"];
export const TSS_WORDS = ["backlink", "esp0", "ss0", "esp1", "ss1", "esp2", "ss2", "cr3", "eip", "eflags",
  "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "es", "cs", "ss", "ds", "fs", "gs", "LDT", "I/O map"];
export const TSS_BYTES = 104;

const within = (address, start, length) => start <= address && address < start + length;

/** What lies there: {kind, ...}.
    gdt, ldt, idt: index; tss: word, letter if it is a proc's; frame: letter, word; stack: ring;
    screen; memory. owner: of a frame or TSS, in words. All: text, for people; symbol, its name and offset in the program, if it has one. */
export function area(run, address, state) {
  const symbol = symbolAt(run, address);
  const protect = state.cr0 & 1;
  const found = (kind, text, more = {}) => ({ kind, text, symbol, address, ...more });
  if (protect) {
    for (const [kind, register] of [["idt", state.idtr], ["gdt", state.gdtr], ["ldt", state.ldtr]]) {
      if (kind === "ldt" && !(state.ldtr.selector & ~3)) continue;
      if (within(address, register.base, register.limit + 1)) {
        const index = Math.floor((address - register.base) / 8);
        return found(kind, entryName(run, kind, index, state), { index });
      }
    }
    if (within(address, state.tr.base, TSS_BYTES) && state.tr.selector & ~3) {
      const letter = Object.keys(run.frames).find((name) => run.base + run.frames[name].offset === state.tr.base);
      const word = TSS_WORDS[(address - state.tr.base) >> 2];
      const owner = letter ? tssOf(letter) : t("the TSS");
      return found("tss", t("{0} in {1}", word, owner), { word, letter, owner, tss: state.tr.base });
    }
  }
  for (const [letter, { offset, words }] of Object.entries(run.frames)) {
    const start = run.base + offset;
    if (within(address, start, 4 * words.length)) {
      const task = words.length === TSS_WORDS.length && words[0] === "backlink";
      const word = words[(address - start) >> 2];
      const owner = task ? tssOf(letter) : t("{0}'s frame", letter);
      return found(task ? "tss" : "frame", t("{0} in {1}", word === "pusha_esp" ? "(esp)" : word, owner), { letter, word, owner, tss: task ? start : undefined });
    }
  }
  if (within(address, 0xa0000, 0x20000)) return found("screen", t("the screen"));
  const ss = state.ss;
  if (within(address, ss.base, ss.limit + 1) && Math.abs(address - ss.base - state.esp) < 256) {
    return found("stack", t("ring {0}'s stack", state.cpl), { ring: state.cpl });
  }
  return found("memory", symbol || t("address {0}", address.toString(16)));
}

export const tssOf = (letter) => letter.length === 1 ? t("{0}'s TSS", letter) : t("the TSS of {0}", letter);

/** "GDT entry 3, TSS". */
export function entryName(run, kind, index, state) {
  if (kind === "idt") return t("{0} entry {1}", "IDT", index.toString(16).padStart(2, "0"));
  const name = selectorName(run, index * 8 + (kind === "ldt" ? 4 : 0), state);
  return `${t("{0} entry {1}", kind.toUpperCase(), index)}${name ? `, ${name}` : ""}`;
}

/** A selector's name in the program: a proc's own if several have the same place in their LDTs. */
export function selectorName(run, selector, state) {
  if (!run.selectorNames) {
    run.selectorNames = new Map();
    for (const [name, symbol] of Object.entries(run.symbols)) {
      // Constants, too, are told as offsets where the program does not lie at its load address.
      const value = run.base >= 2 ** 31 ? (symbol + run.base) % 2 ** 32 : symbol;
      if (value > 3 && value < 0x400 && SELECTOR_NAME.test(name)) {
        run.selectorNames.set(value & ~3, [...(run.selectorNames.get(value & ~3) || []), name]);
      }
    }
  }
  const names = run.selectorNames.get(selector & ~3);
  if (!names) return "";
  if (names.length === 1) return names[0];
  const letter = state && run.proc(state);
  return names.find((name) => name.startsWith(`${letter}_`)) || names[0];
}

const SELECTOR_NAME = /^[A-Z][A-Z0-9_]*(CODE|DATA|SCREEN|LDT|TSS|FS|GS|STACK)$|^TSS$|^DOUBLE_FAULT$|^TLS_/;

/** "gate+3": the nearest name below an address of the program. */
export function symbolAt(run, address) {
  const offset = address - run.base;
  if (offset < 0 || offset > 0xffff) return "";
  let low = 0;
  let high = run.names.length - 1;
  if (high < 0 || run.names[0][1] > offset) return "";
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (run.names[middle][1] <= offset) low = middle;
    else high = middle - 1;
  }
  const [name, start] = run.names[low];
  return offset === start ? name : `${name}+${(offset - start).toString(16)}`;
}

/** What a step is for the view: {name, ...}.
    deliveries: [{index, vector}], accesses at which the CPU reads a gate; task: a task switch. */
export function kindOf(run, step) {
  const { before, after, text } = step;
  const mnemonic = text.replace(/^(rep\w*|lock|data16|addr32|cs|ds|es|fs|gs|ss)\s+/, "").split(/\s/)[0];
  const kind = { name: "plain", mnemonic, deliveries: [], task: false, vector: undefined };
  if (step.interrupt !== undefined && step.interrupt !== null) Object.assign(kind, { name: "interrupt", vector: step.interrupt });
  if (!(before.cr0 & 1) || !step.told) {
    if (mnemonic === "iret" && before.cr0 & 1) kind.name = "iret";
    if (mnemonic === "int" && before.cr0 & 1 && !step.told) kind.name = "int";
    return kind;
  }
  step.accesses.forEach(([access, address, size], index) => {
    if (access === "read" && size === 8 && within(address, before.idtr.base, before.idtr.limit + 1)) {
      kind.deliveries.push({ index, vector: (address - before.idtr.base) >> 3 });
    }
  });
  kind.task = before.tr.selector !== after.tr.selector && mnemonic !== "ltr";
  if (/^(int|int3|into)$/.test(mnemonic)) {
    kind.name = "int";
    kind.vector = mnemonic === "int3" ? 3 : mnemonic === "into" ? 4 : Number(text.split("$")[1]);
  } else if (/^iret/.test(mnemonic)) kind.name = "iret";
  else if (/^(lldt|ltr|lgdt|lidt)/.test(mnemonic)) kind.name = mnemonic.slice(0, 4).replace(/l$/, "l");
  const last = kind.deliveries[kind.deliveries.length - 1];
  if (last && kind.name !== "interrupt" && !(kind.name === "int" && last.vector === kind.vector)) kind.exception = last.vector;
  return kind;
}

export const EXCEPTIONS = { 0: "#DE", 1: "#DB", 2: "NMI", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
  11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC" };
export const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

// A recording, ready to be looked at from any place in it.
//
//   const run = new Run(recording, about)
//   run.steps[n]            the recording's step, with its number, its states and its kind
//   run.word(address, at)   what is known of a word of memory there and then, and what it was before
//
// A place `at` is {step, access}: in front of step n, with so many of its accesses made. Access 0 is
// the place between two instructions. {step: length, access: 0} is the end.

import { kindOf, selectorName } from "./places.js";

const WIDE = 1024; // more than a step has accesses
export const key = (at) => at.step * WIDE + at.access;

export class Run {
  /** about: {name, title, sources: {file: text}}; recording: see expand.js. */
  constructor(recording, about = {}) {
    this.recording = recording;
    this.about = about;
    this.name = about.name || recording.program || "recording";
    this.title = about.title || this.name;
    this.base = recording.base || 0;
    this.symbols = recording.symbols || {};
    this.frames = recording.frames || {};
    this.names = Object.entries(this.symbols).filter(([name]) => !/^[A-Z]/.test(name)).sort((a, b) => a[1] - b[1]);
    this._history = new Map();
    this._build();
    this._findCode();
    this._findCrossings();
  }

  get length() {
    return this.steps.length;
  }

  _build() {
    let before = this.recording.state;
    let certain = true; // has every step so far told its accesses?
    this._see(before, 0, true);
    this.steps = this.recording.steps.map((recorded, number) => {
      const after = { ...before, ...recorded.changes };
      const step = { number, before, after, text: recorded.text, bytes: recorded.bytes, symbol: recorded.symbol,
        source: recorded.source, accesses: recorded.accesses || [], told: recorded.accesses !== null,
        folded: recorded.folded, repeats: recorded.repeats, interrupt: recorded.interrupt, gap: recorded.gap };
      step.accesses.forEach(([kind, address, size, value], index) => {
        this._access(kind === "write", address, size, value, number * WIDE + index + 1, certain);
      });
      certain = certain && step.told;
      this._see(recorded.changes, (number + 1) * WIDE, certain, after);
      step.kind = kindOf(this, step);
      before = after;
      return step;
    });
    this.states = [...this.steps.map((step) => step.before), before];
  }

  /** What a state tells of memory. */
  _see(changes, when, certain, state = changes) {
    const words = (start, list) => list.forEach((value, i) => this._learn(start + 4 * i, value, when, certain));
    const table = (start, list) => list.forEach((text, i) => {
      this._learn(start + 8 * i, parseInt(text.slice(8), 16), when, certain);
      this._learn(start + 8 * i + 4, parseInt(text.slice(0, 8), 16), when, certain);
    });
    if (changes.gdt) table("gdt" in this.symbols ? this.base + this.symbols.gdt : state.gdtr.base, changes.gdt);
    if (changes.idt) table("idt" in this.symbols ? this.base + this.symbols.idt : state.idtr.base, changes.idt);
    if (changes.ldt) table(state.ldtr.base, changes.ldt);
    if (changes.tss) {
      const start = "tss" in this.symbols ? this.base + this.symbols.tss : state.tr.base;
      words(start + 4, [changes.tss.esp0, changes.tss.ss0]);
    }
    for (const [letter, list] of Object.entries(changes.frames || {})) {
      if (this.frames[letter]) words(this.base + this.frames[letter].offset, list);
    }
    if (changes.stack) words(changes.stack.linear, changes.stack.words);
  }

  /** A whole word is seen: new if it is other than known. Words may lie at any address; here they
      are kept at multiples of four. */
  _learn(address, value, when, certain) {
    this._bytes(address, 4, value, when, certain, false);
  }

  _access(write, address, size, value, when, certain) {
    let rest = typeof value === "bigint" ? value : BigInt(value >>> 0);
    for (let place = address; place < address + size; place += 4) {
      const length = Math.min(4, address + size - place);
      this._bytes(place, length, Number(rest & 0xffffffffn), when, certain, write);
      rest >>= 32n;
    }
  }

  _bytes(address, size, value, when, certain, write) {
    for (let i = 0; i < size;) {
      const word = (address + i) & ~3;
      const shift = (address + i) & 3;
      const length = Math.min(4 - shift, size - i);
      const part = length === 4 ? value : (value >>> (8 * i)) & (2 ** (8 * length) - 1);
      const mask = length === 4 ? 0xffffffff : ((2 ** (8 * length) - 1) << (8 * shift)) >>> 0;
      this._note(word, length === 4 ? part >>> 0 : (part << (8 * shift)) >>> 0, mask, when, certain, write);
      i += length;
    }
  }

  _note(word, value, mask, when, certain, write) {
    let entries = this._history.get(word);
    if (!entries) this._history.set(word, entries = []);
    const last = entries[entries.length - 1];
    if (last) {
      const merged = ((last.value & ~mask) | value) >>> 0;
      const known = (last.mask | mask) >>> 0;
      const changed = merged !== last.value || write;
      if (!changed && known === last.mask) return;
      const fresh = !write && ((last.mask & mask) >>> 0) !== mask; // known for the first time
      if (fresh && certain && merged !== last.value) {
        // It has had this value from the beginning on: nothing untold has happened since.
        for (const entry of entries) {
          entry.value = (entry.value | (value & ~last.mask)) >>> 0;
          entry.mask = (entry.mask | mask) >>> 0;
        }
        return;
      }
      if (last.when === when) Object.assign(last, { value: merged, mask: known, write: write || last.write });
      else entries.push({ when, value: merged, mask: known, write });
    } else {
      if (write) entries.push({ when: 0, value: 0, mask: 0, write: false });
      entries.push({ when: certain && !write ? 0 : when, value, mask, write });
    }
  }

  /** {value, mask, old, since, written}: a word (the address a multiple of 4) at a place of the run.
      mask: which bits are known. old: what it was before it became so, undefined if not known.
      written: has the very last access written it? */
  word(address, at) {
    const entries = this._history.get(address);
    const now = key(at);
    if (!entries || entries[0].when > now) return { value: 0, mask: 0, old: undefined, since: -1, written: false };
    let low = 0;
    let high = entries.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (entries[middle].when <= now) low = middle;
      else high = middle - 1;
    }
    const { value, mask, when, write } = entries[low];
    let before = low - 1;
    while (before >= 0 && entries[before].value === value && entries[before].mask === mask) before--;
    const old = before >= 0 && entries[before].mask === 0xffffffff ? entries[before].value : undefined;
    return { value, mask, old, since: when, written: write && when === now };
  }

  /** The number in four bytes at any address; undefined if not all are known. */
  number(address, at) {
    const first = this.word(address & ~3, at);
    const shift = 8 * (address & 3);
    if (!shift) return first.mask === 0xffffffff ? first.value : undefined;
    const second = this.word((address & ~3) + 4, at);
    if (first.mask !== 0xffffffff || second.mask !== 0xffffffff) return undefined;
    return ((first.value >>> shift) | (second.value << (32 - shift))) >>> 0;
  }

  _findCode() {
    this.code = new Map();
    for (const step of this.steps) {
      if (!step.bytes) continue;
      const place = step.before.cs.base + step.before.eip;
      if (!this.code.has(place)) this.code.set(place, { place, ...step, next: place + step.bytes.length / 2 });
    }
    this.listing = [...this.code.values()].sort((a, b) => a.place - b.place);
  }

  _findCrossings() {
    this.crossings = this.steps.filter((step) => step.before.cr0 & 1 &&
      (step.before.cpl !== step.after.cpl || step.kind.task)).map((step) => step.number);
  }

  /** The ring and, in ring 3, the proc, in front of a step: "0", "A", "B", "3" or "real". */
  lane(number) {
    const state = this.states[number];
    if (!(state.cr0 & 1)) return "real";
    if (state.cpl !== 3) return String(state.cpl);
    return this.proc(state);
  }

  /** "A" or "B", which runs in ring 3 in this state; "3" if nothing tells. */
  proc(state) {
    for (const [letter, { offset, words }] of Object.entries(this.frames)) {
      const start = this.base + offset;
      const end = state.tss.esp0 + this.base;
      if (letter.length === 1 && (state.tr.base === start || (start < end && end <= start + 4 * words.length))) return letter;
    }
    for (const segment of [state.ss, state.cs, state.ldtr]) {
      const named = /^([AB])_/.exec(selectorName(this, segment.selector) || "");
      if (named) return named[1];
    }
    return "3";
  }

  sourceText(file) {
    return (this.about.sources || {})[file];
  }
}

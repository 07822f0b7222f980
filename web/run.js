// A recording, ready to be looked at from any place in it.
//
//   const run = new Run(recording, about)
//   run.steps[n]            the recording's step, with its number, its states and its kind
//   run.word(address, at)   what is known of a word of memory there and then, and what it was before
//
// A place `at` is {step, access}: in front of step n, with so many of its accesses made. Access 0 is
// the place between two instructions. {step: length, access: 0} is the end.
//
// Addresses are linear. Where paging is on, memory is kept by its physical addresses, since two
// procs have other words at the same place; what no page table tells is kept for each cr3.

import { isEntry, isPaged, physicalOf, stopsOf } from "./pages.js";
import { kindOf, selectorName } from "./places.js";
import { descriptor } from "./words.js";

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
    this._entries = new Map();  // of page tables, by physical address, while the history is written
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
    let saved = "";     // whose frame esp has been in last
    this.savedLast = [];
    this._see(before, 0, true);
    this.steps = this.recording.steps.map((recorded, number) => {
      const after = { ...before, ...recorded.changes };
      const step = { number, before, after, text: recorded.text, bytes: recorded.bytes, symbol: recorded.symbol,
        source: recorded.source, accesses: stopsOf(recorded, before), told: recorded.accesses !== null,
        folded: recorded.folded, repeats: recorded.repeats, interrupt: recorded.interrupt, gap: recorded.gap };
      saved = this._savedIn(before) || saved;
      this.savedLast.push(saved);
      this._space = before;
      this._learnEntries(after);
      step.accesses.forEach((access, index) => {
        const [kind, address, size, value] = access;
        const when = number * WIDE + index + 1;
        if (isEntry(access)) this._entry(address, size, value, when, certain, kind === "entry-write");
        else this._access(kind === "write", address, size, value, when, certain);
      });
      certain = certain && step.told;
      this._see(recorded.changes, (number + 1) * WIDE, certain, after);
      step.kind = kindOf(this, step);
      before = after;
      return step;
    });
    this.states = [...this.steps.map((step) => step.before), before];
    this.savedLast.push(saved);
  }

  /** The letter of the frame in which ring 0's esp is, if it is in one. */
  _savedIn(state) {
    if (state.cpl !== 0) return "";
    const esp = state.ss.base + state.esp;
    const [letter] = Object.entries(this.frames).find(([name, { offset, words }]) => name.length === 1 &&
      this.base + offset <= esp && esp <= this.base + offset + 4 * words.length) || [""];
    return letter;
  }

  _learnEntries(state) {
    for (const [physical, value] of Object.entries(state.pages || {})) this._entries.set(parseInt(physical, 16), value);
  }

  /** An entry of a page table is seen, or changed by the CPU. */
  _entry(physical, size, value, when, certain, write) {
    this._entries.set(physical, value);
    const all = BigInt(value);
    for (let i = 0; i < size; i += 4) {
      this._note(physical + i, Number(all >> BigInt(8 * i) & 0xffffffffn), 0xffffffff, when, certain, write);
    }
  }

  /** Where a word is kept in the history; entry: see pages.js. */
  _keptAt(linear, state, entry) {
    if (!isPaged(state)) return linear;
    return physicalOf(linear, state, entry) ?? linear + ((state.cr3 >>> 12) + 1) * 2 ** 32;
  }

  /** What a state tells of memory. */
  _see(changes, when, certain, state = changes) {
    this._space = state;
    this._learnEntries(changes);
    const entryBytes = state.cr4 & 0x20 ? 8 : 4;
    for (const [physical, value] of Object.entries(changes.pages || {})) {
      this._entry(parseInt(physical, 16), entryBytes, value, when, certain, false);
    }
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
      const place = this._keptAt(address + i, this._space, (physical) => this._entries.get(physical));
      const shift = place % 4;
      const word = place - shift;
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
      written: has the very last access written it? state: the one whose page tables count. */
  word(address, at, state = this.states[at.step]) {
    return this._kept(this._keptAt(address, state, (physical) => this.entry(physical, at)), at);
  }

  /** What is known of an entry of a page table, or of any word at a physical address. */
  entry(physical, at) {
    const { value, mask } = this._kept(physical, at);
    return mask === 0xffffffff ? value : undefined;
  }

  _kept(place, at) {
    const entries = this._history.get(place);
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
    const shift = 8 * (address % 4);
    const start = address - address % 4;
    const first = this.word(start, at);
    if (!shift) return first.mask === 0xffffffff ? first.value : undefined;
    const second = this.word(start + 4, at);
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
    const letter = this.proc(state);
    return letter === "3" && this.savedLast[number] || letter;
  }

  /** Where esp0 points, as a linear address. */
  esp0(state) {
    const entry = state.gdt[state.tss.ss0 >>> 3];
    return (entry && state.tss.ss0 >>> 3 ? descriptor(entry).base : this.base) + state.tss.esp0;
  }

  /** "A" or "B", which runs in ring 3 in this state; "3" if nothing tells. */
  proc(state) {
    for (const [letter, { offset, words }] of Object.entries(this.frames)) {
      const start = this.base + offset;
      const end = this.esp0(state);
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

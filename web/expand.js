// Recordings: read one as ringside wrote it, or unpack one as ringside/web/compact.py packed it.
//
//   parse(text)      a recording from a file that was dropped here; throws BadRecording with a sentence
//   expand(packed)   a recording, to the bit the one that was packed
//
// Values of 8 bytes are BigInt in both: a number of JavaScript's loses their last digits.

import { t } from "./language.js";

export const FORMAT = "ringpong recording";
const VERSIONS = [3, 4, 5, 6];
const NUMBERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "cr0", "cpl"];
const SELECTORS = ["cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr"];
const EIP = NUMBERS.indexOf("eip");
const LDT_LENGTH = NUMBERS.length + SELECTORS.length + 2;
const PAGING = ["cr2", "cr3", "cr4"];

export class BadRecording extends Error {}

function demand(truth, sentence) {
  if (!truth) throw new BadRecording(sentence);
}

/** A recording from the text of a file, checked as far as the view relies on it. */
export function parse(text) {
  let recording;
  try {
    // [..., 8, NUMBER]: as a string, before JSON.parse makes a number of it.
    recording = JSON.parse(text.replace(/,8,(\d{10,})\]/g, ',8,"$1d"]'));
  } catch (error) {
    throw new BadRecording(t("This is no recording: it is not JSON. Recordings are made by: make record"));
  }
  demand(recording && recording.format === FORMAT,
    t('This is no recording of Ringpong: its "format" says something else. Recordings are made by: make record'));
  demand(VERSIONS.includes(recording.version),
    t("This recording has version {0}, which this page does not know. Make it again: make record", recording.version));
  demand(recording.state && Array.isArray(recording.steps) && recording.steps.length,
    t("This recording has no steps: it may have been cut short. Make it again: make record"));
  demand(NUMBERS.every((name) => Number.isInteger(recording.state[name])) &&
    SELECTORS.every((name) => recording.state[name] && Number.isInteger(recording.state[name].base)),
    t("The first state of this recording is not complete. Make it again: make record"));
  recording.steps.forEach((step, number) => {
    demand(step && typeof step.text === "string" && step.changes && typeof step.changes === "object",
      t("Step {0} of this recording is not whole. Make it again: make record", number));
    for (const access of step.accesses || []) {
      demand(Array.isArray(access) && access.length >= 4 && (access[0] === "read" || access[0] === "write"),
        t("Step {0} of this recording has a memory access that is none. Make it again: make record", number));
      access[3] = toValue(access[3], access[2]);
    }
  });
  return recording;
}

/** The value of an access: BigInt if it has 8 bytes or more, else a number. */
function toValue(value, size) {
  if (typeof value === "string") {
    return value.endsWith("d") && /^\d+d$/.test(value) ? BigInt(value.slice(0, -1)) : BigInt("0x" + value.replace(/^0x/, ""));
  }
  return size >= 8 ? BigInt(value) : value;
}

/** Memory, byte by byte, as far as it is known. */
class Memory {
  constructor(base) {
    this.base = base;
    this.bytes = new Map();
    this.touched = []; // [address, bytes] since the list was last emptied
  }

  isTouched(start, size) {
    return this.touched.some(([address, length]) => address < start + size && start < address + length);
  }

  poke(spans) {
    for (let i = 0; i < spans.length; i += 2) {
      const hex = spans[i + 1];
      this.touched.push([this.base + spans[i], hex.length / 2]);
      for (let at = 0; at < hex.length; at += 2) {
        this.bytes.set(this.base + spans[i] + at / 2, parseInt(hex.substr(at, 2), 16));
      }
    }
  }

  read(address, size) {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes.get(address + i);
    return value;
  }

  read8(address) {
    return BigInt(this.read(address + 4, 4)) << 32n | BigInt(this.read(address, 4));
  }

  write(address, size, value) {
    this.touched.push([address, size]);
    let rest = BigInt(value);
    for (let i = 0; i < size; i++, rest >>= 8n) this.bytes.set(address + i, Number(rest & 255n));
  }
}

/** Entries of page tables: which a state has, and what is known of them. */
class Entries {
  constructor(sets) {
    this.sets = sets;
    this.known = new Map();
    this.place = 0;
  }

  walked(walks) {
    for (const [, physical, , value] of walks) this.known.set(physical, value);
  }

  take([place, ...news]) {
    this.place = place;
    for (let i = 0; i < news.length; i += 2) this.known.set(news[i], news[i + 1]);
  }

  pages() {
    return Object.fromEntries(this.sets[this.place].map((physical) => [physical.toString(16), this.known.get(physical)]));
  }
}

const same = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

/** A state as recordings have it, from what compact.py's _values gives, and from memory. What has
    not changed since the old state is the same object as there. */
function toState(values, memory, packed, old, entries) {
  const { base, symbols, frames } = packed;
  const [, [gdtLength, idtLength], stackLength] = packed.state;
  const state = {};
  NUMBERS.forEach((name, i) => { state[name] = values[i]; });
  SELECTORS.forEach((name, i) => {
    const [selector, segmentBase, limit, attributes] = values[NUMBERS.length + i];
    state[name] = { selector, base: segmentBase, limit, type: attributes & 31, dpl: attributes >> 5 & 3, attributes };
  });
  ["gdtr", "idtr"].forEach((name, i) => {
    const [tableBase, limit] = values[NUMBERS.length + SELECTORS.length + i];
    state[name] = { base: tableBase, limit };
  });
  const table = (name, start, length) => old && old[name].length === length && !memory.isTouched(start, 8 * length)
    ? old[name] : Array.from({ length }, (_, i) => memory.read8(start + 8 * i).toString(16).padStart(16, "0"));
  state.gdt = table("gdt", base + symbols.gdt, gdtLength);
  state.idt = table("idt", base + symbols.idt, idtLength);
  const moved = old && old.ldtr.base !== state.ldtr.base;
  if (moved) memory.touched.push([state.ldtr.base, 8 * values[LDT_LENGTH]]);
  state.ldt = table("ldt", state.ldtr.base, values[LDT_LENGTH]);
  state.tss = { ss0: memory.read(base + symbols.tss + 8, 4), esp0: memory.read(base + symbols.tss + 4, 4) };
  const touched = !old || Object.values(frames).some(({ offset, words }) => memory.isTouched(base + offset, 4 * words.length));
  state.frames = touched ? Object.fromEntries(Object.entries(frames).map(([letter, { offset, words }]) =>
    [letter, words.map((_, i) => memory.read(base + offset + 4 * i, 4))])) : old.frames;
  const esp = state.ss.attributes & 0x4000 ? state.esp : state.esp & 0xffff;
  const linear = Math.max(state.ss.base + esp - esp % 4 - 2 * stackLength, 0) % 2 ** 32;
  state.stack = old && old.stack.linear === linear && !memory.isTouched(linear, 4 * stackLength)
    ? old.stack : { linear, words: Array.from({ length: stackLength }, (_, i) => memory.read(linear + 4 * i, 4)) };
  memory.touched = [];
  if (entries) {
    PAGING.forEach((name, i) => { state[name] = values[LDT_LENGTH + 1 + i]; });
    state.pages = entries.pages();
  }
  return state;
}

/** What of the old state is other in the new one, in the order of the state. */
function difference(old, state) {
  const changes = {};
  for (const [name, value] of Object.entries(state)) {
    if (!same(value, old[name])) changes[name] = value;
  }
  return changes;
}

export function expand(packed) {
  const memory = new Memory(packed.base);
  memory.poke(packed.memory);
  let values = packed.state[0];
  const entries = packed.sets ? new Entries(packed.sets) : null;
  if (entries) entries.take(packed.state[3]);
  let state = toState(values, memory, packed, null, entries);
  const { code, of, format: _f, memory: _m, sets: _e, state: _s, steps: _t, version: _v, ...head } = packed;
  const recording = { format: FORMAT, version: of, ...head, state, steps: [] };
  for (const [index, changes, accesses, pokes, options, news] of packed.steps) {
    const [, , bytes, text, symbol, source] = code[index];
    const step = { bytes, text, symbol, source, accesses: accesses === null ? null : [], ...(options || {}) };
    for (const [kind, place, size, value] of accesses || []) {
      const address = packed.base + place;
      let whole = value === undefined ? (size === 8 ? memory.read8(address) : memory.read(address, size)) : value;
      if (typeof whole === "string") whole = BigInt("0x" + whole);
      step.accesses.push([kind ? "write" : "read", address, size, whole]);
      memory.write(address, size, whole);
    }
    if (pokes) memory.poke(pokes);
    values = values.slice();
    values[EIP] += bytes.length / 2;
    for (let i = 0; changes && i < changes.length; i += 2) values[changes[i]] = changes[i + 1];
    if (entries && step.walks) entries.walked(step.walks);
    if (news) entries.take(news);
    const next = toState(values, memory, packed, state, entries);
    step.changes = difference(state, next);
    recording.steps.push(step);
    state = next;
  }
  return recording;
}

// "Step from here": a recording, in the recorder's own format, made of the machine that plays.
//
//   recordFrom(machine, knowledge, options)   {recording, open}: open is the step to show first
//
// knowledge: what the page knows of the program (knowledgeOf): names, frames, instructions, and
// functions that are not followed. Of another guest it knows nothing; then the CPU's own registers
// say where the tables are, and the engine says what an instruction is.

import { FORMAT } from "./expand.js";
import { isPaged, PAGE, walkOf } from "./pages.js";
import { symbolAt } from "./places.js";

const VERSION = 4;
const LOADED = 0x10000;     // where boot.S loads a program; one with pages has itself elsewhere, once they are on
const STACK_WORDS = 8;      // below esp, and from there on
const FOLD_MOST = 40000000; // instructions of what is not followed
const MEMORY = 0x10000;     // of the program: its segment
const PLAIN = 1;            // of cr0: protected mode

/** What the page knows of a program: from the runs that came with it. */
export function knowledgeOf(program, data) {
  const run = data.runs.find((one) => one.kind === "program" && one.packed.program === program);
  if (!run) return { program: program || "unknown", base: 0, symbols: {}, frames: {}, code: new Map(), scenery: new Set() };
  const code = new Map();
  for (const one of data.runs.filter((other) => other.packed.symbols === run.packed.symbols)) {
    for (const [index] of one.packed.steps) {
      const [eip, base] = data.code[index];
      if (data.code[index][2] && !code.has(`${eip} ${base}`)) code.set(`${eip} ${base}`, data.code[index]);
    }
  }
  return { program, base: run.packed.base, symbols: data.symbols[run.packed.symbols], frames: run.packed.frames, code,
    scenery: new Set((data.scenery || {})[program] || []) };
}

const littleEndian = (bytes, at, size) => {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
};
const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Memory as the machine has it: the program's segment is kept here, and changed by what steps tell. */
class Shadow {
  constructor(machine, base) {
    Object.assign(this, { machine, base });
    this.renew();
  }

  renew() {
    this.bytes = this.base ? this.machine.read(this.base, MEMORY, true) : new Uint8Array(0);
  }

  read(address, size) {
    const start = address - this.base;
    if (this.base && start >= 0 && start + size <= this.bytes.length) return this.bytes.subarray(start, start + size);
    return this.machine.read(address, size, true);
  }

  apply(accesses) {
    for (const [kind, address, size, value] of accesses) {
      if (kind !== "write") continue;
      let rest = BigInt(value);
      for (let i = 0; i < size; i++, rest >>= 8n) {
        const place = address + i - this.base;
        if (this.base && place >= 0 && place < this.bytes.length) this.bytes[place] = Number(rest & 255n);
      }
    }
  }
}

class Recorder {
  constructor(machine, knowledge) {
    Object.assign(this, { machine, knowledge });
    this.shadow = new Shadow(machine, knowledge.base);
    this.names = { base: knowledge.base, names: Object.entries(knowledge.symbols).filter(([name]) => !/^[A-Z]/.test(name)).sort((a, b) => a[1] - b[1]) };
  }

  /** The registers, and of memory what a state of a recording has. touched: addresses of the step's accesses. */
  whole(registers, touched = []) {
    const { symbols, frames, base } = this.knowledge;
    const table = (start, length) => {
      const bytes = this.shadow.read(start, 8 * length);
      return Array.from({ length }, (_, i) => hexOf([...bytes.subarray(8 * i, 8 * i + 8)].reverse()));
    };
    const entries = (limit) => Math.min(limit + 1 >> 3, 256);
    const { gdtr, idtr, ldtr, tr, ss } = registers;
    const state = { ...registers };
    state.gdt = "gdt" in symbols ? table(base + symbols.gdt, (symbols.gdt_end - symbols.gdt) >> 3) : table(gdtr.base, entries(gdtr.limit));
    state.idt = "idt" in symbols ? table(base + symbols.idt, (symbols.idt_end - symbols.idt) >> 3) : table(idtr.base, entries(idtr.limit));
    state.ldt = ldtr.selector ? table(ldtr.base, entries(ldtr.limit)) : [];
    const tss = "tss" in symbols ? base + symbols.tss : tr.base;
    const bytes = this.shadow.read(tss + 4, 8);
    state.tss = { ss0: littleEndian(bytes, 4, 4), esp0: littleEndian(bytes, 0, 4) };
    state.frames = Object.fromEntries(Object.entries(frames).map(([letter, { offset, words }]) => {
      const frame = this.shadow.read(base + offset, 4 * words.length);
      return [letter, words.map((_, i) => littleEndian(frame, 4 * i, 4))];
    }));
    const esp = ss.attributes & 0x4000 ? registers.esp : registers.esp & 0xffff;
    const linear = Math.max(ss.base + esp - esp % 4 - 4 * STACK_WORDS, 0);
    const stack = this.shadow.read(linear, 8 * STACK_WORDS);
    state.stack = { linear, words: Array.from({ length: 2 * STACK_WORDS }, (_, i) => littleEndian(stack, 4 * i, 4)) };
    if (isPaged(registers)) state.pages = this.pages(registers, [linear, linear + 8 * STACK_WORDS - 1, tss, gdtr.base, idtr.base, ...touched]);
    return state;
  }

  /** Entries of page tables, by physical address: those that lead to the instruction and to some addresses. */
  pages(registers, addresses) {
    const { symbols, frames, base } = this.knowledge;
    const found = {};
    const size = registers.cr4 & 0x20 ? 8 : 4;
    const entry = (physical) => littleEndian(this.machine.read(physical, size), 0, size);
    const tables = ["gdt", "idt"].filter((name) => name in symbols).map((name) => base + symbols[name]);
    const saved = Object.values(frames).flatMap(({ offset, words }) => [base + offset, base + offset + 4 * words.length - 1]);
    const wanted = [registers.cs.base + registers.eip, ...tables, ...saved, ...addresses];
    for (const page of new Set(wanted.map((linear) => (linear - linear % PAGE) >>> 0))) {
      for (const { physical } of walkOf(page, registers, entry)) found[physical.toString(16)] = entry(physical);
    }
    return found;
  }

  /** {bytes, text, symbol, source} of the next instruction. */
  instruction(registers) {
    const { code, base } = this.knowledge;
    const place = registers.cs.base + registers.eip;
    const known = code.get(`${registers.eip} ${registers.cs.base - base}`);
    if (known && hexOf(this.shadow.read(place, known[2].length / 2)) === known[2]) {
      return { bytes: known[2], text: known[3], symbol: known[4], source: known[5] };
    }
    const told = this.machine.disassemble();
    const bytes = told ? hexOf(this.shadow.read(place, told.length)) : "";
    return { bytes, text: told ? told.text : "?", symbol: symbolAt(this.names, place) || place.toString(16), source: "?:?" };
  }

  /** Is a call one that recordings do not follow? Its target's name, if so. */
  folded(registers, { bytes, text }) {
    if (!(registers.cr0 & PLAIN) && /^int /.test(text)) return text.replace("$", "");
    if (!/^(66)?e8/.test(bytes)) return "";
    const wide = registers.cs.attributes & 0x4000 ? !bytes.startsWith("66") : bytes.startsWith("66");
    const size = wide ? 4 : 2;
    const all = Uint8Array.from(bytes.match(/../g), (pair) => parseInt(pair, 16));
    let distance = littleEndian(all, all.length - size, size);
    if (size === 2 && distance > 0x7fff) distance -= 0x10000;
    const target = (registers.eip + all.length + distance) >>> 0;
    const place = (registers.cs.base + target - this.knowledge.base) % 2 ** 32;
    const found = this.names.names.filter(([name, offset]) => offset === place && this.knowledge.scenery.has(name));
    return found.length ? found[0][0] : "";
  }

  /** The steps that one step of the machine's is: two, if an interrupt came before the instruction. */
  *steps(before, registers) {
    const instruction = this.instruction(registers);
    const folded = this.folded(registers, instruction);
    const repeats = /^rep/.test(instruction.text);
    if (folded || repeats) {
      const behind = registers.cs.base + registers.eip + instruction.bytes.length / 2;
      if (this.machine.until(behind, FOLD_MOST) === undefined) return;
      this.shadow.renew();
      const after = this.machine.state();
      const step = { ...instruction, accesses: null };
      if (folded) step.folded = folded;
      if (repeats) step.repeats = (registers.ecx - after.ecx) & (registers.cs.attributes & 0x4000 ? -1 : 0xffff);
      yield [step, after];
      return;
    }
    const done = this.machine.step();
    if (!done) return;
    if (done.interrupt) {
      const { vector, accesses, walks, state } = done.interrupt;
      this.shadow.apply(accesses);
      yield [{ bytes: "", text: `interrupt 0x${vector.toString(16).padStart(2, "0")}`, symbol: instruction.symbol, source: instruction.source,
        interrupt: vector, accesses, ...withWalks(walks) }, state];
      if (done.accesses.length === 0 && this.machine.state().eip === state.eip) return;
      this.shadow.apply(done.accesses);
      yield [{ ...this.instruction(state), accesses: done.accesses, ...withWalks(done.walks) }, this.machine.state()];
      return;
    }
    this.shadow.apply(done.accesses);
    yield [{ ...instruction, accesses: done.accesses, ...withWalks(done.walks) }, this.machine.state()];
  }
}

const withWalks = (walks) => walks && walks.length ? { walks } : {};
const alike = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

/** A recording from where the machine is: until so many crossings from ring 0 to ring 3 are made, or so many
    steps. open: the first step behind so many ticks (target). pause: a promise now and then, so that the page stays alive. */
export async function recordFrom(machine, knowledge, { switches = 2, most = 4000, target = 0, pause = () => null } = {}) {
  let registers = machine.state();
  // A program with pages: before they are on, it lies where it was loaded.
  const early = knowledge.base >= 2 ** 31 && !isPaged(registers);
  const recorder = new Recorder(machine, early ? { ...knowledge, base: LOADED } : knowledge);
  let state = recorder.whole(registers);
  const recording = { format: FORMAT, version: VERSION, emulator: "bochs", program: knowledge.program, base: recorder.knowledge.base,
    symbols: knowledge.symbols, frames: knowledge.frames, state, steps: [] };
  let made = 0;
  let inside = false;
  let open = -1;
  while (made < switches && recording.steps.length < most && !machine.off && !machine.shutDown) {
    const count = recording.steps.length;
    if (open < 0 && machine.ticks >= target) open = count;
    for (const [step, after] of recorder.steps(state, registers)) {
      const next = recorder.whole(after, (step.accesses || []).flatMap(([, address, size]) => [address, address + size - 1]));
      const changes = {};
      for (const [name, value] of Object.entries(next)) if (!alike(value, state[name])) changes[name] = value;
      recording.steps.push({ ...step, changes });
      inside = inside || (registers.cpl === 3 && after.cpl !== 3);
      if (inside && after.cpl === 3) {
        made++;
        inside = false;
      }
      [registers, state] = [after, next];
    }
    if (recording.steps.length === count) break;
    if (recording.steps.length % 100 === 0) await pause();
  }
  return { recording, open: Math.max(open, 0) };
}

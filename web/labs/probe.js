// A ring 0 of your own, tried from ring 3 in the page: what ringside/laws/probe.py does, for programs that have
// segments for each proc and one int as their door.
//
//   const found = await tryProgram(bytes, "p_proc.com", 2)    [{law, said}], found.switches; null without an engine
//
// As soon as the CPU is in ring 3, a loop of ours stands in all code that is for ring 3. Before each way in all registers
// get other values; who comes back must have them. No symbol, no log and no screen is asked.

import { withProgram } from "./floppy.js";
import { loadEngine, startMachine, TICKS_A_SECOND } from "./machine.js";

const BOOT_NAME = 485;              // where the boot sector keeps what it starts: scripts/mkfloppy
const PROGRAM = 0x10000, PROGRAM_BYTES = 0x10000;
const LIMIT = 12 * TICKS_A_SECOND;  // until a switch that does not end counts as one that never does
const SLOW = 24, FAST = 40, BETWEEN = 3000000;
const CODE_BYTES = 0x4000, LDT = 2, INT = 0xcd, NOP = 0x90;
const LOADED = 13;                  // words: gs fs es ds, edi ... eax, eflags
// lea -52(%esp), %esp; pop gs, fs, es, ds; popa; popf
const LOADS = [0x8d, 0x64, 0x24, 256 - 4 * LOADED, 0x0f, 0xa9, 0x0f, 0xa1, 0x07, 0x1f, 0x61, 0x9d];
const IF = 0x200, NT = 0x4000, DF = 0x400, IOPL = 0x3000, EM_TS = 0xc;
const FLAGS = 0x244cd5, COMPARED = 0x247fd5;
const GENERAL = ["eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"];
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"];
const hex = (number, digits = 8) => (number >>> 0).toString(16).padStart(digits, "0");
const long = (bytes, at) => (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;

/** The rows of a descriptor table. */
function rows(machine, base, limit, ti) {
  const bytes = machine.read(base, limit + 1);
  const found = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const [low, high] = [long(bytes, at), long(bytes, at + 4)];
    const size = ((high & 0xf0000 | low & 0xffff) + 1) * (high >>> 23 & 1 ? 4096 : 1);
    const start = ((high & 0xff000000 | (high & 0xff) << 16 | low >>> 16) >>> 0);
    found.push({ selector: at + ti, present: high >>> 15 & 1, dpl: high >>> 13 & 3, memory: high >>> 12 & 1, type: high >>> 8 & 15,
      code: (high >>> 12 & 1) && (high >>> 11 & 1), start, end: start + size });
  }
  return found;
}

class Probe {
  constructor(machine, procs) {
    Object.assign(this, { machine, wanted: procs, found: [], sites: [], procs: [], turns: [] });
    this.found.switches = 0;
  }

  say(law, said) {
    if (!this.found.some((one) => one.law === law && one.said.split(" = ")[0] === said.split(" = ")[0])) this.found.push({ law, said });
  }

  random() {
    return crypto.getRandomValues(new Uint32Array(1))[0];
  }

  run() {
    const { machine } = this;
    const state = this.out();
    if (!state) return this.say("H1", "ring 3 is never reached");
    const gdt = rows(machine, state.gdtr.base, state.gdtr.limit, 0);
    this.tables(state, gdt);
    if (this.door === undefined) return this.say("H1", "ring 3 has no door to ask at");
    const ldts = gdt.filter((row) => row.present && !row.memory && row.type === LDT).flatMap((row) => rows(machine, row.start, row.end - row.start - 1, 4));
    this.replace([...gdt.slice(1), ...ldts]);
    this.arrived(state);
    for (let i = 0; i < SLOW && this.turn(); i++);
    if (!this.dead) this.fullSpeed();
    for (let i = 0; i < FAST && !this.dead && this.turn(); i++);
    if (!this.dead) this.takeTurns();
    return undefined;
  }

  /** On to the next moment in ring 3, coming from ring 0; null if there is none. */
  out() {
    const end = (this.machine.state(), this.machine.ticks) + LIMIT;
    for (;;) {
      const state = this.machine.crossing(end);
      if (!state || this.machine.ticks >= end || this.machine.off || this.machine.shutDown) return null;
      if (state.cpl === 3) return state;
    }
  }

  tables(state, gdt) {
    const idt = rows(this.machine, state.idtr.base, state.idtr.limit, 0);
    const open = idt.map((gate, vector) => [gate, vector]).filter(([gate, vector]) => gate.present && !gate.memory && gate.dpl === 3 && vector !== 3 && vector !== 4);
    this.door = open.length ? open[open.length - 1][1] : undefined;
    const others = open.slice(0, -1).map(([, vector]) => `0x${hex(vector, 2)}`);
    if (others.length) this.say("G1", `ring 3 may also ask for vector ${others.join(", ")}`);
    for (const row of gdt.slice(1)) if (row.present && !row.memory && row.dpl === 3) this.say("G1", `selector ${hex(row.selector + 3, 4)} is a system descriptor of type ${row.type.toString(16)} with DPL 3`);
    const tss = this.machine.read(state.tr.base, 104);
    const from = tss[0x66] | tss[0x67] << 8;
    const bitmap = from < state.tr.limit ? this.machine.read(state.tr.base + from, Math.min(state.tr.limit - from, 8192)) : [];
    const ports = [...bitmap].flatMap((byte, place) => [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => !(byte >> bit & 1)).map((bit) => 8 * place + bit));
    if (ports.length) this.say("P6", `${ports.length} ports are open to ring 3, the first of them 0x${hex(ports[0], 4)}`);
  }

  /** Where the machine keeps its guest's memory, found by what lies in it. */
  memory() {
    const heap = this.machine.engine.HEAPU8;
    const sample = this.machine.read(PROGRAM, PROGRAM_BYTES);
    const first = sample.findIndex((byte) => byte);
    for (let at = heap.indexOf(sample[first]); at >= 0; at = heap.indexOf(sample[first], at + 1)) {
      const start = at - first;
      if (start === this.machine.room) continue;
      let same = 0;
      while (same < PROGRAM_BYTES && heap[start + same] === sample[same]) same++;
      if (same === PROGRAM_BYTES) return start - PROGRAM;
    }
    throw new Error("the machine's memory is not found");
  }

  write(linear, bytes) {
    this.machine.engine.HEAPU8.set(bytes, this.base + linear);
  }

  replace(all) {
    this.base = this.memory();
    const ask = [INT, this.door];
    const loop = [...LOADS, ...ask, 0xeb, 256 - 2 - LOADS.length - ask.length];
    const spans = new Map(all.filter((row) => row.present && row.code && row.dpl === 3).map((row) => [row.start, row.end]));
    for (const [start, end] of spans) {
      if (end - start < loop.length || end - start > CODE_BYTES) continue;
      this.write(start, [...new Uint8Array(end - start - loop.length).fill(NOP), ...loop]);
      this.sites.push({ start, end, asks: end - loop.length + LOADS.length });
    }
  }

  arrived(state) {
    const place = state.cs.base + state.eip;
    const site = this.sites.find((one) => one.start <= place && place < one.end);
    if (!site) {
      this.dead = true;
      return this.say("H1", `ring 3 goes on at ${hex(place)}, where no code of a proc lies`);
    }
    let proc = this.procs.find((one) => one.site === site && one.left.ss.base === state.ss.base && one.left.esp === state.esp);
    if (proc) this.compare(proc.left, state);
    else {
      proc = { site };
      this.procs.push(proc);
      for (const name of GENERAL) if (state[name]) this.say("S1", `a proc starts with ${name} = ${hex(state[name])}; it must be 0`);
      for (const [flag, name] of [[DF, "DF"], [NT, "NT"]]) if (state.eflags & flag) this.say("S1", `a proc starts with ${name} = 1; it must be 0`);
    }
    if (state.eflags & IOPL) this.say("P2", `IOPL = ${state.eflags >> 12 & 3} in ring 3; it must be 0`);
    if (!(state.eflags & IF)) this.say("P3", "IF = 0 in ring 3; no interrupt can end its turn");
    if (!(state.cr0 & EM_TS)) this.say("P4", "CR0 has EM = 0 and TS = 0 in ring 3; the FPU carries state from proc to proc");
    this.turns.push(proc);
    return this.fill(proc, state);
  }

  compare(left, now) {
    for (const name of GENERAL) if (left[name] !== now[name]) this.say("R1", `${name} = ${hex(now[name])} when it comes back; it left with ${hex(left[name])}`);
    if ((left.eflags ^ now.eflags) & COMPARED) this.say("R1", `eflags = ${hex(now.eflags)} when it comes back; it left with ${hex(left.eflags)}`);
    for (const name of SEGMENTS) {
      const [was, is] = [left[name], now[name]];
      if (was.selector !== is.selector) this.say("R1", `${name} = ${hex(is.selector, 4)} when it comes back; it left with ${hex(was.selector, 4)}`);
      else if (was.selector & ~3 && (was.base !== is.base || was.limit !== is.limit)) this.say("R1", `${name} = ${hex(is.selector, 4)} as before, but its base and limit are others`);
    }
  }

  /** New values in all registers; then to the int. */
  fill(proc, state) {
    const { machine } = this;
    const own = [...rows(machine, state.gdtr.base, state.gdtr.limit, 0).slice(1), ...rows(machine, state.ldtr.base, state.ldtr.limit, 4)]
      .filter((row) => row.present && row.memory && row.dpl === 3 && (!row.code || row.type & 2)).map((row) => row.selector + 3);
    const selectors = [0, ...own, state.ss.selector];
    const words = [];
    for (let i = 0; i < 4; i++) words.push(selectors[this.random() % selectors.length]);
    for (let i = 0; i < 8; i++) words.push(this.random());
    words.push(this.random() & FLAGS | IF | 2);
    this.write(state.ss.base + state.esp - 4 * LOADED, new Uint8Array(new Uint32Array(words).buffer));
    machine.until(proc.site.asks, 4 * CODE_BYTES);
    proc.left = machine.state();
    if (proc.left.cs.base + proc.left.eip !== proc.site.asks) this.end("ring 3 does not come to its int");
  }

  end(said) {
    this.dead = true;
    this.say("H1", said);
    return false;
  }

  /** From the one who has just been filled to the next who arrives. */
  turn() {
    const state = this.machine.crossing(this.machine.ticks + LIMIT);
    if (!state || state.cpl === 3) return this.end(`int 0x${hex(this.door, 2)} leads nowhere: it stays in ring 3`);
    if (state.eflags & IF) this.say("I1", "the first instruction of ring 0 has IF = 1; an interrupt may come in there, IF must be 0");
    const next = this.out();
    if (!next) return this.end(this.machine.shutDown ? "a fault in a fault in a fault: the CPU shuts down"
      : `no proc comes back to ring 3 within ${LIMIT / TICKS_A_SECOND} seconds of the machine's time`);
    this.found.switches++;
    this.arrived(next);
    return !this.dead;
  }

  /** Many switches without a look: after them ring 0 shows none, and takes its fast path. */
  fullSpeed() {
    this.machine.run(BETWEEN);
    const state = this.out();
    if (!state) return this.end("no proc comes back to ring 3 at full speed");
    this.turns = [];
    return this.arrived(state);
  }

  takeTurns() {
    const { wanted } = this;
    if (this.procs.length < wanted) this.say(wanted > 2 ? "B1" : "T1", `${this.procs.length} procs had turns; there must be ${wanted}`);
    else if (this.turns.some((_, i) => i + wanted <= this.turns.length && new Set(this.turns.slice(i, i + wanted)).size < wanted)) {
      this.say("T1", wanted > 2 ? `of ${wanted} turns in a row two are the same proc's; each must have one`
        : "the same proc came twice in a row; they must alternate");
    }
  }
}

export async function tryProgram(bytes, name, procs) {
  const engine = await loadEngine();
  if (!engine) return null;
  const floppy = withProgram(engine.floppy, bytes, name);
  floppy.set(new TextEncoder().encode("OWN     COM"), BOOT_NAME);
  const probe = new Probe(await startMachine(floppy), procs);
  probe.run();
  return probe.found;
}

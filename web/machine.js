// The machine: Bochs, compiled to WebAssembly (ringside/web/engine.py), with a floppy in it.
//
//   const machine = await startMachine(image)    null if this page has no engine
//   machine.run(ticks)           a tick is an instruction, or a tenth of a halted CPU's wait
//   machine.step()               one instruction, with its accesses
//   machine.log(), machine.press("f"), machine.screen(), machine.save(), machine.restore(saved)
//
// The engine's functions: web/engine/instrument.cc.

import { t } from "./language.js";
import { file } from "./library.js";
import { isPaged, PAGE } from "./pages.js";

export const TICKS_A_SECOND = 4000000; // of the machine's clock
const EVENT_WORDS = 5;
const READ = 0, WRITE = 1, EXCEPTION = 2, INTERRUPT = 3, READ_ENTRY = 4, WRITE_ENTRY = 5, HANDLER = 0x100;
const HALT = 1, SHUTDOWN = 2; // of Bochs' activity states
const SCREEN = 0xb8000, SCREEN_BYTES = 4000;
const WITH_SELECTOR = ["cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr"];
const GENERAL_ORDER = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "cr0", "cpl"];
export const KEY_NAMES = { Shift: 0x100, ArrowUp: 0x101, ArrowDown: 0x102, ArrowLeft: 0x103, ArrowRight: 0x104, Enter: 10, Escape: 27,
  Backspace: 8, Tab: 9 };

const OLD = "pentium";
export const YOUNG = "p3_katmai";
// Programs that want a younger CPU than the others get: as in scripts/bochs.
export const MODELS = { SYSENTER: YOUNG };

// As bochsrc has it, but for what a page cannot have.
const configuration = (model) => `cpu: model=${model}, count=1, ips=${TICKS_A_SECOND}, reset_on_triple_fault=0
memory: guest=32, host=8
display_library: nogui
ata0: enabled=0
ata1: enabled=0
boot: floppy
floppya: 1_44=/floppy.img, status=inserted, write_protected=1
romimage: file=/bios, options=fastboot
vgaromimage: file=/vgabios
vga: extension=none, update_freq=1, realtime=0
clock: sync=none, time0=1000000000
plugin_ctrl: speaker=0
port_e9_hack: enabled=1
log: /dev/null
panic: action=report
error: action=ignore
info: action=ignore
debug: action=ignore
`;

let parts;

/** {factory, wasm, bios, vgabios, floppy}; null if this page was made without an engine. */
export function loadEngine() {
  if (!parts) parts = load();
  return parts;
}

async function load() {
  if (typeof WebAssembly !== "object") throw new Error(t("this browser has no WebAssembly, so it cannot play. Stepping through recordings works."));
  const names = ["bochs.wasm", "bios", "vgabios", "floppy.img"];
  const [wasm, bios, vgabios, floppy] = await Promise.all(names.map(file));
  if (!wasm || !bios || !vgabios || !floppy) return null;
  if (!window.ringpongEngine) await script();
  return { factory: window.ringpongEngine, module: await WebAssembly.compile(wasm), bios, vgabios, floppy };
}

/** bochs.js is no module: it comes as a script, from beside the page or out of the single file. */
async function script() {
  const tag = document.createElement("script");
  const inside = document.querySelector('script[data-file="bochs.js"]');
  tag.src = inside ? URL.createObjectURL(new Blob([await file("bochs.js")], { type: "text/javascript" })) : new URL("bochs.js", document.baseURI);
  await new Promise((done, failed) => {
    tag.onload = done;
    tag.onerror = () => failed(new Error(t("bochs.js could not be loaded")));
    document.head.append(tag);
  });
}

/** A machine at the BIOS' first instruction. image: the page's own floppy unless given; model: of the CPU, as Bochs calls it. */
export async function startMachine(image, model = OLD) {
  const found = await loadEngine();
  if (!found) return null;
  const engine = await found.factory({
    instantiateWasm(imports, done) {
      WebAssembly.instantiate(found.module, imports).then((instance) => done(instance, found.module));
      return {};
    },
    print() {}, printErr() {},
  });
  for (const [name, bytes] of [["/bios", found.bios], ["/vgabios", found.vgabios], ["/floppy.img", image || found.floppy], ["/bochsrc", configuration(model)]]) {
    engine.FS.writeFile(name, bytes);
  }
  return new Machine(engine);
}

export class Machine {
  constructor(engine) {
    this.engine = engine;
    this.off = ""; // why it does not run any more
    this.text = "";
    this.decoder = new TextDecoder("latin1");
    this.room = engine._malloc(65536);
    try {
      engine.callMain(["-q", "-f", "/bochsrc"]);
    } catch (error) {
      // This is how main says that the page has the machine now.
      if (error !== "unwind" && !(error && /unwind/.test(error.message || error.name || ""))) this.end(error);
    }
  }

  end(error) {
    this.off = error && error.name === "ExitStatus" ? t("the guest has switched the machine off") : t("the machine has ended: {0}", error && error.message || error);
  }

  _do(action) {
    if (this.off) return undefined;
    try {
      const result = action();
      this._takeLog();
      return result;
    } catch (error) {
      this._takeLog();
      this.end(error);
      return undefined;
    }
  }

  run(ticks) {
    this._do(() => this.engine._rp_run(ticks));
  }

  /** Steps until the next instruction lies at a linear address, at most so many; how many it were. */
  until(linear, most) {
    return this._do(() => this.engine._rp_until(linear, most));
  }

  /** Steps until CPL is another one, or so many ticks have passed since the start; the state then. */
  crossing(until) {
    const done = this._do(() => this.engine._rp_crossing(Math.max(1, until - this.ticks)));
    return done === undefined ? null : this.state();
  }

  /** One instruction: {accesses, walks, exceptions, interrupt: {vector, state, accesses, walks} if one came before it}. */
  step() {
    const done = this._do(() => { this.engine._rp_step(); return true; });
    if (!done) return null;
    const words = new Uint32Array(this.engine.HEAPU8.buffer, this.engine._rp_events(), EVENT_WORDS * this.engine._rp_event_count()).slice();
    let accesses = [];
    let walks = [];
    const exceptions = [];
    let interrupt = null;
    for (let i = 0; i < words.length; i += EVENT_WORDS) {
      const [kind, a, b, low, high] = words.subarray(i, i + EVENT_WORDS);
      if (kind === READ || kind === WRITE) {
        accesses.push([kind === WRITE ? "write" : "read", a, b, b >= 8 ? BigInt(high) << 32n | BigInt(low) : low]);
      } else if (kind === READ_ENTRY || kind === WRITE_ENTRY) {
        walks.push([kind === WRITE_ENTRY ? "write" : "read", a, b, b >= 8 ? BigInt(high) << 32n | BigInt(low) : low]);
      } else if (kind === EXCEPTION) exceptions.push({ vector: a, error: b });
      else if (kind === INTERRUPT && a === HANDLER) {
        Object.assign(interrupt, { accesses, walks, state: this._state(this.engine._rp_between()) });
        accesses = [];
        walks = [];
      } else if (kind === INTERRUPT) interrupt = { vector: a, accesses: [] };
    }
    if (interrupt && !interrupt.state) { // it had no time for the handler's first instruction
      Object.assign(interrupt, { accesses, walks, state: this.state() });
      accesses = [];
      walks = [];
    }
    return { accesses, walks, exceptions, interrupt };
  }

  state() {
    return this._state(this.engine._rp_now());
  }

  _state(place) {
    const words = new Uint32Array(this.engine.HEAPU8.buffer, place, 56);
    const state = {};
    GENERAL_ORDER.forEach((name, i) => { state[name] = words[i]; });
    WITH_SELECTOR.forEach((name, i) => {
      const [selector, base, limit, attributes] = words.subarray(12 + 4 * i, 16 + 4 * i);
      state[name] = { selector, base, limit, type: attributes & 31, dpl: attributes >> 5 & 3, attributes };
    });
    state.gdtr = { base: words[44], limit: words[45] };
    state.idtr = { base: words[46], limit: words[47] };
    if (isPaged(state)) Object.assign(state, { cr2: words[51], cr3: words[52], cr4: words[53] });
    this.activity = words[48];
    this.ticks = words[49] + words[50] * 2 ** 32;
    return state;
  }

  get halted() {
    return this.activity === HALT;
  }

  get shutDown() {
    return this.activity === SHUTDOWN;
  }

  /** Bytes at a physical address; of linear ones where the engine can. */
  read(address, size, linear = false) {
    const { engine } = this;
    const reader = linear && engine._rp_read_linear ? engine._rp_read_linear : engine._rp_read;
    const bytes = new Uint8Array(size);
    for (let at = 0, length; at < size; at += length) {
      // A linear page at a time: behind one that is not there others may be.
      length = Math.min(linear ? PAGE - (address + at) % PAGE : 65536, size - at);
      engine.HEAPU8.fill(0, this.room, this.room + length);
      reader(address + at, length, this.room);
      bytes.set(engine.HEAPU8.subarray(this.room, this.room + length), at);
    }
    return bytes;
  }

  /** The next instruction: {text, length}; null if the engine does not tell. */
  disassemble() {
    if (!this.engine._rp_disassemble) return null;
    let place = this.engine._rp_disassemble();
    let text = "";
    for (; this.engine.HEAPU8[place]; place++) text += String.fromCharCode(this.engine.HEAPU8[place]);
    return { text: text.trim(), length: this.engine._rp_length() };
  }

  screen() {
    return this.read(SCREEN, SCREEN_BYTES);
  }

  _takeLog() {
    const length = this.engine._rp_take_log();
    if (length) this.text += this.decoder.decode(this.engine.HEAPU8.slice(this.engine._rp_log(), this.engine._rp_log() + length));
  }

  /** Whole lines that the guest has written to port e9 since the last time. */
  log() {
    const lines = this.text.split("\n");
    this.text = lines.pop();
    return lines;
  }

  /** A key goes down, and up after a while of the machine's time (see release). */
  key(name, released) {
    const code = KEY_NAMES[name] || name.toLowerCase().charCodeAt(0);
    this._do(() => this.engine._rp_key(code, released));
  }

  press(name) {
    this.key(name, false);
    this.run(TICKS_A_SECOND / 50);
    this.key(name, true);
  }

  /** All of the machine, to go back to. */
  save() {
    return { memory: this.engine.HEAPU8.slice(), text: this.text, off: this.off };
  }

  restore(saved) {
    this.engine.HEAPU8.set(saved.memory);
    this.text = saved.text;
    this.off = saved.off;
  }
}

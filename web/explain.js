// What each access inside an instruction is for, and what the CPU checks with it.
//
//   explain(run, step, index)   {access, place, text, checks: [{text, ok}], group}
//   sentence(run, at)           a place of the run in one sentence, for those who listen

import { isEntry, tellEntry } from "./pages.js";
import { area, entryName, EXCEPTIONS, FRAME_WORDS_PUSHED, selectorName, symbolAt, WITH_ERROR } from "./places.js";
import { descriptorOf, errorCode, hex, isCode, isData, offset, typeName } from "./words.js";

const check = (text, ok) => ({ text, ok });

/** One access of a step. */
export function explain(run, step, index) {
  step.explained = step.explained || [];
  if (!step.explained[index]) step.explained[index] = explainNew(run, step, index);
  return step.explained[index];
}

function explainNew(run, step, index) {
  const [kind, address, size, value] = step.accesses[index];
  if (isEntry(step.accesses[index])) return explainEntry(run, step, index);
  const write = kind === "write";
  const state = stateAt(step, index);
  const place = area(run, address, state);
  const told = { access: step.accesses[index], place, checks: [], group: "", write };
  told.text = step.before.cr0 & 1 ? purpose(run, step, index, told, state) : plain(run, step, index, told, state);
  if (!told.text) told.text = `${write ? "writes" : "reads"} ${size === 1 ? "a byte" : `${size} bytes`}: ${place.text}`;
  told.value = size === 8 ? hex(value, 16) : hex(value, 2 * size);
  return told;
}

/** An entry of a page table: ring 3 asks for it, unless it is for a table or for ring 0's stack. */
function explainEntry(run, step, index) {
  const [kind, physical, size, value, walk] = step.accesses[index];
  const [delivery] = step.kind.deliveries;
  const table = walk.access && ["gdt", "ldt", "idt", "tss"].includes(area(run, walk.access[1], step.before).kind);
  const user = step.before.cpl === 3 && !table && !(delivery && index > delivery.index);
  return { access: step.accesses[index], place: { kind: "entry", address: physical, linear: walk.linear, text: walk.level }, group: "walk",
    write: kind === "entry-write", value: hex(value, 2 * size), ...tellEntry(step, index, user) };
}

/** Behind a task switch's first accesses other tables count than before it. */
function stateAt(step, index) {
  if (!step.kind.task) return step.before;
  const [, address] = step.accesses[index];
  const { before, after } = step;
  const inside = (base) => base <= address && address < base + 104;
  const saved = step.accesses.slice(0, index + 1).some(([, a]) => after.tr.base <= a && a < after.tr.base + 104);
  if (inside(before.tr.base) || inside(after.tr.base)) return inside(before.tr.base) ? before : after;
  return saved ? after : before;
}

function purpose(run, step, index, told, state) {
  const { kind } = step;
  const delivery = lastDelivery(kind, index);
  if (delivery) return kind.task && delivery.index !== index ? taskSwitch(run, step, index, told, state)
    : deliver(run, step, index, told, delivery, state);
  if (kind.task) return taskSwitch(run, step, index, told, state);
  if (kind.name === "iret") return iret(run, step, index, told, state);
  if (told.place.kind === "gdt" || told.place.kind === "ldt") return table(run, step, index, told, state);
  return plain(run, step, index, told, state);
}

const lastDelivery = (kind, index) => kind.deliveries.filter((delivery) => delivery.index <= index).pop();

/** A way in through the IDT: int, an interrupt, an exception. */
function deliver(run, step, index, told, delivery, state) {
  const [, address, size, value] = told.access;
  const { before, after, kind } = step;
  const software = kind.name === "int" && kind.vector === delivery.vector;
  const wayOut = before.cpl !== after.cpl;
  told.group = software ? "int" : "deliver";
  if (told.place.kind === "idt") {
    const gate = descriptorOf(value);
    told.checks.push(check(`8 × ${hex(delivery.vector, 2)} + 7 = ${hex(8 * delivery.vector + 7, 3)} ≤ IDT limit ${hex(before.idtr.limit, 3)}`,
      8 * delivery.vector + 7 <= before.idtr.limit));
    if (software) told.checks.push(check(`CPL ${before.cpl} ≤ gate DPL ${gate.dpl}`, before.cpl <= gate.dpl));
    told.checks.push(check(`gate: type ${hex(gate.type, 1)}, ${typeName(gate.type)}`, [5, 6, 7, 14, 15].includes(gate.type)));
    told.checks.push(check(`present ${gate.present}`, gate.present === 1));
    const what = EXCEPTIONS[delivery.vector];
    return `${software ? "" : `${kind.name === "interrupt" ? "an interrupt" : `the exception ${what || ""}`}: `}reads gate ` +
      `${hex(delivery.vector, 2)} in the IDT: it leads to ${hex(gate.selector, 4)}:${offset(gate.offset)}`;
  }
  if (told.place.kind === "gdt" || told.place.kind === "ldt") {
    if (told.write) return marked(run, told, state);
    const found = descriptorOf(value);
    const name = entryName(run, told.place.kind, told.place.index, state);
    if (isCode(found.type)) {
      told.checks.push(check(`code segment: type ${hex(found.type & 15, 1)}, ${typeName(found.type)}`, true));
      told.checks.push(check(`DPL ${found.dpl} ≤ CPL ${before.cpl}${found.dpl < before.cpl ? ": into ring " + found.dpl : ""}`, found.dpl <= before.cpl));
      told.checks.push(check(`present ${found.present}`, found.present === 1));
      return `reads the descriptor of the handler's cs: ${name}`;
    }
    told.checks.push(check(`DPL ${found.dpl} = new CPL ${after.cpl}`, found.dpl === after.cpl));
    told.checks.push(check(`${typeName(found.type)}: a stack needs data that can be written`, isData(found.type) && (found.type & 2) > 0));
    told.checks.push(check(`present ${found.present}`, found.present === 1));
    return `reads the descriptor of the new ss: ${name}`;
  }
  if (told.place.kind === "tss" && !told.write) {
    const start = address - before.tr.base;
    told.checks.push(check(`${hex(start, 2)} + ${size} − 1 = ${hex(start + size - 1, 2)} ≤ TSS limit ${hex(before.tr.limit, 2)}`,
      start + size - 1 <= before.tr.limit));
    if (told.place.word === "ss0") {
      told.checks.push(check(`RPL ${Number(value) & 3} = new CPL ${after.cpl}`, (Number(value) & 3) === after.cpl));
      return `reads ss0 in the TSS: the stack's segment is ${hex(value, 4)}`;
    }
    return `reads ${told.place.word} in the TSS: the stack begins at ${offset(Number(value))}`;
  }
  if (told.write) {
    const writes = step.accesses.slice(delivery.index, index).filter(([way, , bytes]) => way === "write" && bytes !== 1).length;
    const words = [...(wayOut ? ["ss", "esp"] : []), "eflags", "cs", "eip",
      ...(!software && WITH_ERROR.has(delivery.vector) ? ["an error code"] : [])];
    const word = words[writes] || "a word";
    if (writes === 0) {
      const room = 4 * words.length;
      const top = address + size - (wayOut ? after.ss.base : before.ss.base);
      const limit = (wayOut ? after : before).ss.limit;
      told.checks.push(check(`${offset(top)} − ${hex(room, 2)} = ${offset(top - room)}: inside ss, limit ${offset(limit)}`,
        top - room >= 0 && top - 1 <= limit));
    }
    if (word === "an error code") return `pushes an error code: ${errorCode(Number(value))}`;
    return `pushes ${word}${into(told.place)}`;
  }
  return "";
}

const into = (place) => place.kind === "frame" ? ` into ${place.letter}'s frame`
  : place.kind === "tss" ? ` into ${place.text.split(" in ")[1]}` : "";

/** The way out: five words, and the descriptors that two of them name. */
function iret(run, step, index, told, state) {
  const [, address, size, value] = told.access;
  const { before, after } = step;
  const out = after.cpl !== before.cpl;
  told.group = "iret";
  if (told.place.kind === "gdt" || told.place.kind === "ldt") {
    if (told.write) return marked(run, told, state);
    const found = descriptorOf(value);
    const name = entryName(run, told.place.kind, told.place.index, state);
    if (isCode(found.type)) {
      const rpl = after.cs.selector & 3;
      told.checks.push(check(`DPL ${found.dpl} = RPL ${rpl} of cs`, found.dpl === rpl));
      told.checks.push(check(`code segment: ${typeName(found.type)}`, true), check(`present ${found.present}`, found.present === 1));
      told.checks.push(check(`eip ${offset(after.eip)} ≤ limit ${offset(found.limit)}`, after.eip <= found.limit));
      return `reads the descriptor of the new cs: ${name}`;
    }
    told.checks.push(check(`DPL ${found.dpl} = new CPL ${after.cpl}`, found.dpl === after.cpl));
    told.checks.push(check(`${typeName(found.type)}: a stack needs data that can be written`, isData(found.type) && (found.type & 2) > 0),
      check(`present ${found.present}`, found.present === 1));
    return `reads the descriptor of the new ss: ${name}`;
  }
  const esp = before.ss.attributes & 0x4000 ? before.esp : before.esp & 0xffff;
  const word = FRAME_WORDS_PUSHED[(address - before.ss.base - esp) >> 2];
  if (!word || told.write) return "";
  if (word === "cs") {
    const rpl = Number(value) & 3;
    told.checks.push(check(`RPL ${rpl} ${rpl > before.cpl ? ">" : rpl === before.cpl ? "=" : "<"} CPL ${before.cpl}: ` +
      (rpl > before.cpl ? "to an outer ring, so esp and ss follow" : "the same ring"), rpl >= before.cpl));
  }
  if (word === "ss" && out) told.checks.push(check(`RPL ${Number(value) & 3} = new CPL ${after.cpl}`, (Number(value) & 3) === after.cpl));
  return `pops ${word}: ${hex(value, 2 * size)}${told.place.kind === "frame" ? `, from ${told.place.letter}'s frame` : ""}`;
}

/** The CPU's own task switch: it saves and loads, it does not push and pop. */
function taskSwitch(run, step, index, told, state) {
  const [, address, , value] = told.access;
  const { before, after } = step;
  const { kind } = told.place;
  if (kind === "gdt" || kind === "ldt") {
    told.group = "descriptors";
    const found = told.write ? null : descriptorOf(told.access[2] === 8 ? value : BigInt(value) << 32n);
    const name = entryName(run, kind, told.place.index, state);
    const tss = selectorIs(told, before.tr) || selectorIs(told, after.tr);
    if (told.write) return tss ? `marks the task ${Number(value) & 0x200 ? "busy" : "available"}: ${name}` : marked(run, told, state);
    if (tss && told.access[2] === 8) {
      told.checks.push(check(`${typeName(found.type)}: ${step.kind.mnemonic === "iret" ? "iret goes back to a busy one" : "must be available"}`,
        (found.type & 15) === (step.kind.mnemonic === "iret" ? 11 : 9)));
      told.checks.push(check(`limit ${hex(found.limit, 2)} ≥ 67`, found.limit >= 0x67));
      return `reads the TSS descriptor: ${name}`;
    }
    if (tss) return `reads the old task's busy bit: ${name}`;
    told.checks.push(check(`present ${found.present}`, found.present === 1));
    return `reads the descriptor of ${name}`;
  }
  const from = before.tr.base <= address && address < before.tr.base + 104;
  told.group = from && told.write ? "saves" : "loads";
  const word = told.place.word;
  if (word === "backlink") return told.write ? "writes the backlink: who was interrupted" : "reads the backlink: the task to go back to";
  if (told.place.kind === "tss") return told.write ? `saves ${word} in ${told.place.text.split(" in ")[1]}` : `loads ${word} from ${told.place.text.split(" in ")[1]}`;
  return "";
}

const selectorIs = (told, register) => told.place.kind === "gdt" && told.place.index === register.selector >>> 3;

/** A segment register, TR or LDTR is loaded. */
function table(run, step, index, told, state) {
  const { before, after, kind } = step;
  const name = entryName(run, told.place.kind, told.place.index, state);
  if (told.write) return marked(run, told, state);
  if (told.access[2] !== 8) return "";
  const found = descriptorOf(told.access[3]);
  const selector = told.place.index * 8 + (told.place.kind === "ldt" ? 4 : 0);
  if (kind.name === "lldt" || kind.name === "ltr") {
    told.checks.push(check(`CPL ${before.cpl} = 0`, before.cpl === 0));
    told.checks.push(check(`type ${hex(found.type, 1)}: ${typeName(found.type)}`, kind.name === "lldt" ? found.type === 2 : found.type === 9));
    told.checks.push(check(`present ${found.present}`, found.present === 1));
    return `reads the descriptor for ${kind.name === "lldt" ? "LDTR" : "TR"}: ${name}`;
  }
  const which = ["ss", "ds", "es", "fs", "gs", "cs"].filter((register) => (after[register].selector & ~3) === selector);
  const changed = which.find((register) => before[register].selector !== after[register].selector || new RegExp(`%${register}\\b`).test(step.text)) || which[0];
  if (!changed) return `reads a descriptor: ${name}`;
  const rpl = after[changed].selector & 3;
  if (found.gate) {
    told.checks.push(check(`max(CPL ${before.cpl}, RPL) ≤ gate DPL ${found.dpl}`, before.cpl <= found.dpl), check(`present ${found.present}`, found.present === 1));
    return `reads the call gate: ${name} leads to ${hex(found.selector, 4)}:${offset(found.offset)}`;
  }
  if (changed === "ss") {  // a far return or a call through a gate changes the ring first
    const news = before.cpl === after.cpl ? "" : "new ";
    told.checks.push(check(`RPL ${rpl} = DPL ${found.dpl} = ${news}CPL ${after.cpl}`, rpl === found.dpl && rpl === after.cpl));
  }
  else if (changed === "cs") told.checks.push(check(`DPL ${found.dpl} = CPL ${after.cpl}`, found.dpl === after.cpl));
  else told.checks.push(check(`max(CPL ${after.cpl}, RPL ${rpl}) ≤ DPL ${found.dpl}`, Math.max(after.cpl, rpl) <= found.dpl));
  told.checks.push(check(typeName(found.type), true), check(`present ${found.present}`, found.present === 1));
  return `reads the descriptor for ${changed}: ${name}`;
}

function marked(run, told, state) {
  const name = entryName(run, told.place.kind, told.place.index, state);
  const [, , size, value] = told.access;
  const type = size === 1 ? Number(value) & 31 : Number(BigInt(value) >> 8n) & 31;
  return type & 16 ? `marks the segment accessed: ${name}` : `marks the task ${type & 2 ? "busy" : "available"}: ${name}`;
}

const SEGMENT = /%([cdefgs]s):/;

/** Any other access: which segment it goes through, and whether it is inside. */
function plain(run, step, index, told, state) {
  const [, address, size, value] = told.access;
  const { before } = step;
  const mnemonic = step.kind.mnemonic;
  const stack = /^(push|pop|call|ret|lcall|lret|enter|leave|pusha|popa|pushf|popf|iret|int)/.test(mnemonic);
  const named = SEGMENT.exec(step.text);
  const esp = before.ss.attributes & 0x4000 ? before.esp : before.esp & 0xffff;
  const onStack = stack && Math.abs(address - before.ss.base - esp) <= 64;
  const register = onStack ? "ss" : named ? named[1]
    : /^(stos|scas|ins)/.test(mnemonic) || (/^(movs|cmps)/.test(mnemonic) && told.write) ? "es"
      : /\(%e?[sb]p/.test(step.text) ? "ss" : "ds";
  const segment = before[register];
  const start = (address - segment.base) >>> 0;
  if (before.cr0 & 1 && start + size - 1 <= 0xffffffff) {
    const fits = segment.type & 4 && isData(segment.type) ? start > segment.limit : start + size - 1 <= segment.limit;
    if (fits) told.checks.push(check(`${offset(start)} + ${size} − 1 ≤ limit ${offset(segment.limit)} of ${register}`, true));
  }
  if (onStack && told.write) return `pushes ${hex(value, 2 * size)}${into(told.place)}`;
  if (onStack) return `pops ${hex(value, 2 * size)}${told.place.kind === "frame" ? `, from ${told.place.letter}'s frame` : ""}`;
  if (told.place.kind === "tss" || told.place.kind === "frame") return `${told.write ? "writes" : "reads"} ${told.place.text}`;
  return `${told.write ? "writes" : "reads"} ${told.place.text}`;
}

/** "#GP" if a step ended in an exception, with its error code if it pushed one. */
export function exceptionOf(step) {
  if (step.kind.exception === undefined) return "";
  const name = EXCEPTIONS[step.kind.exception] || `exception ${step.kind.exception}`;
  const delivery = step.kind.deliveries[step.kind.deliveries.length - 1];
  const pushes = step.accesses.slice(delivery.index).filter(([way, , size]) => way === "write" && size === 4);
  const pushed = WITH_ERROR.has(step.kind.exception) && pushes.length ? pushes[pushes.length - 1][3] : undefined;
  return pushed === undefined ? name : `${name}(${hex(pushed, 4)})`;
}

/** Where this is, in one sentence. */
export function sentence(run, at) {
  if (at.step >= run.length) return `End of ${run.title}, behind step ${run.length - 1}.`;
  const step = run.steps[at.step];
  const lane = run.lane(at.step);
  const where = lane === "real" ? "real mode" : lane === "0" ? "ring 0" : `ring 3, proc ${lane}`;
  const begin = `Step ${at.step}, ${where}, ${step.symbol}: ${step.text}`;
  if (!at.access) {
    const count = step.accesses.length;
    const folded = step.folded ? `; not followed: ${step.folded}` : "";
    return `${begin}${count ? `; ${count} memory access${count > 1 ? "es" : ""}` : ""}${folded}.`;
  }
  const told = explain(run, step, at.access - 1);
  const checks = told.checks.map(({ text, ok }) => `${text} ${ok ? "holds" : "fails"}`).join("; ");
  return `${begin}; access ${at.access} of ${step.accesses.length}: ${told.text}${checks ? `. Checked: ${checks}` : ""}.`;
}

export { symbolAt, selectorName };

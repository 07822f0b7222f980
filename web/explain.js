// What each access inside an instruction is for, and what the CPU checks with it.
//
//   explain(run, step, index)   {access, place, text, checks: [{text, ok}], group}
//   sentence(run, at)           a place of the run in one sentence, for those who listen

import { language, t } from "./language.js";
import { isEntry, tellEntry } from "./pages.js";
import { area, entryName, EXCEPTIONS, FRAME_WORDS_PUSHED, selectorName, symbolAt, WITH_ERROR } from "./places.js";
import { descriptorOf, errorCode, hex, isCode, isData, offset, typeName } from "./words.js";

const check = (text, ok) => ({ text, ok });

/** One access of a step. */
export function explain(run, step, index) {
  const kept = `explained ${language()}`;
  step[kept] = step[kept] || [];
  if (!step[kept][index]) step[kept][index] = explainNew(run, step, index);
  return step[kept][index];
}

function explainNew(run, step, index) {
  const [kind, address, size, value] = step.accesses[index];
  if (isEntry(step.accesses[index])) return explainEntry(run, step, index);
  const write = kind === "write";
  const state = stateAt(step, index);
  const place = area(run, address, state);
  const told = { access: step.accesses[index], place, checks: [], group: "", write };
  told.text = step.before.cr0 & 1 ? purpose(run, step, index, told, state) : plain(run, step, index, told, state);
  if (!told.text && size === 1) told.text = write ? t("writes a byte: {0}", place.text) : t("reads a byte: {0}", place.text);
  if (!told.text) told.text = write ? t("writes {0} bytes: {1}", size, place.text) : t("reads {0} bytes: {1}", size, place.text);
  told.value = size === 8 ? hex(value, 16) : hex(value, 2 * size);
  return told;
}

/** An entry of a page table: ring 3 asks for it, unless it is for a table or for ring 0's stack. */
function explainEntry(run, step, index) {
  const [kind, physical, size, value, walk] = step.accesses[index];
  const [delivery] = step.kind.deliveries;
  const table = walk.access && ["gdt", "ldt", "idt", "tss"].includes(area(run, walk.access[1], step.before).kind);
  const user = step.before.cpl === 3 && !table && !(delivery && index > delivery.index);
  return { access: step.accesses[index], place: { kind: "entry", address: physical, linear: walk.linear, text: "" }, group: "walk",
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
  if (kind.mnemonic === "lcall" && step.after.cpl < step.before.cpl) return inward(step, index, told);
  return plain(run, step, index, told, state);
}

/** A far call through a gate into an inner ring: it finds a stack, pushes the old one, copies parameters, pushes cs and eip. */
function inward(step, index, told) {
  const [, , , value] = told.access;
  if (told.place.kind === "tss" && !told.write) return newStackRead(step, told);
  if (!told.write) return t("reads a parameter on the old stack: {0}", hex(value));
  const pushed = step.accesses.flatMap(([way, , size], i) => way === "write" && size !== 1 ? [i] : []);
  const names = ["ss", "esp", ...Array.from({ length: Math.max(pushed.length - 4, 0) }, () => t("a parameter")), "cs", "eip"];
  told.moves = "push";
  return pushes(names[pushed.indexOf(index)] || t("a word"), told.place);
}

/** ss or esp of the new ring, out of the TSS. */
function newStackRead(step, told) {
  const [, address, size, value] = told.access;
  const { before, after } = step;
  const start = address - before.tr.base;
  told.checks.push(check(t("{0} + {1} − 1 = {2} ≤ TSS limit {3}", hex(start, 2), size, hex(start + size - 1, 2), hex(before.tr.limit, 2)),
    start + size - 1 <= before.tr.limit));
  if (told.place.word !== "ss0") return t("reads {0} in the TSS: the stack begins at {1}", told.place.word, offset(Number(value)));
  told.checks.push(check(t("RPL {0} = new CPL {1}", Number(value) & 3, after.cpl), (Number(value) & 3) === after.cpl));
  return t("reads ss0 in the TSS: the stack's segment is {0}", hex(value, 4));
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
    told.checks.push(check(t("8 × {0} + 7 = {1} ≤ IDT limit {2}", hex(delivery.vector, 2), hex(8 * delivery.vector + 7, 3), hex(before.idtr.limit, 3)),
      8 * delivery.vector + 7 <= before.idtr.limit));
    if (software) told.checks.push(check(t("CPL {0} ≤ gate DPL {1}", before.cpl, gate.dpl), before.cpl <= gate.dpl));
    told.checks.push(check(t("gate: type {0}, {1}", hex(gate.type, 1), typeName(gate.type)), [5, 6, 7, 14, 15].includes(gate.type)));
    told.checks.push(isThere(gate));
    const reads = t("reads gate {0} in the IDT: it leads to {1}", hex(delivery.vector, 2), `${hex(gate.selector, 4)}:${offset(gate.offset)}`);
    if (software) return reads;
    return kind.name === "interrupt" ? t("an interrupt: {0}", reads) : t("the exception {0}: {1}", EXCEPTIONS[delivery.vector] || "", reads);
  }
  if (told.place.kind === "gdt" || told.place.kind === "ldt") {
    if (told.write) return marked(run, told, state);
    const found = descriptorOf(value);
    const name = entryName(run, told.place.kind, told.place.index, state);
    if (isCode(found.type)) {
      told.checks.push(check(t("code segment: type {0}, {1}", hex(found.type & 15, 1), typeName(found.type)), true));
      told.checks.push(check(found.dpl < before.cpl ? t("DPL {0} ≤ CPL {1}: into ring {0}", found.dpl, before.cpl)
        : t("DPL {0} ≤ CPL {1}", found.dpl, before.cpl), found.dpl <= before.cpl));
      told.checks.push(isThere(found));
      return t("reads the descriptor of the handler's cs: {0}", name);
    }
    told.checks.push(...newStack(found, after));
    return t("reads the descriptor of the new ss: {0}", name);
  }
  if (told.place.kind === "tss" && !told.write) return newStackRead(step, told);
  if (told.write) {
    const writes = step.accesses.slice(delivery.index, index).filter(([way, , bytes]) => way === "write" && bytes !== 1).length;
    const words = [...(wayOut ? ["ss", "esp"] : []), "eflags", "cs", "eip",
      ...(!software && WITH_ERROR.has(delivery.vector) ? [ERROR_CODE] : [])];
    const word = words[writes] || t("a word");
    told.moves = "push";
    if (writes === 0) {
      const room = 4 * words.length;
      const top = address + size - (wayOut ? after.ss.base : before.ss.base);
      const limit = (wayOut ? after : before).ss.limit;
      told.checks.push(check(t("{0} − {1} = {2}: inside ss, limit {3}", offset(top), hex(room, 2), offset(top - room), offset(limit)),
        top - room >= 0 && top - 1 <= limit));
    }
    if (word === ERROR_CODE) return t("pushes an error code: {0}", errorCode(Number(value)));
    return pushes(word, told.place);
  }
  return "";
}

const ERROR_CODE = "error code";
const isThere = (found) => check(t("present {0}", found.present), found.present === 1);
const pushes = (what, place) => place.owner ? t("pushes {0} into {1}", what, place.owner) : t("pushes {0}", what);
/** What a descriptor has to be for the stack of a new ring. */
const newStack = (found, after) => [check(t("DPL {0} = new CPL {1}", found.dpl, after.cpl), found.dpl === after.cpl),
  check(t("{0}: a stack needs data that can be written", typeName(found.type)), isData(found.type) && (found.type & 2) > 0), isThere(found)];

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
      told.checks.push(check(t("DPL {0} = RPL {1} of cs", found.dpl, rpl), found.dpl === rpl));
      told.checks.push(check(t("code segment: {0}", typeName(found.type)), true), isThere(found));
      told.checks.push(check(t("eip {0} ≤ limit {1}", offset(after.eip), offset(found.limit)), after.eip <= found.limit));
      return t("reads the descriptor of the new cs: {0}", name);
    }
    told.checks.push(...newStack(found, after));
    return t("reads the descriptor of the new ss: {0}", name);
  }
  const esp = before.ss.attributes & 0x4000 ? before.esp : before.esp & 0xffff;
  const word = FRAME_WORDS_PUSHED[(address - before.ss.base - esp) >> 2];
  if (!word || told.write) return "";
  if (word === "cs") {
    const rpl = Number(value) & 3;
    const rings = `RPL ${rpl} ${rpl > before.cpl ? ">" : rpl === before.cpl ? "=" : "<"} CPL ${before.cpl}`;
    told.checks.push(check(rpl > before.cpl ? t("{0}: to an outer ring, so esp and ss follow", rings) : t("{0}: the same ring", rings), rpl >= before.cpl));
  }
  if (word === "ss" && out) told.checks.push(check(t("RPL {0} = new CPL {1}", Number(value) & 3, after.cpl), (Number(value) & 3) === after.cpl));
  told.moves = "pop";
  return told.place.kind === "frame" ? t("pops {0}: {1}, from {2}", word, hex(value, 2 * size), told.place.owner)
    : t("pops {0}: {1}", word, hex(value, 2 * size));
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
    if (told.write) return tss ? markedTask(Number(value) & 0x200, name) : marked(run, told, state);
    if (tss && told.access[2] === 8) {
      told.checks.push(check(step.kind.mnemonic === "iret" ? t("{0}: iret goes back to a busy one", typeName(found.type))
        : t("{0}: must be available", typeName(found.type)), (found.type & 15) === (step.kind.mnemonic === "iret" ? 11 : 9)));
      told.checks.push(check(t("limit {0} ≥ 67", hex(found.limit, 2)), found.limit >= 0x67));
      return t("reads the TSS descriptor: {0}", name);
    }
    if (tss) return t("reads the old task's busy bit: {0}", name);
    told.checks.push(isThere(found));
    return t("reads the descriptor of {0}", name);
  }
  const from = before.tr.base <= address && address < before.tr.base + 104;
  told.group = from && told.write ? "saves" : "loads";
  const word = told.place.word;
  if (word === "backlink") return told.write ? t("writes the backlink: who was interrupted") : t("reads the backlink: the task to go back to");
  if (told.place.kind === "tss") return told.write ? t("saves {0} in {1}", word, told.place.owner) : t("loads {0} from {1}", word, told.place.owner);
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
    told.checks.push(check(t("type {0}: {1}", hex(found.type, 1), typeName(found.type)), kind.name === "lldt" ? found.type === 2 : found.type === 9));
    told.checks.push(isThere(found));
    return t("reads the descriptor for {0}: {1}", kind.name === "lldt" ? "LDTR" : "TR", name);
  }
  if (found.gate) {
    told.checks.push(check(t("max(CPL {0}, RPL) ≤ gate DPL {1}", before.cpl, found.dpl), before.cpl <= found.dpl), isThere(found));
    return t("reads the call gate: {0} leads to {1}", name, `${hex(found.selector, 4)}:${offset(found.offset)}`);
  }
  const which = ["ss", "ds", "es", "fs", "gs", "cs"].filter((register) => (after[register].selector & ~3) === selector);
  const changed = which.find((register) => before[register].selector !== after[register].selector || new RegExp(`%${register}\\b`).test(step.text)) || which[0];
  if (!changed) return t("reads a descriptor: {0}", name);
  const rpl = after[changed].selector & 3;
  if (changed === "ss") {  // a far return or a call through a gate changes the ring first
    const rings = before.cpl === after.cpl ? `CPL ${after.cpl}` : t("new CPL {0}", after.cpl);
    told.checks.push(check(`RPL ${rpl} = DPL ${found.dpl} = ${rings}`, rpl === found.dpl && rpl === after.cpl));
  } else if (changed === "cs") told.checks.push(check(`DPL ${found.dpl} = CPL ${after.cpl}`, found.dpl === after.cpl));
  else told.checks.push(check(`max(CPL ${after.cpl}, RPL ${rpl}) ≤ DPL ${found.dpl}`, Math.max(after.cpl, rpl) <= found.dpl));
  told.checks.push(check(typeName(found.type), true), isThere(found));
  return t("reads the descriptor for {0}: {1}", changed, name);
}

function marked(run, told, state) {
  const name = entryName(run, told.place.kind, told.place.index, state);
  const [, , size, value] = told.access;
  const type = size === 1 ? Number(value) & 31 : Number(BigInt(value) >> 8n) & 31;
  return type & 16 ? t("marks the segment accessed: {0}", name) : markedTask(type & 2, name);
}

const markedTask = (busy, name) => busy ? t("marks the task busy: {0}", name) : t("marks the task available: {0}", name);

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
    if (fits) told.checks.push(check(t("{0} + {1} − 1 ≤ limit {2} of {3}", offset(start), size, offset(segment.limit), register), true));
  }
  if (onStack) told.moves = told.write ? "push" : "pop";
  if (onStack && told.write) return pushes(hex(value, 2 * size), told.place);
  if (onStack) return told.place.kind === "frame" ? t("pops {0}, from {1}", hex(value, 2 * size), told.place.owner) : t("pops {0}", hex(value, 2 * size));
  return told.write ? t("writes {0}", told.place.text) : t("reads {0}", told.place.text);
}

/** "#GP" if a step ended in an exception, with its error code if it pushed one. */
export function exceptionOf(step) {
  if (step.kind.exception === undefined) return "";
  const name = EXCEPTIONS[step.kind.exception] || t("exception {0}", step.kind.exception);
  const delivery = step.kind.deliveries[step.kind.deliveries.length - 1];
  const pushes = step.accesses.slice(delivery.index).filter(([way, , size]) => way === "write" && size === 4);
  const pushed = WITH_ERROR.has(step.kind.exception) && pushes.length ? pushes[pushes.length - 1][3] : undefined;
  return pushed === undefined ? name : `${name}(${hex(pushed, 4)})`;
}

/** Where this is, in one sentence. */
export function sentence(run, at) {
  if (at.step >= run.length) return t("End of {0}, behind step {1}.", t(run.title), run.length - 1);
  const step = run.steps[at.step];
  const lane = run.lane(at.step);
  const begin = t("Step {0}, {1}, {2}: {3}", at.step, laneName(lane), step.symbol, step.text);
  if (!at.access) {
    const count = step.accesses.length;
    if (step.folded) return t("{0}; not followed: {1}.", begin, step.folded);
    return count === 1 ? t("{0}; 1 memory access.", begin) : count ? t("{0}; {1} memory accesses.", begin, count) : t("{0}.", begin);
  }
  const told = explain(run, step, at.access - 1);
  const said = t("{0}; access {1} of {2}: {3}", begin, at.access, step.accesses.length, told.text);
  const checks = told.checks.map(({ text, ok }) => ok ? t("{0} holds", text) : t("{0} fails", text)).join(t("; "));
  return checks ? t("{0}. Checked: {1}.", said, checks) : t("{0}.", said);
}

/** "ring 3, proc A". */
export function laneName(lane) {
  if (lane === "real") return t("real mode");
  return /[AB]/.test(lane) ? t("ring 3, proc {0}", lane) : t("ring {0}", lane);
}

export { symbolAt, selectorName };

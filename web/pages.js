// Page tables (Intel SDM vol. 3A, 4.3, 4.4): where a linear address leads, and the CPU's own reads of
// their entries, which the view shows as stops among the accesses of an instruction.
//
//   isPaged(state)                       is paging on?
//   walkOf(linear, state, entry)         the entries that translate it, up to the page or to one that is not present
//   physicalOf(linear, state, entry)     undefined if an entry is unknown or not present
//   stopsOf(step, before)                a step's accesses, with its walks where they were made
//   tellEntry(step, index, place)        such a stop in words, with what is checked
//
// entry(physical) is the number that lies there, or undefined. A walk among stops is
// ["entry-read" | "entry-write", physical, bytes, value, {level, linear, bits}]; bits: how many of linear are known.

import { later, t } from "./language.js";
import { hex } from "./words.js";

const PG = 0x80000000, WP = 0x10000; // cr0
const PSE = 0x10, PAE = 0x20; // cr4
const PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 0x20, DIRTY = 0x40, LARGE = 0x80;
export const PAGE = 0x1000;
const FRAME = 0xfffff000, LONGEST = 15;

export const isPaged = (state) => (state.cr0 & PG) !== 0;
export const isEntry = (access) => access[0].startsWith("entry");

const POINTER = later("the page-directory-pointer entry of {0}");
const DIRECTORY = later("the page-directory entry of {0}");
const TABLE = later("the page-table entry of {0}");
const LEVELS = { 4: [[DIRECTORY, 22], [TABLE, 12]], 8: [[POINTER, 30], [DIRECTORY, 21], [TABLE, 12]] };
const sizeOf = (state) => state.cr4 & PAE ? 8 : 4;

export function walkOf(linear, state, entry) {
  const size = sizeOf(state);
  let table = (state.cr3 & (size === 8 ? 0xffffffe0 : FRAME)) >>> 0;
  const found = [];
  let above = 32;
  for (const [level, shift] of LEVELS[size]) {
    const index = above === 32 ? linear >>> shift : (linear & (2 ** above - 1)) >>> shift;
    const physical = table + size * index;
    const value = entry(physical);
    if (value === undefined) return found;
    const low = Number(BigInt(value) & 0xffffffffn);
    const large = shift > 12 && shift < 30 && (low & LARGE) !== 0 && (state.cr4 & (PSE | PAE)) !== 0;
    found.push({ level, physical, value: low, covers: 2 ** shift, leads: large || shift === 12 });
    if (!(low & PRESENT) || large) return found;
    table = (low & FRAME) >>> 0;
    above = shift;
  }
  return found;
}

export function physicalOf(linear, state, entry) {
  const last = walkOf(linear, state, entry).pop();
  if (!last || !last.leads || !(last.value & PRESENT)) return undefined;
  const frame = (last.value & FRAME) >>> 0;
  return frame - frame % last.covers + linear % last.covers;
}

/** Walks in a row that translate one address: they begin where an entry is not in the table to which the last one leads. */
function sequences(walks, size) {
  const found = [];
  for (const walk of walks) {
    const [kind, physical, , value] = walk;
    const last = found[found.length - 1];
    if (kind === "write" && last) last.walks.push(walk);
    else if (last && last.reads.length < LEVELS[size].length && physical - physical % PAGE === last.table) {
      last.walks.push(walk);
      last.reads.push(walk);
      last.table = (Number(BigInt(value) & 0xffffffffn) & FRAME) >>> 0;
    } else found.push({ walks: [walk], reads: [walk], table: (Number(BigInt(value) & 0xffffffffn) & FRAME) >>> 0 });
  }
  // The uppermost table of PAE is not read for each: the CPU knows it.
  for (const one of found) {
    const levels = size === 8 && one.reads.length < 3 ? LEVELS[8].slice(1) : LEVELS[size];
    one.linear = 0;
    one.levels = new Map();
    one.reads.forEach(([, physical], i) => {
      one.linear = (one.linear | (physical % PAGE) / size << levels[i][1]) >>> 0;
      one.levels.set(physical, levels[i][0]);
    });
    const lowest = levels[one.reads.length - 1][1];
    one.mask = (-(2 ** lowest) & (levels === LEVELS[size] ? -1 : 0x3fffffff)) >>> 0;
  }
  return found;
}

/** Each walk stands in front of the access for which it was made; that of the instruction's own page comes first. */
export function stopsOf(step, before) {
  const accesses = step.accesses || [];
  if (!step.walks || !step.walks.length) return accesses;
  const stops = [];
  let next = 0;
  const size = sizeOf(before);
  const eip = before.cs.base + before.eip;
  for (const { walks, levels, linear, mask } of sequences(step.walks, size)) {
    const isOf = (address) => ((address & mask) >>> 0) === linear;
    const place = accesses.findIndex(([, address, bytes], i) => i >= next && (isOf(address) || isOf(address + bytes - 1)));
    const fetched = next === 0 && (isOf(eip) || isOf(eip + LONGEST));
    if (!fetched && place >= 0) while (next < place) stops.push(accesses[next++]);
    const access = fetched || place < 0 ? null : accesses[place];
    for (const [kind, physical, bytes, value] of walks) {
      stops.push([`entry-${kind}`, physical, bytes, value, { level: levels.get(physical), linear, access, fetched }]);
    }
  }
  return [...stops, ...accesses.slice(next)];
}

/** {text, checks}. user: does ring 3 ask, and not the CPU itself for its tables? */
export function tellEntry(step, index, user) {
  const [kind, physical, , value, { level, linear, access, fetched }] = step.accesses[index];
  const low = Number(BigInt(value) & 0xffffffffn);
  const where = t(level, hex(linear));
  if (kind === "entry-write") {
    const before = step.accesses.slice(0, index).reverse().find((one) => isEntry(one) && one[1] === physical);
    const news = before ? low & ~Number(BigInt(before[3]) & 0xffffffffn) : low;
    const text = !(news & DIRTY) ? t("marks {0} as accessed", where) : news & ACCESSED ? t("marks {0} as accessed and written", where)
      : t("marks {0} as written", where);
    return { text, checks: [] };
  }
  const checks = [[t("P {0}: present", low & PRESENT), (low & PRESENT) !== 0]];
  if (low & PRESENT && user) checks.push([t("U/S {0}: ring 3 may", low & USER ? 1 : 0), (low & USER) !== 0]);
  const protects = user || (step.before.cr0 & WP) !== 0;
  if (low & PRESENT && protects && access && access[0] === "write") checks.push([t("R/W {0}: may be written", low & WRITABLE ? 1 : 0), (low & WRITABLE) !== 0]);
  return { text: fetched ? t("reads {0}, where the instruction lies", where) : t("reads {0}", where), checks: checks.map(([text, ok]) => ({ text, ok })) };
}

/** Flags of an entry, in letters. */
export const entryFlags = (value) => [[PRESENT, "P"], [WRITABLE, "W"], [USER, "U"], [ACCESSED, "A"], [DIRTY, "D"], [LARGE, "PS"]]
  .filter(([bit]) => value & bit).map(([, letter]) => letter).join("");

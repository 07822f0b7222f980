// Numbers, descriptors and flags in words.

import { t } from "./language.js";

export const hex = (value, digits = 8) => (typeof value === "bigint" ? value : value >>> 0).toString(16).padStart(digits, "0");
export const offset = (value) => hex(value, value > 0xffff ? 8 : 4);

const LIMIT_G = 0x8000; // of attributes: bits 8-23 of a descriptor's upper half

const SYSTEM = { 1: () => t("TSS, 16 bits"), 2: () => "LDT", 3: () => t("busy TSS, 16 bits"), 4: () => t("call gate, 16 bits"), 5: () => t("task gate"),
  6: () => t("interrupt gate, 16 bits"), 7: () => t("trap gate, 16 bits"), 9: () => "TSS", 11: () => t("busy TSS"), 12: () => t("call gate"),
  14: () => t("interrupt gate"), 15: () => t("trap gate") };

/** "code, read", "data, write", "busy TSS": from the S bit and the type, as the recording has them. */
export function typeName(type) {
  if (!(type & 16)) return SYSTEM[type & 15] ? SYSTEM[type & 15]() : t("reserved");
  const words = type & 8 ? [t("code"), ...(type & 2 ? [t("read")] : []), ...(type & 4 ? [t("conforming")] : [])]
    : [t("data"), ...(type & 2 ? [t("write")] : []), ...(type & 4 ? [t("down")] : [])];
  return words.join(t(", "));
}

export const isCode = (type) => (type & 24) === 24;
export const isData = (type) => (type & 24) === 16;

/** A descriptor of 64 bits, taken to pieces. Of a gate: offset and selector. */
export function descriptor(text) {
  const upper = parseInt(text.slice(0, 8), 16);
  const lower = parseInt(text.slice(8), 16);
  const type = upper >>> 8 & 31;
  const gate = !(type & 16) && [4, 5, 6, 7, 12, 14, 15].includes(type);
  const raw = (lower & 0xffff) | (upper & 0xf0000);
  return {
    text, type, gate, dpl: upper >>> 13 & 3, present: upper >>> 15 & 1, accessed: type & 1,
    base: ((lower >>> 16) | (upper & 0xff) << 16 | (upper & 0xff000000)) >>> 0,
    limit: upper >>> 8 & LIMIT_G ? (raw << 12 | 0xfff) >>> 0 : raw,
    selector: lower >>> 16, offset: ((upper & 0xffff0000) | (lower & 0xffff)) >>> 0,
  };
}

export const descriptorOf = (value) => descriptor(hex(BigInt(value), 16));

const FLAGS = [[0, "CF"], [2, "PF"], [4, "AF"], [6, "ZF"], [7, "SF"], [8, "TF"], [9, "IF"], [10, "DF"], [11, "OF"], [14, "NT"],
  [16, "RF"], [17, "VM"]];

/** "ZF IF IOPL 0". */
export function flags(value) {
  const set = FLAGS.filter(([bit]) => value >>> bit & 1).map(([, name]) => name);
  return `${set.join(" ")}${set.length ? " " : ""}IOPL ${value >>> 12 & 3}`;
}

/** "GDT 3, RPL 0". */
export function selector(value) {
  if (!(value & ~3)) return t("null");
  return `${value & 4 ? "LDT" : "GDT"} ${value >>> 3}, RPL ${value & 3}`;
}

/** An error code: "IDT entry 31", "GDT entry 4, from outside". */
export function errorCode(value) {
  if (!value) return t("0: no selector to blame");
  const table = value & 2 ? "IDT" : value & 4 ? "LDT" : "GDT";
  const index = value >>> 3;
  const entry = t("{0} entry {1}", table, table === "IDT" ? hex(index, 2) : index);
  return `${hex(value, 4)}: ${value & 1 ? t("{0}, in delivering another event", entry) : entry}`;
}

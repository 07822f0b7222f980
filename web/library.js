// The recordings and files that belong to the page: beside it in its folder, or inside the single file.

import { expand } from "./expand.js";
import { t } from "./language.js";
import { Run } from "./run.js";

// As Python's base64.b85encode has them, but for "<", which could begin a tag.
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

/** Five digits for four bytes: a single file has less to carry than with base64. */
function bytesOf(text) {
  const values = new Uint8Array(128);
  [...DIGITS].forEach((digit, value) => { values[digit.charCodeAt(0)] = value; });
  const digits = text.trim();
  const bytes = new Uint8Array(Math.ceil(digits.length / 5) * 4);
  for (let at = 0, to = 0; at < digits.length; at += 5) {
    let word = 0;
    for (let i = at; i < at + 5; i++) word = word * 85 + (i < digits.length ? values[digits.charCodeAt(i)] : 84);
    for (let shift = 24; shift >= 0; shift -= 8) bytes[to++] = word / 2 ** shift & 255;
  }
  return bytes.subarray(0, Math.floor(digits.length * 4 / 5));
}

async function inflate(bytes) {
  if (typeof DecompressionStream === "undefined") throw new Error(t("this browser is too old to unpack what is in this page. One of 2023 or later can."));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The bytes of a file that belongs to the page; null if it has none of that name. */
export async function file(name) {
  const inside = document.querySelector(`script[data-file="${name}"]`);
  if (inside) return inflate(bytesOf(inside.textContent));
  if (document.querySelector("script[data-file]")) return null;
  const answer = await fetch(new URL(name, root()));
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
}

/** Where the page's files lie: pages of the book are elsewhere. */
const root = () => document.documentElement.dataset.root ? new URL(document.documentElement.dataset.root, document.baseURI) : new URL(".", document.baseURI);

let data;

/** {runs: [{name, title, about, kind, packed}], code, symbols, sources: {file: text}}: see ringside/web/runs.py. */
export function library() {
  if (!data) data = file("data.json").then((bytes) => {
    if (!bytes) throw new Error(t("this page has lost its recordings: data.json is missing"));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    read.code = read.code[0].map((_, i) => read.code.map((column) => column[i]));
    return read;
  });
  return data;
}

const runs = new Map();

/** A Run by its name; null if there is none. */
export async function runNamed(name) {
  if (!runs.has(name)) {
    const { runs: all, code, symbols, sources } = await library();
    const found = all.find((run) => run.name === name);
    runs.set(name, found ? new Run(expand({ ...found.packed, code, symbols: symbols[found.packed.symbols] }), { ...found, sources }) : null);
  }
  return runs.get(name);
}

/** A recording of the user's own joins them. */
export function keep(run) {
  runs.set(run.name, run);
}

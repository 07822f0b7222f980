// Predict mode: four accesses to choose from, of which one comes next.

import { explain } from "./explain.js";

const OTHERS = ["writes esp0 in the TSS", "pushes eax", "reads cr3", "pushes ds", "reads ss0 in the TSS", "pushes eip", "pops eip"];
const plainly = (text) => text.split(": ")[0];

/** {choices, right}: the true one among others of the same step, at a place that depends on the step alone. */
export function question(run, step, index) {
  const right = plainly(explain(run, step, index).text);
  const near = [...step.accesses.keys()].filter((i) => i !== index)
    .sort((a, b) => Math.abs(a - index) - Math.abs(b - index) || a - b).map((i) => plainly(explain(run, step, i).text));
  const wrong = [...new Set([...near, ...OTHERS])].filter((text) => text !== right).slice(0, 3);
  const place = (step.number * 7 + index * 3) % 4;
  const choices = [...wrong.slice(0, place), right, ...wrong.slice(place)];
  return { choices, right: Math.min(place, wrong.length) };
}

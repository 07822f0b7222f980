// Predict mode: four accesses to choose from, of which one comes next.

import { explain } from "./explain.js";
import { t } from "./language.js";

const others = () => [t("writes {0}", t("{0} in {1}", "esp0", t("the TSS"))), t("pushes {0}", "eax"), t("reads {0}", "cr3"), t("pushes {0}", "ds"),
  t("reads {0}", t("{0} in {1}", "ss0", t("the TSS"))), t("pushes {0}", "eip"), t("pops {0}", "eip")];
const plainly = (text) => text.split(/: |：/)[0];

/** {choices, right}: the true one among others of the same step, at a place that depends on the step alone. */
export function question(run, step, index) {
  const right = plainly(explain(run, step, index).text);
  const near = [...step.accesses.keys()].filter((i) => i !== index)
    .sort((a, b) => Math.abs(a - index) - Math.abs(b - index) || a - b).map((i) => plainly(explain(run, step, i).text));
  const wrong = [...new Set([...near, ...others()])].filter((text) => text !== right).slice(0, 3);
  const place = (step.number * 7 + index * 3) % 4;
  const choices = [...wrong.slice(0, place), right, ...wrong.slice(place)];
  return { choices, right: Math.min(place, wrong.length) };
}

// The scrubber: three lanes, on which time goes from left to right.

import { escape } from "./icons.js";
import { t } from "./language.js";

const WIDTH = 1000;
const LANES = { A: 6, 0: 30, B: 54 };
const HEIGHT = 78;
const LANE = 18;

const laneOf = (lane) => lane === "B" ? "B" : lane === "A" || lane === "3" ? "A" : "0";

/** The strip of a run, as SVG; the cursor is moved by moveCursor. */
export function drawStrip(run) {
  const x = (step) => step * WIDTH / Math.max(run.length, 1);
  const parts = [];
  let start = 0;
  for (let n = 1; n <= run.length; n++) {
    if (n < run.length && run.lane(n) === run.lane(start)) continue;
    const lane = run.lane(start);
    const kind = lane === "real" ? "real" : laneOf(lane) === "0" ? "inner" : "outer";
    parts.push(`<rect class="rv-run rv-${kind}" x="${x(start).toFixed(2)}" y="${LANES[laneOf(lane)]}" ` +
      `width="${Math.max(x(n) - x(start), 1).toFixed(2)}" height="${LANE}"/>`);
    start = n;
  }
  const marks = run.crossings.map((step) => {
    const [from, to] = [run.lane(step), run.lane(Math.min(step + 1, run.length))].map((lane) => LANES[laneOf(lane)] + LANE / 2);
    const at = x(step + 1).toFixed(2);
    const same = from === to;
    return `<g class="rv-mark" data-step="${step}"><path d="M${at} ${same ? from - 9 : from}V${same ? to + 9 : to}"/>` +
      `<title>${escape(t("step {0}: {1}", step, run.steps[step].text))}</title><circle cx="${at}" cy="${to}" r="3.5"/></g>`;
  });
  return `<svg class="rv-strip" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">` +
    Object.values(LANES).map((y) => `<rect class="rv-lane" x="0" y="${y}" width="${WIDTH}" height="${LANE}"/>`).join("") +
    parts.join("") + marks.join("") + `<path class="rv-cursor" d="M0 0V${HEIGHT}"/></svg>`;
}

export function moveCursor(svg, run, at) {
  const step = run.steps[at.step];
  const part = step && step.accesses.length ? at.access / (step.accesses.length + 1) : 0;
  svg.querySelector(".rv-cursor").setAttribute("transform", `translate(${(at.step + part) * WIDTH / Math.max(run.length, 1)} 0)`);
}

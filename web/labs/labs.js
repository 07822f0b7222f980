// Labs, for yourself: questions with what speaks against each wrong choice, and a .COM that is tried in the page.
//
//   labs.html              all labs that the page can do something with
//   labs.html#lab=45       one of them

import { escape } from "./icons.js";
import { file } from "./library.js";
import { tryProgram } from "./probe.js";

const MOST = 60 << 10;    // bytes of a .COM
const $ = (selector) => document.querySelector(selector);

let known;

/** {labs, laws, tried}: see ringside/labs/page.py. */
function all() {
  if (!known) known = file("labs.json").then((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
  return known;
}

/** What an answer is worth: {points, said}. given: the place of a choice, or a text. */
export function judged(question, given) {
  if (question.choices) {
    if (given === question.right) return { points: question.points, said: "" };
    return { points: 0, said: given in question.choices ? question.because[given] : "no choice was made" };
  }
  const digits = String(given || "").trim().replace(/^0x/i, "");
  if (/^[0-9a-f]+$/i.test(digits) && BigInt(`0x${digits}`) === BigInt(`0x${question.value}`)) return { points: question.points, said: "" };
  return { points: 0, said: digits ? `"${digits}" is not what the run shows` : "no answer" };
}

function listed({ labs }) {
  const row = (lab) => `<li><a href="#lab=${lab.number}">${lab.number} ${escape(lab.title)}</a> <span class="rv-dim">${lab.kind},
    ${lab.minutes} minutes${lab.questions.length ? "" : ", a .COM to drop"}</span></li>`;
  return `<h2>Labs that this page can check</h2><ul>${labs.map(row).join("")}</ul>`;
}

function asked(question, number) {
  const name = `question-${number}`;
  const ways = question.choices
    ? question.choices.map((choice, i) => `<label><input type="radio" name="${name}" value="${i}"> ${escape(choice)}</label>`).join("")
    : `<label>in hexadecimal <input type="text" name="${name}" autocomplete="off" spellcheck="false"></label>`;
  return `<fieldset><legend>${number + 1}. ${escape(question.text)}</legend>${ways}<p data-said role="status"></p></fieldset>`;
}

function shown(lab) {
  const look = lab.kind === "read"
    ? `<p><a href="index.html#run=p_proc">Look it up: step through the same floppy</a></p>`
    : `<p><a href="index.html#play=${lab.program}">Play ${lab.program.toUpperCase()} in the page</a></p>`;
  const questions = lab.questions.length
    ? `${look}<form>${lab.questions.map(asked).join("")}<button type="submit">Check</button></form>`
    : `<form><p>Build it in your folder with <code>make</code>, and give the page <code>build/${lab.program}.com</code>:</p>
       <label>a .COM <input type="file" accept=".com,.COM"></label></form>`;
  return `<p><a href="#">all labs</a></p>${lab.story}<h2>For yourself</h2>${questions}<div data-result role="status"></div>`;
}

function check(lab, form) {
  let points = 0;
  lab.questions.forEach((question, number) => {
    const given = new FormData(form).get(`question-${number}`);
    const result = judged(question, question.choices && given !== null ? Number(given) : given);
    points += result.points;
    const said = form.querySelectorAll("[data-said]")[number];
    said.className = result.points ? "good" : "bad";
    said.textContent = result.points ? "Right." : result.said;
  });
  const total = lab.questions.reduce((sum, question) => sum + question.points, 0);
  $("[data-result]").textContent = `For yourself: ${points} of ${total}.`;
}

/** Tries a program that was dropped; the result as text on the page. */
export async function drop(lab, bytes, name) {
  const box = $("[data-result]");
  if (!bytes.length || bytes.length > MOST) {
    box.innerHTML = `<p class="bad">${escape(name)} has ${bytes.length} bytes: a .COM has 1 to ${MOST}. Drop build/${lab.program}.com of your folder.</p>`;
    return null;
  }
  box.textContent = "Trying it ...";
  await new Promise((next) => setTimeout(next, 30));
  const { laws, tried } = await all();
  const found = await tryProgram(bytes, name, lab.procs);
  if (!found) {
    box.innerHTML = '<p class="bad">This edition of the page was made without its processor: make engine builds it. Use make grade.</p>';
    return null;
  }
  const dead = found.filter((one) => one.law === "H1");
  const lines = Object.entries(lab.points).map(([law]) => {
    const own = found.filter((one) => one.law === law || law === "A1" || one.law === "H1");
    if (!own.length && law !== "A1" && !tried.includes(law)) return `<li>${law}: not tried here; make grade does. ${escape(laws[law])}</li>`;
    const verdict = own.length ? '<b class="bad">broken</b>' : '<b class="good">kept</b>';
    return `<li>${law}: ${verdict}. ${escape(laws[law])}${own.map((one) => `<br>${escape(one.said)}`).join("")}</li>`;
  });
  box.innerHTML = `<p>For yourself, in this page's Bochs${dead.length ? "" : `, ${found.switches} switches`}:</p><ul>${lines.join("")}</ul>`;
  return found;
}

async function route() {
  const { labs } = await all();
  const number = new URLSearchParams(location.hash.slice(1)).get("lab");
  const lab = labs.find((one) => one.number === number);
  const missing = number && !lab ? `<p class="bad">Lab ${escape(number)} is none that this page can check: make lab lists all.</p>` : "";
  $("#lab").innerHTML = lab ? shown(lab) : missing + listed(await all());
  const form = $("form");
  if (!form) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    check(lab, form);
  });
  const input = form.querySelector("[type=file]");
  if (input) input.addEventListener("change", async () => {
    const [one] = input.files;
    if (one) await drop(lab, new Uint8Array(await one.arrayBuffer()), one.name);
  });
}

addEventListener("hashchange", route);
route().catch((error) => { $("#lab").textContent = `This page could not do that: ${error.message}`; });
window.ringpong = { all, drop, judged }; // for tests, and for the curious

// Texts in the language of the reader: English, as they stand in the other modules, or what chinese.js has for it.
//
//   t("pushes {0} into {1}", "cs", frame)
//
// Names of registers, instructions, selectors and bits are the same in both.

import { CHINESE } from "./chinese.js";

const LANGUAGES = { en: {}, "zh-TW": CHINESE };

const nearest = (wanted) => /^zh/i.test(wanted || "") ? "zh-TW" : "en";
let spoken = nearest(typeof document === "object" ? document.documentElement.lang : "en");

export const language = () => spoken;

/** True if it is another one than before. */
export function setLanguage(wanted) {
  const before = spoken;
  spoken = nearest(wanted);
  return spoken !== before;
}

/** A text of which t is asked later. */
export const later = (text) => text;

/** Chinese has no space between its letters, nor behind its marks; Latin words in it have one on both sides. */
const tidy = (text) => text.replace(/([\u3400-\u9fff]) (?=[\u3400-\u9fff])/g, "$1").replace(/([，。：；、「／]) /g, "$1");

export function t(text, ...values) {
  const filled = (LANGUAGES[spoken][text] ?? text).replace(/\{(\d)\}/g, (_, place) => values[place]);
  return spoken === "en" ? filled : tidy(filled);
}

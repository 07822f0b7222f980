// What is to be seen of an element, as an SVG of its own: its boxes and its texts, where they stand.

import { escape } from "./icons.js";

const round = (number) => Math.round(number * 10) / 10;
const seen = (colour) => colour && colour !== "transparent" && !/, 0\)$/.test(colour);

export function toSvg(root) {
  const frame = root.getBoundingClientRect();
  const parts = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return text(node, frame, parts);
    if (node.nodeType !== Node.ELEMENT_NODE) return undefined;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    if (style.display === "none" || style.visibility === "hidden" || node.classList.contains("rv-hidden") || !box.width) return undefined;
    if (box.bottom < frame.top || box.top > frame.bottom) return undefined;
    if (node.tagName === "svg") return drawing(node, box, frame, parts, style);
    if (seen(style.backgroundColor)) {
      parts.push(`<rect x="${round(box.left - frame.left)}" y="${round(box.top - frame.top)}" width="${round(box.width)}" height="${round(box.height)}" fill="${style.backgroundColor}"/>`);
    }
    if (parseFloat(style.borderBottomWidth)) {
      parts.push(`<rect x="${round(box.left - frame.left)}" y="${round(box.bottom - frame.top - 1)}" width="${round(box.width)}" height="1" fill="${style.borderBottomColor}"/>`);
    }
    node.childNodes.forEach(walk);
    return undefined;
  };
  walk(root);
  const page = getComputedStyle(document.body).backgroundColor;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(frame.width)} ${round(frame.height)}" width="${round(frame.width)}" height="${round(frame.height)}">` +
    `<rect width="100%" height="100%" fill="${seen(page) ? page : "white"}"/>${parts.join("")}</svg>\n`;
}

function text(node, frame, parts) {
  if (!node.textContent.trim()) return;
  const range = document.createRange();
  const style = getComputedStyle(node.parentElement);
  // A line of the text at a time: where a word lies lower than the one before, a line begins.
  const words = node.textContent.split(/(\s+)/);
  let place = 0;
  let line = null;
  const end = () => {
    if (!line) return;
    const struck = style.textDecorationLine.includes("line-through") || node.parentElement.closest("s");
    parts.push(`<text x="${round(line.left - frame.left)}" y="${round(line.bottom - frame.top - line.height * 0.24)}" font-family="${escape(style.fontFamily)}" ` +
      `font-size="${style.fontSize}" font-weight="${style.fontWeight}" fill="${style.color}"${struck ? ' text-decoration="line-through"' : ""} xml:space="preserve">${escape(line.text)}</text>`);
    line = null;
  };
  for (const word of words) {
    range.setStart(node, place);
    range.setEnd(node, place += word.length);
    const box = range.getBoundingClientRect();
    if (!word.trim() || !box.width) {
      if (line) line.text += " ";
      continue;
    }
    if (line && box.top > line.top + 3) end();
    if (!line) line = { left: box.left, top: box.top, bottom: box.bottom, height: box.height, text: "" };
    line.text += word;
  }
  end();
}

function drawing(node, box, frame, parts, style) {
  parts.push(`<svg x="${round(box.left - frame.left)}" y="${round(box.top - frame.top)}" width="${round(box.width)}" height="${round(box.height)}" ` +
    `viewBox="${node.getAttribute("viewBox")}" fill="${style.color}">${node.innerHTML}</svg>`);
}

// Pictures on buttons: drawn here, so that no font has to have them.

const PATHS = {
  first: "M4 3h2v10H4zM14 3v10L7 8z",
  crossingBack: "M3 8l5-5v3h5v4H8v3z",
  back: "M11 3v10L4 8z",
  accessBack: "M10 5v6L5 8zM12 7h2v2h-2z",
  play: "M4 3l9 5-9 5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  access: "M6 5v6l5-3zM2 7h2v2H2z",
  forward: "M5 3v10l7-5z",
  crossing: "M13 8L8 3v3H3v4h5v3z",
  last: "M10 3h2v10h-2zM2 3v10l7-5z",
  point: "M2 8l7-5v3h5v4H9v3z",
};

export const icon = (name) => `<svg class="rv-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d="${PATHS[name]}"/></svg>`;
export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));

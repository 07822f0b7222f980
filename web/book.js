// The book's extras; without them every page can be read. Search, dark and light, <ring-view> in place,
// answers that open for the printer.

(() => {
  const own = document.currentScript.dataset;
  const root = document.documentElement;

  // ---- dark and light
  const button = document.querySelector("[data-theme-switch]");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  if (remembered()) root.dataset.theme = remembered();
  button.hidden = false;
  show();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* from a disk, nothing is kept */ }
    show();
  });

  // ---- search, in an index that is loaded when it is first wanted
  const form = document.querySelector(".search");
  const input = form.querySelector("input");
  const found = document.querySelector(".found");
  const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));
  let loading;
  const index = () => loading ||= new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = new URL(own.index, document.baseURI);
    tag.onload = () => resolve(window.bookIndex);
    tag.onerror = reject;
    document.head.append(tag);
  });
  async function search() {
    const words = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    found.hidden = !words.length;
    if (!words.length) return;
    const hits = (await index()).filter(([, title, heading, , text]) => words.every((word) => `${title} ${heading} ${text}`.toLowerCase().includes(word)));
    found.innerHTML = `<p>${hits.length ? `${hits.length} ${own.results}` : own.none}</p>` + hits.slice(0, 20).map(([page, title, heading, anchor, text]) => {
      const at = Math.max(0, text.toLowerCase().indexOf(words[0]) - 50);
      const part = escape(text.slice(at, at + 140)).replaceAll(escape(text.substr(text.toLowerCase().indexOf(words[0]), words[0].length)) || "\n", "<mark>$&</mark>");
      return `<p><a href="${own.folder}${page}#${encodeURIComponent(anchor)}">${escape(title === heading ? title : `${title}: ${heading}`)}</a><br>… ${part} …</p>`;
    }).join("");
  }
  form.hidden = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") { input.value = ""; search(); } });

  // ---- a recording, played in the page: only when it is asked for, since it brings all recordings along
  const base = root.dataset.root && new URL(root.dataset.root, document.baseURI);
  for (const view of base && location.protocol !== "file:" ? document.querySelectorAll("ring-view") : []) {
    const start = document.createElement("button");
    start.type = "button";
    start.textContent = own.play;
    view.querySelector("p").append(" ", start);
    start.addEventListener("click", async () => {
      start.disabled = true;
      const [{ readPlace }, { runNamed }] = await Promise.all(["ring-view.js", "library.js"].map((name) => import(new URL(name, base))));
      const run = await runNamed(view.getAttribute("run"));
      if (!run) return;
      view.show(run);
      view.go(readPlace(view.getAttribute("step"), run) || { step: 0, access: 0 });
      view.focus();
    });
  }

  // ---- on paper, all answers are open
  addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((one) => { one.open = true; }));
})();

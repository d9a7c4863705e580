"use strict";
// The layer table: sorts, filters, shows a page at a time, and explains a number on hover. Without this script all rows are simply there.
for (const table of document.querySelectorAll("table.layers")) {
  const PER_PAGE = 100;
  const bodies = [...table.tBodies];
  const heads = [...table.tHead.rows[0].cells];
  const region = table.parentElement;
  const texts = bodies.map((body) => body.rows[0].cells[1].textContent.toLowerCase());
  let order = bodies.map((_, index) => index);
  let page = 0;

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const count = (value) => value.toLocaleString("en");
  const chosen = (label, values) => {
    const select = element("select", {}, element("option", { value: "", textContent: `all ${label}s` }));
    for (const value of [...new Set(values)].sort()) select.append(element("option", { value, textContent: value }));
    return select;
  };
  const marks = (index, tag) => [...bodies[index].rows[0].cells[1].getElementsByTagName(tag)].map((mark) => mark.textContent);
  const kind = chosen("kind", bodies.flatMap((_, index) => marks(index, "i")));
  const finding = chosen("finding", bodies.flatMap((_, index) => marks(index, "b")));
  const text = element("input", { type: "search", placeholder: "part of a name" });
  const status = element("output", {});
  const before = element("button", { type: "button", textContent: "← previous" });
  const after = element("button", { type: "button", textContent: "next →" });
  const tools = element("form", { className: "tools" },
    element("label", {}, "Name ", text), element("label", {}, "Kind ", kind), element("label", {}, "Finding ", finding),
    element("span", { className: "pages" }, status, before, after));
  tools.setAttribute("aria-label", "Filter the layers");
  tools.addEventListener("submit", (event) => event.preventDefault());
  region.before(tools);

  const matching = () => order.filter((index) =>
    texts[index].includes(text.value.toLowerCase()) &&
    (!kind.value || marks(index, "i").includes(kind.value)) &&
    (!finding.value || marks(index, "b").includes(finding.value)));

  function show(target) {
    const found = matching();
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    page = Math.min(Math.max(target, 0), pages - 1);
    const visible = new Set(found.slice(page * PER_PAGE, (page + 1) * PER_PAGE));
    bodies.forEach((body, index) => { body.hidden = !visible.has(index); });
    const first = found.length ? page * PER_PAGE + 1 : 0;
    const last = Math.min((page + 1) * PER_PAGE, found.length);
    status.textContent = pages > 1 ? `${count(first)} to ${count(last)} of ${count(found.length)} layers` : `${count(found.length)} of ${count(bodies.length)} layers`;
    before.hidden = after.hidden = pages === 1;
    before.disabled = page === 0;
    after.disabled = page === pages - 1;
  }

  // "3×3" counts as its product, "–" comes first, words such as "global" last.
  function size(cell) {
    const value = cell.textContent.trim();
    if (value === "–") return -Infinity;
    const parts = value.split("×").map((part) => parseFloat(part.replaceAll(",", "")));
    return parts.some(Number.isNaN) ? Infinity : parts.reduce((product, part) => product * part, 1);
  }

  function sort(column, descending) {
    const keys = bodies.map((body) => (column === 1 ? body.rows[0].cells[1].textContent : size(body.rows[0].cells[column])));
    const compare = column === 1 ? (a, b) => keys[a].localeCompare(keys[b], "en", { numeric: true }) : (a, b) => (keys[a] > keys[b]) - (keys[a] < keys[b]);
    order = bodies.map((_, index) => index).sort((a, b) => (descending ? compare(b, a) : compare(a, b)) || a - b);
    table.append(...order.map((index) => bodies[index]));
    heads.forEach((head, index) => head.setAttribute("aria-sort", index !== column ? "none" : descending ? "descending" : "ascending"));
    show(0);
  }

  heads.forEach((head, column) => {
    const button = element("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const state = head.getAttribute("aria-sort");
      // Numbers are asked for from the largest down, names and depth from the first on.
      sort(column, state === "ascending" || ((state === null || state === "none") && column > 1));
    });
  });
  for (const input of [text, kind, finding]) input.addEventListener("input", () => show(0));
  before.addEventListener("click", () => show(page - 1));
  after.addEventListener("click", () => show(page + 1));

  // A link to a layer turns to the page that holds it and opens its derivations.
  function reveal() {
    const body = bodies.find((each) => `#${each.id}` === location.hash);
    if (!body) return;
    text.value = kind.value = finding.value = "";
    show(Math.floor(order.indexOf(bodies.indexOf(body)) / PER_PAGE));
    body.querySelector("details").open = true;
    body.scrollIntoView({ block: "center" });
  }
  window.addEventListener("hashchange", reveal);

  const tip = element("div", { className: "tip", hidden: true });
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  table.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("tbody tr:first-child > td");
    const key = cell && heads[cell.cellIndex].dataset.k;
    const line = key && cell.closest("tbody").querySelector(`dd[data-k="${key}"]`);
    tip.hidden = !line;
    if (!line) return;
    tip.textContent = line.textContent;
    const box = cell.getBoundingClientRect();
    tip.style.top = `${box.bottom + window.scrollY + 4}px`;
    tip.style.left = `${Math.max(8, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8))}px`;
  });
  table.addEventListener("pointerleave", () => { tip.hidden = true; });
  table.addEventListener("click", (event) => {
    if (event.target.closest("tbody tr:first-child > td:not(:first-child)")) {
      const details = event.target.closest("tbody").querySelector("details");
      details.open = !details.open;
    }
  });
  show(0);
  reveal();
}

"use strict";
// Holds the edits of a network, asks the service what follows from them, and shows it. The address holds the edits, so that it can be sent.
const editor = document.getElementById("editor");
const PAUSE = 120; // milliseconds without typing before the service is asked
const FIELDS = ["kernel", "stride", "dilation", "padding"];
const TOTALS = [
  ["receptive_field", "largest receptive field, pixels"], ["stride", "its stride, pixels"], ["input_size", "input, pixels"], ["map_shape", "its map"],
  ["parameters", "parameters"], ["connections", "connections"], ["unproductive_layers", "unproductive layers"],
  ["misaligned_joins", "misaligned joins"], ["gridded_layers", "layers with gaps in their field"],
];
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
const shown = (value) => value == null ? "–" : Array.isArray(value) ? value.map((each) => each ?? "?").join("×") : value.toLocaleString("en");

// The text of a field as JSON: 3, [3, 5], [[1, 2], [1, 2]] or a word.
const number = (text) => /^\d+$/.test(text.trim()) ? Number(text) : text.trim();
function parsed(text) {
  const entries = text.split(",");
  if (entries.some((entry) => entry.includes(":"))) return entries.map((entry) => entry.includes(":") ? entry.split(":").map(number) : [number(entry), number(entry)]);
  return entries.length > 1 ? entries.map(number) : number(text);
}
function written(value) {
  if (!Array.isArray(value)) return String(value);
  return value.map((entry) => Array.isArray(entry) ? entry.join(":") : entry).join(",");
}

function start() {
  const id = editor.dataset.base, base = JSON.parse(at("base").textContent);
  const bodies = [...at("layers").tBodies];
  const body = new Map(bodies.map((each) => [each.dataset.layer, each]));
  const size = at("size");
  // Edits of layers that the table does not list (from a link or a proposal) are carried along.
  let others = [], past = [], timer = 0, turn = 0;

  function edits() {
    const found = [...others];
    for (const each of bodies) {
      const inputs = [...each.querySelectorAll("input")];
      if (inputs.find((input) => input.name === "remove").checked) { found.push({ layer: each.dataset.layer, remove: true }); continue; }
      const set = {};
      for (const input of inputs) if (FIELDS.includes(input.name) && input.value.trim() && input.value !== input.defaultValue) set[input.name] = parsed(input.value);
      if (Object.keys(set).length) found.push({ layer: each.dataset.layer, set });
    }
    return found;
  }
  const shapes = () => size?.value.trim() ? { [editor.dataset.input]: size.value.split(",").map(number) } : {};
  const asked = () => ({ edits: edits(), input_shapes: shapes() });
  const isEmpty = (request) => !request.edits.length && !Object.keys(request.input_shapes).length;

  function fill(request) {
    others = [];
    for (const input of at("layers").querySelectorAll("input")) { input.value = input.defaultValue; input.checked = false; }
    if (size) size.value = Object.values(request.input_shapes ?? {})[0]?.join(",") ?? "";
    for (const edit of request.edits ?? []) {
      const inputs = body.get(String(edit.layer))?.querySelectorAll("input");
      if (!inputs) { others.push(edit); continue; }
      for (const input of inputs) {
        if (input.name === "remove") input.checked = edit.remove === true;
        else if (edit.set && input.name in edit.set) input.value = written(edit.set[input.name]);
      }
    }
  }

  async function send(path, request, headers = {}) {
    const body = JSON.stringify(request);
    return fetch(path, { method: "POST", body, headers: { "Content-Type": "application/json", ...headers } });
  }

  async function follow() {
    const request = asked(), mine = ++turn;
    const address = isEmpty(request) ? location.pathname : `${location.pathname}?edits=${encodeURIComponent(JSON.stringify(request))}`;
    history.replaceState(null, "", address);
    at("link").href = address;
    at("undo").disabled = !past.length;
    at("clear").disabled = at("keep").disabled = isEmpty(request);
    if (isEmpty(request)) { fine(); show(base); at("state").textContent = ""; return; }
    at("state").textContent = "…";
    const begun = performance.now();
    const answer = await send(`/v1/analyses/${id}/variants/preview`, request);
    const document_ = await answer.json();
    if (mine !== turn) return;
    at("state").textContent = `${Math.round(performance.now() - begun)} ms`;
    if (answer.ok) { fine(); show(document_); } else refuse(document_, request);
  }

  function fine() {
    at("impossible").hidden = true;
    for (const input of editor.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }
  function refuse(problem, request) {
    fine();
    const error = problem.errors?.[0];
    at("impossible").textContent = error ? error.detail : problem.detail;
    at("impossible").hidden = false;
    at("keep").disabled = true;
    const [, kind, place, , name] = (error?.pointer ?? "").split("/");
    const layer = kind === "edits" ? body.get(request.edits[Number(place)]?.layer) : null;
    const fields = kind === "input_shapes" ? [size] : layer ? [...layer.querySelectorAll("input")].filter((input) => !name || input.name === name) : [];
    for (const input of fields) input?.setAttribute("aria-invalid", "true");
  }

  function show(found) {
    const rows = TOTALS.map(([key, label]) => {
      const row = document.createElement("tr"), [now, then] = [base.measures[key], found.measures[key]].map(shown);
      for (const [tag, text] of [["th", label], ["td", now], ["td", then]]) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        if (tag === "td") cell.className = "n";
        row.append(cell);
      }
      row.firstChild.scope = "row";
      row.lastChild.classList.toggle("different", now !== then);
      return row;
    });
    at("totals").tBodies[0].replaceChildren(...rows);
    const [known, before] = [found, base].map((each) => new Map(each.layers.map((layer) => [layer.name, layer])));
    for (const [name, each] of body) {
      const layer = known.get(name);
      for (const cell of each.querySelectorAll("[data-number]")) {
        const key = cell.dataset.number, text = layer ? shown(layer[key]) : "";
        cell.textContent = text;
        cell.classList.toggle("different", text !== shown(before.get(name)?.[key]));
      }
    }
    draw(found);
  }

  function draw(found) {
    const [width, height, left, bottom] = [600, 260, 44, 24];
    const largest = (layer) => layer.field ? Math.max(...layer.field.map((each) => each ?? 0)) : null;
    const series = [[base, "was"], [found, "would"]].map(([each, name]) => [each.layers.map(largest), name]);
    const input = Math.max(...(found.measures.input_size ?? [0]).map((each) => each ?? 0));
    const most = Math.max(input, 1, ...series.flatMap(([values]) => values));
    const count = Math.max(2, ...series.map(([values]) => values.length));
    const x = (place) => left + place / (count - 1) * (width - left - 8), y = (value) => height - bottom - value / most * (height - bottom - 12);
    const shapes = [line([[left, y(input)], [width - 8, y(input)]], "input")];
    for (const [values, name] of series) shapes.push(line(values.flatMap((value, place) => value === null ? [] : [[x(place), y(value)]]), name));
    for (const [value, place] of [[0, y(0)], [most, y(most)], [input, y(input)]]) shapes.push(label(shown(value), left - 6, place + 4, "end"));
    shapes.push(label("layers →", width - 8, height - 6, "end"));
    at("growth").replaceChildren(...shapes);
  }
  function line(points, name) {
    const shape = document.createElementNS(SVG, "polyline");
    shape.setAttribute("points", points.map((point) => point.map((each) => each.toFixed(1)).join(",")).join(" "));
    shape.setAttribute("class", name);
    return shape;
  }
  function label(text, x, y, anchor) {
    const shape = document.createElementNS(SVG, "text");
    for (const [key, value] of Object.entries({ x, y, "text-anchor": anchor })) shape.setAttribute(key, value);
    shape.textContent = text;
    return shape;
  }

  // What was before the last change, for Undo; typing in one field is one change.
  let kept = asked(), touched = null;
  function remember(field) {
    if (field === null || field !== touched) past.push(kept);
    touched = field;
  }
  function change(field) {
    remember(field);
    kept = asked();
    clearTimeout(timer);
    timer = setTimeout(follow, PAUSE);
  }
  function replace(request) {
    remember(null);
    fill(request);
    kept = asked();
    follow();
  }
  at("layers").addEventListener("input", (event) => change(event.target));
  size?.addEventListener("input", () => change(size));
  at("clear").addEventListener("click", () => replace({}));
  at("undo").addEventListener("click", () => { fill(past.pop()); kept = asked(); touched = null; follow(); });

  at("keep").addEventListener("click", async () => {
    at("keep").disabled = true;
    const answer = await send(`/v1/analyses/${id}/variants`, asked(), { Prefer: "wait=60" });
    const report = await answer.json();
    if (!answer.ok || !report.comparison) { refuse(report, asked()); return; }
    at("kept").href = `/analyses/${report.id}`;
    at("kept").hidden = false;
    const text = await (await send("/v1/comparisons", { base: id, head: report.id }, { Accept: "text/markdown" })).text();
    at("markdown").value = `\`\`\`json\n${JSON.stringify(asked())}\n\`\`\`\n\n${text}`;
    at("markdown").hidden = false;
    at("keep").disabled = false;
  });

  at("goals").addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = at("goals").querySelector("output");
    output.textContent = "Searching …";
    const answer = await fetch(`/v1/analyses/${id}/proposals?${new URLSearchParams(new FormData(at("goals")))}`);
    const found = await answer.json();
    if (!answer.ok) { output.textContent = found.detail; return; }
    const ended = found.complete ? "" : "; the search was ended by its bounds";
    output.textContent = found.reached ? "The network reaches this goal already." : `${found.tried} changed networks analysed${ended}. ${found.source}.`;
    at("proposals").replaceChildren(...found.proposals.map(proposal));
  });
  function proposal(each) {
    const item = document.createElement("li"), button = document.createElement("button"), numbers = document.createElement("p");
    const measures = each.measures;
    item.append(`${each.words.join("; ")}${each.reaches ? "" : " (nearer, but not there)"} `);
    button.type = "button";
    button.textContent = "Apply";
    button.addEventListener("click", () => { replace(each); editor.scrollIntoView(); });
    numbers.className = "soft";
    numbers.textContent = `sees ${shown(measures.receptive_field)}, map ${shown(measures.map_shape)}, ${shown(measures.parameters)} parameters, ${shown(measures.connections)} connections`;
    item.append(button, numbers);
    return item;
  }

  show(base);
  try { fill(JSON.parse(new URLSearchParams(location.search).get("edits") ?? "{}")); } catch { fill({}); }
  kept = asked();
  follow();
}
if (editor) start();

"use strict";
// Sends a model with a progress bar, follows its job, and opens the report. Without this script the form does the same in one step.
function follow(job, report) {
  const events = new EventSource(job.links.events);
  const heard = (state) => {
    report(state);
    if (state.status === "done") location.assign(state.links.analysis.replace("/v1", ""));
    if (["done", "failed", "cancelled"].includes(state.status)) events.close();
  };
  events.addEventListener("status", (event) => heard(JSON.parse(event.data)));
  heard(job);
}

const waiting = document.getElementById("job");
if (waiting) {
  follow({ status: "queued", links: { events: `/v1/jobs/${waiting.dataset.job}/events` } }, (state) => {
    if (["failed", "cancelled"].includes(state.status)) location.reload();
    else waiting.textContent = `The job is ${state.status}. The report opens by itself.`;
  });
}

const form = document.getElementById("upload");
if (form) {
  const drop = document.getElementById("drop");
  const progress = document.getElementById("progress");
  const bar = document.getElementById("bytes");
  const sent = document.getElementById("sent");
  const failed = document.getElementById("failed");
  const button = form.querySelector("button.main");
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  for (const part of form.querySelectorAll(".scripted")) part.hidden = false;

  function stage(name) {
    const items = [...progress.querySelectorAll("[data-stage]")];
    const reached = items.findIndex((item) => item.dataset.stage === name);
    items.forEach((item, index) => {
      item.classList.toggle("passed", index < reached);
      if (index === reached) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  function fail(problem) {
    const places = (problem.errors || []).map((error) => ` ${error.pointer ? `${error.pointer}: ` : ""}${error.detail}`);
    failed.textContent = `${problem.title || "The upload failed"}. ${problem.detail || ""}${places.join(";")}`;
    failed.hidden = false;
    button.disabled = false;
  }

  function report(state) {
    stage(state.status);
    if (state.problem) fail(state.problem);
    else if (state.status === "cancelled") fail({ title: "The job was cancelled" });
  }

  function answered(request) {
    let body;
    try {
      body = JSON.parse(request.responseText);
    } catch {
      body = { detail: `The server answered ${request.status}.` };
    }
    if (request.status === 200 || request.status === 201) {
      stage("done");
      location.assign(`/analyses/${body.id}`);
    } else if (request.status === 202) follow(body, report);
    else fail(body);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/analyses");
    request.setRequestHeader("Prefer", "respond-async");
    request.upload.addEventListener("progress", (step) => {
      bar.value = step.total ? (100 * step.loaded) / step.total : 0;
      sent.textContent = `${size(step.loaded)} of ${size(step.total)}`;
    });
    request.addEventListener("load", () => answered(request));
    request.addEventListener("error", () => fail({ detail: "The connection broke." }));
    failed.hidden = true;
    progress.hidden = false;
    button.disabled = true;
    stage("sending");
    const data = new FormData();
    const model = form.elements.model.files[0];
    data.append("model", model);
    // A graph's own name is often that of the exporter.
    const name = model.name.match(/^(.+)\.onnx$/i);
    const options = name ? { name: name[1].slice(0, 200) } : {};
    for (const field of form.querySelectorAll("[data-option]")) {
      const value = field.value.trim();
      if (!value || (field.localName === "select" && !field.selectedIndex)) continue;
      if (field.dataset.option === "input_shape") options.input_shapes = { "": value.split(",").map(Number) };
      else options[field.dataset.option] = field.type === "number" ? Number(value) : value;
    }
    data.append("options", JSON.stringify(options));
    for (const file of form.elements.external.files) data.append("external", file);
    request.send(data);
  });

  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    // The model is the file that looks like one; whatever comes with it is external data.
    const files = [...event.dataTransfer.files];
    const model = files.find((file) => /\.(onnx|json)$/i.test(file.name)) || files[0];
    if (!model) return;
    const list = (chosen) => {
      const transfer = new DataTransfer();
      chosen.forEach((file) => transfer.items.add(file));
      return transfer.files;
    };
    form.elements.model.files = list([model]);
    form.elements.external.files = list(files.filter((file) => file !== model));
    form.requestSubmit();
  });
  // A page that comes back from the browser's memory begins anew.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    progress.hidden = true;
    button.disabled = false;
  });
}

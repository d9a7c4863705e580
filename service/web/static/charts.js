"use strict";
// Draws the interactive charts; where that fails, the picture of the same chart takes their place.
(() => {
  function library() {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "/static/vega.js";
      script.type = "module";
      script.addEventListener("load", () => resolve(window.vegaEmbed));
      script.addEventListener("error", () => reject(new Error("the chart library did not come")));
      document.head.append(script);
    });
  }

  // The same chart, as wide as there is room for; where that is little, with fewer names along its edge and the legend in a column.
  function fitted(specification, room) {
    const width = Math.max(200, room - 96);
    const walk = (part) => {
      if (part === null || typeof part !== "object") return;
      if (typeof part.width === "number" && (part.layer || part.mark)) part.width = width;
      if (part.labelAngle && Array.isArray(part.values)) {
        const every = Math.ceil(part.values.length / Math.max(2, Math.floor(width / 20)));
        part.values = part.values.filter((_, place) => place % every === 0);
      }
      if (part.orient === "bottom") part.columns = width < 480 ? 1 : 4;
      Object.values(part).forEach(walk);
    };
    walk(specification);
    specification.config.title.limit = room - 16;
    return specification;
  }

  async function draw(place, loaded) {
    const answer = await fetch(`${place.dataset.chart}.vl.json${place.dataset.query}`);
    if (!answer.ok) throw new Error(`the chart was answered with ${answer.status}`);
    const chart = document.createElement("div");
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", place.dataset.label);
    // The interpreter needs no eval and our own style sheet no styles of theirs: both would be against the page's policy.
    const options = { ast: true, actions: false, defaultStyle: false, renderer: "canvas", tooltip: { disableDefaultStyle: true } };
    await (await loaded)(chart, fitted(await answer.json(), place.clientWidth), options);
    place.replaceChildren(chart);
  }

  function picture(place) {
    const image = document.createElement("img");
    image.src = `${place.dataset.chart}.svg${place.dataset.query}`;
    image.alt = place.dataset.label;
    place.replaceChildren(image);
  }

  let loaded = null;
  function drawAll() {
    const places = document.querySelectorAll("[data-chart]");
    if (!places.length) return;
    loaded = loaded || library();
    for (const place of places) draw(place, loaded).catch(() => picture(place));
  }
  drawAll();
  document.addEventListener("renewed", drawAll);
})();

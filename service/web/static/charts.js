"use strict";
// Puts the interactive chart in the place of its picture; where anything fails, the picture stays.
(async () => {
  const places = document.querySelectorAll("[data-chart]");
  if (!places.length) return;
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/vega.js";
    script.type = "module";
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
  for (const place of places) {
    const answer = await fetch(place.dataset.chart);
    if (!answer.ok) continue;
    const chart = document.createElement("div");
    // The interpreter needs no eval and our own style sheet no styles of theirs: both would be against the page's policy.
    const options = { ast: true, actions: false, defaultStyle: false, renderer: "canvas", tooltip: { disableDefaultStyle: true } };
    await window.vegaEmbed(chart, await answer.json(), options);
    const picture = place.querySelector("img");
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", picture.alt);
    picture.replaceWith(chart);
  }
})();

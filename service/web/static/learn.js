"use strict";
// Keeps graph, matrix and sum at the same hidden unit, and changes the network in place. Without this script both drawings move by themselves.
const STEP = 1200; // milliseconds for each unit, as the drawings have it
let stop = () => {};

function play(lesson) {
  const player = lesson.querySelector(".player");
  if (!player) return () => {};
  const drawings = [...lesson.querySelectorAll("object")];
  const sums = [...lesson.querySelectorAll(".sums li")].map((item) => item.textContent);
  const [range, run, sum] = ["input", ".run", ".sum"].map((selector) => player.querySelector(selector));
  let timer = 0;

  const moving = () => drawings.flatMap((drawing) => drawing.contentDocument?.getAnimations() ?? []);
  function show(unit) {
    range.value = unit;
    range.setAttribute("aria-valuetext", `f${unit + 1}`);
    sum.textContent = sums[unit];
    for (const animation of moving()) {
      animation.pause();
      // In the second round every unit has begun its own.
      animation.currentTime = (sums.length + unit + 0.5) * STEP;
    }
  }
  const unit = () => Number(range.value);
  const pause = () => { clearInterval(timer); timer = 0; run.textContent = "Play"; };
  const start = () => { timer = setInterval(() => show((unit() + 1) % sums.length), STEP); run.textContent = "Pause"; };

  const ready = drawings.map((drawing) => new Promise((resolve) => {
    if (drawing.contentDocument?.documentElement?.localName === "svg") resolve();
    else drawing.addEventListener("load", resolve, { once: true });
  }));
  Promise.all(ready).then(() => {
    // Where the reader asked for less motion there is none to steer: the still drawings say the same.
    if (!moving().length) return;
    for (const drawing of drawings) drawing.contentDocument.querySelector("foreignObject")?.remove();
    player.hidden = false;
    show(0);
    start();
  });
  run.addEventListener("click", () => (timer ? pause() : start()));
  range.addEventListener("input", () => { pause(); show(unit()); });
  for (const button of player.querySelectorAll(".step")) {
    button.addEventListener("click", () => {
      pause();
      show((unit() + Number(button.dataset.step) + sums.length) % sums.length);
    });
  }
  return pause;
}

const choices = document.getElementById("choices");
let asked = 0;
async function change() {
  if (!choices.checkValidity()) return;
  const address = `/learn?${new URLSearchParams(new FormData(choices))}`;
  const turn = ++asked;
  const text = await (await fetch(address)).text();
  if (turn !== asked) return;
  const next = new DOMParser().parseFromString(text, "text/html");
  stop();
  for (const id of ["lesson", "ideas"]) document.getElementById(id).replaceChildren(...next.getElementById(id).childNodes);
  history.replaceState(null, "", address);
  stop = play(document.getElementById("lesson"));
}
choices.addEventListener("input", change);
choices.addEventListener("submit", (event) => { event.preventDefault(); change(); });
stop = play(document.getElementById("lesson"));

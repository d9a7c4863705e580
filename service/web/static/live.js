"use strict";
// Keeps a page up to date: the service says when something changed, and the page is fetched again and put in place of the old one.
(() => {
  let known = document.querySelector("meta[name=state]").content;

  async function renew() {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
    const old = document.getElementById("content");
    if (!fresh || old.contains(document.activeElement)) return; // a reader who is choosing something goes first
    old.replaceChildren(...fresh.childNodes);
    document.dispatchEvent(new Event("renewed"));
  }

  const events = new EventSource("/v1/fleet/events");
  events.addEventListener("state", (event) => {
    if (known !== event.data) renew().catch(() => {});
    known = event.data;
  });
  addEventListener("pagehide", () => events.close());
})();
